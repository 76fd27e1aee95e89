"""How the HTTP face says no: a status, one JSON object, and the headers that say what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from opendmux.core.denial import Denial, DenialKind

__all__ = ["STATUS", "RefusedError", "error_body"]

STATUS: Final[Mapping[DenialKind, int]] = {
    DenialKind.UNAUTHENTICATED: 401,
    DenialKind.PERMISSION: 403,
    DenialKind.LIMIT: 429,
    DenialKind.INVALID: 400,
    DenialKind.UNAVAILABLE: 503,
    DenialKind.TIMEOUT: 504,
}


class RefusedError(Exception):
    """A handler has no other answer than this: status, short reason, one sentence, and maybe a `Denial` behind it."""

    def __init__(self, status: int, reason: str, text: str, denial: Denial | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.text = text
        self.denial = denial

    @classmethod
    def of(cls, denial: Denial) -> RefusedError:
        """The same in HTTP's words."""
        return cls(STATUS[denial.kind], denial.reason, denial.text, denial)

    @property
    def scope(self) -> str:
        """What the key lacks; empty where that is not why."""
        return "" if self.denial is None else self.denial.scope

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What to show, or when to come again."""
        headers = []
        if self.status == 401:
            headers.append(("www-authenticate", "Bearer"))
        if self.status == 503 and self.reason == "memory":
            headers.append(("retry-after", "1"))
        if self.denial is not None and self.denial.retry_s is not None:
            headers.append(("retry-after", str(max(1, math.ceil(self.denial.retry_s)))))
        return headers


def error_body(status: int, reason: str, text: str, scope: str = "") -> bytes:
    """The body of every answer that is an error."""
    said = {"status": status, "reason": reason, "text": text, **({"scope": scope} if scope else {})}
    return msgspec.json.encode({"error": said}) + b"\n"
