"""Orders that are known to exist: a modification names an order, and limits are about what that order is.

Fed by orders that went through the gate, by order lists (2201) and by order pushes (2208). The newest word counts. An
order is found by its two ids together: where a request names both, they must be the ids of one order, for nobody knows
which of the two OpenD would follow.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from opendmux.wire.messages import decode_answer_untrusted, encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .orders import NUMBER_MAX, Change, Leg, OrderFacts, Terms
from .securities import security_of_leg, security_told, side_of

__all__ = ["ORDERS_KEPT", "KnownOrder", "OrderBook", "order_request"]

ORDERS_KEPT: Final = 10_000
"""About 10 MB. One that was dropped is asked for again when somebody needs it."""

FINISHED: Final = frozenset({3, 11, 14, 15, 21, 23, 24})
"""OrderStatus of orders that nothing more will happen to."""


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order of OpenD. ``order_id`` 0 and ``order_id_ex`` empty: not known yet."""

    acc_id: int
    order_id: int
    order_id_ex: str
    terms: Terms
    finished: bool = False


class OrderBook:
    """The known orders of one OpenD, at most ``kept``: beyond that the oldest finished ones go first."""

    def __init__(self, kept: int = ORDERS_KEPT) -> None:
        self._kept = kept
        self._live: OrderedDict[int, KnownOrder] = OrderedDict()
        """By a number of ours, oldest first; ``_done`` likewise."""
        self._done: OrderedDict[int, KnownOrder] = OrderedDict()
        self._by_id: dict[tuple[int, int], int] = {}
        self._by_id_ex: dict[tuple[int, str], int] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._live) + len(self._done)

    def find(self, acc_id: int, order_id: int, order_id_ex: str) -> KnownOrder | None:
        """The order of this account with all the ids that are given: 0 and an empty text are none."""
        number = self._number(acc_id, order_id, order_id_ex)
        order = self._get(number)
        if order is None or (order_id and order.order_id != order_id):
            return None
        return None if order_id_ex and order.order_id_ex != order_id_ex else order

    # -- learning

    def placed(self, order: KnownOrder) -> None:
        """OpenD took a new order. What a push has told of it already is newer than what was asked for."""
        known = self._get(self._number(order.acc_id, order.order_id, order.order_id_ex))
        if known is None:
            self.learn(order)
        else:
            self.learn(
                replace(
                    known,
                    order_id=known.order_id or order.order_id,
                    order_id_ex=known.order_id_ex or order.order_id_ex,
                )
            )

    def modified(self, order: KnownOrder, change: Change) -> None:
        """OpenD took a modification of this order."""
        known = self.find(order.acc_id, order.order_id, order.order_id_ex)
        if known is not None:
            self.learn(replace(known, terms=known.terms.changed(change)))

    def learn_reply_untrusted(self, facts: OrderFacts, order: KnownOrder | None, body: bytes, proto_fmt: int) -> None:
        """The reply to a write that OpenD took; ``order`` is what it modifies. Raises RemoteProtocolError."""
        if facts.change is not None and order is not None:
            self.modified(order, facts.change)
        if facts.terms is None:
            return
        if facts.proto_id == ProtoId.TRD_PLACE_COMBO_ORDER:
            order_id, order_id_ex = (
                0,
                decode_answer_untrusted(opend.ComboOrderIdResponse, body, proto_fmt).s2c.orderIDEx,
            )
        else:
            s2c = decode_answer_untrusted(opend.OrderIdResponse, body, proto_fmt).s2c
            order_id, order_id_ex = s2c.orderID, s2c.orderIDEx
        self.placed(KnownOrder(facts.acc_id, order_id, order_id_ex, facts.terms))

    def learn_list_untrusted(self, body: bytes, proto_fmt: int) -> None:
        """The reply to a 2201. Raises RemoteProtocolError for one that can't be read."""
        s2c = decode_answer_untrusted(opend.GetOrderListResponse, body, proto_fmt).s2c
        for order in s2c.orderList:
            self.learn(_order_of(s2c.header, order))

    def learn_push_untrusted(self, body: bytes, proto_fmt: int) -> None:
        """A push 2208. Raises RemoteProtocolError for one that can't be read."""
        s2c = decode_answer_untrusted(opend.UpdateOrderResponse, body, proto_fmt).s2c
        if s2c.HasField("order"):
            self.learn(_order_of(s2c.header, s2c.order))

    def learn(self, order: KnownOrder) -> None:
        """The newest word about an order."""
        if not order.order_id and not order.order_id_ex:
            return
        for stale in {self._by_id.get((order.acc_id, order.order_id)), self._by_id_ex.get(_ex(order))} - {None}:
            assert stale is not None
            known = self._forget(stale)
            # Lists and pushes carry both ids; a reply may carry one.
            if order.order_id_ex and known.order_id_ex in {"", order.order_id_ex}:
                order = replace(order, order_id=order.order_id or known.order_id)
            if order.order_id and known.order_id in {0, order.order_id}:
                order = replace(order, order_id_ex=order.order_id_ex or known.order_id_ex)
        self._next += 1
        (self._done if order.finished else self._live)[self._next] = order
        if order.order_id:
            self._by_id[order.acc_id, order.order_id] = self._next
        if order.order_id_ex:
            self._by_id_ex[_ex(order)] = self._next
        while len(self) > self._kept:
            self._forget(next(iter(self._done or self._live)))

    def _number(self, acc_id: int, order_id: int, order_id_ex: str) -> int | None:
        number = self._by_id_ex.get((acc_id, order_id_ex)) if order_id_ex else None
        return self._by_id.get((acc_id, order_id)) if number is None and order_id else number

    def _get(self, number: int | None) -> KnownOrder | None:
        if number is None:
            return None
        return self._live.get(number) or self._done.get(number)

    def _forget(self, number: int) -> KnownOrder:
        order = self._live.pop(number, None) or self._done.pop(number)
        if order.order_id:
            self._by_id.pop((order.acc_id, order.order_id), None)
        if order.order_id_ex:
            self._by_id_ex.pop(_ex(order), None)
        return order


