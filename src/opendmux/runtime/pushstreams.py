"""The push streams of one key's session.

Theory of operation. A plain stream has a slot of its own in the switch: an outbox that conflates and is bounded, like
that of any client. A stream that can be resumed has none. It reads the ring of its session (`core/pushring.py`) at its
own pace, and a recorder (`pushrecorder`) fills that. The recorder begins with the first stream that wants it and goes
on for `KEEP_S` after the last of them has ended, so that a client whose connection broke finds what came in between.
Its account pushes are kept up as long.
"""

from __future__ import annotations

import abc
import contextlib
import sys
from collections.abc import Callable
from typing import Final, TypeAlias

import trio

from opendmux.core.denial import Denial, DenialKind
from opendmux.core.events import PushEvent, event_of
from opendmux.core.identity import Session
from opendmux.core.keys import Scopes

from .hub import Hub
from .pushrecorder import Greeted, Recorder, SlotClient

__all__ = ["KEEP_S", "STREAMS_MAX", "Streams"]

STREAMS_MAX: Final = 64
"""Push streams of one key. Each may hold an outbox full of pushes."""
KEEP_S: Final = 60.0
"""How long pushes are recorded for a stream that may come back."""

Refusal: TypeAlias = Callable[[], "Denial | None"]
"""Why a stream's connection may not have it any more."""


