"""Series of bars that join the past (`history`) and the live market (`market`), for every K-line type."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from .history import Bar, day_path
from .numbers import KLType
from .venues import DAY_S, MINUTES_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .market import Stock

__all__ = ["bars_after", "current_bar", "recent_bars", "trading_minutes"]


def current_bar(stock: Stock, kl_type: KLType) -> Bar:
    """The bar that is still growing: the last of `recent_bars`, at the price of a few lookups, for every push."""
    if kl_type == KLType.DAY:
        return stock.bar()
    if kl_type.minutes:
        return _current_minutes(stock, kl_type.minutes)
    known = stock.periods.get(kl_type)
    if known is None or known[0] != stock.day:
        first = max(stock.security.list_day, _first_of_period(kl_type, stock.day))
        past = _by_period(kl_type, [_daily(stock, day) for day in range(first, stock.day) if _has_bars(stock, day)])
        known = stock.periods[kl_type] = (stock.day, past[-1] if past else None)
    past_bar, today = known[1], stock.bar()
    return today if past_bar is None else _joined(past_bar, today)._replace(time=today.time)


def recent_bars(stock: Stock, kl_type: KLType, count: int, now: float) -> list[Bar]:
    """The newest ``count`` bars, oldest first; fewer when the security is not listed for so long."""
    bars: list[Bar] = []
    today = stock.security.venue.local(now) // DAY_S
    if kl_type.minutes:
        for day in _days_back(stock, today):
            bars[:0] = _minute_bars(stock, kl_type.minutes, day, now)
            if len(bars) > count:
                break
        return _chained(bars)[-count:] if count > 0 else []
    days: list[Bar] = []
    periods: list[int] = []
    for day in _days_back(stock, today):
        period = _period(kl_type, day)
        if not periods or period != periods[-1]:
            if len(periods) == count:
                break
            periods.append(period)
        days.append(_daily(stock, day))
    return _by_period(kl_type, days[::-1])


def bars_after(stock: Stock, kl_type: KLType, after: int, end: int, now: float) -> Iterator[Bar]:
    """The bars whose time (local seconds) lies in (after, end], oldest first.

    A week and longer carries the date of its last trading day, so that a bar that is still growing moves with today.
    """
    today = stock.security.venue.local(now) // DAY_S
    if kl_type.minutes:
        first = max(stock.security.list_day, after // DAY_S)
        for day in range(first, min(today, end // DAY_S) + 1):
            if _has_bars(stock, day):
                before = _daily(stock, day).last_close
                for bar in _chained(_minute_bars(stock, kl_type.minutes, day, now), before):
                    if after < bar.time <= end:
                        yield bar
        return
    days: list[Bar] = []
    first = max(stock.security.list_day, _first_of_period(kl_type, (after + 1) // DAY_S))
    for day in range(first, today + 1):
        if not _has_bars(stock, day):
            continue
        if days and _period(kl_type, day) != _period(kl_type, days[-1].time // DAY_S):
            yield from _within(_by_period(kl_type, days), after, end)
            days = []
            if day * DAY_S > end:
                return
        days.append(_daily(stock, day))
    yield from _within(_by_period(kl_type, days), after, end)


def trading_minutes(stock: Stock, now: float) -> list[Bar]:
    """Today's one-minute bars so far, for the time share."""
    day = stock.security.venue.local(now) // DAY_S
    return _chained(_minute_bars(stock, 1, day, now), stock.last_close)


def _daily(stock: Stock, day: int) -> Bar:
    if day == stock.day:
        return stock.bar()
    return stock.days.get(day) or stock.history.daily(day)


def _has_bars(stock: Stock, day: int) -> bool:
    return stock.security.venue.trades_on(day) or day == stock.day or day in stock.days


def _days_back(stock: Stock, today: int) -> Iterator[int]:
    return (day for day in range(today, stock.security.list_day - 1, -1) if _has_bars(stock, day))


