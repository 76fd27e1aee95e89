"""When a push is delivered: settling clients, calculations, and bodies that can't be read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core import streams
from opendmux.core.entry import SETTLE_S
from opendmux.core.pushes import CALCULATIONS_KEPT
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PUSH_IDS, ProtoId
from tests.core.playbook import Play, hello
from tests.core.push_kit import ROUTES, TENCENT, a_world, asker, holds
from tests.native.wire_format import anything, damaged, field, scalar
from tests.runtime.bodies import response, security

JSON_NAMES = ["s2c", "header", "accID", "security", "code", "market", "klType", "rehabType", "basicQotList", "calcId"]
JSON_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["10", "00700", "x"])
)


def json_trees(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(JSON_NAMES), inner, max_size=4)


DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=300)


# -- clients that have only just come


@pytest.mark.parametrize(
    "proto_id", [ProtoId.NOTIFY, ProtoId.QOT_UPDATE_PRICE_REMINDER, ProtoId.QOT_UPDATE_OPTION_EVENT]
)
def test_no_push_comes_together_with_the_init_connect_reply(proto_id: int) -> None:
    """The SDK drops a push in the same segment; it is held, not lost."""
    play = Play()
    old, new = play.client(1, recv_notify=True), play.session(2)
    body = ROUTES[proto_id].body
    play.send(new, 1001, hello(recv_notify=True))
    assert play.push(proto_id, body) == [("push", (old.slot,), body, None)]
    assert play.later(SETTLE_S * 0.9) == []
    assert play.later(SETTLE_S * 0.2) == [("push", (new.slot,), body, None)]
    assert play.later(1.0) == []


def test_what_is_held_keeps_its_order() -> None:
    play = Play()
    new = play.session(1)
    play.send(new, 1001, hello(recv_notify=True))
    bodies = [response(scalar(1, n)) for n in range(3)]
    for body in bodies:
        play.push(ProtoId.NOTIFY, body)
    assert [line[2] for line in play.later(SETTLE_S)] == bodies


def test_what_is_held_is_not_overtaken() -> None:
    """The clock has passed, `due` has not been called yet: an order's older state must not come after its newer one."""
    play = Play()
    new = play.session(1)
    play.send(new, 1001, hello(recv_notify=True))
    bodies = [response(scalar(1, n)) for n in range(4)]
    play.push(ProtoId.NOTIFY, bodies[0])
    play.now += SETTLE_S * 1.5
    assert play.push(ProtoId.NOTIFY, bodies[1]) == []
    assert [line[2] for line in play.later(SETTLE_S)] == bodies[:2]
    assert [line[2] for line in play.push(ProtoId.NOTIFY, bodies[2])] == bodies[2:3]


def test_a_second_init_connect_holds_nothing_back() -> None:
    play = Play()
    session = play.client(1, recv_notify=True)
    play.send(session, 1001, hello(recv_notify=True))
    body = response(scalar(1, 3))
    assert play.push(ProtoId.NOTIFY, body) == [("push", (session.slot,), body, None)]


def test_what_is_held_goes_with_its_client() -> None:
    play = Play()
    new = play.session(1)
    play.send(new, 1001, hello(recv_notify=True))
    play.push(ProtoId.NOTIFY, response(scalar(1, 3)))
    play.close(new)
    assert play.later(SETTLE_S) == []
    assert not play.main.pushes._held


# -- calculations


def test_a_calculation_is_forgotten_with_its_asker() -> None:
    play = Play()
    session = asker(play)
    play.close(session)
    assert play.push(3261, response(field(1, b"calc"))) == []
    assert not play.main.pushes._calculations


def test_a_calculation_that_is_accepted_after_its_asker_has_gone_is_not_noted() -> None:
    play = Play()
    session = play.client(1)
    play.send(session, 3260)
    play.close(session)
    play.answer(body=response(field(1, b"calc")))
    assert not play.main.pushes._calculations


