"""The log of a whole process: no secrets at the most talkative level, JSON lines, and what SIGHUP changes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio_websocket import ConnectionRejected, wrap_client_stream

from opendmux.wire.frame import build_frame

from .gated import REAL, FtClient, FutuProgram, Gate, Sim, acc_list_body, open_gate, order_body, unlock_body
from .harness import PATIENCE_S, SdkProgram
from .test_encryption import new_key

PASSWORD_MD5 = hashlib.md5(b"correct horse").hexdigest()
WRONG_KEY = "fc_" + "5a" * 32


@pytest.fixture(scope="module")
def sim() -> Iterator[Sim]:
    with contextlib.closing(Sim()) as simulator:
        yield simulator


@pytest.fixture
def gate(tmp_path: Path, sim: Sim) -> Iterator[Gate]:
    with open_gate(tmp_path, sim.address) as gate:
        yield gate


def lines(gate: Gate) -> list[dict[str, object]]:
    return [json.loads(line) for line in gate.proxy.errors]


def test_no_secret_reaches_the_log(gate: Gate) -> None:
    """Keys as a client id, as Bearer and in a path, good ones and bad ones, and the hash of a trading password."""
    key = gate.add("bot", "qot:read,acc:read,trade:real,trade:simulate")
    gate.start("--log-format", "json")
    client = FtClient(gate.port, key)
    client.ask(2001, acc_list_body())
    client.ask(2005, unlock_body(PASSWORD_MD5))
    client.ask(2202, order_body(REAL, price=1.0))
    client.close()
    for shown in (WRONG_KEY, key[:-1], f" {key}"):
        with contextlib.suppress(ConnectionError):
            FtClient(gate.port, shown).close()
    for bearer in (key, WRONG_KEY, f"{key} {WRONG_KEY}"):
        gate.http("/metrics", Authorization=f"Bearer {bearer}")
    gate.http(f"/{key}?key={WRONG_KEY}", Authorization="Basic " + key)
    gate.stop()
    (output,) = gate.output
    assert "UnlockTrade" in output, "the debug level names every request that the gate sees"
    for secret in (key[3:-1], WRONG_KEY[3:], PASSWORD_MD5):
        assert secret not in output


def test_json_lines_name_the_client(gate: Gate) -> None:
    key = gate.add("bot", "qot:read,acc:read")
    gate.start("--log-format", "json")
    client = FtClient(gate.port, key)
    client.ask(2001, acc_list_body())
    client.close()
    gate.stop()
    found = lines(gate)
    assert all({"ts", "level", "logger", "msg"} <= set(line) for line in found)
    about = [line for line in found if line.get("key") == "bot"]
    assert about, found
    assert {line["transport"] for line in about} == {"tcp"}
    assert len({line["conn"] for line in about}) == 1


def test_hang_up_takes_over_what_it_can(gate: Gate) -> None:
    gate.add("bot", "qot:read")
    gate.start(toml="[limits]\nin_flight = 9\n")
    config = gate.folder / "opendmux.toml"
    config.write_text("[limits]\nin_flight = 8\nextra_lanes = 2\n")
    gate.reload("were read again")
    said = "\n".join(gate.proxy.errors)
    assert "limits.in_flight: 9 -> 8, for clients that connect from then on" in said
    assert "limits.extra_lanes: 4 -> 2 needs a restart" in said
    config.write_text("[limits]\nin_fligth = 8\n")
    gate.reload("the settings of before stay in force")
    assert "[limits] has an unknown key 'in_fligth'; did you mean 'in_flight'?" in gate.proxy.text()


# -- all transports


RSA_LINES = 6
"""Of the key file, enough to find it by any of them."""


async def websocket(port: int, path: str, headers: list[tuple[bytes, bytes]]) -> None:
    """FT frames over WebSocket: the accounts and an unlock, or a refusal."""
    try:
        with trio.fail_after(PATIENCE_S):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            async with stream, trio.open_nursery() as nursery:
                ws = await wrap_client_stream(nursery, stream, "localhost", path, extra_headers=headers)
                for proto_id, body in ((2001, acc_list_body()), (2005, unlock_body(PASSWORD_MD5))):
                    await ws.send_message(build_frame(proto_id, 0, proto_id, body))
                    await ws.get_message()
                await ws.aclose()
    except* ConnectionRejected:
        assert WRONG_KEY in path


def session_over_all_transports(gate: Gate, key: str, proto: Path) -> None:
    client = FtClient(gate.port, key)
    client.ask(2001, acc_list_body())
    client.ask(2005, unlock_body(PASSWORD_MD5))
    client.ask(2202, order_body(REAL, price=1.0))
    client.close()
    for shown in (WRONG_KEY, f" {key}"):
        with contextlib.suppress(ConnectionError):
            FtClient(gate.port, shown).close()
    with FutuProgram("python", gate.port, proto) as program:
        program.request(2001, acc_list_body(), key)
        program.request(2005, unlock_body(PASSWORD_MD5), key)
        program.request(2005, unlock_body(PASSWORD_MD5), WRONG_KEY)
    for bearer in (key, WRONG_KEY, f"{key} {WRONG_KEY}"):
        gate.http("/v1/status", Authorization=f"Bearer {bearer}")
    gate.http(f"/{key}?key={WRONG_KEY}&token={key}", Authorization="Basic " + key)
    gate.http(f"/v1/status?token={key}", **{f"X-{key[:20]}": PASSWORD_MD5})
    for path in (f"/ws?token={key}", f"/ws?token={WRONG_KEY}"):
        trio.run(websocket, gate.port, path, [])
    trio.run(websocket, gate.port, "/ws", [(b"authorization", f"Bearer {key}".encode())])
    secret = {"set_client_info": [key, 1], "enable_proto_encrypt": [True]}
    secret["set_init_rsa_file"] = [str(gate.folder / "rsa.pem")]
    with SdkProgram("quote", gate.port, gate.folder / "sdk", sys=secret) as sdk:
        sdk.wait_ready().ok("get_global_state")
        sdk.finish()


def test_no_secret_is_anywhere_that_somebody_may_read(tmp_path: Path, sim: Sim, futu_proto: Path) -> None:
    """Keys (good, bad, in a URL, in a header's name), the hash of a trading password, the RSA key: in logs of both
    formats at the most talkative level, the audit log, metrics, status, and what the commands print."""
    rsa = tmp_path / "rsa.pem"
    new_key(rsa)
    with open_gate(tmp_path, sim.address) as gate:
        key = gate.add("bot", "qot:read,acc:read,trade:real,trade:simulate,trade:unlock,admin")
        said = ""
        for log_format in ("human", "json"):
            gate.start("--log-format", log_format, toml=f'rsa_private_key = "{rsa}"\n')
            session_over_all_transports(gate, key, futu_proto)
            said += gate.http("/metrics", Authorization=f"Bearer {key}")[1]
            said += gate.http("/v1/status", Authorization=f"Bearer {key}")[1]
            said += "".join(gate.http(path)[1] for path in ("/", "/livez", "/readyz"))
            said += gate.cli("config", "show", str(tmp_path / "opendmux.toml"), "--keys", str(gate.keys))
            here = ["--connect", f"127.0.0.1:{gate.port}"]
            said += "".join(gate.cli(*words, *here) for words in (["status"], ["clients", "list"], ["top", "--once"]))
            gate.stop()
        said += gate.cli("keys", "list", "--json", "--keys", str(gate.keys)) + gate.audit.read_text()
        said += "".join(gate.output)
    for word in ("UnlockTrade", "bot", '"transport":"grpc"', '"transport":"http"', "turned away"):
        assert word in said, "the log is of these sessions"
    secrets = [key[3:-1], WRONG_KEY[3:], PASSWORD_MD5, *rsa.read_text().splitlines()[1:RSA_LINES]]
    assert [secret for secret in secrets if secret in said] == []


CLIENT_FIELDS = {"conn", "peer", "transport", "key"}


def test_lines_about_a_client_have_all_its_fields(gate: Gate, futu_proto: Path) -> None:
    """Begin, refusal, order and end of sessions with a key, by each transport; who has none names itself as far."""
    key = gate.add("bot", "qot:read,acc:read")
    gate.start("--log-format", "json")
    client = FtClient(gate.port, key)
    client.ask(2001, acc_list_body())
    client.ask(2202, order_body(REAL, price=1.0))
    client.close()
    with FutuProgram("python", gate.port, futu_proto) as program:
        program.request(2202, order_body(REAL, price=1.0), key)
        program.request(2001, acc_list_body(), WRONG_KEY)
    gate.stop()
    found = lines(gate)
    refused = [line for line in found if "refused: " in str(line["msg"])]
    assert {line["transport"] for line in refused} == {"tcp", "grpc"}
    about = [line for line in found if re.match(r"#\d+ (tcp|grpc) ", str(line["msg"]))]
    assert {"tcp", "grpc"} == {line["transport"] for line in about}
    for line in about:
        assert set(line) >= CLIENT_FIELDS, line
        assert line["key"] == "bot"
    (away,) = [line for line in found if "turned away" in str(line["msg"])]
    assert (away["transport"], away["key"]) == ("grpc", "<invalid>")
    assert str(away["peer"]).startswith("127.0.0.1:")
