"""Frames: one layout, any cuts, hostile bytes; both implementations."""

from __future__ import annotations

import hashlib
import mmap
import struct
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.errors import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.native.conftest import Impl

MAX_BODY = 200
HEADER_LEN = 44

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=200)

Event = tuple[int, int, int, bytes, bytes] | str


def frame(
    body: bytes = b"body",
    *,
    proto_id: int = 3004,
    proto_fmt: int = 0,
    proto_ver: int = 0,
    serial_no: int = 7,
    body_len: int | None = None,
    sha1: bytes | None = None,
    magic: bytes = b"FT",
    reserved: bytes = b"",
) -> bytes:
    """A frame written field by field, wrong ones included, without the code under test."""
    digest = hashlib.sha1(body).digest() if sha1 is None else sha1
    length = len(body) if body_len is None else body_len
    return (
        struct.pack("<2sIBBII20s8s", magic, proto_id, proto_fmt, proto_ver, serial_no, length, digest, reserved) + body
    )


def as_tuple(item: Any) -> tuple[int, int, int, bytes, bytes]:
    return item.proto_id, item.proto_fmt, item.serial_no, item.sha1, item.body


def run(impl: Impl, chunks: Iterable[bytes]) -> list[Event]:
    """All frames of a stream, then the error's text when it was lost. Checks the bound on what is held."""
    splitter = impl.framing.Splitter(MAX_BODY)
    events: list[Event] = []
    for chunk in chunks:
        try:
            events += map(as_tuple, splitter.feed_untrusted(chunk))
        except RemoteProtocolError:
            break
        assert splitter.pending < HEADER_LEN + MAX_BODY
    if splitter.failure is not None:
        events.append(splitter.failure)
        assert splitter.pending == 0
    return events


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    at = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(at)]


bodies = st.binary(max_size=MAX_BODY)
u32 = st.integers(0, 2**32 - 1)
u8 = st.integers(0, 255)
good_frames = st.builds(
    frame,
    bodies,
    proto_id=u32,
    proto_fmt=u8,
    proto_ver=u8,
    serial_no=u32,
    reserved=st.binary(max_size=8),
    sha1=st.none() | st.binary(min_size=20, max_size=20),
)
bad_frames = (
    st.builds(frame, bodies, body_len=st.integers(MAX_BODY + 1, 2**32 - 1))
    | st.builds(frame, bodies, magic=st.binary(min_size=2, max_size=2).filter(lambda magic: magic != b"FT"))
    | st.binary(max_size=100)
)
streams = st.builds(
    lambda good, bad, rest: b"".join(good) + bad + b"".join(rest),
    st.lists(good_frames, max_size=4),
    st.just(b"") | bad_frames,
    st.lists(good_frames, max_size=2),
)


def test_known_frame(impl: Impl) -> None:
    wire = (
        bytes.fromhex("4654 ea030000 00 00 05000000 05000000") + hashlib.sha1(b"12345").digest() + bytes(8) + b"12345"
    )
    assert impl.framing.build_frame(1002, 0, 5, b"12345") == wire
    [got] = impl.framing.Splitter(MAX_BODY).feed_untrusted(wire)
    assert as_tuple(got) == (1002, 0, 5, hashlib.sha1(b"12345").digest(), b"12345")
    assert got.sha1_matches()
    assert impl.framing.HEADER_LEN == HEADER_LEN == len(wire) - 5


@DETERMINISTIC
@given(sent=st.lists(good_frames, max_size=5), places=st.lists(st.integers(0, 2**16), max_size=8))
def test_every_frame_comes_out_whatever_the_cuts(impl: Impl, sent: list[bytes], places: list[int]) -> None:
    stream = b"".join(sent)
    events = run(impl, cut(stream, places))
    expected = [(*struct.unpack_from("<2xIBxI", wire), wire[16:36], wire[44:]) for wire in sent]
    assert events == expected


