"""Refusals in HTTP's words: the status, the headers and the body of each."""

from __future__ import annotations

import json

import pytest

from opendmux.core.denial import Denial, DenialKind
from opendmux.runtime.transports._http_refusal import STATUS, RefusedError, error_body


def test_every_kind_has_a_status_of_an_error() -> None:
    assert set(STATUS) == set(DenialKind)
    assert all(400 <= status < 600 for status in STATUS.values())


@pytest.mark.parametrize(
    ("denial", "status", "headers"),
    [
        (Denial(DenialKind.UNAUTHENTICATED, "invalid", "no"), 401, [("www-authenticate", "Bearer")]),
        (Denial(DenialKind.PERMISSION, "scope", "no", "trade:real"), 403, []),
        (Denial(DenialKind.LIMIT, "rate", "no", retry_s=12.2), 429, [("retry-after", "13")]),
        (Denial(DenialKind.LIMIT, "rate", "no", retry_s=0.0), 429, [("retry-after", "1")]),
        (Denial(DenialKind.UNAVAILABLE, "upstream", "no"), 503, []),
    ],
)
def test_what_a_denial_becomes(denial: Denial, status: int, headers: list[tuple[str, str]]) -> None:
    refused = RefusedError.of(denial)
    assert (refused.status, refused.reason, refused.text, str(refused)) == (status, denial.reason, "no", "no")
    assert (refused.scope, refused.headers) == (denial.scope, headers)


def test_who_finds_no_memory_may_come_again() -> None:
    assert RefusedError(503, "memory", "the memory for requests is used up").headers == [("retry-after", "1")]


def test_the_body_is_one_object_and_names_a_scope_only_where_there_is_one() -> None:
    said = {"status": 403, "reason": "scope", "text": "the key lacks the scope admin"}
    assert json.loads(error_body(403, "scope", said["text"])) == {"error": said}  # type: ignore[arg-type]
    whole = error_body(403, "scope", "the key lacks the scope admin", "admin")
    assert json.loads(whole) == {"error": {**said, "scope": "admin"}}
    assert whole.endswith(b"}\n")
