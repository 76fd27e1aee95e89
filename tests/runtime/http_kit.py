"""One connection to the HTTP face on memory streams: a site with two keys, a browser, and what serves it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11
import trio
import trio.testing

from opendmux.core.denial import Denial, DenialKind
from opendmux.core.keys import Key, Scopes
from opendmux.runtime.readiness import OpendState, Readiness
from opendmux.runtime.transports.http import ROUTES, BodyPool, HttpSession, Route, Upgrades, serve_http

from .world import MemoryStream

UP = OpendState("opend:1", "ready", "2026-11-21T00:00:00.000000Z", False, True, None, "ready", 0.5)
ADMIN = Key("boss", frozenset({Scopes.ADMIN}))
READER = Key("reader", frozenset({Scopes.QOT_READ}))


@dataclass
class FakeSite:
    """A site with two keys."""

    names: Collection[str] = ("proxy.lan",)
    open_locally: bool = True
    keyed: bool = True
    ready: bool = True
    asked: list[str | None] = field(default_factory=list)

    def metrics(self) -> bytes:
        return b"# nothing\nopendmux_up 1\n"

    def readiness(self) -> Readiness:
        return Readiness(self.ready, [] if self.ready else ["OpenD is away"], False, [UP])

    def admit(
        self,
        bearer: str | None,
        *,
        peer: str,  # noqa: ARG002
        local: bool,
        certified: str | None = None,
    ) -> Key | Denial:
        self.asked.append(bearer)
        return self.judge(bearer, local=local, certified=certified)

    def judge(self, bearer: str | None, *, local: bool, certified: str | None = None) -> Key | Denial:  # noqa: ARG002
        if bearer is None and certified == ADMIN.id:
            return ADMIN
        if bearer == "busy":
            return Denial(DenialKind.LIMIT, "rate", "too many", retry_s=2.4)
        if bearer is None:
            return Denial(DenialKind.UNAUTHENTICATED, "missing", "a key is needed here")
        keys = {"fc_admin": ADMIN, "fc_reader": READER}
        return keys.get(bearer) or Denial(DenialKind.UNAUTHENTICATED, "invalid", "the key is not known here")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def reason(self) -> str:
        error = json.loads(self.body)["error"]
        assert error["status"] == self.status
        assert error["text"]
        return str(error["reason"])


class Browser:
    """The client's side."""

    def __init__(self, stream: MemoryStream) -> None:
        self.stream = stream
        self._h11 = h11.Connection(h11.CLIENT)

    async def send(
        self,
        path: str,
        *,
        method: str = "GET",
        host: str = "localhost:33333",
        key: str | None = None,
        headers: Mapping[str, str] = {},
        body: bytes = b"",
    ) -> None:
        fields = [("host", host), *headers.items()]
        if key is not None:
            fields.append(("authorization", f"Bearer {key}"))
        if body:
            fields.append(("content-length", str(len(body))))
        data = self._h11.send(h11.Request(method=method, target=path, headers=fields)) or b""
        if body:
            data += self._h11.send(h11.Data(data=body)) or b""
        data += self._h11.send(h11.EndOfMessage()) or b""
        await self.stream.send_all(data)

    async def answer(self) -> Answer:
        status, headers, body = 0, {}, b""
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                self._h11.receive_data(bytes(await self.stream.receive_some()))
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                assert isinstance(event, h11.EndOfMessage), event
                if self._h11.our_state is self._h11.their_state is h11.DONE:
                    self._h11.start_next_cycle()
                return Answer(status, headers, body)

    async def get(self, path: str, **how: object) -> Answer:
        await self.send(path, **how)  # type: ignore[arg-type]
        return await self.answer()

    async def ended(self) -> bool:
        return await self.stream.receive_some() == b""


@dataclass
class Served:
    site: FakeSite
    browser: Browser
    sessions: set[HttpSession]
    far_end: MemoryStream


@asynccontextmanager
async def served(
    site: FakeSite | None = None,
    *,
    first: bytes | None = None,
    local: bool = True,
    own_host: str = "192.0.2.7",
    routes: Mapping[str, Route] = ROUTES,
    certified: str | None = None,
    bodies: BodyPool | None = None,
    upgrades: Upgrades | None = None,
) -> AsyncIterator[Served]:
    """One connection; what the test sends first is what was read to find out that it is HTTP."""
    ours, theirs = trio.testing.memory_stream_pair()
    site = site or FakeSite()
    sessions: set[HttpSession] = set()

    async def serve() -> None:
        begin = first if first is not None else bytes(await theirs.receive_some(3))
        await serve_http(
            theirs,
            begin,
            site,
            peer="peer",
            local=local,
            own_host=own_host,
            routes=routes,
            sessions=sessions,
            certified=certified,
            bodies=bodies,
            upgrades=upgrades,
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield Served(site, Browser(ours), sessions, theirs)
        nursery.cancel_scope.cancel()
