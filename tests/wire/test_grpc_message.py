"""Messages out of a stream's bytes."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.wire.grpc_message import Assembler, prefix
from opendmux.wire.grpc_status import CallError, Code

from .grpc_kit import framed


@given(st.lists(st.binary(max_size=40), max_size=5), st.lists(st.integers(1, 20), max_size=60))
def test_cuts_do_not_matter(messages: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(framed, messages))
    assembler = Assembler(b"identity", 100)
    out: list[bytes] = []
    for cut in [*cuts, len(data) + 1]:
        out += assembler.feed_untrusted(data[:cut])
        data = data[cut:]
    assert out == messages
    assert assembler.missing == 0


def test_what_is_missing_is_known_from_the_prefix_on() -> None:
    assembler = Assembler(b"identity", 100)
    assert (assembler.feed_untrusted(b"\0\0"), assembler.missing) == ([], 3)
    assert (assembler.feed_untrusted(b"\0\0\x0a" + b"x"), assembler.missing) == ([], 9)
    assert (assembler.feed_untrusted(b"x" * 9), assembler.missing) == ([b"x" * 10], 0)


def test_a_size_over_the_limit_is_refused_at_its_prefix() -> None:
    assert Assembler(b"identity", 100).feed_untrusted(framed(b"x" * 100)) == [b"x" * 100]
    with pytest.raises(CallError, match="101 bytes is over the limit of 100") as caught:
        Assembler(b"identity", 100).feed_untrusted(prefix(101))
    assert caught.value.status.code is Code.RESOURCE_EXHAUSTED


def test_gzip_and_plain_messages_may_alternate() -> None:
    assembler = Assembler(b"gzip", 1000)
    data = framed(gzip.compress(b"one", mtime=0), 1) + framed(b"two") + framed(gzip.compress(b""), 1)
    assert assembler.feed_untrusted(data) == [b"one", b"two", b""]


def test_a_bomb_is_stopped_at_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 10_000_000, mtime=0)
    assert len(bomb) < 20_000
    with pytest.raises(CallError) as caught:
        Assembler(b"gzip", 20_000).feed_untrusted(framed(bomb, 1))
    assert caught.value.status.code is Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        (b"identity", framed(gzip.compress(b"x", mtime=0), 1)),
        (b"gzip", framed(b"x", 2)),
        (b"gzip", framed(b"no gzip", 1)),
        (b"gzip", framed(gzip.compress(b"x" * 99, mtime=0)[:-1], 1)),
        (b"gzip", framed(gzip.compress(b"x", mtime=0) + b"more", 1)),
        (b"gzip", framed(b"", 1)),
    ],
)
def test_bad_compression_is_an_error_of_the_call(encoding: bytes, data: bytes) -> None:
    with pytest.raises(CallError) as caught:
        Assembler(encoding, 1000).feed_untrusted(data)
    assert caught.value.status.code is Code.INTERNAL
