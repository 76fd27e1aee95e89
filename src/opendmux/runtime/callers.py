"""The sessions of callers: programs that come over gRPC or HTTP, known by their key.

All connections that show one key share one session, as OpenD's clients share nothing: its subscriptions, limits and
account pushes are the key's. It lives as long as a connection or a stream uses it, and `GRACE_S` after that, so that a
program that reconnects finds its subscriptions. Each push stream has a slot of its own in the switch: an outbox that
conflates and is bounded, like that of any client.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace

import trio

from opendmux.core.access import Access, Admitted
from opendmux.core.answers import verdict
from opendmux.core.commands import Outcome, Reply, Request
from opendmux.core.denial import Denial, DenialKind
from opendmux.core.events import PushEvent, event_of
from opendmux.core.keys import Scopes
from opendmux.wire.frame import HEADER_LEN, ProtoFmt, RetType
from opendmux.wire.handshake import State
from opendmux.wire.messages import ret_body

from .backend import Answer, Caller, PushStream
from .hub import Hub

__all__ = ["Callers"]

log = logging.getLogger("opendmux.callers")

GRACE_S = 60.0
"""How long a key's session is kept when nobody uses it: longer than a client's pause before it connects again."""

STREAMS_MAX = 64
"""Push streams of one key. Each may hold an outbox full of pushes."""

TAKE_BYTES = 256 * 1024


class Callers:
    """The callers of one hub; see `Backend`."""

    def __init__(self, hub: Hub, access: Access) -> None:
        self._hub = hub
        self._access = access
        self._desks: dict[tuple[str, str], _Desk] = {}
        self._draining = False

    def admit(
        self, bearer: str | None, *, iface: str, peer: str, local: bool, certified: str | None = None
    ) -> Caller | Denial:
        """See `Backend`."""
        admitted = self._access.admit(bearer, iface=iface, local=local, wall=self._hub.wall(), bound_to=certified)
        if isinstance(admitted, Denial):
            self._access.tally.auth(iface, "reject", "<missing>" if bearer is None else "<invalid>")
            return admitted
        if self._draining:
            return Denial(DenialKind.UNAVAILABLE, "drain", "opendmux is stopping")
        assert admitted.key is not None, "a caller has a key, anonymous being one"
        name = (iface, admitted.key.id)
        desk = self._desks.get(name)
        if desk is None or desk.gone:
            desk = self._desks[name] = _Desk(self._hub, iface, admitted)
        return _Handle(desk, self._access, admitted, peer, local=local)

    def tidy(self, now: float) -> None:
        """Let go of sessions that nobody has used for a while."""
        for name, desk in list(self._desks.items()):
            if desk.gone or (desk.unused_since is not None and now - desk.unused_since >= GRACE_S):
                del self._desks[name]
                desk.leave("unused")

    def drain(self) -> None:
        """No new callers; all streams end, what is in flight gets its answer."""
        self._draining = True
        for desk in self._desks.values():
            desk.end_streams(Denial(DenialKind.UNAVAILABLE, "drain", "opendmux is stopping"))

    def close(self) -> None:
        """All sessions end."""
        for desk in self._desks.values():
            desk.leave("stopped")
        self._desks.clear()

    @property
    def busy(self) -> bool:
        """Some request waits for its answer."""
        return any(desk.busy for desk in self._desks.values())


class _Desk:
    """One key's session: a client of the hub whose replies go to callbacks."""

    ordered = False

    def __init__(self, hub: Hub, iface: str, admitted: Admitted) -> None:
        assert admitted.key is not None, "a caller has a key, anonymous being one"
        self._hub = hub
        self.session = hub.open_session("callers", "callers", iface, "hold")
        self.session.key = admitted.key
        self._tally, self._key_id = hub.house.access.tally, admitted.key.id
        hub.router.open_caller(self.session)
        hub.add(self)
        self._open: dict[int, Callable[[Answer], None]] = {}
        self._last_serial = 0
        self.streams: dict[int, _Stream] = {}
        self._users = 0
        self.unused_since: float | None = trio.current_time()
        self.gone = False
        log.info("%s: a key's session begins", self.session)

    @property
    def busy(self) -> bool:
        return bool(self._open)

    def wall(self) -> float:
        return self._hub.wall()

    # -- requests

    def ask(self, request: Request, answer: Callable[[Answer], None]) -> Callable[[], None]:
        if self.gone or self.session.state is State.CLOSED:
            answer(_denied(Denial(DenialKind.UNAUTHENTICATED, "ended", "the session of this key has ended")))
            return _nothing
        if len(self._open) >= self._hub.config.limits.in_flight:
            text = f"{len(self._open)} requests of this key wait for their answers; no more can be taken"
            answer(_denied(Denial(DenialKind.LIMIT, "in_flight", text)))
            return _nothing
        serial = self._last_serial = self._last_serial % 0xFFFF_FFFF + 1
        self._open[serial] = answer
        try:
            self._hub.call(replace(request, session=self.session, serial_no=serial))
        except Exception:
            log.exception("%s: a crash over a request of proto_id %d", self.session, request.proto_id)
            self._answer(serial, _denied(Denial(DenialKind.UNAVAILABLE, "crash", "opendmux failed over this request")))

        def forget() -> None:
            self._open.pop(serial, None)

        return forget

    def _answer(self, serial_no: int, answer: Answer) -> None:
        waiting = self._open.pop(serial_no, None)
        if waiting is not None:
            if answer.denial is None:
                self._tally.auth(self.session.transport, "allow", self._key_id)
            waiting(answer)

    def take_reply(self, reply: Reply) -> bool:
        """See `Client`."""
        self._answer(reply.serial_no, _answer_of(reply.body, reply.denial))
        return True

    def flush(self) -> None:
        """See `Client`. What is in the outbox are the replies that the switch passed on by itself."""
        slot = self.session.slot
        while frames := self._hub.switch.take_frames(slot, TAKE_BYTES):
            for frame in frames:
                serial_no = int.from_bytes(frame[8:12], "little")
                self._answer(serial_no, _answer_of(frame[HEADER_LEN:], None))

    def pause(self) -> None:
        """See `Client`. Nothing is read from a desk."""

    def resume(self) -> None:
        """See `Client`."""

    def end(self, reason: str, *, flush_all: bool) -> None:  # noqa: ARG002
        """See `Client`: the key has ended, or a reply did not fit."""
        self.leave(reason)

    # -- streams and users

    def attach(self) -> None:
        self._users += 1
        self.unused_since = None

    def detach(self) -> None:
        self._users -= 1
        if self._users == 0:
            self.unused_since = trio.current_time()

    def open_stream(self, digest: bytes) -> PushStream | Denial:
        key = self.session.key
        assert key is not None, "a caller has a key, anonymous being one"
        if not key.scopes & {Scopes.QOT_READ, Scopes.ACC_READ}:
            text = f"a push stream needs a key with the scope {Scopes.QOT_READ} or {Scopes.ACC_READ}"
            return Denial(DenialKind.PERMISSION, "scope", text, Scopes.QOT_READ)
        if self.gone:
            return Denial(DenialKind.UNAUTHENTICATED, "ended", "the session of this key has ended")
        if len(self.streams) >= STREAMS_MAX:
            return Denial(
                DenialKind.LIMIT, "streams", f"this key has {STREAMS_MAX} push streams open; no more are allowed"
            )
        stream = _Stream(self._hub, self, digest)
        self.streams[stream.slot] = stream
        self._list_streams()
        self.attach()
        self._hub.run(self._hub.router.stream_opened(self.session, stream.slot, trio.current_time()))
        return stream

    def closed(self, stream: _Stream) -> None:
        if self.streams.pop(stream.slot, None) is None:
            return
        self._list_streams()
        self.detach()
        if not self.streams and not self.gone:
            self._hub.run(self._hub.router.streams_closed(self.session))

    def _list_streams(self) -> None:
        self.session.streams = list(self.streams)

    def end_streams(self, why: Denial) -> None:
        for stream in list(self.streams.values()):
            stream.finish(why)

    def leave(self, reason: str) -> None:
        """The session is over: open requests and streams are told, what it held is released. Idempotent."""
        if self.gone:
            return
        self.gone = True
        why = Denial(DenialKind.UNAUTHENTICATED, "ended", reason)
        for serial_no in list(self._open):
            self._answer(serial_no, _denied(why))
        self.end_streams(why)
        self._hub.remove(self, reason)


