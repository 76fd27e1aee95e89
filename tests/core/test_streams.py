"""What a subscription is made of: which options count as the same, and how streams are called."""

from __future__ import annotations

import pytest

from opendmux.core import streams as s
from opendmux.core.streams import Options, Space, StreamKey, normalise

US, HK, CRYPTO, EVENT = 11, 1, 91, 101
FULL = Options(order_book_detail=True, extended_time=True, session=3, security_firm=2, kline_source=(1,))


@pytest.mark.parametrize(
    ("space", "market", "sub_type", "kept"),
    [
        (Space.QOT, US, s.KL_1MIN, Options(extended_time=True, session=3)),
        (Space.QOT, US, s.RT, Options(extended_time=True, session=3)),
        (Space.QOT, US, s.TICKER, Options(extended_time=True, session=3)),
        (Space.QOT, US, s.BASIC, Options()),
        (Space.QOT, US, s.BROKER, Options()),
        (Space.QOT, HK, s.KL_1MIN, Options()),
        (Space.QOT, HK, s.TICKER, Options()),
        (Space.QOT, HK, s.ORDER_BOOK, Options(order_book_detail=True)),
        (Space.QOT, HK, s.ORDER_BOOK_ODD, Options(order_book_detail=True)),
        (Space.QOT, CRYPTO, s.TICKER, Options(security_firm=2)),
        (Space.QOT, CRYPTO, s.ORDER_BOOK, Options(order_book_detail=True, security_firm=2)),
        (Space.EVENT_CONTRACT, EVENT, s.KL_DAY, Options(kline_source=(1,))),
        (Space.EVENT_CONTRACT, EVENT, s.ORDER_BOOK, Options()),
    ],
)
def test_options_are_kept_where_they_mean_something(space: Space, market: int, sub_type: int, kept: Options) -> None:
    assert normalise(space, market, sub_type, FULL) == kept
    assert normalise(space, market, sub_type, kept) == kept


@pytest.mark.parametrize(
    ("asked", "kept"),
    [((), ()), ((0,), ()), ((0, 0), ()), ((1, 0), (0, 1)), ((1, 1), (1,))],
)
def test_kline_sources_are_a_set_with_a_default(asked: tuple[int, ...], kept: tuple[int, ...]) -> None:
    options = Options(kline_source=asked)
    assert normalise(Space.EVENT_CONTRACT, EVENT, s.KL_DAY, options).kline_source == kept


def test_ordinary_clients_do_not_differ() -> None:
    python = Options(security_firm=1)
    for sub_type in s.SUB_TYPE_NAMES:
        for market in (HK, US, 21, 22):
            assert normalise(Space.QOT, market, sub_type, python) == normalise(Space.QOT, market, sub_type, Options())


def test_sub_types_and_kl_types_map_both_ways() -> None:
    pairs = "11/1 17/10 7/6 18/12 8/7 9/8 10/9 19/13 20/14 21/15 6/2 12/3 13/4 15/11 16/5"
    expected = {int(sub): int(kl) for sub, kl in (pair.split("/") for pair in pairs.split())}
    assert dict(s.KL_TYPE_OF_SUB_TYPE) == expected
    assert {kl: sub for sub, kl in expected.items()} == dict(s.SUB_TYPE_OF_KL_TYPE)
    assert {sub for sub in s.SUB_TYPE_NAMES if s.is_kline(sub)} == set(expected)
    assert set(s.SUB_TYPE_NAMES) == set(range(1, 23)) - {3}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (Options(), "none"),
        (Options(extended_time=True, session=3), "extendedTime, session ALL"),
        (Options(order_book_detail=True, security_firm=2), "order book detail, securityFirm 2"),
        (Options(session=9, kline_source=(0, 1)), "session 9, klineSource [0, 1]"),
    ],
)
def test_options_can_be_read(options: Options, text: str) -> None:
    assert str(options) == text


def test_keys_can_be_read() -> None:
    assert str(StreamKey(Space.QOT, US, "AAPL", s.KL_1MIN)) == "US.AAPL KL_1Min"
    assert str(StreamKey(Space.QOT, 77, "X" * 99, 99)) == f"market 77.{'X' * 40} 99"
