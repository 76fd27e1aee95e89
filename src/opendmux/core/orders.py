"""What a trade write asks for, in the words that limits are written in: market, symbol, side, quantity, price.

Numbers become Decimals of their shortest text, so that 0.1 times 3 is 0.3.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from opendmux.errors import RemoteProtocolError
from opendmux.native import read_int32_untrusted
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.messages import decode_untrusted
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .securities import Security, security_of, security_of_leg, side_of

__all__ = [
    "NUMBER_MAX",
    "Change",
    "Leg",
    "Op",
    "OrderFacts",
    "Terms",
    "is_calming_untrusted",
    "number_untrusted",
    "read_order_untrusted",
    "surely_calming_untrusted",
]

NUMBER_MAX: Final = 10.0**15
"""A quantity or price above this is nobody's intention; below it every value is exact in our arithmetic."""

LEGS_MAX: Final = 50
"""Of a combo; the largest strategies have four. Each leg may cost a question to OpenD."""


class Op(enum.IntEnum):
    """Trd_Common.ModifyOrderOp."""

    NORMAL = 1
    CANCEL = 2
    DISABLE = 3
    ENABLE = 4
    DELETE = 5


CALMING: Final = frozenset({Op.CANCEL, Op.DISABLE, Op.DELETE})
"""They take an order out of the market: no limit may ever stand in their way."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of an order; an order for one security has one leg of ratio 1. ``side`` is empty when it is unknown."""

    security: Security
    side: str
    ratio: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Change:
    """What a modification sets; None: it stays as it is."""

    qty: Decimal | None
    price: Decimal | None
    aux_price: Decimal | None


@dataclass(frozen=True, slots=True)
class Terms:
    """What an order is about."""

    legs: tuple[Leg, ...]
    order_type: int
    qty: Decimal
    price: Decimal | None
    """Of a combo: the net price, which may be negative."""
    aux_price: Decimal | None = None
    amount: Decimal = Decimal(0)
    """Of orders by amount: event contracts."""
    combo: bool = False

    def changed(self, change: Change) -> Terms:
        """The terms after a modification."""
        return replace(
            self,
            qty=self.qty if change.qty is None else change.qty,
            price=self.price if change.price is None else change.price,
            aux_price=self.aux_price if change.aux_price is None else change.aux_price,
        )


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """One trade write, read."""

    proto_id: int
    trd_env: int
    acc_id: int
    trd_market: int
    jp_acc_type: int | None = None
    terms: Terms | None = None
    """Of a new order; None when the write is about an order that exists."""
    op: Op | None = None
    """Of 2205."""
    change: Change | None = None
    """Of 2205 with op NORMAL."""
    for_all: bool = False
    order_id: int = 0
    order_id_ex: str = ""

    @property
    def calming(self) -> bool:
        """It only takes orders out of the market."""
        return self.op in CALMING


MODIFY_OP: Final = bytes([1, 4])


def is_calming_untrusted(proto_id: int, proto_fmt: int, body: bytes) -> bool:
    """The write is a cancel, disable or delete, for one order or for all; read without looking at the rest."""
    if proto_id != ProtoId.TRD_MODIFY_ORDER:
        return False
    if proto_fmt == ProtoFmt.PROTOBUF:
        return read_int32_untrusted(body, MODIFY_OP) in CALMING
    return decode_untrusted(opend.ModifyOrderRequest, body, proto_fmt).c2s.modifyOrderOp in CALMING


def surely_calming_untrusted(proto_id: int, proto_fmt: int, body: bytes) -> bool:
    """The same for those who let a cancel pass where nothing else may: a body that can't be read is none."""
    try:
        return is_calming_untrusted(proto_id, proto_fmt, body)
    except RemoteProtocolError:
        return False


def read_order_untrusted(proto_id: int, proto_fmt: int, body: bytes) -> OrderFacts:
    """What one of the five trade writes asks for.

    Raises RemoteProtocolError for a body that can't be read, a number that is none (NaN, infinite, negative, above
    `NUMBER_MAX`) and an operation that does not exist.
    """
    if proto_id == ProtoId.TRD_PLACE_ORDER:
        return _place_untrusted(decode_untrusted(opend.PlaceOrderRequest, body, proto_fmt).c2s)
    if proto_id == ProtoId.TRD_MODIFY_ORDER:
        return _modify_untrusted(decode_untrusted(opend.ModifyOrderRequest, body, proto_fmt).c2s)
    if proto_id == ProtoId.TRD_PLACE_COMBO_ORDER:
        return _combo_untrusted(decode_untrusted(opend.PlaceComboOrderRequest, body, proto_fmt).c2s)
    if proto_id in {ProtoId.TRD_RECONFIRM_ORDER_2209, ProtoId.TRD_RECONFIRM_ORDER_2237}:
        c2s = decode_untrusted(opend.ReconfirmOrderRequest, body, proto_fmt).c2s
        return replace(_header(proto_id, c2s.header), order_id=c2s.orderID)
    raise RemoteProtocolError(f"proto_id {proto_id} is no trade write")


