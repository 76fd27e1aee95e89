"""Bars: every K-line type joins history and the live market without a seam."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.sim.candles import bars_after, current_bar, recent_bars, trading_minutes
from opendmux.sim.market import Market, Stock
from opendmux.sim.numbers import KLType
from opendmux.sim.venues import time_text

if TYPE_CHECKING:
    from opendmux.sim.history import Bar

EPOCH = 1_767_580_200.0  # 2026-01-05 10:30 in Hong Kong
HOUR = 3600
KEYS = [(1, "00700"), (11, "AAPL"), (91, "BTCUSD"), (21, "600519")]


def alive(key: tuple[int, str], epoch: float, seconds: int, seed: int = 1) -> tuple[Stock, float]:
    stock = Market(seed, epoch).stock(key, epoch)
    for second in range(seconds):
        stock.step(epoch + second)
    return stock, epoch + max(0, seconds - 1)


def sound(bars: list[Bar]) -> None:
    times = [bar.time for bar in bars]
    assert times == sorted(set(times))
    for bar in bars:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.volume > 0
        assert bar.turnover > 0
    for before, bar in pairwise(bars):
        assert bar.last_close == before.close


@pytest.mark.parametrize("kl_type", KLType)
@pytest.mark.parametrize("key", KEYS)
def test_recent_bars_are_sound(key: tuple[int, str], kl_type: KLType) -> None:
    stock, now = alive(key, EPOCH, 90)
    bars = recent_bars(stock, kl_type, 400, now)
    sound(bars)
    assert len(bars) <= 400
    if kl_type.minutes or kl_type == KLType.DAY:
        assert len(bars) == 400
    assert bars[-1].close == stock.price
    assert recent_bars(stock, kl_type, 7, now) == bars[-7:]


@pytest.mark.parametrize("kl_type", KLType)
@pytest.mark.parametrize("key", KEYS)
def test_the_range_query_agrees_with_the_recent_bars(key: tuple[int, str], kl_type: KLType) -> None:
    stock, now = alive(key, EPOCH, 90)
    bars = recent_bars(stock, kl_type, 120, now)
    ranged = list(bars_after(stock, kl_type, bars[0].time - 1, 2**40, now))
    assert [bar.time for bar in ranged] == [bar.time for bar in bars]
    assert [bar[1:5] for bar in ranged] == [bar[1:5] for bar in bars]
    middle = bars[len(bars) // 2].time
    assert [bar.time for bar in bars_after(stock, kl_type, middle, bars[-1].time, now)] == [
        bar.time for bar in bars if bar.time > middle
    ]
    assert list(bars_after(stock, kl_type, bars[-1].time, 2**40, now)) == []


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(KEYS),
    st.integers(0, 14 * 24 * 12),
    st.integers(1, 200),
    st.integers(0, 50),
)
def test_the_growing_bar_is_the_last_of_the_recent_ones(
    key: tuple[int, str], five_minutes: int, seconds: int, seed: int
) -> None:
    stock, now = alive(key, EPOCH + five_minutes * 300, seconds, seed)
    for kl_type in KLType:
        assert current_bar(stock, kl_type) == recent_bars(stock, kl_type, 3, now)[-1], kl_type


def test_daily_bars_are_fixed_by_the_seed() -> None:
    stock, now = alive((1, "00700"), EPOCH, 1)
    bars = recent_bars(stock, KLType.DAY, 300, now)
    assert hashlib.sha256(repr(bars).encode()).hexdigest()[:16] == "a176b8479f64d7fd"
    assert time_text(bars[-1].time) == "2026-01-05 00:00:00"
    assert bars[-1].last_close == stock.history.last_close


def test_old_bars_do_not_depend_on_the_start_date() -> None:
    early, early_now = alive((1, "00700"), EPOCH, 1)
    late, late_now = alive((1, "00700"), EPOCH + 200 * 86_400, 1)
    begin, end = 1_735_689_600, 1_760_000_000
    assert list(bars_after(early, KLType.DAY, begin, end, early_now)) == list(
        bars_after(late, KLType.DAY, begin, end, late_now)
    )
    assert early.last_close == late.last_close


def test_minute_bars_end_with_the_parts_of_the_day() -> None:
    stock, now = alive((1, "00700"), EPOCH, 1)
    yesterday = 1_767_312_000  # Friday, 2026-01-02 as local seconds
    texts = [time_text(bar.time)[11:16] for bar in bars_after(stock, KLType.MIN_60, yesterday, yesterday + 86_400, now)]
    assert texts == ["10:30", "11:30", "12:00", "14:00", "15:00", "16:00"]
    minutes = list(bars_after(stock, KLType.MIN_1, yesterday, yesterday + 86_400, now))
    assert len(minutes) == 330
    assert (time_text(minutes[0].time)[11:16], time_text(minutes[-1].time)[11:16]) == ("09:31", "16:00")
    day = stock.history.daily(yesterday // 86_400)
    assert (minutes[0].open, minutes[-1].close) == (day.open, day.close)


def test_today_begins_before_anybody_asked() -> None:
    stock, now = alive((1, "00700"), EPOCH, 30)
    minutes = trading_minutes(stock, now)
    assert time_text(minutes[0].time) == "2026-01-05 09:31:00"
    assert minutes[0].open == stock.open
    assert minutes[-1].close == stock.price
    sound(minutes)


def test_the_market_has_bars_at_night_too() -> None:
    stock, now = alive((1, "00700"), EPOCH + 12 * HOUR, 30)
    bars = recent_bars(stock, KLType.MIN_1, 3, now)
    assert time_text(bars[-1].time) == "2026-01-05 22:31:00"
    assert time_text(bars[-3].time) == "2026-01-05 16:00:00" or len(bars) == 3


def test_a_week_ends_with_its_last_trading_day() -> None:
    stock, now = alive((1, "00700"), EPOCH, 1)
    weeks = recent_bars(stock, KLType.WEEK, 3, now)
    assert [time_text(bar.time)[:10] for bar in weeks] == ["2025-12-26", "2026-01-02", "2026-01-05"]
    days = recent_bars(stock, KLType.DAY, 6, now)[:5]
    assert (weeks[1].open, weeks[1].close) == (days[0].open, days[-1].close)
    assert weeks[1].high == max(bar.high for bar in days)
    assert weeks[1].volume == sum(bar.volume for bar in days)
