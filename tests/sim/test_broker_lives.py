"""Random lives of orders: money and shares are conserved, statuses follow their table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from opendmux.sim.broker import NewOrder
from opendmux.sim.numbers import PRICE_UNIT, Currency
from opendmux.sim.refusal import Refused

from .desk import BUY, LIMIT, MARKET, SELL, TENCENT, Desk

if TYPE_CHECKING:
    from opendmux.sim.accounts import Account
    from opendmux.sim.broker import Event

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
