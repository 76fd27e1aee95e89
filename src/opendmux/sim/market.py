"""The live market: prices, books and ticks of every security anybody asked for.

Each security walks by itself: its state after n steps depends on the seed, its key and n, never on what other
securities or orders do. What an order takes out of a book is back with the next step. The market knows no clock: the
time of a step is passed in and stands in texts only.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from .dice import Dice, mix, number, unit
from .history import Bar, History
from .numbers import TrdSide
from .securities import SecKey, Security, describe
from .venues import DAY_S, MINUTES_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEPTH", "BookLevel", "Market", "Stock", "Tick"]

DEPTH = 10
"""Levels on each side of a book: what HK LV2 shows."""
_TICKS_KEPT = 1_000
"""The most a client may ask for (3010)."""
_MINUTES_KEPT = 1_000
"""The most a client may ask for (3006)."""
_WARM_UP_STEPS = 20
"""Steps a security makes before anybody sees it, so that its first answer holds ticks."""


class Tick(NamedTuple):
    time: float
    """UTC seconds."""
    sequence: int
    direction: int
    """TickerDirection: 1 bid, 2 ask, 3 neutral."""
    price: int
    volume: int


class BookLevel:
    """One price of a book; ``volume`` shrinks when an order takes from it."""

    __slots__ = ("orders", "price", "volume")

    def __init__(self, price: int, volume: int, orders: int) -> None:
        self.price = price
        self.volume = volume
        self.orders = orders


class Stock:
    """The live state of one security. Prices in 1/10,000 of the currency, times in UTC seconds."""

    def __init__(self, seed: int, security: Security, first_day: int, now: float) -> None:
        key = security.key
        self.security = security
        self.history = History(seed, security, first_day)
        self.price = security.base_price
        self.steps = 0
        self.updated = now
        self.ticks: deque[Tick] = deque(maxlen=_TICKS_KEPT)
        self.fresh: list[Tick] = []
        """Ticks of the last step."""
        self.minutes: dict[int, Bar] = {}
        """Bars of the local minutes in which the market moved, oldest first."""
        self.days: dict[int, Bar] = {}
        """Days that ended while the simulator ran."""
        self.periods: dict[int, tuple[int, Bar | None]] = {}
        """What `candles` remembers of growing weeks, months, ...: KLType -> (day, bar of the days before it)."""
        self._dice = Dice(number(seed, "walk", *key))
        self._unit = max(1, security.base_price // security.tick // 4_000) * security.tick
        self._sequence = (number("sequence", *key) & 0x7FFF_FFFF) << 28
        self._book_salt = 0
        self._book: tuple[list[BookLevel], list[BookLevel]] | None = None

        self.day = security.venue.local(now) // DAY_S
        self.last_close = self.history.close(security.venue.day_before(self.day))
        gap = round((unit(seed, "open", *key) - 0.5) * 8) * security.tick
        self.open = max(security.tick, self.last_close + gap)
        self.high = max(self.open, self.price)
        self.low = min(self.open, self.price)
        self.volume = security.shares // 4_000 // security.lot * security.lot
        self.turnover = self.volume * ((self.open + self.price) // 2)
        self.morning = self.bar()
        """The day until the security came alive: what its minute bars before that are made from."""
        midnight = security.venue.utc(self.day * DAY_S)
        self.first_minute = security.venue.local(max(midnight, now - _WARM_UP_STEPS)) // 60
        has_morning = security.venue.minutes_before(self.first_minute - self.day * MINUTES_PER_DAY) > 0
        self._close_before = self.morning.close if has_morning else self.last_close
        for second in range(_WARM_UP_STEPS, 0, -1):
            self.step(max(midnight, now - second))

    # -- what is going on

    def bar(self) -> Bar:
        """Today's candle."""
        return Bar(
            self.day * DAY_S, self.open, self.high, self.low, self.price, self.last_close, self.volume, self.turnover
        )

    def book(self) -> tuple[list[BookLevel], list[BookLevel]]:
        """(asks, bids), best first, without the levels that orders have emptied."""
        if self._book is None:
            self._book = self._make_book()
        asks, bids = self._book
        return [level for level in asks if level.volume], [level for level in bids if level.volume]

    def queue(self, side: int) -> Iterator[tuple[int, int]]:
        """The broker queue of a side (1 bids, 2 asks) as (broker id, level)."""
        dice = mix(self._book_salt + side)
        for place in range(12):
            yield 1 + (dice >> (place * 4)) % 9_000, 1 + place // 3

    # -- what makes it go on

    def roll(self, now: float) -> None:
        """Begin a new trading day when the local date has changed."""
        day = self.security.venue.local(now) // DAY_S
        if day <= self.day:
            return
        self.days[self.day] = self.bar()
        self.day = day
        self.last_close = self.open = self.high = self.low = self.price
        self.volume = self.turnover = 0
        self.morning = self.bar()
        self.first_minute = day * DAY_S // 60

    def step(self, now: float) -> list[Tick]:
        """Move once, and always by at least one price step. Returns the new ticks."""
        self.roll(now)
        security, dice = self.security, self._dice
        bits = dice.bits()
        away = (self.price - security.base_price) / security.base_price
        up = (bits & 0xFFFF) / 0x10000 < 0.5 - max(-0.45, min(0.45, away * 5))
        target = self.price + (1 if up else -1) * (1 + (bits >> 16) % 3) * self._unit
        target = max(security.base_price // 2 // security.tick * security.tick, target)
        count = 1 + (bits >> 20) % 3
        self.fresh = []
        start = self.price
        for place in range(1, count + 1):
            price = start + (target - start) * place // count // security.tick * security.tick
            if place == count:
                price = target
            direction = 3 if price == self.price else (2 if price > self.price else 1)
            self._trade(now, price, direction, security.lot * (1 + dice.below(40)))
        self.steps += 1
        self.updated = now
        self._book_salt = dice.bits()
        self._book = None
        return self.fresh

    def take(self, side: int, qty: int, limit: int) -> list[tuple[int, int]]:
        """Take up to ``qty`` from the other side of the displayed book, not beyond ``limit``: [(price, qty)]."""
        asks, bids = self.book()
        taken: list[tuple[int, int]] = []
        for level in asks if side == TrdSide.BUY else bids:
            if qty <= 0 or (level.price > limit if side == TrdSide.BUY else level.price < limit):
                break
            part = min(qty, level.volume)
            level.volume -= part
            qty -= part
            taken.append((level.price, part))
        return taken

    def _trade(self, now: float, price: int, direction: int, volume: int) -> None:
        self._sequence += 1
        tick = Tick(now, self._sequence, direction, price, volume)
        self.ticks.append(tick)
        self.fresh.append(tick)
        self.price = price
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.volume += volume
        self.turnover += volume * price
        minute = self.security.venue.local(now) // 60
        bar = self.minutes.get(minute)
        if bar is None:
            last = next(reversed(self.minutes.values())).close if self.minutes else self._close_before
            bar = Bar((minute + 1) * 60, price, price, price, price, last, 0, 0)
            if len(self.minutes) >= _MINUTES_KEPT:
                del self.minutes[next(iter(self.minutes))]
        self.minutes[minute] = bar._replace(
            high=max(bar.high, price),
            low=min(bar.low, price),
            close=price,
            volume=bar.volume + volume,
            turnover=bar.turnover + volume * price,
        )

    def _make_book(self) -> tuple[list[BookLevel], list[BookLevel]]:
        tick, lot = self.security.tick, self.security.lot
        dice = Dice(self._book_salt)
        best_bid = self.price - tick * dice.below(2)
        best_ask = best_bid + tick * (1 + dice.below(2))
        sides: tuple[list[BookLevel], list[BookLevel]] = ([], [])
        for levels, best, direction in ((sides[0], best_ask, 1), (sides[1], best_bid, -1)):
            for place in range(DEPTH):
                price = best + direction * place * tick
                if price > 0:
                    orders = 1 + dice.below(12)
                    levels.append(BookLevel(price, lot * orders * (1 + dice.below(8)), orders))
        return sides


class Market:
    """Every security that was ever asked for, made on demand."""

    def __init__(self, seed: int, epoch: float) -> None:
        """``epoch``: UTC seconds at which the simulator began."""
        self._seed = seed
        self._epoch = epoch
        self._stocks: dict[SecKey, Stock] = {}

    def stock(self, key: SecKey, now: float) -> Stock:
        """The security, brought to today. Raises Refused when there can be no such security."""
        stock = self._stocks.get(key)
        if stock is None:
            security = describe(self._seed, key)
            first_day = security.venue.local(self._epoch) // DAY_S
            stock = self._stocks[key] = Stock(self._seed, security, first_day, now)
        stock.roll(now)
        return stock

    def known(self, market: int) -> list[Stock]:
        """The securities of a market that were asked for so far."""
        return [stock for (of_market, _), stock in self._stocks.items() if of_market == market]
