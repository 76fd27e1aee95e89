"""What the official SDK encrypts we read, what we encrypt it reads."""

from __future__ import annotations

import importlib.util
import json
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from opendmux.wire import handshake
from opendmux.wire.cipher import EncAlgo, PacketCipher, RsaKey, conn_secrets
from opendmux.wire.pb import opend
from opendmux.wire.secure import ClientSide, ServerSide
from tests.e2e.harness import Process

from .secure_kit import AES, INIT, IV_OF, KEEP_ALIVE, KEY, OURS, frame, hello, serialized, split

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(importlib.util.find_spec("futu") is None, reason="the SDK is in the extra 'sdk'")

MAX_BODY = 100_000
LENGTHS = [*range(34), 99, 100, 101, 4096]


class SdkCrypto(Process):
    """`sdk_crypto.py`, in a process of its own because the SDK's settings are global."""

    def __init__(self, home: Path) -> None:
        program = Path(__file__).with_name("sdk_crypto.py")
        super().__init__([sys.executable, str(program)], env={"HOME": str(home)})

    def ask(self, call: str, *args: Any) -> Any:
        self.send_line(json.dumps({"call": call, "args": args}))
        return json.loads(self.wait_for("^@@(.*)")[1])

    def ask_bytes(self, call: str, *args: Any) -> bytes:
        return bytes.fromhex(self.ask(call, *args))


@pytest.fixture(scope="module")
def shared_sdk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkCrypto]:
    with SdkCrypto(tmp_path_factory.mktemp("home")) as program:
        yield program


@pytest.fixture
def sdk(shared_sdk: SdkCrypto) -> Iterator[SdkCrypto]:
    yield shared_sdk
    shared_sdk.ask("rsa_file", "")
    shared_sdk.ask("encrypt_all", False)


@pytest.fixture(params=[PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8], ids=["PKCS#1", "PKCS#8"])
def key_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(OURS.pem(request.param))
    return path


def test_rsa(sdk: SdkCrypto, key_file: Path) -> None:
    key = RsaKey.load(key_file)
    sdk.ask("rsa_file", str(key_file))
    for length in (1, 31, 99, 100, 101, 250):
        body = bytes(i * 7 % 256 for i in range(length))
        assert key.decrypt_untrusted(sdk.ask_bytes("rsa_encrypt", body.hex())) == body
        assert sdk.ask_bytes("rsa_decrypt", key.encrypt(body).hex()) == body


@pytest.mark.parametrize("algo", AES)
def test_aes(algo: EncAlgo, sdk: SdkCrypto) -> None:
    sdk.ask("connection", 5, KEY, IV_OF[algo], True)
    cipher = PacketCipher(algo, KEY, IV_OF[algo])
    for length in LENGTHS:
        body = bytes(i * 7 % 256 for i in range(length))
        theirs = sdk.ask_bytes("encrypt", 5, body.hex())
        assert cipher.decrypt_untrusted(theirs) == body
        assert cipher.encrypt(body) == theirs
        assert sdk.ask_bytes("decrypt", 5, theirs.hex()) == body


@pytest.mark.parametrize(
    ("with_file", "is_encrypt", "encrypt_all", "asked"),
    [
        (True, True, False, EncAlgo.AES_CBC),
        (True, True, True, EncAlgo.AES_CBC),
        (True, False, False, EncAlgo.NONE),
        (False, False, False, EncAlgo.NONE),
    ],
    ids=["is_encrypt", "enable_proto_encrypt", "RSA file alone", "plain"],
)
def test_a_context_as_our_client(
    with_file: bool, is_encrypt: bool, encrypt_all: bool, asked: EncAlgo, sdk: SdkCrypto, key_file: Path
) -> None:
    if with_file:
        sdk.ask("rsa_file", str(key_file))
    sdk.ask("encrypt_all", encrypt_all)
    server = ServerSide(RsaKey.load(key_file), MAX_BODY)

    wire = sdk.ask_bytes("init_connect", is_encrypt)
    [(header, body)] = split(server.receive_untrusted(wire))
    assert (body in wire) is not with_file
    assert handshake.client_hello_untrusted(body, 0).packet_enc_algo == asked
    assert server.asked is asked
    assert server.plain_from_now_on is (asked is EncAlgo.NONE)

    secrets = conn_secrets(asked, bytes(range(24)))
    server.use(asked, secrets.aes_key, secrets.aes_cbc_iv)
    answer(server, sdk, header, secrets.aes_key, secrets.aes_cbc_iv, is_encrypt=is_encrypt)

    wire = sdk.ask_bytes("keep_alive", 4711)
    [(_, body)] = split(server.receive_untrusted(wire))
    assert (body in wire) is not is_encrypt
    assert opend.KeepAliveRequest.FromString(body).c2s.time > 0
    reply = server.seal(frame(KEEP_ALIVE, handshake.keep_alive_reply(1234, 0)))
    assert sdk.ask("read_keep_alive", reply.hex(), 4711, is_encrypt) == 1234

    # Packed while the context was not connected: plain, unless encryption is asked for globally.
    if not encrypt_all:
        packed = sdk.ask_bytes("keep_alive", 0)
        assert server.receive_untrusted(packed) == packed


