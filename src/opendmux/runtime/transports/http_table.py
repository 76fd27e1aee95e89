"""Everything that the HTTP face serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opendmux.wire.protocols import PROTOCOLS
from opendmux.wire.sse import CONTENT_TYPE

from ._http_about import JSON_OBJECT, openapi, protocols
from ._http_calls import REQUEST_BYTES, push, request
from ._http_route import Route
from .http import ROUTES

__all__ = ["TABLE"]

_REQUESTS: Final = {one.proto_id: one.name for one in PROTOCOLS.values() if one.kind == "request"}
_BINARY: Final = {"application/protobuf": {"schema": {"type": "string", "format": "binary"}}}

_REQUEST: Final = {
    "operationId": "request",
    "summary": "One request to OpenD and its answer",
    "description": (
        "The body is the whole Request message of the protocol, with its c2s, as OpenD's JSON or as protobuf; a"
        " PacketID is filled in. The answer is the whole Response message. When OpenD refuses something the status"
        " is 200 and retType is not 0. Numbers of 64 bits that name something (accID, orderID, connID and the like),"
        " and others beyond 2^53 - 1, are strings in the answer and may be strings in the request.\n\n"
        "| proto_id | name |\n|---|---|\n" + "\n".join(f"| {number} | {name} |" for number, name in _REQUESTS.items())
    ),
    "parameters": [
        {
            "name": "proto_id",
            "in": "path",
            "required": True,
            "description": "Which protocol; see GET /v1/protocols.",
            "schema": {"type": "integer", "enum": sorted(_REQUESTS)},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["c2s"],
                    "properties": {"c2s": {"type": "object"}},
                    "additionalProperties": False,
                },
                "example": {"c2s": {"securityList": [{"market": 1, "code": "00700"}]}},
            },
            **_BINARY,
        },
    },
    "responses": {
        "200": {
            "description": "OpenD's answer, in the format of the request, or the one that Accept asks for where"
            " opendmux knows all fields of the message.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["retType"],
                        "properties": {
                            "retType": {"type": "integer", "description": "0 = it succeeded"},
                            "retMsg": {"type": "string"},
                            "errCode": {"type": "integer"},
                            "s2c": {"type": "object"},
                        },
                    }
                },
                **_BINARY,
            },
        }
    },
}

_PUSH: Final = {
    "operationId": "push",
    "summary": "Everything that is pushed to the key, as server-sent events",
    "description": (
        "Each event has a number as its id, and as data a JSON object: event_type (quote, notify, trade), proto_id,"
        " sec_key, sub_type, acc_id, body (the protobuf Response, base64) and, where opendmux knows all of its fields,"
        " json. An event_type gap says that events from gap_from to gap_to could not be kept, end that nothing more"
        " comes, and why."
    ),
    "parameters": [
        {
            "name": "resume_from",
            "in": "query",
            "description": "The number of the last event that you have; 0 or nothing: from now on.",
            "schema": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
        },
        {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The same; an EventSource sends it by itself.",
            "schema": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
        },
    ],
    "responses": {"200": {"description": "The stream.", "content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}},
}

_PROTOCOLS: Final = {
    "operationId": "protocols",
    "summary": "What can be asked for and what is pushed",
    "responses": {
        "200": {
            "description": "All protocols that are known.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["proto_id", "name", "kind", "area", "scope"],
                            "properties": {
                                "proto_id": {"type": "integer"},
                                "name": {"type": "string"},
                                "kind": {"enum": ["request", "push"]},
                                "area": {"type": "string"},
                                "scope": {"type": "string", "description": "What a key needs for it."},
                            },
                        },
                    }
                }
            },
        }
    },
}

_OPENAPI: Final = {
    "operationId": "openapi",
    "summary": "This document",
    "responses": {"200": {"description": "OpenAPI 3.1.", "content": JSON_OBJECT}},
}

TABLE: Final[Mapping[str, Route]] = {
    **ROUTES,
    "/v1/request/{proto_id}": Route({"POST": request}, calls=True, body_bytes=REQUEST_BYTES, about=_REQUEST),
    "/v1/push": Route({"GET": push}, calls=True, about=_PUSH),
    "/v1/protocols": Route({"GET": protocols}, open_locally=True, about=_PROTOCOLS),
    "/openapi.json": Route({"GET": openapi}, open_locally=True, about=_OPENAPI),
}
"""By path."""
