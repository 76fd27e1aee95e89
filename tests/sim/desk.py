"""A broker with its market and accounts, for tests of orders without any protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opendmux.sim.broker import Broker, NewOrder, Order
from opendmux.sim.market import Market, Stock
from opendmux.sim.numbers import PRICE_UNIT

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
