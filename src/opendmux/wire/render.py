"""From OpenD's protobuf answers and pushes to JSON, and back, where all of their fields are known here.

opendmux forwards messages that it does not know, so it can show as JSON only some of them; one with a field that is
missing here is not shown at all rather than in part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from opendmux.errors import RemoteProtocolError

from .exact import exact
from .frame import ProtoFmt
from .messages import decode_untrusted, encode, plain
from .pb import opend, opend_sim
from .protocols import ProtoId

__all__ = ["RESPONSES", "from_json_untrusted", "to_json_untrusted"]

RESPONSES: Final[Mapping[int, type[Message]]] = {
    ProtoId.GET_GLOBAL_STATE: opend.GetGlobalStateResponse,
    ProtoId.GET_USER_INFO: opend.GetUserInfoResponse,
    ProtoId.NOTIFY: opend.NotifyResponse,
    ProtoId.QOT_GET_BASIC_QOT: opend_sim.BasicQotResponse,
    ProtoId.QOT_GET_BROKER: opend_sim.BrokerResponse,
    ProtoId.QOT_GET_KL: opend_sim.GetKLResponse,
    ProtoId.QOT_GET_MARKET_STATE: opend_sim.GetMarketStateResponse,
    ProtoId.QOT_GET_ORDER_BOOK: opend_sim.OrderBookResponse,
    ProtoId.QOT_GET_RT: opend_sim.RTResponse,
    ProtoId.QOT_GET_SECURITY_SNAPSHOT: opend_sim.GetSecuritySnapshotResponse,
    ProtoId.QOT_GET_STATIC_INFO: opend_sim.GetStaticInfoResponse,
    ProtoId.QOT_GET_SUB_INFO: opend.GetSubInfoResponse,
    ProtoId.QOT_GET_TICKER: opend_sim.TickerResponse,
    ProtoId.QOT_REG_QOT_PUSH: opend.SubResponse,
    ProtoId.QOT_REQUEST_HISTORY_KL: opend_sim.RequestHistoryKLResponse,
    ProtoId.QOT_REQUEST_TRADE_DATE: opend_sim.RequestTradeDateResponse,
    ProtoId.QOT_SUB: opend.SubResponse,
    ProtoId.QOT_UPDATE_BASIC_QOT: opend_sim.BasicQotResponse,
    ProtoId.QOT_UPDATE_BROKER: opend_sim.BrokerResponse,
    ProtoId.QOT_UPDATE_KL: opend_sim.UpdateKLResponse,
    ProtoId.QOT_UPDATE_ORDER_BOOK: opend_sim.OrderBookResponse,
    ProtoId.QOT_UPDATE_RT: opend_sim.RTResponse,
    ProtoId.QOT_UPDATE_TICKER: opend_sim.TickerResponse,
    ProtoId.TRD_GET_ACC_LIST: opend.GetAccListResponse,
    ProtoId.TRD_GET_FUNDS: opend_sim.GetFundsResponse,
    ProtoId.TRD_GET_HISTORY_ORDER_FILL_LIST: opend_sim.OrderFillListResponse,
    ProtoId.TRD_GET_HISTORY_ORDER_LIST: opend_sim.OrderListResponse,
    ProtoId.TRD_GET_MAX_TRD_QTYS: opend_sim.GetMaxTrdQtysResponse,
    ProtoId.TRD_GET_ORDER_FILL_LIST: opend_sim.OrderFillListResponse,
    ProtoId.TRD_GET_ORDER_LIST: opend_sim.OrderListResponse,
    ProtoId.TRD_GET_POSITION_LIST: opend_sim.GetPositionListResponse,
    ProtoId.TRD_MODIFY_ORDER: opend_sim.ModifyOrderResponse,
    ProtoId.TRD_PLACE_ORDER: opend_sim.PlaceOrderResponse,
    ProtoId.TRD_SUB_ACC_PUSH: opend.SubAccPushResponse,
    ProtoId.TRD_UNLOCK_TRADE: opend.UnlockTradeResponse,
    ProtoId.TRD_UPDATE_ORDER: opend_sim.UpdateOrderResponse,
    ProtoId.TRD_UPDATE_ORDER_FILL: opend_sim.UpdateOrderFillResponse,
}
"""What answers and pushes consist of, by proto_id."""


def to_json_untrusted(proto_id: int, body: bytes) -> dict[str, Any] | None:
    """A protobuf Response with OpenD's names for its fields, and numbers of 64 bits as `exact` has them. None: not all
    of it is known here."""
    cls = RESPONSES.get(proto_id)
    if cls is None:
        return None
    try:
        message = decode_untrusted(cls, body, ProtoFmt.PROTOBUF)
    except RemoteProtocolError:
        return None
    return exact(plain(message)) if _whole(message) else None


def from_json_untrusted(proto_id: int, body: bytes) -> bytes | None:
    """A JSON Response as protobuf. None: not all of it is known here."""
    cls = RESPONSES.get(proto_id)
    if cls is None:
        return None
    try:
        return encode(decode_untrusted(cls, body, ProtoFmt.JSON))
    except RemoteProtocolError:
        return None


def _whole(message: Message) -> bool:
    """There is no field in it, however deep, that its type does not have."""
    if len(UnknownFieldSet(message)):
        return False
    for field, value in message.ListFields():
        if field.message_type is not None and not all(map(_whole, [value] if field.has_presence else value)):
            return False
    return True
