"""Subscription requests of clients (3001, 3002, 3003, 3455): what of a message reaches the ledger and OpenD.

The rules of the ledger have their own tests; here are the messages around it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core import streams
from opendmux.core.commands import Failure
from opendmux.core.streams import Space
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from tests.core.key_kit import key, plaintext, ring
from tests.core.playbook import Play
from tests.core.quote_kit import AAPL, HSBC, NO, TENCENT, asked, subscribed
from tests.native.wire_format import anything, field, scalar
from tests.runtime.bodies import sub, sub_info, unsub_all

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=200)

QUOTA = opend.GetSubInfoResponse(
    retType=0,
    s2c=opend.GetSubInfoS2C(
        connSubInfoList=[opend.ConnSubInfo(usedQuota=9, isOwnConnData=True)], totalUsedQuota=9, remainQuota=91
    ),
)


# -- 3001, what OpenD is asked


def test_a_subscription() -> None:
    play = Play()
    lines = play.send(play.client(1), 3001, sub([TENCENT, AAPL], [1, 4]))
    assert asked(lines) == opend.SubC2S(
        securityList=[opend.Security(market=1, code="00700"), opend.Security(market=11, code="AAPL")],
        subTypeList=[1, 4],
        isSubOrUnSub=True,
        isRegOrUnRegPush=True,
        isFirstPush=True,
    )
    assert play.answer() == [("reply", 1, 3001, play.serial, 0, "")]


@pytest.mark.parametrize(
    ("security", "sub_type", "options", "expected"),
    [
        (AAPL, streams.RT, {"extendedTime": True, "session": 3}, {"extendedTime": True, "session": 3}),
        (AAPL, streams.BASIC, {"extendedTime": True, "session": 3}, {}),
        (TENCENT, streams.ORDER_BOOK, {"isSubOrderBookDetail": True}, {"isSubOrderBookDetail": True}),
        (TENCENT, streams.BASIC, {"isSubOrderBookDetail": True}, {}),
        ((91, "BTC"), streams.BASIC, {"header": opend.QotHeader(securityFirm=3)}, {"firm": 3}),
        (TENCENT, streams.BASIC, {"header": opend.QotHeader(securityFirm=3)}, {}),
        (TENCENT, streams.KL_DAY, {"regPushRehabTypeList": [0, 2]}, {"rehabs": [0, 2]}),
        (TENCENT, streams.KL_DAY, {}, {"rehabs": [1]}),
    ],
)
def test_options_that_mean_something_are_passed_on(
    security: tuple[int, str], sub_type: int, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    play = Play()
    c2s = asked(play.send(play.client(1), 3001, sub([security], [sub_type], **options)))
    assert c2s.extendedTime == expected.get("extendedTime", False)
    assert c2s.session == expected.get("session", 0)
    assert c2s.isSubOrderBookDetail == expected.get("isSubOrderBookDetail", False)
    assert c2s.header.securityFirm == expected.get("firm", 0)
    assert list(c2s.regPushRehabTypeList) == expected.get("rehabs", [])


def test_json_subscribes_as_well() -> None:
    play = Play()
    c2s = {
        "securityList": [{"market": 1, "code": "00700"}],
        "subTypeList": [1],
        "isSubOrUnSub": True,
        "isRegOrUnRegPush": True,
    }
    lines = play.send(play.client(1), 3001, json.dumps({"c2s": c2s}).encode(), proto_fmt=1)
    assert list(asked(lines).subTypeList) == [1]
    assert play.answer() == [("reply", 1, 3001, play.serial, '{"retType":0}')]


def test_an_event_contract_is_asked_for_with_its_own_message() -> None:
    play = Play()
    body = opend.SubEventContractRequest(
        c2s=opend.SubEventContractC2S(
            securityList=[opend.Security(market=101, code="E")],
            subTypeList=[streams.KL_DAY],
            isSubOrUnSub=True,
            isRegOrUnRegPush=True,
            klineSource=[1],
        )
    )
    ((kind, proto_id, ask),) = play.send(play.client(1), 3455, encode(body))
    assert (kind, proto_id) == ("ask", 3455)
    assert isinstance(ask, bytes)
    body.c2s.isFirstPush = True
    assert opend.SubEventContractRequest.FromString(ask) == body
    assert play.answer() == [("reply", 1, 3455, play.serial, 0, "")]
    assert play.main.ledger.subscriptions(1, Space.QOT) == {}
    assert play.main.ledger.subscriptions(1, Space.EVENT_CONTRACT) == {streams.KL_DAY: [(101, "E")]}


def test_registering_for_pushes() -> None:
    play = Play()
    session = play.client(1)
    play.send(session, 3001, sub([TENCENT], [streams.KL_DAY], register=None))
    play.answer_all()
    c2s = opend.RegQotPushC2S(
        securityList=[opend.Security(market=1, code="00700")],
        subTypeList=[streams.KL_DAY],
        rehabTypeList=[2],
        isRegOrUnReg=True,
    )
    ((kind, proto_id, ask),) = play.send(session, 3002, encode(opend.RegQotPushRequest(c2s=c2s)))
    assert (kind, proto_id) == ("ask", 3002)
    assert isinstance(ask, bytes)
    sent = opend.RegQotPushRequest.FromString(ask).c2s
    assert (list(sent.subTypeList), sent.isRegOrUnReg) == ([streams.KL_DAY], True)
    assert 2 in sent.rehabTypeList
    assert play.answer() == [("reply", 1, 3002, play.serial, 0, "")]
    c2s.isRegOrUnReg = False
    assert play.send(session, 3002, encode(opend.RegQotPushRequest(c2s=c2s))) == [
        ("reply", 1, 3002, play.serial, 0, "")
    ]


def test_leaving_is_answered_here_and_told_later() -> None:
    play = Play()
    session = subscribed(play, 1, TENCENT)
    assert play.send(session, 3001, sub([TENCENT], [1], subscribe=False, register=False)) == [
        ("reply", 1, 3001, play.serial, 0, "")
    ]
    assert play.later(59.0) == []
    c2s = asked(play.later(10.0))
    assert not c2s.isSubOrUnSub
    assert not c2s.isRegOrUnRegPush
    assert not c2s.HasField("isFirstPush")
    assert play.answer() == []


def test_unsubscribing_all_means_this_clients() -> None:
    play = Play()
    a = subscribed(play, 1, TENCENT, HSBC)
    subscribed(play, 2, TENCENT)
    assert play.send(a, 3001, unsub_all()) == [("reply", 1, 3001, play.serial, 0, "")]
    assert play.main.ledger.subscriptions(1) == {}
    assert play.main.ledger.subscriptions(2) == {1: [TENCENT]}


# -- what the client reads


def test_a_refusal_is_opends_own() -> None:
    play = Play()
    play.send(play.client(1), 3001, sub([TENCENT], [1]))
    assert play.answer(body=NO) == [("reply", 1, 3001, play.serial, -1, "no quota")]
    assert play.main.ledger.subscriptions(1) == {}


@pytest.mark.parametrize(("failure", "ret_type"), [(Failure.TIMEOUT, -100), (Failure.LOST, -200)])
def test_no_answer(failure: Failure, ret_type: int) -> None:
    play = Play()
    play.send(play.client(1), 3001, sub([TENCENT], [1]))
    (line,) = play.answer(failure=failure)
    assert line[:5] == ("reply", 1, 3001, play.serial, ret_type)


@pytest.mark.parametrize(("failure", "ret_type"), [(Failure.TIMEOUT, -100), (Failure.CORRUPT, -400)])
def test_what_opend_perhaps_has_is_given_up_in_the_end(failure: Failure, ret_type: int) -> None:
    """An answer that did not come, or came damaged, is no refusal: the quota may be in use."""
    play = Play()
    play.send(play.client(1), 3001, sub([TENCENT], [1]))
    (line,) = play.answer(failure=failure)
    assert line[:5] == ("reply", 1, 3001, play.serial, ret_type)
    assert not asked(play.later(70.0)).isSubOrUnSub
    play.answer()
    assert play.main.ledger.upstream_streams() == []


@pytest.mark.parametrize("proto_id", [3001, 3002, 3003, 3455])
@pytest.mark.parametrize(
    ("body", "proto_fmt"), [(b"\xff", 0), (field(1, b"\x0a"), 0), (b"{", 1), (b'{"c2s":{"x":1}}', 1)]
)
def test_what_can_not_be_read_is_not_sent(proto_id: int, body: bytes, proto_fmt: int) -> None:
    play = Play()
    (line,) = play.send(play.client(1), proto_id, body, proto_fmt=proto_fmt)
    assert line[:4] == ("reply", 1, proto_id, play.serial)
    assert "was not sent" in str(line[-1])


def test_unsubscribing_all_needs_nothing_else() -> None:
    play = Play()
    session = subscribed(play, 1, TENCENT)
    assert play.send(session, 3001, field(1, scalar(7, 1))) == [("reply", 1, 3001, play.serial, 0, "")]
    assert play.main.ledger.subscriptions(1) == {}


@pytest.mark.parametrize("code", [b"\xff\xfe", b"\xed\xa0\x80", b"\xb2\xca"])
def test_a_code_that_is_not_utf_8_leaves_nothing_behind(code: bytes) -> None:
    """Once it was in the ledger, the message to OpenD could not be written, and its streams waited for ever."""
    play = Play()
    body = field(1, field(1, scalar(1, 1) + field(2, code)) + scalar(2, 1) + scalar(3, 1) + scalar(4, 1))
    (line,) = play.send(play.client(1), 3001, body)
    assert line[:5] == ("reply", 1, 3001, play.serial, -1)
    assert "code is not UTF-8" in str(line[5])
    assert play.main.ledger.upstream_streams() == []
    assert play.waiting == []


@DETERMINISTIC
@given(body=anything | st.builds(field, st.just(1), anything), proto_id=st.sampled_from([3001, 3002, 3003, 3455]))
def test_any_body_is_asked_for_or_refused(body: bytes, proto_id: int) -> None:
    play = Play()
    play.send(play.client(1), proto_id, body)
    play.answer_all()
    assert play.answered[1, play.serial] == 1
    play.main.ledger.check()


# -- 3003


def info(reply: bytes) -> tuple[int, int, dict[bool, list[dict[int, list[str]]]]]:
    s2c = opend.GetSubInfoResponse.FromString(reply).s2c
    entries: dict[bool, list[dict[int, list[str]]]] = {True: [], False: []}
    for each in s2c.connSubInfoList:
        held = {one.subType: [security.code for security in one.securityList] for one in each.subInfoList}
        assert each.usedQuota == sum(map(len, held.values()))
        entries[each.isOwnConnData].append(held)
    return s2c.totalUsedQuota, s2c.remainQuota, entries


@pytest.mark.parametrize("all_conn", [False, True])
def test_the_quota_is_opends_and_the_lists_are_ours(all_conn: bool) -> None:
    play = Play()
    a = subscribed(play, 1, TENCENT, HSBC, sub_types=(1, 4))
    subscribed(play, 2, AAPL)
    ask = encode(opend.GetSubInfoRequest(c2s=opend.GetSubInfoC2S(isReqAllConn=False)))
    assert play.send(a, 3003, sub_info(all_conn=all_conn)) == [("ask", 3003, ask)]
    play.answer(body=encode(QUOTA))
    (reply,) = play.commands
    own = {1: ["00700", "00005"], 4: ["00700", "00005"]}
    others = [{1: ["AAPL"]}] if all_conn else []
    assert info(getattr(reply, "body", b"")) == (9, 91, {True: [own], False: others})


@pytest.mark.parametrize(("scopes", "shown"), [(("qot:read",), []), (("qot:read", "admin"), ["AAPL"])])
def test_what_other_keys_watch_is_theirs(scopes: tuple[str, ...], shown: list[str]) -> None:
    play = Play(keyring=ring(key(*scopes, key_id="a"), key("qot:read", key_id="b")))
    a, b = (play.client(owner, client_id=plaintext(name)) for owner, name in ((1, "a"), (2, "b")))
    for session, security in ((a, TENCENT), (b, AAPL)):
        play.send(session, 3001, sub([security], [1]))
        play.answer_all()
    play.send(a, 3003, sub_info(all_conn=True))
    play.answer(body=encode(QUOTA))
    (reply,) = play.commands
    own, other = opend.GetSubInfoResponse.FromString(getattr(reply, "body", b"")).s2c.connSubInfoList
    assert [s.code for listed in own.subInfoList for s in listed.securityList] == ["00700"]
    assert (other.isOwnConnData, other.usedQuota) == (False, 1)
    assert [s.code for listed in other.subInfoList for s in listed.securityList] == shown


def test_who_has_nothing_reads_an_empty_entry_of_its_own() -> None:
    play = Play()
    play.send(play.client(1), 3003, sub_info(all_conn=True))
    play.answer(body=encode(QUOTA))
    (reply,) = play.commands
    assert info(getattr(reply, "body", b"")) == (9, 91, {True: [{}], False: []})


def test_the_list_in_json() -> None:
    play = Play()
    a = subscribed(play, 1, TENCENT)
    play.send(a, 3003, b'{"c2s":{"isReqAllConn":true}}', proto_fmt=1)
    ((_, _, _, _, text),) = play.answer(body=encode(QUOTA))
    security = {"market": 1, "code": "00700"}
    assert json.loads(str(text)) == {
        "retType": 0,
        "s2c": {
            "connSubInfoList": [
                {"subInfoList": [{"subType": 1, "securityList": [security]}], "usedQuota": 1, "isOwnConnData": True}
            ],
            "totalUsedQuota": 9,
            "remainQuota": 91,
        },
    }


@pytest.mark.parametrize(
    ("body", "failure", "ret_type"),
    [(NO, None, -1), (b"", Failure.TIMEOUT, -100), (b"", Failure.LOST, -200), (b"\xff", None, -400)],
)
def test_no_list_without_the_quota(body: bytes, failure: Failure | None, ret_type: int) -> None:
    play = Play()
    play.send(play.client(1), 3003, sub_info(all_conn=True))
    (line,) = play.answer(body=body, failure=failure)
    assert line[:5] == ("reply", 1, 3003, play.serial, ret_type)


@pytest.mark.parametrize("s2c", [b"\x08", field(1, b"\x0a"), b"\xff" * 11])
def test_a_list_that_can_not_be_read_is_a_failure(s2c: bytes) -> None:
    """It is the upstream reader that would raise."""
    play = Play()
    play.send(play.client(1), 3003, sub_info(all_conn=True))
    (line,) = play.answer(body=scalar(1, 0) + field(4, s2c))
    assert line[:5] == ("reply", 1, 3003, play.serial, -1)
