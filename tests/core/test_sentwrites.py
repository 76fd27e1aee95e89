"""Writes that were let through: what OpenD's verdict gives back, and what is learnt from it."""

from __future__ import annotations

import pytest

from opendmux.wire.pb import opend
from tests.core.gate_kit import Desk, key_of, passed, refused
from tests.core.trade_kit import ACC, US, combo, modify, place, placed


@pytest.mark.parametrize("ret_type", [-400, -100, -200])
def test_an_order_that_may_exist_has_used_its_value(ret_type: int) -> None:
    desk = Desk(key_of(max_daily_value=2500.0))
    desk.settle(passed(desk.send(2202, place())), ret_type)
    assert desk.value_left() == 1500
    assert len(desk.knowledge.book) == 0


def test_the_rate_slot_of_a_sent_order_is_never_given_back() -> None:
    desk = Desk(key_of(max_daily_value=2500.0, max_orders_per_minute=5))
    desk.settle(passed(desk.send(2202, place())), -1)
    assert desk.orders_left == 4


def test_a_key_with_a_rate_alone_teaches_nothing() -> None:
    desk = Desk(key_of(max_orders_per_minute=5))
    desk.settle(passed(desk.send(2202, place())), 0, placed())
    assert (desk.orders_left, len(desk.knowledge.book)) == (4, 0)


def test_an_order_settles_though_its_session_has_gone() -> None:
    desk = Desk(key_of(max_daily_value=2500.0))
    request = passed(desk.send(2202, place()))
    desk.session.key = None
    desk.settle(request, -1)
    assert desk.value_left() == 2500


def test_an_order_that_was_not_sent_after_all_costs_nothing() -> None:
    desk = Desk(key_of(max_daily_value=2500.0, max_orders_per_minute=5))
    request = passed(desk.send(2202, place()))
    assert (desk.orders_left, desk.value_left()) == (4, 1500)
    desk.gate.sent.unsent(request)
    desk.gate.sent.unsent(request)
    assert (desk.orders_left, desk.value_left()) == (5, 2500)
    rated = Desk(key_of(max_orders_per_minute=5))
    rated.gate.sent.unsent(passed(rated.send(2202, place())))
    valued = Desk(key_of(max_daily_value=2500.0))
    valued.gate.sent.unsent(passed(valued.send(2202, place())))
    assert (rated.orders_left, valued.value_left()) == (5, 2500)


def test_a_refusal_after_midnight_does_not_make_the_new_day_larger() -> None:
    desk = Desk(key_of(max_daily_value=1000.0))
    request = passed(desk.send(2202, place(), 12 * 3600 - 1.0))
    passed(desk.send(2202, place(), 12 * 3600.0))
    desk.settle(request, -1)
    assert refused(desk.send(2202, place(qty=1), 12 * 3600 + 2.0)).reason == "daily"


def test_a_value_counts_until_opend_refuses_it() -> None:
    desk = Desk(key_of(max_daily_value=2500.0))
    first, second = passed(desk.send(2202, place())), passed(desk.send(2202, place()))
    assert desk.value_left() == 500
    assert refused(desk.send(2202, place())).text == (
        "2202 Trd_PlaceOrder was not sent: "
        "max_daily_value 2500: 2000 is used today, 500 is left, this order adds 1000; reset in 12 h 0 min"
    )
    desk.settle(first, -1)
    assert desk.value_left() == 1500
    desk.settle(first, -1)
    assert desk.value_left() == 1500, "once"
    desk.settle(second, 0, placed())
    desk.settle(second, -1)
    assert desk.value_left() == 1500


def test_an_order_that_went_through_the_gate_is_known() -> None:
    desk = Desk(key_of(max_daily_value=2500.0))
    desk.settle(passed(desk.send(2202, place())), 0, placed(7, "X7"))
    passed(desk.send(2205, modify(order_id_ex="X7", qty=110.0)))
    assert (desk.asks, desk.value_left()) == ([], 1400)


def test_a_combo_that_was_placed_is_known() -> None:
    desk = Desk(key_of(allowed_markets=frozenset({"US"})))
    request = passed(desk.send(2227, combo((11, "AAPL", 1, 1.0))))
    message = opend.ComboOrderIdResponse(retType=0)
    message.s2c.orderIDEx = "C1"
    desk.settle(request, 0, message.SerializeToString())
    passed(desk.send(2205, modify(order_id_ex="C1", trd_market=US)))


def test_an_answer_that_can_not_be_read_settles_all_the_same() -> None:
    desk = Desk(key_of(max_daily_value=2500.0))
    desk.settle(passed(desk.send(2202, place())), 0, b"\xff")
    assert (desk.value_left(), len(desk.knowledge.book)) == (1500, 0)
    text = b'{"retType":0,"s2c":{"orderID":"7","orderIDEx":"X7"}}'
    request = passed(desk.send(2202, place()))
    desk.gate.sent.settled(request, 0, text, proto_fmt=1)
    assert desk.knowledge.book.find(ACC, 7, "X7") is not None
