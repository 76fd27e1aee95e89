"""Encrypted clients, plain clients and an encrypted upstream, with the real SDK in processes of its own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from opendmux.wire.cipher import EncAlgo, RsaKey
from opendmux.wire.frame import Frame, Splitter, build_frame
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from opendmux.wire.secure import ClientSide

from .harness import PATIENCE_S, Control, Opendmux, Process, SdkProgram

SIMULATED = {"trd_env": "SIMULATE"}
MAX_BODY = 1 << 24


@dataclass
class Keys:
    clients: str
    upstream: str
    stranger: str


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    directory = tmp_path_factory.mktemp("keys")
    return Keys(*(new_key(directory / f"{name}.pem") for name in ("clients", "upstream", "stranger")))


def new_key(path: Path) -> str:
    private_key = rsa.generate_private_key(65537, 1024)
    path.write_bytes(private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return str(path)


@dataclass
class Stage:
    sim: Process
    proxy: Opendmux
    control: Control
    tmp_path: Path
    programs: int = 0

    def program(self, kind: str, key: str | None = None, *, encrypt: bool = True) -> SdkProgram:
        """With ``key`` the program encrypts InitConnect, and with ``encrypt`` everything else too."""
        self.programs += 1
        extra: dict[str, Any] = {}
        if key is not None:
            extra["sys"] = {"enable_proto_encrypt": [encrypt], "set_init_rsa_file": [key]}
        return SdkProgram(kind, self.proxy.port, self.tmp_path / f"home{self.programs}", **extra)

    def check_upstream(self) -> None:
        assert self.control.ask("violations")["violations"] == []
        assert len(self.control.ask("report")["connections"]) == 1


@contextmanager
def staged(tmp_path: Path, keys: Keys, *, upstream: bool, clients: bool = True) -> Iterator[Stage]:
    """A simulator, with ``upstream`` an encrypted one, and a proxy that may encrypt for its clients."""
    with ExitStack() as stack:
        arguments = ["--rsa-private-key", keys.upstream] if upstream else []
        sim = stack.enter_context(
            Opendmux("sim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--strict-serials", *arguments)
        )
        found = sim.wait_for(r"OpenD on (\S+), seed 1, control on \S+:(\d+)")
        control = Control(int(found[2]))
        stack.callback(control.close)
        lines = [f"rsa_private_key = '{keys.clients}'"] if clients else []
        lines += [f"upstream_rsa_private_key = '{keys.upstream}'"] if upstream else []
        config = tmp_path / "opendmux.toml"
        config.write_text("\n".join(lines))
        proxy = stack.enter_context(
            Opendmux("--listen", "127.0.0.1:0", "--upstream", found[1], "--config", str(config))
        )
        yield Stage(sim, proxy.wait_ready(), control, tmp_path)


def check_quotes(program: SdkProgram) -> None:
    assert program.ok("get_global_state")["qot_logined"]
    program.ok("subscribe", ["HK.00700"], ["QUOTE", "TICKER"])
    assert program.saw_push("quote", lambda _rows: True)[0]["code"] == "HK.00700"
    sequences = [program.wait_push("ticker")[0]["sequence"] for _ in range(3)]
    assert len(set(sequences)) == 3
    assert program.ok("get_stock_quote", ["HK.00700"])[0]["last_price"] > 0


def check_order(program: SdkProgram) -> None:
    placed = program.ok("place_order", 1.0, 100, "HK.00700", "BUY", order_type="NORMAL", **SIMULATED)[0]
    program.saw_push("order", lambda rows: rows[0]["order_id"] == placed["order_id"])
    program.ok("modify_order", "CANCEL", placed["order_id"], 0, 0, **SIMULATED)
    cancelled = ("CANCELLED_ALL", placed["order_id"])
    program.saw_push("order", lambda rows: (rows[0]["order_status"], rows[0]["order_id"]) == cancelled)


@pytest.mark.parametrize("upstream", [False, True], ids=["upstream plain", "upstream encrypted"])
@pytest.mark.parametrize("client", [False, True], ids=["client plain", "client encrypted"])
def test_quotes_and_orders(tmp_path: Path, keys: Keys, client: bool, upstream: bool) -> None:
    key = keys.clients if client else None
    with (
        staged(tmp_path, keys, upstream=upstream, clients=client) as stage,
        stage.program("quote", key) as quotes,
        stage.program("trade", key) as trader,
    ):
        check_quotes(quotes.wait_ready())
        check_order(trader.wait_ready())
        quotes.finish()
        trader.finish()
        stage.check_upstream()


@pytest.mark.parametrize("upstream", [False, True], ids=["upstream plain", "upstream encrypted"])
def test_every_kind_of_client_at_once_on_one_port(tmp_path: Path, keys: Keys, upstream: bool) -> None:
    with ExitStack() as stack:
        stage = stack.enter_context(staged(tmp_path, keys, upstream=upstream))
        programs = [
            stack.enter_context(stage.program(kind, key, encrypt=encrypt))
            for kind in ("quote", "trade")
            # The last one sends InitConnect by RSA and everything else plain.
            for key, encrypt in ((None, False), (keys.clients, True), (keys.clients, False))
        ]
        conn_ids = {program.wait_ready().conn_id for program in programs}
        assert len(conn_ids) == len(programs)
        for program in programs[:3]:
            check_quotes(program)
        for program in programs[3:]:
            check_order(program)
        for program in programs[:3]:
            program.wait_push("ticker")
        stage.check_upstream()
        assert len(stage.control.ask("subscriptions")["now"]) == 2, "one subscription per code and type"
        for program in programs:
            program.finish()


def test_another_key_is_turned_away_and_hurts_nobody(tmp_path: Path, keys: Keys) -> None:
    with (
        staged(tmp_path, keys, upstream=True) as stage,
        stage.program("quote", keys.clients) as good,
        stage.program("quote", keys.stranger) as stranger,
    ):
        good.wait_ready()
        good.ok("subscribe", ["HK.00700"], ["TICKER"])
        stage.proxy.wait_for_error(r"InitConnect.*RSA key")
        with RawClient(stage.proxy.port, keys.stranger) as raw:
            raw.send(ProtoId.INIT_CONNECT, encode(init_connect(EncAlgo.AES_CBC)))
            assert raw.read_wire() == b"", "nothing but the end of the stream"
        good.wait_push("ticker")
        assert good.ok("get_global_state")["qot_logined"]
        assert not any("ready" in line for line in stranger.lines if line.startswith("@@"))
        good.finish()
        stranger.popen.kill()
        stage.check_upstream()


def test_an_upstream_with_another_key_is_said_clearly(tmp_path: Path, keys: Keys) -> None:
    with Opendmux("sim", "--listen", "127.0.0.1:0", "--rsa-private-key", keys.upstream) as sim:
        address = sim.wait_for(r"OpenD on (\S+), seed")[1]
        for line, hint in (
            ("", "OpenD may want encryption"),
            (f"upstream_rsa_private_key = '{keys.stranger}'", "RSA key may not be OpenD's"),
        ):
            config = tmp_path / "opendmux.toml"
            config.write_text(line)
            with Opendmux("--listen", "127.0.0.1:0", "--upstream", address, "--config", str(config)) as proxy:
                proxy.wait_for_error(rf"OpenD at {address}.*OpenD closed the connection.*{hint}")


# -- what no official SDK asks for


class RawClient:
    """One TCP connection that encrypts, in the way its InitConnect asks for."""

    def __init__(self, port: int, key: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.side = ClientSide(RsaKey.load(key), MAX_BODY)
        self.splitter = Splitter(MAX_BODY)
        self.frames: list[Frame] = []
        self.serial_no = 0

    def send(self, proto_id: int, body: bytes) -> None:
        self.serial_no += 1
        self.socket.sendall(self.side.seal(build_frame(proto_id, 0, self.serial_no, body)))

    def read_wire(self) -> bytes:
        return self.socket.recv(65536)

    def wait(self, proto_id: int) -> Frame:
        while True:
            for place, frame in enumerate(self.frames):
                if frame.proto_id == proto_id:
                    assert frame.sha1_matches()
                    return self.frames.pop(place)
            chunk = self.read_wire()
            assert chunk, "the connection was closed"
            assert b"00700" not in chunk, "something came in the clear"
            self.frames += self.splitter.feed_untrusted(self.side.receive_untrusted(chunk))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.socket.close()


def init_connect(algo: EncAlgo | None) -> opend.InitConnectRequest:
    c2s = opend.InitConnectC2S(clientVer=300, clientID="raw", recvNotify=True)
    if algo is not None:
        c2s.packetEncAlgo = algo
    return opend.InitConnectRequest(c2s=c2s)


@pytest.mark.parametrize("algo", [None, EncAlgo.FTAES_ECB, EncAlgo.AES_ECB, EncAlgo.AES_CBC], ids=str)
def test_every_mode_through_the_proxy(tmp_path: Path, keys: Keys, algo: EncAlgo | None) -> None:
    with staged(tmp_path, keys, upstream=True) as stage, RawClient(stage.proxy.port, keys.clients) as raw:
        raw.send(ProtoId.INIT_CONNECT, encode(init_connect(algo)))
        hello = opend.InitConnectResponse.FromString(raw.wait(ProtoId.INIT_CONNECT).body)
        assert hello.retType == 0
        assert hello.s2c.HasField("aesCBCiv") == (algo in {EncAlgo.AES_ECB, EncAlgo.AES_CBC})
        subscribe = opend.SubC2S(
            securityList=[opend.Security(market=1, code="00700")],
            subTypeList=[1],
            isSubOrUnSub=True,
            isRegOrUnRegPush=True,
        )
        raw.send(ProtoId.QOT_SUB, encode(opend.SubRequest(c2s=subscribe)))
        assert opend.SubResponse.FromString(raw.wait(ProtoId.QOT_SUB).body).retType == 0
        for _ in range(2):
            assert b"00700" in raw.wait(ProtoId.QOT_UPDATE_BASIC_QOT).body
        stage.check_upstream()
