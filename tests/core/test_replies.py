"""Replies that core edits or notes: GetGlobalState and RequestIndicatorCalc."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core.commands import Failure, Outcome
from opendmux.core.replies import EDITORS
from opendmux.errors import RemoteProtocolError
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PROTOCOLS, ProtoId, ReplyAction, RequestAction
from tests.core.playbook import IDENTITY, OK, Play
from tests.native.wire_format import anything, field, scalar

if TYPE_CHECKING:
    from opendmux.core.identity import Session

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=200)

STATE = opend.GetGlobalStateResponse(
    retType=0,
    s2c=opend.GetGlobalStateS2C(
        marketHK=6, qotLogined=True, trdLogined=False, time=1700000000, connID=IDENTITY.conn_id
    ),
)


def edited(play: Play, session: Session, proto_id: int, body: bytes, proto_fmt: int = 0) -> bytes:
    return EDITORS[proto_id](play.main.pushes, session, Outcome(body, proto_fmt))


# -- 1002


def test_a_client_reads_its_own_conn_id() -> None:
    play = Play()
    session = play.client(1)
    body = edited(play, session, ProtoId.GET_GLOBAL_STATE, encode(STATE))
    state = opend.GetGlobalStateResponse.FromString(body)
    assert state.s2c.connID == session.conn_id
    state.s2c.connID = IDENTITY.conn_id
    assert state == STATE, "and nothing else is changed"


def test_a_client_reads_its_own_conn_id_in_json() -> None:
    play = Play()
    session = play.client(1)
    state = {"retType": 0, "s2c": {"marketHK": 6, "time": 1700000000, "connID": IDENTITY.conn_id, "localTime": 1.5}}
    body = edited(play, session, ProtoId.GET_GLOBAL_STATE, json.dumps(state).encode(), 1)
    assert json.loads(body) == {"retType": 0, "s2c": {**state["s2c"], "connID": session.conn_id}}  # type: ignore[dict-item]


def test_global_state_has_the_clients_conn_id_by_either_way() -> None:
    play = Play()
    session = play.client(1)
    state = encode(opend.GetGlobalStateResponse(retType=0, s2c=opend.GetGlobalStateS2C(connID=IDENTITY.conn_id)))
    play.send(session, 1002)
    play.passes(session, 1002)
    for sent in list(play.waiting):
        play.answer(sent, state)
        reply = opend.GetGlobalStateResponse.FromString(getattr(play.commands[0], "body", b""))
        assert reply.s2c.connID == session.conn_id


@pytest.mark.parametrize(
    ("body", "proto_fmt"),
    [
        (OK, 0),
        (scalar(1, -1) + field(2, b"no"), 0),
        (scalar(1, 0) + field(4, scalar(1, 6)), 0),
        (b'{"retType":-1,"retMsg":"no"}', 1),
        (b'{"retType":0,"s2c":{"marketHK":6}}', 1),
        (b'{"retType":0,"s2c":null}', 1),
    ],
)
def test_a_state_without_conn_id_stays_as_it_is(body: bytes, proto_fmt: int) -> None:
    play = Play()
    assert edited(play, play.client(1), ProtoId.GET_GLOBAL_STATE, body, proto_fmt) == body


def test_unknown_fields_survive() -> None:
    play = Play()
    session = play.client(1)
    tail = scalar(99, 7) + field(200, b"new")
    body = scalar(1, 0) + field(4, scalar(1, 6) + scalar(16, IDENTITY.conn_id) + tail) + tail
    expected = scalar(1, 0) + field(4, scalar(1, 6) + scalar(16, session.conn_id) + tail) + tail
    assert edited(play, session, ProtoId.GET_GLOBAL_STATE, body) == expected


# -- 3260


@pytest.mark.parametrize(
    ("body", "proto_fmt"),
    [(scalar(1, 0) + field(4, field(1, b"calc-7")), 0), (b'{"retType":0,"s2c":{"calcId":"calc-7"}}', 1)],
)
def test_the_result_of_a_calculation_goes_to_the_asker_alone(body: bytes, proto_fmt: int) -> None:
    play = Play()
    asker, other = play.client(1), play.client(2)
    assert edited(play, asker, ProtoId.QOT_REQUEST_INDICATOR_CALC, body, proto_fmt) == body
    result = scalar(1, 0) + field(4, field(1, b"calc-7"))
    assert play.push(ProtoId.QOT_PUSH_INDICATOR_CALC, result) == [("push", (asker.slot,), result, None)]
    assert play.push(ProtoId.QOT_PUSH_INDICATOR_CALC, result) == [], "it was for one push"
    del other


@pytest.mark.parametrize(
    ("body", "proto_fmt"),
    [
        (OK, 0),
        (scalar(1, 0) + field(4, field(1, b"")), 0),
        (b"{}", 1),
        (b'{"s2c":[]}', 1),
        (b'{"s2c":{"calcId":7}}', 1),
    ],
)
def test_no_calculation_no_result(body: bytes, proto_fmt: int) -> None:
    play = Play()
    assert edited(play, play.client(1), ProtoId.QOT_REQUEST_INDICATOR_CALC, body, proto_fmt) == body
    assert play.push(ProtoId.QOT_PUSH_INDICATOR_CALC, scalar(1, 0) + field(4, b"")) == []


# -- both


@DETERMINISTIC
@given(anything | st.binary(max_size=30), st.sampled_from(sorted(EDITORS)), st.sampled_from([0, 1]))
def test_any_reply_is_edited_or_refused(body: bytes, proto_id: int, proto_fmt: int) -> None:
    play = Play()
    try:
        edited(play, play.client(1), proto_id, body, proto_fmt)
    except RemoteProtocolError:
        return


@pytest.mark.parametrize("proto_id", sorted(EDITORS))
def test_a_reply_that_can_not_be_read_is_a_failure_not_a_leak(proto_id: int) -> None:
    play = Play()
    passed = play.passes(play.client(1), proto_id)
    (line,) = play.answer(passed, b"\xff")
    assert line[:5] == ("reply", 1, proto_id, play.serial, -1)


@pytest.mark.parametrize("proto_id", sorted(EDITORS))
@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"s2c"', b'{"s2c": "\xff"}', b'{"s2c": "\\ud800"}', b'{"s2c": NaN}', b'{"s2c": ' * 10**5],
    ids=["empty", "null", "list", "cut", "not UTF-8", "half a surrogate", "NaN", "too deep"],
)
def test_json_that_can_not_be_read_is_a_failure_too(proto_id: int, body: bytes) -> None:
    """It is the upstream reader that would raise."""
    play = Play()
    passed = play.passes(play.client(1), proto_id, proto_fmt=1)
    ((_kind, _owner, _proto_id, serial_no, text),) = play.answer(passed, body, proto_fmt=1)
    assert serial_no == play.serial
    assert json.loads(str(text))["retType"] == -1


@pytest.mark.parametrize("failure", Failure)
def test_a_failure_is_not_edited(failure: Failure) -> None:
    play = Play()
    passed = play.passes(play.client(1), ProtoId.GET_GLOBAL_STATE)
    (line,) = play.answer(passed, failure=failure)
    assert line[:4] == ("reply", 1, ProtoId.GET_GLOBAL_STATE, play.serial)
    assert line[4] != 0


def test_what_is_edited_is_shown_to_core() -> None:
    """The switch would hand a NATIVE reply to the client before core sees it."""
    for proto_id in EDITORS:
        assert PROTOCOLS[proto_id].reply is ReplyAction.EVENT
        assert PROTOCOLS[proto_id].request is RequestAction.PASS
