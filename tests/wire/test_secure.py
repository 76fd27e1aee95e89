"""The side of our clients: what InitConnect decides, and what happens to frames afterwards."""

from __future__ import annotations

import pytest

from opendmux.errors import LocalProtocolError, RemoteProtocolError
from opendmux.wire.cipher import RSA_PIECES_MAX, EncAlgo
from opendmux.wire.secure import ServerSide

from .secure_kit import (
    AES,
    GLOBAL_STATE,
    HEADER_LEN,
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
    encrypted,
    frame,
    hello,
    hello_reply,
    is_damaged,
    new_server,
    split,
)

# -- what InitConnect decides


@pytest.mark.parametrize("algo", AES)
def test_an_encrypted_connection(algo: EncAlgo) -> None:
    server = new_server()
    assert server.asked is None
    init = frame(INIT, hello(algo), OURS.encrypt)
    assert server.receive_untrusted(init) == frame(INIT, hello(algo))
    assert server.asked is algo
    server.use(algo, KEY, IV_OF[algo])

    reply = hello_reply(iv=IV_OF[algo])
    [(header, body)] = split(server.seal(frame(INIT, reply)))
    assert OURS.decrypt(body) == reply
    assert header == frame(INIT, reply, lambda _: body)[:HEADER_LEN]

    for proto_id, plain in ((KEEP_ALIVE, b""), (GLOBAL_STATE, b"x" * 100), (QUOTE_PUSH, b"y" * 2999)):
        assert server.receive_untrusted(frame(proto_id, plain, by(algo))) == frame(proto_id, plain)
        assert server.seal(frame(proto_id, plain)) == frame(proto_id, plain, by(algo))
    assert not server.plain_from_now_on
    assert server.pending == 0


def test_nothing_said_of_the_algorithm_means_ftaes() -> None:
    server = new_server()
    server.receive_untrusted(frame(INIT, hello(None), OURS.encrypt))
    assert server.asked is EncAlgo.FTAES_ECB


def test_init_connect_in_json() -> None:
    server = new_server()
    body = b'{"c2s":{"clientVer":300,"clientID":"js","packetEncAlgo":2}}'
    assert server.receive_untrusted(frame(INIT, body, OURS.encrypt, proto_fmt=1)) == frame(INIT, body, proto_fmt=1)
    assert server.asked is EncAlgo.AES_CBC


@pytest.mark.parametrize("algo", [None, -1, 0, 1, 2, 77])
@pytest.mark.parametrize("rsa_key", [None, RSA], ids=["no key", "key"])
def test_a_plain_client_stays_plain(algo: int | None, rsa_key: object) -> None:
    server = ServerSide(RSA if rsa_key else None, MAX_BODY)
    stream = frame(INIT, hello(algo)) + frame(KEEP_ALIVE, b"later") + b"FT\x01"
    assert server.receive_untrusted(stream) == stream
    assert server.asked is EncAlgo.NONE
    assert server.plain_from_now_on
    assert server.pending == 0
    server.use(EncAlgo.NONE, KEY, None)
    assert server.seal(frame(INIT, hello_reply())) == frame(INIT, hello_reply())
    assert server.receive_untrusted(b"anything") == b"anything"


def test_rsa_for_init_connect_alone() -> None:
    """An RSA file in the client's process and is_encrypt=False: all after InitConnect is plain, its reply included."""
    server = new_server()
    later = frame(KEEP_ALIVE, b"later")
    assert server.receive_untrusted(frame(INIT, hello(-1), OURS.encrypt) + later) == frame(INIT, hello(-1)) + later
    assert server.asked is EncAlgo.NONE
    assert server.plain_from_now_on
    assert server.seal(frame(INIT, hello_reply()) + later) == frame(INIT, hello_reply()) + later


