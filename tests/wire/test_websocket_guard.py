"""Messages are bounded while their frames come, however they are cut."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.errors import RemoteProtocolError
from opendmux.wire.websocket_guard import FRAMES_MAX, MessageGuard, close_frame, cut


def frame(size: int, *, fin: bool = True, opcode: int = 2, mask: bool = True) -> bytes:
    """A frame of a client; its payload is zeros."""
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2) if size < 65536 else b"\x7f" + size.to_bytes(8)
    first = bytes([(0x80 if fin else 0) | opcode, length[0] | (0x80 if mask else 0)])
    return first + length[1:] + (b"\1\2\3\4" if mask else b"") + bytes(size)


def fed(guard: MessageGuard, data: bytes, cuts: Sequence[int] = ()) -> None:
    ends = sorted({at % (len(data) + 1) for at in cuts} | {len(data)})
    for start, end in zip([0, *ends], ends, strict=False):
        guard.feed_untrusted(data[start:end])


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 125, 126, 127, 300, 70_000]), st.booleans(), st.booleans()), max_size=6),
    st.lists(st.integers(0, 500_000), max_size=8),
)
def test_every_cut_is_followed(parts: list[tuple[int, bool, bool]], cuts: list[int]) -> None:
    data, size = b"", 0
    for length, fin, pinged in parts:
        data += frame(length, fin=fin)
        size = 0 if fin else size + length
        if pinged:
            data += frame(5, opcode=9)
    guard = MessageGuard(10**6)
    fed(guard, data, cuts)
    assert guard.size == guard.held == size


def test_a_message_is_refused_when_it_is_announced() -> None:
    guard = MessageGuard(1000)
    guard.feed_untrusted(frame(1000))
    with pytest.raises(RemoteProtocolError, match="1001 bytes; at most 1000"):
        guard.feed_untrusted(frame(1001)[:8])


def test_the_pieces_of_a_message_count_together() -> None:
    guard = MessageGuard(1000)
    guard.feed_untrusted(frame(600, fin=False) + frame(100, opcode=9))
    with pytest.raises(RemoteProtocolError):
        guard.feed_untrusted(frame(401, opcode=0))


def test_what_has_come_is_counted_and_not_what_is_announced() -> None:
    guard = MessageGuard(10**9)
    guard.feed_untrusted(frame(100_000)[:514])
    assert (guard.size, guard.held) == (100_000, 500)


def test_pieces_without_an_end_are_refused() -> None:
    guard = MessageGuard(1000)
    guard.feed_untrusted(frame(0, fin=False) * FRAMES_MAX)
    with pytest.raises(RemoteProtocolError, match="pieces"):
        guard.feed_untrusted(frame(0, fin=False, opcode=0))


def test_pings_are_not_counted_for_ever() -> None:
    guard = MessageGuard(10)
    guard.feed_untrusted(frame(125, opcode=9) * 10_000)
    assert guard.held == 0


def test_the_limit_may_be_raised_between_messages() -> None:
    guard = MessageGuard(10)
    guard.feed_untrusted(frame(10))
    guard.limit = 20
    guard.feed_untrusted(frame(20))


@given(st.binary(max_size=200))
def test_any_bytes_pass_or_are_a_protocol_error(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        MessageGuard(1000).feed_untrusted(data)


@given(st.text())
def test_a_close_frame_holds_at_most_125_bytes(reason: str) -> None:
    data = close_frame(1008, reason)
    assert data[0] == 0x88
    assert data[1] == len(data) - 2 <= 125
    assert data[4:].decode() == cut(reason)
