"""A gate over time: keys that come, go and expire, restarts, the audit log and its disk, what prevents a start."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opendmux.wire.pb import opend_sim

from .gated import (
    PAPER,
    REAL,
    RESTING,
    FtClient,
    FutuProgram,
    Gate,
    Sim,
    acc_list_body,
    listed,
    modify_body,
    open_gate,
    order_body,
    quote_body,
    sub_body,
    unlock_body,
    wait_until,
)
from .harness import Opendmux

ORDER = order_body(PAPER, 100, RESTING)
WORTH = 100 * RESTING
Connect = Callable[..., FtClient]
UserMaker = Callable[[], FutuProgram]
PASSWORD_MD5 = "e10adc3949ba59abbe56e057f20f883e"


@pytest.fixture(scope="module")
def sim() -> Iterator[Sim]:
    found = Sim()
    yield found
    assert found.control.ask("violations")["violations"] == []
    found.close()


@pytest.fixture
def gate(sim: Sim, tmp_path: Path) -> Iterator[Gate]:
    with open_gate(tmp_path, sim.address) as found:
        yield found
    text = "\n".join(found.output) + (found.audit.read_text() if found.audit.is_file() else "")
    for secret in (*found.secrets, PASSWORD_MD5, "123456789"):
        assert secret not in text
    assert "Traceback" not in text


@pytest.fixture
def user(gate: Gate, futu_proto: Path) -> Iterator[UserMaker]:
    made: list[FutuProgram] = []

    def make() -> FutuProgram:
        made.append(FutuProgram("python", gate.port, futu_proto))
        return made[-1]

    yield make
    for program in made:
        program.__exit__(None, None, None)


@pytest.fixture
def connect(gate: Gate) -> Iterator[Callable[..., FtClient]]:
    made: list[FtClient] = []

    def make(key: str = "raw", *, trades: bool = False) -> FtClient:
        made.append(FtClient(gate.port, key, trades=trades))
        return made[-1]

    yield make
    for client in made:
        client.close()


def text_of(answer: bytes) -> str:
    return opend_sim.PlaceOrderResponse.FromString(answer).retMsg


def placed(answer: bytes) -> bool:
    return opend_sim.PlaceOrderResponse.FromString(answer).retType == 0


# -- keys that come and go


def test_a_reload(gate: Gate, user: UserMaker, connect: Connect) -> None:
    keys = {name: gate.add(name, "qot:read,acc:read,trade:simulate") for name in ("stays", "goes", "narrows")}
    gate.start()
    program = user()
    for name, key in keys.items():
        program.stream(name, key)
    clients = {name: connect(key, trades=True) for name, key in keys.items()}
    gate.revoke("goes")
    gate.edit("narrows", scopes=["qot:read"])
    keys["comes"] = gate.add("comes", "acc:read")
    assert program.request(2001, acc_list_body(), keys["comes"])["code"] == "UNAUTHENTICATED"
    gate.reload("were read again")
    end = program.wait_end("goes")
    assert end["code"] == "UNAUTHENTICATED"
    assert "revoked" in end["text"]
    with pytest.raises(ConnectionError):
        clients["goes"].ask(1002, b"\x0a\x00")
    assert connect(keys["goes"]).hello.retType == -1
    assert program.request(3004, quote_body(), keys["goes"])["code"] == "UNAUTHENTICATED"
    assert listed(program.ok(2001, acc_list_body(), keys["comes"]))
    assert program.request(2202, ORDER, keys["narrows"])["code"] == "PERMISSION_DENIED"
    assert "trade:" in text_of(clients["narrows"].ask(2202, ORDER))
    assert placed(clients["stays"].ask(2202, ORDER))
    program.wait_event("stays", lambda event: event.get("event_type") == "trade")
    program.ok(3001, sub_body(push=True), keys["narrows"])
    program.wait_event("narrows", lambda event: event.get("event_type") == "quote")
    assert not [e for e in program.events if e["stream"] == "narrows" and e.get("event_type") == "trade"]


@pytest.mark.parametrize("damage", ["{", "", '{"version": 1, "keys": [{"id": "a"}]}', None])
def test_a_broken_file_changes_nothing(gate: Gate, damage: str | None, connect: Connect) -> None:
    key = gate.add("a", "acc:read,trade:simulate")
    gate.start()
    client = connect(key, trades=True)
    if damage is None:
        gate.keys.unlink()
    else:
        gate.keys.write_text(damage)
    gate.reload("stays as it was")
    line = next(line for line in gate.proxy.errors if "stays as it was" in line)
    assert str(gate.keys) in line
    assert placed(client.ask(2202, ORDER))
    again = connect(key, trades=True)
    assert again.hello.retType == 0
    assert connect("fc_" + "0" * 64).hello.retType == -1


def test_a_key_expires_while_it_is_used(sim: Sim, gate: Gate, user: UserMaker, connect: Connect) -> None:
    key = gate.add("short", "qot:read,acc:read,trade:simulate")
    gate.start()
    program = user()
    program.stream("s", key)
    client = connect(key, trades=True)
    assert placed(client.ask(2202, ORDER))
    gate.edit("short", expires_at=time.time() + 2)
    gate.reload("were read again")
    end = program.wait_end("s")
    assert (end["code"], "expired" in end["text"]) == ("UNAUTHENTICATED", True)
    wait_until(lambda: connect(key).hello.retType == -1, "it still works")
    before = sim.writes()
    with contextlib.suppress(ConnectionError):  # it is told, or has been told to go
        assert "expired" in text_of(client.ask(2202, ORDER))
    assert sim.writes() == before
    with pytest.raises(ConnectionError):
        client.ask(1002, b"\x0a\x00")
    assert program.request(1002, b"\x0a\x00", key)["code"] == "UNAUTHENTICATED"


def test_a_rotation_with_an_overlap(gate: Gate, user: UserMaker) -> None:
    old = gate.add("bot", "qot:read,trade:simulate", "--max-orders-per-minute", "2")
    gate.start()
    program = user()
    program.ok(2202, ORDER, old)
    new = gate.rotate("bot", "--overlap", "8s")
    gate.reload("were read again")
    program.stream("old", old)
    program.stream("new", new)
    program.ok(2202, ORDER, new)
    assert program.request(2202, ORDER, old)["code"] == "RESOURCE_EXHAUSTED", "one key, one allowance"
    assert program.wait_end("old")["code"] == "UNAUTHENTICATED"
    assert program.request(1002, b"\x0a\x00", old)["code"] == "UNAUTHENTICATED"
    program.ok(1002, b"\x0a\x00", new)
    assert not [e for e in program.events if e["stream"] == "new" and "end" in e]


# -- daily values


def test_a_daily_value_is_shared_and_survives(sim: Sim, gate: Gate, user: UserMaker, connect: Connect) -> None:
    key = gate.add("bot", "acc:read,trade:simulate", "--max-daily-value", str(4 * WORTH + 1))
    gate.start()
    program, client = user(), connect(key, trades=True)
    program.ok(2202, ORDER, key)
    assert placed(client.ask(2202, ORDER))
    sim.control.ask("refuse", proto_id=2202, text="no such luck")
    assert "no such luck" in text_of(client.ask(2202, ORDER))
    assert program.request(2202, ORDER, key)["ret_msg"] == "no such luck"
    sim.control.ask("refuse", proto_id=2202)
    gate.proxy.popen.kill()
    gate.stop()
    gate.start()
    client = connect(key, trades=True)
    answer = opend_sim.PlaceOrderResponse.FromString(client.ask(2202, ORDER))
    order_id = answer.s2c.orderIDEx
    gate.stop()
    gate.start()
    program, client = user(), connect(key, trades=True)
    before = sim.writes()
    refused = program.request(2202, order_body(PAPER, 200, RESTING), key)
    assert refused["code"] == "RESOURCE_EXHAUSTED"
    assert f"{3 * WORTH} is used today, {WORTH + 1} is left" in refused["text"]
    assert int(refused["retry_ms"]) <= 86_400_000
    assert f"{WORTH + 1} is left" in text_of(client.ask(2202, order_body(PAPER, 200, RESTING)))
    assert sim.writes() == before
    assert placed(client.ask(2205, modify_body(PAPER, order_id, 1, 200, RESTING))), "counts by its increase"
    assert program.request(2202, ORDER, key)["code"] == "RESOURCE_EXHAUSTED"
    assert placed(client.ask(2205, modify_body(PAPER, order_id, 2))), "a cancel is never limited"
    gate.wait_metric("futu_auth_limit_rejects_total", 2, iface="grpc", key_id="bot", reason="daily")
    gate.wait_metric("futu_auth_limit_rejects_total", 1, iface="tcp", key_id="bot", reason="daily")


# -- the audit log


def test_the_audit_of_all_this(sim: Sim, gate: Gate, user: UserMaker, connect: Connect) -> None:
    key = gate.add("bot", "qot:read,acc:read,trade:simulate,trade:real")
    weak = gate.add("weak", "qot:read")
    gate.start()
    program, client = user(), connect(key, trades=True)
    program.ok(2005, unlock_body(PASSWORD_MD5), key)
    program.request(2005, unlock_body("123456789" * 3), key)
    program.ok(2202, ORDER, key)
    assert placed(client.ask(2202, order_body(REAL, 100, RESTING)))
    sim.control.ask("refuse", proto_id=2202, text=f"it was {key}")
    program.request(2202, ORDER, key)
    sim.control.ask("refuse", proto_id=2202)
    program.request(2202, ORDER, weak)
    program.request(3004, quote_body(), weak)
    program.request(3004, quote_body(), "fc_" + "9" * 64)
    wait_until(lambda: len(gate.outcomes("proto_id=2202", "bot")) == 6, str(gate.outcomes("proto_id=2202", "bot")))
    assert gate.outcomes("proto_id=2202", "bot") == ["allow", "success", "allow", "success", "allow", "failure"]
    assert gate.outcomes("proto_id=2005", "bot")[0] == "allow"
    assert gate.outcomes("proto_id=2202", "weak") == ["reject"]
    assert gate.outcomes("proto_id=3004", "weak") == []
    events = [event for event in gate.audited() if event["endpoint"] == "proto_id=2202" and event["key_id"] == "bot"]
    assert [event["iface"] for event in events] == ["grpc", "grpc", "tcp", "tcp", "grpc", "grpc"]
    assert {event["order"]["code"] for event in events} == {"00700"}
    assert [event["order"]["env"] for event in events][1:4] == ["simulate", "real", "real"]
    assert all(event["upstream_serial"] and re.fullmatch("[0-9a-f]{16}", event["args_hash"]) for event in events)
    assert all(event["peer"].startswith("127.0.0.1:") for event in events)
    scopes = [event["scope"] for event in events if event["outcome"] == "allow"]
    assert scopes == ["trade:simulate", "trade:real", "trade:simulate"]
    [reject] = [event for event in gate.audited() if event["key_id"] == "weak"]
    assert (reject["reason"], reject["upstream_serial"]) == ("scope", 0)
    wait_until(lambda: "<invalid>" in {event["key_id"] for event in gate.audited()}, gate.audit.read_text())
    body = gate.http("/metrics")[1]
    assert not [secret for secret in gate.secrets if secret in body]
    gate.stop()
    judge(gate)


def judge(gate: Gate) -> None:
    """Whole as it is; an edited copy, and one that lacks a line, are found."""
    gate.verify()
    assert gate.audit.stat().st_mode & 0o777 == 0o600
    lines = gate.audit.read_text().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if '"outcome":"success"' in line)
    copies = {"edited": [*lines[:at], lines[at].replace("success", "failure"), *lines[at + 1 :]]}
    copies["removed"] = [*lines[:at], *lines[at + 1 :]]
    for name, copy in copies.items():
        path = gate.folder / f"{name}.jsonl"
        path.write_text("".join(copy))
        assert name in gate.verify(path, code=1) or str(at + 1) in gate.verify(path, code=1)


def test_a_disk_that_is_full(sim: Sim, gate: Gate, user: UserMaker, connect: Connect) -> None:
    """The process may not write files over a size: trade writes are refused, reads go on, and it is said."""
    key = gate.add("bot", "qot:read,acc:read,trade:simulate")
    gate.start()
    import resource

    program = user()
    program.ok(2202, ORDER, key)
    assert gate.http("/readyz")[0] == 200
    pid = gate.proxy.popen.pid
    size = gate.audit.stat().st_size
    _soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 10, hard))
    program.request(2202, ORDER, key)  # the one that finds out: sent, and its answer waits a moment
    before = sim.writes()
    answer = program.request(2202, ORDER, key)
    assert answer["code"] == "UNAVAILABLE"
    assert "the audit log can't be written" in answer["text"]
    client = connect(key, trades=True)
    assert "the audit log can't be written" in text_of(client.ask(2202, ORDER))
    program.ok(1002, b"\x0a\x00", key)
    assert listed(program.ok(2001, acc_list_body(), key))
    assert sim.writes() == before
    status, text = gate.http("/readyz")
    assert (status, "audit log" in text) == (503, True)
    assert gate.http("/livez")[0] == 200
    gate.wait_metric("opendmux_audit_queued", 1)
    assert gate.metric("opendmux_audit_healthy") == 0
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    wait_until(lambda: gate.http("/readyz")[0] == 200, "it does not recover", pause_s=0.1)
    program.ok(2202, ORDER, key)
    gate.stop()
    gate.verify()
    assert gate.outcomes("proto_id=2202", "bot").count("success") == 3


# -- without keys


def test_without_keys(sim: Sim, gate: Gate, user: UserMaker, connect: Connect) -> None:
    """The SDK's protocol as if OpenD itself were there, 1006, 1008 and 1009 included; gRPC reads and simulates."""
    sim.control.ask("lock", on=False)
    gate.start(keys=False)
    assert "no keys, this machine only" in gate.proxy.text()
    with gate.sdk("trade", "a") as sdk:
        sdk.wait_ready()
        sdk.ok("unlock_trade", "123456")
        for env in ("REAL", "SIMULATE"):
            sdk.ok("place_order", RESTING, 100, "HK.00700", "BUY", trd_env=env)
        sdk.finish()
    client = connect()
    for proto_id in (1006, 1008, 1009):
        client.ask(proto_id, b"\x0a\x00")
    assert all(sim.counts().get(proto_id) for proto_id in (1006, 1008, 1009))
    program = user()
    before = sim.counts()
    program.ok(2202, ORDER)
    assert listed(program.ok(2001, acc_list_body()))
    program.stream("open")
    for proto_id, body in ((2202, order_body(REAL, 100, RESTING)), (2005, unlock_body()), (1006, b""), (3220, b"")):
        assert program.request(proto_id, body)["code"] == "PERMISSION_DENIED", proto_id
    assert program.request(3004, quote_body(), "fc_" + "0" * 64)["code"] == "UNAUTHENTICATED"
    after = sim.counts()
    assert [after.get(n, 0) - before.get(n, 0) for n in (2202, 2005, 1006, 3220)] == [1, 0, 0, 0]


