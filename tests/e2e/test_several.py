"""Several OpenDs behind one process: a port for each, and a port for a group of both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from .harness import Control, Opendmux, SdkProgram
from .test_outage import free_port

TRADE_IDS = ("2001", "2005", "2008", "2101", "2102", "2111", "2201", "2202", "2205", "2211", "2221", "2222")


@dataclass
class Sim:
    """One simulated OpenD."""

    process: Opendmux
    port: int
    control: Control

    def kill(self) -> None:
        """As a crash would."""
        self.process.popen.kill()
        self.process.popen.wait()


@dataclass
class Stage:
    """Two simulators of different seeds; a proxy with a port to each and one to both."""

    sims: list[Sim]
    proxy: Opendmux
    ports: list[int]
    tmp_path: Path
    stack: ExitStack
    programs: int = 0

    def program(self, kind: str, port: int) -> SdkProgram:
        self.programs += 1
        program = SdkProgram(kind, port, self.tmp_path / f"home{self.programs}")
        self.stack.enter_context(program)
        return program.wait_ready()


def sim(stack: ExitStack, seed: int) -> Sim:
    port = free_port()
    address = ("--listen", f"127.0.0.1:{port}", "--control", "127.0.0.1:0", "--seed", str(seed), "--strict-serials")
    process = stack.enter_context(Opendmux("sim", *address))
    control = Control(int(process.wait_for(r"control on \S+:(\d+)")[1]))
    stack.callback(control.close)
    return Sim(process, port, control)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        sims = [sim(stack, seed) for seed in (7, 8)]
        config = "".join(
            f'[[upstreams]]\nname = "{name}"\naddress = "127.0.0.1:{sim.port}"\n'
            for name, sim in zip(("first", "second"), sims, strict=True)
        ) + "".join(
            f'[[listeners]]\nlisten = ["127.0.0.1:0"]\nupstream = {names}\n'
            for names in ('["first"]', '["second"]', '["first", "second"]')
        )
        path = tmp_path / "opendmux.toml"
        path.write_text(config)
        proxy = stack.enter_context(Opendmux("--config", str(path)))
        ports = [int(proxy.wait_for(r"connect to \S*?:(\d+)")[1]) for _ in range(3)]
        yield Stage(sims, proxy, ports, tmp_path, stack)


def test_each_port_leads_to_its_own_opend(stage: Stage) -> None:
    traders = [stage.program("trade", port) for port in stage.ports[:2]]
    accounts = [{row["acc_id"] for row in trader.ok("get_acc_list")} for trader in traders]
    assert not accounts[0] & accounts[1]
    watchers = [stage.program("quote", port) for port in stage.ports[:2]]
    for watcher in watchers:
        watcher.ok("subscribe", ["HK.00700"], ["QUOTE", "TICKER"])
        watcher.wait_push("ticker")
    closes = [watcher.ok("get_market_snapshot", ["HK.00700"])[0]["prev_close_price"] for watcher in watchers]
    assert closes[0] != closes[1]
    order = traders[1].ok("place_order", 1.0, 100, "HK.00700", "BUY", order_type="NORMAL", trd_env="SIMULATE")[0]
    traders[1].saw_push("order", lambda rows: rows[0]["order_id"] == order["order_id"])
    placed = [len(sim.control.ask("orders")["orders"]) for sim in stage.sims]
    assert placed == [0, 1]

    stage.sims[0].kill()
    stage.proxy.wait_for_error(f"{stage.sims[0].port}: link lost")  # else the call may be on its way just then
    ret, text = watchers[0].call("get_market_snapshot", ["HK.00700"])
    assert ret == -1
    assert f"127.0.0.1:{stage.sims[0].port}" in text
    # The other one's programs have noticed nothing.
    watchers[1].drain_pushes()
    for _ in range(3):
        watchers[1].wait_push("ticker")
    watchers[1].ok("get_market_snapshot", ["HK.00700"])
    traders[1].ok("place_order", 1.0, 100, "HK.00700", "BUY", order_type="NORMAL", trd_env="SIMULATE")
    assert not any("on_disconnect" in line for line in watchers[1].lines + traders[1].lines)
    assert stage.sims[1].control.ask("violations")["violations"] == []

    # What is said of one of them names it in the commands to paste.
    stage.sims[1].control.ask("program_status", type=4)
    stage.proxy.wait_for_error(rf"opendmux opend --opend 127\.0\.0\.1:{stage.sims[1].port} input_phone_verify_code")


def test_quotes_of_a_group_fail_over_and_trading_never_does(stage: Stage) -> None:
    first, second = stage.sims
    watcher = stage.program("quote", stage.ports[2])
    trader = stage.program("trade", stage.ports[2])
    watcher.ok("subscribe", ["HK.00700"], ["QUOTE", "TICKER"])
    watcher.wait_push("ticker")
    trader.ok("place_order", 1.0, 100, "HK.00700", "BUY", order_type="NORMAL", trd_env="SIMULATE")
    assert {(row["code"], row["sub_type"]) for row in first.control.ask("subscriptions")["now"]} == {
        ("HK.00700", 1),
        ("HK.00700", 4),
    }
    assert second.control.ask("subscriptions")["ever"] == []

    first.kill()
    stage.proxy.wait_for_error("link lost")
    watcher.drain_pushes()
    watcher.pushes.clear()
    watcher.wait_push("ticker")
    restored = second.control.ask("subscriptions")["now"]
    assert {(row["code"], row["sub_type"]) for row in restored} == {("HK.00700", 1), ("HK.00700", 4)}
    watcher.ok("get_market_snapshot", ["HK.00700"])
    watcher.ok("subscribe", ["US.AAPL"], ["TICKER"])
    watcher.wait_push("ticker", lambda rows: rows[0]["code"] == "US.AAPL")

    for name, arguments in (
        ("place_order", (1.0, 100, "HK.00700", "BUY")),
        ("modify_order", ("CANCEL", "1", 0, 0)),
        ("order_list_query", ()),
        ("accinfo_query", ()),
    ):
        ret, text = trader.call(name, *arguments, trd_env="SIMULATE")
        assert ret == -1, text
        assert re.search(rf"127\.0\.0\.1:{first.port} has been away .* was not sent", text), text
    requests = second.control.ask("report")["requests"]
    assert not set(TRADE_IDS) & set(requests), requests
    assert second.control.ask("orders")["orders"] == []
    assert second.control.ask("violations")["violations"] == []
    assert not any("on_disconnect" in line for line in watcher.lines + trader.lines)


def test_a_group_trades_again_when_its_first_member_is_back(stage: Stage) -> None:
    first, second = stage.sims
    trader = stage.program("trade", stage.ports[2])
    trader.ok("get_acc_list")
    first.kill()
    stage.proxy.wait_for_error(r"\(trade\): link lost")
    address = ("--listen", f"127.0.0.1:{first.port}", "--control", "127.0.0.1:0", "--seed", "7")
    again = stage.stack.enter_context(Opendmux("sim", *address))
    control = Control(int(again.wait_for(r"control on \S+:(\d+)")[1]))
    stage.stack.callback(control.close)
    while sum("(trade) is ready" in line for line in stage.proxy.errors) < 2:
        control.ask("report")
    order = trader.ok("place_order", 1.0, 100, "HK.00700", "BUY", order_type="NORMAL", trd_env="SIMULATE")[0]
    trader.saw_push("order", lambda rows: rows[0]["order_id"] == order["order_id"])
    assert not set(TRADE_IDS) & set(second.control.ask("report")["requests"])
