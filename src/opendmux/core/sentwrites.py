"""Trade writes that a gate has let through and that have no verdict yet: what becomes of what they have used up.

The slot of an order that was sent is never given back; its value is when OpenD plainly refuses. Of one that was not
sent after all both are.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import UNDECIDED, RetType

from .answers import name_of
from .commands import Request
from .limits import Limits, Reservation
from .orderbook import KnownOrder, OrderBook
from .orders import OrderFacts, Terms

__all__ = ["SentWrite", "SentWrites"]

log = logging.getLogger("opendmux.trading")


@dataclass(frozen=True, slots=True, eq=False)
class SentWrite:
    """What one of them has used up, and what there is to learn from it."""

    request: Request
    key_id: str
    slot: float | None
    reservation: Reservation | None
    facts: OrderFacts | None
    """None: the key has no limit that the body matters for."""
    order: KnownOrder | None
    """The one it modifies."""


class SentWrites:
    """Of one gate, with its limits and its book."""

    def __init__(self, limits: Limits, book: OrderBook) -> None:
        self._limits = limits
        self._book = book
        self._open: dict[int, SentWrite] = {}
        """By id of the request object, which the entry keeps alive."""

    def add(self, sent: SentWrite) -> None:
        """It is let through; `settled` or `unsent` must follow."""
        self._open[id(sent.request)] = sent

    def terms_of(self, request: Request) -> Terms | None:
        """What the order says that it places; None when it places none, or nothing of it is kept here."""
        sent = self._open.get(id(request))
        return None if sent is None or sent.facts is None else sent.facts.terms

    def settled(self, request: Request, ret_type: int, body: bytes, *, proto_fmt: int | None = None) -> None:
        """OpenD's verdict on a write that was let through, or -400 when there is none; whether its session is still
        there or not. ``proto_fmt``: of ``body``, when it is not the request's.

        Only a plain refusal gives the value back: an order whose outcome is not known may exist.
        """
        sent = self._open.pop(id(request), None)
        if sent is None:
            return
        if ret_type == RetType.SUCCEED:
            if sent.facts is None:
                return
            try:
                self._book.learn_reply_untrusted(
                    sent.facts, sent.order, body, request.proto_fmt if proto_fmt is None else proto_fmt
                )
            except RemoteProtocolError as error:
                log.debug("%s: nothing learnt from OpenD's answer: %s", name_of(request.proto_id), error)
        elif ret_type not in UNDECIDED and sent.reservation is not None:
            self._limits.give_back(sent.reservation)

    def unsent(self, request: Request) -> None:
        """A write that was let through was not sent after all: its slot and its value are given back."""
        sent = self._open.pop(id(request), None)
        if sent is None:
            return
        if sent.reservation is not None:
            self._limits.give_back(sent.reservation)
        if sent.slot is not None:
            self._limits.give_slot_back(sent.key_id, sent.slot)
