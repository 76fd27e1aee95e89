"""What is common to all securities of one QotMarket: clock, trading hours, currency, lot, market state.

Times inside a venue are "local seconds": seconds since 1970 as the venue's wall clock shows them. A day is local
seconds // 86,400, a minute local seconds // 60. Only `Venue.local` and `Venue.utc` cross the border.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from .numbers import Currency, QotMarket

__all__ = ["DAY_S", "MINUTES_PER_DAY", "VENUES", "Venue", "date_text", "day_of", "parse_time", "time_text"]

DAY_S = 86_400
MINUTES_PER_DAY = 1_440

_STOCK_STATE = 3  # QotMarketState Morning
_FUTURE_STATE = 23  # QotMarketState FutureOpen


@dataclass(frozen=True, slots=True)
class Venue:
    """One market's clock and customs."""

    prefix: str
    """As clients write it before the code: ``HK.00700``."""
    currency: Currency
    lot: int
    parts: tuple[tuple[int, int], ...]
    """Trading hours of history, in minutes of the local day. The live market never closes."""
    offset_h: int | None
    """Hours east of UTC; None for US eastern time with its daylight saving."""
    every_day: bool = False
    """True when history has weekends too."""
    state: int = _STOCK_STATE
    """QotMarketState of the always open market."""

    def local(self, now: float) -> int:
        """Local seconds of a UTC time."""
        utc = int(now)
        return utc + (us_eastern_offset(utc) if self.offset_h is None else self.offset_h * 3600)

    def utc(self, local_s: int) -> int:
        """UTC seconds of local seconds."""
        if self.offset_h is None:
            return local_s - us_eastern_offset(local_s + 5 * 3600)
        return local_s - self.offset_h * 3600

    def trades_on(self, day: int) -> bool:
        """Whether history has bars for that day: there are weekends but no holidays."""
        return self.every_day or (day + 3) % 7 < 5

    def day_before(self, day: int) -> int:
        """The last trading day before ``day``."""
        day -= 1
        while not self.trades_on(day):
            day -= 1
        return day

    @property
    def minutes(self) -> int:
        """Trading minutes of a day."""
        return sum(end - start for start, end in self.parts)

    def minutes_before(self, minute_of_day: int) -> int:
        """Trading minutes of a day that lie before that minute."""
        return sum(max(0, min(end, minute_of_day) - start) for start, end in self.parts)

    def bucket(self, minute: int, length: int) -> tuple[int, int]:
        """The bar of ``length`` minutes that holds a minute, as (first minute, end).

        Bars are counted from the start of a part of the trading day and cut at its end; the times between are parts of
        their own.
        """
        midnight = minute - minute % MINUTES_PER_DAY
        of_day = minute - midnight
        begin, stop = 0, MINUTES_PER_DAY
        for edge in (edge for part in self.parts for edge in part):
            if edge <= of_day:
                begin = edge
            else:
                stop = edge
                break
        first = begin + (of_day - begin) // length * length
        return midnight + first, midnight + min(first + length, stop)


def us_eastern_offset(utc: int) -> int:
    """Seconds from UTC to US eastern time: summer time from the second Sunday of March to the first of November."""
    spring, autumn = _daylight_saving(datetime.fromtimestamp(utc, UTC).year)
    return -4 * 3600 if spring <= utc < autumn else -5 * 3600


@lru_cache
def _daylight_saving(year: int) -> tuple[int, int]:
    march, november = date(year, 3, 1), date(year, 11, 1)
    spring = date(year, 3, 8 + (6 - march.weekday()) % 7)
    autumn = date(year, 11, 1 + (6 - november.weekday()) % 7)
    return day_of(spring) * DAY_S + 7 * 3600, day_of(autumn) * DAY_S + 6 * 3600


def day_of(when: date) -> int:
    """Days since 1970."""
    return when.toordinal() - 719_163


def date_text(local_s: float) -> str:
    """``YYYY-MM-DD``"""
    return datetime.fromtimestamp(local_s, UTC).strftime("%Y-%m-%d")


@lru_cache(maxsize=4096)
def time_text(local_s: int) -> str:
    """``YYYY-MM-DD HH:MM:SS``"""
    return datetime.fromtimestamp(local_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def parse_time(text: str) -> int | None:
    """Local seconds of a client's ``YYYY-MM-DD[ HH:MM:SS[.mmm]]``; None when it is no time."""
    try:
        return int(datetime.fromisoformat(text.strip()).replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return None


_HK_HOURS = ((570, 720), (780, 960))
_US_HOURS = ((570, 960),)
_ALL_DAY = ((0, MINUTES_PER_DAY),)

VENUES: dict[int, Venue] = {
    QotMarket.HK: Venue("HK", Currency.HKD, 100, _HK_HOURS, 8),
    QotMarket.HK_FUTURE: Venue("HK_FUTURE", Currency.HKD, 1, ((555, 720), (780, 990)), 8, state=_FUTURE_STATE),
    QotMarket.US: Venue("US", Currency.USD, 1, _US_HOURS, None),
    QotMarket.SH: Venue("SH", Currency.CNH, 100, ((570, 690), (780, 900)), 8),
    QotMarket.SZ: Venue("SZ", Currency.CNH, 100, ((570, 690), (780, 900)), 8),
    QotMarket.SG: Venue("SG", Currency.SGD, 100, ((540, 720), (780, 1020)), 8),
    QotMarket.JP: Venue("JP", Currency.JPY, 100, ((540, 690), (750, 930)), 9),
    QotMarket.AU: Venue("AU", Currency.AUD, 1, ((600, 960),), 10),
    QotMarket.MY: Venue("MY", Currency.MYR, 100, ((540, 750), (870, 1020)), 8),
    QotMarket.CA: Venue("CA", Currency.CAD, 1, _US_HOURS, None),
    QotMarket.FX: Venue("FX", Currency.USD, 1, _ALL_DAY, 0),
    QotMarket.CC: Venue("CC", Currency.USD, 1, _ALL_DAY, 0, every_day=True),
    QotMarket.EVENT: Venue("EC", Currency.USD, 1, _ALL_DAY, None, every_day=True),
}
