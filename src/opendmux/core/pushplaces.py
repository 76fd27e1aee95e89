"""Where a push says which stream or asker it is for: data for those that read it by `pushbody`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opendmux.wire.protocols import ProtoId

from . import streams
from .pushbody import Place
from .streams import Space

__all__ = [
    "BOOK_TYPE",
    "CALC_ID",
    "EVENT_CONTRACT_KLINE",
    "KL_REHAB_TYPE",
    "KL_SECURITY",
    "KL_TYPE",
    "LISTS",
    "OPTION_OWNER",
    "SECURITY",
    "SINGLE",
    "TICKS",
    "TICK_SEQUENCE",
]

SECURITY: Final = Place(bytes([4, 1]), ("s2c", "security"))
ITEM_SECURITY: Final = Place(bytes([1]), ("security",))
ITEM_CODE: Final = Place(bytes([1]), ("code",))
KL_REHAB_TYPE: Final = Place(bytes([4, 1]), ("s2c", "rehabType"))
KL_TYPE: Final = Place(bytes([4, 2]), ("s2c", "klType"))
KL_SECURITY: Final = Place(bytes([4, 3]), ("s2c", "security"))
TICKS: Final = Place(bytes([4, 2]), ("s2c", "tickerList"))
TICK_SEQUENCE: Final = Place(bytes([2]), ("sequence",))
BOOK_TYPE: Final = Place(bytes([4, 9]), ("s2c", "orderBookType"))
OPTION_OWNER: Final = Place(bytes([4, 1]), ("s2c", "owner"))
CALC_ID: Final = Place(bytes([4, 1]), ("s2c", "calcId"))

SINGLE: Final[Mapping[int, int]] = {
    ProtoId.QOT_UPDATE_RT: streams.RT,
    ProtoId.QOT_UPDATE_TICKER: streams.TICKER,
    ProtoId.QOT_UPDATE_BROKER: streams.BROKER,
}
"""Pushes of one security, and their sub type."""

LISTS: Final[Mapping[int, tuple[Space, int, Place, Place]]] = {
    ProtoId.QOT_UPDATE_BASIC_QOT: (
        Space.QOT,
        streams.BASIC,
        Place(bytes([4, 1]), ("s2c", "basicQotList")),
        ITEM_SECURITY,
    ),
    ProtoId.QOT_UPDATE_EVENT_CONTRACT_ORDER_BOOK: (
        Space.EVENT_CONTRACT,
        streams.ORDER_BOOK,
        Place(bytes([4, 1]), ("s2c", "orderBookList")),
        ITEM_CODE,
    ),
    ProtoId.QOT_UPDATE_EVENT_CONTRACT_KLINE: (
        Space.EVENT_CONTRACT,
        streams.KL_DAY,
        Place(bytes([4, 1]), ("s2c", "klineList")),
        ITEM_CODE,
    ),
    ProtoId.QOT_UPDATE_EVENT_CONTRACT_TICKER: (
        Space.EVENT_CONTRACT,
        streams.TICKER,
        Place(bytes([4, 1]), ("s2c", "tickerList")),
        ITEM_CODE,
    ),
}
"""Pushes of several securities: the list, and the security in a piece of it."""

EVENT_CONTRACT_KLINE: Final = ProtoId.QOT_UPDATE_EVENT_CONTRACT_KLINE
"""Carries no K-line type: it goes to whoever holds any K line of the contract."""
