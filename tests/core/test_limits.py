"""The counters: each limit at its edge, and two laws: never more than the limit, never a value lost or made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import reduce
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core.denial import Denial, DenialKind
from opendmux.core.keys import HoursWindow, Key, KeyLimits
from opendmux.core.limits import DAY_S, EXACT, DailyRow, Headroom, Limits, Reservation, amount_text, on_grid

DETERMINISTIC = settings(derandomize=True, deadline=None)

MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC).timestamp()
DAY = int(MIDNIGHT // DAY_S)
NOON = MIDNIGHT + DAY_S / 2


def key_of(tz: str | None = None, **limits: object) -> Key:
    return Key("bot", frozenset({"trade:real"}), KeyLimits(**limits), tz=tz)  # type: ignore[arg-type]


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def denial_of(result: object) -> Denial:
    assert isinstance(result, Denial)
    return result


def reserve(limits: Limits, key: Key, value: float, wall: float = NOON) -> Reservation:
    made = limits.reserve(key, Decimal(repr(value)), wall)
    assert isinstance(made, Reservation)
    return made


# -- rate


def test_the_order_after_the_last_one_waits_for_the_first_to_be_a_minute_old() -> None:
    limits, key = Limits(), key_of(max_orders_per_minute=5)
    for i in range(5):
        assert limits.admit(key, 100.0 + i, NOON) == 100.0 + i
    denial = denial_of(limits.admit(key, 148.0, NOON))
    assert denial == Denial(
        DenialKind.LIMIT, "rate", "max_orders_per_minute 5 is used up; next order in 12 s", retry_s=12.0
    )
    assert isinstance(limits.admit(key, 159.999, NOON), Denial)
    assert limits.admit(key, 160.0, NOON) == 160.0
    assert denial_of(limits.admit(key, 160.0, NOON)).retry_s == 1.0


def test_a_slot_can_be_given_back_once() -> None:
    limits, key = Limits(), key_of(max_orders_per_minute=1)
    slot = limits.admit(key, 10.0, NOON)
    assert isinstance(slot, float)
    limits.give_slot_back(key.id, slot)
    assert limits.admit(key, 11.0, NOON) == 11.0
    limits.give_slot_back(key.id, slot)
    limits.give_slot_back("nobody", slot)
    assert isinstance(limits.admit(key, 12.0, NOON), Denial)


def test_no_orders_at_all() -> None:
    denial = denial_of(Limits().admit(key_of(max_orders_per_minute=0), 1.0, NOON))
    assert (denial.reason, denial.retry_s) == ("rate", None)
    assert denial.text == "max_orders_per_minute 0 is used up: this key may not send orders"


def test_a_lower_limit_counts_what_was_sent_under_the_higher_one() -> None:
    limits = Limits()
    for i in range(5):
        limits.admit(key_of(max_orders_per_minute=5), float(i), NOON)
    assert denial_of(limits.admit(key_of(max_orders_per_minute=2), 10.0, NOON)).retry_s == 3.0 + 60.0 - 10.0


def test_a_key_without_limits_is_not_even_counted() -> None:
    limits, key = Limits(), key_of()
    assert [limits.admit(key, 1.0, NOON), limits.reserve(key, Decimal(10) ** 9, NOON)] == [None, None]
    assert limits.over_order_value(key, Decimal(10) ** 9) is None
    assert limits.changes() == []
    assert limits.headroom(key, 1.0, NOON) == Headroom(None, 0.0, None, True)


@DETERMINISTIC
@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.floats(0, 40, allow_nan=False), st.booleans()), max_size=60),
)
def test_never_more_than_the_limit_in_any_minute(most: int, steps: list[tuple[float, bool]]) -> None:
    limits, key, now = Limits(), key_of(max_orders_per_minute=most), 0.0
    kept: list[float] = []
    for pause, give_back in steps:
        now += pause
        slot = limits.admit(key, now, NOON)
        free = sum(1 for stamp in kept if stamp + 60.0 > now) < most
        assert isinstance(slot, Denial) != free
        if isinstance(slot, Denial):
            assert slot.retry_s is not None
            assert 0 < slot.retry_s <= 60
        elif give_back and slot is not None:
            limits.give_slot_back(key.id, slot)
        else:
            kept.append(now)
        assert all(sum(1 for stamp in kept if end - 60.0 < stamp <= end) <= most for end in kept)


# -- hours


@pytest.mark.parametrize(
    ("start", "end", "clock", "allowed", "wait_min"),
    [
        ("09:30", "16:00", "09:29", False, 1),
        ("09:30", "16:00", "09:30", True, 0),
        ("09:30", "16:00", "15:59", True, 0),
        ("09:30", "16:00", "16:00", False, 17 * 60 + 30),
        ("22:00", "04:00", "21:59", False, 1),
        ("22:00", "04:00", "22:00", True, 0),
        ("22:00", "04:00", "00:00", True, 0),
        ("22:00", "04:00", "03:59", True, 0),
        ("22:00", "04:00", "04:00", False, 18 * 60),
        ("08:00", "08:00", "07:59", True, 0),
        ("00:00", "24:00", "23:59", True, 0),
    ],
)
def test_hours_at_their_edges(start: str, end: str, clock: str, allowed: bool, wait_min: int) -> None:
    def minutes(text: str) -> int:
        return int(text[:2]) * 60 + int(text[3:])

    key = key_of("Asia/Hong_Kong", hours_window=HoursWindow(minutes(start), minutes(end)))
    wall = at(f"2026-03-10T{clock}", "Asia/Hong_Kong")
    result = Limits().admit(key, 0.0, wall)
    assert Limits().headroom(key, 0.0, wall).in_hours is allowed
    if allowed:
        assert result is None
    else:
        denial = denial_of(result)
        assert (denial.kind, denial.reason, denial.retry_s) == (DenialKind.LIMIT, "hours", wait_min * 60)


def test_the_hours_say_what_time_it_is_and_when_they_begin() -> None:
    key = key_of("Asia/Hong_Kong", hours_window=HoursWindow(570, 960))
    denial = denial_of(Limits().admit(key, 0.0, at("2026-03-10T08:00:30", "Asia/Hong_Kong")))
    assert denial.text == (
        "hours_window 09:30-16:00: it is 08:00 Asia/Hong_Kong, orders are allowed again in 1 h 30 min"
    )
    assert denial.retry_s == 89.5 * 60


def test_hours_without_a_zone_are_the_machines() -> None:
    key = key_of(hours_window=HoursWindow(570, 960))
    ahead = Limits(timezone(timedelta(hours=8)))
    assert ahead.admit(key, 0.0, at("2026-03-10T01:30")) is None
    assert "it is 09:00 here" in denial_of(ahead.admit(key, 0.0, at("2026-03-10T01:00"))).text
    local = datetime.fromtimestamp(NOON, UTC).astimezone()
    minute = local.hour * 60 + local.minute
    assert Limits().admit(key_of(hours_window=HoursWindow(minute, minute + 1)), 0.0, NOON) is None
    closed = key_of(hours_window=HoursWindow((minute + 2) % 1440, (minute + 3) % 1440))
    assert denial_of(Limits().admit(closed, 0.0, NOON)).retry_s == 120.0


def test_the_wait_over_a_change_of_the_clock_is_real_time() -> None:
    key = key_of("America/New_York", hours_window=HoursWindow(570, 960))
    denial = denial_of(Limits().admit(key, 0.0, at("2026-03-07T20:30", "America/New_York")))
    assert denial.retry_s == 12 * 3600, "thirteen hours by the clock, one of which is left out"


def test_a_zone_that_the_machine_does_not_know_allows_nothing() -> None:
    key = key_of("Mars/Base", hours_window=HoursWindow(0, 1440))
    denial = denial_of(Limits().admit(key, 0.0, NOON))
    assert (denial.reason, denial.text) == ("hours", "hours_window: time zone Mars/Base is not known on this machine")


def test_a_refusal_for_the_hours_takes_no_slot() -> None:
    limits, key = Limits(), key_of("UTC", max_orders_per_minute=1, hours_window=HoursWindow(0, 60))
    assert denial_of(limits.admit(key, 0.0, NOON)).reason == "hours"
    assert limits.out_of_hours(key, NOON) is not None
    assert limits.admit(key, 1.0, MIDNIGHT) == 1.0
    assert denial_of(limits.admit(key, 2.0, NOON)).reason == "rate", "the rate is looked at first"


# -- values


def test_an_order_of_exactly_the_limit_passes() -> None:
    key = key_of(max_order_value=0.3)
    assert Limits.over_order_value(key, Decimal("0.1") * 3) is None
    denial = denial_of(Limits.over_order_value(key, Decimal("0.30000001")))
    assert denial == Denial(
        DenialKind.LIMIT, "per_order", "max_order_value 0.3: this order is worth 0.30000001", retry_s=None
    )


def test_the_day_is_full_at_exactly_the_limit() -> None:
    limits, key = Limits(), key_of(max_daily_value=0.3)
    for _ in range(3):
        reserve(limits, key, 0.1)
    denial = denial_of(limits.reserve(key, Decimal("0.1"), MIDNIGHT + DAY_S - 90))
    assert denial == Denial(
        DenialKind.LIMIT,
        "daily",
        "max_daily_value 0.3: 0.3 is used today, 0 is left, this order adds 0.1; reset in 2 min",
        retry_s=90.0,
    )
    assert isinstance(limits.reserve(key, Decimal(0), NOON), Reservation), "what adds nothing passes"


def test_what_is_above_the_limit_of_any_day_is_told_no_time() -> None:
    denial = denial_of(Limits().reserve(key_of(max_daily_value=1000.0), Decimal("1000.5"), NOON))
    assert denial.retry_s is None
    assert denial.text == "max_daily_value 1000: 0 is used today, 1000 is left, this order adds 1000.5"


def test_the_day_begins_at_utc_midnight() -> None:
    limits, key = Limits(), key_of(max_daily_value=100.0)
    late = reserve(limits, key, 100, MIDNIGHT - 0.001)
    assert isinstance(limits.reserve(key, Decimal(1), MIDNIGHT - 0.001), Denial)
    assert limits.headroom(key, 0.0, MIDNIGHT).daily_value == 100
    reserve(limits, key, 60, MIDNIGHT)
    limits.give_back(late)
    assert limits.headroom(key, 0.0, MIDNIGHT).daily_value == 40, "yesterday's order gives nothing to today"
    assert limits.headroom(key, 0.0, MIDNIGHT - 1).daily_value == 100


def test_a_clock_that_was_wrong_for_a_moment_costs_nothing() -> None:
    limits, key = Limits(), key_of(max_daily_value=100.0)
    reserve(limits, key, 70, NOON)
    reserve(limits, key, 90, NOON + DAY_S)
    assert limits.headroom(key, 0.0, NOON).daily_value == 30


def test_old_days_are_forgotten_once_they_have_been_told() -> None:
    limits, key = Limits(), key_of(max_daily_value=100.0)
    for i in range(10):
        reserve(limits, key, 1, NOON + i * DAY_S)
    assert [row.utc_day for row in limits.changes()] == [DAY + i for i in range(10)]
    reserve(limits, key, 1, NOON + 10 * DAY_S)
    limits.give_back(Reservation(key.id, DAY, Decimal(1)))
    limits.give_back(Reservation("nobody", DAY, Decimal(1)))
    assert [row.utc_day for row in limits.changes()] == [DAY + 10]


def test_counters_survive_a_restart() -> None:
    first, key = Limits(), key_of(max_daily_value=100.0)
    told: list[int] = []
    first.on_change = lambda: told.append(1)
    reserve(first, key, 60.5)
    first.give_back(reserve(first, key, 30))
    assert len(told) == 3
    rows = first.changes()
    assert rows == [DailyRow("bot", DAY, Decimal("60.5"))]
    assert first.changes() == []
    second = Limits()
    second.restore(rows)
    assert second.changes() == []
    assert second.headroom(key, 0.0, NOON).daily_value == Decimal("39.5")
    assert isinstance(second.reserve(key, Decimal("39.6"), NOON), Denial)
    reserve(second, key, 39.5)


def test_keys_do_not_share() -> None:
    limits = Limits()
    for name in ("a", "b"):
        key = Key(name, frozenset(), KeyLimits(max_daily_value=10.0, max_orders_per_minute=1))
        assert limits.admit(key, 0.0, NOON) == 0.0
        reserve(limits, key, 10)


def test_headroom() -> None:
    limits, key = Limits(), key_of("UTC", max_daily_value=10.0, max_orders_per_minute=2)
    assert limits.headroom(key, 0.0, NOON) == Headroom(2, 0.0, Decimal(10), True)
    limits.admit(key, 0.0, NOON)
    limits.admit(key, 1.0, NOON)
    reserve(limits, key, 4)
    assert limits.headroom(key, 20.0, NOON) == Headroom(0, 40.0, Decimal(6), True)
    assert limits.headroom(key_of(max_orders_per_minute=0), 20.0, NOON).next_order_s == math.inf


values = st.decimals(min_value=0, max_value=Decimal(10) ** 45, places=8) | st.floats(0, 1e15).map(
    lambda value: on_grid(Decimal(repr(value)))
)


def total_of(reservations: Iterable[Reservation]) -> Decimal:
    return reduce(EXACT.add, (one.value for one in reservations), Decimal(0))


@DETERMINISTIC
@given(
    st.sampled_from([0.3, 100.0, 1e15, 1e44]),
    st.lists(st.tuples(values, st.integers(0, 3), st.sampled_from(["keep", "back", "late"])), max_size=40),
)
def test_reservations_never_leak(most: float, steps: list[tuple[Decimal, int, str]]) -> None:
    limits, key = Limits(), key_of(max_daily_value=most)
    top = Decimal(repr(most))
    held: list[Reservation] = []
    late: list[Reservation] = []
    for value, day, fate in steps:
        made = limits.reserve(key, value, NOON + day % 2 * DAY_S)
        assert made is not None
        if not isinstance(made, Denial):
            (held if fate == "keep" else late).append(made)
        if fate == "back" and not isinstance(made, Denial):
            limits.give_back(late.pop())
        for i in range(2):
            used = total_of(one for one in held + late if one.utc_day == DAY + i)
            assert used <= top
            assert limits.headroom(key, 0.0, NOON + i * DAY_S).daily_value == EXACT.subtract(top, used)
    for one in late:
        limits.give_back(one)
    totals = {row.utc_day: row.value for row in limits.changes()}
    for day, total in totals.items():
        assert total == total_of(one for one in held if one.utc_day == day)


def test_amounts_are_written_plainly() -> None:
    shown = [amount_text(Decimal(text)) for text in ("1E+3", "1200.500", "0", "0.00000001", "100")]
    assert shown == ["1000", "1200.5", "0", "0.00000001", "100"]
