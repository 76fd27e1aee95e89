"""The unmodified official Python SDK works on the simulator, in processes of their own and on the real clock."""

from __future__ import annotations

import importlib.util
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from .harness import Control, Opendmux, SdkProgram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("futu") is None, reason="the official SDK is not installed: pip install '.[sdk]'"
)

CODES = ["HK.00700", "US.AAPL"]
MINUTE_KINDS = ["K_1M", "K_3M", "K_5M", "K_10M", "K_15M", "K_30M", "K_60M", "K_120M", "K_180M", "K_240M"]
DAY_KINDS = ["K_DAY", "K_WEEK", "K_MON", "K_QUARTER", "K_YEAR"]
K_KINDS = MINUTE_KINDS + DAY_KINDS
KINDS = ["QUOTE", "ORDER_BOOK", "TICKER", "RT_DATA", "BROKER", *K_KINDS]
ALL_TIME = {"start": "2020-01-01", "end": "2039-12-31"}


class Sim(Opendmux):
    """``opendmux sim`` with a control port, ready."""

    def __init__(self, *arguments: str) -> None:
        super().__init__("sim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", *arguments)
        found = self.wait_for(r"SIMULATED OpenD on 127\.0\.0\.1:(\d+), seed \d+, control on 127\.0\.0\.1:(\d+)")
        self.port = int(found[1])
        self.control = Control(int(found[2]))

    def stop(self) -> int:
        self.control.close()
        return super().stop()


@pytest.fixture
def sim() -> Iterator[Sim]:
    with Sim() as process:
        yield process
        assert process.control.ask("violations")["violations"] == []


def test_every_quote_call_and_push(sim: Sim, tmp_path: Path) -> None:
    with SdkProgram("quote", sim.port, tmp_path) as sdk:
        sdk.wait_ready()
        check_state(sdk)
        refused, text = sdk.call("get_stock_quote", ["HK.00700"])
        assert refused == -1
        assert "subscribe" in text
        assert sdk.call("subscribe", ["HK.70"], ["QUOTE"])[0] == -1
        sdk.ok("subscribe", CODES, KINDS)
        check_data_calls(sdk)
        check_reference_calls(sdk)
        check_pushes(sdk)
        check_unsubscribing(sdk, sim)
        sdk.finish()


def check_state(sdk: SdkProgram) -> None:
    state = sdk.ok("get_global_state")
    assert state["qot_logined"]
    assert state["trd_logined"]
    assert (state["market_hk"], state["program_status_type"]) == ("MORNING", "READY")
    assert sdk.ok("get_user_info")["sub_quota"] == 1000


def check_data_calls(sdk: SdkProgram) -> None:
    for quote in sdk.ok("get_stock_quote", CODES):
        assert quote["low_price"] <= quote["last_price"] <= quote["high_price"]
        assert quote["prev_close_price"] > 0
        assert quote["volume"] > 0
    book = sdk.ok("get_order_book", "HK.00700", num=10)
    assert len(book["Bid"]) == len(book["Ask"]) == 10
    assert book["Bid"][0][0] < book["Ask"][0][0]
    ticks = sdk.ok("get_rt_ticker", "US.AAPL", 20)
    assert len(ticks) == 20
    assert [tick["sequence"] for tick in ticks] == sorted({tick["sequence"] for tick in ticks})
    for kind in K_KINDS:
        bars = sdk.ok("get_cur_kline", "HK.00700", 5, kind)
        assert 1 <= len(bars) <= 5
        assert all(bar["low"] <= bar["open"] <= bar["high"] for bar in bars)
    minutes = sdk.ok("get_rt_data", "HK.00700")
    assert minutes[-1]["cur_price"] > 0
    bids, asks = sdk.ok("get_broker_queue", "HK.00700")
    assert bids
    assert asks


