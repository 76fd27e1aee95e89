"""Programs that die or hang with the real SDK, and what becomes of their orders."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .gated import PAPER, RESTING, FutuProgram, Gate, Sim, open_gate, order_body, wait_until
from .harness import SdkProgram
from .test_status_commands import run

SCOPES = "qot:read,acc:read,trade:simulate"


@pytest.fixture
def sim() -> Iterator[Sim]:
    one = Sim()
    yield one
    assert one.control.ask("violations")["violations"] == []
    one.close()


@pytest.fixture
def gate(tmp_path: Path, sim: Sim) -> Iterator[Gate]:
    (tmp_path / "opendmux.toml").write_text(f'state_dir = "{tmp_path / "state"}"\n')
    with open_gate(tmp_path, sim.address) as one:
        yield one


def start(gate: Gate) -> None:
    gate.start("--config", str(gate.folder / "opendmux.toml"))


def program(gate: Gate, key: str, name: str = "sdk") -> SdkProgram:
    return gate.sdk("trade", name, key, context={"filter_trdmarket": "HK"}).wait_ready()


def place(sdk: SdkProgram) -> Any:
    account = {"trd_env": "SIMULATE", "acc_id": PAPER["acc_id"]}
    return sdk.call("place_order", RESTING, 100, "HK.00700", "BUY", **account)


def statuses(sim: Sim) -> list[str]:
    return [order["status"] for order in sim.orders()]


def kill(sdk: SdkProgram) -> None:
    sdk.signal(signal.SIGKILL)
    sdk.wait()


def test_a_program_that_is_killed_leaves_no_order_behind(gate: Gate, sim: Sim) -> None:
    mine = gate.add("mine", SCOPES, "--cancel-on-disconnect", "1")
    other = gate.add("other", SCOPES)
    start(gate)
    with ExitStack() as stack:
        stays = stack.enter_context(program(gate, other, "other"))
        assert place(stays)[0] == 0
        sdk = stack.enter_context(program(gate, mine))
        assert [place(sdk)[0] for _ in range(3)] == [0, 0, 0]
        sdk.ok("modify_order", "CANCEL", sdk.ok("order_list_query", trd_env="SIMULATE")[1]["order_id"], 0, 0,
               trd_env="SIMULATE", acc_id=PAPER["acc_id"])  # fmt: skip
        before = sim.counts()[2205]
        kill(sdk)
        wait_until(lambda: statuses(sim).count("CANCELLED_ALL") == 4 - 1, f"not cancelled: {sim.orders()}")
        gate.proxy.wait_for_error("the key mine: 2 cancels, 0 orders left")
        assert sim.counts()[2205] == before + 2, "each once, and not the one that was cancelled already"
        assert statuses(sim).count("SUBMITTED") == 1, "the other program's stays"
        peer = "cancel on disconnect: key mine"
        told = [(e["endpoint"], e["outcome"]) for e in gate.audited() if e["peer"] == peer]
        assert told.count(("proto_id=2205", "allow")) == told.count(("proto_id=2205", "success")) == 2
        (end,) = [e for e in gate.audited() if e["endpoint"] == "cancel on disconnect"]
        assert (end["key_id"], end["outcome"], end["reason"]) == ("mine", "success", "2 cancels, 0 orders left")
        assert place(stays)[0] == 0
    gate.verify()


def test_a_program_over_grpc_that_is_killed(gate: Gate, sim: Sim, futu_proto: Path) -> None:
    key = gate.add("bot", SCOPES, "--cancel-on-disconnect", "1")
    start(gate)
    with FutuProgram("python", gate.port, futu_proto) as user:
        user.ok(2202, order_body(PAPER, price=RESTING), key)
        assert statuses(sim) == ["SUBMITTED"]
        user.signal(signal.SIGKILL)
        user.wait()
    wait_until(lambda: statuses(sim) == ["CANCELLED_ALL"], f"not cancelled: {sim.orders()}")
    assert "proto_id=2205" in {e["endpoint"] for e in gate.audited() if e["peer"] == "cancel on disconnect: key bot"}


def test_who_comes_back_in_time_keeps_them(gate: Gate, sim: Sim) -> None:
    grace_s = 15  # a program needs some seconds to start where others are at work
    key = gate.add("bot", SCOPES, "--cancel-on-disconnect", str(grace_s))
    start(gate)
    with ExitStack() as stack:
        first = stack.enter_context(program(gate, key))
        assert place(first)[0] == 0
        kill(first)
        gone = time.monotonic()
        again = stack.enter_context(program(gate, key, "again"))
        gate.proxy.wait_for_error("client closed|connection reset")
        again.ok("order_list_query", trd_env="SIMULATE")
        time.sleep(max(0.0, gone + grace_s + 2 - time.monotonic()))
        assert statuses(sim) == ["SUBMITTED"]


def test_over_a_restart_of_opendmux_and_of_opend(gate: Gate, sim: Sim) -> None:
    key = gate.add("bot", SCOPES, "--cancel-on-disconnect", "2")
    start(gate)
    with program(gate, key) as sdk:
        assert place(sdk)[0] == 0
        kept = gate.folder / "state" / "orders.json"
        wait_until(lambda: kept.exists() and len(json.loads(kept.read_text())["orders"]) == 1, "it is not kept")
        gate.proxy.signal(signal.SIGKILL)
        gate.stop()
        kill(sdk)
    assert statuses(sim) == ["SUBMITTED"]
    gate.edit("bot", cancel_on_disconnect=0)
    start(gate)
    with program(gate, key, "back") as sdk:
        assert statuses(sim) == ["SUBMITTED"], "a restart alone cancels nothing"
        done = run("pause", "--connect", f"127.0.0.1:{gate.port}")
        assert done.returncode == 0, done.stderr
        kill(sdk)
        gate.proxy.wait_for_error("orders of the key bot are left: OpenD at .* is paused")
        shown = json.loads(run("status", "--json", "--connect", f"127.0.0.1:{gate.port}").stdout)
        assert shown["opends"][0]["paused"]
        assert statuses(sim) == ["SUBMITTED"]
        assert run("resume", "--connect", f"127.0.0.1:{gate.port}").returncode == 0
        wait_until(lambda: statuses(sim) == ["CANCELLED_ALL"], f"not cancelled: {sim.orders()}")


def test_a_program_that_hangs_while_its_sdk_lives_on(gate: Gate, sim: Sim) -> None:
    key = gate.add("bot", SCOPES, "--dead-man-s", "2")
    start(gate)
    with program(gate, key) as sdk:
        assert place(sdk)[0] == 0
        wait_until(lambda: statuses(sim) == ["CANCELLED_ALL"], f"not cancelled: {sim.orders()}")
        assert sdk.popen.poll() is None
        (freeze,) = json.loads(run("freeze", "--show", "--json", "--connect", f"127.0.0.1:{gate.port}").stdout)[
            "freezes"
        ]
        assert (freeze["key"], freeze["mode"], freeze["dead_man"]) == ("bot", "cancel-only", True)
        ret, text = place(sdk)
        assert ret == -1
        assert "its dead-man timer: it showed no life for 2 s" in text
        assert place(sdk)[0] == -1, "an order is no sign of life, nor what the SDK asks along with it"
        sdk.ok("order_list_query", trd_env="SIMULATE")
        assert place(sdk)[0] == 0
