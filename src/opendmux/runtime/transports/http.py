"""The HTTP/1.1 face: one connection, its requests one after the other.

Theory of operation. A request passes the same steps whatever it asks for: a head within its deadline, Host and Origin
(see `core/origins.py`), the route, the key, the handler. A route is an entry of a table; its handler gets an `Exchange`
and answers at once, in pieces, or takes the connection over. Every await on the peer has a deadline; a peer that
breaks off or is too slow ends its connection and nothing else.

Keys. `/livez` and `/readyz` need any valid key, `/metrics` one with the scope ``admin``. From this machine all three
are open, unless the site says otherwise; a request that some other proxy passed on does not count as from this machine.
"""

from __future__ import annotations

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

__all__ = ["ROUTES", "Exchange", "HttpSession", "Route", "Site", "serve_http"]

log = logging.getLogger("opendmux.http")

HEAD_S: Final = 10.0
"""From the first byte of a request to the end of its head."""
IDLE_S: Final = 60.0
"""Between two requests: longer than the usual interval of a scrape or a probe is kept open."""
WRITE_S: Final = 10.0
"""For the peer to take one answer, or one piece of it."""
LINGER_S: Final = 1.0
"""After the last answer the peer's own bytes are read and dropped for so long: closing with unread bytes would send a
reset, which can destroy the answer before the peer has read it."""
READ_BYTES: Final = 16 * 1024

FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Another proxy has passed this on, so the address of the peer says nothing about who asks."""

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

    def metrics(self) -> bytes:
        """See `Metrics.text`."""

    def readiness(self) -> Readiness:
        """See `readiness_of`."""

    def admit(self, bearer: str | None, *, peer: str, local: bool, certified: str | None = None) -> Key | Denial:
        """Who this is; counts it, and may put it down. ``bearer``: the plaintext key, None when none was shown.
        ``local``: they are on this machine. ``certified``: the key id that their certificate names, where no key was
        shown."""


class _GoneError(Exception):
    """The peer breaks off, or takes no bytes."""


class Exchange:
    """One request and the way to answer it. A handler answers exactly once."""

    def __init__(self, session: HttpSession, head: RequestHead, site: Site, key: Key | None) -> None:
        self.head = head
        self.site = site
        self.key = key
        """Whose it is; None where the route is open to this peer."""
        self._session = session

    async def respond(
        self, status: int, body: bytes, content_type: str, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """The whole answer. Cancellation: an unknown part is sent, and the connection ends."""
        await self._session.respond(status, body, content_type, headers)

    async def respond_json(self, status: int, value: object) -> None:
        """The whole answer, as JSON."""
        await self.respond(status, msgspec.json.encode(value) + b"\n", "application/json")


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
    _wire: HttpServer = field(default_factory=HttpServer)
    _idle: trio.CancelScope | None = None
    """Around the wait for the next request."""
    _draining: bool = False

    def drain(self) -> None:
        """End after the request that is being served, or now. Harmless when called again."""
        self._draining = True
        if self._idle is not None and not self._wire.begun:
            self._idle.cancel(reason="drain")

    async def run(self, first: bytes) -> None:
        """Serve until one side ends it. ``first``: what was read already, if anything."""
        try:
            if first:
                self._wire.receive_untrusted(first)
            while await self._one():
                pass
            await self._linger()
        except _GoneError as gone:
            log.debug("%s: %s", self.peer, gone)

    async def respond(
        self, status: int, body: bytes, content_type: str, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """See `Exchange`."""
        whole = [
            ("date", email.utils.formatdate(usegmt=True)),
            ("content-type", content_type),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            *headers,
        ]
        if self._draining:
            whole.append(("connection", "close"))
        await self._send(self._wire.respond(status, whole, body))

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
            await self._refuse(500, "crash", "opendmux failed over this request")
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
                await self._refuse(408, "slow", f"the request was not complete within {HEAD_S:g} s", close=True)
            return None
        if isinstance(event, RequestHead):
            return event
        assert isinstance(event, Broken | Gone), "a request begins with its head"
        if isinstance(event, Broken) and wire.may_respond:
            await self._refuse(event.status, "malformed", event.text)
        return None

    async def _serve(self, head: RequestHead) -> None:
        own, names = self.own_host, self.site.names
        hosts, origins = head.all("host"), head.all("origin")
        # Without a Host it is no browser: HTTP/1.0, as some probes speak it.
        if not all(host_is_ours(host, own=own, further=names) for host in hosts):
            await self._refuse(403, "host", "this proxy is not known by the name in the Host header")
            return
        if not all(origin_is_ours(origin, own=own, further=names) for origin in origins):
            await self._refuse(403, "origin", "pages of other sites may not ask this proxy")
            return
        route = self.routes.get(head.path)
        if route is None:
            await self._refuse(404, "not_found", f"there is nothing here; there are {', '.join(self.routes)}")
            return
        handler = route.handler(head.method)
        if handler is None:
            await self._refuse(405, "method", f"this takes {route.allow}", [("allow", route.allow)])
            return
        if head.has_body:
            await self._refuse(413, "body", "this takes no body", close=True)
            return
        key = self._admit(head, route)
        if isinstance(key, Denial):
            await self._deny(key)
        else:
            await handler(Exchange(self, head, self.site, key))

    def _admit(self, head: RequestHead, route: Route) -> Key | Denial | None:
        """Whose request this is, where that is asked for."""
        local = self.local and not any(head.all(name) for name in FORWARDED)
        if local and route.open_locally and self.site.open_locally:
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
        await self._refuse(STATUS[denial.kind], denial.reason, denial.text, headers)

    async def _refuse(
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
        with trio.move_on_after(WRITE_S) as scope:
            try:
                await self.stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise _GoneError("the connection broke") from error
        if scope.cancelled_caught:
            raise _GoneError(f"the peer took no answer for {WRITE_S:g} s")

    async def _linger(self) -> None:
        if not isinstance(self.stream, trio.abc.HalfCloseableStream):
            return
        with trio.move_on_after(LINGER_S):
            try:
                await self.stream.send_eof()
                while await self._receive():
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise _GoneError("the connection broke") from error


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
) -> None:
    """Serve one accepted connection and close it; its crash ends with it.

    ``first``: what was read to find out that it is HTTP. ``local``: the peer is on this machine. ``own_host``: the
    address that the peer has reached, when it is known. ``certified``: the key id that its certificate names.
    ``sessions``: those that a drain has to reach. Cancellation:
    the connection is closed at once.
    """
    session = HttpSession(stream, site, peer, local, own_host, routes, certified)
    everybody = set() if sessions is None else sessions
    everybody.add(session)
    try:
        await session.run(first)
    except* Exception:  # a crash during cancellation comes mixed with Cancelled
        log.exception("%s: an HTTP session crashed; the others go on", peer)
    finally:
        everybody.discard(session)
        await trio.aclose_forcefully(stream)
