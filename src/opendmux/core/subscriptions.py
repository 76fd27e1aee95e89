"""Subscription requests of clients (3001, 3002, 3003, 3455) over all lanes.

A stream lives on the lane where its options fit. A client's home lane comes first; where somebody else uses other
options there, the request goes to an EXTRA lane, one that has the stream with the same options or not at all, made
when there is none. When the pool is used up the client is told; it never gets another client's stream.

A request may therefore fall into parts, one per lane. It is still atomic: when a part is refused, what the others
added for this client is given up again and the client gets that refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import RetType
from opendmux.wire.messages import decode_untrusted, encode, ret_body, to_client
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from ._ledger_products import products
from .answers import denied, failed, refused, reply, verdict
from .commands import Ask, Command, Failure, Outcome, Reply, Request, UseRow, in_time
from .datacalls import DATA_CALLS
from .gate import inspecting
from .identity import Session
from .joint import NOBODY, Joint, Part
from .keys import Scopes
from .lanes import Lane, LaneKind, Lanes, Waiting
from .ledger_values import RegRequest, SubRequest
from .streams import REHAB_FORWARD, Options, Security, Space, StreamKey, is_kline, normalise
from .subrequests import (
    brings_pushes,
    read_event_contract_untrusted,
    read_registration_untrusted,
    read_subscription_untrusted,
    too_large_or_unsound,
)
from .whitelists import unseen

__all__ = ["Subscriptions"]


class Subscriptions:
    """Handlers of subscription requests; each returns what is to be done."""

    def __init__(self, lanes: Lanes, *, open_s: float, reply_s: float, fence: Callable[[int], None]) -> None:
        self._lanes = lanes
        self._open_s = open_s
        """How long a request may wait for a lane that is being made."""
        self.quota: tuple[int, int] | None = None
        """(used, left) as OpenD said last; None: nobody has asked yet."""
        self.quota_at = 0.0
        """When it said so."""
        self._reply_s = reply_s
        """How long it may take in all."""
        self._fence = fence
        """See `Metering.fence`."""

    # -- the four requests

    def sub(self, request: Request, now: float) -> list[Command]:
        """Qot_Sub: subscribe, unsubscribe, unsubscribe all of this client."""
        return self._subscribe(request, read_subscription_untrusted(request.body, request.proto_fmt), now)

    def sub_event_contract(self, request: Request, now: float) -> list[Command]:
        """Qot_SubEventContract: the same for event contracts, a namespace of its own."""
        return self._subscribe(request, read_event_contract_untrusted(request.body, request.proto_fmt), now)

    def register(self, request: Request, now: float) -> list[Command]:
        """Qot_RegQotPush: which of its subscriptions are pushed to this client."""
        wanted = read_registration_untrusted(request.body, request.proto_fmt)
        refusal = _refusal(request, wanted)
        if refusal is not None:
            return [refusal]
        owner = request.session.owner
        keys = [StreamKey(Space.QOT, *security, sub) for security in wanted.securities for sub in wanted.sub_types]
        home = self._lanes[request.session.lane]
        by_lane = _grouped((self.holder(owner, key) or home, key) for key in keys)
        joint = Joint(request)

        def held(lane: Lane, lane_keys: Sequence[StreamKey]) -> list[StreamKey]:
            # A refusal takes registrations back, never a subscription that comes meanwhile.
            return [key for key in lane_keys if lane.ledger.holds(owner, key)]

        parts = [
            (lane, joint.part(lane, held(lane, lane_keys)), replace(wanted, securities=securities, sub_types=sub_types))
            for lane, lane_keys in by_lane.items()
            for securities, sub_types in products(lane_keys)
        ]
        return [c for lane, part, piece in parts for c in lane.quotes.register(owner, piece, part, now)]

    def sub_info(self, request: Request, _now: float) -> list[Command]:
        """Qot_GetSubInfo: the quota is upstream's, the lists are ours.

        With isReqAllConn there is one entry per other client too, as OpenD has one per other connection. What other
        keys watch is theirs: without the scope ``admin`` a key is told how much quota they use, and no more.
        """
        all_conn = decode_untrusted(opend.GetSubInfoRequest, request.body, request.proto_fmt).c2s.isReqAllConn
        ask = opend.GetSubInfoRequest(c2s=opend.GetSubInfoC2S(isReqAllConn=False))

        def then(outcome: Outcome, now: float) -> list[Command]:
            if outcome.failure is not None:
                return [failed(request, outcome.failure)]
            ret_type, ret_msg = verdict(outcome)
            if ret_type != RetType.SUCCEED:
                return [reply(request, ret_body(request.proto_fmt, ret_type, ret_msg))]
            try:
                response = decode_untrusted(opend.GetSubInfoResponse, outcome.body, outcome.proto_fmt)
            except RemoteProtocolError:
                return [failed(request, Failure.CORRUPT)]
            self.quota, self.quota_at = (response.s2c.totalUsedQuota, response.s2c.remainQuota), now
            del response.s2c.connSubInfoList[:]
            owner = request.session.owner
            response.s2c.connSubInfoList.append(self._conn_info(owner, own=True))
            if all_conn:
                others = dict.fromkeys(o for lane in self._lanes.all for o in lane.ledger.owners_with_subscriptions())
                others.pop(owner, None)
                infos = [self._conn_info(other, own=False) for other in others]
                key = request.session.key
                if key is not None and Scopes.ADMIN not in key.scopes:
                    for info in infos:
                        del info.subInfoList[:]
                response.s2c.connSubInfoList.extend(infos)
            return [reply(request, to_client(response, request.proto_fmt))]

        return [Ask(request.session.lane, ProtoId.QOT_GET_SUB_INFO, encode(ask), then)]

    def _conn_info(self, owner: int, *, own: bool) -> opend.ConnSubInfo:
        info = opend.ConnSubInfo(usedQuota=0, isOwnConnData=own)
        held: dict[int, list[Security]] = {}
        for lane in self._lanes.all:
            for sub_type, securities in lane.ledger.subscriptions(owner, Space.QOT).items():
                held.setdefault(sub_type, []).extend(securities)
        for sub_type, securities in held.items():
            info.usedQuota += len(securities)
            info.subInfoList.append(
                opend.SubInfo(
                    subType=sub_type,
                    securityList=[opend.Security(market=market, code=code) for market, code in securities],
                )
            )
        return info

    # -- which lane

    def holder(self, owner: int, key: StreamKey) -> Lane | None:
        """The lane on which the owner holds the stream."""
        return next((lane for lane in self._lanes.wanted() if lane.ledger.holds(owner, key)), None)

    def _place(self, owner: int, home: Lane, key: StreamKey, options: Options) -> Lane | None:
        """Where this subscription belongs; None when the pool is used up. Changes nothing."""
        held = self.holder(owner, key)
        candidates = [held] if held is not None else [home]
        extras = [lane for lane in self._lanes.extras if lane.wanted and lane.push_fmt is home.push_fmt]
        candidates += [lane for lane in extras if lane is not held]
        for lane in candidates:
            if lane.ledger.fits(owner, key, options):
                return lane
        return next((lane for lane in self._lanes.extras if not lane.wanted), None)

    def lane_of_data_untrusted(self, request: Request) -> Lane | None:
        """The EXTRA lane that must answer this call for data of a subscribed stream; None: the home lane does.

        OpenD answers such calls only on the connection that holds the subscription.
        """
        find_untrusted = DATA_CALLS.get(request.proto_id)
        if find_untrusted is None or not any(lane.wanted for lane in self._lanes.extras):
            return None
        owner = request.session.owner
        lanes = {self.holder(owner, key) for key in find_untrusted(request)}
        if len(lanes) > 1:
            raise RemoteProtocolError(
                "these securities were subscribed with different options: ask for them one by one"
            )
        lane = lanes.pop() if lanes else None
        return lane if lane is not None and lane.kind is LaneKind.EXTRA else None

    # -- subscribing

    def _subscribe(self, request: Request, wanted: SubRequest, now: float) -> list[Command]:
        refusal = _refusal(request, wanted)
        if refusal is not None:
            return [refusal]
        owner, home = request.session.owner, self._lanes[request.session.lane]
        if wanted.unsub_all or not wanted.subscribe:
            return self._unsubscribe(request, wanted, now)
        keys = [StreamKey(wanted.space, *s, sub_type) for s in wanted.securities for sub_type in wanted.sub_types]
        placed: dict[Lane, list[StreamKey]] = {}
        for key in dict.fromkeys(keys):
            options = normalise(key.space, key.market, key.sub_type, wanted.options)
            lane = self._place(owner, home, key, options)
            if lane is None:
                # The ledger's own words say who is in the way and when to try again.
                lane = home
            placed.setdefault(lane, []).append(key)

        def gather(later: float) -> list[Command]:
            self._fence(request.proto_id)
            return self._gather(owner, placed, wanted, later)

        joint = Joint(request, gather)
        commands = self._watch_data_calls(request.session, placed)
        pieces = [(lane, joint.part(lane, lane_keys), lane_keys) for lane, lane_keys in placed.items()]
        for lane, part, lane_keys in pieces:
            shapes = products(lane_keys)
            part.expect(len(shapes))
            for securities, sub_types in shapes:
                piece = replace(wanted, securities=securities, sub_types=sub_types)
                commands += self._start(lane, request, piece, part, now)
        return commands

    def _gather(
        self, owner: int, placed: Mapping[Lane, Sequence[StreamKey]], wanted: SubRequest, now: float
    ) -> list[Command]:
        """These streams have been subscribed: what the client held of them on another lane is over, and what it had
        registered there comes along."""
        commands: list[Command] = []
        for lane, key in [(lane, key) for lane, keys in placed.items() for key in keys]:
            for old in self._lanes.wanted():
                if old is lane or not old.ledger.holds(owner, key):
                    continue
                securities, sub_types = ((key.market, key.code),), (key.sub_type,)
                kept = old.ledger.registered(owner, key)
                if wanted.register is False:
                    kept -= frozenset(wanted.rehab_types or (REHAB_FORWARD,)) if is_kline(key.sub_type) else kept
                if kept and key.space is Space.QOT:
                    again = RegRequest(securities, sub_types, True, tuple(kept), first_push=False)
                    commands += lane.quotes.register(owner, again, NOBODY, now)
                leave = SubRequest(key.space, securities, sub_types, subscribe=False)
                commands += old.quotes.subscribe(owner, leave, NOBODY, now)
        return commands

    @staticmethod
    def _watch_data_calls(session: Session, placed: Iterable[Lane]) -> list[Command]:
        """A client with a stream on an EXTRA lane has its data calls looked at, to send each where its stream is."""
        row = inspecting(session.row, DATA_CALLS)
        if row == session.row or not any(lane.kind is LaneKind.EXTRA for lane in placed):
            return []
        session.row = row
        return [UseRow(session)]

    def _start(self, lane: Lane, request: Request, piece: SubRequest, part: Part, now: float) -> list[Command]:
        """Hand one piece to its lane, now or when the lane is there."""
        owner, until = request.session.owner, self._until(request, now)
        if lane.upstream.ready or (lane.wanted and not lane.opening):
            return lane.quotes.subscribe(owner, piece, part, now)
        lane.waiting.append(
            Waiting(
                until=now + self._open_s,
                session=request.session,
                go=lambda later: in_time(lane.quotes.subscribe(owner, piece, part, later), until),
                give_up=lambda later: part.ended(
                    RetType.DISCONNECT,
                    f"no further connection to OpenD could be made: {lane.upstream.absence(later)}",
                    (),
                    later,
                ),
            )
        )
        return self._lanes.open(lane, now, self._lanes[request.session.lane].push_fmt)

    def _until(self, request: Request, now: float) -> float:
        return now + self._reply_s if request.until is None else request.until

    def _unsubscribe(self, request: Request, wanted: SubRequest, now: float) -> list[Command]:
        joint = Joint(request)
        home = self._lanes[request.session.lane]
        lanes = dict.fromkeys([home, *self._lanes.wanted()])
        parts = [(lane, joint.part(lane)) for lane in lanes]
        return [command for lane, part in parts for command in self._leave(lane, request, wanted, part, now)]

    def _leave(self, lane: Lane, request: Request, wanted: SubRequest, part: Part, now: float) -> list[Command]:
        """Unsubscribe on one lane, behind what this client still waits to subscribe there."""
        owner, until = request.session.owner, self._until(request, now)
        if not any(waiting.session is request.session for waiting in lane.waiting):
            return lane.quotes.subscribe(owner, wanted, part, now)
        lane.waiting.append(
            Waiting(
                until=now + self._open_s,
                session=request.session,
                go=lambda later: in_time(lane.quotes.subscribe(owner, wanted, part, later), until),
                give_up=lambda later: part.ended(RetType.SUCCEED, "", (), later),
            )
        )
        return []


def _refusal(request: Request, wanted: SubRequest | RegRequest) -> Reply | None:
    """Why it goes no further. What would bring pushes that the filter keeps from this key is refused as a whole, as
    OpenD refuses all of a request for one bad code; what ends any is never refused for that."""
    flaw = too_large_or_unsound(wanted)
    if flaw is not None:
        return refused(request, flaw)
    if not brings_pushes(wanted):
        return None
    denial = unseen(request.session.key, request.proto_id, wanted.securities)
    return None if denial is None else denied(request, denial)


def _grouped(pairs: Iterable[tuple[Lane, StreamKey]]) -> dict[Lane, list[StreamKey]]:
    groups: dict[Lane, list[StreamKey]] = {}
    for lane, key in pairs:
        groups.setdefault(lane, []).append(key)
    return groups