@DETERMINISTIC
@given(stream=streams, places=st.lists(st.integers(0, 2**16), max_size=8))
def test_cuts_do_not_change_events(impl: Impl, stream: bytes, places: list[int]) -> None:
    whole = run(impl, [stream, b""])
    assert run(impl, [*cut(stream, places), b""]) == whole
    assert run(impl, [*(bytes([byte]) for byte in stream), b""]) == whole


@DETERMINISTIC
@given(stream=streams, places=st.lists(st.integers(0, 2**16), max_size=8))
def test_implementations_agree(both: tuple[Impl, Impl], stream: bytes, places: list[int]) -> None:
    pure, native = both
    splitters = pure.framing.Splitter(MAX_BODY), native.framing.Splitter(MAX_BODY)
    for chunk in cut(stream, places):
        answers = []
        for splitter in splitters:
            try:
                answer: Any = list(map(as_tuple, splitter.feed_untrusted(chunk)))
            except RemoteProtocolError as error:
                answer = str(error)
            answers.append((answer, splitter.pending, splitter.failure))
        assert answers[0] == answers[1]


def test_empty_body_and_largest_body(impl: Impl) -> None:
    stream = frame(b"") + frame(bytes(MAX_BODY))
    assert [event[4] for event in run(impl, [stream])] == [b"", bytes(MAX_BODY)]


def test_bad_magic_is_seen_after_one_byte(impl: Impl) -> None:
    for stream in (b"X", b"FX"):
        splitter = impl.framing.Splitter(MAX_BODY)
        with pytest.raises(RemoteProtocolError, match="does not start with FT"):
            splitter.feed_untrusted(stream)
    splitter = impl.framing.Splitter(MAX_BODY)
    assert splitter.feed_untrusted(b"F") == []
    with pytest.raises(RemoteProtocolError, match="does not start with FT"):
        splitter.feed_untrusted(b"X")


def test_too_large_is_seen_with_the_header(impl: Impl) -> None:
    wire = frame(b"", body_len=MAX_BODY + 1)
    splitter = impl.framing.Splitter(MAX_BODY)
    assert splitter.feed_untrusted(wire[:-1]) == []
    with pytest.raises(RemoteProtocolError, match="body_len 201 of proto_id 3004 is over the limit of 200"):
        splitter.feed_untrusted(wire[-1:])


@pytest.mark.parametrize("bad", [b"HTTP/1.1", frame(b"", body_len=2**32 - 1)])
def test_frames_before_the_bad_one_come_first(impl: Impl, bad: bytes) -> None:
    splitter = impl.framing.Splitter(MAX_BODY)
    assert len(splitter.feed_untrusted(frame() + frame() + bad + frame())) == 2
    assert splitter.failure is not None
    texts = set()
    for chunk in (b"", frame(), b""):
        with pytest.raises(RemoteProtocolError) as caught:
            splitter.feed_untrusted(chunk)
        texts.add(str(caught.value))
    assert texts == {splitter.failure}
    assert splitter.pending == 0


def test_announced_body_is_not_allocated(impl: Impl) -> None:
    splitter = impl.framing.Splitter(2**32 - 1)
    tracemalloc.start()
    try:
        splitter.feed_untrusted(frame(b"", body_len=2**32 - 1) + b"x")
        splitter.feed_untrusted(b"y")
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert splitter.pending == HEADER_LEN + 2
    assert current < 16_384