@pytest.mark.parametrize("algo", AES)
def test_a_context_goes_by_the_reply(algo: EncAlgo, sdk: SdkCrypto, key_file: Path) -> None:
    """It asks for AES_CBC and takes what it gets."""
    sdk.ask("rsa_file", str(key_file))
    server = ServerSide(RsaKey.load(key_file), MAX_BODY)
    [(header, _)] = split(server.receive_untrusted(sdk.ask_bytes("init_connect", True)))
    server.use(algo, KEY, IV_OF[algo])
    answer(server, sdk, header, KEY, IV_OF[algo], is_encrypt=True)
    [(_, body)] = split(server.receive_untrusted(sdk.ask_bytes("keep_alive", 4711)))
    assert opend.KeepAliveRequest.FromString(body).c2s.time > 0
    reply = server.seal(frame(KEEP_ALIVE, handshake.keep_alive_reply(1234, 0)))
    assert sdk.ask("read_keep_alive", reply.hex(), 4711, True) == 1234


def answer(server: ServerSide, sdk: SdkCrypto, header: bytes, key: str, iv: str | None, *, is_encrypt: bool) -> None:
    """Send the InitConnect reply; the SDK must find the same in it."""
    s2c = opend.InitConnectS2C(serverVer=1011, loginUserID=7, connID=4711, connAESKey=key, keepAliveInterval=10)
    if iv is not None:
        s2c.aesCBCiv = iv
    body = serialized(opend.InitConnectResponse(retType=0, s2c=s2c))
    (serial_no,) = struct.unpack_from("<I", header, 8)
    reply = server.seal(frame(INIT, body, serial_no=serial_no))
    found = sdk.ask("read_init_connect", reply.hex(), is_encrypt)
    assert (found["conn_id"], found["conn_key"], found["conn_iv"]) == (4711, key, iv)


@pytest.mark.parametrize("algo", AES)
def test_our_link_to_a_peer_that_encrypts_as_the_sdk_does(algo: EncAlgo, sdk: SdkCrypto, key_file: Path) -> None:
    sdk.ask("rsa_file", str(key_file))
    sdk.ask("connection", 6, KEY, IV_OF[algo], True)
    client = ClientSide(RsaKey.load(key_file), MAX_BODY)
    [(_, sealed)] = split(client.seal(frame(INIT, hello(algo))))
    assert sdk.ask_bytes("rsa_decrypt", sealed.hex()) == hello(algo)

    s2c = opend.InitConnectS2C(connID=6, connAESKey=KEY, aesCBCiv=IV_OF[algo], keepAliveInterval=10)
    body = serialized(opend.InitConnectResponse(retType=0, s2c=s2c))
    reply = frame(INIT, body, lambda plain: sdk.ask_bytes("rsa_encrypt", plain.hex()))
    assert client.receive_untrusted(reply) == frame(INIT, body)

    for length in (0, 16, 100):
        plain = frame(KEEP_ALIVE, bytes(length))
        [(_, sealed)] = split(client.seal(plain))
        assert sdk.ask_bytes("decrypt", 6, sealed.hex()) == bytes(length)
        theirs = frame(KEEP_ALIVE, bytes(length), lambda plain: sdk.ask_bytes("encrypt", 6, plain.hex()))
        assert client.receive_untrusted(theirs) == plain
