"""Unmodified SDK programs, each in its own process, share one upstream connection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .harness import Control, Opendmux, Process, SdkProgram, codes_of


@dataclass
class Stage:
    """A simulator that enforces OpenD's rules, with a proxy in front of it."""

    sim: Process
    proxy: Opendmux
    control: Control
    tmp_path: Path
    programs: int = 0

    def program(self, kind: str, **extra: Any) -> SdkProgram:
        self.programs += 1
        return SdkProgram(kind, self.proxy.port, self.tmp_path / f"home{self.programs}", **extra)

    def check_upstream(self) -> None:
        """OpenD saw one client that broke no rule: growing serials, right PacketIDs, right digests."""
        report = self.control.ask("report")
        assert len(report["connections"]) == 1, report["connections"]
        assert self.control.ask("violations")["violations"] == []
        serials = [request["serial_no"] for request in self.control.ask("requests", last=100_000)["requests"]]
        assert serials == sorted(set(serials))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Opendmux("sim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--strict-serials") as sim:
        found = sim.wait_for(r"OpenD on (\S+), seed 1, control on \S+:(\d+)")
        control = Control(int(found[2]))
        with Opendmux("--listen", "127.0.0.1:0", "--upstream", found[1]) as proxy:
            yield Stage(sim, proxy.wait_ready(), control, tmp_path)
        control.close()


def test_two_quote_programs_each_receive_exactly_their_own(stage: Stage) -> None:
    with stage.program("quote") as a, stage.program("quote") as b:
        a.wait_ready()
        b.wait_ready()
        assert a.conn_id != b.conn_id
        kinds = ["QUOTE", "TICKER", "K_1M"]
        a.ok("subscribe", ["HK.00700", "US.AAPL"], kinds)
        b.ok("subscribe", ["HK.00700", "HK.00005"], kinds)
        for program, own in ((a, {"HK.00700", "US.AAPL"}), (b, {"HK.00700", "HK.00005"})):
            seen: dict[str, set[str]] = {"quote": set(), "ticker": set(), "kline": set()}
            deadline = time.monotonic() + 20
            while any(codes != own for codes in seen.values()):
                assert time.monotonic() < deadline, seen
                program.wait_push("quote")
                for push in program.pushes:
                    seen[push["push"]] |= codes_of(push["data"])
            for push in program.drain_pushes():
                assert codes_of(push["data"]) <= own, push
        held = {(row["code"], row["sub_type"]): row for row in stage.control.ask("subscriptions")["ever"]}
        assert len(held) == 9, "one subscription per code and type"
        subscribes = [r["c2s"] for r in stage.control.ask("requests", proto_id=3001)["requests"]]
        pairs = [(s["code"], t) for c2s in subscribes for s in c2s["securityList"] for t in c2s["subTypeList"]]
        assert len(pairs) == len(set(pairs)) == 9
        # Each sees its own list, and the other's only as another connection.
        assert set(a.ok("query_subscription", is_all_conn=False)["sub_list"]["QUOTE"]) == {"HK.00700", "US.AAPL"}
        assert a.ok("query_subscription")["own_used"] == 6
        state = a.ok("get_global_state")
        assert state["qot_logined"]
        a.finish()
        b.finish()
    stage.check_upstream()


def test_one_unsubscribes_while_the_other_stays(stage: Stage) -> None:
    with stage.program("quote") as leaver, stage.program("quote") as stayer:
        leaver.wait_ready()
        stayer.wait_ready()
        for program in (leaver, stayer):
            program.ok("subscribe", ["HK.00700"], ["TICKER"])
            program.wait_push("ticker")
        leaver.ok("unsubscribe_all")
        leaver.drain_pushes()
        leaver.pushes.clear()
        for _ in range(5):
            stayer.wait_push("ticker")
        # Whatever was on its way when unsubscribe_all was answered has long arrived.
        assert leaver.drain_pushes() == []
        assert leaver.ok("query_subscription", is_all_conn=False)["sub_list"] == {}
        (row,) = stage.control.ask("subscriptions")["now"]
        assert row["code"].endswith("00700")
    stage.check_upstream()


def test_a_trader_and_a_watcher_on_one_account(stage: Stage) -> None:
    simulated = {"trd_env": "SIMULATE"}
    with stage.program("trade") as trader, stage.program("trade") as watcher:
        trader.wait_ready()
        watcher.wait_ready()
        accounts = trader.ok("get_acc_list")
        assert accounts == watcher.ok("get_acc_list")
        cash = trader.ok("accinfo_query", **simulated)[0]["cash"]
        order = trader.ok("place_order", 400.0, 100, "HK.00700", "BUY", order_type="NORMAL", **simulated)[0]
        order_id = order["order_id"]
        for program in (trader, watcher):
            program.saw_push("order", lambda rows: rows[0]["order_id"] == order_id)
        filled = {"FILLED_ALL", "FILLED_PART", "SUBMITTED"}
        assert trader.ok("order_list_query", **simulated)[0]["order_status"] in filled
        resting = trader.ok("place_order", 1.0, 100, "HK.00700", "BUY", order_type="NORMAL", **simulated)[0]["order_id"]
        trader.ok("modify_order", "NORMAL", resting, 200, 1.2, **simulated)
        trader.ok("modify_order", "CANCEL", resting, 0, 0, **simulated)
        cancelled = watcher.saw_push(
            "order", lambda rows: rows[0]["order_id"] == resting and rows[0]["order_status"] == "CANCELLED_ALL"
        )
        assert cancelled[0]["qty"] == 200
        assert trader.ok("accinfo_query", **simulated)[0]["cash"] <= cash
        trader.finish()
        watcher.finish()
    stage.check_upstream()


def test_real_orders_need_the_unlock_and_bring_deals(stage: Stage) -> None:
    real = {"trd_env": "REAL"}
    with stage.program("trade") as program:
        program.wait_ready()
        ret, text = program.call("place_order", 400.0, 100, "HK.00700", "BUY", order_type="NORMAL", **real)
        assert ret == -1, text
        program.ok("unlock_trade", password="123456")
        program.ok("place_order", 400.0, 100, "HK.00700", "BUY", order_type="MARKET", **real)
        deal = program.saw_push("deal", lambda _rows: True)
        assert deal[0]["code"] == "HK.00700"
        assert program.ok("deal_list_query", **real)
        assert program.ok("position_list_query", **real)
        program.finish()
    stage.check_upstream()


def test_sixteen_threads_of_one_program_break_no_rule(stage: Stage) -> None:
    """The SDK itself sends out of order from several threads; upstream must see growing numbers all the same."""
    simulated = {"trd_env": "SIMULATE"}
    with stage.program("trade") as trader, stage.program("quote") as reader:
        trader.wait_ready()
        reader.wait_ready()
        # 15 orders per 30 s and account is what OpenD takes.
        answers = trader.call_at_once(15, "place_order", 1.0, 100, "HK.00700", "BUY", order_type="NORMAL", **simulated)
        assert [ret for ret, _data in answers] == [0] * 15, answers
        states = reader.call_at_once(16, "get_market_snapshot", ["HK.00700"])
        assert [ret for ret, _data in states] == [0] * 16, states
        assert len(trader.ok("order_list_query", **simulated)) == 15
    stage.check_upstream()
