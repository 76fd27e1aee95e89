"""The PacketID of trade writes, and the two other things that are read out of them before they are sent."""

from __future__ import annotations

from google.protobuf.message import Message

from opendmux.errors import RemoteProtocolError
from opendmux.native import patch_packet_id_untrusted, read_int32_untrusted
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.messages import canonical_json, decode_untrusted
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

__all__ = ["is_real_untrusted", "stamp_untrusted"]

TRD_ENV = bytes([1, 2, 1])
"""c2s.header.trdEnv, the same in all five writes."""
TRD_ENV_SIMULATE = 0

WRITES: dict[int, type[Message]] = {
    ProtoId.TRD_PLACE_ORDER: opend.PlaceOrderRequest,
    ProtoId.TRD_MODIFY_ORDER: opend.ModifyOrderRequest,
    ProtoId.TRD_PLACE_COMBO_ORDER: opend.PlaceComboOrderRequest,
    ProtoId.TRD_RECONFIRM_ORDER_2209: opend.ReconfirmOrderRequest,
    ProtoId.TRD_RECONFIRM_ORDER_2237: opend.ReconfirmOrderRequest,
}


def stamp_untrusted(proto_id: int, proto_fmt: int, body: bytes, conn_id: int, serial_no: int) -> bytes:
    """The body with C2S.packetID set to these values.

    A protobuf body keeps every other byte. A JSON body is parsed strictly and comes out in canonical form, so that
    OpenD reads what we read.
    """
    if proto_fmt == ProtoFmt.PROTOBUF:
        return patch_packet_id_untrusted(body, conn_id, serial_no)
    message = decode_untrusted(WRITES[proto_id], body, proto_fmt)
    packet_id = message.c2s.packetID  # type: ignore[attr-defined]
    packet_id.connID, packet_id.serialNo = conn_id, serial_no
    return canonical_json(message)


def is_real_untrusted(proto_id: int, proto_fmt: int, body: bytes) -> bool:
    """Whether the write touches real money: anything but trdEnv = simulate, an absent one included."""
    if proto_fmt == ProtoFmt.PROTOBUF:
        return read_int32_untrusted(body, TRD_ENV) != TRD_ENV_SIMULATE
    header = decode_untrusted(WRITES[proto_id], body, proto_fmt).c2s.header  # type: ignore[attr-defined]
    if not header.HasField("trdEnv"):
        raise RemoteProtocolError("header.trdEnv is missing")
    return bool(header.trdEnv != TRD_ENV_SIMULATE)
