"""How streams are packed into messages: few, and none too large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.core import streams as s
from opendmux.core._ledger_products import MAX_SECURITIES, cut, products
from opendmux.core.streams import Space, StreamKey

US, HK = 11, 1

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
