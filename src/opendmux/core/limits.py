"""What a key has used of its limits: orders in the last minute, value in the UTC day; and whether its hours are now.

One object serves all transports and all OpenDs of a process, so that a key has one allowance whichever way it comes.

A value is reserved before the order is sent and counts from then on: an order whose outcome nobody knows has used it.
Only a plain refusal gives it back, to the day it was taken from. So the total of a day is what was sent and not
refused, and it is this total that is written to disk; a crash between sending and answer forgets nothing.

Values are Decimals on a grid of 1e-8, rounded up, and all arithmetic on them is exact.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_CEILING, Context, Decimal
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .denial import Denial, DenialKind
from .keys import HoursWindow, Key

__all__ = ["DAY_S", "EXACT", "WINDOW_S", "DailyRow", "Headroom", "Limits", "Reservation", "amount_text", "on_grid"]

WINDOW_S: Final = 60.0
DAY_S: Final = 86_400
DAYS_KEPT: Final = 2
"""Days around today whose totals stay in memory: the clock may be set back, and yesterday's orders may be refused."""

EXACT: Final = Context(prec=80)
"""Enough digits for a sum of the largest values on the grid of the smallest."""
GRID: Final = Decimal("1e-8")


class DailyRow(NamedTuple):
    """A day's total of one key, as it is kept on disk."""

    key_id: str
    utc_day: int
    """Days since 1970."""
    value: Decimal


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """A value that counts until it is given back."""

    key_id: str
    utc_day: int
    value: Decimal


@dataclass(frozen=True, slots=True)
class Headroom:
    """What a key may still do. None: there is no such limit."""

    orders: int | None
    """In this minute."""
    next_order_s: float
    """Seconds until there is one more; 0 when there is one now."""
    daily_value: Decimal | None
    in_hours: bool


@dataclass(slots=True)
class _Use:
    """One key's counters."""

    stamps: deque[float] = field(default_factory=deque)
    """When orders were let in, oldest first."""
    days: dict[int, Decimal] = field(default_factory=dict)


def on_grid(value: Decimal) -> Decimal:
    """The value as it is counted."""
    return value.quantize(GRID, rounding=ROUND_CEILING, context=EXACT)