def _header(proto_id: int, header: opend.TrdHeader) -> OrderFacts:
    jp_acc_type = header.jpAccType if header.HasField("jpAccType") else None
    return OrderFacts(proto_id, header.trdEnv, header.accID, header.trdMarket, jp_acc_type)


def _place_untrusted(c2s: opend.PlaceOrderC2S) -> OrderFacts:
    security = security_of(c2s.header.trdMarket, c2s.secMarket, c2s.code)
    terms = Terms(
        legs=(Leg(security, side_of(c2s.trdSide)),),
        order_type=c2s.orderType,
        qty=number_untrusted("qty", c2s.qty),
        price=_raised_untrusted(c2s) if c2s.HasField("price") else None,
        aux_price=number_untrusted("auxPrice", c2s.auxPrice) if c2s.HasField("auxPrice") else None,
        amount=number_untrusted("amount", c2s.amount),
    )
    return replace(_header(ProtoId.TRD_PLACE_ORDER, c2s.header), terms=terms)


def _modify_untrusted(c2s: opend.ModifyOrderC2S) -> OrderFacts:
    try:
        op = Op(c2s.modifyOrderOp)
    except ValueError as error:
        raise RemoteProtocolError(f"modifyOrderOp {c2s.modifyOrderOp} does not exist") from error
    facts = replace(
        _header(ProtoId.TRD_MODIFY_ORDER, c2s.header),
        op=op,
        for_all=c2s.forAll,
        order_id=c2s.orderID,
        order_id_ex=c2s.orderIDEx,
    )
    if op is not Op.NORMAL:
        return facts
    change = Change(
        qty=number_untrusted("qty", c2s.qty) if c2s.HasField("qty") else None,
        price=_raised_untrusted(c2s) if c2s.HasField("price") else None,
        aux_price=number_untrusted("auxPrice", c2s.auxPrice) if c2s.HasField("auxPrice") else None,
    )
    return replace(facts, change=change)


def _combo_untrusted(c2s: opend.PlaceComboOrderC2S) -> OrderFacts:
    if not c2s.comboLegs:
        raise RemoteProtocolError("comboLegs is empty")
    if len(c2s.comboLegs) > LEGS_MAX:
        raise RemoteProtocolError(f"comboLegs has {len(c2s.comboLegs)} legs, more than {LEGS_MAX}")
    legs = tuple(
        Leg(
            security_of_leg(leg.security.market, leg.security.code, c2s.header.trdMarket),
            side_of(leg.side),
            # OpenD's meaning of an absent ratio is not documented; one is the least that a leg can be.
            number_untrusted("qtyRatio", leg.qtyRatio) or Decimal(1),
        )
        for leg in c2s.comboLegs
    )
    price = number_untrusted("price", c2s.price, negative=True) if c2s.HasField("price") else None
    terms = Terms(legs, c2s.orderType, number_untrusted("qty", c2s.qty), price, combo=True)
    return replace(_header(ProtoId.TRD_PLACE_COMBO_ORDER, c2s.header), terms=terms)


def _raised_untrusted(c2s: opend.PlaceOrderC2S | opend.ModifyOrderC2S) -> Decimal:
    """The highest price that the order may get: OpenD is allowed to move it up to a valid tick by that fraction."""
    price = number_untrusted("price", c2s.price)
    limit = number_untrusted("adjustSideAndLimit", c2s.adjustSideAndLimit, negative=True)
    return price * (1 + limit) if c2s.adjustPrice and limit > 0 else price


def number_untrusted(name: str, value: float, *, negative: bool = False) -> Decimal:
    """A number of a message. Raises RemoteProtocolError for one that can't be meant."""
    if math.isnan(value) or abs(value) > NUMBER_MAX or (value < 0 and not negative):
        raise RemoteProtocolError(f"{name} is {value}")
    return Decimal(repr(value + 0.0))
