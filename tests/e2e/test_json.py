"""The SDK's JSON mode through the proxy, next to programs that speak protobuf.

It does not work with the protobuf of our own environment, so its programs run in one that ``make test`` builds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .harness import Control, Opendmux, SdkProgram

READY = Path(__file__).parents[2] / ".venv-json" / ".ready"
PYTHON = str(READY.parent / "bin" / "python")
SIMULATED = {"trd_env": "SIMULATE"}
KINDS = ["quote", "trade"]
QUOTE_KINDS = ["QUOTE", "ORDER_BOOK", "TICKER", "RT_DATA", "BROKER", "K_1M"]
JSON = {"set_proto_fmt": [1]}  # ProtoFMT.Json

pytestmark = pytest.mark.skipif(not READY.exists(), reason="the environment .venv-json was not built (make test)")


class Stage:
    def __init__(self, proxy: Opendmux, control: Control, tmp_path: Path) -> None:
        self.proxy = proxy
        self.control = control
        self._tmp_path = tmp_path

    def json(self, kind: str) -> SdkProgram:
        return SdkProgram(kind, self.proxy.port, self._tmp_path / f"json-{kind}", python=PYTHON, sys=JSON)

    def protobuf(self, kind: str) -> SdkProgram:
        return SdkProgram(kind, self.proxy.port, self._tmp_path / f"protobuf-{kind}")

    def check_upstream(self) -> None:
        """One connection for protobuf, one for JSON pushes, and no rule broken on either."""
        formats = [connection["push_proto_fmt"] for connection in self.control.ask("report")["connections"]]
        assert sorted(formats) == [0, 1]
        assert self.control.ask("violations")["violations"] == []


@contextmanager
def staged(tmp_path: Path) -> Iterator[Stage]:
    with Opendmux("sim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--strict-serials") as sim:
        found = sim.wait_for(r"OpenD on (\S+), seed 1, control on \S+:(\d+)")
        control = Control(int(found[2]))
        with Opendmux("--listen", "127.0.0.1:0", "--upstream", found[1]) as proxy:
            yield Stage(proxy.wait_ready(), control, tmp_path)
        control.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as stage:
        yield stage


def test_quotes_in_both_formats(stage: Stage) -> None:
    with stage.json("quote") as in_json, stage.protobuf("quote") as in_protobuf:
        quotes: list[Any] = []
        for program in (in_json, in_protobuf):
            program.wait_ready()
            state = program.ok("get_global_state")
            assert (state["market_hk"], state["program_status_type"]) == ("MORNING", "READY")
            program.ok("subscribe", ["HK.00700", "US.AAPL"], ["QUOTE", "TICKER", "ORDER_BOOK", "K_1M"])
            for name in ("quote", "ticker", "book", "kline"):
                program.saw_push(name, lambda _data: True)
            quotes += program.ok("get_stock_quote", ["HK.00700"])
            assert program.ok("get_market_snapshot", ["HK.00700"])[0]["code"] == "HK.00700"
            assert program.ok("query_subscription", is_all_conn=False)["own_used"] == 8
        assert quotes[0].keys() == quotes[1].keys()
        assert quotes[0]["prev_close_price"] == quotes[1]["prev_close_price"] > 0
        for program in (in_json, in_protobuf):
            assert program.wait_push("quote")[0]["last_price"] > 0
            assert {push["ret"] for push in program.drain_pushes()} == {0}
            program.finish()
    stage.check_upstream()


def test_orders_in_both_formats(stage: Stage) -> None:
    with stage.json("trade") as in_json, stage.protobuf("trade") as in_protobuf:
        for program in (in_json, in_protobuf):
            program.wait_ready()
        assert in_json.ok("get_acc_list") == in_protobuf.ok("get_acc_list")
        for trader in (in_json, in_protobuf):
            # Order ids, and the id of the real account, are above 2**53 and must survive every conversion.
            placed = trader.ok("place_order", 1.0, 100, "HK.00700", "BUY", order_type="NORMAL", **SIMULATED)[0]
            trader.ok("modify_order", "CANCEL", placed["order_id"], 0, 0, **SIMULATED)
            for watcher in (in_json, in_protobuf):
                for status in ("SUBMITTED", "CANCELLED_ALL"):
                    saw_order(watcher, placed["order_id"], status)
        listed = [program.ok("order_list_query", **SIMULATED) for program in (in_json, in_protobuf)]
        assert listed[0] == listed[1]
        assert [row["order_status"] for row in listed[0]] == ["CANCELLED_ALL"] * 2
        assert len({order["order_id_ex"] for order in stage.control.ask("orders")["orders"]}) == 2
        for program in (in_json, in_protobuf):
            program.finish()
    stage.check_upstream()


def test_the_sdk_in_json_without_a_proxy(tmp_path: Path) -> None:
    with Opendmux("sim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0") as sim:
        found = sim.wait_for(r"OpenD on \S+:(\d+), seed 1, control on \S+:(\d+)")
        control = Control(int(found[2]))
        programs = [SdkProgram(kind, int(found[1]), tmp_path / kind, python=PYTHON, sys=JSON) for kind in KINDS]
        with programs[0] as quotes, programs[1] as trader:
            quotes.wait_ready()
            quotes.ok("subscribe", ["HK.00700", "US.AAPL"], QUOTE_KINDS)
            for name in ("quote", "ticker", "book", "kline", "rt", "broker"):
                assert quotes.saw_push(name, lambda _data: True)
            assert {push["ret"] for push in quotes.drain_pushes()} == {0}
            assert quotes.ok("get_order_book", "HK.00700", num=10)["Bid"]
            assert len(quotes.ok("get_rt_ticker", "US.AAPL", 20)) == 20
            assert quotes.ok("get_cur_kline", "HK.00700", 5, "K_1M")
            assert quotes.ok("get_rt_data", "HK.00700")
            assert quotes.ok("get_user_info")["sub_quota"] == 1000
            assert len(quotes.ok("get_market_snapshot", ["HK.00700", "HK.800000"])) == 2
            assert quotes.ok("get_stock_basicinfo", "HK", "STOCK")
            trader.wait_ready()
            trader.ok("unlock_trade", "123456")
            order = trader.ok("place_order", 0, 200, "HK.00700", "BUY", order_type="MARKET")[0]
            saw_order(trader, order["order_id"], "FILLED_ALL")
            assert trader.saw_push("deal", lambda _rows: True)[0]["code"] == "HK.00700"
            assert trader.ok("position_list_query")[0]["qty"] == 200
            assert trader.ok("accinfo_query")[0]["market_val"] > 0
            assert trader.ok("deal_list_query")
            assert trader.ok("acctradinginfo_query", "MARKET", "HK.00700", 0.0)
            quotes.finish()
            trader.finish()
        assert control.ask("violations")["violations"] == []
        control.close()


def saw_order(program: SdkProgram, order_id: str, status: str) -> None:
    program.saw_push("order", lambda rows: (rows[0]["order_id"], rows[0]["order_status"]) == (order_id, status))