class _Handle:
    """A connection's use of a desk."""

    def __init__(self, desk: _Desk, access: Access, admitted: Admitted, peer: str, *, local: bool) -> None:
        self._desk = desk
        self._access = access
        self._admitted = admitted
        self._peer = peer
        self._local = local
        self._attached = True
        desk.attach()

    @property
    def key_id(self) -> str:
        """See `Caller`."""
        assert self._admitted.key is not None, "a caller has a key, anonymous being one"
        return self._admitted.key.id

    def _refusal(self) -> Denial | None:
        """Look again at who it is: the key may have ended or changed since."""
        if not self._attached:
            return Denial(DenialKind.UNAUTHENTICATED, "ended", "the connection has given this key back")
        session = self._desk.session
        if self._admitted.digest and self._access.digest_ended(self._admitted.digest, self._desk.wall()):
            return Denial(DenialKind.UNAUTHENTICATED, "invalid", "the key has expired or was revoked")
        key = session.key
        assert key is not None, "a caller has a key, anonymous being one"
        return self._access.machine_denial(key, local=self._local)

    def request(
        self, proto_id: int, body: bytes, *, until: float | None, answer: Callable[[Answer], None]
    ) -> Callable[[], None]:
        """See `Caller`."""
        refusal = self._refusal()
        if refusal is not None:
            answer(_denied(refusal))
            return _nothing
        request = Request(self._desk.session, proto_id, ProtoFmt.PROTOBUF, 0, body, until, self._peer)
        return self._desk.ask(request, answer)

    def open_stream(self) -> PushStream | Denial:
        """See `Caller`."""
        return self._refusal() or self._desk.open_stream(self._admitted.digest)

    def detach(self) -> None:
        """See `Caller`."""
        if self._attached:
            self._attached = False
            self._desk.detach()


