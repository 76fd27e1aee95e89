"""InitConnect of a client: who it is, what it may do, and which lane it gets its pushes from."""

from __future__ import annotations

import logging
import re

from opendmux.errors import RemoteProtocolError
from opendmux.wire import handshake
from opendmux.wire.cipher import EncAlgo, conn_secrets
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.handshake import ClientHello, State
from opendmux.wire.protocols import PROTOCOLS, ProtoId
from opendmux.wire.websocket import init_reply as websocket_init_reply
from opendmux.wire.websocket import ws_hello_untrusted

from .access import Access, Admitted
from .answers import denied, reply, unavailable
from .commands import Close, Command, Request, UseRow, Witness
from .custody import guarded
from .denial import Denial, DenialKind
from .gate import inspecting, key_row
from .identity import Session
from .keys import KEY_PREFIX, Key
from .lanes import Lanes

__all__ = ["SETTLE_S", "Entry", "end"]

log = logging.getLogger("opendmux.router")

SETTLE_S = 0.05
"""No push goes to a client before this long after its InitConnect reply: the SDK drops one in the same segment."""


UNKNOWN = 0
"""Stands for every id that is not known."""

LOOKS_LIKE_KEY = re.compile(rf"^\s*(?:bearer\s+)?{KEY_PREFIX}|{KEY_PREFIX}[0-9a-f]{{16}}|[0-9a-f]{{64}}", re.IGNORECASE)
"""A client id that is meant as a key, spelt well or not: it is judged as one, and never logged."""


class Entry:
    """The door for sessions of OpenD's own protocol. ``open_row``: the policy row of one without a key."""

    def __init__(self, open_row: bytes, access: Access, lanes: Lanes) -> None:
        self._open_row = open_row
        self._access = access
        self._lanes = lanes

    def row_of(self, key: Key | None) -> bytes:
        """The policy row of a session with this key, as freezes leave it."""
        row = self._open_row if key is None else key_row(self._open_row, key)
        if guarded(key):  # every request of it is a sign of life
            row = inspecting(row, (UNKNOWN, *PROTOCOLS))
        return self._access.freezes.narrowed(row, None if key is None else key.id)

    def init(self, request: Request, now: float, wall: float) -> list[Command]:
        """Answer InitConnect. A client whose key is not valid gets the reason and is closed."""
        session, identity = request.session, self._lanes.main.upstream.identity
        if identity is None:
            text = "OpenD has not been reached yet"
            return [end(session, text) if session.streams is None else unavailable(request, text)]
        if session.sdk_dialect:
            return self._init_websocket(request, now, wall)
        try:
            hello = handshake.client_hello_untrusted(request.body, request.proto_fmt)
        except RemoteProtocolError as error:
            text = f"InitConnect can't be read: {error}"
            if session.streams is None:
                return [end(session, text)]
            return [denied(request, Denial(DenialKind.INVALID, "body", text))]
        # An InitConnect that came in the clear stays in the clear, whatever it asks for.
        secure = session.secure
        algo = EncAlgo.NONE if secure is None or secure.asked is None else secure.asked
        secrets = conn_secrets(algo, session.random)
        body = handshake.init_reply(identity, conn_id=session.conn_id, secrets=secrets, proto_fmt=request.proto_fmt)
        if session.settled_at or session.streams is not None:
            return [
                reply(request, body)
            ]  # a second InitConnect changes nothing: not the key, not the lane, not the row
        refusal = self._admit(session, hello, wall)
        if refusal is not None:
            return [denied(request, refusal), end(session, refusal.text)]
        if secure is not None:
            secure.use(algo, secrets.aes_key, secrets.aes_cbc_iv)
        session.recv_notify = hello.recv_notify
        commands = self._begin(request, now)
        if hello.push_proto_fmt == ProtoFmt.JSON:
            commands += self._lanes.home_json(session, now)
        log.info("%s: ready, version %d, language %r", session, hello.client_ver, hello.language)
        return [reply(request, body), UseRow(session), *commands]

    def _begin(self, request: Request, now: float) -> list[Command]:
        session = request.session
        session.row = self.row_of(session.key)
        session.settled_at = now + SETTLE_S
        told = session.admitted and not session.sdk_dialect  # see `open`
        return [] if session.key is None or told else [Witness(request, "allow")]

    def _init_websocket(self, request: Request, now: float, wall: float) -> list[Command]:
        """Answer InitWebSocket, which says less than InitConnect. Its SDK takes every notification."""
        session = request.session
        try:
            hello = ws_hello_untrusted(request.body)
        except RemoteProtocolError as error:
            text = f"InitWebSocket can't be read: {error}"
            return [denied(request, Denial(DenialKind.INVALID, "body", text)), end(session, text)]
        body = websocket_init_reply(conn_id=session.conn_id, wall_time=int(wall))
        if session.settled_at:
            return [reply(request, body)]
        session.client_id = hello.client_id
        if hello.ignored:
            log.warning("%s: asks by InitWebSocket for %s, which is ignored", session, hello.ignored)
        if hello.md5 or not session.admitted:
            admitted = self._access.admit_md5(
                hello.md5, iface=session.transport, local=session.local, wall=wall, bound_to=session.bound_to
            )
            if isinstance(admitted, Denial):
                return [denied(request, admitted), end(session, admitted.text)]
            session.key, session.digest = admitted.key, admitted.digest
        session.recv_notify = True
        commands = self._begin(request, now)
        log.info("%s: ready, WebSocket, language %r", session, hello.language)
        return [reply(request, body), UseRow(session), *commands]

    def open(self, session: Session, admitted: Admitted) -> list[Command]:
        """The handshake of a session's transport has told who it is: it is ready without InitConnect, which it may
        still send."""
        session.state = State.READY
        session.admitted = True
        session.key, session.digest = admitted.key, admitted.digest
        session.row = self.row_of(session.key)
        log.info("%s: ready by its handshake", session)
        request = Request(session, ProtoId.INIT_CONNECT, ProtoFmt.PROTOBUF, 0, b"")
        return [UseRow(session), *([] if session.key is None else [Witness(request, "allow")])]

    def _admit(self, session: Session, hello: ClientHello, wall: float) -> Denial | None:
        shows_key = LOOKS_LIKE_KEY.search(hello.client_id) is not None
        session.client_id = "" if shows_key else hello.client_id
        if session.admitted and not shows_key:
            return None
        admitted = self._access.admit(
            hello.client_id if shows_key else None,
            iface=session.transport,
            local=session.local,
            wall=wall,
            bound_to=session.bound_to,
        )
        if isinstance(admitted, Denial):
            return admitted
        session.key, session.digest = admitted.key, admitted.digest
        return None


def end(session: Session, reason: str) -> Close:
    """From now on the session is deaf: more frames may have come with the one that ends it. Replies still go out."""
    session.state = State.CLOSED
    return Close(session, reason)