def test_held_memory_is_bounded_by_the_frame() -> None:
    from opendmux.native._framing import Splitter

    body_len = 1_000_000
    splitter = Splitter(body_len)
    tracemalloc.start()
    try:
        splitter.feed_untrusted(frame(b"", body_len=body_len))
        for _ in range(99):
            splitter.feed_untrusted(bytes(body_len // 100))
        held, _ = tracemalloc.get_traced_memory()
        [got] = splitter.feed_untrusted(bytes(body_len // 100))
        del got
        idle, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < HEADER_LEN + body_len + 16_384
    assert idle < 16_384


def test_accepts_any_contiguous_buffer(impl: Impl) -> None:
    wire = frame()
    for data in (bytearray(wire), memoryview(wire), memoryview(b"--" + wire)[2:]):
        assert len(impl.framing.Splitter(MAX_BODY).feed_untrusted(data)) == 1
    assert impl.framing.build_frame(3004, 0, 7, bytearray(b"body")) == wire
    for wrong in ("text", 5, None):
        with pytest.raises(TypeError):
            impl.framing.Splitter(MAX_BODY).feed_untrusted(wrong)
        with pytest.raises(TypeError):
            impl.framing.build_frame(1, 0, 0, wrong)


@pytest.mark.parametrize("max_body", [-1, 2**32])
def test_max_body_is_a_32_bit_number(impl: Impl, max_body: int) -> None:
    with pytest.raises(ValueError, match="32-bit"):
        impl.framing.Splitter(max_body)


def test_frames_compare_by_value_and_hide_their_body(impl: Impl) -> None:
    sha1 = hashlib.sha1(b"password").digest()
    one, same = (impl.framing.Frame(2005, 0, 9, sha1, b"password") for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    for other in (
        impl.framing.Frame(2006, 0, 9, sha1, b"password"),
        impl.framing.Frame(2005, 1, 9, sha1, b"password"),
        impl.framing.Frame(2005, 0, 8, sha1, b"password"),
        impl.framing.Frame(2005, 0, 9, bytes(20), b"password"),
        impl.framing.Frame(2005, 0, 9, sha1, b"passwort"),
        "frame",
    ):
        assert one != other
    assert repr(one) == "<Frame proto_id=2005 proto_fmt=0 serial_no=9 body_len=8>"
    with pytest.raises(AttributeError):
        one.body = b""


def test_sha1_matches(impl: Impl) -> None:
    assert impl.framing.Frame(1, 0, 0, hashlib.sha1(b"").digest(), b"").sha1_matches()
    assert not impl.framing.Frame(1, 0, 0, bytes(20), b"").sha1_matches()


@DETERMINISTIC
@given(proto_id=u32, proto_fmt=u8, serial_no=u32, body=bodies, sha1=st.none() | st.binary(min_size=20, max_size=20))
def test_build_frame(
    impl: Impl, proto_id: int, proto_fmt: int, serial_no: int, body: bytes, sha1: bytes | None
) -> None:
    assert impl.framing.build_frame(proto_id, proto_fmt, serial_no, body, sha1) == frame(
        body, proto_id=proto_id, proto_fmt=proto_fmt, serial_no=serial_no, sha1=sha1
    )


@pytest.mark.parametrize("fields", [(2**32, 0, 0), (-1, 0, 0), (0, 256, 0), (0, 0, 2**32)])
def test_fields_out_of_range(impl: Impl, fields: tuple[int, int, int]) -> None:
    with pytest.raises(OverflowError):
        impl.framing.build_frame(*fields, b"")
    with pytest.raises(OverflowError):
        impl.framing.Frame(*fields, bytes(20), b"")


def test_digest_of_wrong_length(impl: Impl) -> None:
    with pytest.raises(ValueError, match="20 bytes, not 19"):
        impl.framing.build_frame(1, 0, 0, b"", bytes(19))
    with pytest.raises(ValueError, match="20 bytes, not 21"):
        impl.framing.Frame(1, 0, 0, bytes(21), b"")


def test_body_over_32_bits(impl: Impl, tmp_path: Path) -> None:
    """A file with nothing in it: nobody reads the 4 GiB."""
    hollow = tmp_path / "hollow"
    with hollow.open("w+b") as file:
        file.truncate(2**32)
        with (
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body,
            pytest.raises(LocalProtocolError, match="4294967296 bytes"),
        ):
            impl.framing.build_frame(1, 0, 0, body)
