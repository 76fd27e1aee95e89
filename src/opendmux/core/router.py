"""The router: a client's frame, an upstream reply or a change of a link comes in, commands come out.

Theory of operation. The native switch has already passed on what may be forwarded blindly; what arrives here is what
core must see: frames before InitConnect, INSPECT, LOCAL and DENY cells, everything while the link is down, bad
frames, and replies of EVENT cells. State changes at once and completely; the returned commands are executed in order
by runtime. A request is answered exactly once: by a command from here, or by the closing of its session.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from opendmux.errors import RemoteProtocolError
from opendmux.native import FRAME, ClientEvent
from opendmux.native import Push as NativePush
from opendmux.wire import handshake
from opendmux.wire.frame import HEADER_LEN
from opendmux.wire.handshake import Act, State
from opendmux.wire.protocols import PACKET_ID_IDS, ProtoId, RequestAction

from .access import Access
from .accountgate import AccountGate
from .answers import denied, failed, name_of, refused, reply, unavailable
from .badframes import KNOWN_FMTS, answer_to_bad
from .budgets import Waits
from .commands import Command, Forward, Outcome, Push, Reply, Request, in_time
from .custody import guarded
from .denial import Denial, DenialKind
from .entry import Entry, end
from .gate import HANDSHAKE_ROW, action_of, denial_of, is_trade, missing_scope
from .identity import Session
from .keys import Key
from .knowledge import LEARNT_IDS, Knowledge
from .lanes import Lane, Lanes
from .limits import Limits
from .links import Links
from .metering import Metering
from .notices import ConnStatus, Notice, read_notice_untrusted
from .outages import Outages
from .parking import Parking
from .replies import editor_of
from .subscriptions import Subscriptions
from .tenancy import Tenancy
from .tradegate import TradeGate
from .unlock import Mode, Unlock
from .visibility import Visibility
from .writes import Writes

__all__ = ["Policy", "Router"]

TRADER_IDS = PACKET_ID_IDS | {ProtoId.TRD_GET_ACC_LIST, ProtoId.TRD_SUB_ACC_PUSH}
"""Who sends one of these may send an order at any time."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the owner of the proxy decided. ``open_row``: the policy row of a client after InitConnect."""

    open_row: bytes
    park_s: float
    unlock: Mode = "shared"
    extra_lanes: int = 4
    budgets: bool = True
    coalesce: bool = True
    retry_reads: bool = False
    reply_s: float = 11.0
    waits: Waits = field(default_factory=Waits)


