"""The sessions of callers: programs that come over gRPC, HTTP or a resumable WebSocket, known by their key.

All connections that show one key share one session, as OpenD's clients share nothing: its subscriptions, limits and
account pushes are the key's. It lives as long as a connection or a stream uses it, and `GRACE_S` after that, so that a
program that reconnects finds its subscriptions. Its push streams are in `pushstreams`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import trio

from opendmux.core.access import Access, Admitted
from opendmux.core.answers import verdict
from opendmux.core.commands import Outcome, Reply, Request
from opendmux.core.denial import Denial, DenialKind
from opendmux.core.identity import Session
from opendmux.core.keys import Key
from opendmux.wire.frame import HEADER_LEN, PROTO_FMT_AT, ProtoFmt, RetType
from opendmux.wire.messages import ret_body
from opendmux.wire.protocols import WRITE_IDS

from .backend import Answer, PushStream
from .hub import Hub
from .pushstreams import Streams

__all__ = ["Callers", "Handle", "cut_off"]

log = logging.getLogger("opendmux.callers")

GRACE_S = 60.0
"""How long a key's session is kept when nobody uses it: longer than a client's pause before it connects again."""

TAKE_BYTES = 256 * 1024


STOPPING = Denial(DenialKind.UNAVAILABLE, "drain", "opendmux is stopping")


@dataclass(slots=True)
class _Open:
    """A request without its answer."""

    proto_id: int
    proto_fmt: int
    answer: Callable[[Answer], None] | None
    """None: nobody wants it any more."""

    def given_up(self) -> bool:
        """See `Request`."""
        return self.answer is None


class Callers:
    """The callers of one hub; see `Backend`."""

    def __init__(self, hub: Hub, access: Access) -> None:
        self._hub = hub
        self._access = access
        self._desks: dict[tuple[str, str], _Desk] = {}
        self._draining = False

    def admit(
        self, bearer: str | None, *, iface: str, peer: str, local: bool, certified: str | None = None
    ) -> Handle | Denial:
        """See `Backend`."""
        wall = self._hub.wall()
        admitted = self._access.admit(bearer, iface=iface, local=local, wall=wall, bound_to=certified, caller=True)
        if isinstance(admitted, Denial):
            self._hub.notary.turned_away(iface, peer, admitted)
            return admitted
        if self._draining:
            return STOPPING
        assert admitted.key is not None, "a caller has a key, anonymous being one"
        return Handle(self, iface, admitted, peer, local=local)

    def current(self, admitted: Admitted, *, local: bool) -> Key | Denial:
        """Who somebody is that was admitted before: the key may have ended or changed since."""
        key = self._access.current(admitted, self._hub.wall())
        if key is None:
            return Denial(DenialKind.UNAUTHENTICATED, "invalid", "the key has expired or was revoked")
        return self._access.machine_denial(key, local=local) or key

    def desk(self, iface: str, key: Key) -> _Desk | Denial:
        """The session of this key, a new one where there is none."""
        if self._draining:
            return STOPPING
        name = (iface, key.id)
        desk = self._desks.get(name)
        if desk is None or desk.gone:
            desk = self._desks[name] = _Desk(self._hub, iface, key)
        return desk

    def together(self) -> AbstractContextManager[None]:
        """See `Backend`."""
        return self._hub.together()

    def tidy(self, now: float) -> None:
        """Let go of sessions that nobody has used for a while, and of streams whose key has ended. To be called about
        once a second."""
        for name, desk in list(self._desks.items()):
            desk.streams.review(now)
            if desk.gone or (desk.unused_since is not None and now - desk.unused_since >= GRACE_S):
                del self._desks[name]
                desk.leave(Denial(DenialKind.UNAVAILABLE, "ended", "unused"))

    def drain(self) -> None:
        """No new callers; all streams end, what is in flight gets its answer."""
        self._draining = True
        for desk in self._desks.values():
            desk.streams.finish(STOPPING)

    def close(self) -> None:
        """All sessions end."""
        for desk in self._desks.values():
            desk.leave(STOPPING)
        self._desks.clear()

    @property
    def busy(self) -> bool:
        """Some request waits for its answer."""
        return any(desk.busy for desk in self._desks.values())


class _Desk:
    """One key's session: a client of the hub whose replies go to callbacks."""

    ordered = False

    def __init__(self, hub: Hub, iface: str, key: Key) -> None:
        self._hub = hub
        self.session = hub.open_session("callers", "callers", iface, "hold")
        self.session.key, self.session.attended = key, False
        self._tally, self._key_id = hub.house.access.tally, key.id
        hub.router.tenancy.open_caller(self.session)
        hub.add(self)
        self._open: dict[int, _Open] = {}
        """By serial: all that OpenD or the proxy still owes an answer, wanted or not."""
        self._last_serial = 0
        self.streams = Streams(hub, self.session, self.attach, self.detach)
        self._users = 0
        self.unused_since: float | None = trio.current_time()
        self.gone = False
        log.info("%s: a key's session begins", self.session)

    @property
    def busy(self) -> bool:
        return any(waiting.answer is not None for waiting in self._open.values())

    # -- requests

    def ask(
        self,
        proto_id: int,
        proto_fmt: int,
        body: bytes,
        until: float | None,
        peer: str,
        answer: Callable[[Answer], None],
    ) -> Callable[[], None]:
        if len(self._open) >= self._hub.config.limits.in_flight:
            text = f"{len(self._open)} requests of this key wait for their answers; no more can be taken"
            answer(_denied(Denial(DenialKind.LIMIT, "in_flight", text)))
            return _nothing
        serial = self._last_serial = self._last_serial % 0xFFFF_FFFF + 1
        waiting = self._open[serial] = _Open(proto_id, proto_fmt, answer)
        try:
            request = Request(self.session, proto_id, proto_fmt, serial, body, until, peer)
            self._hub.call(replace(request, given_up=waiting.given_up))
        except Exception:
            log.exception("%s: a crash over a request of proto_id %d", self.session, proto_id)
            self._cut_off(serial, Denial(DenialKind.UNAVAILABLE, "crash", "opendmux failed over this request"))

        def forget() -> None:
            waiting.answer = None  # it counts until it is answered: who asks and forgets must not flood OpenD

        return forget

    def _answer(self, serial_no: int, answer: Answer) -> None:
        waiting = self._open.pop(serial_no, None)
        if waiting is None:
            return
        if answer.denial is None:
            self._tally.auth(self.session.transport, "allow", self._key_id)
        if waiting.answer is not None:
            waiting.answer(answer)

    def _cut_off(self, serial_no: int, why: Denial) -> None:
        waiting = self._open.get(serial_no)
        if waiting is not None:
            self._answer(serial_no, cut_off(waiting.proto_id, waiting.proto_fmt, why))

    def take_reply(self, reply: Reply) -> bool:
        """See `Client`."""
        self._answer(reply.serial_no, _answer_of(reply.body, reply.proto_fmt, reply.denial))
        return True

    def flush(self) -> None:
        """See `Client`. What is in the outbox are the replies that the switch passed on by itself."""
        slot = self.session.slot
        while frames := self._hub.switch.take_frames(slot, TAKE_BYTES):
            for frame in frames:
                serial_no = int.from_bytes(frame[8:12], "little")
                self._answer(serial_no, _answer_of(frame[HEADER_LEN:], frame[PROTO_FMT_AT], None))

    def pause(self) -> None:
        """See `Client`. Nothing is read from a desk."""

    def resume(self) -> None:
        """See `Client`."""

    def end(self, reason: str, *, flush_all: bool) -> None:
        """See `Client`: the key has ended, or (``flush_all`` False) something went wrong here."""
        kind = DenialKind.UNAUTHENTICATED if flush_all else DenialKind.UNAVAILABLE
        self.leave(Denial(kind, "ended", reason))

    # -- users

    def attach(self) -> None:
        self._users += 1
        self.unused_since, self.session.attended = None, True

    def detach(self) -> None:
        self._users -= 1
        if self._users == 0:
            self.unused_since, self.session.attended = trio.current_time(), False

    def leave(self, why: Denial) -> None:
        """The session is over: open requests and streams are told, what it held is released. Idempotent."""
        if self.gone:
            return
        self.gone = True
        for serial_no in list(self._open):
            self._cut_off(serial_no, why)
        self.streams.leave(why)
        self._hub.remove(self, why.text)


