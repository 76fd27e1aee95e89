"""A call's queue of replies."""

from __future__ import annotations

from opendmux.wire.grpc_message import Assembler
from opendmux.wire.grpc_stream import CallStream

from .grpc_kit import framed


def stream(stream_id: int = 1) -> CallStream:
    return CallStream(stream_id, Assembler(b"identity", 100))


def test_small_messages_share_a_frame_and_large_ones_are_cut() -> None:
    one = stream()
    messages = [b"a" * 10, b"b" * 20_000, b"c"]
    assert sum(one.put(message) for message in messages) == one.queued == 20_011 + 15
    first, second = one.cut(16_384), one.cut(16_384)
    assert first + second == b"".join(map(framed, messages))
    assert (len(first), one.queued, one.queue) == (16_384, 0, type(one.queue)())


def test_discard_says_how_much_it_was() -> None:
    one = stream()
    one.put(b"x" * 100)
    one.cut(50)
    assert (one.discard(), one.queued, one.cut(10)) == (55, 0, b"")
