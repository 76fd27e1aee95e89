"""No push for whom the key says no, and a count of what was kept back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from opendmux.core.commands import Ask, Push
from opendmux.core.keys import ALL_SCOPES, Key, KeyLimits, Scopes
from opendmux.core.markets import covered_markets
from opendmux.core.whitelists import in_whitelists
from opendmux.wire.protocols import PROTOCOLS, PUSH_IDS, ProtoId
from tests.core.key_kit import key, plaintext, ring
from tests.core.playbook import OK, Play
from tests.core.push_kit import AAPL, HSBC, ROUTES, TENCENT, holds
from tests.native.wire_format import field, scalar
from tests.runtime.bodies import acc_list, acc_push, quote_push, response, ticker_push, trade_push

if TYPE_CHECKING:
    from opendmux.core.identity import Session

ORDER, FILL, NOTICE = ProtoId.TRD_UPDATE_ORDER, ProtoId.TRD_UPDATE_ORDER_FILL, ProtoId.TRD_NOTIFY
BASIC = ProtoId.QOT_UPDATE_BASIC_QOT
QOT, ACC = Scopes.QOT_READ, Scopes.ACC_READ
NOTIFY_BODY = response(scalar(1, 3))


def limited(*scopes: str, markets: object = None, symbols: object = None, **fields: Any) -> Key:
    limits = KeyLimits(
        allowed_markets=None if markets is None else frozenset(markets),  # type: ignore[call-overload]
        allowed_symbols=None if symbols is None else frozenset(symbols),  # type: ignore[call-overload]
    )
    return key(*scopes, limits=limits, **fields)


def learn(play: Play, *acc_ids: int) -> None:
    """OpenD tells its accounts and takes the list of pushes."""
    listed = acc_list(*((acc_id, "C") for acc_id in acc_ids))
    while play.waiting:
        asked = play.waiting[0]
        is_list = isinstance(asked, Ask) and asked.proto_id == ProtoId.TRD_GET_ACC_LIST
        play.answer(asked, listed if is_list else OK)


def stream_of(
    play: Play, owner: int, its_key: Key, *, streams: int = 1, acc_ids: tuple[int, ...] = (10, 20)
) -> Session:
    session = play.caller(owner, its_key, streams=streams)
    learn(play, *acc_ids)
    return session


def slots(play: Play, proto_id: int, body: bytes) -> set[int]:
    play.push(proto_id, body)
    return {slot for command in play.commands if isinstance(command, Push) for slot in command.slots}


def counted(play: Play, scope: str = ACC, key_id: str = "k") -> int:
    return play.access.tally.filtered_pushes[scope, key_id]


# -- scopes


@pytest.mark.parametrize("proto_id", sorted(PUSH_IDS))
@pytest.mark.parametrize(
    "scopes", [(), (QOT,), (ACC,), (QOT, ACC), tuple(s for s in ALL_SCOPES if s not in (QOT, ACC))]
)
def test_no_push_without_its_scope(proto_id: int, scopes: tuple[str, ...]) -> None:
    """A session that is in the audience already, as one whose key was changed: the scope alone decides."""
    play = Play()
    session = ROUTES[proto_id].meant(play)
    session.key = key(*scopes)
    play.access.keyring = ring(session.key)
    needs = {QOT, ACC} if proto_id == ProtoId.NOTIFY else {PROTOCOLS[proto_id].scope}
    got = slots(play, proto_id, ROUTES[proto_id].body)
    assert got == ({session.slot} if needs & set(scopes) else set())


def test_a_trade_push_is_counted_once_for_each_open_stream_that_lacks_the_scope() -> None:
    play = Play()
    quotes = stream_of(play, 1, key(QOT), streams=3)
    account = stream_of(play, 2, key(QOT, ACC, key_id="a"), streams=2)
    idle = play.caller(3, key(QOT, key_id="idle"))
    assert idle.streams == []
    body = trade_push(ORDER, 10, "00700")
    assert slots(play, ORDER, body) == set(account.push_slots)
    assert counted(play) == 3
    assert counted(play, key_id="a") == 0
    assert counted(play, key_id="idle") == 0
    play.push(FILL, trade_push(FILL, 10, "00700"))
    play.push(NOTICE, trade_push(NOTICE, 10, ""))
    assert counted(play) == 9
    assert len(quotes.push_slots) == 3


def test_the_same_push_of_a_json_lane_is_not_counted_again() -> None:
    play = Play()
    stream_of(play, 1, key(QOT))
    json_client = play.client(2, push_proto_fmt=1)
    play.up(1)
    assert json_client.lane == 1
    body = b'{"retType":0,"s2c":{"header":{"accID":"10"},"order":{"code":"1"}}}'
    play.push(ORDER, trade_push(ORDER, 10, "1"))
    play.push(ORDER, body, proto_fmt=1, lane=1)
    assert counted(play) == 1


def test_notifications_go_to_either_scope() -> None:
    play = Play()
    quotes, account = stream_of(play, 1, key(QOT)), stream_of(play, 2, key(ACC, key_id="a"))
    neither = play.caller(3, key(Scopes.ADMIN, key_id="n"))
    neither.streams = [77]
    assert slots(play, ProtoId.NOTIFY, NOTIFY_BODY) == {*quotes.push_slots, *account.push_slots}
    assert counted(play, QOT, "n") == 1


def test_notifications_of_our_own_as_well() -> None:
    play = Play()
    quotes = stream_of(play, 1, key(QOT))
    neither = play.caller(2, key(Scopes.ADMIN, key_id="n"))
    neither.streams = [77]
    play.lose()
    (push,) = [command for command in play.commands if isinstance(command, Push)]
    assert set(push.slots) == set(quotes.push_slots)


# -- accounts


@pytest.mark.parametrize("fields", [{"allowed_acc_ids": frozenset({10})}, {"allowed_card_nums": frozenset({"C"})}])
def test_a_stream_hears_of_its_key_s_accounts_only(fields: dict[str, Any]) -> None:
    play = Play()
    everything = stream_of(play, 1, key(ACC, key_id="all"))
    session = stream_of(play, 2, key(ACC, **fields))
    for proto_id in (ORDER, FILL, NOTICE):
        code = "" if proto_id == NOTICE else "00700"
        assert slots(play, proto_id, trade_push(proto_id, 10, code)) == {*everything.push_slots, *session.push_slots}
    seen = "allowed_card_nums" in fields
    assert slots(play, ORDER, trade_push(ORDER, 20, "00700")) == {
        *everything.push_slots,
        *(session.push_slots if seen else ()),
    }
    assert counted(play) == (0 if seen else 1)


def test_a_stream_watches_all_accounts_of_its_key_and_lets_go_of_them() -> None:
    play = Play()
    session = stream_of(play, 1, key(ACC), acc_ids=(10, 20))
    assert play.main.accounts.get(1) == {10, 20}
    play.stream(session, 5)
    assert not play.waiting, "nothing new to be asked"
    session.streams = []
    play.do(play.router.tenancy.streams_closed(session))
    assert play.bodies(2008) == [acc_push()]
    play.answer_all()
    assert play.main.accounts.union() == frozenset()


def test_a_key_with_an_account_that_is_not_there_spoils_it_for_nobody() -> None:
    play = Play()
    session = play.caller(1, key(ACC, allowed_acc_ids=frozenset({10, 999})), streams=1)
    learn(play, 10, 20)
    assert play.main.accounts.get(session.owner) == {10}


def test_a_stream_that_opens_during_an_outage_watches_when_the_link_is_back() -> None:
    play = Play(ready=False)
    play.caller(1, key(ACC), streams=1)
    assert not play.waiting
    play.up()
    learn(play, 10)
    assert play.main.accounts.get(1) == {10}


def test_a_link_that_is_lost_while_the_accounts_are_asked_for() -> None:
    play = Play()
    play.caller(1, key(ACC), streams=1)
    play.answer(play.waiting[0], acc_list((10, "C")))
    play.lose()
    assert not play.waiting
    play.up()
    learn(play, 10)
    assert play.main.accounts.get(1) == {10}


def test_when_opend_does_not_tell_its_accounts_it_is_asked_again() -> None:
    play = Play()
    play.caller(1, key(ACC), streams=1)
    play.answer(body=b"")
    assert not play.waiting
    play.later(9.0)
    assert not play.waiting
    play.later(1.0)
    learn(play, 10)
    assert play.main.accounts.get(1) == {10}
    play.later(30.0)
    assert not play.waiting


# -- markets and symbols


@pytest.mark.parametrize(
    ("markets", "symbols", "tencent", "aapl"),
    [
        (None, None, True, True),
        ([], None, False, False),
        (None, [], False, False),
        (["HK"], None, True, False),
        (None, ["US.AAPL"], False, True),
        (["HK"], ["US.AAPL"], False, False),
        (["HK", "US"], ["US.AAPL"], False, True),
    ],
)
def test_whitelists(markets: object, symbols: object, tencent: bool, aapl: bool) -> None:
    its_key = limited(QOT, ACC, markets=markets, symbols=symbols)
    assert in_whitelists(its_key, TENCENT) is tencent
    assert in_whitelists(its_key, AAPL) is aapl
    assert in_whitelists(its_key, (99, "X")) is (markets is None and symbols is None)

    play = Play()
    session = play.caller(1, its_key, streams=1)
    learn(play, 10)
    holds(play, 1, TENCENT, AAPL)
    for security, may, trd_market in ((TENCENT, tencent, 1), (AAPL, aapl, 2)):
        expected = set(session.push_slots) if may else set()
        assert slots(play, BASIC, quote_push(security)) == expected
        for proto_id in (ORDER, FILL):
            assert slots(play, proto_id, trade_push(proto_id, 10, security[1], trd_market=trd_market)) == expected
        assert slots(play, ProtoId.QOT_UPDATE_PRICE_REMINDER, ticker_push(*security)) == expected
        assert slots(play, ProtoId.QOT_UPDATE_OPTION_EVENT, ticker_push(*security)) == expected
    misses = 2 - tencent - aapl
    assert (counted(play, QOT), counted(play, ACC)) == (3 * misses, 2 * misses)


def test_a_push_of_several_securities_is_cut() -> None:
    play = Play()
    session = play.caller(1, limited(QOT, symbols=["HK.00700"]), streams=1)
    everything = play.caller(2, key(QOT, key_id="all"), streams=1)
    for owner in (1, 2):
        holds(play, owner, TENCENT, HSBC)
    play.push(BASIC, quote_push(TENCENT, HSBC))
    got = [(set(c.slots), b"00005" in c.frame) for c in play.commands if isinstance(c, Push)]
    assert got == [({*session.push_slots, *everything.push_slots}, False), (set(everything.push_slots), True)]


def test_trade_pushes_whose_security_can_t_be_told_are_for_keys_without_lists() -> None:
    play = Play()
    free = stream_of(play, 1, key(ACC, key_id="all"), acc_ids=(10,))
    bound = stream_of(play, 2, limited(ACC, markets=["HK"]), acc_ids=(10,))
    assert slots(play, ORDER, trade_push(ORDER, 10, "")) == set(free.push_slots)
    assert slots(play, ORDER, trade_push(ORDER, 10, "X", trd_market=5)) == set(free.push_slots)
    both = {*free.push_slots, *bound.push_slots}
    assert slots(play, NOTICE, trade_push(NOTICE, 10, "")) == both
    assert slots(play, ORDER, trade_push(ORDER, 10, "C", legs=[TENCENT, AAPL])) == set(free.push_slots)
    assert slots(play, ORDER, trade_push(ORDER, 10, "C", legs=[TENCENT, HSBC])) == both
    assert slots(play, ORDER, response(field(1, scalar(2, 10)) + field(2, field(6, b"\xff")))) == set(free.push_slots)


def test_mainland_names_cover_their_exchanges() -> None:
    its_key = limited(QOT, ACC, markets=covered_markets(["HKCC"]))
    assert in_whitelists(its_key, (21, "600519"))
    play = Play()
    session = stream_of(play, 1, its_key, acc_ids=(10,))
    for trd_market, sec_market in ((4, 31), (4, 0)):
        body = trade_push(ORDER, 10, "600519", trd_market=trd_market, sec_market=sec_market)
        assert slots(play, ORDER, body) == set(session.push_slots)


# -- streams that join, sessions that end


def test_a_stream_is_greeted_with_what_its_key_may_see() -> None:
    play = Play()
    session = play.caller(1, key(QOT), streams=1)
    holds(play, 1, TENCENT, AAPL)
    play.push(BASIC, quote_push(TENCENT))
    play.push(BASIC, quote_push(AAPL))
    play.stream(session, 7)
    assert [command.slots for command in play.commands if isinstance(command, Push)] == [[7], [7]]
    session.key = limited(QOT, symbols=["US.AAPL"])
    play.stream(session, 8)
    (push,) = [command for command in play.commands if isinstance(command, Push)]
    assert (push.slots, b"AAPL" in push.frame) == ([8], True)
    assert counted(play, QOT) == 0, "what was not asked for just now was not kept back just now"


def test_nobody_is_greeted_with_what_others_subscribed() -> None:
    play = Play()
    play.caller(1, key(QOT), streams=1)
    holds(play, 1, TENCENT)
    play.push(BASIC, quote_push(TENCENT))
    other = play.caller(2, key(QOT, key_id="other"))
    play.stream(other, 8)
    assert not [command for command in play.commands if isinstance(command, Push)]


def test_a_session_that_has_been_ended_gets_no_quote_any_more() -> None:
    its_key = key(QOT, ACC)
    play = Play(keyring=ring(its_key))
    play.client(1, client_id=plaintext("k"), recv_notify=True)
    holds(play, 1, TENCENT)
    play.send(play.router.sessions[1], 2008, acc_push(10))
    play.answer_all()
    play.access.keyring = ring()
    assert ("close", 1, "its key has expired or was revoked") in play.review()
    for proto_id, body in (
        (BASIC, quote_push(TENCENT)),
        (ORDER, trade_push(ORDER, 10, "00700")),
        (ProtoId.NOTIFY, NOTIFY_BODY),
        (ProtoId.QOT_UPDATE_PRICE_REMINDER, ticker_push(*TENCENT)),
    ):
        assert slots(play, proto_id, body) == set()


def test_the_answer_of_a_calculation_needs_the_scope_still() -> None:
    play = Play()
    session = play.client(1)
    play.answer(play.passes(session, 3260), response(field(1, b"calc")))
    session.key = key(ACC)
    assert slots(play, ProtoId.QOT_PUSH_INDICATOR_CALC, response(field(1, b"calc"))) == set()


def test_a_wider_key_sees_more_at_once() -> None:
    narrow = limited(QOT, ACC, markets=["HK"], allowed_acc_ids=frozenset({10}))
    play = Play(keyring=ring(narrow))
    session = stream_of(play, 1, narrow)
    assert play.main.accounts.get(1) == {10}
    play.access.keyring = ring(replace(narrow, limits=KeyLimits(), allowed_acc_ids=None))
    play.review()
    play.answer_all()
    assert play.main.accounts.get(1) == {10, 20}
    assert slots(play, ORDER, trade_push(ORDER, 20, "AAPL", trd_market=2)) == set(session.push_slots)
