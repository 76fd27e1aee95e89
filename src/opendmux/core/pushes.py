"""Which push goes to whom.

A push names no connection: the fan-out key is read out of its body (protocol reference, section 6). Quote pushes go
to the owners registered for exactly that stream, trade pushes to the owners whose Trd_SubAccPush list holds the
account, the result of an indicator calculation to the one who asked, everything else to all. A push with several
securities is split when its audiences differ; otherwise the frame that came is handed on unchanged.

The newest frame of each stream is kept while the stream is subscribed: a client that joins gets it as its first push
without upstream being asked and without the others seeing it twice.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from opendmux.errors import RemoteProtocolError
from opendmux.native import Push as NativePush
from opendmux.native import build_frame
from opendmux.wire.frame import ProtoFmt, RetType
from opendmux.wire.messages import to_client
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from . import streams
from .accounts import Accounts
from .commands import Push
from .identity import Session
from .ledger import Ledger
from .pushbody import Body, Item, Place, open_untrusted, proto_id_of, push_of
from .pushplaces import (
    BOOK_TYPE,
    CALC_ID,
    EVENT_CONTRACT_KLINE,
    KL_REHAB_TYPE,
    KL_SECURITY,
    KL_TYPE,
    LISTS,
    OPTION_OWNER,
    SECURITY,
    SINGLE,
    TICK_SEQUENCE,
    TICKS,
)
from .streams import PushKey, Space
from .tradepush import ACC_ID, traded_untrusted
from .visibility import Trade, Visibility

__all__ = ["Pushes"]

log = logging.getLogger("opendmux.pushes")

CALCULATIONS_KEPT = 1024
"""Asked for and not yet answered; the oldest is forgotten, for a client that went away never gets its answer."""


class Pushes:
    """Routes the pushes of one lane."""

    def __init__(
        self,
        lane: int,
        accounts: Accounts,
        sessions: Mapping[int, Session],
        ledger: Ledger,
        visibility: Visibility,
    ) -> None:
        self.taken = 0
        """Pushes that came from upstream."""
        self.heard: dict[int, int] = {}
        """QotMarket -> quote pushes of streams that somebody has subscribed."""
        self.unroutable = 0
        """Pushes that could not be read or that nobody can be told from."""
        self.push_fmt = ProtoFmt.PROTOBUF
        """In which they come, and in which the proxy's own are made."""
        self._lane = lane
        self._accounts = accounts
        self._sessions = sessions
        self._ledger = ledger
        self._visibility = visibility
        self._latest: dict[PushKey, bytes] = {}
        self._calculations: dict[str, int] = {}
        self._seen: dict[PushKey, set[int]] = {}
        """Ticks that were handed out before an outage, until the stream's first push after it."""
        self._held: dict[int, list[bytes]] = {}
        """By owner: frames for clients that have only just got their InitConnect reply; later ones line up behind."""
        self._routes: dict[int, Callable[[NativePush, Body, float], list[Push]]] = {
            ProtoId.NOTIFY: self._notify,
            ProtoId.TRD_UPDATE_ORDER: self._trade,
            ProtoId.TRD_UPDATE_ORDER_FILL: self._trade,
            ProtoId.TRD_NOTIFY: self._trade,
            ProtoId.QOT_UPDATE_KL: self._kline,
            ProtoId.QOT_UPDATE_ORDER_BOOK: self._order_book,
            ProtoId.QOT_UPDATE_PRICE_REMINDER: self._reminder,
            ProtoId.QOT_UPDATE_OPTION_EVENT: self._option_event,
            ProtoId.QOT_PUSH_INDICATOR_CALC: self._calculation,
            **dict.fromkeys(SINGLE, self._single),
            **dict.fromkeys(LISTS, self._list),
        }

    def route_untrusted(self, push: NativePush, now: float) -> list[Push]:
        """Who gets this push of upstream. One that can't be read is dropped and counted, never guessed."""
        self.taken += 1
        route = self._routes.get(push.proto_id)
        if route is None:
            self.unroutable += 1
            return []
        try:
            return route(push, open_untrusted(push), now)
        except RemoteProtocolError as error:
            self.unroutable += 1
            log.warning("push %d from OpenD can't be read: %s", push.proto_id, error)
            return []

    # -- by stream

    def _single(self, push: NativePush, body: Body, _now: float) -> list[Push]:
        sub_type, security = SINGLE[push.proto_id], body.security_untrusted(SECURITY)
        if sub_type == streams.TICKER and self._seen:
            seen = self._seen.pop(PushKey(Space.QOT, *security, sub_type, 0), None)
            if seen is not None and body.numbers_untrusted(TICKS, TICK_SEQUENCE) <= seen:
                return []
        return self._stream(push.proto_id, push.frame, Space.QOT, security, sub_type)

    def _kline(self, push: NativePush, body: Body, _now: float) -> list[Push]:
        sub_type = streams.SUB_TYPE_OF_KL_TYPE.get(body.int32_untrusted(KL_TYPE))
        if sub_type is None:
            self.unroutable += 1
            return []
        rehab_type = body.int32_untrusted(KL_REHAB_TYPE)
        if rehab_type not in streams.REHAB_TYPES:
            self.unroutable += 1
            return []
        security = body.security_untrusted(KL_SECURITY)
        return self._stream(push.proto_id, push.frame, Space.QOT, security, sub_type, rehab_type)

    def _order_book(self, push: NativePush, body: Body, _now: float) -> list[Push]:
        odd = body.int32_untrusted(BOOK_TYPE) == 1
        sub_type = streams.ORDER_BOOK_ODD if odd else streams.ORDER_BOOK
        return self._stream(push.proto_id, push.frame, Space.QOT, body.security_untrusted(SECURITY), sub_type)

    def _stream(
        self,
        proto_id: int,
        frame: bytes,
        space: Space,
        security: tuple[int, str],
        sub_type: int,
        rehab_type: int = 0,
    ) -> list[Push]:
        market, code = security
        if not self._ledger.knows(space, market, code, sub_type):
            return []
        key = PushKey(space, market, code, sub_type, rehab_type)
        self._latest[key] = frame
        if space is Space.QOT:
            self.heard[market] = self.heard.get(market, 0) + 1
        audience = self._ledger.audience(space, market, code, sub_type, rehab_type)
        if not audience:
            return []
        slots = self._slots(audience, proto_id, security)
        return [Push(slots, frame, None if sub_type == streams.TICKER else key)] if slots else []

    def _list(self, push: NativePush, body: Body, _now: float) -> list[Push]:
        """Several securities may share the push: each client gets those it asked for and no others."""
        space, sub_type, place, security = LISTS[push.proto_id]
        items = body.items_untrusted(place, security)
        if len(items) == 1:
            return self._item(push, push.frame, items[0], space, sub_type)
        pushes: list[Push] = []
        for item in items:
            if push.proto_id == EVENT_CONTRACT_KLINE or self._ledger.knows(space, item.market, item.code, sub_type):
                pushes += self._item(push, body.frame_of(place, item), item, space, sub_type)
        return pushes

    def _item(self, push: NativePush, frame: bytes, item: Item, space: Space, sub_type: int) -> list[Push]:
        if push.proto_id != EVENT_CONTRACT_KLINE:
            return self._stream(push.proto_id, frame, space, (item.market, item.code), sub_type)
        audience = self._ledger.audience_any_kline(item.market, item.code)
        slots = self._slots(audience, push.proto_id, (item.market, item.code))
        return [Push(slots, frame, None)] if slots else []

    # -- by account, by asker, to all

    def _trade(self, push: NativePush, body: Body, now: float) -> list[Push]:
        acc_id = body.uint64_untrusted(ACC_ID)
        if acc_id is None:
            self.unroutable += 1
            return []

        def traded() -> Sequence[tuple[str, str]]:
            try:
                return traded_untrusted(push.proto_id, body)
            except RemoteProtocolError:
                return ()

        trade = Trade(push.proto_id, acc_id, traded)
        if self.push_fmt == ProtoFmt.PROTOBUF:  # a JSON lane gets the same push once more, for clients of its own
            self._visibility.missed(self._sessions.values(), trade)
        audience = [self._sessions[o] for o in self._accounts.audience(acc_id) if o in self._sessions]
        return self.to_owners([s.owner for s in self._visibility.of_trade(audience, trade)], push.frame, now)

    def _calculation(self, push: NativePush, body: Body, now: float) -> list[Push]:
        owner = self._calculations.pop(body.text_untrusted(CALC_ID), None)
        session = None if owner is None else self._sessions.get(owner)
        return [] if session is None else self._to_those(push.proto_id, push.frame, [session], now)

    def _notify(self, push: NativePush, _body: Body, now: float) -> list[Push]:
        takers = [s for s in self._sessions.values() if s.recv_notify and s.lane == self._lane]
        return self._to_those(push.proto_id, push.frame, takers, now)

    def _reminder(self, push: NativePush, body: Body, now: float) -> list[Push]:
        return self._to_all(push, now, _told(body, SECURITY))

    def _option_event(self, push: NativePush, body: Body, now: float) -> list[Push]:
        return self._to_all(push, now, _told(body, OPTION_OWNER))

    def _to_all(self, push: NativePush, now: float, security: tuple[int, str]) -> list[Push]:
        mine = (session for session in self._sessions.values() if session.lane == self._lane)
        return self._to_those(push.proto_id, push.frame, mine, now, security)

    def _to_those(
        self,
        proto_id: int,
        frame: bytes,
        sessions: Iterable[Session],
        now: float,
        security: tuple[int, str] | None = None,
    ) -> list[Push]:
        ready = (session for session in sessions if session.ready)
        seeing = self._visibility.of(ready, proto_id, security)
        return self.to_owners([session.owner for session in seeing], frame, now)

    def to_owners(self, owners: Sequence[int], frame: bytes, now: float) -> list[Push]:
        """Ordered delivery to the ready ones; for those that only just became ready the frame is held, and so is what
        comes behind it."""
        slots: list[int] = []
        for owner in owners:
            session = self._sessions.get(owner)
            if session is None or not session.ready:
                continue
            if session.settled_at > now or owner in self._held:
                self._held.setdefault(owner, []).append(frame)
            else:
                slots.extend(session.push_slots)
        return [Push(slots, frame, None)] if slots else []

    def notify(self, owners: Iterable[int], s2c: opend.NotifyS2C, now: float) -> list[Push]:
        """A notification of our own, for those among the owners that take any."""
        takers = [self._sessions[owner] for owner in owners if owner in self._sessions]
        message = opend.NotifyResponse(retType=RetType.SUCCEED, s2c=s2c)
        frame = build_frame(ProtoId.NOTIFY, self.push_fmt, 0, to_client(message, self.push_fmt))
        return self._to_those(ProtoId.NOTIFY, frame, [taker for taker in takers if taker.recv_notify], now)

    def due(self, now: float) -> list[Push]:
        """Held pushes whose clients are settled now."""
        ripe = [owner for owner in self._held if self._sessions[owner].settled_at <= now]
        held = [(owner, frame) for owner in ripe for frame in self._held.pop(owner)]
        return [push for owner, frame in held for push in self.to_owners([owner], frame, now)]

    # -- bookkeeping

    def first_pushes(self, owner: int, keys: Sequence[PushKey]) -> list[Push]:
        """The newest known frames of streams that were flowing before this owner joined."""
        pushes: list[Push] = []
        for key in keys:
            frame = self._latest.get(key)
            slots = [] if frame is None else self._slots([owner], proto_id_of(frame), (key.market, key.code))
            if frame is not None and slots:
                pushes.append(Push(slots, frame, None))
        return pushes

    def greeting(self, session: Session, slot: int) -> list[Push]:
        """The newest known frames of all that the session gets, for a stream of it that begins."""
        return [
            Push([slot], frame, key)
            for key, frame in self._latest.items()
            if session.owner in self._ledger.audience(*key)
            and self._visibility.sees(session, proto_id_of(frame), (key.market, key.code))
        ]

    def drop(self, keys: Sequence[PushKey]) -> None:
        """These streams are over; what was kept of them is old."""
        for key in keys:
            self._latest.pop(key, None)
            self._seen.pop(key, None)
            if not self._ledger.knows(*key[:4]):
                # OpenD may have pushed rehab types that it was not known to have.
                for rehab_type in streams.REHAB_TYPES:
                    self._latest.pop(key._replace(rehab_type=rehab_type), None)

    def drop_all(self) -> None:
        """The link is gone: nothing kept may be taken for news after it is back.

        Of ticks the last ones are remembered: OpenD repeats them when it is asked again, and a tick must not come
        twice.
        """
        for key, frame in self._latest.items():
            if key.sub_type == streams.TICKER and key.space is Space.QOT:
                # Routing looked at the security alone; what is wrong with the ticks themselves shows only here.
                with contextlib.suppress(RemoteProtocolError):
                    self._seen[key] = _ticks_of(frame)
        self._latest.clear()
        self._calculations.clear()

    def expect_calculation(self, calc_id: str, owner: int) -> None:
        """The push with this calcId is for ``owner``, unless it has gone."""
        if owner not in self._sessions:
            return
        if len(self._calculations) >= CALCULATIONS_KEPT:
            del self._calculations[next(iter(self._calculations))]
        self._calculations[calc_id] = owner

    def forget(self, owner: int) -> None:
        """The owner is gone."""
        self._calculations = {calc: who for calc, who in self._calculations.items() if who != owner}
        self._held.pop(owner, None)

    def _slots(self, owners: Sequence[int], proto_id: int, security: tuple[int, str]) -> list[int]:
        sessions = self._sessions
        ready = (sessions[owner] for owner in owners if owner in sessions and sessions[owner].ready)
        may_see = self._visibility.of(ready, proto_id, security)
        return [slot for session in may_see for slot in session.push_slots]


def _told(body: Body, place: Place) -> tuple[int, str]:
    """The security of a push that goes to all whatever is in it: in no whitelist where it can't be read."""
    try:
        return body.security_untrusted(place)
    except RemoteProtocolError:
        return 0, ""


def _ticks_of(frame: bytes) -> set[int]:
    return open_untrusted(push_of(frame)).numbers_untrusted(TICKS, TICK_SEQUENCE)
