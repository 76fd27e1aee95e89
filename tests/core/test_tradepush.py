"""What a trade push is about."""

from __future__ import annotations

import json

import pytest

from opendmux.core.pushbody import Body, open_untrusted
from opendmux.core.tradepush import ACC_ID, traded_untrusted
from opendmux.errors import RemoteProtocolError
from opendmux.native import Push
from opendmux.wire.frame import build_frame
from opendmux.wire.protocols import ProtoId
from tests.runtime.bodies import trade_push

ORDER, FILL, NOTIFY = ProtoId.TRD_UPDATE_ORDER, ProtoId.TRD_UPDATE_ORDER_FILL, ProtoId.TRD_NOTIFY


def opened(proto_id: int, body: bytes, proto_fmt: int = 0) -> Body:
    return open_untrusted(Push(proto_id, proto_fmt, build_frame(proto_id, proto_fmt, 0, body)))


def traded(proto_id: int, body: bytes) -> list[tuple[str, str]]:
    return traded_untrusted(proto_id, opened(proto_id, body))


@pytest.mark.parametrize("proto_id", [ORDER, FILL])
@pytest.mark.parametrize(
    ("trd_market", "sec_market", "market"),
    [(1, 0, "HK"), (2, 0, "US"), (4, 31, "SH"), (4, 0, "HKCC"), (1, 2, "US"), (5, 0, ""), (1, 99, ""), (99, 0, "")],
)
def test_the_order_s_own_market_comes_first(proto_id: int, trd_market: int, sec_market: int, market: str) -> None:
    body = trade_push(proto_id, 7, "00700", trd_market=trd_market, sec_market=sec_market)
    assert traded(proto_id, body) == [(market, "00700")]
    assert opened(proto_id, body).uint64_untrusted(ACC_ID) == 7


def test_all_legs_of_a_combination() -> None:
    body = trade_push(ORDER, 7, "COMBO", legs=[(11, "AAPL"), (1, "00700"), (77, "X")])
    assert traded(ORDER, body) == [("US", "AAPL"), ("HK", "00700"), ("", "X")]


def test_a_notice_is_about_the_account_s_market() -> None:
    assert traded(NOTIFY, trade_push(NOTIFY, 7, "", trd_market=2)) == [("US", "")]


@pytest.mark.parametrize("proto_id", [ORDER, FILL])
def test_an_order_without_a_code_is_about_nothing(proto_id: int) -> None:
    with pytest.raises(RemoteProtocolError):
        traded(proto_id, trade_push(proto_id, 7, ""))


def test_json() -> None:
    order = {"code": "AAPL", "secMarket": 2}
    s2c = {"header": {"accID": str(2**64 - 1), "trdMarket": 1}, "order": order}
    body = opened(ORDER, json.dumps({"retType": 0, "s2c": s2c}).encode(), 1)
    assert body.uint64_untrusted(ACC_ID) == 2**64 - 1
    assert traded_untrusted(ORDER, body) == [("US", "AAPL")]
