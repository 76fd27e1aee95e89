"""What is known of one OpenD's orders and prices, so that a limit can be held against them, and who teaches it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Final

from opendmux.errors import RemoteProtocolError
from opendmux.wire.protocols import ProtoId

from .answers import name_of
from .orderbook import OrderBook
from .prices import Prices

__all__ = ["LEARNT_IDS", "Knowledge"]

log = logging.getLogger("opendmux.trading")

LEARNT_IDS: Final = frozenset(
    {
        ProtoId.TRD_GET_ORDER_LIST,
        ProtoId.TRD_UPDATE_ORDER,
        ProtoId.QOT_UPDATE_BASIC_QOT,
        ProtoId.QOT_GET_SECURITY_SNAPSHOT,
    }
)
"""Replies and pushes that `Knowledge.learn` has a use for."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Of one OpenD, or of a group, whose quotes may be another OpenD's."""

    book: OrderBook = field(default_factory=OrderBook)
    prices: Prices = field(default_factory=Prices)

    def learn(self, proto_id: int, body: bytes, proto_fmt: int, now: float) -> None:
        """A reply or push of OpenD, of `LEARNT_IDS`. One that can't be read teaches nothing."""
        try:
            if proto_id == ProtoId.TRD_GET_ORDER_LIST:
                self.book.learn_list_untrusted(body, proto_fmt)
            elif proto_id == ProtoId.TRD_UPDATE_ORDER:
                self.book.learn_push_untrusted(body, proto_fmt)
            elif proto_id == ProtoId.QOT_UPDATE_BASIC_QOT:
                self.prices.learn_push_untrusted(body, proto_fmt, now)
            elif proto_id == ProtoId.QOT_GET_SECURITY_SNAPSHOT:
                self.prices.learn_snapshots_untrusted(body, proto_fmt, now)
        except RemoteProtocolError as error:
            log.debug("nothing learnt from %s: %s", name_of(proto_id), error)