class Router:
    """All decisions about requests and replies of one OpenD (or group of OpenDs)."""

    def __init__(
        self,
        address: str,
        policy: Policy,
        *,
        trade_address: str | None = None,
        access: Access | None = None,
        limits: Limits | None = None,
    ) -> None:
        """``access``: who may come in; None: everybody, as with OpenD. ``limits``: the counters of all keys."""
        self.policy = policy
        self.access = access or Access()
        self.sessions: dict[int, Session] = {}
        """By owner."""
        self.wall_offset = 0.0
        """Add to ``now`` for UTC seconds; kept right by runtime."""
        self.unlock = Unlock(policy.unlock)
        self.lanes = Lanes(
            address,
            self.sessions,
            self.unlock,
            Visibility(self.access.tally.filtered_push, self._allowed),
            extra=policy.extra_lanes,
            trade_address=trade_address,
        )
        self.entry = Entry(policy.open_row, self.access, self.lanes)
        self.roster = self.lanes.trade.roster
        self.accounts = AccountGate(self.roster)
        self.knowledge = Knowledge()
        self.gate = TradeGate(
            self.lanes.trade.index,
            limits or Limits(),
            self.knowledge,
            roster=self.roster,
            quote_lane=self.lanes.main.index,
            ready=lambda lane: self.lanes[lane].upstream.ready,
        )
        self.parking = Parking(
            self.lanes, self._handle, park_s=policy.park_s, reply_s=policy.reply_s, waits=policy.waits
        )
        self.metering = Metering(
            self.lanes,
            budgets=policy.budgets,
            coalesce=policy.coalesce,
            reply_s=policy.reply_s,
            waits=policy.waits,
            again=self.parking.again if policy.retry_reads else None,
            refusal=lambda r: self._frozen(r) or self.accounts.refusal(r) or self.gate.refusal(r),
            unsent=self.gate.sent.unsent,
        )
        self.subscriptions = Subscriptions(
            self.lanes, open_s=policy.park_s, reply_s=policy.reply_s, fence=self.metering.fence
        )
        self.writes = Writes(self.access, self.gate, frozen=self._frozen, metered=self._metered)
        self.tenancy = Tenancy(self.sessions, self.access, self.entry, self.lanes, self.roster)
        self.outages = Outages(self.sessions, self.lanes)
        self.links = Links(
            self.lanes,
            self.outages,
            self.tenancy,
            self.parking,
            self.metering,
            cut_off=self.passed_reply,
        )
        self.on_notice: list[Callable[[Notice, float], None]] = []
        """Told of every Notify of the MAIN lane and, in a group, of every ConnStatus of the TRADE lane. What a callback
        wants sent it sends later, from a tick."""
        self._inspectors: dict[int, Callable[[Lane, Request, float], list[Command]]] = {
            ProtoId.TRD_UNLOCK_TRADE: lambda lane, request, _now: lane.trading.unlock(request),
            ProtoId.TRD_SUB_ACC_PUSH: lambda lane, request, _now: lane.trading.sub_acc_push(request),
            ProtoId.QOT_SUB: lambda _lane, request, now: self.subscriptions.sub(request, now),
            ProtoId.QOT_REG_QOT_PUSH: lambda _lane, request, now: self.subscriptions.register(request, now),
            ProtoId.QOT_GET_SUB_INFO: lambda _lane, request, now: self.subscriptions.sub_info(request, now),
            ProtoId.QOT_SUB_EVENT_CONTRACT: lambda _lane, r, now: self.subscriptions.sub_event_contract(r, now),
        }

    def _allowed(self, key: Key) -> frozenset[int] | None:
        return self.roster.allowed(key)

    # -- sessions

    def open_session(self, session: Session) -> None:
        """A client has connected; it must send InitConnect first."""
        session.row = HANDSHAKE_ROW
        self.sessions[session.owner] = session

    def close_session(self, session: Session, now: float) -> list[Command]:
        """The client is gone: what only it held is released."""
        session.state = State.CLOSED
        if self.sessions.pop(session.owner, None) is None:
            return []
        owner = session.owner
        commands: list[Command] = []
        self.unlock.forget(owner)
        self.writes.withdrawals.forget(owner)
        self.metering.close_owner(owner)
        for lane in self.lanes.all:
            lane.waiting = deque(item for item in lane.waiting if item.session is not session)
            lane.pushes.forget(owner)
            commands += lane.quotes.close_owner(owner, now)
            commands += lane.trading.close_owner(owner, link_ready=lane.upstream.ready)
        return commands

    # -- requests

    def client_event(self, session: Session, event: ClientEvent, now: float) -> list[Command]:
        """One event of the switch about this client's stream."""
        if session.state is State.CLOSED:
            return []
        if event.kind != FRAME or event.proto_fmt not in KNOWN_FMTS:
            return answer_to_bad(session, event)
        return self._frame(Request(session, event.proto_id, event.proto_fmt, event.serial_no, event.body), now)

    def call(self, request: Request, now: float) -> list[Command]:
        """A request of a caller, whose face has checked its frame. It waits no longer than any client's."""
        if request.session.state is State.CLOSED:
            return []
        if request.until is not None:
            request = replace(request, until=min(request.until, now + self.policy.reply_s))
        return self._frame(request, now)

    def _frame(self, request: Request, now: float) -> list[Command]:
        session = request.session
        session.state, act = handshake.step(session.state, request.proto_id)
        if act is Act.HANDLE:
            key = session.key
            thawed: list[Command] = []
            if key is not None and guarded(key) and self.access.heard(key.id, request.proto_id, now):
                thawed = self.tenancy.refreeze()
            return thawed + self._handle(request, now, request.until)
        if act is Act.ANSWER_INIT:
            return self.entry.init(request, now, now + self.wall_offset)
        if act is Act.ANSWER_KEEP_ALIVE:
            wall = int(now + self.wall_offset)
            return [reply(request, handshake.keep_alive_reply(wall, request.proto_fmt))]
        if act is Act.REFUSE:
            return [
                refused(request, "InitConnect (1001) must be the first request"),
                end(session, f"{name_of(request.proto_id)} before InitConnect"),
            ]
        return []

    def _handle(self, request: Request, now: float, until: float | None = None) -> list[Command]:
        """``until``: when its owner must have an answer, for what has waited already; None: the usual time from now
        on."""
        if until is not None:
            request = replace(request, until=until)
        refusal = self._refusal(request)
        if refusal is not None:
            return [refusal]
        try:
            lane = self._lane_for(request)
            if not lane.upstream.ready:
                return self.parking.arrive(lane, request, now)
            if self.accounts.applies(request):
                answer_by = now + self.policy.reply_s if until is None else until
                return self.accounts.admit(request, now, lambda r, at: self._admitted(lane, r, at, answer_by))
            return self._inspect(lane, request, now, until)
        except RemoteProtocolError as error:
            return [_unreadable(request, error)]

    def _admitted(self, lane: Lane, request: Request, now: float, until: float) -> list[Command]:
        """The account gate let it pass, maybe after a wait: what has changed since it came is looked at again."""
        if not request.session.ready:
            return []
        refusal = self._refusal(request)
        if refusal is not None:
            return [refusal]
        if not lane.upstream.ready:
            return [unavailable(request, lane.upstream.absence(now))]
        if now >= until:
            text = f"{name_of(request.proto_id)} was not sent: OpenD did not tell in time which accounts it has"
            return [denied(request, Denial(DenialKind.TIMEOUT, "accounts", text))]
        return self._inspect(lane, request, now, until)

    def _inspect(self, lane: Lane, request: Request, now: float, until: float | None) -> list[Command]:
        request.session.trades |= request.proto_id in TRADER_IDS
        if request.proto_id in PACKET_ID_IDS:
            answer_by = now + self.policy.reply_s if until is None else until
            return self.writes.admit(lane, request, now, now + self.wall_offset, answer_by)
        try:
            inspector = self._inspectors.get(request.proto_id)
            if inspector is not None:
                return self._metered(inspector(lane, request, now), now, until)
        except RemoteProtocolError as error:
            return [_unreadable(request, error)]
        then = editor_of(lane, request) or self.accounts.list_editor(request)
        return self._metered([Forward(request, then, lane.index)], now, until)

    def _refusal(self, request: Request) -> Command | None:
        """What its session's row and the freezes say to a request."""
        denies = action_of(request.session.row, request.proto_id) is RequestAction.DENY
        key = request.session.key
        if denies and key is not None and missing_scope(key, request.proto_id):
            return denied(request, denial_of(key, request.proto_id))
        frozen = self._frozen(request)
        if frozen is not None or not denies:
            return frozen
        return denied(request, denial_of(key, request.proto_id))

    def _frozen(self, request: Request) -> Reply | None:
        denial = self.access.freezes.denial(
            request.session.freezes_by, request.proto_id, request.proto_fmt, request.body
        )
        return None if denial is None else denied(request, denial)

    def _metered(self, commands: list[Command], now: float, until: float | None) -> list[Command]:
        commands = in_time(commands, until)
        if not self.metering.on:
            return commands
        return [
            decided
            for command in commands
            for decided in (self.metering.pass_on(command, now) if isinstance(command, Forward) else [command])
        ]

    def _lane_for(self, request: Request) -> Lane:
        if self.lanes.trade is not self.lanes.main and is_trade(request.proto_id):
            return self.lanes.trade_of(request.session)
        return self.subscriptions.lane_of_data_untrusted(request) or self.lanes[request.session.lane]

    # -- replies

    def passed_reply(self, lane_index: int, request: Request, outcome: Outcome, now: float) -> list[Command]:
        """The reply to a request that the switch passed on by itself, or the reason why none came."""
        request.session.trades |= request.proto_id in TRADER_IDS
        if outcome.failure is not None:
            return [failed(request, outcome.failure)]
        then = editor_of(self.lanes[lane_index], request) or self.accounts.list_editor(request)
        return then(outcome, now) if then else [reply(request, outcome.body, outcome.proto_fmt)]

    def push(self, index: int, push: NativePush, now: float) -> list[Push]:
        """Who gets this push of the lane. One that can't be read is dropped and counted."""
        self.lanes[index].upstream.pushed_at = now
        self.metering.fence(push.proto_id)
        if self.access.learning and push.proto_id in LEARNT_IDS:
            self.knowledge.learn(push.proto_id, push.frame[HEADER_LEN:], push.proto_fmt, now)
        if push.proto_id == ProtoId.TRD_UPDATE_ORDER:
            self.writes.custody.pushed(push.frame[HEADER_LEN:], push.proto_fmt)
        if push.proto_id == ProtoId.NOTIFY:
            self._notified(self.lanes[index], read_notice_untrusted(push.frame[HEADER_LEN:], push.proto_fmt), now)
        return self.lanes[index].pushes.route_untrusted(push, now)

    def _notified(self, lane: Lane, notice: Notice | None, now: float) -> None:
        lane.upstream.notified(notice, now)
        if notice is None:
            return
        of_trade = lane is self.lanes.trade and isinstance(notice, ConnStatus)
        if lane is self.lanes.main or of_trade:
            for told in self.on_notice:
                told(notice, now)

    # -- time

    def tick(self, now: float) -> list[Command]:
        """Whatever is due: waits whose time is up, delayed unsubscribes, pushes held for a settling client."""
        commands: list[Command] = []
        for lane in self.lanes.all:
            commands += self.parking.due(lane, now)
            if lane.upstream.ready:
                commands += lane.quotes.due(now) + lane.trading.due(now)
            commands += lane.pushes.due(now)
        commands += self.tenancy.due(now, now + self.wall_offset)
        return commands + self.gate.due(now) + self.metering.due(now) + self.lanes.tidy(now)


def _unreadable(request: Request, error: RemoteProtocolError) -> Command:
    return denied(request, Denial(DenialKind.INVALID, "body", f"{name_of(request.proto_id)} was not sent: {error}"))