def check_reference_calls(sdk: SdkProgram) -> None:
    codes = [*CODES, "HK.800000", "HK.HSImain", "US.AAPL270115C185000"]
    shots = {shot["code"]: shot for shot in sdk.ok("get_market_snapshot", codes)}
    assert list(shots) == codes
    assert shots["HK.00700"]["equity_valid"]
    assert shots["HK.800000"]["index_valid"]
    assert shots["HK.HSImain"]["future_valid"]
    assert shots["US.AAPL270115C185000"]["option_strike_price"] == 185
    basics = sdk.ok("get_stock_basicinfo", "HK", "STOCK")
    assert {"HK.00700", "HK.00005"} <= {basic["code"] for basic in basics}
    assert sdk.ok("get_stock_basicinfo", "US", "STOCK", ["US.AAPL"])[0]["lot_size"] == 1
    assert {state["market_state"] for state in sdk.ok("get_market_state", CODES)} == {"MORNING"}
    days = sdk.ok("request_trading_days", "HK", start="2026-01-01", end="2026-01-09")
    assert [day["time"] for day in days][2:4] == ["2026-01-05", "2026-01-06"]
    days_of_years = {"start": "2020-01-01", "end": "2025-12-31"}
    bars, key = sdk.ok("request_history_kline", "HK.00700", max_count=None, **days_of_years)
    assert key is None
    assert len(bars) == 1566, "two pages"
    assert [bar["time_key"] for bar in bars] == sorted({bar["time_key"] for bar in bars})
    some, key = sdk.ok("request_history_kline", "HK.00700", max_count=10, **days_of_years)
    assert some == bars[:10]
    assert key is not None


def check_pushes(sdk: SdkProgram) -> None:
    quote = sdk.wait_push("quote", lambda rows: rows[0]["code"] == "HK.00700")
    assert quote[0]["last_price"] > 0
    book = sdk.wait_push("book")
    assert len(book["Ask"]) == 10
    tick = sdk.wait_push("ticker", lambda rows: rows[0]["push_data_type"] == "REALTIME")
    assert tick[0]["volume"] > 0
    assert sdk.wait_push("rt")[0]["cur_price"] > 0
    for kind in K_KINDS:
        bar = wait_bar(sdk, kind)
        assert bar["low"] <= bar["close"] <= bar["high"]
    assert sdk.wait_push("broker")
    assert {push["ret"] for push in sdk.drain_pushes()} == {0}
    first, second = (sdk.wait_push("quote", lambda rows: rows[0]["code"] == "HK.00700")[0] for _ in range(2))
    assert first["last_price"] != second["last_price"]


def wait_bar(sdk: SdkProgram, kind: str) -> Any:
    return sdk.wait_push("kline", lambda rows: rows[0]["k_type"] == kind)[0]


def check_unsubscribing(sdk: SdkProgram, sim: Sim) -> None:
    subscribed = sdk.ok("query_subscription")
    assert subscribed["total_used"] == subscribed["own_used"] == len(CODES) * len(KINDS)
    assert subscribed["sub_list"]["QUOTE"] == CODES
    ret, text = sdk.call("unsubscribe", ["HK.00700"], ["QUOTE"])
    assert ret == -1
    assert "60 s" in text
    sim.control.ask("min_age", seconds=0)
    sdk.ok("unsubscribe", ["HK.00700"], ["QUOTE"])
    assert sdk.ok("query_subscription")["sub_list"]["QUOTE"] == ["US.AAPL"]
    sdk.ok("unsubscribe_all")
    assert sdk.ok("query_subscription")["total_used"] == 0
    assert sim.control.ask("subscriptions")["now"] == []


def test_the_life_of_real_orders(sim: Sim, tmp_path: Path) -> None:
    with SdkProgram("trade", sim.port, tmp_path) as sdk:
        sdk.wait_ready()
        accounts = {row["trd_env"]: row for row in sdk.ok("get_acc_list")}
        assert accounts["REAL"]["security_firm"] == "FUTUSECURITIES"
        assert accounts["REAL"]["trdmarket_auth"][:2] == ["HK", "US"]
        assert accounts["SIMULATE"]["sim_acc_type"] == "STOCK"
        price = last_price(sdk)
        ret, text = sdk.call("place_order", price, 100, "HK.00700", "BUY", adjust_limit=0.01)
        assert ret == -1
        assert "locked" in text
        assert sdk.call("unlock_trade", "wrong")[0] == -1
        sdk.ok("unlock_trade", "123456")
        check_a_filled_order(sdk)
        check_a_resting_order(sdk, price * 0.8)
        ret, text = sdk.call("place_order", price, 1_000_000, "HK.00700", "BUY", adjust_limit=0.01)
        assert ret == -1
        assert "insufficient buying power" in text
        ret, text = sdk.call("place_order", price, 100, "HK.00005", "SELL", order_type="MARKET")
        assert ret == -1
        assert "insufficient position" in text
        sdk.finish()


