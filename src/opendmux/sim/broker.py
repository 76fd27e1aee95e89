"""Orders against the live market: checks, reservations, matching.

An order that arrives takes what the displayed book offers up to its limit; what is left rests and is looked at again
with every step of its security: a resting limit order fills at its own price when the market has come to it, at most
the displayed size at a time. A market order is a limit order with a collar of 5 % around the best price, so that its
cost is bounded. No fees, no credit, no short selling, no fractions of a share. Accounts change in `accounts` only;
everything that must be pushed is an event, taken by `take_events`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .accounts import Account, default_accounts, trd_market_of
from .dice import number
from .numbers import PRICE_UNIT, OrderStatus, OrderType, SecurityType, TimeInForce, TrdEnv, TrdSide
from .refusal import Refused

if TYPE_CHECKING:
    from .market import Market, Stock
    from .securities import SecKey, Security

__all__ = ["Broker", "Event", "Fill", "NewOrder", "Order"]

_COLLAR = 0.05
_MAX_REMARK_BYTES = 64
_MAX_QTY = 10**12
_MAX_PRICE = 10**9


class NewOrder(NamedTuple):
    """What a client asks for, as it stands in PlaceOrder."""

    key: SecKey
    side: int
    order_type: int
    qty: float
    price: float
    adjust: float | None = None
    """adjustSideAndLimit when the client lets us move the price to a valid tick: up when positive; a fraction."""
    remark: str = ""
    time_in_force: int = TimeInForce.DAY
    fill_outside_rth: bool = False
    session: int = 0


@dataclass(slots=True)
class Order:
    order_id: int
    order_id_ex: str
    acc_id: int
    trd_env: TrdEnv
    security: Security
    side: TrdSide
    order_type: int
    qty: int
    limit: int
    """Worst price it may trade at, in 1/10,000; also what a buy order reserves per share."""
    created: float
    updated: float
    remark: str
    time_in_force: int
    fill_outside_rth: bool
    session: int
    status: OrderStatus = OrderStatus.SUBMITTED
    filled: int = 0
    filled_value: int = 0

    @property
    def left(self) -> int:
        return self.qty - self.filled

    @property
    def is_market(self) -> bool:
        return self.order_type == OrderType.MARKET


class Fill(NamedTuple):
    fill_id: int
    order: Order
    qty: int
    price: int
    time: float
    counter_broker: int


class Event(NamedTuple):
    """Something the clients of an account must be told: the order as it was then, and the fill when it is one."""

    order: Order
    fill: Fill | None


class Broker:
    """All accounts and orders of the simulator. Times in UTC seconds."""

    def __init__(self, seed: int, market: Market) -> None:
        self._seed = seed
        self._market = market
        self.accounts: dict[int, Account] = {account.acc_id: account for account in default_accounts(seed)}
        self.orders: dict[str, Order] = {}
        """By orderIDEx, oldest first."""
        self.fills: list[Fill] = []
        self._open: dict[SecKey, list[Order]] = {}
        self._events: list[Event] = []

    @property
    def watched(self) -> set[SecKey]:
        """Securities with open orders: the market must move for them even when nobody has subscribed."""
        return {key for key, orders in self._open.items() if orders}

    def take_events(self) -> list[Event]:
        """What happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def place(self, account: Account, new: NewOrder, now: float) -> Order:
        """Accept an order, or raise Refused."""
        stock = self._market.stock(new.key, now)
        self._check(account, new, stock.security)
        order = Order(
            order_id=7_000_000_000_000_000_000 + len(self.orders) * 1_000_003,
            order_id_ex=f"S{number(self._seed, 'order', len(self.orders)):016X}",
            acc_id=account.acc_id,
            trd_env=account.trd_env,
            security=stock.security,
            side=TrdSide(new.side),
            order_type=new.order_type,
            qty=_quantity(new.qty, stock.security),
            limit=_limit(new.order_type, new.price, new.adjust, new.side, stock),
            created=now,
            updated=now,
            remark=new.remark,
            time_in_force=new.time_in_force,
            fill_outside_rth=new.fill_outside_rth,
            session=new.session,
        )
        self._reserve(account, order)
        self.orders[order.order_id_ex] = order
        self._open.setdefault(new.key, []).append(order)
        self._tell(order)
        self._match(order, stock, now, arriving=True)
        return order

    def modify(
        self, account: Account, order: Order, qty: float, price: float, adjust: float | None, now: float
    ) -> None:
        """Give an open order a new total quantity and price, or raise Refused and leave it as it was."""
        self._check_open(order)
        stock = self._market.stock(order.security.key, now)
        new_qty = _quantity(qty, order.security)
        if new_qty <= order.filled:
            raise Refused(f"the new quantity {new_qty} is not more than the {order.filled} already filled")
        limit = order.limit if order.is_market else _limit(order.order_type, price, adjust, order.side, stock)
        before = order.qty, order.limit
        self._release(account, order)
        order.qty, order.limit = new_qty, limit
        try:
            self._reserve(account, order)
        except Refused:
            order.qty, order.limit = before
            self._reserve(account, order)
            raise
        order.updated = now
        self._tell(order)
        self._match(order, stock, now, arriving=True)

    def cancel(self, account: Account, order: Order, now: float) -> None:
        """Cancel what is left of an open order. Raises Refused when nothing is."""
        self._check_open(order)
        self._release(account, order)
        order.status = OrderStatus.CANCELLED_PART if order.filled else OrderStatus.CANCELLED_ALL
        self._close(order, now)

    def cancel_all(self, account: Account, trd_market: int, now: float) -> None:
        """Cancel every open order of an account, in one TrdMarket when it is not 0."""
        for order in self.open_orders(account.acc_id):
            if trd_market in {0, trd_market_of(order.security.key, order.trd_env)}:
                self.cancel(account, order, now)

    def open_orders(self, acc_id: int) -> list[Order]:
        return [order for orders in self._open.values() for order in orders if order.acc_id == acc_id]

    def on_step(self, key: SecKey, now: float) -> None:
        """Look at the resting orders of a security that has just moved."""
        for order in list(self._open.get(key, ())):
            self._match(order, self._market.stock(key, now), now, arriving=False)

    def most(self, account: Account, new: NewOrder, instead_of: Order | None, now: float) -> tuple[int, int]:
        """(most shares to buy, most to sell) in whole lots; ``instead_of``: an open order whose reservation is free."""
        stock = self._market.stock(new.key, now)
        security = stock.security
        price = _limit(new.order_type, new.price, new.adjust or 0.0, new.side, stock)
        cash, shares = account.available(security.venue.currency), account.sellable(new.key)
        if instead_of is not None and instead_of.status.open:
            if instead_of.side == TrdSide.BUY:
                cash += instead_of.left * instead_of.limit
            else:
                shares += instead_of.left
        return cash // (price * security.lot) * security.lot, shares // security.lot * security.lot

    def _check(self, account: Account, new: NewOrder, security: Security) -> None:
        paper = account.trd_env == TrdEnv.SIMULATE
        if new.side not in {TrdSide.BUY, TrdSide.SELL}:
            raise Refused("trdSide must be 1 (buy) or 2 (sell)")
        allowed = {OrderType.NORMAL, OrderType.MARKET} if paper else set(OrderType)
        if new.order_type not in allowed:
            raise Refused(f"orderType {new.order_type} is not simulated for {'paper' if paper else 'real'} accounts")
        if new.time_in_force not in ({TimeInForce.DAY} if paper else set(TimeInForce)):
            raise Refused(
                f"timeInForce {new.time_in_force} is not possible for {'paper' if paper else 'real'} accounts"
            )
        if len(new.remark.encode()) > _MAX_REMARK_BYTES:
            raise Refused(f"the remark is longer than {_MAX_REMARK_BYTES} bytes")
        if trd_market_of(security.key, account.trd_env) not in account.markets:
            raise Refused(f"account {account.acc_id} can't trade {security.venue.prefix}.{security.key[1]}")
        if security.sec_type != SecurityType.EQUITY:
            name = f"{security.venue.prefix}.{security.key[1]}"
            raise Refused(f"{name} can't be traded here: only stocks are, and it is of type {security.sec_type.name}")

    def _check_open(self, order: Order) -> None:
        if not order.status.open:
            raise Refused(f"order {order.order_id_ex} can't be changed any more: its status is {order.status.name}")

    def _reserve(self, account: Account, order: Order) -> None:
        if order.side == TrdSide.BUY:
            account.reserve_cash(order.security.venue.currency, order.left * order.limit)
        else:
            account.reserve_shares(order.security.key, order.left)

    def _release(self, account: Account, order: Order) -> None:
        if order.side == TrdSide.BUY:
            account.release_cash(order.security.venue.currency, order.left * order.limit)
        else:
            account.release_shares(order.security.key, order.left)

    def _match(self, order: Order, stock: Stock, now: float, *, arriving: bool) -> None:
        account = self.accounts[order.acc_id]
        for price, qty in stock.take(order.side, order.left, order.limit):
            self._fill(account, order, qty, price if arriving or order.is_market else order.limit, now)
        if order.left and order.time_in_force == TimeInForce.IOC:
            self.cancel(account, order, now)

    def _fill(self, account: Account, order: Order, qty: int, price: int, now: float) -> None:
        key, currency = order.security.key, order.security.venue.currency
        if order.side == TrdSide.BUY:
            account.release_cash(currency, qty * order.limit)
            account.buy(key, currency, qty, price)
        else:
            account.release_shares(key, qty)
            account.sell(key, qty, price)
        order.filled += qty
        order.filled_value += qty * price
        order.updated = now
        fill_id = 8_000_000_000_000_000_000 + len(self.fills) * 1_000_003
        fill = Fill(fill_id, order, qty, price, now, 1 + number(self._seed, "counter", fill_id) % 9_000)
        self.fills.append(fill)
        if order.left:
            order.status = OrderStatus.FILLED_PART
            self._tell(order, fill)
        else:
            order.status = OrderStatus.FILLED_ALL
            self._close(order, now, fill)

    def _close(self, order: Order, now: float, fill: Fill | None = None) -> None:
        self._open[order.security.key].remove(order)
        order.updated = now
        self._tell(order, fill)

    def _tell(self, order: Order, fill: Fill | None = None) -> None:
        self._events.append(Event(copy.copy(order), fill))


