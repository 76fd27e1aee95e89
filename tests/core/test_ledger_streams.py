"""Value types: what counts as the same, what is refused before anybody is asked, how streams are packed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.core import streams as s
from opendmux.core._ledger_products import MAX_SECURITIES, cut, products
from opendmux.core.streams import Options, RegRequest, Space, StreamKey, SubRequest, normalise, refusal_of

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


AAPL = ((US, "AAPL"),)


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (SubRequest(Space.QOT, (), (1,)), "securityList"),
        (SubRequest(Space.QOT, AAPL, ()), "subTypeList"),
        (SubRequest(Space.QOT, AAPL, (1, 3)), "subTypeList: 3"),
        (SubRequest(Space.QOT, AAPL, (0,)), "subTypeList: 0"),
        (SubRequest(Space.QOT, AAPL, (1,), subscribe=False, unsub_all=False), None),
        (SubRequest(Space.QOT, (*AAPL, (0, "X")), (1,)), "market 0"),
        (SubRequest(Space.QOT, (*AAPL, (US, "")), (1,)), "empty code"),
        (SubRequest(Space.QOT, AAPL, (s.KL_DAY,), rehab_types=(3,)), "RehabType"),
        (SubRequest(Space.QOT, AAPL, (s.TICKER,), rehab_types=(3,)), None),
        (SubRequest(Space.QOT, AAPL, (s.KL_DAY,), subscribe=False, rehab_types=(3,)), None),
        (SubRequest(Space.QOT, AAPL, tuple(s.SUB_TYPE_NAMES), rehab_types=(0, 1, 2)), None),
        (SubRequest(Space.QOT, unsub_all=True), None),
        (SubRequest(Space.EVENT_CONTRACT, ((EVENT, "E"),), (s.BROKER,)), "subTypeList: 14"),
        (SubRequest(Space.EVENT_CONTRACT, ((EVENT, "E"),), (s.BASIC, s.ORDER_BOOK, s.TICKER, s.KL_DAY)), None),
        (RegRequest((), (1,), True), "securityList"),
        (RegRequest(AAPL, (s.KL_DAY,), True, (7,)), "RehabType"),
    ],
)
def test_what_cannot_be_routed_is_refused_by_name(request_: SubRequest | RegRequest, word: str | None) -> None:
    refusal = refusal_of(request_)
    if word is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert word in refusal


KEYS = st.builds(
    StreamKey,
    st.just(Space.QOT),
    st.sampled_from([US, HK]),
    st.sampled_from("ABCDEF"),
    st.sampled_from([s.BASIC, s.TICKER, s.KL_DAY, s.KL_1MIN]),
)


@given(st.lists(KEYS, unique=True), st.none() | st.integers(1, 5))
def test_products_cover_exactly_what_is_asked(keys: list[StreamKey], limit: int | None) -> None:
    whole = products(keys)
    pieces = [piece for product in whole for piece in cut(product, limit)]
    for cover in (whole, pieces):
        named = [StreamKey(Space.QOT, *sec, sub) for securities, subs in cover for sec in securities for sub in subs]
        assert len(named) == len(set(named))
        assert set(named) == set(keys)
    assert limit is None or all(len(securities) * len(subs) <= limit for securities, subs in pieces)


def test_products_are_few() -> None:
    def key(code: str, sub_type: int) -> StreamKey:
        return StreamKey(Space.QOT, US, code, sub_type)

    assert len(products([key(code, sub) for code in "ABC" for sub in (1, 2)])) == 1
    # one security with a sub type of its own; one sub type without one security
    assert len(products([*(key(code, 1) for code in "ABC"), key("A", 2)])) == 2
    assert len(products([key(code, sub) for code in "ABCD" for sub in (1, 2, 4) if (code, sub) != ("D", 4)])) == 2


@pytest.mark.parametrize(
    ("sub_types", "sizes"),
    [((s.BASIC, s.TICKER), [100, 100, 50]), ((s.KL_DAY,), [100, 100, 50]), ((s.BASIC, s.KL_DAY, s.KL_1MIN), [50] * 5)],
)
def test_own_messages_are_as_large_as_the_sdk_makes_them(sub_types: tuple[int, ...], sizes: list[int]) -> None:
    securities = tuple((US, f"S{n}") for n in range(250))
    assert [len(piece[0]) for piece in cut((securities, sub_types), None)] == sizes
    assert max(sizes) <= MAX_SECURITIES
