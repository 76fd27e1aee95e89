"""Frames in any cuts, hostile peers, bounded memory."""

from __future__ import annotations

import contextlib
import re
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.errors import RemoteProtocolError
from opendmux.wire.cipher import RSA_PIECES_MAX, EncAlgo
from opendmux.wire.secure import ServerSide

from .secure_kit import (
    AES,
    DETERMINISTIC,
    HEADER_LEN,
    HELD_MAX,
    INIT,
    IV_OF,
    KEEP_ALIVE,
    KEY,
    MAX_BODY,
    OURS,
    QUOTE_PUSH,
    RSA,
    by,
    cut,
    decrypt,
    encrypted,
    frame,
    hello,
    is_damaged,
    new_server,
    split,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def test_frames_before_a_bad_one_come_first() -> None:
    server = encrypted(EncAlgo.AES_CBC)
    good = frame(3004, b"good", by(EncAlgo.AES_CBC))
    assert server.receive_untrusted(good + b"FU" + good) == frame(3004, b"good")
    assert server.failure == "a frame does not start with FT"
    assert server.no_frame
    assert server.pending == 0
    with pytest.raises(RemoteProtocolError, match="does not start with FT"):
        server.receive_untrusted(b"")
    with pytest.raises(RemoteProtocolError, match="does not start with FT"):
        server.receive_untrusted(good)


@pytest.mark.parametrize("start", [b"G", b"FG"])
def test_one_wrong_byte_is_enough(start: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="does not start with FT"):
        new_server().receive_untrusted(start)


@pytest.mark.parametrize("algo", AES)
def test_the_largest_body(algo: EncAlgo) -> None:
    server = encrypted(algo)
    for length in (MAX_BODY, MAX_BODY - 1):
        plain = frame(3004, b"x" * length)
        assert server.receive_untrusted(frame(3004, b"x" * length, by(algo))) == plain
        assert server.receive_untrusted(plain) == plain
    sealed = frame(3004, b"x" * (MAX_BODY + 1), by(algo))
    with pytest.raises(RemoteProtocolError, match=f"a body of {MAX_BODY + 1} bytes of proto_id 3004 is over the limit"):
        server.receive_untrusted(sealed)


def test_a_length_over_the_limit_is_refused_before_its_body_comes() -> None:
    server = encrypted(EncAlgo.FTAES_ECB)
    header = frame(3004, bytes(MAX_BODY + 32))[:HEADER_LEN]
    assert server.receive_untrusted(header[:-1]) == b""
    with pytest.raises(RemoteProtocolError, match=f"{MAX_BODY + 32} bytes of proto_id 3004 is over"):
        server.receive_untrusted(header[-1:])


def test_a_small_limit_leaves_room_for_init_connect() -> None:
    server = ServerSide(RSA, 60)
    assert server.receive_untrusted(frame(INIT, hello(2), OURS.encrypt)) == frame(INIT, hello(2))


def test_a_limit_of_its_own_until_the_key_is_set() -> None:
    server = ServerSide(RSA, MAX_BODY, 60)
    large = frame(3004, bytes(MAX_BODY), by(EncAlgo.FTAES_ECB))
    assert server.receive_untrusted(frame(INIT, hello(0), OURS.encrypt)) == frame(INIT, hello(0))
    server.use(EncAlgo.FTAES_ECB, KEY, None)
    assert server.receive_untrusted(large) == frame(3004, bytes(MAX_BODY))


@pytest.mark.parametrize("start", [b"", frame(INIT, hello(0), OURS.encrypt)], ids=["nobody", "waits for its key"])
def test_what_comes_before_the_key_is_set_is_bounded(start: bytes) -> None:
    server = ServerSide(RSA, MAX_BODY, 60)
    server.receive_untrusted(start)
    waited = []
    for byte in frame(3004, bytes(MAX_BODY), by(EncAlgo.FTAES_ECB)):
        with contextlib.suppress(RemoteProtocolError):
            server.receive_untrusted(bytes([byte]))
        waited.append(server.pending)
    assert max(waited) <= HEADER_LEN + RSA_PIECES_MAX * 128
    assert server.failure is not None
    assert server.pending == 0


def test_any_buffer_will_do() -> None:
    stream = frame(INIT, hello(2), OURS.encrypt)
    for kind in (bytearray, memoryview):
        assert new_server().receive_untrusted(kind(stream)) == frame(INIT, hello(2))


kinds = st.sampled_from(["aes", "plain", "damaged", "init"])
stories = st.lists(st.tuples(kinds, st.binary(max_size=80)), max_size=8)


def told(algo: EncAlgo, story: list[tuple[str, bytes]]) -> bytes:
    make: dict[str, Callable[[bytes], bytes]] = {
        "aes": lambda body: frame(3004, body, by(algo)),
        "plain": lambda body: frame(3005, body),
        "damaged": lambda body: frame(3006, body, lambda plain: plain[::-1] + b"?"),
        "init": lambda _: frame(INIT, hello(algo), OURS.encrypt),
    }
    return b"".join(make[kind](body) for kind, body in story)


def told_plain(algo: EncAlgo, story: list[tuple[str, bytes]]) -> list[tuple[int, bytes | None]]:
    """What comes out: proto_id and body, None for one that does not match its digest."""
    ids = {"aes": 3004, "plain": 3005, "damaged": 3006, "init": INIT}
    bodies = {"damaged": None, "init": hello(algo)}
    return [(ids[kind], bodies.get(kind, body)) for kind, body in story]


def read(frames: bytes) -> list[tuple[int, bytes | None]]:
    return [
        (int.from_bytes(header[2:6], "little"), None if is_damaged(header, body) else body)
        for header, body in split(frames)
    ]


@pytest.mark.parametrize("algo", AES)
@DETERMINISTIC
@given(story=stories, places=st.lists(st.integers(0, 2000), max_size=12))
def test_the_cuts_do_not_matter(algo: EncAlgo, story: list[tuple[str, bytes]], places: list[int]) -> None:
    server = new_server()
    out = b""
    answered = False
    stream = frame(INIT, hello(algo), OURS.encrypt) + told(algo, story)
    for chunk in cut(stream, places):
        out += server.receive_untrusted(chunk)
        if server.asked is not None and not answered:
            answered = True
            server.use(algo, KEY, IV_OF[algo])
            out += server.receive_untrusted(b"")
        assert server.pending <= HELD_MAX
    assert read(out) == [(INIT, hello(algo)), *told_plain(algo, story)]
    assert server.pending == 0


@pytest.mark.parametrize("algo", AES)
@DETERMINISTIC
@given(frames=st.lists(st.tuples(st.sampled_from([KEEP_ALIVE, QUOTE_PUSH]), st.binary(max_size=80)), max_size=8))
def test_sealing_many_frames_at_once(algo: EncAlgo, frames: list[tuple[int, bytes]]) -> None:
    plain = b"".join(frame(proto_id, body) for proto_id, body in frames)
    sealed = encrypted(algo).seal(plain)
    assert [(header[2], decrypt(algo, body)) for header, body in split(sealed)] == [
        (proto_id & 0xFF, body) for proto_id, body in frames
    ]


@pytest.mark.parametrize("algo", [*AES, None], ids=lambda algo: algo.name if algo else "no InitConnect yet")
@DETERMINISTIC
@given(
    story=stories,
    damage=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4),
    noise=st.binary(max_size=200),
    places=st.lists(st.integers(0, 2000), max_size=6),
)
def test_hostile_bytes(
    algo: EncAlgo | None, story: list[tuple[str, bytes]], damage: list[tuple[int, int]], noise: bytes, places: list[int]
) -> None:
    """Any bytes in any cuts: frames with whole headers, or one RemoteProtocolError for good; never much is held."""
    server = encrypted(algo) if algo is not None else new_server()
    stream = bytearray(told(algo or EncAlgo.AES_CBC, story) + noise)
    for place, value in damage:
        if stream:
            stream[place % len(stream)] = value
    for chunk in cut(bytes(stream), places):
        try:
            out = server.receive_untrusted(chunk)
        except RemoteProtocolError:
            break
        assert server.pending <= HELD_MAX
        if not server.plain_from_now_on:
            split(out)
    if server.failure is not None:
        assert server.pending == 0
        with pytest.raises(RemoteProtocolError, match=re.escape(server.failure)):
            server.receive_untrusted(stream)


def test_memory_stays_bounded() -> None:
    """8 MB of frames in chunks that fit no frame."""
    server = encrypted(EncAlgo.AES_CBC)
    stream = frame(3004, b"x" * 1000, by(EncAlgo.AES_CBC)) * 50
    chunks = [stream[at : at + 999] for at in range(0, len(stream), 999)]
    tracemalloc.start()
    try:
        for _ in range(150):
            for chunk in chunks:
                server.receive_untrusted(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * HELD_MAX
