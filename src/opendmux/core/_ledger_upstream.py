"""The upstream half of the ledger: what OpenD has, which calls are in flight, what is due.

It knows streams and calls, not clients: whether a stream is wanted it reads from ``holders`` and ``pins``, which
`opendmux.core.ledger` keeps. The one rule between the two: whoever changes them, or ends a call, touches the stream,
and `sweep` then does what has become necessary. At most one call is in flight per stream.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Final

from opendmux.wire.frame import UNDECIDED, RetType

from ._ledger_products import cut, products
from ._ledger_records import ABSENT, HOPELESS_TRIES, NO_REHAB, PRESENT, UNSURE, Call, Stream, backoff
from .ledger_values import Actions, Kind, UpstreamSub
from .streams import REHAB_FORWARD, TICKER, Options, Space, StreamKey

LEAVE_TRIES_UNSURE: Final = 5
"""Failed UNSUBSCRIBE calls, the last one refused and about it alone, after which a stream that perhaps was never
subscribed is forgotten."""

SHRINK: Final = 10
"""A refused message of our own is cut into pieces of a tenth: one security that OpenD has come to refuse must not
keep out the 99 others of its batch. From 100 it takes two refusals to stand alone."""

Wish = tuple[Stream, Options, frozenset[int]]
"""A stream, and the options and rehab types to ask for."""


class Upstream:
    """The streams of one OpenD connection."""

    def __init__(self) -> None:
        self.streams: dict[StreamKey, Stream] = {}
        self.linked = True
        self.calls: dict[int, Call] = {}
        self.replays = 0
        """Calls of the latest replay that are in flight."""
        self._last_call_id = 0
        self._touched: dict[Stream, None] = {}
        self._alarms: list[tuple[float, int, Stream]] = []
        self._alarm_no = 0

    # -- asking -----------------------------------------------------------------------------------------------------

    def send(
        self, kind: Kind, wishes: Iterable[Wish], out: Actions, *, own: bool = False, replay: bool = False
    ) -> None:
        """Ask OpenD for ``wishes`` (no call of theirs in flight), in as few messages as we can.

        ``own``: nobody's request, so the size of the messages is ours to choose. It is about streams that clients have
        had already: another first push is news of a quote or a book, but of ticks it would be the same ones again.
        """
        groups: dict[tuple[Space, Options, int | None, bool], dict[frozenset[int], list[Stream]]] = {}
        for stream, options, rehabs in wishes:
            limit = stream.limit if own else None
            first_push = kind is not Kind.UNSUBSCRIBE and not (own and stream.key[3] == TICKER)
            group = groups.setdefault((stream.key[0], options, limit, first_push), {})
            group.setdefault(rehabs if stream.by_rehab else NO_REHAB, []).append(stream)
        for (space, options, limit, first_push), by_rehabs in groups.items():
            # What has no rehab type can ride with any K lines.
            plain = [stream for stream in by_rehabs.get(NO_REHAB, ()) if not stream.by_rehab]
            klines = [(rehabs, [s for s in streams if s.by_rehab]) for rehabs, streams in by_rehabs.items()]
            for rehabs, streams in [each for each in klines if each[1]] or [(NO_REHAB, [])]:
                self._call(kind, space, options, rehabs, [*streams, *plain], limit, out, own, replay, first_push)
                plain = []

    def _call(
        self,
        kind: Kind,
        space: Space,
        options: Options,
        rehabs: frozenset[int],
        streams: list[Stream],
        limit: int | None,
        out: Actions,
        own: bool,
        replay: bool,
        first_push: bool,
    ) -> None:
        pieces = products([stream.key for stream in streams])
        if own:
            pieces = [piece for product in pieces for piece in cut(product, limit)]
        for securities, sub_types in pieces:
            found = streams
            if len(pieces) > 1:
                found = [self.streams[StreamKey(space, *sec, sub_type)] for sec in securities for sub_type in sub_types]
            self._last_call_id += 1
            call = Call(kind, found, options, rehabs, replay)
            self.calls[self._last_call_id] = call
            self.replays += replay
            for stream in found:
                stream.call = call
                if kind is not Kind.UNSUBSCRIBE:
                    stream.cached |= rehabs if stream.by_rehab else NO_REHAB
            named = kind is not Kind.UNSUBSCRIBE and any(stream.by_rehab for stream in found)
            out.send.append(
                UpstreamSub(
                    self._last_call_id,
                    space,
                    kind,
                    securities,
                    sub_types,
                    tuple(sorted(rehabs)) if named else (),
                    options,
                    first_push=first_push,
                )
            )

    # -- being answered ---------------------------------------------------------------------------------------------

    def reply(self, call_id: int, ret_type: int, ret_msg: str, now: float, out: Actions) -> Call | None:
        """Write down the outcome of a call. None when there is no such call (any more)."""
        call = self.calls.pop(call_id, None)
        if call is None:
            return None
        self.replays -= call.replay
        for stream in call.streams:
            stream.call = None
            self._touched[stream] = None
            if ret_type == RetType.SUCCEED:
                self._succeeded(stream, call, now, out)
            else:
                self._refused(stream, call, ret_type, ret_msg, now, out)
        return call

    def _succeeded(self, stream: Stream, call: Call, now: float, out: Actions) -> None:
        if call.kind is Kind.UNSUBSCRIBE:
            self._gone(stream, out)
        elif call.kind is Kind.REGISTER:
            stream.rehabs |= call.rehabs
        else:
            rehabs = call.rehabs if stream.by_rehab else NO_REHAB
            if not stream.cached <= rehabs:
                out.released.extend(stream.push_keys(stream.cached - rehabs))
            stream.rehabs = stream.cached = rehabs
            stream.state = PRESENT
            stream.since = now
            stream.tries = stream.leave_tries = 0
            stream.not_before = 0.0
            stream.limit = None
            stream.refusal = ""
            stream.hopeless = False
            if stream.changer is not None:
                stream.former = stream.options
            elif stream.holders and call.options != stream.options:
                # A change whose operation has failed in the meantime: the holder's options are still the former ones.
                stream.state = UNSURE
                return
            stream.options = call.options

    def _refused(self, stream: Stream, call: Call, ret_type: int, ret_msg: str, now: float, out: Actions) -> None:
        undecided = ret_type in UNDECIDED
        if call.kind is Kind.SUBSCRIBE:
            if undecided:
                stream.state = UNSURE
                stream.since = now
                stream.rehabs |= call.rehabs if stream.by_rehab else NO_REHAB
            if stream.holders and stream.state is not PRESENT:
                stream.tries += 1
                stream.refusal = ret_msg
                alone = len(call.streams) == 1
                stream.hopeless = not undecided and alone and stream.tries >= HOPELESS_TRIES
                self._wait(stream, call, now, stream.tries)
        elif call.kind is Kind.UNSUBSCRIBE:
            stream.leave_tries += 1
            self._wait(stream, call, now, stream.leave_tries)
            if undecided:
                stream.state = UNSURE
            elif stream.state is UNSURE and stream.leave_tries >= LEAVE_TRIES_UNSURE and len(call.streams) == 1:
                self._gone(stream, out)

    @staticmethod
    def _wait(stream: Stream, call: Call, now: float, tries: int) -> None:
        stream.not_before = now + backoff(tries)
        stream.limit = max(1, len(call.streams) // SHRINK)

    @staticmethod
    def _gone(stream: Stream, out: Actions) -> None:
        out.released.extend(stream.push_keys(stream.cached))
        stream.rehabs = stream.cached = frozenset()
        stream.state = ABSENT
        stream.leave_tries = 0
        stream.not_before = 0.0
        stream.limit = None

    # -- acting unasked ---------------------------------------------------------------------------------------------

    def touch(self, stream: Stream) -> None:
        self._touched[stream] = None

    def sweep(self, now: float, out: Actions) -> None:
        """Drop, unsubscribe, subscribe again or set the alarm for whatever was touched."""
        leaving: list[Wish] = []
        wanted: list[Wish] = []
        for stream in self._touched:
            if stream.call is not None:
                continue
            if stream.state is ABSENT and stream.idle():
                out.released.extend(stream.push_keys(stream.cached))
                stream.alarm = None
                del self.streams[stream.key]
                continue
            due = stream.due()
            if due is None or not self.linked:
                continue
            if due > now:
                self._set_alarm(stream, due)
            elif stream.holders:
                wanted.append((stream, stream.options, wanted_rehabs(stream)))
            else:
                leaving.append((stream, broker_only(stream.options), NO_REHAB))
        self._touched.clear()
        self.send(Kind.UNSUBSCRIBE, leaving, out, own=True)
        self.send(Kind.SUBSCRIBE, wanted, out, own=True)

    def _set_alarm(self, stream: Stream, when: float) -> None:
        # One entry per stream at any time, however often its clients come and go: an early alarm is harmless.
        if stream.alarm is None or when < stream.alarm:
            stream.alarm = when
            self._alarm_no += 1
            heapq.heappush(self._alarms, (when, self._alarm_no, stream))

    def _next_alarm(self) -> tuple[float, Stream] | None:
        """The earliest alarm that still means something; those before it are thrown away or put off."""
        while self._alarms:
            when, _, stream = self._alarms[0]
            due = stream.due() if stream.alarm == when else None
            if due is not None and due <= when:
                return when, stream
            heapq.heappop(self._alarms)
            if stream.alarm == when:
                stream.alarm = None
                if due is not None:
                    self._set_alarm(stream, due)
        return None

    def next_due(self) -> float | None:
        alarm = self._next_alarm()
        return None if alarm is None else alarm[0]

    def wake(self, now: float) -> None:
        """Touch whatever is due."""
        while (alarm := self._next_alarm()) is not None and alarm[0] <= now:
            heapq.heappop(self._alarms)
            alarm[1].alarm = None
            self._touched[alarm[1]] = None

    # -- the link ---------------------------------------------------------------------------------------------------

    def lost(self) -> None:
        """OpenD has forgotten this connection and all that hung on it."""
        self.linked = False
        self.calls.clear()
        self.replays = 0
        self._alarms.clear()
        for stream in self.streams.values():
            stream.call = None
            stream.state = ABSENT
            stream.tries = stream.leave_tries = 0
            stream.not_before = 0.0
            stream.limit = None
            stream.refusal = ""
            stream.hopeless = False
            stream.alarm = None
            self._touched[stream] = None

    def replay(self, out: Actions) -> None:
        self.linked = True
        wishes = [(stream, stream.options, wanted_rehabs(stream)) for stream in self.streams.values()]
        self.send(Kind.SUBSCRIBE, wishes, out, own=True, replay=True)


def wanted_rehabs(stream: Stream) -> frozenset[int]:
    """For a SUBSCRIBE of our own: OpenD's default when nobody needs anything."""
    return stream.needed_rehabs() or frozenset({REHAB_FORWARD})


def broker_only(options: Options) -> Options:
    """The options of a message that asks for no data: only the header's broker belongs into it."""
    return Options(security_firm=options.security_firm)