def test_without_keys_and_insecure(sim: Sim, gate: Gate, user: UserMaker) -> None:
    sim.control.ask("lock", on=True)
    gate.start("--insecure-allow-trading", keys=False)
    assert "everything, real trading included" in gate.proxy.text()
    program = user()
    program.ok(2005, unlock_body())
    program.ok(2202, order_body(REAL, 100, RESTING))
    assert program.request(1008, b"")["code"] == "OK"


# -- what keeps it from starting


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_other_machines_without_keys(host: str) -> None:
    with Opendmux("--upstream", "sim", "--listen", f"{host}:0") as proxy:
        assert proxy.wait() == 2
        assert "without keys would let other machines trade" in proxy.text()
        assert "--keys" in proxy.text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_order_valeu": 5}, "'max_order_valeu'"),
        ({"limits": {"max_order_value": "much"}}, "max_order_value"),
        ({"limits": {"hours_window": "9-17"}}, "hours_window"),
        ({"scopes": ["qot:raed"]}, "qot:raed"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"hash": "abc"}, "hash"),
    ],
)
def test_a_mistake_in_the_keys(sim: Sim, tmp_path: Path, change: dict[str, object], words: str) -> None:
    gate = Gate(tmp_path, sim.address)
    gate.add("good", "qot:read")
    gate.add("bad", "qot:read")
    gate.edit("bad", **change)
    before = len(sim.control.ask("report")["connections"])
    with Opendmux("--upstream", sim.address, "--listen", "127.0.0.1:0", "--keys", str(gate.keys)) as proxy:
        assert proxy.wait() == 2
        said = proxy.text()
    assert "key 'bad'" in said
    assert words in said
    assert "Traceback" not in said
    assert len(sim.control.ask("report")["connections"]) == before, "found before OpenD is touched"


def test_what_else_keeps_it_from_starting(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("hello\n")
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"version": 1, "keys": []}))
    for words, said in (
        (["--keys", str(tmp_path / "none")], "none"),
        (["--audit-log", str(tmp_path / "no" / "such" / "a.jsonl")], "a.jsonl"),
        (["--audit-log", str(tmp_path / "other")], "other"),
        (["--keys", str(keys), "--insecure-allow-trading"], "insecure-allow-trading"),
    ):
        with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0", *words) as proxy:
            assert proxy.wait() == 2, proxy.text()
            assert said in proxy.text()
            assert "Traceback" not in proxy.text()
