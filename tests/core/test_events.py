"""Pushes as events."""

from __future__ import annotations

import pytest

from opendmux.core import streams
from opendmux.core.denial import Denial, DenialKind
from opendmux.core.events import GAP, PushEvent, event_of, words_of_end, words_of_gap
from opendmux.wire.frame import build_frame
from opendmux.wire.protocols import PUSH_IDS, ProtoId
from tests.core.push_kit import AAPL, ELECTION, ROUTES, TENCENT, book_push
from tests.native.wire_format import field, scalar
from tests.runtime.bodies import kline_push, quote_push, response, ticker_push, trade_push

TRADES = [ProtoId.TRD_UPDATE_ORDER, ProtoId.TRD_UPDATE_ORDER_FILL, ProtoId.TRD_NOTIFY]


def event(proto_id: int, body: bytes) -> PushEvent:
    return event_of(build_frame(proto_id, 0, 9, body))


@pytest.mark.parametrize("proto_id", sorted(PUSH_IDS))
def test_every_push_has_its_type_and_its_whole_body(proto_id: int) -> None:
    said = event(proto_id, ROUTES[proto_id].body)
    kind = "notify" if proto_id == ProtoId.NOTIFY else "trade" if proto_id in TRADES else "quote"
    assert (said.proto_id, said.event_type, said.body) == (proto_id, kind, ROUTES[proto_id].body)
    if kind != "trade":
        assert said.acc_id == 0
    if kind != "quote":
        assert (said.sec_key, said.sub_type) == ("", 0)


@pytest.mark.parametrize(
    ("proto_id", "body", "sec_key", "sub_type"),
    [
        (ProtoId.QOT_UPDATE_BASIC_QOT, quote_push(TENCENT), "1_00700", streams.BASIC),
        (ProtoId.QOT_UPDATE_RT, ticker_push(*TENCENT), "1_00700", streams.RT),
        (ProtoId.QOT_UPDATE_TICKER, ticker_push(*AAPL), "11_AAPL", streams.TICKER),
        (ProtoId.QOT_UPDATE_BROKER, ticker_push(*TENCENT), "1_00700", streams.BROKER),
        (ProtoId.QOT_UPDATE_ORDER_BOOK, book_push(*TENCENT), "1_00700", streams.ORDER_BOOK),
        (ProtoId.QOT_UPDATE_ORDER_BOOK, book_push(*TENCENT, book_type=1), "1_00700", streams.ORDER_BOOK_ODD),
        (ProtoId.QOT_UPDATE_KL, kline_push(*AAPL, kl_type=2, rehab_type=1), "11_AAPL", streams.KL_DAY),
        (ProtoId.QOT_UPDATE_KL, kline_push(*AAPL, kl_type=99, rehab_type=1), "11_AAPL", 0),
        (ProtoId.QOT_UPDATE_PRICE_REMINDER, ticker_push(*TENCENT), "1_00700", 0),
        (ProtoId.QOT_UPDATE_OPTION_EVENT, ticker_push(*AAPL), "", 0),
        (ProtoId.QOT_UPDATE_EVENT_CONTRACT_TICKER, quote_push(ELECTION), "101_ELECTION", streams.TICKER),
        (ProtoId.QOT_PUSH_INDICATOR_CALC, response(field(1, b"calc")), "", 0),
    ],
)
def test_quotes_name_their_security(proto_id: int, body: bytes, sec_key: str, sub_type: int) -> None:
    said = event(proto_id, body)
    assert (said.sec_key, said.sub_type) == (sec_key, sub_type)


@pytest.mark.parametrize("proto_id", TRADES)
@pytest.mark.parametrize("acc_id", [1, 2**53 + 1, 2**64 - 1])
def test_trades_name_their_account(proto_id: int, acc_id: int) -> None:
    assert event(proto_id, trade_push(proto_id, acc_id, "00700")).acc_id == acc_id


@pytest.mark.parametrize("proto_id", [ProtoId.QOT_UPDATE_PRICE_REMINDER, ProtoId.NOTIFY, ProtoId.QOT_UPDATE_BASIC_QOT])
@pytest.mark.parametrize("body", [b"", b"\xff", response(b""), response(scalar(1, 3))])
def test_what_can_t_be_read_goes_out_without_a_name(proto_id: int, body: bytes) -> None:
    said = event(proto_id, body)
    assert (said.sec_key, said.sub_type if proto_id != ProtoId.QOT_UPDATE_BASIC_QOT else 0, said.acc_id) == ("", 0, 0)
    assert said.body == body


def test_gaps_and_ends_in_words() -> None:
    gap = PushEvent(0, "", 0, b"", GAP, 0, 7, 5, 7)
    assert words_of_gap(gap) == {"event_type": "gap", "gap_from": 5, "gap_to": 7}
    why = Denial(DenialKind.UNAVAILABLE, "drain", "opendmux is stopping")
    assert words_of_end(why) == {"event_type": "end", "reason": "drain", "text": "opendmux is stopping"}
