"""Trade writes as OpenD reads them."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core.orders import (
    Change,
    Leg,
    Op,
    OrderFacts,
    Terms,
    is_calming_untrusted,
    read_order_untrusted,
    surely_calming_untrusted,
)
from opendmux.core.securities import Security
from opendmux.errors import RemoteProtocolError
from opendmux.wire.messages import canonical_json, decode_untrusted
from opendmux.wire.pb import opend
from tests.core.trade_kit import ACC, combo, modify, place, reconfirm

DETERMINISTIC = settings(derandomize=True, deadline=None)

MESSAGES = {
    2202: opend.PlaceOrderRequest,
    2205: opend.ModifyOrderRequest,
    2209: opend.ReconfirmOrderRequest,
    2227: opend.PlaceComboOrderRequest,
    2237: opend.ReconfirmOrderRequest,
}


def read(proto_id: int, body: bytes) -> OrderFacts:
    """Read in both formats, which must agree."""
    facts = read_order_untrusted(proto_id, 0, body)
    text = canonical_json(decode_untrusted(MESSAGES[proto_id], body, 0))
    assert read_order_untrusted(proto_id, 1, text) == facts
    return facts


def test_a_new_order() -> None:
    facts = read(2202, place(qty=0.3, price=0.1, auxPrice=9.5, amount=2))
    assert facts == OrderFacts(
        2202,
        1,
        ACC,
        1,
        terms=Terms(
            (Leg(Security("HK", "00700"), "BUY"),), 1, Decimal("0.3"), Decimal("0.1"), Decimal("9.5"), Decimal(2)
        ),
    )
    assert not facts.calming


def test_what_a_new_order_leaves_out() -> None:
    facts = read(2202, place(price=None))
    assert facts.terms is not None
    assert (facts.terms.price, facts.terms.aux_price, facts.terms.amount) == (None, None, Decimal(0))


def test_a_price_counts_with_what_opend_may_add_to_it() -> None:
    def price(**more: object) -> Decimal | None:
        terms = read(2202, place(price=100, **more)).terms  # type: ignore[arg-type]
        assert terms is not None
        return terms.price

    assert price(adjustPrice=True, adjustSideAndLimit=0.015) == Decimal("101.5")
    assert price(adjustPrice=True, adjustSideAndLimit=-0.015) == 100
    assert price(adjustPrice=False, adjustSideAndLimit=0.015) == 100
    assert read(2205, modify(price=100.0, adjustPrice=True, adjustSideAndLimit=0.1)).change == Change(
        None, Decimal(110), None
    )


def test_a_combo() -> None:
    body = combo((11, "AAPL", 1, 100), (11, "AAPL260116C250000", 2, None), qty=2, price=-1.5)
    facts = read(2227, body)
    assert facts.terms is not None
    assert facts.terms.legs == (
        Leg(Security("US", "AAPL"), "BUY", Decimal(100)),
        Leg(Security("US", "AAPL260116C250000"), "SELL", Decimal(1)),
    )
    assert (facts.terms.price, facts.terms.qty, facts.terms.combo) == (Decimal("-1.5"), Decimal(2), True)


def test_a_modification_sets_what_it_names() -> None:
    facts = read(2205, modify(order_id=7, order_id_ex="X7", qty=5.0))
    assert (facts.op, facts.order_id, facts.order_id_ex, facts.for_all) == (Op.NORMAL, 7, "X7", False)
    assert facts.change == Change(Decimal(5), None, None)
    terms = Terms((), 1, Decimal(1), Decimal(2), Decimal(3))
    assert terms.changed(Change(Decimal(5), None, None)) == Terms((), 1, Decimal(5), Decimal(2), Decimal(3))
    assert terms.changed(Change(None, Decimal(6), Decimal(7))) == Terms((), 1, Decimal(1), Decimal(6), Decimal(7))


@pytest.mark.parametrize(("op", "calming"), [(1, False), (2, True), (3, True), (4, False), (5, True)])
def test_what_takes_orders_out_of_the_market(op: int, calming: bool) -> None:
    for body in (modify(op, order_id=7), modify(op, forAll=True, trdMarket=1)):
        assert read(2205, body).calming is calming
        assert is_calming_untrusted(2205, 0, body) is calming
        text = canonical_json(decode_untrusted(opend.ModifyOrderRequest, body, 0))
        assert is_calming_untrusted(2205, 1, text) is surely_calming_untrusted(2205, 1, text) is calming
    assert read(2205, modify(op, forAll=True)).for_all


def test_nothing_else_is_a_cancel() -> None:
    body = modify(2, order_id=7)
    assert not any(is_calming_untrusted(proto_id, 0, body) for proto_id in (2202, 2209, 2227, 2237))


@pytest.mark.parametrize(("body", "proto_fmt"), [(b"\xff", 0), (b"{", 1), (b"", 9)])
def test_what_can_not_be_read_is_surely_no_cancel(body: bytes, proto_fmt: int) -> None:
    assert not surely_calming_untrusted(2205, proto_fmt, body)


@pytest.mark.parametrize("proto_id", [2209, 2237])
def test_a_confirmation_names_an_order(proto_id: int) -> None:
    facts = read(proto_id, reconfirm(7))
    assert (facts.order_id, facts.acc_id, facts.terms, facts.op) == (7, ACC, None, None)


def test_the_kind_of_account_in_japan_is_kept_for_questions() -> None:
    message = decode_untrusted(opend.ModifyOrderRequest, modify(order_id=7), 0)
    message.c2s.header.jpAccType = 2
    assert read_order_untrusted(2205, 0, message.SerializeToString()).jp_acc_type == 2


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 1.1e15])
@pytest.mark.parametrize("field", ["qty", "price", "auxPrice", "amount"])
def test_numbers_that_can_not_be_meant(field: str, value: float) -> None:
    with pytest.raises(RemoteProtocolError, match=f"{field} is "):
        read_order_untrusted(2202, 0, place(**{field: value}))  # type: ignore[arg-type]
    if field != "amount":
        with pytest.raises(RemoteProtocolError, match=f"{field} is "):
            read_order_untrusted(2205, 0, modify(order_id=7, **{field: value}))  # type: ignore[arg-type]


def test_other_things_that_can_not_be_meant() -> None:
    for body, words in [
        (place(adjustPrice=True, adjustSideAndLimit=math.nan), "adjustSideAndLimit"),
        (b"\xff", "not a PlaceOrderRequest"),
    ]:
        with pytest.raises(RemoteProtocolError, match=words):
            read_order_untrusted(2202, 0, body)
    for op in (0, 6, -1):
        with pytest.raises(RemoteProtocolError, match="modifyOrderOp"):
            read_order_untrusted(2205, 0, modify(op, order_id=7))
    leg = (11, "AAPL", 1, 1.0)
    for body, words in [
        (combo(), "comboLegs is empty"),
        (combo(*[leg] * 51), "51 legs"),
        (combo((11, "AAPL", 1, -1.0)), "qtyRatio"),
        (combo(leg, price=math.nan), "price"),
        (combo(leg, qty=-1), "qty"),
    ]:
        with pytest.raises(RemoteProtocolError, match=words):
            read_order_untrusted(2227, 0, body)
    with pytest.raises(RemoteProtocolError, match="no trade write"):
        read_order_untrusted(2201, 0, place())
    with pytest.raises(RemoteProtocolError):
        read_order_untrusted(2202, 1, json.dumps({"c2s": {"qty": 1, "Qty": 2}}).encode())


@DETERMINISTIC
@given(st.sampled_from(sorted(MESSAGES)), st.binary(max_size=60), st.sampled_from([0, 1]))
def test_any_bytes_are_read_or_refused(proto_id: int, body: bytes, proto_fmt: int) -> None:
    try:
        read_order_untrusted(proto_id, proto_fmt, body)
        is_calming_untrusted(proto_id, proto_fmt, body)
    except RemoteProtocolError:
        pass
