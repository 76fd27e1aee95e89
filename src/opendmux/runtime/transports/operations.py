"""Operation commands of OpenD over the control routes: ``POST /v1/opend/{command}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from opendmux.core.audit import NO_KEY
from opendmux.core.operations import OPERATIONS, OperationError, RateError, order_of
from opendmux.runtime.operator import Asker, NoOpendError, Operator
from opendmux.runtime.telnet import TelnetError

from .control import BODY_BYTES, json_body
from .http import Exchange, RefusedError, Route

__all__ = ["OPERATE_PATH", "operation_routes"]

OPERATE_PATH: Final = "/v1/opend/{command}"


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    opend: int | str | None = None
    parameters: dict[str, str] = {}
    confirm: bool = False


_ABOUT: Final = {
    "operationId": "operate",
    "summary": "Send one of OpenD's operation commands",
    "description": (
        "By OpenD's Telnet console; codes also by the protocol Verification where no console is configured. OpenD's"
        " limits on them are kept. A key needs the scope admin.\n\n"
        "| command | what it does | at most |\n|---|---|---|\n"
        + "\n".join(f"| {one.name} | {one.about} | {one.rate or ''} |" for one in OPERATIONS.values())
    ),
    "parameters": [
        {
            "name": "command",
            "in": "path",
            "required": True,
            "description": "Which one.",
            "schema": {"type": "string", "enum": list(OPERATIONS)},
        }
    ],
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "opend": {
                            "description": (
                                "Which OpenD: its number in /v1/status, its name in the configuration or its address."
                            ),
                            "type": ["integer", "string", "null"],
                        },
                        "parameters": {"type": "object", "additionalProperties": {"type": "string"}},
                        "confirm": {
                            "description": "It is meant: for exit, and for close_api_conn without conn_id.",
                            "type": "boolean",
                        },
                    },
                    "additionalProperties": False,
                }
            }
        },
    },
    "responses": {
        "200": {
            "description": "It was sent. What OpenD made of it stands in the lines of its answer.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["command", "opend", "way", "place", "lines", "note", "refused"],
                        "properties": {
                            "way": {"enum": ["telnet", "protocol"]},
                            "lines": {"type": "array", "items": {"type": "string"}},
                            "note": {"type": "string", "description": "Why the answer is not whole; mostly empty."},
                        },
                    }
                }
            },
        },
        "404": {"$ref": "#/components/responses/404"},
    },
}


def operation_routes(operator: Operator) -> Mapping[str, Route]:
    """By path."""

    async def operate(exchange: Exchange) -> None:
        body = await json_body(exchange, _Body)
        by = Asker("http", exchange.peer, NO_KEY if exchange.key is None else exchange.key.id)
        try:
            try:
                order = order_of(exchange.argument, body.parameters, confirmed=body.confirm)
            except OperationError as error:
                operator.refused(exchange.argument, error, by)
                raise
            performed = await operator.perform(order, body.opend, by)
        except NoOpendError as error:
            raise RefusedError(404, "opend", str(error)) from error
        except RateError as error:
            raise RefusedError(429, "rate", str(error)) from error
        except OperationError as error:
            raise RefusedError(400, "operation", str(error)) from error
        except TelnetError as error:
            raise RefusedError(503, "console", str(error)) from error
        await exchange.respond_json(200, performed)

    return {OPERATE_PATH: Route({"POST": operate}, control=True, body_bytes=BODY_BYTES, about=_ABOUT)}
