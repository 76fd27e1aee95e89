"""The HTTP/1.1 face: one connection, its requests one after the other.

Theory of operation. A request passes the same steps whatever it asks for: a head within its deadline, Host and Origin
(see `core/origins.py`), the route, the key, the handler. A route is an entry of a table; its handler gets an `Exchange`
and answers at once, in pieces (a stream, which ends its connection), or takes the connection over. Every await on the
peer has a deadline; a peer that breaks off or is too slow ends its connection and nothing else.
"""

from __future__ import annotations

import contextlib
import email.utils
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import trio

from opendmux.core.denial import Denial, DenialKind
from opendmux.core.keys import Key
from opendmux.core.origins import host_is_ours, origin_is_ours, origin_is_this
from opendmux.runtime.backend import Backend, Caller
from opendmux.runtime.ports import FORWARDED
from opendmux.wire.http import Body, Broken, EndOfRequest, Gone, HttpServer, RequestHead
from opendmux.wire.websocket import is_upgrade, own_upgrade, upgrade_problem

from ._http_peer import LINGER_S, WRITE_S, GoneError, receive, send
from ._http_probes import ROUTES
from ._http_route import STATUS, BodyPool, Exchange, RefusedError, Route, Site, Upgrades, find

__all__ = [
    "ROUTES",
    "STATUS",
    "WRITE_S",
    "BodyPool",
    "Exchange",
    "HttpSession",
    "RefusedError",
    "Route",
    "Site",
    "Upgrades",
    "find",
    "serve_http",
]

log = logging.getLogger("opendmux.http")

