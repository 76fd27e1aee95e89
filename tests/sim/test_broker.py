"""Orders: what is accepted, how it fills, what it leaves behind."""

from __future__ import annotations

import math
from typing import Any

import pytest

from opendmux.sim.broker import NewOrder
from opendmux.sim.numbers import PRICE_UNIT, Currency, OrderStatus, TrdEnv
from opendmux.sim.refusal import Refused

from .desk import APPLE, BUY, LIMIT, SELL, TENCENT, Desk, price_of


def test_a_market_order_takes_the_displayed_book() -> None:
    desk = Desk()
    ask = desk.stock().book()[0][0]
    price, volume = ask.price, ask.volume
    order = desk.place(qty=100)
    assert (order.status, order.filled, order.filled_value) == (OrderStatus.FILLED_ALL, 100, 100 * price)
    assert ask.volume == volume - 100
    position = desk.real.positions[TENCENT]
    assert (position.qty, position.sellable, position.cost) == (100, 100, 100 * price)
    assert desk.real.cash[Currency.HKD] == 1_000_000 * PRICE_UNIT - 100 * price
    assert desk.real.frozen[Currency.HKD] == 0
    events = desk.broker.take_events()
    assert [(event.order.status.name, event.fill is not None) for event in events] == [
        ("SUBMITTED", False),
        ("FILLED_ALL", True),
    ]
    assert desk.broker.watched == set()


def test_an_order_larger_than_the_book_fills_in_parts() -> None:
    desk = Desk(seed=5)
    desk.real.cash[Currency.HKD] *= 1_000
    displayed = sum(level.volume for level in desk.stock().book()[0])
    order = desk.place(qty=displayed + 500)
    assert (order.status, order.left) == (OrderStatus.FILLED_PART, 500)
    assert desk.broker.watched == {TENCENT}
    for _ in range(5):
        desk.step()
    assert order.status == OrderStatus.FILLED_ALL


def test_a_resting_limit_fills_at_its_price_when_the_market_comes() -> None:
    desk = Desk()
    limit = price_of(desk.stock(), -3)
    order = desk.place(order_type=LIMIT, price=limit)
    assert order.status.open
    assert not order.filled
    reserved = desk.real.frozen[Currency.HKD]
    assert reserved == round(limit * PRICE_UNIT) * 100
    for _ in range(2_000):
        desk.step()
        if not order.status.open:
            break
    assert order.status == OrderStatus.FILLED_ALL
    assert order.filled_value == reserved
    assert desk.real.frozen[Currency.HKD] == 0


def test_a_crossing_limit_never_pays_more_than_its_price() -> None:
    desk = Desk()
    limit = price_of(desk.stock(), 2)
    order = desk.place(order_type=LIMIT, price=limit, qty=1_000)
    assert all(fill.price <= limit * PRICE_UNIT for fill in desk.broker.fills)
    assert order.filled


def test_no_power_no_buy() -> None:
    desk = Desk()
    with pytest.raises(Refused, match="insufficient buying power"):
        desk.place(order_type=LIMIT, price=price_of(desk.stock(), 0), qty=1_000_000)
    desk.place(order_type=LIMIT, price=price_of(desk.stock(), -50), qty=2_000)
    with pytest.raises(Refused, match="insufficient buying power"):
        desk.place(order_type=LIMIT, price=price_of(desk.stock(), -50), qty=2_000)
    assert len(desk.broker.orders) == 1


def test_no_position_no_sale() -> None:
    desk = Desk()
    with pytest.raises(Refused, match="insufficient position: 100 to sell, 0 can be sold"):
        desk.place(side=SELL)
    desk.place(qty=200)
    desk.place(side=SELL, order_type=LIMIT, price=price_of(desk.stock(), 50), qty=200)
    with pytest.raises(Refused, match="0 can be sold"):
        desk.place(side=SELL)


def test_a_sale_realizes_the_gain() -> None:
    desk = Desk()
    desk.place(qty=200)
    cost = desk.real.positions[TENCENT].cost
    desk.step()
    sale = desk.place(side=SELL, qty=100)
    position = desk.real.positions[TENCENT]
    assert position.qty == 100
    assert position.cost == cost - cost // 2
    assert position.realized == sale.filled_value - cost // 2
    assert desk.real.cash[Currency.HKD] == 1_000_000 * PRICE_UNIT - cost + sale.filled_value


def test_cancel_gives_the_reservation_back() -> None:
    desk = Desk()
    order = desk.place(order_type=LIMIT, price=price_of(desk.stock(), -20))
    desk.broker.cancel(desk.real, order, desk.now)
    assert order.status == OrderStatus.CANCELLED_ALL
    assert desk.real.frozen[Currency.HKD] == 0
    with pytest.raises(Refused, match="CANCELLED_ALL"):
        desk.broker.cancel(desk.real, order, desk.now)
    assert desk.statuses() == ["SUBMITTED", "CANCELLED_ALL"]


def test_immediate_or_cancel_leaves_nothing_open() -> None:
    desk = Desk(seed=5)
    desk.real.cash[Currency.HKD] *= 1_000
    displayed = sum(level.volume for level in desk.stock().book()[0])
    order = desk.place(qty=displayed + 500, time_in_force=2)
    assert (order.status, order.left) == (OrderStatus.CANCELLED_PART, 500)
    nothing = desk.place(order_type=LIMIT, price=price_of(desk.stock(), -9), time_in_force=2)
    assert nothing.status == OrderStatus.CANCELLED_ALL
    assert desk.broker.watched == set()
    assert desk.real.frozen[Currency.HKD] == 0


