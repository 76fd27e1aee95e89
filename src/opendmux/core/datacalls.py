"""Calls for the data of a subscribed stream: OpenD answers them only on the connection that holds the subscription."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from opendmux.wire.messages import decode_untrusted
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from . import streams
from .commands import Request
from .streams import Space, StreamKey

__all__ = ["DATA_CALLS"]


def _basic_untrusted(request: Request) -> list[StreamKey]:
    c2s = decode_untrusted(opend.GetBasicQotRequest, request.body, request.proto_fmt).c2s
    return [_stream(security, streams.BASIC) for security in c2s.securityList]


def _kline_untrusted(request: Request) -> list[StreamKey]:
    c2s = decode_untrusted(opend.GetKLRequest, request.body, request.proto_fmt).c2s
    return [_stream(c2s.security, streams.SUB_TYPE_OF_KL_TYPE.get(c2s.klType, 0))]


def _book_untrusted(request: Request) -> list[StreamKey]:
    c2s = decode_untrusted(opend.GetOrderBookRequest, request.body, request.proto_fmt).c2s
    return [_stream(c2s.security, streams.ORDER_BOOK_ODD if c2s.orderBookType == 1 else streams.ORDER_BOOK)]


def _of_one(sub_type: int) -> Callable[[Request], list[StreamKey]]:
    def find_untrusted(request: Request) -> list[StreamKey]:
        c2s = decode_untrusted(opend.GetOneRequest, request.body, request.proto_fmt).c2s
        return [_stream(c2s.security, sub_type)]

    return find_untrusted


def _stream(security: opend.Security, sub_type: int) -> StreamKey:
    return StreamKey(Space.QOT, security.market, security.code, sub_type)


DATA_CALLS: Final[Mapping[int, Callable[[Request], list[StreamKey]]]] = {
    ProtoId.QOT_GET_BASIC_QOT: _basic_untrusted,
    ProtoId.QOT_GET_KL: _kline_untrusted,
    ProtoId.QOT_GET_RT: _of_one(streams.RT),
    ProtoId.QOT_GET_TICKER: _of_one(streams.TICKER),
    ProtoId.QOT_GET_ORDER_BOOK: _book_untrusted,
    ProtoId.QOT_GET_BROKER: _of_one(streams.BROKER),
}
"""proto_id -> the streams that a request of it needs. A body that can't be read is a `RemoteProtocolError`."""
