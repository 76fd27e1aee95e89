"""What OpenD's pushes and replies teach of orders and prices; `test_orderbook` and `test_prices` have the details."""

from __future__ import annotations

from opendmux.core.knowledge import Knowledge
from tests.core.gate_kit import Desk, key_of, passed, refused
from tests.core.trade_kit import ACC, MARKET, order, order_list, place, quote_push, snapshot, snapshots


def test_what_is_pushed_is_learnt_and_nonsense_is_not() -> None:
    desk = Desk(key_of(max_order_value=1000.0))
    for proto_id in (2201, 2208, 3005, 3203, 3006):
        desk.knowledge.learn(proto_id, b"\xff", 0, 0.0)
    desk.knowledge.learn(3005, quote_push(10), 0, 0.0)
    passed(desk.send(2202, place(order_type=MARKET)))
    assert refused(desk.send(2202, place(order_type=MARKET, qty=101))).reason == "per_order"


def test_what_is_answered_is_learnt() -> None:
    knowledge = Knowledge()
    knowledge.learn(2201, order_list(order(7, "X7", qty=100, price=10)), 0, 0.0)
    knowledge.learn(3203, snapshots(snapshot(7)), 0, 5.0)
    known = knowledge.book.find(ACC, 7, "X7")
    assert known is not None
    assert knowledge.prices.find(known.terms.legs[0].security, 5.0, 1.0) == 7
    knowledge.learn(2001, order_list(order(8, "X8", qty=100, price=10)), 0, 5.0)
    assert len(knowledge.book) == 1, "of other calls nothing is taken"
