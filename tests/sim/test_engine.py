"""Whatever a client sends, the engine answers it or ignores it as a replay: it never raises."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.sim import SimConfig
from opendmux.sim.accounts import default_accounts
from opendmux.sim.broker import NewOrder
from opendmux.sim.engine import _ROUTES, answer_untrusted
from opendmux.sim.trade_messages import header_of
from opendmux.sim.world import Session, World
from opendmux.wire.frame import Frame, Splitter, build_frame
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PACKET_ID_IDS

REAL = default_accounts(1)[0].acc_id
FIRST_ORDER = NewOrder((1, "00700"), side=1, order_type=1, qty=200, price=200.0)
BOUGHT = NewOrder((1, "00700"), side=1, order_type=2, qty=300, price=0.0)
WORDS = ["", "00700", "AAPL", "2026-01-05", "2025-01-01 10:00:00", "0001-01-01", "9999-12-31", "x" * 70, "é\0"]
SMALL = st.sampled_from([0, 1, 2, 3, 5, 11, 21, 31, 100, 1000])
INTEGERS: dict[int, st.SearchStrategy[int]] = {
    FieldDescriptor.CPPTYPE_INT32: SMALL | st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: SMALL | st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: SMALL | st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: SMALL | st.integers(0, 2**64 - 1),
}


def value(draw: st.DrawFn, field: Any) -> Any:
    if field.cpp_type in INTEGERS:
        return draw(INTEGERS[field.cpp_type])
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return draw(st.booleans())
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return draw(st.sampled_from([0.0, 100.0, 300.0, 0.01]) | st.floats())
    if field.type == FieldDescriptor.TYPE_BYTES:
        return draw(st.binary(max_size=16))
    return draw(st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8))


@st.composite
def filled(draw: st.DrawFn, message: Message, accounts: list[int], *, whole: bool = False) -> Message:
    """The message with some of its fields set to anything, often to something that makes sense."""
    for field in message.DESCRIPTOR.fields:
        if not whole and not draw(st.integers(0, 3)):
            continue
        slot: Any = getattr(message, field.name)
        repeated = hasattr(slot, "append")
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            for _ in range(draw(st.integers(0, 2)) if repeated else 1):
                item = slot.add() if repeated else slot
                item.SetInParent()
                draw(filled(item, accounts))
        elif field.name == "accID" and draw(st.booleans()):
            message.accID = draw(st.sampled_from(accounts))  # type: ignore[attr-defined]
        elif repeated:
            slot.extend([value(draw, field) for _ in range(draw(st.integers(0, 2)))])
        else:
            setattr(message, field.name, value(draw, field))
    return message


TENCENT = {"market": 1, "code": "00700"}
DAYS = {"beginTime": "2025-01-01", "endTime": "2026-12-31"}
GOOD: dict[int, dict[str, Any]] = {
    2101: {"currency": 1},
    2102: {},
    2111: {"orderType": 1, "code": "00700", "price": 300.0, "secMarket": 1},
    2201: {"filterConditions": DAYS},
    2202: {"trdSide": 1, "orderType": 2, "code": "00700", "qty": 100.0, "price": 300.0, "secMarket": 1},
    2205: {"modifyOrderOp": 1, "orderID": 7_000_000_000_000_000_000, "qty": 300.0, "price": 200.0},
    2211: {},
    2221: {"filterConditions": DAYS},
    2222: {"filterConditions": DAYS},
    3001: {"securityList": [TENCENT], "subTypeList": [1], "isSubOrUnSub": True, "isRegOrUnRegPush": True},
    3002: {"securityList": [TENCENT], "subTypeList": [1], "isRegOrUnReg": True},
    3004: {"securityList": [TENCENT]},
    3006: {"rehabType": 1, "klType": 1, "security": TENCENT, "reqNum": 50},
    3008: {"security": TENCENT},
    3010: {"security": TENCENT, "maxRetNum": 10},
    3012: {"security": TENCENT, "num": 10},
    3014: {"security": TENCENT},
    3103: {"rehabType": 1, "klType": 5, "security": TENCENT, "maxAckKLNum": 3, **DAYS},
    3202: {"securityList": [TENCENT]},
    3203: {"securityList": [TENCENT]},
    3219: {"market": 1, **DAYS},
    3223: {"securityList": [TENCENT]},
}


@st.composite
def bent(draw: st.DrawFn, proto_id: int, account: opend.TrdHeader) -> Message:
    """A good request of which up to three fields of c2s were set to something else."""
    message: Any = _ROUTES[proto_id].request(c2s=GOOD[proto_id])
    if "header" in message.c2s.DESCRIPTOR.fields_by_name and proto_id < 3000:
        message.c2s.header.CopyFrom(account)
    scalars = [
        field
        for field in message.c2s.DESCRIPTOR.fields
        if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE and not hasattr(getattr(message.c2s, field.name), "append")
    ]
    for field in draw(st.lists(st.sampled_from(scalars), max_size=3)) if scalars else []:
        setattr(message.c2s, field.name, value(draw, field))
    return message  # type: ignore[no-any-return]


class Clock:
    def __init__(self) -> None:
        self.elapsed = 0.0


def stage() -> tuple[World, Session, Clock]:
    """A session that may do everything and holds some subscriptions and positions."""
    clock = Clock()
    world = World(SimConfig(requests_kept=10), lambda: clock.elapsed)
    session = world.open_session()
    session.initialized = session.acc_list_seen = world.unlocked = True
    session.acc_push = frozenset(world.broker.accounts)
    pairs = [((1, "00700"), sub_type) for sub_type in (1, 2, 4, 5, 6, 11, 14)]
    world.subscriptions.subscribe(session.number, pairs, 0)
    return world, session, clock


def frame_of(proto_id: int, serial_no: int, body: bytes, proto_fmt: int = 0, sha1: bytes | None = None) -> Frame:
    return Splitter(2**24).feed_untrusted(build_frame(proto_id, proto_fmt, serial_no, body, sha1))[0]


def check(world: World, session: Session, frame: Frame) -> opend.ResponseHead:
    reply = answer_untrusted(world, session, frame)
    assert reply is not None
    answer = Splitter(2**24).feed_untrusted(reply)[0]
    assert (answer.proto_id, answer.serial_no) == (frame.proto_id, frame.serial_no)
    assert answer.sha1_matches()
    world.outgoing.clear()
    if answer.proto_fmt == 1:
        return opend.ResponseHead(retType=-1)
    head = opend.ResponseHead.FromString(answer.body)
    assert head.HasField("retType")
    assert head.retType == 0 or head.retMsg
    return head


@pytest.mark.parametrize("proto_id", sorted(_ROUTES))
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_message_is_answered(proto_id: int, data: st.DataObject) -> None:
    world, session, clock = stage()
    accounts = list(world.broker.accounts)
    for serial_no in range(1, 4):
        request: Any = data.draw(filled(_ROUTES[proto_id].request(), accounts, whole=True))
        if proto_id in PACKET_ID_IDS:
            request.c2s.packetID.connID = session.conn_id
            request.c2s.packetID.serialNo = serial_no
        check(world, session, frame_of(proto_id, serial_no, encode(request)))
        clock.elapsed += data.draw(st.sampled_from([0.0, 1.0, 61.0, 90_000.0]))


@pytest.mark.parametrize("proto_id", sorted(GOOD))
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_bent_message_is_answered(proto_id: int, data: st.DataObject) -> None:
    world, session, clock = stage()
    header = header_of(world.broker.place(world.broker.accounts[REAL], FIRST_ORDER, world.now))
    world.broker.place(world.broker.accounts[REAL], BOUGHT, world.now)
    for serial_no in range(1, 5):
        request: Any = data.draw(bent(proto_id, header))
        if proto_id in PACKET_ID_IDS:
            request.c2s.packetID.connID = session.conn_id
            request.c2s.packetID.serialNo = serial_no
        check(world, session, frame_of(proto_id, serial_no, encode(request)))
        clock.elapsed += data.draw(st.sampled_from([0.0, 1.0, 61.0, 90_000.0]))


@pytest.mark.parametrize("proto_id", sorted(GOOD))
def test_the_good_messages_are_good(proto_id: int) -> None:
    world, session, _ = stage()
    header = header_of(world.broker.place(world.broker.accounts[REAL], FIRST_ORDER, world.now))
    request: Any = _ROUTES[proto_id].request(c2s=GOOD[proto_id])
    if proto_id < 3000:
        request.c2s.header.CopyFrom(header)
    if proto_id in PACKET_ID_IDS:
        request.c2s.packetID.connID = session.conn_id
        request.c2s.packetID.serialNo = 1
    head = check(world, session, frame_of(proto_id, 1, encode(request)))
    assert head.retType == 0, head.retMsg


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted(_ROUTES)) | st.integers(0, 2**32 - 1),
    st.binary(max_size=60),
    st.integers(0, 255),
    st.none() | st.just(b"0" * 20),
)
def test_any_bytes_are_answered(proto_id: int, body: bytes, proto_fmt: int, sha1: bytes | None) -> None:
    world, session, _ = stage()
    check(world, session, frame_of(proto_id, 1, body, proto_fmt, sha1))


@pytest.mark.parametrize("proto_id", sorted(_ROUTES))
def test_every_route_has_a_reply_with_an_s2c(proto_id: int) -> None:
    response = _ROUTES[proto_id].response
    assert [field.name for field in response.DESCRIPTOR.fields] == ["retType", "retMsg", "errCode", "s2c"]
    assert response().retType == -400  # type: ignore[attr-defined]
