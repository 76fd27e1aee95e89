"""The side of our link: what the InitConnect reply decides, and both sides against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.errors import LocalProtocolError, RemoteProtocolError
from opendmux.wire.cipher import EncAlgo
from opendmux.wire.secure import ClientSide

from .secure_kit import (
    AES,
    DETERMINISTIC,
    GLOBAL_STATE,
    HELD_MAX,
    INIT,
    IV,
    IV_OF,
    KEEP_ALIVE,
    KEY,
    MAX_BODY,
    OURS,
    QUOTE_PUSH,
    RSA,
    THEIRS,
    by,
    cut,
    encrypted,
    frame,
    hello,
    hello_reply,
    is_damaged,
    new_server,
    split,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def asking(algo: int | None) -> ClientSide:
    """A link that has sent its InitConnect."""
    client = ClientSide(RSA, MAX_BODY)
    client.seal(frame(INIT, hello(algo)))
    return client


def connected(algo: EncAlgo) -> ClientSide:
    client = asking(2)
    client.receive_untrusted(frame(INIT, hello_reply(iv=IV_OF[algo]), OURS.encrypt))
    return client


@pytest.mark.parametrize("asked", [None, -1, 0, 1, 2])
def test_our_init_connect_goes_by_rsa_when_there_is_a_key(asked: int | None) -> None:
    [(header, body)] = split(ClientSide(RSA, MAX_BODY).seal(frame(INIT, hello(asked))))
    assert OURS.decrypt(body) == hello(asked)
    assert not is_damaged(header, hello(asked))


@pytest.mark.parametrize("algo", AES)
@pytest.mark.parametrize("asked", [None, 0, 1, 2])
def test_the_form_of_the_iv_tells_the_algorithm(algo: EncAlgo, asked: int | None) -> None:
    client = asking(asked)
    reply = hello_reply(iv=IV_OF[algo])
    push = frame(QUOTE_PUSH, b"in the same segment", by(algo))
    assert client.receive_untrusted(frame(INIT, reply, OURS.encrypt) + push) == frame(INIT, reply) + frame(
        QUOTE_PUSH, b"in the same segment"
    )
    assert not client.plain_from_now_on
    for body in (b"", b"x" * 100, b"y" * MAX_BODY):
        assert client.seal(frame(KEEP_ALIVE, body)) == frame(KEEP_ALIVE, body, by(algo))
        assert client.receive_untrusted(frame(GLOBAL_STATE, body, by(algo))) == frame(GLOBAL_STATE, body)


def test_without_a_key_everything_is_plain() -> None:
    client = ClientSide(None, MAX_BODY)
    assert client.seal(frame(INIT, hello(-1))) == frame(INIT, hello(-1))
    assert not client.plain_from_now_on
    stream = frame(INIT, hello_reply()) + frame(QUOTE_PUSH, b"push") + b"FT"
    assert client.receive_untrusted(stream) == stream
    assert client.plain_from_now_on
    assert client.pending == 0
    assert client.seal(frame(KEEP_ALIVE, b"")) == frame(KEEP_ALIVE, b"")


@pytest.mark.parametrize("seal", [bytes, OURS.encrypt], ids=["plain reply", "RSA reply"])
def test_a_key_and_no_encryption_asked_for(seal: Callable[[bytes], bytes]) -> None:
    """Nobody could try it with OpenD: the Python SDK expects a plain reply; both are taken."""
    client = asking(-1)
    push = frame(QUOTE_PUSH, b"push")
    reply = hello_reply()
    assert client.receive_untrusted(frame(INIT, reply, seal) + push) == frame(INIT, reply) + push
    assert client.plain_from_now_on


@pytest.mark.parametrize("seal", [bytes, OURS.encrypt], ids=["plain reply", "RSA reply"])
def test_a_refusal_comes_through(seal: Callable[[bytes], bytes]) -> None:
    client = asking(2)
    refusal = hello_reply(ret_type=-1)
    assert client.receive_untrusted(frame(INIT, refusal, seal)) == frame(INIT, refusal)
    assert client.failure is None
    assert not client.plain_from_now_on
    with pytest.raises(LocalProtocolError, match="can't be sent before the connection has a key"):
        client.seal(frame(KEEP_ALIVE, b""))


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (frame(INIT, hello_reply(), THEIRS.encrypt), "does OpenD use"),
        (frame(INIT, hello_reply(), by(EncAlgo.AES_CBC)), "does OpenD use our RSA key"),
        (frame(INIT, hello_reply()), "without the encryption it was asked for"),
        (frame(INIT, hello_reply(key="short"), OURS.encrypt), "connAESKey has 5 bytes"),
        (frame(INIT, hello_reply(iv="short"), OURS.encrypt), "aesCBCiv has 5 bytes"),
        (frame(INIT, b"\xff", OURS.encrypt), "not a InitConnectResponse"),
        (frame(INIT, b"\xff"), "not a InitConnectResponse"),
    ],
)
def test_a_reply_that_cannot_be_used(reply: bytes, text: str) -> None:
    client = asking(2)
    with pytest.raises(RemoteProtocolError, match=text):
        client.receive_untrusted(reply)
    assert client.failure is not None
    assert client.pending == 0


def test_opend_encrypts_and_we_have_no_key() -> None:
    client = ClientSide(None, MAX_BODY)
    client.seal(frame(INIT, hello(-1)))
    with pytest.raises(RemoteProtocolError, match="the InitConnect reply is encrypted or damaged, and no RSA key"):
        client.receive_untrusted(frame(INIT, hello_reply(), OURS.encrypt))


@pytest.mark.parametrize("algo", AES)
def test_unreadable_frames_are_single_damaged_frames(algo: EncAlgo) -> None:
    client = connected(algo)
    good = frame(GLOBAL_STATE, b"good", by(algo))
    bad: list[bytes] = [
        frame(QUOTE_PUSH, b"body", lambda _: b"odd length"),
        frame(QUOTE_PUSH, b"body", by(algo), sha1=bytes(20)),
        frame(QUOTE_PUSH, b"plain"),
        frame(QUOTE_PUSH, b"", lambda _: b"not empty"),
        frame(INIT, hello_reply(iv=IV), OURS.encrypt),
    ]
    for sealed in bad:
        (_, first), (header, body), (_, last) = split(client.receive_untrusted(good + sealed + good))
        assert first == last == b"good"
        assert is_damaged(header, body)
        assert header[:12] == sealed[:12]


def test_frames_before_the_reply_are_not_touched() -> None:
    client = asking(2)
    early = frame(QUOTE_PUSH, b"early", by(EncAlgo.AES_CBC))
    assert client.receive_untrusted(early) == early


@pytest.mark.parametrize("body", [hello(5), b"\xff"], ids=["unknown algorithm", "no InitConnect"])
def test_our_own_init_connect_must_be_one(body: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="our own InitConnect"):
        ClientSide(RSA, MAX_BODY).seal(frame(INIT, body))


def exchange(sender: Any, receiver: Any, frames: bytes, places: list[int]) -> bytes:
    return b"".join(receiver.receive_untrusted(chunk) for chunk in cut(sender.seal(frames), places))


bodies = st.lists(st.binary(max_size=200), max_size=3)


@pytest.mark.parametrize("asked", [-1, 0, 1, 2, None])
@DETERMINISTIC
@given(turns=st.lists(st.tuples(st.booleans(), bodies), max_size=6), places=st.lists(st.integers(0, 900), max_size=6))
def test_both_sides(asked: int | None, turns: list[tuple[bool, list[bytes]]], places: list[int]) -> None:
    """A whole connection: what one seals, the other opens, in any cuts."""
    client, server = ClientSide(RSA, MAX_BODY), new_server()
    init = frame(INIT, hello(asked))
    assert exchange(client, server, init, places) == init
    assert server.asked is not None
    server.use(server.asked, KEY, IV_OF[server.asked])
    reply = frame(INIT, hello_reply(iv=IV_OF[server.asked]))
    assert exchange(server, client, reply, places) == reply
    assert client.plain_from_now_on is server.plain_from_now_on is (asked == -1)
    for up, turn in turns:
        frames = b"".join(frame(KEEP_ALIVE if up else QUOTE_PUSH, body) for body in turn)
        sender, receiver = (client, server) if up else (server, client)
        assert exchange(sender, receiver, frames, places) == frames
        assert receiver.pending == 0


@pytest.mark.parametrize("algo", [*AES, None], ids=lambda algo: algo.name if algo else "no reply yet")
@DETERMINISTIC
@given(
    turn=bodies,
    damage=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    noise=st.binary(max_size=200),
    places=st.lists(st.integers(0, 900), max_size=6),
)
def test_a_hostile_opend(
    algo: EncAlgo | None, turn: list[bytes], damage: list[tuple[int, int]], noise: bytes, places: list[int]
) -> None:
    """Any bytes in any cuts: frames, or one RemoteProtocolError for good; never much is held."""
    if algo is None:
        client, first = asking(2), frame(INIT, hello_reply(iv=IV), OURS.encrypt)
    else:
        client, first = connected(algo), b""
    stream = bytearray(first + b"".join(frame(QUOTE_PUSH, body, by(algo or EncAlgo.AES_CBC)) for body in turn) + noise)
    for place, value in damage:
        if stream:
            stream[place % len(stream)] = value
    for chunk in cut(bytes(stream), places):
        try:
            split(client.receive_untrusted(chunk))
        except RemoteProtocolError:
            break
        assert client.pending <= HELD_MAX
    assert client.failure is None or client.pending == 0


def test_one_key_pair_serves_many_connections() -> None:
    """Connections share the RSA key and nothing else."""
    one, two = encrypted(EncAlgo.AES_CBC), encrypted(EncAlgo.AES_CBC)
    plain = frame(KEEP_ALIVE, b"one")
    sealed = frame(KEEP_ALIVE, b"one", by(EncAlgo.AES_CBC))
    assert one.seal(plain * 3) == sealed * 3
    assert two.seal(plain) == sealed
    assert two.receive_untrusted(sealed) == one.receive_untrusted(sealed) == plain
