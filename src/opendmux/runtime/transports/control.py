"""Orders to the proxy: what an administrator may do to it, by the admin socket or with a key that has the scope admin.

Without keys nobody may do it over the port, from this machine neither: whoever can connect there is not yet the one who
runs the proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, TypeVar

import msgspec

from opendmux.core.keys import Key

from .http import Exchange, RefusedError, Route

__all__ = ["BODY_BYTES", "CLOSE_PATH", "ClientsFace", "client_routes", "json_body"]

CLOSE_PATH: Final = "/v1/clients/{client_id}/close"
BODY_BYTES: Final = 64 * 1024
"""The longest body of an order."""

_T = TypeVar("_T")

_CLOSE: Final = {
    "operationId": "close",
    "summary": "End the session of one client",
    "description": "A key needs the scope admin.",
    "parameters": [
        {
            "name": "client_id",
            "in": "path",
            "required": True,
            "description": "As /v1/status calls it.",
            "schema": {"type": "string"},
        }
    ],
    "responses": {
        "200": {
            "description": "It is ended.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["closed"],
                        "properties": {"closed": {"type": "string", "description": "Which one."}},
                    }
                }
            },
        },
        "404": {"$ref": "#/components/responses/404"},
    },
}


class ClientsFace(Protocol):
    """Who can end a client."""

    def end_client(self, client_id: str, *, peer: str, key: Key | None) -> bool:
        """End this client's session; False when there is none."""


async def json_body(exchange: Exchange, kind: type[_T]) -> _T:
    """The body of an order. Raises RefusedError for one that is not such an object. Cancellation: see
    `Exchange.body`."""
    try:
        return msgspec.json.decode(await exchange.body() or b"{}", type=kind)
    except msgspec.DecodeError as error:  # ValidationError is one
        raise RefusedError(400, "body", f"the body can't be read: {error}") from error


def client_routes(face: ClientsFace) -> Mapping[str, Route]:
    """What can be done to clients, by path."""

    async def close(exchange: Exchange) -> None:
        if face.end_client(exchange.argument, peer=exchange.peer, key=exchange.key):
            await exchange.respond_json(200, {"closed": exchange.argument})
        else:
            await exchange.refuse(404, "client", "there is no such client; it may have gone already")

    return {CLOSE_PATH: Route({"POST": close}, control=True, about=_CLOSE)}
