"""What the gRPC face reads and says: keys and bodies, refusals and pushes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from opendmux.core.denial import Denial, DenialKind
from opendmux.core.events import PushEvent
from opendmux.errors import RemoteProtocolError
from opendmux.native import read_varint_untrusted
from opendmux.wire.grpc_status import Code, Status
from opendmux.wire.pb import futu

__all__ = [
    "GOING",
    "LATE",
    "SLOW_REQUEST",
    "bearer_untrusted",
    "encode_push",
    "invalid",
    "status_of",
    "well_formed_untrusted",
]

CODES: Final = {
    DenialKind.UNAUTHENTICATED: Code.UNAUTHENTICATED,
    DenialKind.PERMISSION: Code.PERMISSION_DENIED,
    DenialKind.LIMIT: Code.RESOURCE_EXHAUSTED,
    DenialKind.INVALID: Code.INVALID_ARGUMENT,
    DenialKind.UNAVAILABLE: Code.UNAVAILABLE,
    DenialKind.TIMEOUT: Code.DEADLINE_EXCEEDED,
}

_C2S_FIRST: Final = b"\x01\x01"
GOING: Final = Status(Code.UNAVAILABLE, "the server is going away: connect again", "drain")
LATE: Final = Status(Code.DEADLINE_EXCEEDED, "the answer did not come before the call's deadline", "timeout")
SLOW_REQUEST: Final = Status(Code.DEADLINE_EXCEEDED, "the request was not sent in time", "timeout")

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


def encode_push(event: PushEvent) -> bytes:
    """A push as one message of the stream."""
    return futu.PushEvent(
        proto_id=event.proto_id,
        sec_key=event.sec_key,
        sub_type=event.sub_type,
        body=event.body,
        event_type=event.event_type,
        acc_id=event.acc_id,
        seq=event.seq,
        gap_from=event.gap_from,
        gap_to=event.gap_to,
    ).SerializeToString()


def invalid(text: str) -> Status:
    """The request makes no sense."""
    return Status(Code.INVALID_ARGUMENT, text, "invalid")


def well_formed_untrusted(body: bytes) -> bool:
    """Whether it could be a Request: protobuf, and its c2s as well."""
    try:
        read_varint_untrusted(body, _C2S_FIRST)
    except RemoteProtocolError:
        return False
    return True
