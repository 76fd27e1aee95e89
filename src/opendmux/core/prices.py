"""Last prices, and what an order is worth by them.

The worth of an order is quantity times price, in the order's currency; of options and futures times the size of a
contract. The price is the order's own where that binds: with a limit type and a limit above zero. All other orders,
and those of a type that is not known here, are worth their quantity at the last price; what waits for a trigger, at
the trigger when that is higher. A combo is worth the sum of its legs at their last prices: a net price may be zero
while the legs are not. What no price is known for has no worth here, and the gate refuses it.

A limit order to sell may be filled above its limit; it is worth its limit all the same.
"""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias, TypeVar

from opendmux.wire.messages import decode_answer_untrusted, encode
from opendmux.wire.pb import opend

from .limits import EXACT
from .orders import NUMBER_MAX, Leg, Terms
from .securities import Security

__all__ = ["FRESH_S", "STALE_S", "LastPrice", "Prices", "Quoted", "snapshot_request"]

T = TypeVar("T")
Quoted: TypeAlias = tuple[int, str]
"""(QotMarket, code)."""

FRESH_S: Final = 30.0
"""A price of this age is used without asking; an older one is asked for again first."""
STALE_S: Final = 900.0
"""When OpenD does not answer, a price up to this age serves; an older one says nothing about the market of now."""
SECURITIES_KEPT: Final = 5_000
"""Prices, and likewise contract sizes, in memory; those that were learned first go first."""

LIMIT_TYPES: Final = frozenset({1, 5, 7, 8, 9, 11, 13})
"""OrderTypes whose price can't be exceeded: normal, absolute, auction and special limit, stop limit, limit if touched.
The trailing stop limit is none: its limit moves."""
AT_ONCE: Final = frozenset({2, 6})
"""OrderTypes market and auction: they wait for no trigger, so an auxPrice means nothing."""

OPTION, FUTURE = 8, 10
"""SecurityType."""


class LastPrice(NamedTuple):
    """What a security was last traded at, and when we heard of it."""

    price: Decimal
    at: float


class Prices:
    """Last prices and contract sizes of one OpenD. Times are ``now``."""

    def __init__(self) -> None:
        self._prices: OrderedDict[Quoted, LastPrice] = OrderedDict()
        self._sizes: OrderedDict[Quoted, Decimal] = OrderedDict()
        """Units in one contract; they do not change while a contract lives."""

    def find(self, security: Security, now: float, max_age_s: float) -> Decimal | None:
        """The last price, unless it is older than that."""
        last = self._prices.get(security.quoted or (0, ""))
        return None if last is None or now - last.at > max_age_s else last.price

    # -- learning

    def learn_push_untrusted(self, body: bytes, proto_fmt: int, now: float) -> None:
        """A push 3005, or the reply to a 3004. Raises RemoteProtocolError for one that can't be read."""
        for item in decode_answer_untrusted(opend.BasicPriceResponse, body, proto_fmt).s2c.basicQotList:
            self._learn((item.security.market, item.security.code), item.curPrice, now)

    def learn_snapshots_untrusted(self, body: bytes, proto_fmt: int, now: float) -> None:
        """The reply to a 3203. Raises RemoteProtocolError for one that can't be read."""
        for item in decode_answer_untrusted(opend.SnapshotResponse, body, proto_fmt).s2c.snapshotList:
            quoted = item.basic.security.market, item.basic.security.code
            self._learn(quoted, item.basic.curPrice, now)
            option, size = item.optionExData, 1.0
            if item.basic.type in {OPTION, FUTURE}:
                size = max(item.basic.lotSize, option.contractSize, option.contractSizeFloat, option.contractMultiplier)
            if 0 < size <= NUMBER_MAX:
                _keep(self._sizes, quoted, Decimal(repr(float(size))))

    def _learn(self, quoted: Quoted, price: float, now: float) -> None:
        # Zero is a security that has not been traded; NaN fails both comparisons.
        if 0 < price <= NUMBER_MAX:
            _keep(self._prices, quoted, LastPrice(Decimal(repr(price)), now))

    # -- worth

    def value_of(self, terms: Terms, now: float, max_age_s: float = FRESH_S) -> Decimal | None:
        """What the order is worth; None when a price or a contract size is not known."""
        total = Decimal(0)
        for leg in terms.legs:
            value = self._leg_value(terms, leg, now, max_age_s)
            if value is None:
                return None
            total = EXACT.add(total, value)
        if terms.combo and terms.price is not None:
            total = max(total, EXACT.multiply(abs(terms.price), terms.qty))
        return max(total, terms.amount)

    def missing(self, terms: Terms, now: float, max_age_s: float = FRESH_S) -> list[Quoted]:
        """What a snapshot would have to tell for `value_of`; securities without a known market are not in it."""
        found: dict[Quoted, None] = {}
        for leg in terms.legs:
            quoted = leg.security.quoted
            if quoted is None:
                continue
            priceless = not _binding(terms) and self.find(leg.security, now, max_age_s) is None
            if priceless or self._size(leg.security) is None:
                found[quoted] = None
        return list(found)

    def _leg_value(self, terms: Terms, leg: Leg, now: float, max_age_s: float) -> Decimal | None:
        size = self._size(leg.security)
        price = terms.price if _binding(terms) else self._market_price(terms, leg.security, now, max_age_s)
        if size is None or price is None:
            return None
        return EXACT.multiply(EXACT.multiply(price, size), EXACT.multiply(terms.qty, leg.ratio))

    def _market_price(self, terms: Terms, security: Security, now: float, max_age_s: float) -> Decimal | None:
        last = self.find(security, now, max_age_s)
        if last is None or terms.combo or terms.order_type in AT_ONCE or terms.aux_price is None:
            return last
        return max(last, terms.aux_price)

    def _size(self, security: Security) -> Decimal | None:
        if not security.may_be_contract:
            return Decimal(1)
        return self._sizes.get(security.quoted or (0, ""))


def snapshot_request(securities: list[Quoted]) -> bytes:
    """The body of a 3203."""
    items = [opend.Security(market=market, code=code) for market, code in securities]
    return encode(opend.SnapshotRequest(c2s=opend.SnapshotC2S(securityList=items)))


def _binding(terms: Terms) -> bool:
    """The order's own price bounds what it can cost."""
    return not terms.combo and terms.order_type in LIMIT_TYPES and terms.price is not None and terms.price > 0


def _keep(table: OrderedDict[Quoted, T], quoted: Quoted, value: T) -> None:
    table[quoted] = value
    table.move_to_end(quoted)
    if len(table) > SECURITIES_KEPT:
        table.popitem(last=False)
