"""What people see of the proxy over HTTP: the status page and the figures behind it.

The page is one file without any address of another; its policy lets the browser run the one script and the one style
that are in it, and nothing else, whatever a client calls itself.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from importlib import resources
from typing import Final, Protocol

import trio

from opendmux.core.keys import Scopes
from opendmux.wire.sse import CONTENT_TYPE as EVENT_STREAM
from opendmux.wire.sse import encode_event

from .http import Exchange, Route

__all__ = ["STATUS_PATH", "StatusFace", "page", "policy_of", "status_routes"]

STATUS_PATH: Final = "/v1/status"

_PAGE: Final = {
    "operationId": "page",
    "summary": "The status page",
    "responses": {"200": {"description": "The page.", "content": {"text/html": {"schema": {"type": "string"}}}}},
}
_STATUS: Final = {
    "operationId": "status",
    "summary": "Everything that the status page shows",
    "description": (
        "With Accept: text/event-stream the same once a second, as server-sent events. A key needs the scope admin."
    ),
    "responses": {
        "200": {
            "description": "The state of OpenD, clients, subscriptions, refusals and limits.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["opendmux", "time", "ready", "reasons", "opends", "clients", "subscriptions"],
                    }
                },
                EVENT_STREAM: {"schema": {"type": "string"}},
            },
        }
    },
}
_INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


class StatusFace(Protocol):
    """What the routes need of the proxy behind them."""

    def status(self) -> bytes:
        """The snapshot as JSON; see `core.snapshot`."""

    async def sampled(self) -> None:
        """Wait until its figures are new."""


@lru_cache(maxsize=1)
def page() -> bytes:
    """The status page."""
    return resources.files(__package__).joinpath("status.html").read_bytes()


@lru_cache(maxsize=1)
def policy_of(html: bytes) -> str:
    """The Content-Security-Policy under which exactly this page works."""
    hashes: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _INLINE.findall(html):
        digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
        hashes[kind.decode()].append(f"'sha256-{digest}'")
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(hashes['script'])}",
            f"style-src {' '.join(hashes['style'])}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def status_routes(face: StatusFace) -> Mapping[str, Route]:
    """The routes, by path."""

    async def show_page(exchange: Exchange) -> None:
        headers = [("content-security-policy", policy_of(page())), ("referrer-policy", "no-referrer")]
        await exchange.respond(200, page(), "text/html; charset=utf-8", headers)

    async def status(exchange: Exchange) -> None:
        if any("text/event-stream" in value.lower() for value in exchange.head.all("accept")):
            await stream(exchange)
        else:
            await exchange.respond(200, face.status() + b"\n", "application/json")

    async def stream(exchange: Exchange) -> None:
        await exchange.start_stream(EVENT_STREAM)
        while exchange.still_allowed():
            await exchange.send(encode_event(face.status()))
            if exchange.draining.is_set():
                return
            await _first_of(face.sampled, exchange.draining.wait)

    return {
        "/": Route({"GET": show_page}, public=True, about=_PAGE),
        STATUS_PATH: Route({"GET": status}, Scopes.ADMIN, open_unkeyed=True, about=_STATUS),
    }


async def _first_of(*waits: Callable[[], Awaitable[None]]) -> None:
    async with trio.open_nursery() as nursery:

        async def wait(for_this: Callable[[], Awaitable[None]]) -> None:
            await for_this()
            nursery.cancel_scope.cancel()

        for one in waits:
            nursery.start_soon(wait, one)