@pytest.mark.parametrize(
    ("init", "text"),
    [
        (frame(INIT, hello(2), THEIRS.encrypt), "does the client use"),
        (frame(INIT, hello(2), by(EncAlgo.AES_CBC)), "does the client use"),
        (frame(INIT, hello(2), OURS.encrypt, sha1=bytes(20)), "can't be read with our RSA key of 1024 bits"),
        (frame(INIT, hello(2), lambda body: body, sha1=bytes(20)), "does the client use our RSA key"),
        (frame(INIT, b"\xff", OURS.encrypt), "not a InitConnectRequest"),
        (frame(INIT, b"{", OURS.encrypt, proto_fmt=1), "not a InitConnectRequest"),
        (frame(INIT, hello(2), OURS.encrypt, proto_fmt=2), "unknown proto_fmt 2"),
        (frame(INIT, hello(3), OURS.encrypt), "unknown packetEncAlgo 3"),
        (frame(INIT, hello(2), lambda _: bytes(128 * (RSA_PIECES_MAX + 1))), "17 pieces"),
    ],
)
def test_an_init_connect_that_cannot_be_read(init: bytes, text: str) -> None:
    server = new_server()
    with pytest.raises(RemoteProtocolError, match=text):
        server.receive_untrusted(init)
    assert server.failure is not None
    assert server.pending == 0
    assert server.asked is None
    with pytest.raises(RemoteProtocolError, match=text):
        server.receive_untrusted(b"")


def test_an_encrypted_client_where_no_key_is_configured() -> None:
    with pytest.raises(RemoteProtocolError, match="InitConnect is encrypted or damaged, and no RSA key is configured"):
        ServerSide(None, MAX_BODY).receive_untrusted(frame(INIT, hello(2), OURS.encrypt))


def test_frames_before_init_connect_are_not_touched() -> None:
    server = new_server()
    early = frame(KEEP_ALIVE, b"early") + frame(KEEP_ALIVE, b"damaged", sha1=bytes(20))
    assert server.receive_untrusted(early) == early
    assert server.seal(early) == early
    assert server.asked is None
    server.receive_untrusted(frame(INIT, hello(0), OURS.encrypt))
    assert server.asked is EncAlgo.FTAES_ECB


# -- later


def test_nothing_of_the_header_changes_but_the_length() -> None:
    server = encrypted(EncAlgo.AES_CBC)
    odd = {"proto_fmt": 1, "serial_no": 2**32 - 1, "proto_ver": 9, "reserved": b"reserved"}
    plain = frame(3004, b"body", **odd)  # type: ignore[arg-type]
    sealed = frame(3004, b"body", by(EncAlgo.AES_CBC), **odd)  # type: ignore[arg-type]
    assert server.receive_untrusted(sealed) == plain
    assert server.seal(plain) == sealed


@pytest.mark.parametrize("algo", AES)
def test_plaintext_on_an_encrypted_connection(algo: EncAlgo) -> None:
    """Packed while the SDK was not connected: taken as it is, and answered encrypted."""
    server = encrypted(algo)
    for body in (b"", b"packed", b"sixteen bytes..." * 2, bytes(32)):
        assert server.receive_untrusted(frame(GLOBAL_STATE, body)) == frame(GLOBAL_STATE, body)
        assert server.seal(frame(GLOBAL_STATE, body)) == frame(GLOBAL_STATE, body, by(algo))


@pytest.mark.parametrize("algo", AES)
def test_an_unreadable_frame_is_one_damaged_frame(algo: EncAlgo) -> None:
    server = encrypted(algo)
    good = frame(GLOBAL_STATE, b"good", by(algo))
    bad = [
        frame(3004, b"body", lambda _: b"\x07" * 32),
        frame(3004, b"body", lambda _: b"odd length"),
        frame(3004, b"body", by(algo), sha1=bytes(20)),
        frame(3004, b"", lambda _: b"not empty", serial_no=9),
        frame(3004, b"b" * MAX_BODY, lambda _: b"\x07" * (MAX_BODY + 31)),
    ]
    for sealed in bad:
        (_, first), (header, body), (_, last) = split(server.receive_untrusted(good + sealed + good))
        assert first == last == b"good"
        assert is_damaged(header, body)
        assert header[16:36] == sealed[16:36]
        assert header[:12] == sealed[:12]


