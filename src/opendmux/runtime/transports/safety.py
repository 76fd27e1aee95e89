"""The kill switch and the pause of OpenD, over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final, Literal, Protocol

import msgspec

from opendmux.core.audit import timestamp_of
from opendmux.core.freezes import Freeze
from opendmux.runtime.freezer import FreezeError, Frozen
from opendmux.runtime.operator import NoOpendError
from opendmux.runtime.pauser import Paused

from .control import BODY_BYTES, json_body
from .http import Exchange, RefusedError, Route

__all__ = ["FREEZE_PATH", "PAUSE_PATH", "RESUME_PATH", "FreezeFace", "PauseFace", "freeze_routes", "pause_routes"]

FREEZE_PATH: Final = "/v1/freeze"
PAUSE_PATH: Final = "/v1/pause"
RESUME_PATH: Final = "/v1/resume"
PAUSE_MAX_S: Final = 7 * 86_400.0
"""A longer one is a slip of the hand."""

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
                            "key": {"type": ["string", "null"], "minLength": 1, "description": "The id of a key."},
                            "mode": {"type": "string", "enum": ["read-only", "cancel-only", "off"]},
                        },
                    }
                }
            },
        },
        "responses": {**_ANSWER, "404": {"$ref": "#/components/responses/404"}},
    },
}


_PAUSES: Final = {
    "200": {
        "description": "What is paused now.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["paused"],
                    "properties": {"paused": {"type": "array", "items": {"type": "object"}}},
                }
            }
        },
    },
    "404": {"$ref": "#/components/responses/404"},
}


def _about_pause(name: str, summary: str, more: Mapping[str, object]) -> dict[str, object]:
    which = {
        "opend": {
            "type": ["integer", "string", "null"],
            "description": "Its number in /v1/status, its name in the configuration or its address; null: all of them.",
        }
    }
    return {
        "operationId": name,
        "summary": summary,
        "description": "A key needs the scope admin.",
        "requestBody": {
            "content": {"application/json": {"schema": {"type": "object", "properties": {**which, **more}}}}
        },
        "responses": _PAUSES,
    }


_FOR: Final = {"for_s": {"type": ["number", "null"], "description": "Seconds after which it ends by itself."}}
_PAUSE: Final = {
    "get": {
        "operationId": "pauses",
        "summary": "Which OpenDs are paused",
        "description": "A key needs the scope admin.",
        "responses": _PAUSES,
    },
    "post": _about_pause("pause", "Let go of OpenD for maintenance; clients stay", _FOR),
}
_RESUME: Final = _about_pause("resume", "End the pause", {})


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    mode: Literal["read-only", "cancel-only", "off"]
    """Required: an empty body must not open anything."""
    key: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Whoever meant a key and has lost its name must not thaw everybody."""


class _Pause(msgspec.Struct, forbid_unknown_fields=True):
    opend: int | str | None = None
    for_s: Annotated[float, msgspec.Meta(gt=0, le=PAUSE_MAX_S)] | None = None


class _Resume(msgspec.Struct, forbid_unknown_fields=True):
    opend: int | str | None = None


class PauseFace(Protocol):
    """Who can pause; see `runtime.pauser`."""

    def show(self) -> list[Paused]: ...
    async def pause(
        self, which: int | str | None, for_s: float | None, *, by: str, peer: str, asker: str
    ) -> list[Paused]: ...
    async def resume(self, which: int | str | None, *, by: str, peer: str, asker: str) -> list[Paused]: ...


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
            done = await face.change(order.key, order.mode, by=by_whom(exchange), peer=exchange.peer, asker=asker)
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
        "stray": freeze.stray,
        "text": freeze.text(),
    }


def pause_routes(face: PauseFace) -> Mapping[str, Route]:
    """By path."""

    async def show(exchange: Exchange) -> None:
        await exchange.respond_json(200, _paused(face.show()))

    async def pause(exchange: Exchange) -> None:
        order = await json_body(exchange, _Pause)
        await told(exchange, lambda **who: face.pause(order.opend, order.for_s, **who))

    async def resume(exchange: Exchange) -> None:
        order = await json_body(exchange, _Resume)
        await told(exchange, lambda **who: face.resume(order.opend, **who))

    async def told(exchange: Exchange, change: Callable[..., Awaitable[list[Paused]]]) -> None:
        asker = "" if exchange.key is None else exchange.key.id
        try:
            done = await change(by=by_whom(exchange), peer=exchange.peer, asker=asker)
        except NoOpendError as error:
            raise RefusedError(404, "opend", str(error)) from error
        await exchange.respond_json(200, _paused(done))

    return {
        PAUSE_PATH: Route({"GET": show, "POST": pause}, control=True, body_bytes=BODY_BYTES, about=_PAUSE),
        RESUME_PATH: Route({"POST": resume}, control=True, body_bytes=BODY_BYTES, about=_RESUME),
    }


def _paused(found: list[Paused]) -> dict[str, object]:
    return {
        "paused": [
            {
                "opend": one.number,
                "name": one.name,
                "since": timestamp_of(one.pause.since),
                "until": None if one.pause.until is None else timestamp_of(one.pause.until),
                "by": one.pause.by,
                "unanswered": one.unanswered,
                "text": f"OpenD at {one.name} is {one.pause.text()}",
            }
            for one in found
        ]
    }