def test_modify_changes_quantity_and_price() -> None:
    desk = Desk()
    order = desk.place(order_type=LIMIT, price=price_of(desk.stock(), -20), qty=200)
    lower = price_of(desk.stock(), -30)
    desk.broker.modify(desk.real, order, 300, lower, None, desk.now)
    assert desk.real.frozen[Currency.HKD] == round(lower * PRICE_UNIT) * 300
    desk.broker.modify(desk.real, order, 300, price_of(desk.stock(), 15), None, desk.now)
    assert order.filled


def test_a_refused_modification_changes_nothing() -> None:
    desk = Desk()
    order = desk.place(order_type=LIMIT, price=price_of(desk.stock(), -20), qty=200)
    frozen, before = desk.real.frozen[Currency.HKD], (order.qty, order.limit)
    for qty, price in ((10**9, 1.0), (150, price_of(desk.stock(), -20)), (200, -1.0), (200, 0.123456)):
        with pytest.raises(Refused):
            desk.broker.modify(desk.real, order, qty, price, None, desk.now)
    with pytest.raises(Refused, match="power"):
        desk.broker.modify(desk.real, order, 10**9, price_of(desk.stock(), -20), None, desk.now)
    assert (desk.real.frozen[Currency.HKD], (order.qty, order.limit)) == (frozen, before)
    assert order.status == OrderStatus.SUBMITTED


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"qty": 0}, "quantity"),
        ({"qty": -100}, "quantity"),
        ({"qty": math.nan}, "quantity"),
        ({"qty": math.inf}, "quantity"),
        ({"qty": 150}, "lot size 100"),
        ({"qty": 0.5}, "lot size"),
        ({"order_type": LIMIT, "price": 0.0}, "price"),
        ({"order_type": LIMIT, "price": math.nan}, "price"),
        ({"order_type": LIMIT, "price": 300.03}, "tick size"),
        ({"order_type": 10}, "not simulated"),
        ({"side": 3}, "trdSide"),
        ({"time_in_force": 9}, "timeInForce"),
        ({"remark": "é" * 33}, "64 bytes"),
        ({"key": (1, "800000")}, "INDEX"),
        ({"key": (1, "HSImain")}, "FUTURE"),
        ({"key": (31, "D05")}, "can't trade"),
        ({"key": (1, "7")}, "unknown security"),
    ],
)
def test_impossible_orders_are_refused_with_a_reason(changes: dict[str, Any], text: str) -> None:
    desk = Desk()
    with pytest.raises(Refused, match=text):
        desk.place(**changes)
    assert desk.broker.orders == {}
    assert desk.real.frozen.get(Currency.HKD, 0) == 0


def test_paper_accounts_are_narrower() -> None:
    desk = Desk()
    for changes in ({"order_type": 5}, {"time_in_force": 1}, {"key": APPLE, "qty": 1}):
        with pytest.raises(Refused):
            desk.place(desk.paper_hk, **changes)
    assert desk.place(desk.paper_hk).status == OrderStatus.FILLED_ALL
    assert desk.place(desk.paper_us, key=APPLE, qty=7).status == OrderStatus.FILLED_ALL
    assert desk.place(desk.real, key=(21, "600519"), qty=100).trd_env == TrdEnv.REAL


def test_the_price_moves_to_a_tick_when_it_may() -> None:
    desk = Desk()
    tick = desk.stock().security.tick / PRICE_UNIT
    low = price_of(desk.stock(), -20)
    up = desk.place(order_type=LIMIT, price=low + tick / 4, adjust=0.01)
    down = desk.place(order_type=LIMIT, price=low + tick / 4, adjust=-0.01)
    assert (up.limit, down.limit) == (round((low + tick) * PRICE_UNIT), round(low * PRICE_UNIT))
    with pytest.raises(Refused, match="no valid price within"):
        desk.place(order_type=LIMIT, price=low + tick / 4, adjust=0.000001)


def test_the_most_one_can_trade() -> None:
    desk = Desk()
    price = price_of(desk.stock(), -20)
    new = NewOrder(TENCENT, BUY, LIMIT, 1, price)
    most, _ = desk.broker.most(desk.real, new, None, desk.now)
    assert most == int(1_000_000 / price / 100) * 100
    order = desk.place(order_type=LIMIT, price=price, qty=most)
    assert desk.broker.most(desk.real, new, None, desk.now)[0] == 0
    assert desk.broker.most(desk.real, new, order, desk.now)[0] == most
    desk.broker.cancel(desk.real, order, desk.now)
    desk.place(qty=300)
    assert desk.broker.most(desk.real, new, None, desk.now)[1] == 300


def test_orders_have_names_that_follow_from_the_seed() -> None:
    names = [[Desk(seed).place().order_id_ex, Desk(seed).place().order_id_ex] for seed in (1, 1, 2)]
    assert names[0] == names[1] != names[2]
    desk = Desk()
    orders = [desk.place(qty=100) for _ in range(5)]
    assert len({order.order_id_ex for order in orders}) == len({order.order_id for order in orders}) == 5
    assert all(order.order_id > 2**53 for order in orders)
