"""A simulator with an RSA key: what InitConnect decides, over memory streams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from opendmux.errors import ConfigError
from opendmux.sim import SimConfig, open_simulator
from opendmux.wire.cipher import EncAlgo, RsaKey
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from opendmux.wire.secure import ClientSide

from .kit import BASIC, TENCENT, Client, Play, playing

if TYPE_CHECKING:
    from trio.testing import MockClock

MAX_BODY = 1 << 20
GLOBAL_STATE = opend.GetGlobalStateRequest(c2s=opend.GetGlobalStateC2S(userID=0))
KEEP_ALIVE = encode(opend.KeepAliveRequest(c2s=opend.KeepAliveC2S(time=1)))


def key_file(directory: Path) -> str:
    path = directory / "key.pem"
    private_key = rsa.generate_private_key(65537, 1024)
    path.write_bytes(private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return str(path)


@pytest.fixture(scope="module")
def key_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return key_file(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="module")
def other_key_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return key_file(tmp_path_factory.mktemp("other"))


class SecureStream(trio.abc.Stream):
    """Encrypts what is sent and decrypts what comes; ``wire`` is all that came."""

    def __init__(self, stream: trio.abc.Stream, key_path: str) -> None:
        self.side = ClientSide(RsaKey.load(key_path), MAX_BODY)
        self.wire = b""
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(self.side.seal(bytes(data)))

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while chunk := bytes(await self._stream.receive_some(max_bytes)):
            self.wire += chunk
            if plain := self.side.receive_untrusted(chunk):
                return plain
        return b""

    async def aclose(self) -> None:
        await self._stream.aclose()


async def encrypted(play: Play, key_path: str) -> tuple[Client, SecureStream]:
    ours, theirs = trio.testing.memory_stream_pair()
    play.nursery.start_soon(play.sim.serve_stream, theirs)
    stream = SecureStream(ours, key_path)
    return Client(stream), stream


@pytest.mark.parametrize("algo", [EncAlgo.FTAES_ECB, EncAlgo.AES_ECB, EncAlgo.AES_CBC, None])
async def test_everything_behind_init_connect_is_encrypted(
    autojump_clock: MockClock, key_path: str, algo: EncAlgo | None
) -> None:
    async with playing(rsa_private_key=key_path) as play:
        client, stream = await encrypted(play, key_path)
        s2c = await client.init(**({} if algo is None else {"packetEncAlgo": algo}))
        assert len(s2c.connAESKey) == 16
        # The form of aesCBCiv is how a client tells the modes apart.
        assert s2c.HasField("aesCBCiv") == (algo in {EncAlgo.AES_ECB, EncAlgo.AES_CBC})
        assert len(s2c.aesCBCiv) == (16 if algo is EncAlgo.AES_CBC else 0)
        state = await client.call(ProtoId.GET_GLOBAL_STATE, GLOBAL_STATE, opend.GetGlobalStateResponse)
        assert state.s2c.connID == client.conn_id
        assert (await client.subscribe([TENCENT], [BASIC])).retType == 0
        assert (await client.frame()).sha1_matches()
        assert b"00700" not in stream.wire, "pushes too"
        assert play.sim.violations == []


async def test_keys_differ_from_connection_to_connection(autojump_clock: MockClock, key_path: str) -> None:
    async with playing(rsa_private_key=key_path) as play:
        replies = [await (await encrypted(play, key_path))[0].init(packetEncAlgo=EncAlgo.AES_CBC) for _ in range(2)]
        assert len({reply.connAESKey for reply in replies} | {reply.aesCBCiv for reply in replies}) == 4


async def test_init_connect_by_rsa_may_ask_for_plain_traffic(autojump_clock: MockClock, key_path: str) -> None:
    async with playing(rsa_private_key=key_path) as play:
        client, stream = await encrypted(play, key_path)
        await client.init(packetEncAlgo=EncAlgo.NONE)
        assert (await client.subscribe([TENCENT], [BASIC])).retType == 0
        assert (await client.frame()).sha1_matches()
        assert b"00700" in stream.wire
        assert play.sim.violations == []


async def test_a_plain_client_is_turned_away(autojump_clock: MockClock, key_path: str) -> None:
    async with playing(rsa_private_key=key_path) as play:
        client, _ = await encrypted(play, key_path)
        await client.init(packetEncAlgo=EncAlgo.AES_CBC)
        plain = await play.client(init=False)
        body = encode(opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=1, clientID="x")))
        await plain.send(ProtoId.INIT_CONNECT, body)
        with pytest.raises(trio.EndOfChannel):
            await plain.frame()
        assert [violation.rule for violation in play.sim.violations] == ["encryption"]
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)).retType == 0


async def test_another_key_is_turned_away(autojump_clock: MockClock, key_path: str, other_key_path: str) -> None:
    async with playing(rsa_private_key=key_path) as play:
        client, _ = await encrypted(play, other_key_path)
        body = encode(opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=1, clientID="x")))
        await client.send(ProtoId.INIT_CONNECT, body)
        with pytest.raises(trio.EndOfChannel):
            await client.frame()
        assert [violation.rule for violation in play.sim.violations] == ["encryption"]
        assert "RSA key" in play.sim.violations[0].text


async def test_frames_in_pieces(autojump_clock: MockClock, key_path: str) -> None:
    async with playing(rsa_private_key=key_path) as play:
        ours, theirs = trio.testing.memory_stream_pair()
        play.nursery.start_soon(play.sim.serve_stream, theirs)

        class Cut(SecureStream):
            async def send_all(self, data: bytes | bytearray | memoryview) -> None:
                for byte in self.side.seal(bytes(data)):
                    await ours.send_all(bytes([byte]))

        client = Client(Cut(ours, key_path))
        await client.init(packetEncAlgo=EncAlgo.AES_CBC)
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)).retType == 0


async def test_a_damaged_frame_is_refused_and_the_connection_goes_on(autojump_clock: MockClock, key_path: str) -> None:
    async with playing(rsa_private_key=key_path) as play:
        client, _ = await encrypted(play, key_path)
        await client.init(packetEncAlgo=EncAlgo.AES_CBC)
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE, sha1=b"0" * 20)).retType == -1
        assert [violation.rule for violation in play.sim.violations] == ["sha1"]
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)).retType == 0


async def test_junk_is_a_broken_stream(autojump_clock: MockClock, key_path: str) -> None:
    async with playing(rsa_private_key=key_path) as play:
        client, stream = await encrypted(play, key_path)
        await client.init(packetEncAlgo=EncAlgo.AES_CBC)
        await stream._stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(trio.EndOfChannel):
            await client.frame()
        assert [violation.rule for violation in play.sim.violations] == ["framing"]


async def test_a_key_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="RSA key file"):
        async with open_simulator(SimConfig(rsa_private_key=str(tmp_path / "none.pem"))):
            pass
