"""A key that names accounts reaches no other, by any request and in any format."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from opendmux.core.commands import Ask, Failure, Forward
from opendmux.core.denial import DenialKind
from opendmux.core.keys import ALL_SCOPES, Key
from opendmux.wire.messages import REQUEST_BYTES, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PROTOCOLS, ProtoId
from tests.core.key_kit import key, plaintext, ring
from tests.core.playbook import Line, Play
from tests.runtime.bodies import acc_list, acc_push, account_read, trade_push, trade_write

if TYPE_CHECKING:
    from opendmux.core.identity import Session

MINE, OTHER = 11, 22
READS = sorted(p.proto_id for p in PROTOCOLS.values() if p.area == "trade-read" and p.proto_id != 2001)
WRITES = sorted(p.proto_id for p in PROTOCOLS.values() if p.area == "trade-write")
LIMITED = key(*ALL_SCOPES, allowed_acc_ids=frozenset({MINE}))
CARDED = key(*ALL_SCOPES, allowed_card_nums=frozenset({"CARD"}))
ACCOUNTS = ((MINE, "CARD"), (OTHER, "ELSE"))
FORMS = ["tcp", "caller", "json"]


def world(limited: Key = LIMITED, *, metered: bool = False) -> tuple[Play, Session]:
    play = Play(keyring=ring(limited), metered=metered)
    return play, play.client(1, client_id=plaintext(limited.id))


def body_of(proto_id: int, acc_id: int) -> bytes:
    return trade_write(0, 0, acc_id=acc_id) if proto_id in WRITES else account_read(acc_id)


def json_of(acc_id: object, **more: object) -> bytes:
    c2s = {"packetID": {"connID": "1", "serialNo": 1}, "header": {"trdEnv": 0, "accID": acc_id, "trdMarket": 1}}
    return json.dumps({"c2s": {**c2s, **more}}).encode()


def sent(play: Play) -> list[Forward | Ask]:
    return [command for command in play.commands if isinstance(command, Forward | Ask)]


def check_refused(play: Play, reason: str = "account", kind: DenialKind = DenialKind.PERMISSION) -> None:
    assert not sent(play)
    denial = play.denial()
    assert (denial.kind, denial.reason) == (kind, reason)


def test_a_json_read_that_would_take_long_to_read_is_not_read() -> None:
    play, client = world()
    room = REQUEST_BYTES - len(json_of(MINE, filler=""))
    (said,) = play.send(client, 2201, json_of(MINE, filler="x" * (room + 1)), proto_fmt=1)
    assert "at most 262144 are read" in str(said)
    assert not sent(play)
    play.send(client, 2201, json_of(MINE, filler="x" * room), proto_fmt=1)
    assert len(sent(play)) == 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("proto_id", [*READS, *WRITES])
def test_reads_and_writes_of_other_accounts(proto_id: int, form: str) -> None:
    play, client = world()
    caller = play.caller(2, LIMITED)
    for acc_id in (OTHER, 0, MINE + 2**64, MINE):
        if form == "json":
            body = (
                json_of(str(acc_id)) if proto_id in READS else json_of(acc_id, trdSide=1, orderType=1, code="1", qty=1)
            )
            play.send(client, proto_id, body, proto_fmt=1)
        elif form == "tcp":
            play.send(client, proto_id, body_of(proto_id, acc_id % 2**64 if acc_id != MINE + 2**64 else OTHER))
        else:
            play.call(caller, proto_id, body_of(proto_id, acc_id % 2**64 if acc_id != MINE + 2**64 else OTHER))
        if acc_id != MINE and proto_id in READS:
            check_refused(play)
        elif acc_id != MINE:  # by the gate of trade writes, in its own words
            assert not sent(play)
            assert play.denial().kind in (DenialKind.PERMISSION, DenialKind.INVALID)
    if proto_id in READS:
        assert len(sent(play)) == 1


@pytest.mark.parametrize("proto_id", READS)
def test_the_last_account_of_a_body_is_the_one_that_counts(proto_id: int) -> None:
    """As protobuf merges: what stands last is what OpenD reads."""
    play, client = world()
    play.send(client, proto_id, account_read(MINE) + account_read(OTHER))
    check_refused(play)
    play.send(client, proto_id, account_read(OTHER) + account_read(MINE))
    (forward,) = sent(play)
    assert isinstance(forward, Forward)
    assert forward.request.body == account_read(OTHER) + account_read(MINE)


@pytest.mark.parametrize("proto_id", [*READS, *WRITES])
@pytest.mark.parametrize("body", [b"", b"\x0a\x00", b"\x0a\x02\x0a\x00", b"\xff"])
def test_without_an_account_nothing_is_sent(proto_id: int, body: bytes) -> None:
    play, client = world()
    play.send(client, proto_id, body)
    assert not sent(play)
    assert play.denial().kind in (
        (DenialKind.INVALID,) if proto_id in READS else (DenialKind.INVALID, DenialKind.PERMISSION)
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b"{}",
        b'{"c2s":[]}',
        b'{"c2s":{"header":{}}}',
        b'{"c2s":{"header":{"accID":null}}}',
        b'{"c2s":{"header":{"accID":true}}}',
        b'{"c2s":{"header":{"accID":11.0}}}',
        b'{"c2s":{"header":{"accID":"1_1"}}}',
        b'{"c2s":{"header":{"accID":" 11"}}}',
        b'{"c2s":{"header":{"accID":"+11"}}}',
        '{"c2s":{"header":{"accID":"\u0661\u0661"}}}'.encode(),
        b'{"c2s":{"header":{"accID":"' + b"1" * 5000 + b'"}}}',
        b'{"c2s":{"header":{"accID":11,"accID":22}}}',
        b'{"c2s":{"header":{"accID":11}},"c2s":{"header":{"accID":22}}}',
        b'{"c2s":' * 2000 + b"1" + b"}" * 2000,
        b"\xff\xfe",
    ],
)
def test_json_that_can_be_read_in_two_ways_is_not_sent(text: bytes) -> None:
    play, client = world()
    play.send(client, 2101, text, proto_fmt=1)
    check_refused(play, "body", DenialKind.INVALID)


@pytest.mark.parametrize("depth", range(900, 1000, 7))
def test_json_at_the_edge_of_what_can_be_nested_ends_nobody(depth: int) -> None:
    play, client = world()
    text = b'{"c2s":{"header":{"accID":11},"x":' + b"[" * depth + b"]" * depth + b"}}"
    play.send(client, 2101, text, proto_fmt=1)
    assert len(play.commands) == 1


def test_json_goes_on_as_it_was_read() -> None:
    play, client = world()
    play.send(client, 2101, b'{"c2s":{"header":{"\\u0061ccID":"011","trdEnv":1}}}', proto_fmt=1)
    (forward,) = sent(play)
    assert isinstance(forward, Forward)
    assert json.loads(forward.request.body) == {"c2s": {"header": {"accID": "11", "trdEnv": 1}}}


@pytest.mark.parametrize("form", FORMS)
def test_account_pushes(form: str) -> None:
    play, client = world()
    caller = play.caller(2, LIMITED)

    def ask(*acc_ids: int) -> list[Line]:
        if form == "json":
            return play.send(client, 2008, json.dumps({"c2s": {"accIDList": acc_ids}}).encode(), proto_fmt=1)
        return (
            play.send(client, 2008, acc_push(*acc_ids))
            if form == "tcp"
            else play.call(caller, 2008, acc_push(*acc_ids))
        )

    for acc_ids in ([OTHER], [MINE, OTHER], [OTHER, MINE]):
        ask(*acc_ids)
        check_refused(play)
    ask(MINE)
    assert play.bodies(2008) == [acc_push(MINE)]
    play.answer_all()
    ask()
    assert play.bodies(2008) == [acc_push()]


# -- the list itself


def accounts_in(play: Play) -> list[int]:
    (command,) = play.commands
    message = opend.GetAccListResponse.FromString(command.body)  # type: ignore[union-attr]
    return [account.accID for account in message.s2c.accList]


@pytest.mark.parametrize("metered", [False, True])
@pytest.mark.parametrize("form", ["tcp", "caller"])
def test_the_list_has_the_key_s_own_accounts(form: str, metered: bool) -> None:
    play, client = world(metered=metered)
    caller = play.caller(2, LIMITED)
    _ = play.send(client, 2001) if form == "tcp" else play.call(caller, 2001)
    play.answer(body=acc_list(*ACCOUNTS))
    assert accounts_in(play) == [MINE]


@pytest.mark.parametrize("acc_id", [MINE, str(MINE)])
def test_the_list_in_json(acc_id: object) -> None:
    play, client = world()
    play.send(client, 2001, b'{"c2s":{"userID":0}}', proto_fmt=1)
    listed = [{"accID": acc_id, "cardNum": "x"}, {"accID": OTHER}, {"accID": None}, {}, 5]
    body = json.dumps({"retType": 0, "s2c": {"accList": listed, "more": 1}}).encode()
    (line,) = play.answer(body=body, proto_fmt=1)
    assert json.loads(str(line[4])) == {
        "retType": 0,
        "s2c": {"accList": [{"accID": acc_id, "cardNum": "x"}], "more": 1},
    }


@pytest.mark.parametrize(
    ("body", "proto_fmt"), [(b"\xff", 0), (b"{", 1), (b"[]", 1), (b'{"s2c":' * 3000, 1), (b'"accID":22', 1)]
)
def test_a_list_that_can_t_be_read_is_not_handed_out(body: bytes, proto_fmt: int) -> None:
    play, client = world()
    play.send(client, 2001, b"{}" if proto_fmt else b"", proto_fmt=proto_fmt)
    play.answer(body=body, proto_fmt=proto_fmt)
    assert play.denial().kind is DenialKind.UNAVAILABLE


def test_a_list_in_an_unknown_place_is_left_out() -> None:
    play, client = world()
    play.send(client, 2001, b"{}", proto_fmt=1)
    (line,) = play.answer(body=b'{"retType":0,"s2c":[{"accID":22}]}', proto_fmt=1)
    assert "22" not in str(line[4])


def test_a_refusal_of_the_list_goes_through() -> None:
    play, client = world()
    play.send(client, 2001)
    (line,) = play.answer(body=ret_body(0, -1, "no"))
    assert line[-2:] == (-1, "no")
    play.send(client, 2001)
    play.answer(failure=Failure.TIMEOUT)
    assert play.denial().kind is DenialKind.TIMEOUT


def test_a_list_under_way_is_cut_when_the_key_is() -> None:
    play, client = world(replace(LIMITED, allowed_acc_ids=None))
    passed = play.passes(client, 2001)
    play.access.keyring = ring(LIMITED)
    play.review()
    play.answer(passed, acc_list(*ACCOUNTS))
    assert accounts_in(play) == [MINE]


# -- card numbers


def learn(play: Play) -> list[Line]:
    """OpenD tells its accounts."""
    asks = [one for one in play.waiting if isinstance(one, Ask) and one.proto_id == 2001]
    play.answer(asks[0], acc_list(*ACCOUNTS))
    asks = [one for one in play.waiting if isinstance(one, Ask) and one.proto_id == 2001]
    return play.answer(asks[0], acc_list())


@pytest.mark.parametrize("proto_id", READS)
def test_a_card_number_waits_for_the_accounts(proto_id: int) -> None:
    play, client = world(CARDED)
    play.send(client, proto_id, body_of(proto_id, MINE))
    play.send(client, proto_id, body_of(proto_id, OTHER))
    assert [one.proto_id for one in play.waiting if isinstance(one, Ask)] == [2001]
    assert not [one for one in play.waiting if isinstance(one, Forward)]
    learn(play)
    assert play.denial().reason == "account"
    (forward,) = [one for one in play.waiting if isinstance(one, Forward)]
    assert forward.request.body == body_of(proto_id, MINE)


@pytest.mark.parametrize("failure", [None, *Failure])
def test_while_the_accounts_are_not_known_nothing_is_sent(failure: Failure | None) -> None:
    play, client = world(CARDED)
    play.send(client, 2101, account_read(MINE))
    play.answer(body=ret_body(0, -1, "no"), failure=failure)
    check_refused(play, "accounts", DenialKind.UNAVAILABLE)


def test_a_lost_link_answers_who_waits_for_the_accounts() -> None:
    play, client = world(CARDED)
    play.send(client, 2101, account_read(MINE))
    learn(play)
    play.answer_all()
    play.lose()
    play.up()
    play.send(client, 2101, account_read(MINE))
    play.lose()
    check_refused(play, "accounts", DenialKind.UNAVAILABLE)


def test_what_waited_for_the_accounts_is_gated_again() -> None:
    play, client = world(CARDED)
    play.send(client, 2101, account_read(MINE))
    play.access.keyring = ring(replace(CARDED, scopes=frozenset({"qot:read"})))
    play.review()
    learn(play)
    check_refused(play, "scope")


def test_a_client_that_left_while_the_accounts_were_asked_for_sends_nothing() -> None:
    play, client = world(CARDED)
    play.send(client, 2101, account_read(MINE))
    play.close(client)
    assert learn(play) == []


def test_who_waited_too_long_for_the_accounts_is_told_so() -> None:
    play, client = world(CARDED)
    play.send(client, 2101, account_read(MINE))
    play.now += 20.0
    learn(play)
    check_refused(play, "accounts", DenialKind.TIMEOUT)
    assert "not sent" in play.denial().text


# -- changes on the way


def test_a_queued_request_of_an_account_that_was_taken_away_is_not_sent() -> None:
    wide = replace(LIMITED, allowed_acc_ids=frozenset({MINE, OTHER}))
    play, client = world(wide, metered=True)
    for _ in range(15):
        play.now += 0.1
        play.send(client, 2202, trade_write(0, 0, acc_id=OTHER))
    play.answer_all()
    play.now += 28.0
    assert play.send(client, 2202, trade_write(0, 0, acc_id=OTHER)) == []
    play.access.keyring = ring(LIMITED)
    play.review()
    play.later(0.9)
    check_refused(play)


def test_changed_keys_hear_no_more_of_other_accounts() -> None:
    wide = replace(LIMITED, allowed_acc_ids=None)
    play, client = world(wide)
    play.send(client, 2008, acc_push(MINE, OTHER))
    play.answer_all()
    play.access.keyring = ring(LIMITED)
    play.review()
    assert play.bodies(2008) == [acc_push(MINE)]
    push = trade_push(ProtoId.TRD_UPDATE_ORDER, OTHER, "00700")
    assert play.push(ProtoId.TRD_UPDATE_ORDER, push) == []


def test_a_refused_list_does_not_bring_back_what_the_key_lost() -> None:
    wide = replace(LIMITED, allowed_acc_ids=None)
    play, client = world(wide)
    play.send(client, 2008, acc_push(MINE, OTHER))
    play.answer_all()
    play.send(client, 2008, acc_push(MINE))
    play.access.keyring = ring(LIMITED)
    play.review()
    play.answer(body=ret_body(0, -1, "no"))
    push = trade_push(ProtoId.TRD_UPDATE_ORDER, OTHER, "00700")
    assert play.push(ProtoId.TRD_UPDATE_ORDER, push) == [], "whatever the lists say"


def test_keys_that_name_no_accounts_are_not_looked_at() -> None:
    play, client = world(key(*ALL_SCOPES))
    play.send(client, 2101, b"anything")
    assert len(sent(play)) == 1
    assert play.router.accounts.refusal(sent(play)[0].request) is None  # type: ignore[union-attr]