def test_the_calculations_asked_for_are_bounded() -> None:
    play = Play()
    session = play.client(1)
    for number in range(CALCULATIONS_KEPT + 1):
        play.main.pushes.expect_calculation(str(number), session.owner)
    assert len(play.main.pushes._calculations) == CALCULATIONS_KEPT
    assert play.push(3261, response(field(1, b"0"))) == [], "the oldest"
    assert play.push(3261, response(field(1, b"1"))) != []


def test_a_calculation_of_the_lost_connection_is_not_waited_for() -> None:
    play = Play()
    asker(play)
    play.lose()
    assert play.push(3261, response(field(1, b"calc"))) == []


# -- hostile bodies


@DETERMINISTIC
@given(proto_id=st.sampled_from(sorted(PUSH_IDS)), data=st.data())
def test_no_body_raises(proto_id: int, data: st.DataObject) -> None:
    play = a_world()
    body = data.draw(
        anything
        | st.binary(max_size=40)
        | st.builds(response, anything)
        | st.builds(lambda item: response(field(1, item)), anything)
        | damaged(st.just(ROUTES[proto_id].body))
    )
    lines = play.push(proto_id, body)
    assert len(lines) == 0 or play.main.pushes.unroutable == 0
    for line in lines:
        assert line[1], "no push without a client"


@DETERMINISTIC
@given(
    proto_id=st.sampled_from(sorted(PUSH_IDS)),
    body=st.binary(max_size=40)
    | st.recursive(JSON_SCALARS, json_trees, max_leaves=8).map(lambda v: json.dumps(v).encode()),
)
def test_no_json_raises(proto_id: int, body: bytes) -> None:
    play = a_world()
    lines = play.push(proto_id, body, proto_fmt=1)
    assert len(lines) == 0 or play.main.pushes.unroutable == 0


@pytest.mark.parametrize("proto_id", sorted(PUSH_IDS))
@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"s2c"', b'{"s2c": "\xff"}', b'{"s2c": "\\ud800"}', b'{"s2c": NaN}', b'{"s2c": ' * 10**5],
    ids=["empty", "null", "list", "cut", "not UTF-8", "half a surrogate", "NaN", "too deep"],
)
def test_json_that_can_not_be_read_is_counted(proto_id: int, body: bytes) -> None:
    """It is the broadcaster that would raise, and all pushes would end with it."""
    play = a_world()
    assert play.push(proto_id, body, proto_fmt=1) == []
    assert play.main.pushes.unroutable == 1


@pytest.mark.parametrize(
    ("proto_id", "body"),
    [
        (3005, response(field(1, b""))),
        (3005, response(field(1, field(1, scalar(1, 1) + field(2, b"\xff\xfe"))))),
        (3005, b"\x22\xff"),
        (3011, response(b"")),
        (3011, b""),
        (3007, response(scalar(2, 2))),
        (2208, response(b"")),
        (2208, response(field(1, b""))),
        (2208, b"\xff"),
        (3451, response(field(1, field(1, field(2, b"\xff"))))),
    ],
)
def test_what_can_not_be_routed_is_counted_once(proto_id: int, body: bytes) -> None:
    play = a_world()
    assert play.push(proto_id, body) == []
    assert play.main.pushes.unroutable == 1


def test_a_security_with_parts_left_out_is_nobodys() -> None:
    play = a_world()
    assert play.push(3011, response(field(1, field(2, b"00700")))) == []
    assert play.push(3011, response(field(1, scalar(1, 1)))) == []


def test_the_last_value_counts_as_protobuf_has_it() -> None:
    """Repeated sub-messages are merged, the last scalar wins: any other reading would be another security."""
    play = Play()
    holds(play, 1, TENCENT, sub_types=(streams.TICKER,))
    body = response(field(1, security(11, "AAPL")) + field(1, encode(opend.Security(market=1, code="00700"))))
    assert play.push(3011, body) != []
