"""The HTTP/1.1 face: one connection, its requests one after the other.

Theory of operation. A request passes the same steps whatever it asks for: a head within its deadline, Host and Origin
(see `core/origins.py`), the route, the key, the handler. A route is an entry of a table; its handler gets an `Exchange`
and answers at once, in pieces (a stream, which ends its connection), or takes the connection over. Every await on the
peer has a deadline; a peer that breaks off or is too slow ends its connection and nothing else.

Keys. `/livez` and `/readyz` need any valid key, `/metrics` one with the scope ``admin``. From this machine all three
are open, unless the site says otherwise; a request that some other proxy passed on does not count as from this machine.
"""

from __future__ import annotations

import contextlib
import email.utils
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec
import trio

from opendmux.core.denial import Denial, DenialKind
from opendmux.core.keys import Key, Scopes
from opendmux.core.origins import host_is_ours, origin_is_ours
from opendmux.runtime.metrics import CONTENT_TYPE
from opendmux.runtime.readiness import Readiness
from opendmux.wire.http import Body, Broken, EndOfRequest, Gone, HttpServer, RequestHead
from opendmux.wire.websocket import is_upgrade, upgrade_problem

__all__ = ["ROUTES", "Exchange", "HttpSession", "Route", "Site", "Upgrades", "serve_http"]

log = logging.getLogger("opendmux.http")

HEAD_S: Final = 10.0
"""From the first byte of a request to the end of its head."""
IDLE_S: Final = 60.0
"""Between two requests: longer than the usual interval of a scrape or a probe is kept open."""
WRITE_S: Final = 10.0
"""For the peer to take one answer, or one piece of it."""
SEND_BYTES: Final = 64 * 1024
"""A longer answer is sent in pieces of so much, each with a deadline of its own."""
GOODBYE_S: Final = 1.0
"""For a stream to say why it ends, when the proxy stops."""
LINGER_S: Final = 1.0
"""After the last answer the peer's own bytes are read and dropped for so long: closing with unread bytes would send a
reset, which can destroy the answer before the peer has read it."""
READ_BYTES: Final = 16 * 1024

FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Another proxy has passed this on, so the address of the peer says nothing about who asks."""

WEBSOCKET_PATHS: Final = ("/", "/ws")
"""OpenD's own is at the first."""

STATUS: Final[Mapping[DenialKind, int]] = {
    DenialKind.UNAUTHENTICATED: 401,
    DenialKind.PERMISSION: 403,
    DenialKind.LIMIT: 429,
    DenialKind.INVALID: 400,
    DenialKind.UNAVAILABLE: 503,
    DenialKind.TIMEOUT: 504,
}


class Site(Protocol):
    """What the face needs of the proxy behind it. None of the calls waits."""

    @property
    def names(self) -> Collection[str]:
        """Host names besides this machine's own under which it may be reached, in lower case."""

    @property
    def open_locally(self) -> bool:
        """From this machine metrics and probes need no key."""

    @property
    def keyed(self) -> bool:
        """Keys are configured."""

    def metrics(self) -> bytes:
        """See `Metrics.text`."""

    def readiness(self) -> Readiness:
        """See `readiness_of`."""

    def admit(self, bearer: str | None, *, peer: str, local: bool, certified: str | None = None) -> Key | Denial:
        """Who this is; counts it, and may put it down. ``bearer``: the plaintext key, None when none was shown.
        ``local``: they are on this machine. ``certified``: the key id that their certificate names, where no key was
        shown."""


class Upgrades(Protocol):
    """Who serves the connections that ask for a WebSocket."""

    @property
    def origins(self) -> Collection[str]:
        """Foreign origins whose pages may ask for one, in lower case."""

    def ask(self, head: RequestHead, *, local: bool) -> Denial | Callable[[trio.abc.Stream, bytes], Awaitable[None]]:
        """May it have one? Returns what serves it, given the stream and all bytes that were read of it: it ends with
        the connection, and no error comes out of it."""


class _GoneError(Exception):
    """The peer breaks off, or takes no bytes."""


