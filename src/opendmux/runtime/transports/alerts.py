"""The order to send a test alert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from opendmux.runtime.alerts import Delivered, NoAlertError

from .control import BODY_BYTES, json_body
from .http import Exchange, Route

__all__ = ["TEST_PATH", "AlertsFace", "alert_routes"]

TEST_PATH: Final = "/v1/alerts/test"

_TEST: Final = {
    "operationId": "alerts_test",
    "summary": "Send a test alert",
    "description": "By every entry of [[alerts]], or by one. Each is tried once. A key needs the scope admin.",
    "requestBody": {
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"alert": {"type": ["string", "null"], "description": "The name of one entry."}},
                }
            }
        }
    },
    "responses": {
        "200": {
            "description": "How it went for each.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["alerts"],
                        "properties": {
                            "alerts": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["alert", "delivered", "problem"],
                                    "properties": {
                                        "alert": {"type": "string"},
                                        "delivered": {"type": "boolean"},
                                        "problem": {"type": "string"},
                                    },
                                },
                            }
                        },
                    }
                }
            },
        },
        "404": {"$ref": "#/components/responses/404"},
    },
}


class AlertsFace(Protocol):
    """Who can send one."""

    async def test(self, name: str | None = None) -> list[Delivered]:
        """See `runtime.alerts.Alerts`."""


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    alert: str | None = None


def alert_routes(face: AlertsFace) -> Mapping[str, Route]:
    """What can be done about alerts, by path."""

    async def test(exchange: Exchange) -> None:
        order = await json_body(exchange, _Order)
        try:
            found = await face.test(order.alert)
        except NoAlertError as error:
            await exchange.refuse(404, "alert", str(error))
            return
        await exchange.respond_json(200, {"alerts": [one._asdict() for one in found]})

    return {TEST_PATH: Route({"POST": test}, control=True, body_bytes=BODY_BYTES, about=_TEST)}
