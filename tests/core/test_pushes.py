"""Which push goes to whom: every push id, every stream, splitting."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core import streams
from opendmux.core.streams import PushKey
from opendmux.wire.protocols import PUSH_IDS, ProtoId
from tests.core.playbook import Play
from tests.core.push_kit import (
    AAPL,
    ELECTION,
    EVENT_CONTRACT,
    HSBC,
    JSON_BODIES,
    QOT,
    ROUTES,
    TENCENT,
    book_push,
    contract_push,
    holds,
)
from tests.native.wire_format import field, scalar
from tests.runtime.bodies import kline_push, quote_push, response, security, ticker_push

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=200)


def test_the_table_names_every_push() -> None:
    assert set(ROUTES) == set(PUSH_IDS)


@pytest.mark.parametrize("proto_id", sorted(PUSH_IDS))
def test_every_push_reaches_those_who_are_meant(proto_id: int) -> None:
    play = Play()
    route = ROUTES[proto_id]
    route.not_meant(play)
    meant = route.meant(play)
    assert play.push(proto_id, route.body) == [("push", (meant.slot,), route.body, route.key)]
    assert play.main.pushes.unroutable == 0


@pytest.mark.parametrize("proto_id", sorted(PUSH_IDS))
def test_a_push_nobody_wants_is_no_error(proto_id: int) -> None:
    play = Play()
    assert play.push(proto_id, ROUTES[proto_id].body) == []
    assert play.main.pushes.unroutable == 0


@pytest.mark.parametrize("proto_id", sorted(PUSH_IDS))
def test_who_has_left_gets_nothing(proto_id: int) -> None:
    play = Play()
    play.close(ROUTES[proto_id].meant(play))
    assert play.push(proto_id, ROUTES[proto_id].body) == []


@pytest.mark.parametrize("proto_id", [1001, 2001, 3004, 9999])
def test_what_is_no_push_is_counted(proto_id: int) -> None:
    play = Play()
    play.client(1, recv_notify=True)
    assert play.push(proto_id, quote_push(TENCENT)) == []
    assert play.main.pushes.unroutable == 1


@pytest.mark.parametrize("proto_id", sorted(PUSH_IDS))
def test_a_json_push_goes_the_same_way(proto_id: int) -> None:
    play = Play()
    route, body = ROUTES[proto_id], JSON_BODIES[proto_id]
    route.not_meant(play)
    meant = route.meant(play)
    assert play.push(proto_id, body, proto_fmt=1) == [("push", (meant.slot,), body, route.key)]


@pytest.mark.parametrize("proto_id", sorted(PUSH_IDS))
@pytest.mark.parametrize("proto_fmt", [2, 255])
def test_a_push_of_no_known_format_is_counted(proto_id: int, proto_fmt: int) -> None:
    play = Play()
    ROUTES[proto_id].meant(play)
    assert play.push(proto_id, ROUTES[proto_id].body, proto_fmt=proto_fmt) == []
    assert play.main.pushes.unroutable == 1


# -- streams


def body_of(sub_type: int) -> tuple[int, bytes]:
    if sub_type in streams.KL_TYPE_OF_SUB_TYPE:
        kl_type = streams.KL_TYPE_OF_SUB_TYPE[sub_type]
        return ProtoId.QOT_UPDATE_KL, kline_push(*TENCENT, kl_type=kl_type, rehab_type=1)
    return {
        streams.BASIC: (ProtoId.QOT_UPDATE_BASIC_QOT, quote_push(TENCENT)),
        streams.ORDER_BOOK: (ProtoId.QOT_UPDATE_ORDER_BOOK, book_push(*TENCENT, 0)),
        streams.ORDER_BOOK_ODD: (ProtoId.QOT_UPDATE_ORDER_BOOK, book_push(*TENCENT, 1)),
        streams.TICKER: (ProtoId.QOT_UPDATE_TICKER, ticker_push(*TENCENT)),
        streams.RT: (ProtoId.QOT_UPDATE_RT, ticker_push(*TENCENT)),
        streams.BROKER: (ProtoId.QOT_UPDATE_BROKER, ticker_push(*TENCENT)),
    }[sub_type]


@pytest.mark.parametrize("sub_type", sorted(streams.SUB_TYPES[QOT]))
def test_whatever_can_be_subscribed_is_pushed_to_its_subscriber_alone(sub_type: int) -> None:
    play = Play()
    meant = holds(play, 1, TENCENT, sub_types=(sub_type,))
    holds(play, 2, TENCENT, sub_types=tuple(streams.SUB_TYPES[QOT] - {sub_type}))
    holds(play, 3, HSBC, sub_types=(sub_type,))
    proto_id, body = body_of(sub_type)
    ((_, slots, frame, _),) = play.push(proto_id, body)
    assert (slots, frame) == ((meant.slot,), body)


@pytest.mark.parametrize("rehab", [0, 1, 2])
def test_k_lines_go_by_rehab_type(rehab: int) -> None:
    play = Play()
    sessions = [
        holds(play, owner, TENCENT, sub_types=(streams.KL_DAY,), rehabs=(wanted,))
        for owner, wanted in ((1, 0), (2, 1), (3, 2))
    ]
    both = holds(play, 4, TENCENT, sub_types=(streams.KL_DAY,), rehabs=(0, 1, 2))
    ((_, slots, _, key),) = play.push(3007, kline_push(*TENCENT, kl_type=2, rehab_type=rehab))
    assert slots == (sessions[rehab].slot, both.slot)
    assert key == PushKey(QOT, *TENCENT, streams.KL_DAY, rehab)


@pytest.mark.parametrize("kl_type", [0, 16, 99, -1])
def test_a_k_line_of_no_known_period_is_counted(kl_type: int) -> None:
    play = Play()
    holds(play, 1, TENCENT, sub_types=tuple(streams.KL_TYPE_OF_SUB_TYPE))
    body = response(scalar(1, 1) + scalar(2, kl_type) + field(3, security(*TENCENT)))
    assert play.push(3007, body) == []
    assert play.main.pushes.unroutable == 1


@pytest.mark.parametrize("rehab", [-1, 3, 2**31 - 1])
def test_a_k_line_of_no_known_rehab_type_is_counted(rehab: int) -> None:
    play = Play()
    holds(play, 1, TENCENT, sub_types=(streams.KL_DAY,))
    body = response(scalar(1, rehab) + scalar(2, 2) + field(3, security(*TENCENT)))
    assert play.push(3007, body) == []
    assert play.main.pushes.unroutable == 1


def test_without_registration_no_pushes() -> None:
    play = Play()
    holds(play, 1, TENCENT, register=False)
    assert play.push(3005, quote_push(TENCENT)) == []


def test_the_two_spaces_do_not_mix() -> None:
    play = Play()
    a = holds(play, 1, ELECTION, sub_types=(streams.TICKER,), space=QOT)
    b = holds(play, 2, ELECTION, sub_types=(streams.TICKER,), space=EVENT_CONTRACT)
    assert play.push(3011, ticker_push(*ELECTION))[0][1] == (a.slot,)
    assert play.push(3452, contract_push(ELECTION))[0][1] == (b.slot,)


def test_a_contracts_k_line_goes_to_whoever_holds_any_of_its_periods() -> None:
    play = Play()
    a = holds(play, 1, ELECTION, sub_types=(streams.KL_DAY,), space=EVENT_CONTRACT)
    b = holds(play, 2, ELECTION, sub_types=(streams.KL_1MIN, streams.KL_5MIN), space=EVENT_CONTRACT)
    ((_, slots, _, key),) = play.push(3451, contract_push(ELECTION))
    assert isinstance(slots, tuple)
    assert sorted(slots) == sorted((a.slot, b.slot))
    assert key is None, "two periods can't be told apart, so a newer push must not replace an older one"


def test_a_frame_is_handed_on_as_it_came() -> None:
    play = Play()
    holds(play, 1, TENCENT)
    body = quote_push(TENCENT) + field(2000, b"new")
    assert play.push(3005, body)[0][2] == body


# -- splitting


def test_a_push_with_several_securities_is_split() -> None:
    play = Play()
    a = holds(play, 1, TENCENT)
    b = holds(play, 2, TENCENT, HSBC)
    assert play.push(3005, quote_push(TENCENT, HSBC, AAPL)) == [
        ("push", (a.slot, b.slot), quote_push(TENCENT), PushKey(QOT, *TENCENT, 1, 0)),
        ("push", (b.slot,), quote_push(HSBC), PushKey(QOT, *HSBC, 1, 0)),
    ]


def test_a_json_push_with_several_securities_is_split() -> None:
    play = Play()
    a = holds(play, 1, TENCENT)
    b = holds(play, 2, TENCENT, HSBC)
    items = [{"security": {"market": market, "code": code}, "volume": 2**60} for market, code in (TENCENT, HSBC, AAPL)]
    lines = play.push(3005, json.dumps({"retType": 0, "s2c": {"basicQotList": items}}).encode(), proto_fmt=1)
    assert [(to, json.loads(bytes(body)), key) for _, to, body, key in lines] == [  # type: ignore[call-overload]
        ((a.slot, b.slot), {"retType": 0, "s2c": {"basicQotList": [items[0]]}}, PushKey(QOT, *TENCENT, 1, 0)),
        ((b.slot,), {"retType": 0, "s2c": {"basicQotList": [items[1]]}}, PushKey(QOT, *HSBC, 1, 0)),
    ]


def test_a_security_that_occurs_twice_comes_twice_and_in_order() -> None:
    play = Play()
    a = holds(play, 1, TENCENT)
    first, second = (field(1, field(1, security(*TENCENT)) + scalar(3, n)) for n in (1, 2))
    lines = play.push(3005, response(first + second))
    assert [line[1:3] for line in lines] == [((a.slot,), response(first)), ((a.slot,), response(second))]


def test_an_empty_list_is_nothing() -> None:
    play = Play()
    holds(play, 1, TENCENT)
    assert play.push(3005, response(b"")) == []


@DETERMINISTIC
@given(
    held=st.lists(st.sets(st.sampled_from([TENCENT, HSBC, AAPL])), min_size=1, max_size=4),
    pushed=st.lists(st.sampled_from([TENCENT, HSBC, AAPL]), max_size=5),
)
def test_everybody_gets_exactly_what_it_holds(held: list[set[tuple[int, str]]], pushed: list[tuple[int, str]]) -> None:
    play = Play()
    slots = {}
    for owner, wanted in enumerate(held, 1):
        session = holds(play, owner, *wanted) if wanted else play.client(owner)
        slots[session.slot] = wanted
    got: dict[int, list[tuple[int, str]]] = {slot: [] for slot in slots}
    for command in play.push(3005, quote_push(*pushed)):
        _, to, body, key = command
        assert isinstance(to, tuple)
        assert isinstance(key, PushKey)
        what = (key.market, key.code)
        assert body == quote_push(what)
        for slot in to:
            got[slot].append(what)
    assert got == {slot: [what for what in pushed if what in wanted] for slot, wanted in slots.items()}