def last_price(sdk: SdkProgram) -> float:
    """A price near the market, from what 1,000,000 HKD can buy."""
    most = sdk.ok("acctradinginfo_query", "MARKET", "HK.00700", 0.0)[0]
    return float(1_000_000 / (most["max_cash_buy"] + 50))


def check_a_filled_order(sdk: SdkProgram) -> None:
    before = sdk.ok("accinfo_query")[0]
    placed = sdk.ok("place_order", 0, 200, "HK.00700", "BUY", order_type="MARKET", remark="first")[0]
    order_id = placed["order_id"]
    filled = wait_order(sdk, order_id, "FILLED_ALL")
    assert (filled["dealt_qty"], filled["remark"]) == (200, "first")
    seen = [push["data"] for push in sdk.drain_pushes() if push["push"] == "order"]
    assert next(rows[0]["order_status"] for rows in seen if rows[0]["order_id"] == order_id) == "SUBMITTED"
    while dealt(sdk, order_id) < 200:
        sdk.wait_push("deal")
    position = sdk.ok("position_list_query")[0]
    assert (position["code"], position["qty"], position["can_sell_qty"]) == ("HK.00700", 200, 200)
    after = sdk.ok("accinfo_query")[0]
    paid = sum(deal["qty"] * deal["price"] for deal in deals_of(sdk, order_id))
    assert after["hk_cash"] == pytest.approx(before["hk_cash"] - paid)
    assert after["market_val"] > 0
    listed = {row["order_id"]: row for row in sdk.ok("order_list_query")}
    assert listed[order_id]["order_status"] == "FILLED_ALL"
    assert {deal["order_id"] for deal in sdk.ok("deal_list_query")} == {order_id}
    assert [row["order_id"] for row in sdk.ok("history_order_list_query", **ALL_TIME)] == [order_id]
    assert {deal["order_id"] for deal in sdk.ok("history_deal_list_query", **ALL_TIME)} == {order_id}
    sold = sdk.ok("place_order", 0, 200, "HK.00700", "SELL", order_type="MARKET")[0]
    wait_order(sdk, sold["order_id"], "FILLED_ALL")
    assert sdk.ok("position_list_query") == []


def check_a_resting_order(sdk: SdkProgram, price: float) -> None:
    placed = sdk.ok("place_order", price, 100, "HK.00700", "BUY", adjust_limit=-0.01)[0]
    order_id = placed["order_id"]
    assert placed["order_status"] == "SUBMITTED"
    assert sdk.ok("accinfo_query")[0]["frozen_cash"] == pytest.approx(100 * placed["price"])
    sdk.ok("modify_order", "NORMAL", order_id, 300, placed["price"])
    assert wait_order(sdk, order_id, "SUBMITTED", qty=300)["qty"] == 300
    sdk.ok("modify_order", "CANCEL", order_id, 0, 0)
    wait_order(sdk, order_id, "CANCELLED_ALL")
    assert sdk.ok("accinfo_query")[0]["frozen_cash"] == 0
    assert sdk.call("modify_order", "CANCEL", order_id, 0, 0)[0] == -1
    open_orders = sdk.ok("order_list_query", status_filter_list=["SUBMITTED"])
    assert open_orders == []


def deals_of(sdk: SdkProgram, order_id: str) -> list[Any]:
    """The deals pushed so far."""
    deals = [push["data"][0] for push in sdk.drain_pushes() if push["push"] == "deal"]
    return [deal for deal in deals if deal["order_id"] == order_id]


def dealt(sdk: SdkProgram, order_id: str) -> float:
    return float(sum(deal["qty"] for deal in deals_of(sdk, order_id)))


def wait_order(sdk: SdkProgram, order_id: str, status: str, **fields: Any) -> Any:
    """The order push with that status, also when it has come already."""

    def fits(rows: Any) -> bool:
        row = rows[0]
        return (row["order_id"], row["order_status"]) == (order_id, status) and fields.items() <= row.items()

    for push in sdk.drain_pushes():
        if push["push"] == "order" and fits(push["data"]):
            return push["data"][0]
    return sdk.wait_push("order", fits)[0]


