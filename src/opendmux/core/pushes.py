"""Which push goes to whom.

A push names no connection: the fan-out key is read out of its body (protocol reference, section 6). Quote pushes go
to the owners registered for exactly that stream, trade pushes to the owners whose Trd_SubAccPush list holds the
account, the result of an indicator calculation to the one who asked, everything else to all. A push with several
securities is split when its audiences differ; otherwise the frame that came is handed on unchanged.

The newest frame of each stream is kept while the stream is subscribed: a client that joins gets it as its first push
without upstream being asked and without the others seeing it twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from opendmux.errors import RemoteProtocolError
from opendmux.native import Push as NativePush
from opendmux.native import (
    build_frame,
    read_bytes_untrusted,
    read_int32_untrusted,
    read_messages_untrusted,
    read_security_untrusted,
    read_varint_untrusted,
)
from opendmux.wire.frame import HEADER_LEN, ProtoFmt
from opendmux.wire.protocols import ProtoId

from . import streams
from .accounts import Accounts
from .commands import Push
from .identity import Session
from .ledger import Ledger
from .streams import PushKey, Space

__all__ = ["Pushes"]

log = logging.getLogger("opendmux.pushes")

SECURITY = bytes([4, 1])
"""s2c.security of the pushes with one security; s2c.<list> of those with several."""
ITEM_SECURITY = bytes([1])
KL_REHAB_TYPE, KL_TYPE = bytes([4, 1]), bytes([4, 2])
KL_SECURITY = bytes([4, 3])
BOOK_TYPE = bytes([4, 9])
ACC_ID = bytes([4, 1, 2])
"""s2c.header.accID."""
CALC_ID = bytes([4, 1])

CALCULATIONS_KEPT = 1024
"""Asked for and not yet answered; the oldest is forgotten, for a client that went away never gets its answer."""

SINGLE: Mapping[int, int] = {
    ProtoId.QOT_UPDATE_RT: streams.RT,
    ProtoId.QOT_UPDATE_TICKER: streams.TICKER,
    ProtoId.QOT_UPDATE_BROKER: streams.BROKER,
}
LISTS: Mapping[int, tuple[Space, int]] = {
    ProtoId.QOT_UPDATE_BASIC_QOT: (Space.QOT, streams.BASIC),
    ProtoId.QOT_UPDATE_EVENT_CONTRACT_ORDER_BOOK: (Space.EVENT_CONTRACT, streams.ORDER_BOOK),
    ProtoId.QOT_UPDATE_EVENT_CONTRACT_TICKER: (Space.EVENT_CONTRACT, streams.TICKER),
    ProtoId.QOT_UPDATE_EVENT_CONTRACT_KLINE: (Space.EVENT_CONTRACT, streams.KL_DAY),
}
EVENT_CONTRACT_KLINE = ProtoId.QOT_UPDATE_EVENT_CONTRACT_KLINE
"""Carries no K-line type: it goes to whoever holds any K line of the contract."""


class Pushes:
    """Routes pushes of upstream; one object per proxy."""

    def __init__(self, accounts: Accounts, sessions: Mapping[int, Session], ledger: Ledger) -> None:
        self.unroutable = 0
        """Pushes that could not be read or that nobody can be told from."""
        self._accounts = accounts
        self._sessions = sessions
        self._ledger = ledger
        self._latest: dict[PushKey, bytes] = {}
        self._calculations: dict[bytes, int] = {}
        self._held: list[tuple[float, int, bytes]] = []
        """(not before, owner, frame) for clients that have only just got their InitConnect reply."""
        self._routes: dict[int, Callable[[NativePush, memoryview, float], list[Push]]] = {
            ProtoId.NOTIFY: self._notify,
            ProtoId.TRD_UPDATE_ORDER: self._trade,
            ProtoId.TRD_UPDATE_ORDER_FILL: self._trade,
            ProtoId.TRD_NOTIFY: self._trade,
            ProtoId.QOT_UPDATE_KL: self._kline,
            ProtoId.QOT_UPDATE_ORDER_BOOK: self._order_book,
            ProtoId.QOT_UPDATE_PRICE_REMINDER: self._everybody,
            ProtoId.QOT_UPDATE_OPTION_EVENT: self._everybody,
            ProtoId.QOT_PUSH_INDICATOR_CALC: self._calculation,
            **dict.fromkeys(SINGLE, self._single),
            **dict.fromkeys(LISTS, self._list),
        }

    def route_untrusted(self, push: NativePush, now: float) -> list[Push]:
        """Who gets this push of upstream. One that can't be read is dropped and counted, never guessed."""
        route = self._routes.get(push.proto_id)
        if route is None or push.proto_fmt != ProtoFmt.PROTOBUF:
            self.unroutable += 1
            return []
        try:
            return route(push, memoryview(push.frame)[HEADER_LEN:], now)
        except RemoteProtocolError as error:
            self.unroutable += 1
            log.warning("push %d from OpenD can't be read: %s", push.proto_id, error)
            return []

    # -- by stream

    def _single(self, push: NativePush, body: memoryview, _now: float) -> list[Push]:
        return self._stream(push.frame, Space.QOT, _security(body, SECURITY), SINGLE[push.proto_id])

    def _kline(self, push: NativePush, body: memoryview, _now: float) -> list[Push]:
        sub_type = streams.SUB_TYPE_OF_KL_TYPE.get(read_int32_untrusted(body, KL_TYPE) or 0)
        if sub_type is None:
            self.unroutable += 1
            return []
        rehab_type = read_int32_untrusted(body, KL_REHAB_TYPE) or 0
        return self._stream(push.frame, Space.QOT, _security(body, KL_SECURITY), sub_type, rehab_type)

    def _order_book(self, push: NativePush, body: memoryview, _now: float) -> list[Push]:
        odd = read_int32_untrusted(body, BOOK_TYPE) == 1
        sub_type = streams.ORDER_BOOK_ODD if odd else streams.ORDER_BOOK
        return self._stream(push.frame, Space.QOT, _security(body, SECURITY), sub_type)

    def _stream(
        self, frame: bytes, space: Space, security: tuple[int, str], sub_type: int, rehab_type: int = 0
    ) -> list[Push]:
        market, code = security
        if not self._ledger.knows(space, market, code, sub_type):
            return []
        key = PushKey(space, market, code, sub_type, rehab_type)
        self._latest[key] = frame
        audience = self._ledger.audience(space, market, code, sub_type, rehab_type)
        if not audience:
            return []
        return [Push(self._slots(audience), frame, None if sub_type == streams.TICKER else key)]

    def _list(self, push: NativePush, body: memoryview, _now: float) -> list[Push]:
        """Several securities may share the push: each client gets those it asked for and no others."""
        space, sub_type = LISTS[push.proto_id]
        items = read_messages_untrusted(body, SECURITY)
        if len(items) == 1:
            return self._item(push, push.frame, items[0], space, sub_type)
        serial_no = int.from_bytes(push.frame[8:12], "little")
        pieces: list[Push] = []
        for item in items:
            # Response{retType: 0, s2c: {list: [item]}}
            s2c = b"\x0a" + _varint(len(item)) + item
            piece = build_frame(push.proto_id, push.proto_fmt, serial_no, b"\x08\x00\x22" + _varint(len(s2c)) + s2c)
            pieces += self._item(push, piece, item, space, sub_type)
        return pieces

    def _item(self, push: NativePush, frame: bytes, item: bytes, space: Space, sub_type: int) -> list[Push]:
        market, code = _security(item, ITEM_SECURITY)
        if push.proto_id != EVENT_CONTRACT_KLINE:
            return self._stream(frame, space, (market, code), sub_type)
        audience = self._ledger.audience_any_kline(market, code)
        return [Push(self._slots(audience), frame, None)] if audience else []

    # -- by account, by asker, to all

    def _trade(self, push: NativePush, body: memoryview, now: float) -> list[Push]:
        acc_id = read_varint_untrusted(body, ACC_ID)
        if acc_id is None:
            self.unroutable += 1
            return []
        return self._to_owners(self._accounts.audience(acc_id), push.frame, now)

    def _calculation(self, push: NativePush, body: memoryview, now: float) -> list[Push]:
        owner = self._calculations.pop(read_bytes_untrusted(body, CALC_ID) or b"", None)
        return self._to_owners([] if owner is None else [owner], push.frame, now)

    def _notify(self, push: NativePush, _body: memoryview, now: float) -> list[Push]:
        return self._to_owners([s.owner for s in self._sessions.values() if s.recv_notify], push.frame, now)

    def _everybody(self, push: NativePush, _body: memoryview, now: float) -> list[Push]:
        return self._to_owners(list(self._sessions), push.frame, now)

    def _to_owners(self, owners: Sequence[int], frame: bytes, now: float) -> list[Push]:
        """Ordered delivery to the ready ones; for those that only just became ready the frame is held."""
        slots: list[int] = []
        for owner in owners:
            session = self._sessions.get(owner)
            if session is None or not session.ready:
                continue
            if session.settled_at > now:
                self._held.append((session.settled_at, owner, frame))
            else:
                slots.append(session.slot)
        return [Push(slots, frame, None)] if slots else []

    def due(self, now: float) -> list[Push]:
        """Held pushes whose clients are settled now."""
        if not self._held or all(at > now for at, _owner, _frame in self._held):
            return []
        ripe = [item for item in self._held if item[0] <= now]
        self._held = [item for item in self._held if item[0] > now]
        return [push for _at, owner, frame in ripe for push in self._to_owners([owner], frame, now)]

    # -- bookkeeping

    def first_pushes(self, owner: int, keys: Sequence[PushKey]) -> list[Push]:
        """The newest known frames of streams that were flowing before this owner joined."""
        slots = self._slots([owner])
        return [Push(slots, self._latest[key], None) for key in keys if slots and key in self._latest]

    def drop(self, keys: Sequence[PushKey]) -> None:
        """These streams are over; what was kept of them is old."""
        for key in keys:
            self._latest.pop(key, None)

    def drop_all(self) -> None:
        """The link is gone: nothing kept may be taken for news after it is back."""
        self._latest.clear()
        self._calculations.clear()

    def expect_calculation(self, calc_id: bytes, owner: int) -> None:
        """The push with this calcId is for ``owner``."""
        if len(self._calculations) >= CALCULATIONS_KEPT:
            del self._calculations[next(iter(self._calculations))]
        self._calculations[calc_id] = owner

    def forget(self, owner: int) -> None:
        """The owner is gone."""
        self._calculations = {calc: who for calc, who in self._calculations.items() if who != owner}
        self._held = [item for item in self._held if item[1] != owner]

    def _slots(self, owners: Sequence[int]) -> list[int]:
        sessions = self._sessions
        return [sessions[owner].slot for owner in owners if owner in sessions]


def _security(body: bytes | memoryview, path: bytes) -> tuple[int, str]:
    found = read_security_untrusted(body, path)
    if found is None:
        raise RemoteProtocolError("no security in it")
    market, code = found
    try:
        return market, code.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("its code is not UTF-8") from error


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