def _quantity(qty: float, security: Security) -> int:
    if not 0 < qty <= _MAX_QTY:
        raise Refused(f"the quantity must be more than 0 and at most {_MAX_QTY}")
    if qty != int(qty) or int(qty) % security.lot:
        raise Refused(f"the quantity must be a multiple of the lot size {security.lot}")
    return int(qty)


def _limit(order_type: int, price: float, adjust: float | None, side: int, stock: Stock) -> int:
    """The worst price of an order, on the tick grid."""
    tick = stock.security.tick
    if order_type == OrderType.MARKET:
        asks, bids = stock.book()
        if side == TrdSide.BUY:
            best = asks[0].price if asks else stock.price
            return -(int(-best * (1 + _COLLAR)) // tick) * tick
        best = bids[0].price if bids else stock.price
        return max(tick, int(best * (1 - _COLLAR)) // tick * tick)
    if not 0 < price <= _MAX_PRICE:
        raise Refused("the price must be more than 0")
    exact = price * PRICE_UNIT / tick
    ticks = round(exact)
    if abs(exact - ticks) > 1e-6 * max(1.0, exact):
        if adjust is None:
            raise Refused(f"the price {price:g} is not a multiple of the tick size {tick / PRICE_UNIT:g}")
        ticks = int(exact) + (1 if adjust > 0 else 0)
        if abs(ticks - exact) > abs(adjust) * exact and adjust:
            raise Refused(
                f"no valid price within {abs(adjust):.4%} of {price:g}: the tick size is {tick / PRICE_UNIT:g}"
            )
    if ticks <= 0:
        raise Refused("the price must be more than 0")
    return ticks * tick