def test_paper_accounts_in_both_markets(sim: Sim, tmp_path: Path) -> None:
    paper = {"trd_env": "SIMULATE"}
    with (
        SdkProgram("trade", sim.port, tmp_path / "hk") as hk,
        SdkProgram("trade", sim.port, tmp_path / "us", context={"filter_trdmarket": "US"}) as us,
    ):
        for sdk, code, qty in ((hk.wait_ready(), "HK.00700", 100), (us.wait_ready(), "US.AAPL", 3)):
            placed = sdk.ok("place_order", 0, qty, code, "BUY", order_type="MARKET", **paper)[0]
            wait_order(sdk, placed["order_id"], "FILLED_ALL")
            assert [(row["code"], row["qty"]) for row in sdk.ok("position_list_query", **paper)] == [(code, qty)]
            assert sdk.ok("accinfo_query", **paper)[0]["market_val"] > 0
            assert sdk.call("deal_list_query", **paper)[0] == -1
            assert [push for push in sdk.drain_pushes() if push["push"] == "deal"] == []
        assert {row["trd_env"] for row in us.ok("get_acc_list")} == {"REAL", "SIMULATE"}
        hk.finish()
        us.finish()


def test_the_sdk_comes_back_after_a_drop(sim: Sim, tmp_path: Path) -> None:
    with SdkProgram("quote", sim.port, tmp_path) as sdk:
        sdk.wait_ready()
        sdk.ok("subscribe", ["HK.00700"], ["QUOTE"])
        sdk.wait_push("quote")
        sim.control.ask("drop")
        while not (now := sim.control.ask("subscriptions")["now"]) or now[0]["connections"] == [1]:
            sdk.wait_push("quote")
        assert now == [{"code": "HK.00700", "sub_type": 1, "connections": [2]}]
        sdk.finish()


def test_the_sdk_encrypts(tmp_path: Path) -> None:
    """CBC, as the SDK asks for; and plain traffic behind an InitConnect by RSA."""
    key = tmp_path / "key.pem"
    private_key = rsa.generate_private_key(65537, 1024)
    key.write_bytes(private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    with Sim("--rsa-private-key", str(key)) as sim:
        for encrypt in (True, False):
            settings = {"enable_proto_encrypt": [encrypt], "set_init_rsa_file": [str(key)]}
            homes = [tmp_path / f"{kind}-{encrypt}" for kind in ("quote", "trade")]
            with (
                SdkProgram("quote", sim.port, homes[0], sys=settings) as quotes,
                SdkProgram("trade", sim.port, homes[1], sys=settings) as trader,
            ):
                quotes.wait_ready()
                check_state(quotes)
                quotes.ok("subscribe", ["HK.00700"], ["QUOTE", "ORDER_BOOK"])
                quotes.wait_push("book")
                assert quotes.wait_push("quote")[0]["last_price"] > 0
                trader.wait_ready()
                order = trader.ok("place_order", 0, 100, "HK.00700", "BUY", order_type="MARKET", trd_env="SIMULATE")[0]
                wait_order(trader, order["order_id"], "FILLED_ALL")
                quotes.finish()
                trader.finish()
        assert sim.control.ask("violations")["violations"] == []


def test_limits_per_30_seconds_can_be_switched_on(tmp_path: Path) -> None:
    with Sim("--rate-limits") as sim, SdkProgram("quote", sim.port, tmp_path) as sdk:
        sdk.wait_ready()
        answers = [sdk.call("get_market_state", ["HK.00700"]) for _ in range(11)]
        assert [ret for ret, _ in answers] == [0] * 10 + [-1]
        assert "too often" in answers[-1][1]
        assert [violation["rule"] for violation in sim.control.ask("violations")["violations"]] == ["rate"]
        sdk.finish()


def test_a_key_file_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with Opendmux("sim", "--listen", "127.0.0.1:0", "--rsa-private-key", str(tmp_path / "none.pem")) as sim:
        assert sim.wait() == 2
        assert len(sim.errors) == 1
        assert "RSA key file" in sim.errors[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with Sim("--seed", "5") as sim:
        assert sim.control.ask("report")["seed"] == 5
        with socket.create_connection(("127.0.0.1", sim.port)):
            sim.signal(number)
            assert sim.wait() == 0
        assert sim.errors == []


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999", "203.0.113.1:0"])
def test_a_bad_address_is_one_sentence(address: str) -> None:
    with Opendmux("sim", "--listen", address) as sim:
        assert sim.wait() == 2
        assert len(sim.errors) == 1
        assert address in sim.errors[0]
        assert sim.lines == []


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Opendmux("sim", "--listen", address) as sim:
            assert sim.wait() == 2
            (said,) = sim.errors
    assert said.startswith(f"opendmux: cannot listen on {address}: another program uses that port")
    assert said.endswith(": end it, or give another port by --listen")
