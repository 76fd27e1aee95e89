"""What goes into the ledger: requests that are refused before anybody is asked."""

from __future__ import annotations

import pytest

from opendmux.core import streams as s
from opendmux.core.ledger_values import RegRequest, SubRequest, refusal_of
from opendmux.core.streams import Space

US, EVENT = 11, 101
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
