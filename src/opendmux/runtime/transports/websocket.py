"""WebSocket on the proxy's port: who may have one. What it carries is in `_websocket_session`.

The HTTP face has read the request for the upgrade and judged Host and Origin. A key may be shown here, or later in the
login of either dialect; one that is shown and not valid is refused here, in words of HTTP.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from urllib.parse import parse_qs

import trio

from opendmux.config import OnOutage
from opendmux.core.access import Admitted
from opendmux.core.denial import Denial, DenialKind
from opendmux.runtime.hub import Hub
from opendmux.runtime.ports import Guest
from opendmux.wire.http import RequestHead

from ._websocket_session import WebSocketSession

__all__ = ["WebSocketRoom", "WebSocketSession"]

log = logging.getLogger("opendmux.websocket")


@dataclass(slots=True)
class WebSocketRoom:
    """Where connections of one listener go that ask for a WebSocket; see `transports.http.Upgrades`."""

    hub: Hub
    guest: Guest
    on_outage: OnOutage
    sessions: set[WebSocketSession]
    """Those that a drain has to reach."""
    origins: Collection[str] = ()
    """Foreign origins whose pages may come, in lower case."""

    def ask(self, head: RequestHead, *, local: bool) -> Denial | Callable[[trio.abc.Stream, bytes], Awaitable[None]]:
        """See `Upgrades`."""
        hub, access = self.hub, self.hub.house.access
        upstream = hub.router.lanes.main.upstream
        if not upstream.ready:
            # A refused connection is tried again; an error in reply to Init would stop the JavaScript SDK for good.
            return Denial(DenialKind.UNAVAILABLE, "upstream", upstream.absence(trio.current_time()), retry_s=1)
        token = _token_in(head)
        if isinstance(token, Denial):
            return token
        admitted = access.admit(token, iface="ws", local=local, wall=hub.wall(), bound_to=self.guest.stands_for)
        if isinstance(admitted, Denial) and (token is not None or admitted.kind is not DenialKind.UNAUTHENTICATED):
            hub.notary.turned_away("ws", self.guest.peer, admitted)
            return admitted

        async def serve(stream: trio.abc.Stream, first: bytes) -> None:
            session = WebSocketSession(hub, stream, first, self.guest, self.on_outage, local=local)
            if isinstance(admitted, Admitted):
                session.let_in(admitted, shown=token is not None)
            self.sessions.add(session)
            try:
                await session.run()
            except* trio.BrokenResourceError:
                log.debug("%s: the connection broke", session.session)
            except* Exception:  # a crash during cancellation comes mixed with Cancelled
                log.exception("%s: a session crashed; the others go on", session.session)
            finally:
                self.sessions.discard(session)

        return serve


def _token_in(head: RequestHead) -> str | Denial | None:
    """The key that is shown at the handshake."""
    shown = parse_qs(head.query, keep_blank_values=True, max_num_fields=100).get("token", []) if head.query else []
    for value in head.all("authorization"):
        scheme, _, bearer = value.partition(" ")
        shown.append(bearer.strip() if scheme.lower() == "bearer" else "")
    if len(shown) > 1:
        return Denial(DenialKind.INVALID, "authorization", "the key is shown more than once")
    return shown[0] if shown else None
