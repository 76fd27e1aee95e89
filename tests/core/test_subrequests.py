"""The messages by which clients subscribe: how they are read, and what is too much or says too little."""

from __future__ import annotations

import pytest

from opendmux.core.subrequests import STREAMS_MAX
from opendmux.wire.pb import opend
from tests.core.playbook import Play
from tests.core.quote_kit import HSBC, TENCENT, asked, subscribed
from tests.native.wire_format import field, scalar
from tests.runtime.bodies import sub


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('["EC_KlineSource_OrderBookYes"]', [1]),
        ('["EC_KlineSource_None", 1]', [0, 1]),
        ('["EC_KlineSource_None"]', []),
        ('[1, "0"]', [0, 1]),
        ("[7]", [7]),
        ("null", []),
    ],
)
def test_kline_sources_come_by_name_or_number_in_json(source: str, expected: list[int]) -> None:
    play = Play()
    body = (
        '{"c2s": {"securityList": [{"market": 101, "code": "E"}], "subTypeList": [6], "isSubOrUnSub": true, '
        f'"klineSource": {source}}}}}'
    )
    ((kind, proto_id, ask),) = play.send(play.client(1), 3455, body.encode(), proto_fmt=1)
    assert (kind, proto_id) == ("ask", 3455)
    assert isinstance(ask, bytes)
    assert list(opend.SubEventContractRequest.FromString(ask).c2s.klineSource) == expected


@pytest.mark.parametrize(
    "source", ['["EC_KlineSource_Tape"]', '"EC_KlineSource_None"', "[{}]", '[1], "klineSource": [0]']
)
def test_other_kline_sources_are_refused(source: str) -> None:
    play = Play()
    body = f'{{"c2s": {{"securityList": [], "isSubOrUnSub": true, "klineSource": {source}}}}}'
    (line,) = play.send(play.client(1), 3455, body.encode(), proto_fmt=1)
    assert "was not sent" in str(line[4])


@pytest.mark.parametrize(("proto_id", "name"), [(3001, "isSubOrUnSub"), (3455, "isSubOrUnSub"), (3002, "isRegOrUnReg")])
def test_subscribing_and_unsubscribing_are_not_confused_by_leaving_out_which(proto_id: int, name: str) -> None:
    play = Play()
    session = subscribed(play, 1, TENCENT)
    body = field(1, field(1, scalar(1, 1) + field(2, b"00700")) + scalar(2, 1))
    (line,) = play.send(session, proto_id, body)
    assert line[:5] == ("reply", 1, proto_id, play.serial, -1)
    assert f"{name} is missing" in str(line[5])
    assert play.main.ledger.subscriptions(1) == {1: [TENCENT]}


@pytest.mark.parametrize("proto_id", [3001, 3002, 3455])
@pytest.mark.parametrize("flag", [0, 1])
def test_lists_whose_product_is_endless_are_refused_at_once(proto_id: int, flag: int) -> None:
    play = Play()
    securities = b"".join(field(1, scalar(1, 1) + field(2, b"%d" % number)) for number in range(STREAMS_MAX // 2 + 1))
    body = field(1, securities + scalar(2, 1) + scalar(2, 2) + scalar(4 if proto_id == 3002 else 3, flag))
    (line,) = play.send(play.client(1), proto_id, body)
    assert line[:5] == ("reply", 1, proto_id, play.serial, -1)
    assert f"name {STREAMS_MAX + 2} streams, which is over {STREAMS_MAX}" in str(line[5])


def test_what_is_named_twice_counts_once() -> None:
    """Or a request of a few kilobytes would keep everybody waiting."""
    play = Play()
    lines = play.send(play.client(1), 3001, sub([TENCENT, HSBC] * 2000, [1, 4] * 2000))
    c2s = asked(lines)
    assert [(each.market, each.code) for each in c2s.securityList] == [TENCENT, HSBC]
    assert list(c2s.subTypeList) == [1, 4]


def test_the_largest_quota_fits_one_request() -> None:
    play = Play()
    lines = play.send(play.client(1), 3001, sub([(1, f"{number:05}") for number in range(2000)], [1]))
    assert len(asked(lines).securityList) == 2000
