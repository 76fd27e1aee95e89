"""What the tests of the switch share; the fixtures are in switch_fixtures.py."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from opendmux.native import DENY, EVENT, HOLD, INSPECT, LOCAL, NATIVE, PASS
from opendmux.native._pure import Splitter, build_frame
from opendmux.native._tables import N_PROTOCOLS, PROTO_INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opendmux.native import Switch

    NewSwitch = Callable[..., Switch]

S = 1_000_000_000
"""A second in nanoseconds."""

PASSED = 3004
"""By `ROW`: forwarded blind, its reply goes straight back."""
EDITED = 1002
"""Forwarded blind, its reply is an event."""
HELD = 2202
"""Forwarded blind, its reply is held."""
INSPECTED = 3001
ANSWERED_HERE = 1004
SECOND = 3202
"""Forwarded blind over the second link of the slot's map."""
UNKNOWN = 9999
PUSH = 3005
ORDER_PUSH = 2208


def cell(action: int, reply: int = NATIVE, link: int = 0) -> int:
    return action | reply << 2 | link << 4


def make_row(cells: dict[int, int], default: int = DENY) -> bytes:
    row = bytearray([default]) * (N_PROTOCOLS + 1)
    for proto_id, value in cells.items():
        row[PROTO_INDEX[proto_id]] = value
    return bytes(row)


ROW = make_row(
    {
        PASSED: cell(PASS),
        EDITED: cell(PASS, EVENT),
        HELD: cell(PASS, HOLD),
        SECOND: cell(PASS, NATIVE, 1),
        INSPECTED: cell(INSPECT),
        ANSWERED_HERE: cell(LOCAL),
    }
)

LIMITS: dict[str, int] = {
    "max_client_body": 1 << 20,
    "client_body_total": 1 << 28,
    "max_upstream_body": 1 << 20,
    "link_high_water": 1 << 20,
    "outbox_high_water": 1 << 20,
    "outbox_total": 1 << 24,
}

SLOT: dict[str, int] = {"timeout_ns": 10 * S, "max_in_flight": 100, "outbox_limit": 1 << 20}


def load(name: str) -> type[Switch]:
    module = importlib.import_module(
        {"pure": "opendmux.native._pure_switch", "native": "opendmux.native._switch"}[name]
    )
    return cast("type[Switch]", module.Switch)


class Bench:
    """One switch, one ready link, one slot."""

    def __init__(self, switch: Switch, row: bytes = ROW, **slot: int) -> None:
        self.switch = switch
        self.link = switch.open_link()
        switch.set_link_ready(self.link, True)
        self.slot = switch.open_slot(row, **(SLOT | slot))

    def open(self, row: bytes = ROW, **slot: int) -> int:
        return self.switch.open_slot(row, **(SLOT | slot))

    def feed(self, data: bytes, slot: int | None = None, now_ns: int = 1) -> Any:
        return self.switch.feed_untrusted(self.slot if slot is None else slot, data, now_ns)

    def upstream(self) -> list[Request]:
        """What the link would send, taken off it."""
        data = bytes(self.switch.link_out(self.link))
        self.switch.link_sent(self.link, len(data))
        return requests(data)

    def answer(self, data: bytes, now_ns: int = 2) -> Any:
        return self.switch.link_feed_untrusted(self.link, data, now_ns)

    def out(self, slot: int | None = None) -> list[Request]:
        """What the client would get, taken off its outbox."""
        slot = self.slot if slot is None else slot
        data = bytes(self.switch.out(slot))
        self.switch.sent(slot, len(data))
        return requests(data)

    def fill_link(self, size: int) -> None:
        """Unsent bytes on the link that have nothing to do with the slot."""
        self.submit(slot=-1, body=bytes(size))

    def submit(self, *, slot: int | None = None, serial_no: int = 1, proto_id: int = PASSED, **named: Any) -> int:
        arguments: dict[str, Any] = {"reply": NATIVE, "token": None, "timeout_ns": 10 * S, "now_ns": 1} | named
        fmt, body = arguments.pop("proto_fmt", 0), arguments.pop("body", b"body")
        to = self.slot if slot is None else slot
        return self.switch.submit(self.link, to, serial_no, proto_id, fmt, body, **arguments)


class Request(NamedTuple):
    """A frame, in either direction."""

    proto_id: int
    serial_no: int
    body: bytes
    proto_fmt: int = 0


def requests(data: bytes) -> list[Request]:
    """Cut a stream that must be whole frames with right digests."""
    splitter = Splitter(1 << 31)
    frames = splitter.feed_untrusted(data)
    assert splitter.pending == 0
    assert all(frame.sha1_matches() for frame in frames)
    return [Request(frame.proto_id, frame.serial_no, frame.body, frame.proto_fmt) for frame in frames]


def frame(proto_id: int = PASSED, serial_no: int = 1, body: bytes = b"body", proto_fmt: int = 0) -> bytes:
    return build_frame(proto_id, proto_fmt, serial_no, body)


def frames(ids: Iterable[int]) -> bytes:
    return b"".join(frame(proto_id, serial_no) for serial_no, proto_id in enumerate(ids, 1))


def bad_sha1(data: bytes) -> bytes:
    return data[:16] + bytes(byte ^ 0xFF for byte in data[16:36]) + data[36:]


def with_body_len(data: bytes, body_len: int) -> bytes:
    return data[:12] + body_len.to_bytes(4, "little") + data[16:]
