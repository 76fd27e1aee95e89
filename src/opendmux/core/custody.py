"""Orders that have an owner who may go missing: those that keys with ``cancel_on_disconnect`` or ``dead_man_s`` have
placed through this proxy, as long as they may be open, and what modifications have made of them.

An order is taken up when OpenD has accepted it, also when its client has gone by then. It is let go when OpenD says, by
a push (2208) or in a list (2201), that nothing more will happen to it; one that is just not in the list any more, when
two looks agree on that, and then a person is told. What is not here is never cancelled: orders of
other programs, of keys without these settings, and one whose placing ended with "outcome unknown".
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

import msgspec

from opendmux.errors import RemoteProtocolError
from opendmux.wire.messages import decode_answer_untrusted, encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from opendmux.wording import printable

from .keys import Key
from .orderbook import FINISHED
from .orders import Op, read_order_untrusted

__all__ = [
    "APART_S",
    "PLACING",
    "SETTLED_S",
    "YOUNG_S",
    "Account",
    "Custody",
    "Listed",
    "Placed",
    "cancel_body",
    "dump",
    "guarded",
    "list_body",
    "parse",
]

log = logging.getLogger("opendmux.router")

PLACING: Final = frozenset({ProtoId.TRD_PLACE_ORDER, ProtoId.TRD_PLACE_COMBO_ORDER})

CANCELLING: Final = frozenset({12, 13})
"""OrderStatus of orders that wait for the exchange to cancel them."""

YOUNG_S: Final = 60.0
"""An order that is not in OpenD's list may be so new that the list does not have it yet."""

SETTLED_S: Final = 60.0
"""So long after a connection to OpenD was made its lists prove nothing: one that has just been started may not have
fetched all orders yet. How long that takes is not documented."""

APART_S: Final = 30.0
"""Two looks that do not find an order must be so far apart before it is let go."""


