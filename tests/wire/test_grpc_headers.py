"""Remembered header blocks are what the plain codec makes of them, and what was never checked is not remembered."""

from __future__ import annotations

import pytest
from h2.config import H2Configuration
from hpack import Decoder, Encoder, HeaderTuple, NeverIndexedHeaderTuple
from hyperframe.frame import Frame, HeadersFrame, SettingsFrame
from hypothesis import given
from hypothesis import strategies as st

from opendmux.errors import RemoteProtocolError
from opendmux.wire.grpc import GrpcServer
from opendmux.wire.grpc_events import Call
from opendmux.wire.grpc_frames import PREFACE
from opendmux.wire.grpc_guard import GrpcLimits
from opendmux.wire.grpc_headers import BLOCK_LEN_MAX, BLOCKS_MAX, BlockDecoder, BlockEncoder

Headers = list[HeaderTuple]

CALL = b"\x83\x86\x84\x01\x01h"
"""POST, http and / of the static table, and an authority."""
BAD = CALL + b"\x00\x01X\x01y"
"""A name in upper case, as a literal that does not touch the table."""
PLAIN = CALL + b"\x00\x01x\x01y"


def headers() -> st.SearchStrategy[Headers]:
    kind = st.sampled_from([HeaderTuple, HeaderTuple, NeverIndexedHeaderTuple])
    name = st.sampled_from([b"te", b"x", b"authorization", b":path", b"grpc-status"])
    value = st.sampled_from([b"0", b"trailers", b"y" * 60, b"z" * 90])
    return st.lists(st.builds(lambda kind, name, value: kind(name, value), kind, name, value), max_size=4)


STEPS = st.lists(st.tuples(st.sampled_from([None, None, None, 0, 100, 200, 4096]), headers()), max_size=40)
"""Headers to be sent, and before some of them a new size of the table."""


def indexable(block: Headers) -> list[tuple[bytes, bytes, bool]]:
    return [(*header, header.indexable) for header in block]


def resize(encoder: Encoder, size: int | None) -> None:
    # hpack forgets to announce a size that is set a second time.
    if size is not None and size != encoder.header_table_size:
        encoder.header_table_size = size


@given(STEPS)
def test_the_decoder_agrees_with_the_plain_one(steps: list[tuple[int | None, Headers]]) -> None:
    theirs, plain = Encoder(), Decoder()
    config = H2Configuration(client_side=False)
    mine = BlockDecoder(config)
    good: set[bytes] = set()
    for size, step in steps:
        resize(theirs, size)
        block = theirs.encode(step)
        assert indexable(list(mine.decode(block, raw=True))) == indexable(list(plain.decode(block, raw=True)))
        assert config.validate_inbound_headers or block in good
        mine.found_good()
        good.add(block)


@given(STEPS)
def test_the_encoder_agrees_with_the_plain_one(steps: list[tuple[int | None, Headers]]) -> None:
    mine, plain = BlockEncoder(), Encoder()
    for size, step in steps:
        resize(mine, size)
        resize(plain, size)
        assert mine.encode(step) == plain.encode(step)


def test_a_block_is_checked_once_and_only_when_it_was_good() -> None:
    config = H2Configuration(client_side=False)
    decoder = BlockDecoder(config)

    def checked(block: bytes, *, good: bool) -> bool:
        decoder.decode(block, raw=True)
        wanted = config.validate_inbound_headers
        if good:
            decoder.found_good()
        return wanted

    assert checked(PLAIN, good=False)
    assert checked(PLAIN, good=True)
    assert not checked(PLAIN, good=True)
    assert checked(CALL, good=True)
    assert not checked(PLAIN, good=True)
    # Into the table, and with it all is new.
    assert checked(CALL + b"\x40\x01a\x01b", good=True)
    assert checked(PLAIN, good=True)
    assert not checked(PLAIN, good=True)


def test_only_so_much_is_remembered() -> None:
    config = H2Configuration(client_side=False)
    decoder = BlockDecoder(config)
    long = CALL * (BLOCK_LEN_MAX // len(CALL) + 1)
    for _ in range(2):
        decoder.decode(long, raw=True)
        assert config.validate_inbound_headers
        decoder.found_good()
    for number in range(BLOCKS_MAX + 1):
        decoder.decode(CALL + b"\x00\x01x\x01%c" % (ord("a") + number), raw=True)
        decoder.found_good()
    decoder.decode(CALL + b"\x00\x01x\x01a", raw=True)
    assert config.validate_inbound_headers


def test_what_h2_never_checked_is_checked_when_it_comes_again() -> None:
    server = GrpcServer(GrpcLimits())

    def send(*frames: Frame) -> None:
        server.receive_untrusted(b"".join(frame.serialize() for frame in frames), 0.0)

    server.receive_untrusted(PREFACE, 0.0)
    grpc = b"\x00\x0ccontent-type\x10application/grpc"
    send(SettingsFrame(0), HeadersFrame(1, PLAIN + grpc, flags=["END_HEADERS"]))
    server.reset(1)
    # For a stream that is gone the headers are decoded, but not looked at.
    send(HeadersFrame(1, BAD, flags=["END_HEADERS", "END_STREAM"]))
    with pytest.raises(RemoteProtocolError):
        send(HeadersFrame(3, BAD, flags=["END_HEADERS"]))


def test_bad_headers_are_refused_after_good_ones() -> None:
    server = GrpcServer(GrpcLimits())
    server.receive_untrusted(PREFACE + SettingsFrame(0).serialize(), 0.0)
    grpc = b"\x00\x0ccontent-type\x10application/grpc"
    for stream_id in (1, 3, 5):
        server.receive_untrusted(HeadersFrame(stream_id, PLAIN + grpc, flags=["END_HEADERS"]).serialize(), 0.0)
    assert [event.stream_id for event in server.events() if isinstance(event, Call)] == [1, 3, 5]
    with pytest.raises(RemoteProtocolError):
        server.receive_untrusted(HeadersFrame(7, BAD + grpc, flags=["END_HEADERS"]).serialize(), 0.0)
