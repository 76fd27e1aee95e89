"""The log of a whole process: no secrets at the most talkative level, JSON lines, and what SIGHUP changes."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .gated import REAL, FtClient, Gate, Sim, acc_list_body, open_gate, order_body, unlock_body

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
