"""Doctor's own client of OpenD, against whatever a peer may say."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opendmux.cli.doctor import _call
from opendmux.cli.doctor._call import BODY_MAX, Call, CallError, Trouble
from opendmux.config import Address
from opendmux.wire.cipher import ConnSecrets, RsaKey
from opendmux.wire.frame import HEADER_LEN, build_frame
from opendmux.wire.handshake import Identity, init_reply
from opendmux.wire.messages import ret_body
from opendmux.wire.protocols import ProtoId

NOWHERE = Address("127.0.0.1", 1)
IDENTITY = Identity(1011, 900_001, None, 5, 10)
REPLY = init_reply(IDENTITY, conn_id=5, secrets=ConnSecrets("k" * 16, None), proto_fmt=0)
GREETING = build_frame(ProtoId.INIT_CONNECT, 0, 1, REPLY)
NOTICE = build_frame(ProtoId.NOTIFY, 0, 77, ret_body(0, 0))


def called(said: bytes, rsa_key: RsaKey | None = None) -> Call:
    """A call to a peer that says this, whatever it hears, and hangs up."""
    ours, theirs = socket.socketpair()
    with pytest.MonkeyPatch.context() as patch, theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        patch.setattr(_call, "_connect", lambda _address: ours)
        return Call(NOWHERE, rsa_key)


def trouble(said: bytes, rsa_key: RsaKey | None = None) -> Trouble:
    with pytest.raises(CallError) as failed:
        called(said, rsa_key)
    return failed.value.trouble


def test_an_answer_after_notices_and_strange_serials() -> None:
    other = build_frame(ProtoId.INIT_CONNECT, 0, 9, ret_body(0, -1, "not ours"))
    with called(NOTICE + other + GREETING) as call:
        assert call.identity == IDENTITY


def test_only_questions_may_be_asked() -> None:
    with called(GREETING) as call:
        for proto_id in (ProtoId.TRD_PLACE_ORDER, ProtoId.TRD_UNLOCK_TRADE, ProtoId.VERIFICATION):
            with pytest.raises(AssertionError):
                call.ask(proto_id, b"")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"", Trouble.CLOSED),
        (GREETING[:-1], Trouble.CLOSED),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Trouble.STRANGE),
        (build_frame(ProtoId.INIT_CONNECT, 0, 1, ret_body(0, -1, "no")), Trouble.DECLINED),
        (build_frame(ProtoId.INIT_CONNECT, 0, 1, b"\xff\xff"), Trouble.UNREADABLE),
        (build_frame(ProtoId.INIT_CONNECT, 0, 1, REPLY, b"\0" * 20), Trouble.UNREADABLE),
        (GREETING[:12] + (BODY_MAX + 1).to_bytes(4, "little") + GREETING[16:HEADER_LEN], Trouble.UNREADABLE),
    ],
)
def test_how_it_fails(said: bytes, expected: Trouble) -> None:
    assert trouble(said) is expected


@pytest.fixture(scope="module")
def rsa_key(tmp_path_factory: pytest.TempPathFactory) -> RsaKey:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    path: Path = tmp_path_factory.mktemp("rsa") / "key.pem"
    key = rsa.generate_private_key(65537, 1024)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return RsaKey.load(str(path))


def test_an_answer_that_is_not_encrypted_as_asked(rsa_key: RsaKey) -> None:
    assert trouble(GREETING, rsa_key) is Trouble.UNREADABLE


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda body: GREETING[:HEADER_LEN] + body)))
def test_any_bytes_are_an_answer_or_a_call_error(said: bytes) -> None:
    with suppress(CallError), called(said) as call:  # and no other error
        assert call.identity.server_ver >= 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (socket.gaierror(-2, "Name or service not known"), Trouble.NO_NAME),
        (UnicodeError("label too long"), Trouble.UNREACHABLE),
        (ConnectionRefusedError(111, "Connection refused"), Trouble.REFUSED),
        (TimeoutError(), Trouble.NO_CONNECT),
        (OSError(errno.ETIMEDOUT, "timed out"), Trouble.NO_CONNECT),
        (OSError(errno.EHOSTUNREACH, "no route"), Trouble.UNREACHABLE),
    ],
)
def test_no_connection(monkeypatch: pytest.MonkeyPatch, error: Exception, expected: Trouble) -> None:
    def connect(*_details: object, **_more: object) -> socket.socket:
        raise error

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(CallError) as failed:
        Call(NOWHERE)
    assert failed.value.trouble is expected
