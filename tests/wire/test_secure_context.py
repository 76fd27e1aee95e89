"""Contexts of the official SDK, unmodified, over TCP to a server behind `ServerSide`."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import threading
from typing import TYPE_CHECKING, Self

import pytest

from opendmux.wire import handshake
from opendmux.wire.cipher import EncAlgo, RsaKey
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from opendmux.wire.secure import ServerSide
from tests.e2e.harness import PATIENCE_S, SdkProgram

from .secure_kit import GLOBAL_STATE, INIT, IV_OF, KEEP_ALIVE, KEY, OURS, frame, serialized, split

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(importlib.util.find_spec("futu") is None, reason="the SDK is in the extra 'sdk'")


class OneClient:
    """Serves one connection: InitConnect, KeepAlive, GetGlobalState followed by a Notify push."""

    def __init__(self, algo: EncAlgo | None = None) -> None:
        """``algo``: used instead of what the client asks for."""
        self.side = ServerSide(RsaKey(OURS.private_key()), 100_000)
        self.received = b""
        self.kept_alive = threading.Event()
        self._algo = algo
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE_S)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(PATIENCE_S)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        # The SDK ends without reading what is left.
        with connection, contextlib.suppress(ConnectionError):
            connection.settimeout(PATIENCE_S)
            while data := connection.recv(65536):
                self.received += data
                for header, body in split(self.side.receive_untrusted(data)):
                    connection.sendall(self.side.seal(self._answer(header, body)))

    def _answer(self, header: bytes, body: bytes) -> bytes:
        proto_id, serial_no = int.from_bytes(header[2:6], "little"), int.from_bytes(header[8:12], "little")
        if proto_id == INIT:
            return frame(INIT, self._answer_init(), serial_no=serial_no)
        if proto_id == KEEP_ALIVE:
            self.kept_alive.set()
            return frame(KEEP_ALIVE, handshake.keep_alive_reply(1, 0), serial_no=serial_no)
        assert proto_id == GLOBAL_STATE
        assert opend.GetGlobalStateRequest.FromString(body).c2s.userID == 7
        state = opend.GetGlobalStateS2C(serverVer=1011, serverBuildNo=1, time=1, localTime=1.0, qotLogined=True)
        event = opend.NotifyGtwEvent(eventType=1, desc="hello from the push")
        reply = serialized(opend.GetGlobalStateResponse(retType=0, s2c=state))
        push = serialized(opend.NotifyResponse(retType=0, s2c=opend.NotifyS2C(type=1, event=event)))
        return frame(GLOBAL_STATE, reply, serial_no=serial_no) + frame(int(ProtoId.NOTIFY), push)

    def _answer_init(self) -> bytes:
        assert self.side.asked is not None
        algo = self.side.asked if self._algo is None else self._algo
        self.side.use(algo, KEY, IV_OF[algo])
        s2c = opend.InitConnectS2C(serverVer=1011, loginUserID=7, connID=4711, connAESKey=KEY, keepAliveInterval=1)
        if (iv := IV_OF[algo]) is not None:
            s2c.aesCBCiv = iv
        return serialized(opend.InitConnectResponse(retType=0, s2c=s2c))


@pytest.mark.parametrize(
    ("with_file", "context", "globally", "algo", "asked"),
    [
        (True, {"is_encrypt": True}, False, None, EncAlgo.AES_CBC),
        (True, {"is_encrypt": True}, False, EncAlgo.FTAES_ECB, EncAlgo.AES_CBC),
        (True, {"is_encrypt": True}, False, EncAlgo.AES_ECB, EncAlgo.AES_CBC),
        (True, {}, True, None, EncAlgo.AES_CBC),
        (True, {"is_encrypt": False}, True, None, EncAlgo.NONE),
        (True, {}, False, None, EncAlgo.NONE),
        (False, {}, False, None, EncAlgo.NONE),
    ],
    ids=["is_encrypt", "answered FTAES_ECB", "answered AES_ECB", "global", "not this context", "file alone", "plain"],
)
def test_a_context(
    with_file: bool,
    context: dict[str, bool],
    globally: bool,
    algo: EncAlgo | None,
    asked: EncAlgo,
    tmp_path: Path,
) -> None:
    key_file = tmp_path / "key.pem"
    key_file.write_bytes(OURS.pem())
    settings = {"set_init_rsa_file": [str(key_file)]} if with_file else {}
    if globally:
        settings["enable_proto_encrypt"] = [True]  # type: ignore[list-item]
    with (
        OneClient(algo) as server,
        SdkProgram("quote", server.port, tmp_path / "home", sys=settings, context=context) as program,
    ):
        program.wait_ready()
        state = program.ok("get_global_state")
        assert state["server_ver"] == "1011"
        if not program.pushes:  # it may overtake the answer to the call
            program.wait_push("notify")
        assert "hello from the push" in str(program.pushes)
        assert server.kept_alive.wait(PATIENCE_S)
        program.finish()
    assert server.side.failure is None
    assert server.side.asked is asked
    assert server.side.plain_from_now_on is (asked is EncAlgo.NONE)
    assert (b"PyNormal" in server.received) is not with_file
