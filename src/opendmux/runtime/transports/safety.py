"""The kill switch over HTTP: who freezes, thaws, and asks what is frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol

import msgspec

from opendmux.core.audit import timestamp_of
from opendmux.core.freezes import Freeze
from opendmux.runtime.freezer import FreezeError, Frozen

from .control import BODY_BYTES, json_body
from .http import Exchange, RefusedError, Route

__all__ = ["FREEZE_PATH", "FreezeFace", "freeze_routes"]

FREEZE_PATH: Final = "/v1/freeze"

_ANSWER: Final = {
    "200": {
        "description": "What holds now.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["freezes", "in_flight"],
                    "properties": {
                        "freezes": {"type": "array", "items": {"type": "object"}},
                        "in_flight": {
                            "type": "integer",
                            "description": "Trade writes that OpenD has and has not answered yet.",
                        },
                    },
                }
            }
        },
    }
}
_ABOUT: Final = {
    "get": {
        "operationId": "freezes",
        "summary": "Whose trading is frozen",
        "description": "A key needs the scope admin.",
        "responses": _ANSWER,
    },
    "post": {
        "operationId": "freeze",
        "summary": "Freeze trading, or lift that",
        "description": (
            "Without a key everybody is meant. It holds at once and over a restart. A key needs the scope admin."
        ),
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["mode"],
                        "properties": {
                            "key": {"type": ["string", "null"], "description": "The id of a key."},
                            "mode": {"type": "string", "enum": ["read-only", "cancel-only", "off"]},
                        },
                    }
                }
            },
        },
        "responses": {**_ANSWER, "404": {"$ref": "#/components/responses/404"}},
    },
}


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    mode: Literal["read-only", "cancel-only", "off"]
    """Required: an empty body must not open anything."""
    key: str | None = None


class FreezeFace(Protocol):
    """Who can freeze; see `runtime.freezer`."""

    def show(self) -> Frozen: ...
    async def change(
        self,
        key_id: str | None,
        mode: Literal["read-only", "cancel-only", "off"],
        *,
        by: str,
        peer: str,
        asker: str,
    ) -> Frozen: ...


def by_whom(exchange: Exchange) -> str:
    """Who asks, in words for others."""
    return exchange.peer if exchange.key is None else f"{exchange.key.id}, {exchange.peer}"


def freeze_routes(face: FreezeFace) -> Mapping[str, Route]:
    """By path."""

    async def show(exchange: Exchange) -> None:
        await exchange.respond_json(200, _told(face.show()))

    async def change(exchange: Exchange) -> None:
        order = await json_body(exchange, _Order)
        asker = "" if exchange.key is None else exchange.key.id
        try:
            done = await face.change(
                order.key or None, order.mode, by=by_whom(exchange), peer=exchange.peer, asker=asker
            )
        except FreezeError as error:
            raise RefusedError(404 if error.reason == "key" else 503, error.reason, str(error)) from error
        await exchange.respond_json(200, _told(done))

    return {FREEZE_PATH: Route({"GET": show, "POST": change}, control=True, body_bytes=BODY_BYTES, about=_ABOUT)}


def _told(frozen: Frozen) -> dict[str, object]:
    return {"freezes": [_freeze(freeze) for freeze in frozen.freezes], "in_flight": frozen.in_flight}


def _freeze(freeze: Freeze) -> dict[str, object]:
    return {
        "key": freeze.key,
        "mode": freeze.mode.value,
        "since": timestamp_of(freeze.since),
        "by": freeze.by,
        "why": freeze.why,
        "dead_man": freeze.silent,
        "text": freeze.text(),
    }
