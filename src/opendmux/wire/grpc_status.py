"""gRPC's status: codes, trailers with rich details, and the texts of headers."""

from __future__ import annotations

import base64
import enum
import math
from dataclasses import dataclass
from typing import Final

from hpack import HeaderTuple, NeverIndexedHeaderTuple

from opendmux.errors import RemoteProtocolError

from .pb import grpc_status

__all__ = ["OK", "CallError", "Code", "Status", "percent_encode", "timeout_untrusted", "trailers"]

DOMAIN: Final = "opendmux"
"""ErrorInfo.domain: whose words the reasons are."""
MESSAGE_MAX: Final = 1024
"""Characters of a status text. Clients refuse header lists over 8 or 16 KiB, and one character may become 12 bytes."""

_UNITS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_TYPE_URL: Final = "type.googleapis.com/google.rpc."


class Code(enum.IntEnum):
    """The numbers of gRPC."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ends."""

    code: Code
    message: str = ""
    reason: str = ""
    """A short name for programs; goes out as google.rpc.ErrorInfo, in capitals. Empty: no details."""
    facts: tuple[tuple[str, str], ...] = ()
    """ErrorInfo's metadata."""
    retry_s: float | None = None
    """Seconds after which it may be tried again; goes out as google.rpc.RetryInfo and as grpc-retry-pushback-ms."""


OK: Final = Status(Code.OK)


class CallError(RemoteProtocolError):
    """One call is broken, the connection is not: ``status`` is its end."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.status = Status(code, message)


_OK_TRAILERS: Final = [HeaderTuple(b"grpc-status", b"0")]


def trailers(status: Status) -> list[HeaderTuple]:
    """The headers that end a call."""
    if status is OK:
        return _OK_TRAILERS
    headers = [HeaderTuple(b"grpc-status", b"%d" % status.code)]
    # Texts differ from call to call: in the header compression's table they would only push out what repeats.
    if status.message:
        headers.append(NeverIndexedHeaderTuple(b"grpc-message", percent_encode(status.message)))
    if status.reason:
        headers.append(NeverIndexedHeaderTuple(b"grpc-status-details-bin", _details(status)))
    if status.retry_s is not None:
        pushback = b"%d" % min(math.ceil(status.retry_s * 1000), 2**31 - 1)
        headers.append(NeverIndexedHeaderTuple(b"grpc-retry-pushback-ms", pushback))
    return headers


def percent_encode(text: str) -> bytes:
    """The value of grpc-message: what is not printable ASCII, and the percent sign, as %XX of its UTF-8."""
    cut = text if len(text) <= MESSAGE_MAX else text[: MESSAGE_MAX - 3] + "..."
    data = cut.encode("utf-8", "replace")
    return b"".join(b"%c" % byte if 0x20 <= byte <= 0x7E and byte != 0x25 else b"%%%02X" % byte for byte in data)


def timeout_untrusted(value: bytes) -> float:
    """Seconds of a grpc-timeout header. Raises CallError for what is none."""
    digits, unit = value[:-1], value[-1:]
    if unit not in _UNITS or not digits.isdigit() or len(digits) > 8:
        raise CallError(Code.INVALID_ARGUMENT, "grpc-timeout must be up to 8 digits and one of H, M, S, m, u, n")
    return int(digits) * _UNITS[unit]


def _details(status: Status) -> bytes:
    info = grpc_status.ErrorInfo(reason=status.reason.upper().replace("-", "_"), domain=DOMAIN)
    info.metadata.update(dict(status.facts))
    whole = grpc_status.Status(code=status.code, message=status.message[:MESSAGE_MAX])
    whole.details.add(type_url=_TYPE_URL + "ErrorInfo", value=info.SerializeToString(deterministic=True))
    if status.retry_s is not None:
        seconds = math.floor(status.retry_s)
        nanos = int((status.retry_s - seconds) * 1e9)
        retry = grpc_status.RetryInfo(retry_delay=grpc_status.Duration(seconds=seconds, nanos=nanos))
        whole.details.add(type_url=_TYPE_URL + "RetryInfo", value=retry.SerializeToString())
    return base64.b64encode(whole.SerializeToString()).rstrip(b"=")