HEAD_S: Final = 10.0
"""From the first byte of a request to the end of its head."""
IDLE_S: Final = 60.0
"""Between two requests: longer than the usual interval of a scrape or a probe is kept open."""
GOODBYE_S: Final = 1.0
"""For a stream to say why it ends, when the proxy stops."""
BODY_S: Final = 60.0
"""For the whole body of a request."""
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
    local: bool
    """The peer is on this machine."""
    own_host: str
    """The address that the peer has reached."""
    routes: Mapping[str, Route] = field(default_factory=lambda: ROUTES)
    certified: str | None = None
    """The key id that the peer's TLS certificate names."""
    backend: Backend | None = None
    """For routes that call."""
    bodies: BodyPool = field(default_factory=BodyPool)
    upgrades: Upgrades | None = None
    """None: there are no WebSockets here."""
    _held: int = 0
    """Taken from ``bodies``."""
    _known: tuple[str | None, bool, Caller] | None = None
    """The caller of the last request: what was shown, whether locally, and who it is."""
    _wire: HttpServer = field(default_factory=HttpServer)
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
                self._forget_caller()
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
        parts: list[bytes] = []
        with trio.move_on_after(BODY_S):
            await send(self.stream, self._wire.go_on())
            while True:
                event = self._wire.next_event()
                if event is None:
                    self._wire.receive_untrusted(await receive(self.stream))
                elif isinstance(event, Body):
                    if not self.bodies.take(len(event.data), self._held):
                        raise RefusedError(503, "memory", "the memory for requests is used up")
                    self._held += len(event.data)
                    parts.append(event.data)
                    if self._held > limit:
                        raise RefusedError(413, "body", f"the body is longer than {limit} bytes")
                elif isinstance(event, EndOfRequest):
                    return b"".join(parts)
                else:
                    assert isinstance(event, Broken), "a body ends or breaks"
                    raise RefusedError(event.status, "malformed", event.text)
        raise RefusedError(408, "slow", f"the body was not complete within {BODY_S:g} s")

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
            self.bodies.give(self._held)
            self._held = 0
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
        own, names = self.own_host, self.site.names
        hosts, origins = head.all("host"), head.all("origin")
        # Without a Host it is no browser: HTTP/1.0, as some probes speak it.
        if not all(host_is_ours(host, own=own, further=names) for host in hosts):
            await self.refuse(403, "host", "this proxy is not known by the name in the Host header")
            return
        upgrades = self.upgrades if is_upgrade(head) else None
        welcome = () if upgrades is None else upgrades.origins
        if not all(origin.lower() in welcome or origin_is_ours(origin, own=own, further=names) for origin in origins):
            await self.refuse(403, "origin", "pages of other sites may not ask this proxy")
            return
        # A browser shows its certificate for whatever page asks, and asks without a word when there is no JSON in it.
        host = hosts[0] if len(hosts) == 1 else ""
        strange = not all(o.lower() in welcome or origin_is_this(o, host=host, further=names) for o in origins)
        if upgrades is not None:
            if strange and self.certified is not None:
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
        who = self._who(head, route)
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
        taker = upgrades.ask(head, local=self._is_local(head))
        if isinstance(taker, Denial):
            raise RefusedError.of(taker)
        await taker(self.stream, own_upgrade(head) + self._wire.take_over())

    def _is_local(self, head: RequestHead) -> bool:
        return self.local and not any(head.all(name) for name in FORWARDED)

    def _who(self, head: RequestHead, route: Route) -> Key | Caller | Denial | None:
        """Whose request this is, where that is asked for."""
        local = self._is_local(head)
        if self._is_open(route, local=local):
            return None
        if len(head.all("authorization")) > 1:
            return Denial(DenialKind.INVALID, "authorization", "there is more than one Authorization header")
        if route.calls:
            return self._find_caller(_shown_key(head), local=local)
        key = self.site.admit(_shown_key(head), peer=self.peer, local=local, certified=self.certified)
        return _scoped(key, route, keyed=self.site.keyed)

    def still_allowed(self, head: RequestHead, route: Route) -> bool:
        """See `Exchange`."""
        local = self._is_local(head)
        if self._is_open(route, local=local):
            return True
        key = self.site.judge(_shown_key(head), local=local, certified=self.certified)
        return isinstance(_scoped(key, route, keyed=self.site.keyed), Key)

    def _is_open(self, route: Route, *, local: bool) -> bool:
        if route.public:
            return True
        return local and (
            (route.open_locally and self.site.open_locally) or (route.open_unkeyed and not self.site.keyed)
        )

    def _find_caller(self, shown: str | None, *, local: bool) -> Caller | Denial:
        assert self.backend is not None, "a route that calls needs somebody to call"
        if self._known is not None and self._known[:2] == (shown, local):
            return self._known[2]
        self._forget_caller()
        caller = self.backend.admit(shown, iface="http", peer=self.peer, local=local, certified=self.certified)
        if not isinstance(caller, Denial):
            self._known = shown, local, caller
        return caller

    def _forget_caller(self) -> None:
        if self._known is not None:
            self._known[2].detach()
            self._known = None

    async def _refuse_as(self, refused: RefusedError) -> None:
        headers = []
        if refused.status == 401:
            headers.append(("www-authenticate", "Bearer"))
            self._forget_caller()  # it may be another one by now
        if refused.status == 503 and refused.reason == "memory":
            headers.append(("retry-after", "1"))
        denial = refused.denial
        if denial is not None and denial.retry_s is not None:
            headers.append(("retry-after", str(max(1, math.ceil(denial.retry_s)))))
        scope = "" if denial is None else denial.scope
        await self.refuse(refused.status, refused.reason, refused.text, headers, scope=scope)

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
        said = {"status": status, "reason": reason, "text": text, **({"scope": scope} if scope else {})}
        error = msgspec.json.encode({"error": said}) + b"\n"
        closing = [("connection", "close")] if close and not self._draining else []
        await self.respond(status, error, "application/json", [*headers, *closing])

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


def _shown_key(head: RequestHead) -> str | None:
    scheme, _, bearer = (head.get("authorization") or "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else None


def _scoped(key: Key | Denial, route: Route, *, keyed: bool) -> Key | Denial:
    if not isinstance(key, Key):
        return key
    # Who may do everything without a key may ask OpenD everything; the proxy itself takes orders of keys alone.
    if (not route.needed or route.needed in key.scopes) and (keyed or not route.control):
        return key
    if route.control:
        text = f"orders to the proxy come by its admin socket, or with a key that has the scope {route.needed}"
    else:
        text = f"the key lacks the scope {route.needed}"
    return Denial(DenialKind.PERMISSION, "scope", text, route.needed)


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
    session = HttpSession(
        stream, site, peer, local, own_host, routes, certified, backend, bodies or BodyPool(), upgrades
    )
    everybody = set() if sessions is None else sessions
    everybody.add(session)
    try:
        await session.run(first)
    except* Exception:  # a crash during cancellation comes mixed with Cancelled
        log.exception("%s: an HTTP session crashed; the others go on", peer, extra={"peer": peer, "transport": "http"})
    finally:
        everybody.discard(session)
        await trio.aclose_forcefully(stream)
