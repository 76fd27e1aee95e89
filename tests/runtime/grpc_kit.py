"""A proxy made up for the gRPC face: keys, answers and pushes as a test wants them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from opendmux.core.denial import Denial, DenialKind
from opendmux.core.events import PushEvent
from opendmux.runtime.backend import Answer, Caller, PushStream

KEY = "fc_" + "1" * 64
NO_KEY = Denial(DenialKind.UNAUTHENTICATED, "key", "der Schlüssel fehlt: 请出示密钥")
OK_BODY = b"\x08\x00"


def quote(code: str, value: int, size: int = 100) -> PushEvent:
    return PushEvent(3005, f"1_{code}", 1, value.to_bytes(8) + bytes(size - 8), "quote", 0)


class FakeStream:
    """Quotes are conflated by security, everything else is kept."""

    def __init__(self) -> None:
        self._poke, self.wakeups = trio.open_memory_channel[None](1)
        self._queue: dict[object, PushEvent] = {}
        self._ended: Denial | None = None
        self.conflated = 0
        self.taken = 0
        self.closed = False

    @property
    def ended(self) -> Denial | None:
        return self._ended

    def put(self, event: PushEvent) -> None:
        key: object = (event.sec_key, event.sub_type) if event.event_type == "quote" else object()
        if self._queue.pop(key, None) is not None:
            self.conflated += 1
        self._queue[key] = event
        self._wake()

    def end(self, denial: Denial) -> None:
        self._ended = denial
        self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(trio.WouldBlock, trio.BrokenResourceError):
            self._poke.send_nowait(None)

    def take(self, limit: int) -> list[PushEvent]:
        events: list[PushEvent] = []
        size = 0
        while self._queue and size < limit:
            key = next(iter(self._queue))
            events.append(self._queue.pop(key))
            size += len(events[-1].body)
        self.taken += len(events)
        return events

    def close(self) -> None:
        self.closed = True
        self.wakeups.close()


@dataclass
class Asked:
    proto_id: int
    body: bytes
    until: float | None
    answer: Callable[[Answer], None]
    dropped: bool = False
    proto_fmt: int = 0


@dataclass
class FakeCaller:
    backend: FakeBackend
    key_id: str
    asked: list[Asked] = field(default_factory=list)
    streams: list[FakeStream] = field(default_factory=list)
    resumed: list[int | None] = field(default_factory=list)
    detached: int = 0

    def request(
        self,
        proto_id: int,
        body: bytes,
        *,
        until: float | None,
        answer: Callable[[Answer], None],
        proto_fmt: int = 0,
    ) -> Callable[[], None]:
        asked = Asked(proto_id, body, until, answer, proto_fmt=proto_fmt)
        self.asked.append(asked)
        self.backend.asked += 1
        if self.backend.answers is not None:
            self.backend.answers(asked)

        def drop() -> None:
            asked.dropped = True
            self.backend.dropped += 1

        return drop

    def open_stream(self, *, resume_from: int | None = None) -> PushStream | Denial:
        self.resumed.append(resume_from)
        if self.backend.no_stream is not None:
            return self.backend.no_stream
        stream = FakeStream()
        self.streams.append(stream)
        if self.backend.on_stream is not None:
            self.backend.on_stream(stream)
        return stream

    def detach(self) -> None:
        self.detached += 1


def echo(asked: Asked) -> None:
    asked.answer(Answer(0, "", asked.body))


class FakeBackend:
    """``answers``: called with each request, maybe answering at once; None leaves them to the test."""

    def __init__(self) -> None:
        self.iface = "grpc"
        self.answers: Callable[[Asked], None] | None = echo
        self.no_stream: Denial | None = None
        self.on_stream: Callable[[FakeStream], None] | None = None
        self.keys = {KEY: "test", None: "anonymous"}
        self.admitted: list[str | None] = []
        self.local: list[bool] = []
        self.callers: list[FakeCaller] = []
        self.asked = 0
        self.dropped = 0

    def together(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def admit(
        self, bearer: str | None, *, iface: str, peer: str, local: bool, certified: str | None = None
    ) -> Caller | Denial:
        assert iface == self.iface
        self.local.append(local)
        assert peer
        self.admitted.append(bearer)
        if bearer not in self.keys:
            return NO_KEY
        name = certified if bearer is None and certified is not None else self.keys[bearer]
        self.callers.append(FakeCaller(self, name))
        return self.callers[-1]
