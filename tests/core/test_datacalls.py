"""Calls for the data of subscribed streams: each names the streams that it needs."""

from __future__ import annotations

import json

import pytest

from opendmux.core import streams
from opendmux.core.commands import Request
from opendmux.core.datacalls import DATA_CALLS
from opendmux.core.streams import Space, StreamKey
from opendmux.errors import RemoteProtocolError
from opendmux.wire.protocols import ProtoId
from tests.core.gate_kit import Desk

ONE = {"security": {"market": 1, "code": "00700"}}


def call(proto_id: int, body: bytes) -> Request:
    return Request(Desk(None).session, proto_id, 1, 1, body)


@pytest.mark.parametrize(
    ("proto_id", "c2s", "sub_types"),
    [
        (ProtoId.QOT_GET_RT, ONE, [streams.RT]),
        (ProtoId.QOT_GET_TICKER, {**ONE, "maxRetNum": 1}, [streams.TICKER]),
        (ProtoId.QOT_GET_BROKER, ONE, [streams.BROKER]),
        (ProtoId.QOT_GET_ORDER_BOOK, {**ONE, "num": 1}, [streams.ORDER_BOOK]),
        (ProtoId.QOT_GET_ORDER_BOOK, {**ONE, "num": 1, "orderBookType": 1}, [streams.ORDER_BOOK_ODD]),
        (ProtoId.QOT_GET_KL, {**ONE, "rehabType": 1, "klType": 2, "reqNum": 1}, [streams.KL_DAY]),
        (ProtoId.QOT_GET_KL, {**ONE, "rehabType": 1, "klType": 99, "reqNum": 1}, [0]),
        (ProtoId.QOT_GET_BASIC_QOT, {"securityList": [ONE["security"], ONE["security"]]}, [streams.BASIC] * 2),
        (ProtoId.QOT_GET_BASIC_QOT, {"securityList": []}, []),
    ],
)
def test_what_a_call_needs(proto_id: int, c2s: dict[str, object], sub_types: list[int]) -> None:
    needed = DATA_CALLS[proto_id](call(proto_id, json.dumps({"c2s": c2s}).encode()))
    assert needed == [StreamKey(Space.QOT, 1, "00700", sub_type) for sub_type in sub_types]


@pytest.mark.parametrize("proto_id", DATA_CALLS)
def test_a_body_that_can_not_be_read_needs_nothing(proto_id: int) -> None:
    with pytest.raises(RemoteProtocolError):
        DATA_CALLS[proto_id](call(proto_id, b"{"))
