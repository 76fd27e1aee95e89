"""Every kind of Notify, in both formats, and what is made of bytes that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.core.notices import (
    MARKET_NAMES,
    ApiQuota,
    ConnStatus,
    Event,
    GtwEvent,
    Notice,
    Program,
    ProgramStatus,
    QotRight,
    UsedQuota,
    market_name,
    program_name,
    read_notice_untrusted,
    right_name,
    right_rank,
)
from opendmux.wire.messages import encode, to_client
from opendmux.wire.pb import opend
from tests.core.playbook import Play

S2C = opend.NotifyS2C


def status(number: int, text: str = "") -> opend.NotifyProgramStatus:
    return opend.NotifyProgramStatus(programStatus=opend.ProgramStatus(type=number, strExtDesc=text))


CASES: list[tuple[opend.NotifyS2C, Notice | None]] = [
    *(
        (S2C(type=1, event=opend.NotifyGtwEvent(eventType=event, desc="said")), GtwEvent(event, "said"))
        for event in (*Event, 99)
    ),
    *((S2C(type=2, programStatus=status(number, "why")), ProgramStatus(number, "why")) for number in (*Program, 99)),
    (S2C(type=3, connectStatus=opend.NotifyConnectStatus(qotLogined=True, trdLogined=False)), ConnStatus(True, False)),
    (S2C(type=3, connectStatus=opend.NotifyConnectStatus(qotLogined=False, trdLogined=True)), ConnStatus(False, True)),
    (
        S2C(type=4, qotRight=opend.NotifyQotRight(hkQotRight=1, usQotRight=3, usOptionQotRight=2)),
        QotRight({"hkQotRight": 1, "usQotRight": 3, "usOptionQotRight": 2}),
    ),
    (S2C(type=4, qotRight=opend.NotifyQotRight(hasUSOptionQotRight=True)), QotRight({"usOptionQotRight": 2})),
    (S2C(type=4, qotRight=opend.NotifyQotRight(hasUSOptionQotRight=False)), QotRight({"usOptionQotRight": 5})),
    (S2C(type=6, apiQuota=opend.NotifyAPIQuota(subQuota=300, historyKLQuota=100)), ApiQuota(300, 100)),
    (S2C(type=7, usedQuota=opend.NotifyUsedQuota(usedSubQuota=295)), UsedQuota(295, None)),
    (S2C(type=7, usedQuota=opend.NotifyUsedQuota(usedKLineQuota=0)), UsedQuota(None, 0)),
    (S2C(type=5, apiLevel=opend.NotifyAPILevel(apiLevel="x")), None),
    (S2C(type=99), None),
    *((S2C(type=kind), None) for kind in range(1, 8)),
]


@pytest.mark.parametrize("proto_fmt", [0, 1])
@pytest.mark.parametrize(("s2c", "expected"), CASES)
def test_what_it_says(s2c: opend.NotifyS2C, expected: Notice | None, proto_fmt: int) -> None:
    body = to_client(opend.NotifyResponse(retType=0, s2c=s2c), proto_fmt)
    assert read_notice_untrusted(body, proto_fmt) == expected


def test_a_field_that_is_new_does_not_hide_the_rest() -> None:
    body = b'{"retType":0,"s2c":{"type":3,"connectStatus":{"qotLogined":true,"trdLogined":true,"new":1}}}'
    assert read_notice_untrusted(body, 1) == ConnStatus(True, True)


@given(st.binary(max_size=100), st.integers(0, 3))
def test_no_bytes_do_harm(body: bytes, proto_fmt: int) -> None:
    read_notice_untrusted(body, proto_fmt)


def test_every_right_of_the_message_has_a_name() -> None:
    fields = {field.name for field in opend.NotifyQotRight.DESCRIPTOR.fields}
    assert fields - {"hasUSOptionQotRight"} == set(MARKET_NAMES)
    assert {f.name for f in opend.GetUserInfoS2C.DESCRIPTOR.fields if f.name.endswith("QotRight")} == fields
    assert (market_name("hkQotRight"), market_name("xyQotRight")) == ("HK stocks", "xy")


def test_names_and_ranks() -> None:
    assert [program_name(number) for number in (-1, 0, 10, 99)] == ["-1", "none", "ready", "99"]
    assert [right_name(right) for right in (1, 3, 77)] == ["BMP", "LV2", "77"]
    assert [right_rank(right) for right in (5, 1, 2, 3, 6, 4, 0, 77)] == [0, 1, 2, 3, 4, 5, None, None]


def test_the_router_tells_of_main_and_of_the_logins_of_trade() -> None:
    play = Play(trade_address="b:1")
    play.connect(2)
    play.ready(2)
    heard: list[Notice] = []
    play.router.on_notice.append(lambda notice, _now: heard.append(notice))
    logins = S2C(type=3, connectStatus=opend.NotifyConnectStatus(qotLogined=True, trdLogined=True))
    event = S2C(type=1, event=opend.NotifyGtwEvent(eventType=7, desc="x"))
    for lane in (0, 1, 2):
        for s2c in (logins, event):
            play.push(1003, encode(opend.NotifyResponse(retType=0, s2c=s2c)), lane=lane)
    play.push(1003, b"\xff")
    assert heard == [ConnStatus(True, True), GtwEvent(7, "x"), ConnStatus(True, True)]
    assert play.router.lanes.trade.upstream.logins == ConnStatus(True, True)
