"""The router: a client's frame, an upstream reply or a change of the link comes in, commands come out.

Theory of operation. The native switch has already passed on what may be forwarded blindly; what arrives here is what
core must see: frames before InitConnect, INSPECT, LOCAL and DENY cells, everything while the link is down, bad
frames, and replies of EVENT cells. State changes at once and completely; the returned commands are executed in order
by runtime. A request is answered exactly once: by a command from here, or by the closing of its session.

While the link is down requests are refused at once with the reason. One exception keeps the Python SDK alive: it
restores its subscriptions exactly once after a reconnect, so the restore calls of a session that was opened during
the outage are parked until the link is back (`link_up`) or their time is up (`tick`), when the session is closed and
the SDK will try again.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from opendmux.errors import RemoteProtocolError
from opendmux.native import BAD_MAGIC, BAD_SHA1, TOO_LARGE, ClientEvent
from opendmux.wire import handshake
from opendmux.wire.frame import ProtoFmt, RetType
from opendmux.wire.handshake import Act, Identity, State
from opendmux.wire.messages import ret_body
from opendmux.wire.protocols import PUSH_IDS, ProtoId, RequestAction

from .accounts import Accounts
from .answers import failed, name_of, refused, reply, unavailable
from .commands import Close, Command, Failure, Forward, Outcome, Reply, Request, Then, UseRow
from .gate import HANDSHAKE_ROW, action_of
from .identity import Session, Upstream
from .ledger import Ledger
from .pushes import Pushes
from .quotes import Quotes
from .replies import EDITORS
from .trading import Trading

__all__ = ["PARKED_IDS", "SETTLE_S", "Router"]

log = logging.getLogger("opendmux.router")

PARKED_IDS = frozenset(
    {
        ProtoId.TRD_GET_ACC_LIST,
        ProtoId.TRD_UNLOCK_TRADE,
        ProtoId.TRD_SUB_ACC_PUSH,
        ProtoId.QOT_SUB,
        ProtoId.QOT_REG_QOT_PUSH,
    }
)
"""What the Python SDK sends by itself, once, after a reconnect."""

SETTLE_S = 0.05
"""No push goes to a client before this long after its InitConnect reply: the SDK drops one in the same segment."""


@dataclass(frozen=True, slots=True)
class _Parked:
    until: float
    request: Request


class Router:
    """All decisions about requests and replies. ``open_row``: the policy row of a client after InitConnect."""

    def __init__(self, upstream: Upstream, *, open_row: bytes, park_s: float) -> None:
        self.upstream = upstream
        self.sessions: dict[int, Session] = {}
        """By owner."""
        self.accounts = Accounts()
        self.wall_offset = 0.0
        """Add to ``now`` for UTC seconds; kept right by runtime."""
        self.ledger = Ledger()
        self.pushes = Pushes(self.accounts, self.sessions, self.ledger)
        self.quotes = Quotes(self.ledger, self.pushes)
        self.trading = Trading(self.accounts)
        self._open_row = open_row
        self._park_s = park_s
        self._parked: deque[_Parked] = deque()
        self._inspectors: dict[int, Callable[[Request, float], list[Command]]] = {
            ProtoId.TRD_UNLOCK_TRADE: lambda request, _now: self.trading.unlock(request),
            ProtoId.TRD_SUB_ACC_PUSH: lambda request, _now: self.trading.sub_acc_push(request),
            ProtoId.TRD_PLACE_ORDER: lambda request, _now: self.trading.write(request),
            ProtoId.TRD_MODIFY_ORDER: lambda request, _now: self.trading.write(request),
            ProtoId.TRD_PLACE_COMBO_ORDER: lambda request, _now: self.trading.write(request),
            ProtoId.TRD_RECONFIRM_ORDER_2209: lambda request, _now: self.trading.write(request),
            ProtoId.TRD_RECONFIRM_ORDER_2237: lambda request, _now: self.trading.write(request),
            ProtoId.QOT_SUB: self.quotes.sub,
            ProtoId.QOT_REG_QOT_PUSH: self.quotes.register,
            ProtoId.QOT_GET_SUB_INFO: self.quotes.sub_info,
            ProtoId.QOT_SUB_EVENT_CONTRACT: self.quotes.sub_event_contract,
        }

    # -- sessions

    def open_session(self, session: Session) -> None:
        """A client has connected; it must send InitConnect first."""
        session.row = HANDSHAKE_ROW
        session.restoring = not self.upstream.ready
        self.sessions[session.owner] = session

    def close_session(self, session: Session, now: float) -> list[Command]:
        """The client is gone: what only it held is released."""
        session.state = State.CLOSED
        if self.sessions.pop(session.owner, None) is None:
            return []
        self.pushes.forget(session.owner)
        commands = self.quotes.close_owner(session.owner, now, link_ready=self.upstream.ready)
        return commands + self.trading.close_owner(session.owner, link_ready=self.upstream.ready)

    # -- requests

    def client_event(self, session: Session, event: ClientEvent, now: float) -> list[Command]:
        """One event of the switch about this client's stream."""
        if session.state is State.CLOSED:
            return []
        if event.kind == BAD_MAGIC:
            return [Close(session, "not the OpenD protocol: the frame does not start with FT")]
        request = Request(session, event.proto_id, event.proto_fmt, event.serial_no, event.body)
        if event.kind == TOO_LARGE:
            return [refused(request, "the body is longer than this proxy accepts"), Close(session, "frame too large")]
        if event.kind == BAD_SHA1:
            if not session.ready:
                # Most likely RSA: an error reply could not be read by such a client, and would end it for good.
                return [Close(session, "SHA-1 mismatch before InitConnect; is encryption switched on in the client?")]
            log.warning("%s: SHA-1 mismatch in %s, refused", session, name_of(event.proto_id))
            return [refused(request, f"{name_of(event.proto_id)} was not sent: the SHA-1 of its body is wrong")]
        if event.proto_fmt not in (ProtoFmt.PROTOBUF, ProtoFmt.JSON):
            return [self._bad_format(request)]
        return self._frame(request, now)

    def _frame(self, request: Request, now: float) -> list[Command]:
        session = request.session
        session.state, act = handshake.step(session.state, request.proto_id)
        if act is Act.HANDLE:
            return self._handle(request, now)
        if act is Act.ANSWER_INIT:
            return self._init(request, now)
        if act is Act.ANSWER_KEEP_ALIVE:
            wall = int(now + self.wall_offset)
            return [reply(request, handshake.keep_alive_reply(wall, request.proto_fmt))]
        if act is Act.REFUSE:
            # The session counts as closed now, but the refusal is still flushed.
            return [
                refused(request, "InitConnect (1001) must be the first request"),
                Close(session, f"{name_of(request.proto_id)} before InitConnect"),
            ]
        return []

    def _init(self, request: Request, now: float) -> list[Command]:
        session, identity = request.session, self.upstream.identity
        if identity is None:
            return [Close(session, "OpenD has not been reached yet")]
        try:
            hello = handshake.client_hello_untrusted(request.body, request.proto_fmt)
        except RemoteProtocolError as error:
            return [Close(session, f"InitConnect can't be read: {error}")]
        if hello.packet_enc_algo != -1:
            return [Close(session, "the client asks for encryption, which is not configured here")]
        session.client_id = hello.client_id
        session.recv_notify = hello.recv_notify
        session.row = self._open_row
        session.settled_at = now + SETTLE_S
        log.info("%s: ready, version %d, %s", session, hello.client_ver, hello.language or "language not said")
        body = handshake.init_reply(
            identity, conn_id=session.conn_id, aes_key=session.aes_key, proto_fmt=request.proto_fmt
        )
        return [reply(request, body), UseRow(session)]

    def _handle(self, request: Request, now: float) -> list[Command]:
        action = action_of(request.session.row, request.proto_id)
        if action is RequestAction.DENY:
            if request.proto_id in PUSH_IDS:
                return [refused(request, f"{name_of(request.proto_id)} is a push, it can't be requested")]
            return [refused(request, f"proto_id {request.proto_id} is not known here and was not sent")]
        if not self.upstream.ready:
            return self._while_down(request, now)
        inspector = self._inspectors.get(request.proto_id)
        if inspector is None:
            return [Forward(request, self.editor_of(request))]
        try:
            return inspector(request, now)
        except RemoteProtocolError as error:
            return [refused(request, f"{name_of(request.proto_id)} was not sent: {error}")]

    def _while_down(self, request: Request, now: float) -> list[Command]:
        if request.session.restoring and request.proto_id in PARKED_IDS:
            self._parked.append(_Parked(now + self._park_s, request))
            return []
        return [unavailable(request, self.upstream.absence(now))]

    @staticmethod
    def _bad_format(request: Request) -> Reply:
        body = ret_body(ProtoFmt.PROTOBUF, RetType.FAILED, f"unknown proto_fmt {request.proto_fmt}")
        return reply(request, body, ProtoFmt.PROTOBUF)

    # -- replies

    def editor_of(self, request: Request) -> Then | None:
        """What core does with the reply to a request that was passed on; None: nothing, it goes straight back."""
        editor = EDITORS.get(request.proto_id)
        if editor is None:
            return None

        def then(outcome: Outcome, _now: float) -> list[Command]:
            if outcome.failure is not None:
                return [failed(request, outcome.failure)]
            try:
                body = editor(self.pushes, request.session, outcome)
            except RemoteProtocolError:
                return [failed(request, Failure.CORRUPT)]
            return [reply(request, body, outcome.proto_fmt)]

        return then

    def passed_reply(self, request: Request, outcome: Outcome, now: float) -> list[Command]:
        """The reply to a request that the switch passed on by itself, or the reason why none came."""
        if outcome.failure is not None:
            return [failed(request, outcome.failure)]
        then = self.editor_of(request)
        return then(outcome, now) if then else [reply(request, outcome.body, outcome.proto_fmt)]

    # -- the link

    def link_connected(self, identity: Identity, now: float) -> list[Command]:
        """Upstream has answered InitConnect: what it must know of us, before anybody may use the link."""
        self.upstream.identity = identity
        return self.quotes.replay(now) + self.trading.replay()

    @property
    def replaying(self) -> bool:
        """Some of `link_connected`'s requests are still open."""
        return self.quotes.replaying

    def link_up(self, now: float) -> list[Command]:
        """The link is ready: parked requests go on, in their order."""
        self.upstream.ready = True
        parked, self._parked = self._parked, deque()
        commands: list[Command] = []
        for session in self.sessions.values():
            session.restoring = False
        for item in parked:
            if item.request.session.ready:
                commands += self._handle(item.request, now)
        return commands

    def link_lost(self, pending: Iterable[tuple[Then | None, Request | None]], now: float) -> list[Command]:
        """The upstream connection ended. ``pending``: what was waiting for a reply, by its continuation or as passed
        on."""
        if self.upstream.ready:
            self.upstream.ready = False
            self.upstream.down_since = now
        self.trading.link_lost()
        commands = self.quotes.link_lost(self.upstream.absence(now), now)
        outcome = Outcome(b"", ProtoFmt.PROTOBUF, Failure.LOST)
        for then, request in pending:
            if then is not None:
                commands += then(outcome, now)
            elif request is not None:
                commands += self.passed_reply(request, outcome, now)
        # What a continuation wanted to ask upstream can't be asked any more.
        return [command for command in commands if isinstance(command, Reply | Close)]

    # -- time

    def tick(self, now: float) -> list[Command]:
        """Whatever is due: parked requests whose time is up, delayed unsubscribes, pushes held for a settling
        client."""
        commands: list[Command] = []
        while self._parked and self._parked[0].until <= now:
            session = self._parked.popleft().request.session
            if session.ready:
                session.state = State.CLOSED
                commands.append(Close(session, self.upstream.absence(now)))
        if self.upstream.ready:
            commands += self.quotes.due(now)
        return commands + self.pushes.due(now)
