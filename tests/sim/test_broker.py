"""Orders: money and shares are conserved whatever happens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from opendmux.sim.broker import Broker, Event, NewOrder, Order
from opendmux.sim.market import Market, Stock
from opendmux.sim.numbers import PRICE_UNIT, Currency, OrderStatus, TrdEnv
from opendmux.sim.refusal import Refused

if TYPE_CHECKING:
    from opendmux.sim.accounts import Account

EPOCH = 1_767_580_200.0
TENCENT, APPLE = (1, "00700"), (11, "AAPL")
BUY, SELL = 1, 2
LIMIT, MARKET = 1, 2


class Desk:
    """A broker, its market and its three accounts."""

    def __init__(self, seed: int = 1) -> None:
        self.market = Market(seed, EPOCH)
        self.broker = Broker(seed, self.market)
        self.real, self.paper_hk, self.paper_us = self.broker.accounts.values()
        self.now = EPOCH
        self.refusals: set[str] = set()

    def stock(self, key: tuple[int, str] = TENCENT) -> Stock:
        return self.market.stock(key, self.now)

    def place(self, account: Account | None = None, **order: Any) -> Order:
        """Buy 100 HK.00700 at the market in the real account, unless told otherwise."""
        fields = {"key": TENCENT, "side": BUY, "order_type": MARKET, "qty": 100, "price": 0.0, **order}
        return self.broker.place(account or self.real, NewOrder(**fields), self.now)

    def step(self, key: tuple[int, str] = TENCENT) -> None:
        self.now += 1
        self.stock(key).step(self.now)
        self.broker.on_step(key, self.now)

    def statuses(self) -> list[str]:
        return [event.order.status.name for event in self.broker.take_events()]


def price_of(stock: Stock, ticks: int) -> float:
    """A price so many ticks above the best bid."""
    return (stock.book()[1][0].price + ticks * stock.security.tick) / PRICE_UNIT


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
    order = desk.place(order_type=LIMIT, price=limit, qty=100_000 // 100 * 1)
    assert all(fill.price <= limit * PRICE_UNIT for fill in desk.broker.fills)
    assert order.filled or order.status == OrderStatus.SUBMITTED


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


NEXT = {
    "SUBMITTED": {"SUBMITTED", "FILLED_PART", "FILLED_ALL", "CANCELLED_ALL"},
    "FILLED_PART": {"FILLED_PART", "FILLED_ALL", "CANCELLED_PART"},
    "FILLED_ALL": set(),
    "CANCELLED_PART": set(),
    "CANCELLED_ALL": set(),
}


class Trading(RuleBasedStateMachine):
    """Random orders, changes and market moves in two accounts."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(seed=11)
        self.start = {acc_id: dict(account.cash) for acc_id, account in self.desk.broker.accounts.items()}
        self.last: dict[str, str] = {}

    def account(self, real: bool) -> Account:
        return self.desk.real if real else self.desk.paper_hk

    @rule(
        real=st.booleans(),
        side=st.sampled_from([BUY, SELL]),
        order_type=st.sampled_from([LIMIT, MARKET]),
        lots=st.integers(1, 60),
        ticks=st.integers(-12, 12),
        time_in_force=st.sampled_from([0, 0, 2]),
    )
    def place(self, real: bool, side: int, order_type: int, lots: int, ticks: int, time_in_force: int) -> None:
        desk = self.desk
        price = (desk.stock().price + ticks * desk.stock().security.tick) / PRICE_UNIT
        order = NewOrder(TENCENT, side, order_type, lots * 100, price, time_in_force=time_in_force if real else 0)
        try:
            desk.broker.place(self.account(real), order, desk.now)
        except Refused as refused:
            desk.refusals.add(refused.text.split(":")[0])

    @rule(pick=st.integers(0, 50), lots=st.integers(1, 60), ticks=st.integers(-12, 12))
    def modify(self, pick: int, lots: int, ticks: int) -> None:
        desk = self.desk
        orders = list(desk.broker.orders.values())
        if orders:
            order = orders[pick % len(orders)]
            price = (desk.stock().price + ticks * desk.stock().security.tick) / PRICE_UNIT
            try:
                account = desk.broker.accounts[order.acc_id]
                desk.broker.modify(account, order, lots * 100, price, None, desk.now)
            except Refused:
                pass

    @rule(pick=st.integers(0, 50))
    def cancel(self, pick: int) -> None:
        orders = list(self.desk.broker.orders.values())
        if orders:
            order = orders[pick % len(orders)]
            was_open = order.status.open
            try:
                self.desk.broker.cancel(self.desk.broker.accounts[order.acc_id], order, self.desk.now)
            except Refused:
                assert not was_open

    @rule(times=st.integers(1, 5))
    def step(self, times: int) -> None:
        for _ in range(times):
            self.desk.step()

    @invariant()
    def everything_adds_up(self) -> None:
        broker = self.desk.broker
        for acc_id, account in broker.accounts.items():
            orders = [order for order in broker.orders.values() if order.acc_id == acc_id]
            bought = sum(order.filled for order in orders if order.side == BUY)
            sold = sum(order.filled for order in orders if order.side == SELL)
            paid = sum(order.filled_value for order in orders if order.side == BUY)
            got = sum(order.filled_value for order in orders if order.side == SELL)
            open_orders = [order for order in orders if order.status.open]
            for currency, cash in account.cash.items():
                moved = got - paid if currency == Currency.HKD else 0
                assert cash == self.start[acc_id][currency] + moved
                assert account.available(currency) >= 0
            position = account.positions.get(TENCENT)
            assert (position.qty if position else 0) == bought - sold
            if position:
                assert 0 <= position.frozen <= position.qty
                assert position.cost == paid - got + position.realized
                assert position.cost >= 0
                assert position.frozen == sum(order.left for order in open_orders if order.side == SELL)
            assert account.frozen.get(Currency.HKD, 0) == sum(
                order.left * order.limit for order in open_orders if order.side == BUY
            )
            for order in orders:
                fills = [fill for fill in broker.fills if fill.order is order]
                assert order.filled == sum(fill.qty for fill in fills) <= order.qty
                assert order.filled_value == sum(fill.qty * fill.price for fill in fills)

    @invariant()
    def nothing_else_is_refused(self) -> None:
        assert self.desk.refusals <= {"insufficient buying power", "insufficient position"}

    @invariant()
    def statuses_follow_the_table(self) -> None:
        for event in self.desk.broker.take_events():
            self.check(event)

    def check(self, event: Event) -> None:
        name, status = event.order.order_id_ex, event.order.status.name
        if name in self.last:
            assert status in NEXT[self.last[name]]
        else:
            assert status == "SUBMITTED"
        assert (event.fill is not None) >= (status == "FILLED_ALL")
        assert event.order.filled <= event.order.qty
        self.last[name] = status


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