class Limits:
    """The counters of all keys. ``zone``: where hours are read for keys that name no zone; None: the machine's."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._uses: dict[str, _Use] = {}
        self._changed: set[tuple[str, int]] = set()
        self.on_change: Callable[[], None] = lambda: None
        """Called when `changes` has something new; it must return at once."""

    # -- rate and hours: the body is not read for them

    def admit(self, key: Key, now: float, wall: float) -> Denial | float | None:
        """Take a slot of the minute, if the rate and the hours allow an order now.

        A float is the slot, for `give_slot_back`; None: the key has no rate limit.
        """
        refusal = self._over_rate(key, now) or self._out_of_hours(key, wall)
        if refusal is not None:
            return refusal
        if key.limits.max_orders_per_minute is None:
            return None
        self._use(key.id).stamps.append(now)
        return now

    def give_slot_back(self, key_id: str, slot: float) -> None:
        """The order was refused for a reason that should not cost a slot."""
        use = self._uses.get(key_id)
        if use is not None and slot in use.stamps:
            use.stamps.remove(slot)

    def out_of_hours(self, key: Key, wall: float) -> Denial | None:
        """Whether the key's hours have ended, for an order that had to wait."""
        return self._out_of_hours(key, wall)

    def _over_rate(self, key: Key, now: float) -> Denial | None:
        most = key.limits.max_orders_per_minute
        if most is None:
            return None
        wait = self._next_slot_s(self._use(key.id), most, now)
        if wait == 0.0:
            return None
        text = f"max_orders_per_minute {most} is used up"
        if wait is None:
            return Denial(DenialKind.LIMIT, "rate", f"{text}: this key may not send orders")
        return Denial(DenialKind.LIMIT, "rate", f"{text}; next order in {math.ceil(wait)} s", retry_s=wait)

    @staticmethod
    def _next_slot_s(use: _Use, most: int, now: float) -> float | None:
        """Seconds until one more order is allowed; None: never."""
        stamps = use.stamps
        while stamps and stamps[0] + WINDOW_S <= now:
            stamps.popleft()
        if len(stamps) < most:
            return 0.0
        if most <= 0:
            return None
        return min(WINDOW_S, stamps[len(stamps) - most] + WINDOW_S - now)  # floats: a hair more than the window

    def _out_of_hours(self, key: Key, wall: float) -> Denial | None:
        window = key.limits.hours_window
        if window is None:
            return None
        zone = self._zone if key.tz is None else _zone_of(key.tz)
        if key.tz is not None and zone is None:
            # Fail closed: hours in a zone that this machine does not know can't be kept.
            return Denial(DenialKind.LIMIT, "hours", f"hours_window: time zone {key.tz} is not known on this machine")
        local = datetime.fromtimestamp(wall, UTC).astimezone(zone)
        if _inside(window, local.hour * 60 + local.minute):
            return None
        wait = _until_start(window, local, zone, wall)
        text = (
            f"hours_window {_clock(window.start)}-{_clock(window.end)}: it is {local:%H:%M} "
            f"{key.tz or 'here'}, orders are allowed again in {_duration(wait)}"
        )
        return Denial(DenialKind.LIMIT, "hours", text, retry_s=wait)

    # -- values

    @staticmethod
    def over_order_value(key: Key, value: Decimal) -> Denial | None:
        """The value of one order alone."""
        most = key.limits.max_order_value
        if most is None or on_grid(value) <= _limit(most):
            return None
        text = f"max_order_value {amount_text(_limit(most))}: this order is worth {amount_text(on_grid(value))}"
        return Denial(DenialKind.LIMIT, "per_order", text)

    def reserve(self, key: Key, value: Decimal, wall: float) -> Reservation | Denial | None:
        """Count ``value`` for the UTC day. None: the key has no daily limit."""
        if key.limits.max_daily_value is None:
            return None
        most, value = _limit(key.limits.max_daily_value), on_grid(value)
        day = int(wall // DAY_S)
        days = self._days(key.id, day)
        used = days.get(day, Decimal(0))
        total = EXACT.add(used, value)
        if total > most and value > 0:
            left = max(Decimal(0), EXACT.subtract(most, used))
            text = (
                f"max_daily_value {amount_text(most)}: {amount_text(used)} is used today, {amount_text(left)} is left, "
                f"this order adds {amount_text(value)}"
            )
            if value > most:
                return Denial(DenialKind.LIMIT, "daily", text)
            wait = (day + 1) * DAY_S - wall
            return Denial(DenialKind.LIMIT, "daily", f"{text}; reset in {_duration(wait)}", retry_s=wait)
        self._set(key.id, day, total)
        return Reservation(key.id, day, value)

    def give_back(self, reservation: Reservation) -> None:
        """OpenD has refused the order, or it was never sent. Once per reservation; the day it was taken from has it
        back, however late it is."""
        use = self._uses.get(reservation.key_id)
        day = reservation.utc_day
        if use is not None and day in use.days:
            rest = EXACT.subtract(use.days[day], reservation.value)
            self._set(reservation.key_id, day, max(Decimal(0), rest))

    # -- for metrics, texts and the disk

    def headroom(self, key: Key, now: float, wall: float) -> Headroom:
        """What is left for this key."""
        use = self._uses.get(key.id) or _Use()
        orders, wait = key.limits.max_orders_per_minute, 0.0
        if orders is not None:
            next_slot = self._next_slot_s(use, orders, now)
            wait = math.inf if next_slot is None else next_slot
            orders = max(0, orders - len(use.stamps))
        daily: Decimal | None = None
        if key.limits.max_daily_value is not None:
            used = use.days.get(int(wall // DAY_S), Decimal(0))
            daily = max(Decimal(0), EXACT.subtract(_limit(key.limits.max_daily_value), used))
        return Headroom(orders, wait, daily, self._out_of_hours(key, wall) is None)

    def changes(self) -> list[DailyRow]:
        """The totals that are new since the last call."""
        rows = [
            DailyRow(key_id, day, self._uses[key_id].days[day])
            for key_id, day in sorted(self._changed)
            if day in self._uses[key_id].days
        ]
        self._changed.clear()
        return rows

    def restore(self, rows: Iterable[DailyRow]) -> None:
        """The totals of an earlier life, before the first order of this one."""
        for row in rows:
            self._use(row.key_id).days[row.utc_day] = row.value

    def _use(self, key_id: str) -> _Use:
        use = self._uses.get(key_id)
        if use is None:
            use = self._uses[key_id] = _Use()
        return use

    def _days(self, key_id: str, today: int) -> dict[int, Decimal]:
        days = self._use(key_id).days
        if len(days) > 1:
            for day in [day for day in days if abs(day - today) > DAYS_KEPT and (key_id, day) not in self._changed]:
                del days[day]
        return days

    def _set(self, key_id: str, day: int, total: Decimal) -> None:
        self._uses[key_id].days[day] = total
        self._changed.add((key_id, day))
        self.on_change()


@lru_cache(maxsize=256)
def _limit(value: float) -> Decimal:
    """A limit of the keys file: 0.3 is what the file says, not the nearest binary fraction."""
    return Decimal(repr(value))


@lru_cache(maxsize=256)
def _zone_of(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _inside(window: HoursWindow, minute: int) -> bool:
    if window.end > window.start:
        return window.start <= minute < window.end
    return minute >= window.start or minute < window.end


def _until_start(window: HoursWindow, local: datetime, zone: tzinfo | None, wall: float) -> float:
    start = datetime(local.year, local.month, local.day, window.start // 60, window.start % 60)  # noqa: DTZ001
    if start <= local.replace(tzinfo=None):
        start += timedelta(days=1)
    # A naive datetime counts as local time of the machine, which is what no zone means here.
    return max(0.0, start.replace(tzinfo=zone).timestamp() - wall)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _duration(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def amount_text(value: Decimal) -> str:
    """``1200.5``: no exponent, no zeros at the end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
