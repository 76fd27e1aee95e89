"""Prices, books and ticks: pure, and the same for the same seed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.sim.dice import Dice, mix, number, unit
from opendmux.sim.market import DEPTH, Market, Stock
from opendmux.sim.numbers import SecurityType
from opendmux.sim.refusal import Refused
from opendmux.sim.securities import CATALOGUE, describe
from opendmux.sim.venues import VENUES, parse_time, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable

EPOCH = 1_767_580_200.0  # 2026-01-05 10:30 in Hong Kong
TENCENT, APPLE = (1, "00700"), (11, "AAPL")
ALL_KEYS = [(market, code) for market, codes in CATALOGUE.items() for code in codes]


def digest(values: Iterable[object]) -> str:
    return hashlib.sha256(repr(list(values)).encode()).hexdigest()[:16]


def walk(stock: Stock, steps: int, start: float = EPOCH) -> list[object]:
    seen: list[object] = []
    for place in range(steps):
        ticks = stock.step(start + place)
        asks, bids = stock.book()
        seen.append([tick[1:] for tick in ticks])
        seen.append([(level.price, level.volume, level.orders) for level in (*asks, *bids)])
        seen.append((stock.price, stock.high, stock.low, stock.volume, stock.turnover, list(stock.queue(1))))
    return seen


@pytest.mark.parametrize(
    ("seed", "key", "expected"),
    [
        (1, TENCENT, "c0da9ac11b74c943"),
        (2, TENCENT, "c30522366f981e59"),
        (1, APPLE, "29077b709d62c93d"),
    ],
)
def test_the_walk_is_the_same_on_every_machine(seed: int, key: tuple[int, str], expected: str) -> None:
    assert digest(walk(Market(seed, EPOCH).stock(key, EPOCH), 200)) == expected


def test_the_walk_depends_on_nothing_but_seed_key_and_steps() -> None:
    alone = walk(Market(3, EPOCH).stock(TENCENT, EPOCH), 50)
    crowded = Market(3, EPOCH)
    for key in ALL_KEYS:
        crowded.stock(key, EPOCH).step(EPOCH)
    stock = crowded.stock(TENCENT, EPOCH)
    fresh = Market(3, EPOCH + 3600)
    assert walk(fresh.stock(TENCENT, EPOCH + 3600), 50, EPOCH + 3600) == alone
    stock.take(1, 10**9, 10**12)
    assert [tick[1:] for tick in stock.step(EPOCH)] == alone[3]


@pytest.mark.parametrize("key", ALL_KEYS, ids=lambda key: f"{key[0]}.{key[1]}")
def test_every_step_moves_the_price_and_keeps_the_quote_sound(key: tuple[int, str]) -> None:
    stock = Market(1, EPOCH).stock(key, EPOCH)
    tick = stock.security.tick
    before = stock.ticks[-1].sequence
    for place in range(300):
        price, volume = stock.price, stock.volume
        fresh = stock.step(EPOCH + place)
        assert stock.price != price
        assert stock.price % tick == 0
        assert stock.low <= stock.price <= stock.high
        assert stock.low <= stock.open <= stock.high
        assert stock.volume == volume + sum(item.volume for item in fresh)
        assert [item.sequence for item in fresh] == list(range(before + 1, before + 1 + len(fresh)))
        before += len(fresh)
        asks, bids = stock.book()
        assert len(asks) == len(bids) == DEPTH
        assert bids[0].price < asks[0].price
        assert [level.price for level in asks] == [asks[0].price + tick * place for place in range(DEPTH)]
        assert [level.price for level in bids] == [bids[0].price - tick * place for place in range(DEPTH)]
        assert abs(stock.price - bids[0].price) <= 3 * tick
    base = stock.security.base_price
    assert abs(stock.price - base) < base * 0.2


def test_what_is_taken_is_gone_until_the_next_step() -> None:
    stock = Market(1, EPOCH).stock(TENCENT, EPOCH)
    asks, bids = stock.book()
    first, second = (asks[0].price, asks[0].volume), asks[1].price
    assert stock.take(1, first[1] + 100, second) == [first, (second, 100)]
    assert stock.book()[0][0].price == second
    assert stock.take(1, 100, second - 1) == []
    everything = sum(level.volume for level in bids)
    assert sum(qty for _, qty in stock.take(2, 10**12, 0)) == everything
    assert stock.book()[1] == []
    stock.step(EPOCH)
    assert len(stock.book()[0]) == len(stock.book()[1]) == DEPTH


def test_a_new_day_begins_at_the_last_close() -> None:
    stock = Market(1, EPOCH).stock(TENCENT, EPOCH)
    stock.step(EPOCH)
    close, day = stock.price, stock.day
    stock.roll(EPOCH + 86_400)
    assert (stock.day, stock.last_close, stock.open, stock.volume) == (day + 1, close, close, 0)
    assert stock.days[day].close == close
    stock.step(EPOCH + 86_401)
    assert stock.volume > 0


@pytest.mark.parametrize(
    "key",
    [
        (1, "700"),
        (1, "7OO00"),
        (1, ""),
        (1, "00700 "),
        (11, "aapl"),
        (11, "123"),
        (21, "60051"),
        (99, "AAPL"),
        (0, "x"),
    ],
)
def test_impossible_securities_are_refused(key: tuple[int, str]) -> None:
    with pytest.raises(Refused, match="unknown"):
        Market(1, EPOCH).stock(key, EPOCH)


@given(st.integers(-5, 120), st.text(max_size=40))
def test_any_key_is_a_security_or_refused(market: int, code: str) -> None:
    try:
        stock = Market(1, EPOCH).stock((market, code), EPOCH)
    except Refused:
        return
    assert stock.price > 0
    stock.step(EPOCH)


@pytest.mark.parametrize(
    ("key", "sec_type"),
    [
        (TENCENT, SecurityType.EQUITY),
        ((1, "800000"), SecurityType.INDEX),
        ((1, "HSImain"), SecurityType.FUTURE),
        ((1, "HSI2606"), SecurityType.FUTURE),
        ((11, ".SPX"), SecurityType.INDEX),
        ((11, "AAPL270115C185000"), SecurityType.OPTION),
        ((1, "TCH270128P350000"), SecurityType.OPTION),
        ((81, "USDHKD"), SecurityType.FOREX),
        ((91, "BTCUSD"), SecurityType.CRYPTO),
    ],
)
def test_the_code_tells_the_type(key: tuple[int, str], sec_type: SecurityType) -> None:
    assert describe(1, key).sec_type == sec_type


def test_an_option_code_is_taken_apart() -> None:
    terms = describe(1, (11, "AAPL270115C185500")).option
    assert terms is not None
    assert (terms.option_type, terms.owner, terms.strike) == (1, (11, "AAPL"), 1_855_000)
    assert time_text(terms.expiry_day * 86_400) == "2027-01-15 00:00:00"
    with pytest.raises(Refused):
        describe(1, (11, "AAPL271315C185500"))


def test_dice_are_fair_enough_and_fixed() -> None:
    assert [mix(0), mix(1)] == [16294208416658607535, 10451216379200822465]
    dice = Dice(7)
    throws = [dice.below(6) for _ in range(6_000)]
    assert all(850 < throws.count(face) < 1_150 for face in range(6))
    assert 0 <= unit("a", 1) < 1
    assert 0 <= dice.fraction() < 1
    assert number("a", 12) != number("a1", 2)


@pytest.mark.parametrize(
    ("utc", "hong_kong", "new_york"),
    [
        (1_767_580_200, "2026-01-05 10:30:00", "2026-01-04 21:30:00"),
        (1_772_953_199, "2026-03-08 14:59:59", "2026-03-08 01:59:59"),
        (1_772_953_200, "2026-03-08 15:00:00", "2026-03-08 03:00:00"),
        (1_793_512_799, "2026-11-01 13:59:59", "2026-11-01 01:59:59"),
        (1_793_512_800, "2026-11-01 14:00:00", "2026-11-01 01:00:00"),
    ],
)
def test_local_time(utc: int, hong_kong: str, new_york: str) -> None:
    assert time_text(VENUES[1].local(utc)) == hong_kong
    assert time_text(VENUES[11].local(utc)) == new_york


@given(st.sampled_from(sorted(VENUES)), st.integers(0, 2**32))
def test_local_time_and_back(market: int, utc: int) -> None:
    venue = VENUES[market]
    # One hour in autumn exists twice; the earlier one is meant then.
    assert utc - venue.utc(venue.local(utc)) in {0, 3600}


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("1970-01-02", 86_400),
        ("1970-01-01 00:00:01", 1),
        (" 1970-01-01 00:01:01.250 ", 61),
        ("", None),
        ("yesterday", None),
        ("2026-13-01", None),
    ],
)
def test_times_of_clients(text: str, local: int | None) -> None:
    assert parse_time(text) == local
