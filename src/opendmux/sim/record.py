"""What reached the simulator, for tests to look at afterwards."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

__all__ = ["ConnectionRecord", "Record", "RequestRecord", "Violation"]

_VIOLATIONS_KEPT = 10_000
_CONNECTIONS_KEPT = 10_000
_SECRETS = {"pwdMD5"}


@dataclass(slots=True)
class ConnectionRecord:
    """One connection. Times in seconds since the simulator began."""

    number: int
    """Counted from 1 in order of arrival."""
    opened_at: float
    conn_id: int
    client_id: str = ""
    """From InitConnect; empty before it."""
    push_proto_fmt: int = 0
    """From InitConnect: 1 for JSON pushes."""
    closed_at: float | None = None
    close_reason: str = ""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request frame, whether it was obeyed or not."""

    connection: int
    proto_id: int
    serial_no: int
    at: float
    body: bytes
    message: Message | None
    """The decoded request; None when the body could not be decoded or the proto_id is unknown."""

    @property
    def summary(self) -> dict[str, Any]:
        """The fields of c2s that were set; secrets are blotted out, bytes are hex."""
        return _plain(self.message).get("c2s", {}) if self.message is not None else {}


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule of the protocol.

    ``rule``: init, serial, sha1, packet_id, keep_alive, framing, format, connections, encryption,
    rate.
    """

    connection: int
    rule: str
    proto_id: int
    serial_no: int
    text: str


class Record:
    """Everything that happened, oldest first; the oldest entries are forgotten when there are very many."""

    def __init__(self, requests_kept: int) -> None:
        self.connections: deque[ConnectionRecord] = deque(maxlen=_CONNECTIONS_KEPT)
        self.requests: deque[RequestRecord] = deque(maxlen=requests_kept)
        self.violations: deque[Violation] = deque(maxlen=_VIOLATIONS_KEPT)
        self.request_counts: Counter[int] = Counter()
        """proto_id -> frames, never forgotten."""
        self.push_counts: Counter[int] = Counter()
        """proto_id -> push frames handed to connections."""

    def request(self, request: RequestRecord) -> None:
        self.requests.append(request)
        self.request_counts[request.proto_id] += 1

    def of(self, proto_id: int) -> list[RequestRecord]:
        """The remembered requests with that proto_id."""
        return [request for request in self.requests if request.proto_id == proto_id]

    def broken(self, rule: str) -> list[Violation]:
        """The remembered violations of one rule."""
        return [violation for violation in self.violations if violation.rule == rule]

    def clear(self) -> None:
        """Forget requests, violations, counts and closed connections."""
        self.requests.clear()
        self.violations.clear()
        self.request_counts.clear()
        self.push_counts.clear()
        for connection in list(self.connections):
            if connection.closed_at is not None:
                self.connections.remove(connection)


def _plain(message: Message) -> dict[str, Any]:
    return {field.name: "***" if field.name in _SECRETS else _value(value) for field, value in message.ListFields()}


def _value(value: Any) -> Any:
    if isinstance(value, Message):
        return _plain(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str | int | float):
        return value
    return [_value(item) for item in value]
