"""What the HTTP face says about the process: metrics and probes.

`/livez` and `/readyz` need any valid key, `/metrics` one with the scope ``admin``. From this machine all three are
open, unless the site says otherwise; a request that some other proxy passed on does not count as from this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opendmux.core.keys import Scopes
from opendmux.runtime.metrics import CONTENT_TYPE

from ._http_route import Exchange, Route

__all__ = ["ROUTES"]


async def _metrics(exchange: Exchange) -> None:
    await exchange.respond(200, exchange.site.metrics(), CONTENT_TYPE)


async def _livez(exchange: Exchange) -> None:
    await exchange.respond_json(200, {"alive": True})


async def _readyz(exchange: Exchange) -> None:
    readiness = exchange.site.readiness()
    await exchange.respond_json(200 if readiness.ready else 503, readiness)


_METRICS: Final = {
    "operationId": "metrics",
    "summary": "Figures for Prometheus",
    "responses": {"200": {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
}
_LIVEZ: Final = {
    "operationId": "livez",
    "summary": "The process runs",
    "responses": {"200": {"description": "It does.", "content": {"application/json": {"schema": {"type": "object"}}}}},
}
_READYZ: Final = {
    "operationId": "readyz",
    "summary": "OpenD can be reached, or the reasons why not",
    "responses": {
        status: {"description": text, "content": {"application/json": {"schema": {"type": "object"}}}}
        for status, text in (("200", "Ready."), ("503", "Not ready."))
    },
}

ROUTES: Final[Mapping[str, Route]] = {
    "/metrics": Route({"GET": _metrics}, Scopes.ADMIN, open_locally=True, about=_METRICS),
    "/livez": Route({"GET": _livez}, open_locally=True, about=_LIVEZ),
    "/readyz": Route({"GET": _readyz}, open_locally=True, about=_READYZ),
}
"""What is about the process. By path; all of it is in `http_table`."""