def test_frames_that_come_before_the_answer_wait_for_it() -> None:
    server = new_server()
    init, later = frame(INIT, hello(2), OURS.encrypt), frame(KEEP_ALIVE, b"later", by(EncAlgo.AES_CBC))
    assert server.receive_untrusted(init + later) == frame(INIT, hello(2))
    assert server.receive_untrusted(later) == b""
    assert server.pending == 2 * len(later)
    server.use(EncAlgo.AES_CBC, KEY, IV)
    assert server.receive_untrusted(b"") == frame(KEEP_ALIVE, b"later") * 2
    assert server.pending == 0


def test_not_much_may_come_before_the_answer() -> None:
    server = new_server()
    server.receive_untrusted(frame(INIT, hello(2), OURS.encrypt))
    assert server.receive_untrusted(bytes(HELD_MAX)) == b""
    with pytest.raises(RemoteProtocolError, match="before the answer to InitConnect"):
        server.receive_untrusted(b"x")
    assert server.pending == 0


def test_init_connect_again() -> None:
    server = encrypted(EncAlgo.AES_CBC)
    again = frame(INIT, hello(2))
    assert server.receive_untrusted(frame(INIT, hello(2), OURS.encrypt)) == again
    assert server.receive_untrusted(again) == again
    [(_, sealed)] = split(server.seal(frame(INIT, hello_reply(iv=IV))))
    assert OURS.decrypt(sealed) == hello_reply(iv=IV)
    for bad in (THEIRS.encrypt, by(EncAlgo.AES_CBC)):
        [(header, body)] = split(server.receive_untrusted(frame(INIT, hello(2), bad)))
        assert is_damaged(header, body)
    assert server.receive_untrusted(frame(INIT, hello(-1), OURS.encrypt)) == frame(INIT, hello(-1))
    assert not server.plain_from_now_on
    assert server.asked is EncAlgo.AES_CBC


# -- what the owner may not do


def test_use_has_its_moment() -> None:
    server = new_server()
    with pytest.raises(LocalProtocolError, match="once, after its InitConnect"):
        server.use(EncAlgo.AES_CBC, KEY, IV)
    server.receive_untrusted(frame(INIT, hello(2), OURS.encrypt))
    with pytest.raises(LocalProtocolError, match="expects AES_CBC, not NONE"):
        server.use(EncAlgo.NONE, KEY, None)
    with pytest.raises(ValueError, match="aesCBCiv has 0 bytes"):
        server.use(EncAlgo.AES_CBC, KEY, None)
    server.use(EncAlgo.FTAES_ECB, KEY, None)  # clients go by the reply, not by what they asked for
    with pytest.raises(LocalProtocolError, match="once, after its InitConnect"):
        server.use(EncAlgo.FTAES_ECB, KEY, None)

    plain = new_server()
    plain.receive_untrusted(frame(INIT, hello(-1)))
    with pytest.raises(LocalProtocolError, match="expects NONE, not AES_CBC"):
        plain.use(EncAlgo.AES_CBC, KEY, IV)


def test_nothing_but_the_answer_can_be_sent_before_there_is_a_key() -> None:
    server = new_server()
    server.receive_untrusted(frame(INIT, hello(2), OURS.encrypt))
    refusal = hello_reply(ret_type=-1)
    [(_, sealed)] = split(server.seal(frame(INIT, refusal)))
    assert OURS.decrypt(sealed) == refusal
    with pytest.raises(LocalProtocolError, match="proto_id 3005 can't be sent"):
        server.seal(frame(QUOTE_PUSH, b"push"))


@pytest.mark.parametrize("tail", [b"F", b"FT" + bytes(41), frame(3004, b"body")[:-1], b"XX" + bytes(42)])
def test_only_whole_frames_can_be_sealed(tail: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="only whole frames"):
        encrypted(EncAlgo.AES_CBC).seal(frame(3004, b"body") + tail)
