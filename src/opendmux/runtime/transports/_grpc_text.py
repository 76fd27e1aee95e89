"""What the gRPC face says: refusals as status, and the keys that callers show."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from opendmux.core.denial import Denial, DenialKind
from opendmux.wire.grpc_status import Code, Status

__all__ = ["CODES", "bearer_untrusted", "status_of"]

CODES: Final = {
    DenialKind.UNAUTHENTICATED: Code.UNAUTHENTICATED,
    DenialKind.PERMISSION: Code.PERMISSION_DENIED,
    DenialKind.LIMIT: Code.RESOURCE_EXHAUSTED,
    DenialKind.INVALID: Code.INVALID_ARGUMENT,
    DenialKind.UNAVAILABLE: Code.UNAVAILABLE,
    DenialKind.TIMEOUT: Code.DEADLINE_EXCEEDED,
}

_BEARER: Final = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/=-]{1,256})")
_MALFORMED: Final = Status(
    Code.UNAUTHENTICATED, "the metadata 'authorization' must be there once, as: Bearer fc_...", "malformed_key"
)


def status_of(denial: Denial) -> Status:
    """A refusal in gRPC's words."""
    facts = (("scope", denial.scope),) if denial.scope else ()
    return Status(CODES[denial.kind], denial.text, denial.reason, facts, denial.retry_s)


def bearer_untrusted(metadata: Iterable[tuple[bytes, bytes]]) -> str | Status | None:
    """The key that a call shows: None for none at all, a status for one that can't be read."""
    shown = [value for name, value in metadata if name == b"authorization"]
    if not shown:
        return None
    found = _BEARER.fullmatch(shown[0]) if len(shown) == 1 else None
    return found.group(1).decode("ascii") if found else _MALFORMED
