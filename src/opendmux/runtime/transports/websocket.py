"""WebSocket on the proxy's port: who may have one. What it carries is in `_websocket_session`.

The HTTP face has read the request for the upgrade and judged Host and Origin. A key may be shown here, or later in the
login of either dialect; one that is shown and not valid is refused here, in words of HTTP. Who asks for pushes that can
be resumed gets another kind of connection, `_websocket_resumable`, and shows its key here or never.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import parse_qs

import trio

from opendmux.config import OnOutage
from opendmux.core.access import Admitted
from opendmux.core.denial import Denial, DenialKind
from opendmux.core.pushring import number_untrusted
from opendmux.errors import RemoteProtocolError
from opendmux.runtime.callers import Callers
from opendmux.runtime.hub import Hub
from opendmux.runtime.ports import Guest
from opendmux.wire.http import RequestHead

from ._websocket_line import Line
from ._websocket_resumable import ResumableConnection
from ._websocket_session import WebSocketSession

__all__ = ["Line", "WebSocketRoom"]

log = logging.getLogger("opendmux.websocket")

FIELDS_MAX: Final = 100
"""Parameters of a query; two of them mean something."""

Taker: TypeAlias = Callable[[trio.abc.Stream, bytes], Awaitable[None]]


@dataclass(slots=True)
class WebSocketRoom:
    """Where connections of one listener go that ask for a WebSocket; see `transports.http.Upgrades`."""

    hub: Hub
    callers: Callers
    guest: Guest
    on_outage: OnOutage
    sessions: set[Line]
    """Those that a drain has to reach."""
    origins: Collection[str] = ()
    """Foreign origins whose pages may come, in lower case."""

    def ask(self, head: RequestHead, *, local: bool) -> Denial | Taker:
        """See `Upgrades`."""
        try:
            shown = parse_qs(head.query, keep_blank_values=True, max_num_fields=FIELDS_MAX) if head.query else {}
        except ValueError:
            return Denial(DenialKind.INVALID, "query", f"the query has more than {FIELDS_MAX} parameters")
        token = _token_in(head, shown.get("token", []))
        if isinstance(token, Denial):
            return token
        if "resume_from" in shown:
            return self._ask_resumable(token, shown["resume_from"], local=local)
        return self._ask_plain(token, local=local)

    def _ask_plain(self, token: str | None, *, local: bool) -> Denial | Taker:
        hub, access = self.hub, self.hub.house.access
        upstream = hub.router.lanes.main.upstream
        if not upstream.ready:
            # A refused connection is tried again; an error in reply to Init would stop the JavaScript SDK for good.
            return Denial(DenialKind.UNAVAILABLE, "upstream", upstream.absence(trio.current_time()), retry_s=1)
        admitted = access.admit(token, iface="ws", local=local, wall=hub.wall(), bound_to=self.guest.stands_for)
        if isinstance(admitted, Denial) and (token is not None or admitted.kind is not DenialKind.UNAUTHENTICATED):
            hub.notary.turned_away("ws", self.guest.peer, admitted)
            return admitted

        async def serve(stream: trio.abc.Stream, first: bytes) -> None:
            session = WebSocketSession(hub, stream, first, self.guest, self.on_outage, local=local)
            if isinstance(admitted, Admitted):
                session.let_in(admitted, shown=token is not None)
            await self._serve(session)

        return serve

    def _ask_resumable(self, token: str | None, numbers: list[str], *, local: bool) -> Denial | Taker:
        """While OpenD is away too: what was pushed before must not be lost for the wait."""
        try:
            (resume_from,) = map(number_untrusted, numbers)
        except (ValueError, RemoteProtocolError):
            return Denial(DenialKind.INVALID, "resume_from", "resume_from is the number of an event, or 0")
        guest = self.guest
        caller = self.callers.admit(token, iface="ws", peer=guest.peer, local=local, certified=guest.stands_for)
        if isinstance(caller, Denial):
            return caller
        pushes = caller.open_stream(resume_from=resume_from)
        if isinstance(pushes, Denial):
            caller.detach()
            return pushes

        async def serve(stream: trio.abc.Stream, first: bytes) -> None:
            await self._serve(ResumableConnection(self.hub, stream, first, caller, pushes, guest, local=local))

        return serve

    async def _serve(self, line: Line) -> None:
        self.sessions.add(line)
        try:
            await line.run()
        except* trio.BrokenResourceError:
            log.debug("%s: the connection broke", line.session)
        except* Exception:  # a crash during cancellation comes mixed with Cancelled
            log.exception("%s: a session crashed; the others go on", line.session)
        finally:
            self.sessions.discard(line)


def _token_in(head: RequestHead, tokens: list[str]) -> str | Denial | None:
    """The key that is shown at the handshake."""
    shown = list(tokens)
    for value in head.all("authorization"):
        scheme, _, bearer = value.partition(" ")
        shown.append(bearer.strip() if scheme.lower() == "bearer" else "")
    if len(shown) > 1:
        return Denial(DenialKind.INVALID, "authorization", "the key is shown more than once")
    return shown[0] if shown else None