class Streams:
    """Opens them and ends them. ``attach``, ``detach``: called for each stream, whose session is in use meanwhile."""

    def __init__(self, hub: Hub, session: Session, attach: Callable[[], None], detach: Callable[[], None]) -> None:
        self.hub = hub
        self.session = session
        self.detach = detach
        self._attach = attach
        self._open: dict[_Stream, None] = {}
        self._recorder: Recorder | None = None
        session.missed = self._missed

    def __len__(self) -> int:
        return len(self._open)

    def open(self, refusal: Refusal, resume_from: int | None) -> _Stream | Denial:
        """See `Caller.open_stream`."""
        scopeless = self._scopeless()
        if scopeless is not None:
            return scopeless
        if len(self._open) >= STREAMS_MAX:
            return Denial(
                DenialKind.LIMIT, "streams", f"this key has {STREAMS_MAX} push streams open; no more are allowed"
            )
        self._attach()
        if resume_from is not None:
            return self._open_resumable(refusal, resume_from)
        stream = _SlotStream(self, refusal)
        self._open[stream] = None
        self._list()
        self._begin(stream.slot)
        return stream

    def _open_resumable(self, refusal: Refusal, resume_from: int) -> _RingStream:
        if self._recorder is None:
            self._recorder = Recorder(self.hub, self.session)
            self._list()
        recorder = self._recorder
        recorder.record()
        greeted = Greeted(self.hub, self.session)
        stream = _RingStream(self, refusal, recorder, resume_from or recorder.ring.last)
        self._open[stream] = None
        recorder.readers.add(stream)
        self._begin(greeted.slot)
        greetings = greeted.close()
        if not resume_from:
            stream.first(greetings)
        return stream

    def _begin(self, slot: int) -> None:
        self.hub.run(self.hub.router.tenancy.stream_opened(self.session, slot, trio.current_time()))

    def _scopeless(self) -> Denial | None:
        key = self.session.key
        assert key is not None, "a caller has a key, anonymous being one"
        if key.scopes & {Scopes.QOT_READ, Scopes.ACC_READ}:
            return None
        text = f"a push stream needs a key with the scope {Scopes.QOT_READ} or {Scopes.ACC_READ}"
        return Denial(DenialKind.PERMISSION, "scope", text, Scopes.QOT_READ)

    def review(self, now: float) -> None:
        """End the streams whose key does not allow them any more, and the recording that nobody comes back for."""
        for stream in list(self._open):
            why = stream.refusal() or self._scopeless()
            if why is not None:
                stream.finish(why)
        recorder = self._recorder
        if recorder is not None and not recorder.readers and now - recorder.unread_since >= KEEP_S:
            self._stop_recording()
            self._narrow()

    def stopped(self, stream: _Stream) -> None:
        """Nothing more goes to this stream."""
        if stream in self._open:
            del self._open[stream]
            self._list()
            self._narrow()

    def _missed(self) -> None:
        if self._recorder is not None:
            self._recorder.lose(counted=False)

    def finish(self, why: Denial) -> None:
        """All of them end; the session does not."""
        for stream in list(self._open):
            stream.finish(why)

    def leave(self, why: Denial) -> None:
        """The session ends."""
        for stream in list(self._open):
            stream.finish(why)
        self._stop_recording()

    def _stop_recording(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            self._list()
            self.hub.close_stream_slot(recorder.slot)

    def _list(self) -> None:
        slots = [stream.slot for stream in self._open if isinstance(stream, _SlotStream)]
        self.session.streams = slots if self._recorder is None else [*slots, self._recorder.slot]

    def _narrow(self) -> None:
        if not self.session.streams and self.session.ready:
            self.hub.run(self.hub.router.tenancy.streams_closed(self.session))


class _Stream(abc.ABC):
    """What both kinds have in common, as a face's `PushStream`."""

    def __init__(self, streams: Streams, refusal: Refusal) -> None:
        self.refusal = refusal
        self._streams = streams
        self._wake, self.wakeups = trio.open_memory_channel[None](1)
        self._ended: Denial | None = None
        self._closed = False

    @property
    def ended(self) -> Denial | None:
        """See `PushStream`."""
        return self._ended

    @abc.abstractmethod
    def take(self, limit: int) -> list[PushEvent]:
        """See `PushStream`."""

    def close(self) -> None:
        """See `PushStream`."""
        if not self._closed:
            self._closed = True
            self.release()
            self._streams.stopped(self)
            self._streams.detach()

    def finish(self, why: Denial) -> None:
        """Nothing more comes; the first reason counts."""
        if self._ended is None:
            self._ended = why
            self.seal()
            self._streams.stopped(self)
            self.flush()

    def release(self) -> None:  # noqa: B027 (a hook: one kind has nothing to do)
        """Let go of what it holds."""

    def seal(self) -> None:  # noqa: B027 (likewise)
        """Nothing more goes in; what is in it is still to be taken."""

    def flush(self) -> None:
        """There is something to take."""
        # It has not yet looked since the last time, or it never will again.
        with contextlib.suppress(trio.WouldBlock, trio.BrokenResourceError):
            self._wake.send_nowait(None)


class _SlotStream(_Stream, SlotClient):
    """A plain stream: what waits is in its slot."""

    def __init__(self, streams: Streams, refusal: Refusal) -> None:
        super().__init__(streams, refusal)
        self.session = streams.session
        self.slot = streams.hub.open_stream_slot(self)

    def take(self, limit: int) -> list[PushEvent]:
        """See `PushStream`."""
        if self._closed:
            return []
        return [event_of(frame) for frame in self._streams.hub.switch.take_frames(self.slot, limit)]

    def close(self) -> None:
        """See `PushStream`."""
        if not self._closed:
            super().close()
            self._streams.hub.close_stream_slot(self.slot)

    def end(self, reason: str, *, flush_all: bool) -> None:  # noqa: ARG002
        """See `Client`: its outbox is full."""
        self.finish(Denial(DenialKind.LIMIT, "slow", f"the stream was not read fast enough: {reason}"))


class _RingStream(_Stream):
    """A stream that can be resumed: the number of the last event that it has given."""

    def __init__(self, streams: Streams, refusal: Refusal, recorder: Recorder, after: int) -> None:
        super().__init__(streams, refusal)
        self._recorder: Recorder | None = recorder
        self._after = after
        self._first: list[PushEvent] = []

    def first(self, events: list[PushEvent]) -> None:
        """What it gives before anything else."""
        self._first = events
        if events:
            self.flush()

    def take(self, limit: int) -> list[PushEvent]:
        """See `PushStream`."""
        if self._first:
            size = count = 0
            while count < len(self._first) and size < limit:
                size += len(self._first[count].body)
                count += 1
            events, self._first = self._first[:count], self._first[count:]
            return events
        if self._recorder is None:
            return []
        events, self._after = self._recorder.read(self._after, limit)
        return events

    def seal(self) -> None:
        """See `_Stream`."""
        if self._recorder is not None:
            self._first += self._recorder.read(self._after, sys.maxsize)[0]
            self._leave(self._recorder)

    def release(self) -> None:
        """See `_Stream`."""
        self._first = []
        if self._recorder is not None:
            self._leave(self._recorder)

    def _leave(self, recorder: Recorder) -> None:
        self._recorder = None
        recorder.readers.discard(self)
        recorder.unread_since = trio.current_time()