class Account(NamedTuple):
    """What trade calls name: TrdHeader."""

    trd_env: int
    acc_id: int
    trd_market: int
    jp_acc_type: int | None = None

    @property
    def header(self) -> opend.TrdHeader:
        """As calls carry it."""
        header = opend.TrdHeader(trdEnv=self.trd_env, accID=self.acc_id, trdMarket=self.trd_market)
        if self.jp_acc_type is not None:
            header.jpAccType = self.jp_acc_type
        return header


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that may be open. ``order_id`` 0 and ``order_id_ex`` empty: not told."""

    key_id: str
    account: Account
    order_id: int
    order_id_ex: str
    wall: float
    """When OpenD accepted it, UTC seconds."""

    def is_it(self, acc_id: int, order_id: int, order_id_ex: str) -> bool:
        """These ids are its own."""
        if acc_id != self.account.acc_id:
            return False
        if self.order_id_ex and order_id_ex:
            return self.order_id_ex == order_id_ex
        return bool(self.order_id) and self.order_id == order_id

    @property
    def name(self) -> str:
        """For logs."""
        return f"order {self.order_id_ex or self.order_id} of account {self.account.acc_id}"

    @property
    def told(self) -> str:
        """For alerts, which go to places of others: of the account its last digits."""
        return f"order {printable(self.order_id_ex) or self.order_id} of account ...{str(self.account.acc_id)[-4:]}"


class Listed(NamedTuple):
    """What a look at an account's list has shown of a key's orders."""

    still: list[Placed]
    """Open, and not being cancelled already."""
    unsure: int
    """How many older ones are not there, and are looked for again."""
    vanished: list[Placed]
    """Let go, though OpenD has never said how they ended."""


def guarded(key: Key | None) -> bool:
    """Orders of this key are taken up."""
    return key is not None and (key.cancel_on_disconnect is not None or key.dead_man_s is not None)


class Custody:
    """The orders at one OpenD."""

    def __init__(self) -> None:
        self._orders: dict[str, list[Placed]] = {}
        """By key id."""
        self._unlisted: set[Placed] = set()
        """Those that were said to be open without being in a list: a second cancel of them would be sent blindly."""
        self._missed: dict[Placed, float] = {}
        """Older ones that were not in a list, by the time of the first look that counts."""
        self.version = 0
        """Grows with every change."""
        self.accounts: frozenset[int] = frozenset()
        """Where orders were accepted since the start: their pushes are wanted."""

    def of(self, key_id: str) -> list[Placed]:
        """The orders of this key that may be open, oldest first."""
        return list(self._orders.get(key_id, ()))

    def holders(self) -> dict[str, int]:
        """How many each key has."""
        return {key_id: len(orders) for key_id, orders in self._orders.items()}

    def all(self) -> list[Placed]:
        """Every one."""
        return [order for orders in self._orders.values() for order in orders]

    def accepted_untrusted(
        self, key_id: str, request: tuple[int, int, bytes], answer: tuple[int, bytes], wall: float
    ) -> Placed:
        """OpenD has taken a new order. ``request``: its proto_id, format and body; ``answer``: format and body. Raises
        RemoteProtocolError when one of them can't be read: then nobody knows the order's name."""
        proto_id, proto_fmt, body = request
        facts = read_order_untrusted(proto_id, proto_fmt, body)
        if proto_id == ProtoId.TRD_PLACE_COMBO_ORDER:
            combo = decode_answer_untrusted(opend.ComboOrderIdResponse, answer[1], answer[0]).s2c
            order_id, order_id_ex = 0, combo.orderIDEx
        else:
            s2c = decode_answer_untrusted(opend.OrderIdResponse, answer[1], answer[0]).s2c
            order_id, order_id_ex = s2c.orderID, s2c.orderIDEx
        if not order_id and not order_id_ex:
            raise RemoteProtocolError("the answer names no order")
        account = Account(facts.trd_env, facts.acc_id, facts.trd_market, facts.jp_acc_type)
        placed = Placed(key_id, account, order_id, order_id_ex, wall)
        self.take(placed)
        self.accounts |= {account.acc_id}
        return placed

    def changed_untrusted(self, request: tuple[int, int, bytes], answer: tuple[int, bytes]) -> None:
        """OpenD has taken a write about orders that exist; whether it may answer with other ids than it was asked with
        is not documented. Then both are kept, for the key that placed it, until a list or a push tells of their end.
        Raises RemoteProtocolError when one of them can't be read."""
        if not self._orders:
            return
        facts = read_order_untrusted(*request)
        s2c = decode_answer_untrusted(opend.OrderIdResponse, answer[1], answer[0]).s2c
        if facts.calming or not (s2c.orderID or s2c.orderIDEx):
            return
        named = [one for one in self.all() if one.is_it(facts.acc_id, facts.order_id, facts.order_id_ex)]
        if named and not any(one.is_it(facts.acc_id, s2c.orderID, s2c.orderIDEx) for one in self.all()):
            self.take(replace(named[0], order_id=s2c.orderID, order_id_ex=s2c.orderIDEx))

    def take(self, placed: Placed) -> None:
        """It may be open."""
        self._orders.setdefault(placed.key_id, []).append(placed)
        self.version += 1

    def pushed(self, body: bytes, proto_fmt: int) -> None:
        """A push 2208; one that can't be read teaches nothing."""
        if not self._orders:
            return
        try:
            s2c = decode_answer_untrusted(opend.UpdateOrderResponse, body, proto_fmt).s2c
        except RemoteProtocolError:
            return
        if s2c.order.orderStatus in FINISHED:
            for placed in self.all():
                if placed.is_it(s2c.header.accID, s2c.order.orderID, s2c.order.orderIDEx):
                    self.let_go(placed)

    def listed_untrusted(
        self, key_id: str, account: Account, answer: tuple[int, bytes], wall: float, now: float, *, since: float
    ) -> Listed:
        """The answer to `list_body` for this account, its format and body: lets those of the key's orders go that are
        final. One that is too new for the list is told as open once; an older one that is not there is let go when two
        looks agree on it. ``now`` and ``since``, when the connection to OpenD was made: Trio seconds.

        Raises RemoteProtocolError for one that can't be read."""
        proto_fmt, body = answer
        orders = decode_answer_untrusted(opend.GetOrderListResponse, body, proto_fmt).s2c.orderList
        still, unsure, vanished = list[Placed](), 0, list[Placed]()
        for placed in [one for one in self.of(key_id) if one.account == account]:
            found = [one for one in orders if placed.is_it(account.acc_id, one.orderID, one.orderIDEx)]
            if any(one.orderStatus in FINISHED for one in found):
                self.let_go(placed)
                continue
            if found:
                self._missed.pop(placed, None)
                named = self._named(placed, found[0])
                if not any(one.orderStatus in CANCELLING for one in found):
                    still.append(named)
            elif wall - placed.wall < YOUNG_S:
                if placed not in self._unlisted:
                    self._unlisted.add(placed)
                    still.append(placed)
            elif self._has_vanished(placed, now, since):
                log.error("%s of the key %s is not in OpenD's list: it is let go, not cancelled", placed.name, key_id)
                self.let_go(placed)
                vanished.append(placed)
            else:
                unsure += 1
        return Listed(still, unsure, vanished)

    def _has_vanished(self, placed: Placed, now: float, since: float) -> bool:
        """It is not in the list, and was not in an earlier one of this connection."""
        if now < since + SETTLED_S:
            return False
        first = self._missed.get(placed)
        if first is None or first < since:
            self._missed[placed] = now
            return False
        return now - first >= APART_S

    def _named(self, placed: Placed, found: opend.Order) -> Placed:
        """With both of its ids."""
        named = replace(
            placed,
            order_id=placed.order_id or found.orderID,
            order_id_ex=placed.order_id_ex or found.orderIDEx,
        )
        if named != placed:
            orders = self._orders[placed.key_id]
            orders[orders.index(placed)] = named
            self._missed.pop(placed, None)
            if placed in self._unlisted:
                self._unlisted.discard(placed)
                self._unlisted.add(named)  # it has had the one that is sent blindly, by whatever name
        return named

    def let_go(self, placed: Placed) -> None:
        """Nothing more will happen to it; harmless when it is not here."""
        self._unlisted.discard(placed)
        self._missed.pop(placed, None)
        orders = self._orders.get(placed.key_id, [])
        if placed in orders:
            orders.remove(placed)
            self.version += 1
        if not orders:
            self._orders.pop(placed.key_id, None)

    def forget(self, key_id: str) -> None:
        """The key does not want it any more."""
        for placed in self.of(key_id):
            self.let_go(placed)