class Handle:
    """A connection's use of a desk."""

    def __init__(self, callers: Callers, iface: str, admitted: Admitted, peer: str, *, local: bool) -> None:
        self._callers = callers
        self._iface = iface
        self._admitted = admitted
        self._peer = peer
        self._local = local
        self._desk: _Desk | None = None
        self._attached = True
        self._at_desk()

    @property
    def key_id(self) -> str:
        """See `Caller`."""
        assert self._admitted.key is not None, "a caller has a key, anonymous being one"
        return self._admitted.key.id

    @property
    def session(self) -> Session:
        """The key's, as this connection has found it last."""
        assert self._desk is not None, "whoever has been given a stream has found it"
        return self._desk.session

    def _refusal(self) -> Denial | None:
        key = self._callers.current(self._admitted, local=self._local)
        return key if isinstance(key, Denial) else None

    def _at_desk(self) -> _Desk | Denial:
        """The key's session, looked for again where the former one has ended; or why there is none for this one."""
        if not self._attached:
            return Denial(DenialKind.UNAUTHENTICATED, "ended", "the connection has given this key back")
        key = self._callers.current(self._admitted, local=self._local)
        if isinstance(key, Denial):
            return key
        if self._desk is not None and not self._desk.gone:
            return self._desk
        desk = self._callers.desk(self._iface, key)
        if not isinstance(desk, Denial):
            self._desk = desk
            desk.attach()
        return desk

    def request(
        self,
        proto_id: int,
        body: bytes,
        *,
        until: float | None,
        answer: Callable[[Answer], None],
        proto_fmt: int = ProtoFmt.PROTOBUF,
    ) -> Callable[[], None]:
        """See `Caller`."""
        desk = self._at_desk()
        if isinstance(desk, Denial):
            answer(_denied(desk))
            return _nothing
        return desk.ask(proto_id, proto_fmt, body, until, self._peer, answer)

    def open_stream(self, *, resume_from: int | None = None) -> PushStream | Denial:
        """See `Caller`."""
        desk = self._at_desk()
        return desk if isinstance(desk, Denial) else desk.streams.open(self._refusal, resume_from)

    def detach(self) -> None:
        """See `Caller`."""
        if self._attached:
            self._attached = False
            if self._desk is not None:
                self._desk.detach()


def _answer_of(body: bytes, proto_fmt: int, denial: Denial | None) -> Answer:
    ret_type, ret_msg = verdict(Outcome(body, proto_fmt))
    return Answer(ret_type, ret_msg, body, denial, proto_fmt)


def cut_off(proto_id: int, proto_fmt: int, why: Denial) -> Answer:
    """What is said of a request to which no answer will come. Of a write nobody knows whether it was executed: a denial
    would invite a caller that retries to send it twice."""
    if proto_id not in WRITE_IDS:
        return _denied(why)
    text = f"outcome unknown: {why.text}. It may have been executed: query before sending it again"
    return Answer(RetType.UNKNOWN, text, ret_body(proto_fmt, RetType.UNKNOWN, text), proto_fmt=proto_fmt)


def _denied(denial: Denial) -> Answer:
    body = ret_body(ProtoFmt.PROTOBUF, RetType.FAILED, denial.text)
    return Answer(RetType.FAILED, denial.text, body, denial)


def _nothing() -> None:
    pass
