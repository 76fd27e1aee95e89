"""Orders that are known to exist."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core.orderbook import KnownOrder, OrderBook
from opendmux.core.orders import Change, Leg, Terms
from opendmux.core.securities import Security
from opendmux.errors import RemoteProtocolError
from opendmux.wire.messages import decode_untrusted, to_client
from opendmux.wire.pb import opend, opend_sim
from tests.core.trade_kit import ACC, order, order_list, order_push

DETERMINISTIC = settings(derandomize=True, deadline=None)

TENCENT = Terms((Leg(Security("HK", "00700"), "BUY"),), 1, Decimal(100), Decimal(10))


def known(order_id: int, order_id_ex: str = "", *, finished: bool = False, acc_id: int = ACC) -> KnownOrder:
    return KnownOrder(acc_id, order_id, order_id_ex, TENCENT, finished)


def test_a_list_teaches_and_either_id_finds() -> None:
    book = OrderBook()
    book.learn_list_untrusted(order_list(order(7, "X7", auxPrice=9), order(8, "X8", price=None, status=11)), 0)
    first = book.find(ACC, 7, "")
    assert first is not None
    assert first == book.find(ACC, 0, "X7") == book.find(ACC, 7, "X7")
    assert first.terms == Terms(
        (Leg(Security("HK", "00700"), "BUY"),), 1, Decimal(100), Decimal(10), aux_price=Decimal(9)
    )
    second = book.find(ACC, 8, "")
    assert second is not None
    assert (second.finished, second.terms.price) == (True, None)


def test_two_ids_of_two_orders_are_no_order() -> None:
    book = OrderBook()
    book.learn_list_untrusted(order_list(order(7, "X7"), order(8, "X8")), 0)
    assert book.find(ACC, 7, "X8") is None
    assert book.find(ACC, 9, "X8") is None
    assert book.find(ACC, 7, "X9") is None


def test_an_order_belongs_to_its_account() -> None:
    book = OrderBook()
    book.learn_list_untrusted(order_list(order(7, "X7")), 0)
    assert book.find(ACC + 1, 7, "X7") is None
    assert book.find(ACC, 0, "") is None


def test_a_push_is_the_newest_word() -> None:
    book = OrderBook()
    book.learn_list_untrusted(order_list(order(7, "X7", qty=100)), 0)
    book.learn_push_untrusted(order_push(order(7, "X7", qty=300, price=11)), 0)
    found = book.find(ACC, 7, "X7")
    assert found is not None
    assert (found.terms.qty, found.terms.price, len(book)) == (Decimal(300), Decimal(11), 1)
    book.learn_push_untrusted(order_push(order(7, "X7", status=15)), 0)
    found = book.find(ACC, 7, "X7")
    assert found is not None
    assert found.finished


def test_json_teaches_the_same() -> None:
    book, other = OrderBook(), OrderBook()
    body = order_list(order(7, "X7"))
    book.learn_list_untrusted(body, 0)
    other.learn_list_untrusted(to_client(decode_untrusted(opend_sim.OrderListResponse, body, 0), 1), 1)
    assert book.find(ACC, 7, "X7") == other.find(ACC, 7, "X7")
    push = order_push(order(7, "X7", qty=5))
    other.learn_push_untrusted(to_client(decode_untrusted(opend_sim.UpdateOrderResponse, push, 0), 1), 1)
    found = other.find(ACC, 7, "X7")
    assert found is not None
    assert found.terms.qty == 5


@pytest.mark.parametrize("body", [b"\xff", b'{"s2c":1}', b"[]", b"null", b"{"])
def test_nonsense_is_refused(body: bytes) -> None:
    for proto_fmt in (0, 1):
        with pytest.raises(RemoteProtocolError):
            OrderBook().learn_list_untrusted(body, proto_fmt)
        with pytest.raises(RemoteProtocolError):
            OrderBook().learn_push_untrusted(body, proto_fmt)


def test_a_refusal_of_opend_teaches_nothing() -> None:
    book = OrderBook()
    for learn in (book.learn_list_untrusted, book.learn_push_untrusted):
        learn(opend.ResponseHead(retType=-1, retMsg="no").SerializeToString(), 0)
    book.learn_list_untrusted(order_list(order(0, "")), 0)
    assert len(book) == 0


def test_numbers_that_make_no_sense_count_as_nothing() -> None:
    book = OrderBook()
    book.learn_list_untrusted(order_list(order(7, "X7", qty=math.nan, price=-math.inf)), 0)
    found = book.find(ACC, 7, "X7")
    assert found is not None
    assert (found.terms.qty, found.terms.price) == (Decimal(0), Decimal(0))


def test_the_market_of_an_order_is_what_opend_says() -> None:
    book = OrderBook()
    book.learn_list_untrusted(
        order_list(
            order(1, "A", code="AAPL", sec_market=2, trd_market=0),
            order(2, "B", sec_market=0, trd_market=0),
            order(3, "C", code="600519", sec_market=0, trd_market=4),
        ),
        0,
    )
    symbols = [found.terms.legs[0].security.symbol for i in (1, 2, 3) if (found := book.find(ACC, i, ""))]
    assert symbols == ["US.AAPL", "HK.00700", "SH.600519"]


def test_a_combo_is_known_by_its_legs() -> None:
    message = opend.UpdateOrderResponse(retType=0)
    message.s2c.header.accID, message.s2c.header.trdMarket = ACC, 2
    message.s2c.order.orderID = 7
    leg = message.s2c.order.comboLegs.add(side=2, qtyRatio=100)
    leg.security.market, leg.security.code = 11, "AAPL"
    message.s2c.order.comboLegs.add().security.market = 11
    book = OrderBook()
    book.learn_push_untrusted(message.SerializeToString(), 0)
    found = book.find(ACC, 7, "")
    assert found is not None
    assert found.terms.combo
    assert found.terms.legs == (
        Leg(Security("US", "AAPL"), "SELL", Decimal(100)),
        Leg(Security("US", ""), "", Decimal(1)),
    )


def test_what_was_placed_does_not_undo_what_a_push_has_told() -> None:
    book = OrderBook()
    book.learn_push_untrusted(order_push(order(7, "X7", qty=60, status=11)), 0)
    book.placed(known(7, "X7"))
    found = book.find(ACC, 7, "X7")
    assert found is not None
    assert (found.terms.qty, found.finished) == (Decimal(60), True)
    book.placed(known(8, "X8"))
    assert book.find(ACC, 8, "X8") == known(8, "X8")


def test_ids_come_together() -> None:
    book = OrderBook()
    book.placed(known(0, "X7"))
    assert book.find(ACC, 7, "X7") is None
    book.placed(known(7, "X7"))
    assert book.find(ACC, 7, "") == known(7, "X7")
    book.placed(known(8))
    book.learn(known(8, "X8"))
    assert book.find(ACC, 0, "X8") == known(8, "X8")
    book.learn(known(8))
    assert book.find(ACC, 8, "X8") == known(8, "X8")
    book.placed(known(0))
    assert len(book) == 2


def test_a_modification_that_opend_took() -> None:
    book = OrderBook()
    book.placed(known(7, "X7"))
    book.modified(known(7, "X7"), Change(Decimal(5), None, None))
    found = book.find(ACC, 7, "X7")
    assert found is not None
    assert (found.terms.qty, found.terms.price) == (Decimal(5), Decimal(10))
    book.modified(known(99), Change(Decimal(5), None, None))
    assert len(book) == 1


def test_the_oldest_finished_go_first() -> None:
    book = OrderBook(kept=4)
    book.learn(known(1))
    book.learn(known(2, finished=True))
    book.learn(known(3, finished=True))
    book.learn(known(4))
    book.learn(known(5))
    assert [i for i in range(1, 6) if book.find(ACC, i, "")] == [1, 3, 4, 5]
    book.learn(known(6))
    assert [i for i in range(1, 7) if book.find(ACC, i, "")] == [1, 4, 5, 6]
    book.learn(known(1))
    book.learn(known(7))
    assert [i for i in range(1, 8) if book.find(ACC, i, "")] == [1, 5, 6, 7]


ids = st.integers(0, 3)


@DETERMINISTIC
@given(st.lists(st.tuples(ids, st.sampled_from(["", "A", "B"]), st.booleans(), st.integers(1, 2)), max_size=40))
def test_the_indexes_agree(steps: list[tuple[int, str, bool, int]]) -> None:
    book = OrderBook(kept=3)
    for order_id, order_id_ex, finished, acc_id in steps:
        book.learn(known(order_id, order_id_ex, finished=finished, acc_id=acc_id))
        orders = [*book._live.values(), *book._done.values()]
        assert len(orders) <= 3
        assert sorted(k for k in book._by_id) == sorted((o.acc_id, o.order_id) for o in orders if o.order_id)
        assert sorted(k for k in book._by_id_ex) == sorted((o.acc_id, o.order_id_ex) for o in orders if o.order_id_ex)
        assert all(book.find(o.acc_id, o.order_id, o.order_id_ex) == o for o in orders)