class _Stream:
    """One push stream: a slot of its own, as a client of the hub and as the face's `PushStream`."""

    ordered = True

    def __init__(self, hub: Hub, desk: _Desk, digest: bytes) -> None:
        self._hub = hub
        self._desk = desk
        self.session = desk.session
        self.digest = digest
        self.slot = hub.open_stream_slot(self)
        self._wake, self.wakeups = trio.open_memory_channel[None](1)
        self._ended: Denial | None = None
        self._closed = False

    @property
    def ended(self) -> Denial | None:
        """See `PushStream`."""
        return self._ended

    def take(self, limit: int) -> list[PushEvent]:
        """See `PushStream`."""
        if self._closed:
            return []
        return [event_of(frame) for frame in self._hub.switch.take_frames(self.slot, limit)]

    def close(self) -> None:
        """See `PushStream`."""
        if not self._closed:
            self._closed = True
            self._desk.closed(self)
            self._hub.close_stream_slot(self.slot)

    def finish(self, why: Denial) -> None:
        """Nothing more comes; the first reason counts."""
        if self._ended is None:
            self._ended = why
            self.flush()

    # -- as a client of the hub

    def flush(self) -> None:
        """See `Client`."""
        with contextlib.suppress(trio.WouldBlock):  # it has not yet looked since the last time
            self._wake.send_nowait(None)

    def take_reply(self, _reply: Reply) -> bool:
        """See `Client`. Replies go to the desk."""
        return False

    def pause(self) -> None:
        """See `Client`. Nothing is read from a stream."""

    def resume(self) -> None:
        """See `Client`."""

    def end(self, reason: str, *, flush_all: bool) -> None:  # noqa: ARG002
        """See `Client`: its outbox is full."""
        self.finish(Denial(DenialKind.LIMIT, "slow", f"the stream was not read fast enough: {reason}"))


def _answer_of(body: bytes, denial: Denial | None) -> Answer:
    ret_type, ret_msg = verdict(Outcome(body, ProtoFmt.PROTOBUF))
    return Answer(ret_type, ret_msg, body, denial)


def _denied(denial: Denial) -> Answer:
    body = ret_body(ProtoFmt.PROTOBUF, RetType.FAILED, denial.text)
    return Answer(RetType.FAILED, denial.text, body, denial)


def _nothing() -> None:
    pass
