"""The HTTP/1.1 face: one connection, its requests one after the other.

Theory of operation. A request passes the same steps whatever it asks for: a head within its deadline, Host and Origin
(see `_http_admission`), the route, the key, the handler. A route is an entry of a table; its handler gets an `Exchange`
and answers at once, in pieces (a stream, which ends its connection), or takes the connection over. Every await on the
peer has a deadline; a peer that breaks off or is too slow ends its connection and nothing else.
"""

from __future__ import annotations

import contextlib
import email.utils
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio

from opendmux.core.denial import Denial
from opendmux.runtime.backend import Backend
from opendmux.wire.http import Body, Broken, EndOfRequest, Gone, HttpServer, RequestHead
from opendmux.wire.websocket import is_upgrade, own_upgrade, upgrade_problem

from ._http_admission import Admission
from ._http_body import BodyPool, BodyReader
from ._http_peer import LINGER_S, GoneError, receive, send
from ._http_probes import ROUTES
from ._http_refusal import RefusedError, error_body
from ._http_route import Exchange, Route, Site, Upgrades, find

__all__ = ["ROUTES", "BodyPool", "Exchange", "HttpSession", "RefusedError", "Route", "Site", "Upgrades", "serve_http"]

log = logging.getLogger("opendmux.http")

HEAD_S: Final = 10.0
"""From the first byte of a request to the end of its head."""
IDLE_S: Final = 60.0
"""Between two requests: longer than the usual interval of a scrape or a probe is kept open."""
GOODBYE_S: Final = 1.0
"""For a stream to say why it ends, when the proxy stops."""
AHEAD_BYTES: Final = 64 * 1024
"""A peer that sends so much behind a request that waits is not read any more, so its leaving is not seen."""

WEBSOCKET_PATHS: Final = ("/", "/ws")
"""OpenD's own is at the first."""