def list_body(account: Account) -> bytes:
    """A 2201 for all orders of the account, as OpenD has them now and not as it remembers them."""
    c2s = opend.GetOrderListC2S(header=account.header, refreshCache=True)
    return encode(opend.GetOrderListRequest(c2s=c2s))


def cancel_body(placed: Placed) -> bytes:
    """A 2205 that cancels it; the PacketID is put in when it is sent."""
    c2s = opend.ModifyOrderC2S(
        packetID=opend.PacketID(connID=0, serialNo=0),
        header=placed.account.header,
        orderID=placed.order_id,
        modifyOrderOp=Op.CANCEL,
    )
    if placed.order_id_ex:
        c2s.orderIDEx = placed.order_id_ex
    # OpenD's documentation lists both as required; a cancel does not look at them.
    c2s.qty = c2s.price = 0.0
    return encode(opend.ModifyOrderRequest(c2s=c2s))


# -- the file


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    opend: str
    key: str
    trd_env: int
    acc_id: int
    trd_market: int
    jp_acc_type: int | None
    order_id: int
    order_id_ex: str
    wall: float


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    orders: list[_Kept]


def dump(orders: Mapping[str, Iterable[Placed]]) -> bytes:
    """As they are kept over a restart, by the name of their OpenD."""
    kept = [
        _Kept(name, one.key_id, *one.account, one.order_id, one.order_id_ex, one.wall)
        for name, some in orders.items()
        for one in some
    ]
    return msgspec.json.encode(_File(1, kept)) + b"\n"


def parse(data: bytes) -> dict[str, list[Placed]]:
    """What `dump` wrote. Raises ValueError for everything else."""
    found: dict[str, list[Placed]] = {}
    for one in msgspec.json.decode(data, type=_File).orders:
        account = Account(one.trd_env, one.acc_id, one.trd_market, one.jp_acc_type)
        found.setdefault(one.opend, []).append(Placed(one.key, account, one.order_id, one.order_id_ex, one.wall))
    return found