def order_request(facts: OrderFacts) -> bytes:
    """The body of a 2201 for the order that a write names."""
    header = opend.TrdHeader(trdEnv=facts.trd_env, accID=facts.acc_id, trdMarket=facts.trd_market)
    if facts.jp_acc_type is not None:
        header.jpAccType = facts.jp_acc_type
    wanted = opend.TrdFilterConditions()
    # One of the two: how OpenD combines both filters is not documented.
    if facts.order_id_ex:
        wanted.orderIDExList.append(facts.order_id_ex)
    else:
        wanted.idList.append(facts.order_id)
    c2s = opend.GetOrderListC2S(header=header, filterConditions=wanted, refreshCache=True)
    return encode(opend.GetOrderListRequest(c2s=c2s))


def _ex(order: KnownOrder) -> tuple[int, str]:
    return order.acc_id, order.order_id_ex


def _order_of(header: opend.TrdHeader, order: opend.Order) -> KnownOrder:
    trd_market = order.trdMarket or header.trdMarket
    side = side_of(order.trdSide)
    if order.comboLegs:
        legs = tuple(
            Leg(
                security_of_leg(leg.security.market, leg.security.code, trd_market),
                side_of(leg.side),
                _number_of(leg.qtyRatio) or Decimal(1),
            )
            for leg in order.comboLegs
        )
    else:
        legs = (Leg(security_told(trd_market, order.secMarket, order.code), side),)
    terms = Terms(
        legs=legs,
        order_type=order.orderType,
        qty=_number_of(order.qty),
        price=_number_of(order.price) if order.HasField("price") else None,
        aux_price=_number_of(order.auxPrice) if order.HasField("auxPrice") else None,
        combo=bool(order.comboLegs),
    )
    return KnownOrder(header.accID, order.orderID, order.orderIDEx, terms, order.orderStatus in FINISHED)


def _number_of(value: float) -> Decimal:
    """A number of OpenD's; what makes no sense counts as nothing, so that a change of it counts in full."""
    if math.isnan(value) or not 0 <= value <= NUMBER_MAX:
        return Decimal(0)
    return Decimal(repr(value))