def _minute_bars(stock: Stock, length: int, day: int, now: float) -> list[Bar]:
    """One day's bars up to now: trading hours before the security came alive from the path, the rest as it happened."""
    venue, midnight = stock.security.venue, day * MINUTES_PER_DAY
    whole = _daily(stock, day)
    alive = stock.first_minute if day == stock.day else midnight + MINUTES_PER_DAY
    stop = min(alive, venue.local(now) // 60)
    buckets: dict[int, Bar] = {}
    for first, end in venue.parts:
        for start in range(midnight + first, min(midnight + end, stop), length):
            until = min(start + length, midnight + end)
            buckets[start] = _past(stock, whole, start, min(until, stop))._replace(time=until * 60)
    for minute, bar in stock.minutes.items():
        if minute // MINUTES_PER_DAY == day and minute >= alive:
            start, until = venue.bucket(minute, length)
            known = buckets.get(start)
            buckets[start] = bar._replace(time=until * 60) if known is None else _joined(known, bar)
    return [buckets[start] for start in sorted(buckets)]


def _current_minutes(stock: Stock, length: int) -> Bar:
    venue = stock.security.venue
    start, until = venue.bucket(next(reversed(stock.minutes)), length)
    live = []
    for minute in reversed(stock.minutes):
        if minute < start:
            break
        live.append(stock.minutes[minute])
    bar = live[-1]
    midnight = stock.day * MINUTES_PER_DAY
    if start < stock.first_minute and venue.minutes_before(start - midnight + 1) > venue.minutes_before(
        start - midnight
    ):
        whole = stock.bar()
        bar = _joined(_past(stock, whole, start, min(stock.first_minute, until)), bar)
        if venue.minutes_before(start - midnight) == 0:
            bar = bar._replace(last_close=stock.last_close)
    for later in reversed(live[:-1]):
        bar = _joined(bar, later)
    return bar._replace(time=until * 60)


def _past(stock: Stock, whole: Bar, start: int, end: int) -> Bar:
    if whole.time // DAY_S != stock.day:
        return stock.history.minutes(whole, start, end)
    venue, midnight = stock.security.venue, whole.time // 60
    length = venue.minutes_before(stock.first_minute - midnight)
    first, last = venue.minutes_before(start - midnight), venue.minutes_before(end - midnight)
    return day_path(stock.security, stock.history.salt(), stock.morning, length, first, last, end * 60)


def _joined(left: Bar, right: Bar) -> Bar:
    return left._replace(
        high=max(left.high, right.high),
        low=min(left.low, right.low),
        close=right.close,
        volume=left.volume + right.volume,
        turnover=left.turnover + right.turnover,
    )


def _chained(bars: list[Bar], last_close: int | None = None) -> list[Bar]:
    chained = []
    for bar in bars:
        chained.append(bar if last_close is None else bar._replace(last_close=last_close))
        last_close = bar.close
    return chained


def _by_period(kl_type: KLType, days: list[Bar]) -> list[Bar]:
    bars: list[Bar] = []
    last_period = None
    for day in days:
        period = _period(kl_type, day.time // DAY_S)
        if period == last_period:
            bars[-1] = _joined(bars[-1], day)._replace(time=day.time)
        else:
            bars.append(day)
        last_period = period
    return bars


def _within(bars: list[Bar], after: int, end: int) -> Iterator[Bar]:
    return (bar for bar in bars if after < bar.time <= end)


def _date(day: int) -> date:
    return date.fromordinal(day + 719_163)


def _period(kl_type: KLType, day: int) -> int:
    """A number that is the same for all days of one bar."""
    if kl_type == KLType.DAY:
        return day
    if kl_type == KLType.WEEK:
        return (day + 3) // 7
    when = _date(day)
    if kl_type == KLType.YEAR:
        return when.year
    month = when.year * 12 + when.month - 1
    return month if kl_type == KLType.MONTH else month // 3


def _first_of_period(kl_type: KLType, day: int) -> int:
    """The first day of the bar that holds ``day``."""
    if kl_type == KLType.DAY:
        return day
    if kl_type == KLType.WEEK:
        return day - (day + 3) % 7
    when = _date(max(day, 0))
    month = {KLType.YEAR: 1, KLType.QUARTER: (when.month - 1) // 3 * 3 + 1}.get(kl_type, when.month)
    return when.replace(month=month, day=1).toordinal() - 719_163
