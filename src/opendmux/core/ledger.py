"""The subscription ledger: many owners, one upstream connection, each stream subscribed there once.

Theory of operation
-------------------
A *stream* (`StreamKey`) is one unit of OpenD's quota. An *owner* is one client. The ledger says what to send to OpenD,
when a client's request is answered, and who gets a push. It does no I/O and has no clock: every method takes ``now``
(seconds, monotonic) and returns `Actions`, complete and in order. The caller sends every `UpstreamSub` and hands the
outcome to `upstream_reply`; a call that is never answered blocks its streams, so the caller's time-out has to be handed
in too, as retType -100.

Invariant (`check`): what is subscribed upstream = what owners hold + what waits out its 60 seconds or is in flight.

*Joining.* The first subscriber of a stream makes us subscribe, always with registration and first push; who gets
pushes is decided here. Later ones cost nothing. OpenD refuses to unsubscribe a stream younger than 60 s, so one that
has lost its last owner is left alone until it is old enough; a new subscriber before that just takes it over.

*Operations.* A client request is an `Operation`. It pins the streams it needs and is open on those that are not yet as
it needs them. When a call about a stream ends, the operations open on it look again, with three outcomes: settled, wait
for the call now in flight, or ask OpenD. Nothing open is success: only then does the owner hold anything. At the
first refusal the operation ends with it and holds nothing; streams that did succeed are left to the 60-second rule.
A refused call ends only the operations that had asked for at least as much; one that merely waited for a part of it
asks again for itself, so nobody is refused because of a security that another client had named.

*Order.* Operations of one owner that touch a common stream run in the order they came; others are independent.

*Options.* One connection has one set of `Options` per stream, and no push tells them apart, so a second set is refused,
except to an owner that is alone: its request changes the stream. If the rest of such a request fails, the former
options are restored.

*Doubt.* After retType -100, -200 or -400 nobody knows whether OpenD has the stream. It is UNSURE: whoever wants it
subscribes anew, and it is unsubscribed when nobody does. Believing it present could mean a client that waits for
pushes that never come; believing it absent could cost quota for ever.

*The link.* `link_lost` ends what waits (-200); owners keep what they hold. Until `replay`, subscribing is refused
(-200), unsubscribing and registering are local. `replay` asks for the union again. What OpenD refuses then is still
held, is listed by `refused` and asked for again by `due`, in ever smaller messages. A stream that was refused alone
and repeatedly is `hopeless`: the caller, who can find out whether OpenD is logged in at all, may `give_up`.

Not handled here: limits per owner or in total, rights; which connection a stream
belongs to, for there is a ledger for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opendmux.errors import LocalProtocolError
from opendmux.wire.frame import RetType

from ._ledger_audiences import Audiences
from ._ledger_check import check
from ._ledger_operations import Operations
from ._ledger_records import ABSENT, PRESENT, Operation
from ._ledger_upstream import Upstream
from .ledger_values import Actions, Done, Kind, RegRequest, StreamView, SubRequest, refusal_of
from .streams import REHAB_FORWARD, Options, Security, Space, StreamKey, normalise

__all__ = ["Ledger"]


class Ledger:
    """Who has subscribed what, and what OpenD has to be told.

    Owners are ids of the caller's choice; the ledger learns of one by its first request. A token is given back in
    exactly one `Done`, at the latest by `close_owner` or `link_lost`.
    """

    def __init__(self) -> None:
        self._upstream = Upstream()
        self._audiences = Audiences(self._upstream.streams)
        self._ready = self._audiences.ready
        self._operations = Operations(self._upstream, self._audiences)
        self._owners = self._operations.owners

    # -- what clients ask -------------------------------------------------------------------------------------------

    def subscribe(self, owner: int, request: SubRequest, token: object, now: float) -> Actions:
        """Subscribe, unsubscribe or unsubscribe all, as the request says.

        Answered with retType 0; with -1 for what can't be routed and for conflicting options; with -200 while the
        link is down; otherwise with OpenD's own refusal.
        """
        out = Actions()
        refusal = refusal_of(request)
        if refusal is not None:
            out.done.append(Done(token, RetType.FAILED, refusal))
            return out
        record = self._operations.owner(owner)
        if request.unsub_all:
            keys = [key for key in {**record.held, **record.last} if key[0] is request.space]
        else:
            keys = _product(request.space, request.securities, request.sub_types)
        if request.unsub_all or not request.subscribe:
            operation = Operation(record, token, Kind.UNSUBSCRIBE, keys)
        else:
            markets = dict.fromkeys(market for market, _ in request.securities)
            operation = Operation(
                record,
                token,
                Kind.SUBSCRIBE,
                keys,
                register=request.register,
                rehabs=frozenset(request.rehab_types or (REHAB_FORWARD,)),
                first_push=request.first_push,
                options={
                    (market, sub_type): normalise(request.space, market, sub_type, request.options)
                    for market in markets
                    for sub_type in request.sub_types
                },
            )
        self._operations.enter(operation, now, out)
        return self._swept(now, out)

    def register(self, owner: int, request: RegRequest, token: object, now: float) -> Actions:
        """Register or unregister for pushes (3002).

        Registering needs a stream the owner holds (else -1); unregistering anything is a success.
        """
        out = Actions()
        refusal = refusal_of(request)
        if refusal is not None:
            out.done.append(Done(token, RetType.FAILED, refusal))
            return out
        operation = Operation(
            self._operations.owner(owner),
            token,
            Kind.REGISTER,
            _product(Space.QOT, request.securities, request.sub_types),
            register=request.register,
            rehabs=frozenset(request.rehab_types or (REHAB_FORWARD,)),
            first_push=request.first_push,
        )
        self._operations.enter(operation, now, out)
        return self._swept(now, out)

    def close_owner(self, owner: int, now: float) -> Actions:
        """The client has gone: its requests end with -200, what it held is dropped. Unknown owners are fine."""
        out = Actions()
        record = self._owners.get(owner)
        if record is None:
            return out
        self._operations.close(record, now, out)
        return self._swept(now, out)

    # -- what OpenD says --------------------------------------------------------------------------------------------

    def upstream_reply(self, call_id: int, ret_type: int, ret_msg: str, now: float) -> Actions:
        """The outcome of an `UpstreamSub`. Outcomes of calls made before the link was lost are ignored."""
        out = Actions()
        call = self._upstream.reply(call_id, ret_type, ret_msg, now, out)
        if call is not None:
            self._operations.called(call, ret_type, ret_msg, now, out)
        return self._swept(now, out)

    def link_lost(self, ret_msg: str, now: float) -> Actions:
        """The connection is gone. Requests that wait end with -200 and ``ret_msg``, and so do those to come."""
        out = Actions()
        self._upstream.lost()
        self._operations.link_lost(ret_msg, now, out)
        return self._swept(now, out)

    def replay(self, now: float) -> Actions:
        """A new connection is ready: ask for everything again. Raises LocalProtocolError when none was lost."""
        out = Actions()
        if self._upstream.linked:
            if self._upstream.streams:
                raise LocalProtocolError("replay although the link was not lost")
            return out
        self._upstream.replay(out)
        return self._swept(now, out)

    @property
    def replaying(self) -> bool:
        """True while calls of the latest `replay` are unanswered."""
        return self._upstream.replays > 0

    # -- what time brings -------------------------------------------------------------------------------------------

    def due(self, now: float) -> Actions:
        """Unsubscribe what is old enough and wanted by nobody, ask again for what was refused."""
        self._upstream.wake(now)
        return self._swept(now, Actions())

    def next_due(self) -> float | None:
        """When to call `due`. Changes with every other call."""
        return self._upstream.next_due()

    def hopeless(self) -> list[StreamKey]:
        """Of the `refused`, what OpenD has refused alone and more than once."""
        return [key for key in self.refused() if self._upstream.streams[key].hopeless]

    def give_up(self, now: float) -> Actions:
        """Nobody holds the hopeless streams any more; `Actions.dropped` says who did. The next subscriber asks anew."""
        out = Actions()
        self._operations.give_up(self.hopeless(), out)
        return self._swept(now, out)

    # -- who gets what ----------------------------------------------------------------------------------------------

    def audience(self, space: Space, market: int, code: str, sub_type: int, rehab_type: int) -> Sequence[int]:
        """Owners registered for that push, longest registered first. One dict lookup once it is known.

        ``rehab_type`` is that of a K-line push of `Space.QOT`; 0 for everything else.
        """
        key = (space, market, code, sub_type, rehab_type)
        ready = self._ready.get(key)
        return self._audiences.find(key) if ready is None else ready

    def audience_any_kline(self, market: int, code: str) -> Sequence[int]:
        """Owners registered for any K line of an event contract: push 3451 does not say of which period it is."""
        ready = self._audiences.ready_klines.get((market, code))
        return self._audiences.find_klines(market, code) if ready is None else ready

    def holds(self, owner: int, key: StreamKey) -> bool:
        """True when the owner has subscribed the stream."""
        record = self._owners.get(owner)
        return record is not None and key in record.held

    def registered(self, owner: int, key: StreamKey) -> frozenset[int]:
        """The rehab types whose pushes the owner gets of the stream; {0} where there are none to choose."""
        stream = self._upstream.streams.get(key)
        if stream is None:
            return frozenset()
        return frozenset(rehab_type for rehab_type, enrolled in stream.registered.items() if owner in enrolled)

    def fits(self, owner: int, key: StreamKey, options: Options) -> bool:
        """Whether a subscription with these (normalised) options meets nobody with others on this connection."""
        stream = self._upstream.streams.get(key)
        if stream is None or stream.options == options:
            return True
        return set(stream.holders) == {owner} and all(operation.owner.ident == owner for operation in stream.pins)

    def empty(self) -> bool:
        """Nothing is held, asked for or left behind upstream."""
        return not self._upstream.streams

    # -- what is there ----------------------------------------------------------------------------------------------

    def subscriptions(self, owner: int, space: Space | None = None) -> Mapping[int, list[Security]]:
        """sub_type -> securities the owner holds, of one space or of both."""
        found: dict[int, list[Security]] = {}
        record = self._owners.get(owner)
        if record is not None:
            for key in record.held:
                if space is None or key.space is space:
                    found.setdefault(key.sub_type, []).append((key.market, key.code))
        return found

    def owners_with_subscriptions(self) -> list[int]:
        return [ident for ident, record in self._owners.items() if record.held]

    def used_quota(self, owner: int) -> int:
        """Streams the owner holds. What OpenD counts for all of them together is `upstream_streams`."""
        record = self._owners.get(owner)
        return len(record.held) if record is not None else 0

    def upstream_streams(self) -> list[StreamKey]:
        """What OpenD has subscribed for us, or may have."""
        return [key for key, stream in self._upstream.streams.items() if stream.state is not ABSENT]

    def overview(self) -> list[StreamView]:
        """Every stream that is subscribed, asked for, or left behind."""
        return [
            StreamView(
                key,
                stream.state is PRESENT,
                len(stream.holders),
                len(set().union(*stream.registered.values())),
                stream.since,
                stream.leave_at() if stream.idle() and stream.state is not ABSENT else None,
                stream.refusal if stream.tries else "",
            )
            for key, stream in self._upstream.streams.items()
        ]

    def knows(self, space: Space, market: int, code: str, sub_type: int) -> bool:
        """Whether a push of the stream can be news: somebody holds it, asks for it, or has left it behind upstream."""
        return (space, market, code, sub_type) in self._upstream.streams

    def refused(self) -> dict[StreamKey, str]:
        """Streams that owners hold but OpenD refuses since a replay, with its latest text."""
        return {
            key: stream.refusal
            for key, stream in self._upstream.streams.items()
            if stream.tries and stream.holders and stream.state is not PRESENT
        }

    def check(self) -> None:
        """Raise AssertionError when the books are wrong. Slow; for tests."""
        check(self._upstream, self._owners)
        self._audiences.check()

    def _swept(self, now: float, out: Actions) -> Actions:
        self._upstream.sweep(now, out)
        return out


def _product(space: Space, securities: Sequence[Security], sub_types: Sequence[int]) -> list[StreamKey]:
    return list(dict.fromkeys(StreamKey(space, *security, sub) for security in securities for sub in sub_types))
