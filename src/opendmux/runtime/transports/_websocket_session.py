"""WebSocket: a client that is a session of its own, in OpenD's dialect ``ft-v1.0`` or with FT frames in messages.

Theory of operation. The first binary message tells the dialect. From there a session is a client of the hub like one
over TCP: requests go through the gate, replies and pushes wait in the same outbox under the same bounds, and only their
outer form is different.

FT frames. The bytes of the messages are the stream that TCP would carry; each reply or push is a message of its own. A
client that was let in at its handshake need not send InitConnect, for a program that has shown its key as a token has
said all that InitConnect says about who it is; one that sends it gets the usual answer.
"""

from __future__ import annotations

from typing import Final

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from opendmux.config import OnOutage
from opendmux.core.access import Admitted
from opendmux.core.answers import refused
from opendmux.core.commands import Request
from opendmux.errors import RemoteProtocolError
from opendmux.runtime.hub import Hub, now_ns
from opendmux.runtime.ports import Guest
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.protocols import ProtoId
from opendmux.wire.websocket import INIT, SIGN, UPSTREAM_LOST, Sections, parse_request_untrusted

from ._websocket_line import HEAD_BYTES, Line

__all__ = ["WebSocketSession"]

MAGIC: Final = b"FT"
SDK_REPLY_S: Final = 4.5
"""The JavaScript SDK gives up after 5 s, without a word of why, and takes an answer that comes later for a push."""


class WebSocketSession(Line):
    """A client on a WebSocket. ``first``: its request for the upgrade and what came behind it."""

    ordered = True

    def __init__(
        self, hub: Hub, stream: trio.abc.Stream, first: bytes, guest: Guest, on_outage: OnOutage, *, local: bool
    ) -> None:
        session = hub.open_session(guest.peer, guest.peer_host, "ws", on_outage)
        super().__init__(hub, stream, first, session, session.slot, hub.handshake_body)
        session.local, session.bound_to = local, guest.stands_for
        self._admitted: Admitted | None = None
        self._asked: Sections | None = None
        """Of the SDK's dialect; None: FT frames."""
        self._begun = False
        self._paused = False

    def let_in(self, admitted: Admitted, *, shown: bool) -> None:
        """The handshake has told who it is. ``shown``: by a key, not by needing none."""
        self._admitted = admitted
        if shown:
            self.session.admitted = True
            self.session.key, self.session.digest = admitted.key, admitted.digest

    # -- the hub's side

    def pause(self) -> None:
        """See `Client`."""
        self._paused = True

    def resume(self) -> None:
        """See `Client`."""
        if self._reason or not self._guarded(lambda: self._hub.go_on(self)):
            return
        if self._draining:
            self.flush()
            return
        self._paused = False
        if self._begun and self._asked is None:
            self._guarded(lambda: self._hub.feed(self, b"", now_ns()))  # frames kept by the switch come first
        self._work_off()

    # -- see `Line`

    def _enter(self) -> None:
        self._hub.add(self)

    def _leave(self, reason: str) -> None:
        self._hub.remove(self, reason)

    @property
    def _held_back(self) -> bool:
        full = self._asked is not None and len(self._asked.open) >= self._hub.config.limits.in_flight
        return self._paused or full

    @property
    def _idle(self) -> bool:
        return self._hub.idle(self.session) and not (self._asked and self._asked.open)

    async def _drained(self, ws: WebSocketConnection) -> bool:
        try:
            while await self._send_frames(ws, None if self._asked is None else self._asked.message_of):
                pass
        except ConnectionClosed:
            return False
        return True

    def _message_untrusted(self, message: bytes) -> None:
        if not self.session.ready:
            self._renew()
        if not self._begun:
            self._begin_untrusted(message)
            self._begun = True
        if self._asked is None:
            self._hub.feed(self, message, now_ns())
        else:
            self._request_untrusted(self._asked, message)
        if self.session.ready:
            self._guard.limit = HEAD_BYTES + self._hub.config.limits.client_body_bytes

    def _renew(self) -> None:
        """The handshake may be some seconds ago: who it has told is judged again, and needs to log in if that fails."""
        if self._admitted is None:
            return
        session, hub = self.session, self._hub
        renewed = hub.house.access.renewed(self._admitted, local=session.local, wall=hub.wall())
        if isinstance(renewed, Admitted):
            self.let_in(renewed, shown=session.admitted)
        else:
            self._admitted, session.admitted, session.key, session.digest = None, False, None, b""

    def _begin_untrusted(self, message: bytes) -> None:
        """The first message: which dialect is it? Of FT frames it may be a single byte."""
        if message.startswith(SIGN):
            self._asked = Sections()
            self.session.sdk_dialect = True
        elif not message or not MAGIC.startswith(message[: len(MAGIC)]):
            raise RemoteProtocolError("the first message is neither of ft-v1.0 nor an FT frame")
        elif self._admitted is not None:
            self._hub.run(self._hub.router.entry.open(self.session, self._admitted))

    def _request_untrusted(self, asked: Sections, message: bytes) -> None:
        got = parse_request_untrusted(message)
        proto_id = ProtoId.INIT_CONNECT if got.cmd == INIT else got.cmd
        serial_no = asked.add(proto_id, got.cmd, got.section)
        until = trio.current_time() + SDK_REPLY_S if self.session.ready else None
        request = Request(self.session, proto_id, ProtoFmt.PROTOBUF, serial_no, got.body, until)
        if got.cmd in (UPSTREAM_LOST, ProtoId.INIT_CONNECT):
            self._hub.run([refused(request, f"cmd {got.cmd} is no request of ft-v1.0")])
        else:
            self._hub.call(request)
        if self._hub.switch.paused(self.session.slot):
            self._paused = True
