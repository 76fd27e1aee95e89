"""Last prices, and what an order is worth by them."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from opendmux.core import prices as prices_module
from opendmux.core.orders import Terms, read_order_untrusted
from opendmux.core.prices import FRESH_S, Prices, snapshot_request
from opendmux.core.securities import Security
from opendmux.errors import RemoteProtocolError
from opendmux.wire.messages import decode_untrusted, to_client
from opendmux.wire.pb import opend, opend_sim
from tests.core.trade_kit import MARKET, SELL, US, combo, place, quote_push, snapshot, snapshots

TENCENT, APPLE = Security("HK", "00700"), Security("US", "AAPL")
OPTION = "AAPL260116C250000"


def terms_of(proto_id: int, body: bytes) -> Terms:
    terms = read_order_untrusted(proto_id, 0, body).terms
    assert terms is not None
    return terms


def placing(**what: object) -> Terms:
    return terms_of(2202, place(**what))  # type: ignore[arg-type]


def informed() -> Prices:
    prices = Prices()
    prices.learn_snapshots_untrusted(
        snapshots(
            snapshot(400, "00700"),
            snapshot(200, "AAPL", 11),
            snapshot(5, OPTION, 11, kind=8, contract=100),
            snapshot(20_000, "HSImain", 1, kind=10, lot=50),
        ),
        0,
        0.0,
    )
    return prices


def test_a_push_and_a_snapshot_teach_in_either_format() -> None:
    for body, cls in [(quote_push(400.5), opend_sim.BasicQotResponse)]:
        for proto_fmt in (0, 1):
            prices = Prices()
            text = body if proto_fmt == 0 else to_client(decode_untrusted(cls, body, 0), 1)
            prices.learn_push_untrusted(text, proto_fmt, 10.0)
            assert prices.find(TENCENT, 10.0, FRESH_S) == Decimal("400.5")
    prices = Prices()
    body = snapshots(snapshot(400.25))
    prices.learn_snapshots_untrusted(
        to_client(decode_untrusted(opend_sim.GetSecuritySnapshotResponse, body, 0), 1), 1, 0
    )
    assert prices.find(TENCENT, 0.0, FRESH_S) == Decimal("400.25")


def test_a_price_has_an_age() -> None:
    prices = Prices()
    prices.learn_push_untrusted(quote_push(400), 0, 10.0)
    assert prices.find(TENCENT, 40.0, 30.0) == 400
    assert prices.find(TENCENT, 40.1, 30.0) is None
    assert prices.find(APPLE, 40.0, 30.0) is None
    assert prices.find(Security("", "00700"), 10.0, 30.0) is None
    prices.learn_push_untrusted(quote_push(410), 0, 41.0)
    assert prices.find(TENCENT, 41.0, 30.0) == 410


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf, 1e16])
def test_what_is_no_price_is_not_learnt(price: float) -> None:
    prices = Prices()
    prices.learn_push_untrusted(quote_push(price), 0, 0.0)
    prices.learn_snapshots_untrusted(snapshots(snapshot(price)), 0, 0.0)
    assert prices.find(TENCENT, 0.0, FRESH_S) is None


def test_nonsense_is_refused() -> None:
    for learn in (Prices().learn_push_untrusted, Prices().learn_snapshots_untrusted):
        with pytest.raises(RemoteProtocolError):
            learn(b"\xff", 0, 0.0)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices_module, "SECURITIES_KEPT", 2)
    prices = Prices()
    for code in ("00001", "00002", "00001", "00003"):
        prices.learn_push_untrusted(quote_push(1, code), 0, 0.0)
    assert [code for code in ("00001", "00002", "00003") if prices.find(Security("HK", code), 0.0, 1.0)] == [
        "00001",
        "00003",
    ]


@pytest.mark.parametrize("order_type", [1, 5, 7, 8, 9, 11, 13])
def test_a_limit_binds(order_type: int) -> None:
    terms = placing(order_type=order_type, qty=3, price=0.1, auxPrice=99)
    assert Prices().value_of(terms, 0.0) == Decimal("0.3")
    assert Prices().missing(terms, 0.0) == []
    assert Prices().value_of(placing(order_type=order_type, side=SELL, qty=3, price=0.1), 0.0) == Decimal("0.3")


@pytest.mark.parametrize("order_type", [0, 2, 3, 6, 10, 12, 14, 15, 16, 17, 18, 19, 99, -1])
def test_everything_else_is_worth_the_last_price(order_type: int) -> None:
    terms = placing(order_type=order_type, qty=3, price=0.1)
    assert Prices().value_of(terms, 0.0) is None
    assert Prices().missing(terms, 0.0) == [(1, "00700")]
    assert informed().value_of(terms, FRESH_S) == 1200
    assert informed().value_of(terms, FRESH_S + 1) is None
    assert informed().value_of(terms, FRESH_S + 1, 100.0) == 1200


@pytest.mark.parametrize(("order_type", "worth"), [(2, 400), (6, 400), (10, 450), (12, 450), (14, 450), (15, 450)])
def test_what_waits_for_a_trigger_is_worth_the_higher_one(order_type: int, worth: int) -> None:
    assert informed().value_of(placing(order_type=order_type, qty=1, auxPrice=450), 0.0) == worth
    assert informed().value_of(placing(order_type=order_type, qty=1, auxPrice=350), 0.0) == 400


@pytest.mark.parametrize("price", [None, 0.0])
def test_a_limit_of_nothing_does_not_bind(price: float | None) -> None:
    terms = placing(qty=1, price=price)
    assert Prices().value_of(terms, 0.0) is None
    assert informed().value_of(terms, 0.0) == 400


def test_contracts_count_with_their_size() -> None:
    option = placing(code=OPTION, qty=2, price=5.5, sec_market=US, trd_market=US)
    assert Prices().value_of(option, 0.0) is None
    assert Prices().missing(option, 0.0) == [(11, OPTION)]
    assert informed().value_of(option, 1e9) == 1100, "a size does not age"
    assert informed().missing(option, 1e9) == []
    future = placing(code="HSImain", order_type=MARKET, qty=1, trd_market=10)
    assert informed().value_of(future, 0.0) == 1_000_000


def test_a_stock_whose_code_looks_odd_is_no_contract_once_it_is_known() -> None:
    terms = placing(code="80700R", qty=2, price=5)
    prices = Prices()
    assert prices.value_of(terms, 0.0) is None
    prices.learn_snapshots_untrusted(snapshots(snapshot(5, "80700R", kind=3, lot=100)), 0, 0.0)
    assert prices.value_of(terms, 0.0) == 10


def test_a_contract_without_a_size_stays_unknown() -> None:
    prices = Prices()
    prices.learn_snapshots_untrusted(snapshots(snapshot(5, OPTION, 11, kind=8, lot=0)), 0, 0.0)
    assert prices.value_of(placing(code=OPTION, price=5, sec_market=US, trd_market=US), 0.0) is None


def test_an_unknown_market_can_not_be_asked_for() -> None:
    terms = placing(order_type=MARKET, sec_market=99)
    assert (Prices().value_of(terms, 0.0), Prices().missing(terms, 0.0)) == (None, [])


def test_an_order_by_amount() -> None:
    assert Prices().value_of(placing(qty=1, price=5, amount=70), 0.0) == 70
    assert Prices().value_of(placing(qty=100, price=5, amount=70), 0.0) == 500


def test_a_combo_is_worth_all_of_its_legs() -> None:
    legs = (11, "AAPL", 1, 100.0), (11, OPTION, 2, 1.0)
    terms = terms_of(2227, combo(*legs, qty=2, price=0.01))
    assert Prices().missing(terms, 0.0) == [(11, "AAPL"), (11, OPTION)]
    assert Prices().value_of(terms, 0.0) is None
    assert informed().value_of(terms, 0.0) == 2 * (100 * 200 + 5 * 100)
    assert informed().value_of(terms_of(2227, combo(*legs, qty=2, price=-50_000)), 0.0) == 100_000
    assert informed().value_of(terms_of(2227, combo(*legs, qty=2)), 0.0) == 41_000


def test_the_question() -> None:
    message = decode_untrusted(opend.SnapshotRequest, snapshot_request([(1, "00700"), (11, "AAPL")]), 0)
    assert [(one.market, one.code) for one in message.c2s.securityList] == [(1, "00700"), (11, "AAPL")]