@dataclass(slots=True, eq=False)
class HttpSession:
    """One connection. Made by `serve_http`."""

    stream: trio.abc.Stream
    site: Site
    peer: str
    routes: Mapping[str, Route]
    upgrades: Upgrades | None
    """None: there are no WebSockets here."""
    _wire: HttpServer
    _admission: Admission
    _bodies: BodyReader
    _idle: trio.CancelScope | None = None
    """Around the wait for the next request."""
    _draining: bool = False
    drained: trio.Event = field(default_factory=trio.Event)
    """Set by `drain`."""
    _nursery: trio.Nursery | None = None
    _handling: trio.CancelScope | None = None
    """Around the handler of a request."""
    _left: trio.Event | None = None
    """Set when the peer has left; there once a stream has begun, for then a task reads."""
    _watching: trio.CancelScope = field(default_factory=trio.CancelScope)
    """Around that task."""
    _torn: bool = False
    """A piece of a stream was sent in part."""

    def drain(self) -> None:
        """End after the request that is being served, or now. Harmless when called again."""
        self._draining = True
        self.drained.set()
        if self._left is not None and self._handling is not None:
            self._handling.deadline = min(self._handling.deadline, trio.current_time() + GOODBYE_S)
        if self._idle is not None and not self._wire.begun:
            self._idle.cancel(reason="drain")

    async def run(self, first: bytes) -> None:
        """Serve until one side ends it. ``first``: what was read already, if anything."""
        async with trio.open_nursery() as self._nursery:
            try:
                if first:
                    self._wire.receive_untrusted(first)
                while await self._one():
                    pass
                await self._linger()
            except GoneError as gone:
                log.debug("%s: %s", self.peer, gone, extra={"peer": self.peer, "transport": "http"})
            finally:
                self._admission.forget()
            self._nursery.cancel_scope.cancel(reason="the connection is over")

    async def start_stream(self, content_type: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        """See `Exchange`."""
        assert self._nursery is not None
        assert self._handling is not None
        whole = _headers(content_type, [*headers, ("connection", "close")])
        await self._send_whole(self._wire.begin(200, whole))
        self._left = trio.Event()
        self._nursery.start_soon(self._watch, self._left, self._handling)
        if self._draining:
            self._handling.deadline = trio.current_time() + GOODBYE_S
        if self._wire.bodiless:
            self._handling.cancel(reason="HEAD")

    async def send_piece(self, piece: bytes) -> None:
        """See `Exchange`."""
        if piece:
            await self._send_whole(self._wire.data(piece))

    async def respond(
        self, status: int, body: bytes, content_type: str, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """See `Exchange`."""
        while isinstance(self._wire.next_event(), Body):
            pass  # what nobody wanted to read
        closing = [("connection", "close")] if self._draining or self._wire.reading else []
        await send(self.stream, self._wire.respond(status, _headers(content_type, [*headers, *closing]), body))

    async def body(self, limit: int) -> bytes:
        """See `Exchange`."""
        return await self._bodies.read(limit)

    async def wait(self, event: trio.Event) -> None:
        """See `Exchange`."""
        if event.is_set():
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, nursery.cancel_scope)
            await event.wait()
            nursery.cancel_scope.cancel(reason="the wait is over")
        if not event.is_set():
            raise GoneError("the peer has hung up before its answer")

    async def _listen(self, waiting: trio.CancelScope) -> None:
        """What comes now are requests behind the present one; the end of it ends the wait."""
        with contextlib.suppress(GoneError):
            while data := await receive(self.stream):
                self._wire.receive_untrusted(data)
                if self._wire.waiting > AHEAD_BYTES:
                    return
        waiting.cancel(reason="the peer has hung up")

    # -- inside

    async def _one(self) -> bool:
        """Serve a request; False when the connection is over."""
        head = await self._head()
        if head is None:
            return False
        try:
            await self._serve(head)
        except GoneError:
            raise
        except RefusedError as refused:
            assert self._wire.may_respond, "a handler that has answered can't refuse any more"
            await self._refuse_as(refused)
        except Exception:
            about = {"peer": self.peer, "transport": "http"}
            log.exception("%s: a crash over %s %s; the others go on", self.peer, head.method, head.path, extra=about)
            if not self._wire.may_respond:
                return False
            await self.refuse(500, "crash", "opendmux failed over this request")
        finally:
            self._bodies.release()
        if self._left is not None:
            if not self._torn and not self._left.is_set():
                await send(self.stream, self._wire.finish())
            return False
        while isinstance(self._wire.next_event(), Body | EndOfRequest):
            pass
        return not self._draining and self._wire.next_request()

    async def _head(self) -> RequestHead | None:
        """The next request; what is none is answered here."""
        started = trio.current_time()
        wire = self._wire
        with trio.CancelScope(deadline=started + (HEAD_S if wire.begun else IDLE_S)) as self._idle:
            begun = wire.begun
            while (event := wire.next_event()) is None:
                data = await receive(self.stream)
                wire.receive_untrusted(data)
                if not begun and wire.begun:
                    begun = True
                    self._idle.deadline = trio.current_time() + HEAD_S
        timed_out, self._idle = self._idle.cancelled_caught, None
        if timed_out:
            if wire.begun:
                await self.refuse(408, "slow", f"the request was not complete within {HEAD_S:g} s", close=True)
            return None
        if isinstance(event, RequestHead):
            return event
        assert isinstance(event, Broken | Gone), "a request begins with its head"
        if isinstance(event, Broken) and wire.may_respond:
            await self.refuse(event.status, "malformed", event.text)
        return None

    async def _serve(self, head: RequestHead) -> None:
        upgrades = self.upgrades if is_upgrade(head) else None
        strange = self._admission.is_strange(head, () if upgrades is None else upgrades.origins)
        if upgrades is not None:
            if strange and self._admission.certified is not None:
                text = "with a certificate only pages of this proxy and of http_origins get a WebSocket"
                await self.refuse(403, "origin", text, close=True)
                return
            await self._upgrade(head, upgrades)
            return
        route, params = find(self.routes, head.path)
        if route is None:
            there_are = ", ".join(self.routes) or f"WebSockets at {' and '.join(WEBSOCKET_PATHS)} alone"
            await self.refuse(404, "not_found", f"there is nothing here; there are {there_are}")
            return
        handler = route.handler(head.method)
        if handler is None:
            await self.refuse(405, "method", f"this takes {route.allow}", [("allow", route.allow)])
            return
        if head.has_body and not route.body_bytes:
            await self.refuse(413, "body", "this takes no body", close=True)
            return
        if route.control and strange:
            await self.refuse(403, "origin", "only pages of this proxy may give it orders", close=True)
            return
        who = self._admission.who(head, route)
        if isinstance(who, Denial):
            raise RefusedError.of(who)
        length = head.get("content-length")
        if length is not None and int(length) > route.body_bytes:
            raise RefusedError(413, "body", f"the body is longer than {route.body_bytes} bytes")
        with trio.CancelScope() as self._handling:
            await handler(Exchange(self, head, route, params, who))

    async def _upgrade(self, head: RequestHead, upgrades: Upgrades) -> None:
        if head.path not in WEBSOCKET_PATHS:
            await self.refuse(404, "not_found", f"WebSockets are at {' and '.join(WEBSOCKET_PATHS)}", close=True)
            return
        problem = upgrade_problem(head)
        if problem is not None:
            await self.refuse(problem[0], "upgrade", problem[1], [("sec-websocket-version", "13")], close=True)
            return
        taker = upgrades.ask(head, local=self._admission.is_local(head))
        if isinstance(taker, Denial):
            raise RefusedError.of(taker)
        await taker(self.stream, own_upgrade(head) + self._wire.take_over())

    def still_allowed(self, head: RequestHead, route: Route) -> bool:
        """See `Exchange`."""
        return self._admission.still_allowed(head, route)

    async def _refuse_as(self, refused: RefusedError) -> None:
        if refused.status == 401:
            self._admission.forget()  # it may be another one by now
        await self.refuse(refused.status, refused.reason, refused.text, refused.headers, scope=refused.scope)

    async def refuse(
        self,
        status: int,
        reason: str,
        text: str,
        headers: Sequence[tuple[str, str]] = (),
        *,
        scope: str = "",
        close: bool = False,
    ) -> None:
        closing = [("connection", "close")] if close and not self._draining else []
        body = error_body(status, reason, text, scope)
        await self.respond(status, body, "application/json", [*headers, *closing])

    # -- the peer

    async def _send_whole(self, data: bytes) -> None:
        """Of a stream: a cancellation on the way leaves it torn."""
        self._torn = True
        await send(self.stream, data)
        self._torn = False

    async def _watch(self, left: trio.Event, handling: trio.CancelScope) -> None:
        """While an answer is streamed: what the peer still says is dropped, and when it leaves, the handler ends."""
        with self._watching, contextlib.suppress(GoneError):
            while await receive(self.stream):
                pass
        left.set()
        handling.cancel(reason="the peer has left")

    async def _linger(self) -> None:
        if not isinstance(self.stream, trio.abc.HalfCloseableStream):
            return
        with trio.move_on_after(LINGER_S):
            try:
                if self._left is not None:  # the goodbye of TLS needs the peer's, which nobody else may read meanwhile
                    self._watching.cancel(reason="the stream is over")
                    await self._left.wait()
                await self.stream.send_eof()
                while await receive(self.stream):
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise GoneError("the connection broke") from error


def _headers(content_type: str, further: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        ("date", email.utils.formatdate(usegmt=True)),
        ("content-type", content_type),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        *further,
    ]


async def serve_http(
    stream: trio.abc.Stream,
    first: bytes,
    site: Site,
    *,
    peer: str,
    local: bool,
    own_host: str = "",
    routes: Mapping[str, Route] = ROUTES,
    certified: str | None = None,
    sessions: set[HttpSession] | None = None,
    backend: Backend | None = None,
    bodies: BodyPool | None = None,
    upgrades: Upgrades | None = None,
) -> None:
    """Serve one accepted connection and close it; its crash ends with it.

    ``first``: what was read to find out that it is HTTP. ``local``: the peer is on this machine. ``own_host``: the
    address that the peer has reached, when it is known. ``certified``: the key id that its certificate names.
    ``sessions``: those that a drain has to reach. ``backend``: for the routes that call. ``bodies``: what all
    connections share. Cancellation: the connection is closed at once.
    """
    wire = HttpServer()
    admission = Admission(site, peer, local, own_host, certified, backend)
    reader = BodyReader(stream, wire, bodies or BodyPool())
    session = HttpSession(stream, site, peer, routes, upgrades, wire, admission, reader)
    everybody = set() if sessions is None else sessions
    everybody.add(session)
    try:
        await session.run(first)
    except* Exception:  # a crash during cancellation comes mixed with Cancelled
        log.exception("%s: an HTTP session crashed; the others go on", peer, extra={"peer": peer, "transport": "http"})
    finally:
        everybody.discard(session)
        await trio.aclose_forcefully(stream)
