"""What a route of the HTTP face is, and what its handler gets: the request, who asks, and the ways to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import trio

from opendmux.core.denial import Denial
from opendmux.core.keys import Key, Scopes
from opendmux.runtime.backend import Caller
from opendmux.runtime.readiness import Readiness
from opendmux.wire.http import RequestHead

__all__ = ["Exchange", "Handler", "Route", "Site", "Upgrades", "find"]


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

    def judge(self, bearer: str | None, *, local: bool, certified: str | None = None) -> Key | Denial:
        """The same for somebody who was let in before: nothing is counted or put down."""


class Upgrades(Protocol):
    """Who serves the connections that ask for a WebSocket."""

    @property
    def origins(self) -> Collection[str]:
        """Foreign origins whose pages may ask for one, in lower case."""

    def ask(self, head: RequestHead, *, local: bool) -> Denial | Callable[[trio.abc.Stream, bytes], Awaitable[None]]:
        """May it have one? Returns what serves it, given the stream and all bytes that were read of it: it ends with
        the connection, and no error comes out of it."""


class Session(Protocol):
    """The connection, as far as an exchange uses it; what the calls do is said in `Exchange`."""

    site: Site
    peer: str
    routes: Mapping[str, Route]
    drained: trio.Event

    async def body(self, limit: int) -> bytes: ...
    def still_allowed(self, head: RequestHead, route: Route) -> bool: ...
    async def wait(self, event: trio.Event) -> None: ...
    async def start_stream(self, content_type: str, headers: Sequence[tuple[str, str]]) -> None: ...
    async def send_piece(self, piece: bytes) -> None: ...
    async def refuse(self, status: int, reason: str, text: str) -> None: ...
    async def respond(
        self, status: int, body: bytes, content_type: str, headers: Sequence[tuple[str, str]] = ()
    ) -> None: ...


class Exchange:
    """One request and the way to answer it. A handler answers exactly once."""

    def __init__(
        self, session: Session, head: RequestHead, route: Route, params: Mapping[str, str], who: Key | Caller | None
    ) -> None:
        self.head = head
        self.peer = session.peer
        self.site = session.site
        self.routes = session.routes
        self.params = params
        """What stands in the path for the names in braces of the route's; not decoded."""
        self.key = who if isinstance(who, Key) else None
        """Whose it is; None where the route is open to this peer, or a caller serves it."""
        self._caller = None if isinstance(who, Key) else who
        self._route = route
        self._session = session

    @property
    def argument(self) -> str:
        """What stands in the path for the one name in braces; empty where there is none."""
        return next(iter(self.params.values()), "")

    @property
    def caller(self) -> Caller:
        """Of a route that calls."""
        assert self._caller is not None, "the route does not call"
        return self._caller

    async def body(self) -> bytes:
        """The whole body. Raises RefusedError when it is too long, too slow or broken. Cancellation: the connection
        ends."""
        return await self._session.body(self._route.body_bytes) if self.head.has_body else b""

    def still_allowed(self) -> bool:
        """Whether who asked would be let in now: what was shown may have been revoked or rotated out since. Not for
        routes that call, whose streams end by themselves."""
        return self._session.still_allowed(self.head, self._route)

    async def wait(self, event: trio.Event) -> None:
        """Wait for it; when the peer hangs up before that, the handler ends. Not within a stream, which sees to that by
        itself. Cancellation: nothing is lost."""
        await self._session.wait(event)

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
    control: bool = False
    """An order to the proxy: for administrators alone, whether keys are configured or not."""
    calls: bool = False
    """Its handler asks OpenD: the key is that of a caller (`Exchange.caller`), counted as such."""
    body_bytes: int = 0
    """How long the body of a request may be; 0: it takes none."""
    about: Mapping[str, object] = field(default_factory=dict)
    """What the OpenAPI document says about it beside what it knows: an operation, or a part of one; of a route with
    several methods such an operation for each, by method in lower case."""

    @property
    def needed(self) -> str:
        """The scope that a key must have; empty: none."""
        return Scopes.ADMIN if self.control else self.scope

    def handler(self, method: str) -> Handler | None:
        return self.methods.get("GET" if method == "HEAD" else method)

    @property
    def allow(self) -> str:
        methods = set(self.methods)
        return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def find(routes: Mapping[str, Route], path: str) -> tuple[Route | None, dict[str, str]]:
    """The route of a path, and what stands in it for the names in braces: each a whole part between slashes."""
    if path in routes:
        return (None if "{" in path else routes[path]), {}
    parts = path.split("/")
    for template, route in routes.items():
        names = template.split("/")
        pairs = list(zip(names, parts, strict=False))
        if len(names) == len(parts) and all(name == part or (part and name[:1] == "{") for name, part in pairs):
            return route, {name.strip("{}"): part for name, part in pairs if name[:1] == "{"}
    return None, {}
