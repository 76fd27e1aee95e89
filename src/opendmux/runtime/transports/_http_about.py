"""What the HTTP face says about itself: `GET /openapi.json` out of the table of routes, and `GET /v1/protocols`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from opendmux._version import __version__
from opendmux.wire.protocols import PROTOCOLS

from ._http_route import Exchange, Route

__all__ = ["JSON_OBJECT", "document", "openapi", "protocols"]

JSON_OBJECT: Final[Mapping[str, object]] = {"application/json": {"schema": {"type": "object"}}}

REFUSALS: Final[Mapping[str, str]] = {
    "400": "The request makes no sense.",
    "401": "The key is missing, unknown, expired or revoked.",
    "403": "The key may not do this; or the Host or Origin header is of another site.",
    "404": "There is nothing here.",
    "408": "The request was not sent in time.",
    "413": "The body is too long, or none is taken here.",
    "415": "The body is in a format that is not taken.",
    "429": "A limit of the key, or one of OpenD's windows.",
    "431": "The headers are too long.",
    "500": "A bug of opendmux.",
    "502": "OpenD's answer can't be read.",
    "503": "OpenD is away, or opendmux stops; nothing was sent, or a read was cut off.",
    "504": "OpenD did not answer in time.",
}
ALWAYS: Final = ("400", "401", "403", "408", "413", "431", "500")
CALLING: Final = (*ALWAYS, "404", "415", "429", "502", "503", "504")

ERROR: Final[Mapping[str, object]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["status", "reason", "text"],
            "properties": {
                "status": {"type": "integer", "description": "The HTTP status."},
                "reason": {"type": "string", "description": "A short name for programs, such as scope or rate."},
                "text": {"type": "string", "description": "One sentence."},
                "scope": {"type": "string", "description": "The scope that the key lacks."},
            },
        }
    },
}


def document(routes: Mapping[str, Route]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these routes. A route without ``about`` is not in it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "opendmux",
            "version": __version__,
            "description": "One Futu/moomoo OpenD for many programs: its requests and pushes over HTTP.",
        },
        "servers": [{"url": "/"}],
        "paths": {path: _path(path, route) for path, route in routes.items() if route.about},
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "fc_..."}},
            "schemas": {"Error": ERROR},
            "responses": {
                status: {
                    "description": text,
                    **({"headers": {"Retry-After": _RETRY_AFTER}} if status in ("429", "503") else {}),
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
                }
                for status, text in REFUSALS.items()
            },
        },
    }


_RETRY_AFTER: Final = {"description": "Seconds, where they are known.", "schema": {"type": "integer", "minimum": 1}}


def _path(path: str, route: Route) -> dict[str, Any]:
    return {method.lower(): _operation(path, route, method.lower()) for method in route.methods}


def _operation(path: str, route: Route, method: str) -> dict[str, Any]:
    said = route.about.get(method, route.about)
    assert isinstance(said, Mapping)
    about = dict(said)
    responses = about.pop("responses", {})
    assert isinstance(responses, dict)
    refusals = {status: {"$ref": f"#/components/responses/{status}"} for status in (CALLING if route.calls else ALWAYS)}
    return {
        "operationId": re.sub(r"\W+", "_", path).strip("_"),
        **about,
        "security": [{"key": []}, {}],
        "responses": {**refusals, **responses},
    }


async def openapi(exchange: Exchange) -> None:
    """The document."""
    await exchange.respond_json(200, document(exchange.routes))


async def protocols(exchange: Exchange) -> None:
    """What can be asked for and what is pushed."""
    known = [
        {"proto_id": one.proto_id, "name": one.name, "kind": one.kind, "area": one.area, "scope": one.scope}
        for one in PROTOCOLS.values()
    ]
    await exchange.respond_json(200, msgspec.to_builtins(known))
