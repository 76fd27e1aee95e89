"""Bars of days that are over: a pure function of the seed, the security and the day.

The price of a day is the base price times value noise on several time scales. Towards the simulator's first day the
noise fades out, so that history always meets the live market, which starts at the base price, whatever the date is;
bars older than a month are the same for every start date. Inside a day the price runs from open to close along a
bridge of noise between low and high.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from .dice import mix, number, unit

if TYPE_CHECKING:
    from .securities import Security

__all__ = ["Bar", "History", "day_path"]

_SCALES = ((240, 0.45), (60, 0.2), (12, 0.08), (3, 0.03))
"""(days between two lattice points, amplitude)."""
_FADE_FROM, _FADE_OVER = 5, 25
"""Days before the first live day: no noise in the first five, full noise after thirty."""
_SAMPLES = 6
"""A bar of many minutes looks at this many points of its path."""


class Bar(NamedTuple):
    """One candle. Prices and turnover in 1/10,000 of the currency, volume in shares."""

    time: int
    """Local seconds: the end of a minute bar, midnight of a day."""
    open: int
    high: int
    low: int
    close: int
    last_close: int
    volume: int
    turnover: int


def _noise(salt: int, position: float) -> float:
    """Smooth noise in [-1, 1]."""
    floor = math.floor(position)
    share = position - floor
    share *= share * (3 - 2 * share)
    left = mix(salt + floor) / (1 << 63) - 1
    right = mix(salt + floor + 1) / (1 << 63) - 1
    return left + (right - left) * share


class History:
    """The past of one security. ``first_day`` is the simulator's first local day, which is not history."""

    def __init__(self, seed: int, security: Security, first_day: int) -> None:
        self._security = security
        self._first_day = first_day
        self._salt = number(seed, "history", *security.key)
        self._closes: dict[int, int] = {}
        drift = (unit(seed, "gap", *security.key) - 0.5) * 0.02
        self.last_close = self._on_tick(security.base_price * (1 + drift))
        """Close of the last trading day before ``first_day``: the same for every start date."""

    def close(self, day: int) -> int:
        """Closing price of a trading day."""
        known = self._closes.get(day)
        if known is None:
            known = self._closes[day] = self._close(day)
        return known

    def daily(self, day: int) -> Bar:
        """The bar of a trading day."""
        security = self._security
        last_close = self.close(security.venue.day_before(day))
        close = self.close(day)
        dice = mix(self._salt ^ day)
        swing = max(abs(close - last_close), security.base_price // 200)
        start = self._on_tick(last_close + swing * ((dice & 0xFF) / 255 - 0.5) * 0.6)
        high = self._on_tick(max(start, close) + swing * (dice >> 8 & 0xFF) / 255)
        low = self._on_tick(min(start, close) - swing * (dice >> 16 & 0xFF) / 255)
        high, low = max(high, start, close), min(low, start, close)
        volume = security.shares // 400 * (50 + (dice >> 24 & 0xFF)) // 100
        volume = max(security.lot, volume - volume % security.lot)
        turnover = volume * ((high + low + close) // 3)
        return Bar(day * 86_400, start, high, low, close, last_close, volume, turnover)

    def minutes(self, day: Bar, first: int, end: int) -> Bar:
        """The bar of local minutes [first, end) inside the trading hours of a day that is over."""
        venue = self._security.venue
        midnight = day.time // 60
        low, high = venue.minutes_before(first - midnight), venue.minutes_before(end - midnight)
        return day_path(self._security, self._salt, day, venue.minutes, low, high, end * 60)

    def salt(self) -> int:
        """What `day_path` wants for the day that is not over."""
        return self._salt

    def _close(self, day: int) -> int:
        ago = self._first_day - day
        if day == self._security.venue.day_before(self._first_day):
            return self.last_close
        weight = min(1.0, max(0, ago - _FADE_FROM) / _FADE_OVER)
        level = sum(size * _noise(self._salt + step, day / step) for step, size in _SCALES) * weight
        level += 0.004 * _noise(self._salt + 1, day * 0.73)
        return self._on_tick(self._security.base_price * math.exp(level))

    def _on_tick(self, price: float) -> int:
        tick = self._security.tick
        return max(1, round(price / tick)) * tick


def day_path(security: Security, salt: int, day: Bar, length: int, first: int, end: int, time: int) -> Bar:
    """The bar of trading minutes [first, end) of a day whose ``length`` trading minutes run from open to close."""
    step = max(1, (end - first) // _SAMPLES)
    points = [_price(security, salt, day, length, at) for at in (*range(first, end, step), end)]
    minutes = end - first
    share = 0.5 + (mix(salt ^ day.time ^ first) & 0xFFFF) / 0xFFFF
    volume = int(day.volume * minutes * share / max(1, length))
    volume = max(security.lot, volume - volume % security.lot)
    last = points[0]
    return Bar(time, last, max(points), min(points), points[-1], last, volume, volume * points[-1])


def _price(security: Security, salt: int, day: Bar, length: int, at: int) -> int:
    share = at / max(1, length)
    line = day.open + (day.close - day.open) * share
    bridge = math.sin(math.pi * share) * (day.high - day.low) * 0.7
    wave = _noise(salt ^ day.time, at / 17) * 0.8 + _noise(salt ^ ~day.time, at / 2) * 0.2
    price = round((line + wave * bridge) / security.tick) * security.tick
    return min(day.high, max(day.low, price))