class Exchange:
    """One request and the way to answer it. A handler answers exactly once."""

    def __init__(self, session: HttpSession, head: RequestHead, site: Site, key: Key | None, argument: str) -> None:
        self.head = head
        self.argument = argument
        """What stands in the path where its route has ``{}``."""
        self.peer = session.peer
        self.site = site
        self.key = key
        """Whose it is; None where the route is open to this peer."""
        self._session = session

    @property
    def draining(self) -> trio.Event:
        """Set when the proxy stops: a stream should say so and end, within `GOODBYE_S`."""
        return self._session.drained

    async def start_stream(self, content_type: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Begin an answer that comes in pieces, by `send`, and ends when the handler returns; the connection ends with
        it. From now on the handler is cancelled when the peer leaves. Cancellation: as with `respond`."""
        await self._session.start_stream(content_type, headers)

    async def send(self, piece: bytes) -> None:
        """A piece of the stream. Waits until the peer has taken it; one that takes nothing for `WRITE_S` is gone, and
        the handler ends. Cancellation: an unknown part is sent, and the connection ends."""
        await self._session.send_piece(piece)

    async def respond(
        self, status: int, body: bytes, content_type: str, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """The whole answer. Cancellation: an unknown part is sent, and the connection ends."""
        await self._session.respond(status, body, content_type, headers)

    async def respond_json(self, status: int, value: object) -> None:
        """The whole answer, as JSON."""
        await self.respond(status, msgspec.json.encode(value) + b"\n", "application/json")

    async def refuse(self, status: int, reason: str, text: str) -> None:
        """The whole answer: an error as all routes give it."""
        await self._session.refuse(status, reason, text)


Handler = Callable[[Exchange], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """What can be done at a path."""

    methods: Mapping[str, Handler]
    """HEAD is served by GET."""
    scope: str = ""
    """What a key must have; empty: any valid key will do."""
    open_locally: bool = False
    """Needs no key from this machine, where the site says so."""
    open_unkeyed: bool = False
    """Needs no key from this machine while none are configured."""
    public: bool = False
    """Never needs a key."""

    def handler(self, method: str) -> Handler | None:
        return self.methods.get("GET" if method == "HEAD" else method)

    @property
    def allow(self) -> str:
        methods = set(self.methods)
        return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


async def _metrics(exchange: Exchange) -> None:
    await exchange.respond(200, exchange.site.metrics(), CONTENT_TYPE)


async def _livez(exchange: Exchange) -> None:
    await exchange.respond_json(200, {"alive": True})


async def _readyz(exchange: Exchange) -> None:
    readiness = exchange.site.readiness()
    await exchange.respond_json(200 if readiness.ready else 503, readiness)


ROUTES: Final[Mapping[str, Route]] = {
    "/metrics": Route({"GET": _metrics}, Scopes.ADMIN, open_locally=True),
    "/livez": Route({"GET": _livez}, open_locally=True),
    "/readyz": Route({"GET": _readyz}, open_locally=True),
}
"""By path."""


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
    upgrades: Upgrades | None = None
    """None: there are no WebSockets here."""
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
            except _GoneError as gone:
                log.debug("%s: %s", self.peer, gone)
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
        closing = [("connection", "close")] if self._draining else []
        await self._send(self._wire.respond(status, _headers(content_type, [*headers, *closing]), body))

    # -- inside

    async def _one(self) -> bool:
        """Serve a request; False when the connection is over."""
        head = await self._head()
        if head is None:
            return False
        try:
            await self._serve(head)
        except _GoneError:
            raise
        except Exception:
            log.exception("%s: a crash over %s %s; the others go on", self.peer, head.method, head.path)
            if not self._wire.may_respond:
                return False
            await self.refuse(500, "crash", "opendmux failed over this request")
        if self._left is not None:
            if not self._torn and not self._left.is_set():
                await self._send(self._wire.finish())
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
                data = await self._receive()
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
        if upgrades is not None:
            await self._upgrade(head, upgrades)
            return
        route, argument = _route_of(self.routes, head.path)
        if route is None:
            await self.refuse(404, "not_found", f"there is nothing here; there are {', '.join(self.routes)}")
            return
        handler = route.handler(head.method)
        if handler is None:
            await self.refuse(405, "method", f"this takes {route.allow}", [("allow", route.allow)])
            return
        if head.has_body:
            await self.refuse(413, "body", "this takes no body", close=True)
            return
        key = self._admit(head, route)
        if isinstance(key, Denial):
            await self._deny(key)
            return
        with trio.CancelScope() as self._handling:
            await handler(Exchange(self, head, self.site, key, argument))

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
            await self._deny(taker)
        else:
            await taker(self.stream, self._wire.take_over())

    def _is_local(self, head: RequestHead) -> bool:
        return self.local and not any(head.all(name) for name in FORWARDED)

    def _admit(self, head: RequestHead, route: Route) -> Key | Denial | None:
        """Whose request this is, where that is asked for."""
        if route.public:
            return None
        local = self._is_local(head)
        if local and route.open_locally and self.site.open_locally:
            return None
        if local and route.open_unkeyed and not self.site.keyed:
            return None
        shown = head.all("authorization")
        if len(shown) > 1:
            return Denial(DenialKind.INVALID, "authorization", "there is more than one Authorization header")
        scheme, _, bearer = (shown[0] if shown else "").partition(" ")
        shown_key = bearer.strip() if scheme.lower() == "bearer" else None
        key = self.site.admit(shown_key, peer=self.peer, local=local, certified=self.certified)
        if isinstance(key, Key) and route.scope and route.scope not in key.scopes:
            return Denial(DenialKind.PERMISSION, "scope", f"the key lacks the scope {route.scope}", route.scope)
        return key

    async def _deny(self, denial: Denial) -> None:
        headers = []
        if denial.kind is DenialKind.UNAUTHENTICATED:
            headers.append(("www-authenticate", "Bearer"))
        if denial.retry_s is not None:
            headers.append(("retry-after", str(max(1, round(denial.retry_s)))))
        await self.refuse(STATUS[denial.kind], denial.reason, denial.text, headers)

    async def refuse(
        self, status: int, reason: str, text: str, headers: Sequence[tuple[str, str]] = (), *, close: bool = False
    ) -> None:
        error = msgspec.json.encode({"error": {"status": status, "reason": reason, "text": text}}) + b"\n"
        closing = [("connection", "close")] if close and not self._draining else []
        await self.respond(status, error, "application/json", [*headers, *closing])

    # -- the peer

    async def _receive(self) -> bytes:
        try:
            return bytes(await self.stream.receive_some(READ_BYTES))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise _GoneError("the connection broke") from error

    async def _send(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), SEND_BYTES):
            with trio.move_on_after(WRITE_S) as scope:
                try:
                    await self.stream.send_all(view[start : start + SEND_BYTES])
                except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                    raise _GoneError("the connection broke") from error
            if scope.cancelled_caught:
                raise _GoneError(f"the peer took no answer for {WRITE_S:g} s")

    async def _send_whole(self, data: bytes) -> None:
        """Of a stream: a cancellation on the way leaves it torn."""
        self._torn = True
        await self._send(data)
        self._torn = False

    async def _watch(self, left: trio.Event, handling: trio.CancelScope) -> None:
        """While an answer is streamed: what the peer still says is dropped, and when it leaves, the handler ends."""
        with contextlib.suppress(_GoneError):
            while await self._receive():
                pass
        left.set()
        handling.cancel(reason="the peer has left")

    async def _linger(self) -> None:
        if not isinstance(self.stream, trio.abc.HalfCloseableStream):
            return
        with trio.move_on_after(LINGER_S):
            try:
                await self.stream.send_eof()
                if self._left is not None:
                    await self._left.wait()
                while self._left is None and await self._receive():
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise _GoneError("the connection broke") from error


def _route_of(routes: Mapping[str, Route], path: str) -> tuple[Route | None, str]:
    """The route of this path, and what stands in it for ``{}``."""
    if path in routes:
        return (None if "{}" in path else routes[path]), ""
    for pattern, route in routes.items():
        head, mark, tail = pattern.partition("{}")
        if mark and path.startswith(head) and path.endswith(tail) and len(path) > len(pattern) - len(mark):
            argument = path[len(head) : len(path) - len(tail)]
            if "/" not in argument:
                return route, argument
    return None, ""


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
    upgrades: Upgrades | None = None,
) -> None:
    """Serve one accepted connection and close it; its crash ends with it.

    ``first``: what was read to find out that it is HTTP. ``local``: the peer is on this machine. ``own_host``: the
    address that the peer has reached, when it is known. ``certified``: the key id that its certificate names.
    ``sessions``: those that a drain has to reach. Cancellation:
    the connection is closed at once.
    """
    session = HttpSession(stream, site, peer, local, own_host, routes, certified, upgrades)
    everybody = set() if sessions is None else sessions
    everybody.add(session)
    try:
        await session.run(first)
    except* Exception:  # a crash during cancellation comes mixed with Cancelled
        log.exception("%s: an HTTP session crashed; the others go on", peer)
    finally:
        everybody.discard(session)
        await trio.aclose_forcefully(stream)
