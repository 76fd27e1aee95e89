"""From a request frame to its reply: the rules every request must obey, then the handler. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import Frame, ProtoFmt, RetType, build_frame
from opendmux.wire.messages import decode_untrusted, ret_body, to_client
from opendmux.wire.protocols import PACKET_ID_IDS, ProtoId

from . import handlers_account, handlers_quote, handlers_reference, handlers_sub, handlers_system, handlers_trade
from .record import RequestRecord, Violation
from .refusal import Refused

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from opendmux.wire.pb import opend

    from .routes import Routes
    from .world import Session, World

__all__ = ["answer_untrusted"]

_FORMATS = frozenset(ProtoFmt)

_ROUTES: Routes = {
    **handlers_system.ROUTES,
    **handlers_sub.ROUTES,
    **handlers_quote.ROUTES,
    **handlers_reference.ROUTES,
    **handlers_trade.ROUTES,
    **handlers_account.ROUTES,
}


def answer_untrusted(world: World, session: Session, frame: Frame) -> bytes | None:
    """The reply frame; None for a replay, which is ignored. Never raises: what is wrong is answered and recorded."""
    message = _decode(frame)
    record = RequestRecord(session.number, frame.proto_id, frame.serial_no, world.elapsed(), frame.body, message)
    world.record.request(record)
    if frame.serial_no <= session.last_serial:
        text = f"serial {frame.serial_no} is not greater than {session.last_serial}"
        _violation(world, session, frame, "serial", text)
        if world.config.strict_serials:
            return None
    session.last_serial = max(session.last_serial, frame.serial_no)
    try:
        return _reply(frame, _handle(world, session, frame, message))
    except Refused as refused:
        return _refusal(frame, refused)


def _handle(world: World, session: Session, frame: Frame, message: Any) -> Message:
    if not frame.sha1_matches():
        raise _violation(world, session, frame, "sha1", "the SHA-1 of the body is wrong")
    if frame.proto_fmt not in _FORMATS:
        raise _violation(world, session, frame, "format", f"unknown proto_fmt {frame.proto_fmt}")
    route = _ROUTES.get(frame.proto_id)
    if not session.initialized and frame.proto_id != ProtoId.INIT_CONNECT:
        raise _violation(world, session, frame, "init", "InitConnect (1001) must come first")
    if route is None:
        raise Refused(f"proto_id {frame.proto_id} is not simulated")
    if message is None or not message.HasField("c2s"):
        raise _violation(world, session, frame, "format", f"the body is not a request of proto_id {frame.proto_id}")
    if frame.proto_id in PACKET_ID_IDS:
        _check_packet_id(world, session, frame, message.c2s.packetID)
    if world.rates_enforced:
        excess = world.rates.excess(frame.proto_id, message.c2s, world.elapsed())
        if excess is not None:
            raise _violation(world, session, frame, "rate", excess)
    world.faults.before_handling(frame.proto_id)
    if session.initialized and frame.proto_id == ProtoId.INIT_CONNECT:
        _violation(world, session, frame, "init", "InitConnect came twice")
    response: Any = route.response()
    s2c = route.handler(world, session, message.c2s)
    response.retType = RetType.SUCCEED
    response.s2c.SetInParent()
    if s2c is not None:
        response.s2c.CopyFrom(s2c)
    return response  # type: ignore[no-any-return]


def _check_packet_id(world: World, session: Session, frame: Frame, packet_id: opend.PacketID) -> None:
    if packet_id.connID != session.conn_id:
        raise _violation(world, session, frame, "packet_id", "PacketID.connID is not the one of this connection")
    if packet_id.serialNo <= session.last_packet_serial:
        text = f"PacketID.serialNo {packet_id.serialNo} is not greater than {session.last_packet_serial}"
        raise _violation(world, session, frame, "packet_id", text)
    session.last_packet_serial = packet_id.serialNo


def _decode(frame: Frame) -> Message | None:
    route = _ROUTES.get(frame.proto_id)
    if route is None or frame.proto_fmt not in _FORMATS:
        return None
    try:
        if frame.proto_fmt == ProtoFmt.PROTOBUF:
            return decode_untrusted(route.request, frame.body, frame.proto_fmt)
        # Our messages lack some of OpenD's fields; they are passed over here as they are in protobuf.
        return json_format.Parse(frame.body, route.request(), ignore_unknown_fields=True)
    except (RemoteProtocolError, json_format.ParseError, UnicodeDecodeError, RecursionError):
        return None


def _violation(world: World, session: Session, frame: Frame, rule: str, text: str) -> Refused:
    """Record a broken rule; what is returned may be raised to refuse the request with the same text."""
    world.record.violations.append(Violation(session.number, rule, frame.proto_id, frame.serial_no, text))
    return Refused(text)


def _reply(frame: Frame, response: Message) -> bytes:
    return build_frame(frame.proto_id, frame.proto_fmt, frame.serial_no, to_client(response, frame.proto_fmt))


def _refusal(frame: Frame, refused: Refused) -> bytes:
    proto_fmt = frame.proto_fmt if frame.proto_fmt == ProtoFmt.JSON else ProtoFmt.PROTOBUF
    body = ret_body(proto_fmt, refused.ret_type, refused.text)
    return build_frame(frame.proto_id, proto_fmt, frame.serial_no, body)
