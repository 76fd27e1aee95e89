"""The HTTP/1.1 face over memory streams: routes, keys, foreign pages, deadlines, drains and crashes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11
import pytest
import trio
import trio.testing
from trio.testing import MockClock, wait_all_tasks_blocked

from opendmux.core.denial import Denial, DenialKind
from opendmux.core.keys import Key, Scopes
from opendmux.runtime.readiness import OpendState, Readiness
from opendmux.runtime.transports.http import (
    HEAD_S,
    IDLE_S,
    ROUTES,
    WRITE_S,
    Exchange,
    HttpSession,
    Route,
    Upgrades,
    serve_http,
)
from opendmux.wire.http import RequestHead

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
            upgrades=upgrades,
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield Served(site, Browser(ours), sessions, theirs)
        nursery.cancel_scope.cancel()


# -- routes


async def test_the_three_pages_on_one_connection(autojump_clock: MockClock) -> None:
    async with served() as s:
        metrics = await s.browser.get("/metrics?x=1")
        assert (metrics.status, metrics.body) == (200, s.site.metrics())
        assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert metrics.headers["cache-control"] == "no-store"
        alive = await s.browser.get("/livez")
        assert (alive.status, json.loads(alive.body)) == (200, {"alive": True})
        ready = await s.browser.get("/readyz")
        assert ready.status == 200
        said = json.loads(ready.body)
        assert said["ready"] is True
        assert said["opends"][0]["quote_login"] is True
        assert said["opends"][0]["trade_login"] is None
        s.site.ready = False
        ready = await s.browser.get("/readyz")
        assert (ready.status, json.loads(ready.body)["reasons"]) == (503, ["OpenD is away"])
        assert s.site.asked == [], "from this machine they are open"
        assert len(s.sessions) == 1


async def test_head_says_the_same_without_a_body(autojump_clock: MockClock) -> None:
    async with served() as s:
        found = await s.browser.get("/metrics", method="HEAD")
        assert (found.status, found.body) == (200, b"")
        assert found.headers["content-length"] == str(len(s.site.metrics()))
        assert (await s.browser.get("/livez")).status == 200


async def test_what_is_not_there(autojump_clock: MockClock) -> None:
    async with served() as s:
        found = await s.browser.get("/")
        assert (found.status, found.reason) == (404, "not_found")
        found = await s.browser.get("/metrics", method="POST")
        assert (found.status, found.reason, found.headers["allow"]) == (405, "method", "GET, HEAD")
        assert (await s.browser.get("/livez")).status == 200


async def test_a_body_is_refused_and_ends_it(autojump_clock: MockClock) -> None:
    async with served() as s:
        found = await s.browser.get("/metrics", body=b"x" * 100_000)
        assert (found.status, found.reason, found.headers["connection"]) == (413, "body", "close")
        await s.browser.stream.send_eof()
        assert await s.browser.ended()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    ],
)
async def test_what_is_no_request(data: bytes, status: int, autojump_clock: MockClock) -> None:
    async with served() as s:
        await s.browser.stream.send_all(data)
        s.browser._h11.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
        found = await s.browser.answer()
        assert (found.status, found.reason) == (status, "malformed")
        assert await s.browser.ended()
        await wait_all_tasks_blocked()
    assert s.sessions == set()


async def test_http_1_0_without_a_host(autojump_clock: MockClock) -> None:
    async with served(first=b"GET /livez HTTP/1.0\r\n\r\n") as s:
        text = await s.browser.stream.receive_some()
        assert text.startswith(b"HTTP/1.1 200 ")
        assert await s.browser.ended()


# -- who asks


@pytest.mark.parametrize(
    ("host", "origin", "reason"),
    [
        ("evil.example:33333", None, "host"),
        ("localhost", "http://evil.example", "origin"),
        ("localhost", "null", "origin"),
        ("192.0.2.8", None, "host"),
    ],
)
async def test_foreign_pages_get_nothing(host: str, origin: str | None, reason: str, autojump_clock: MockClock) -> None:
    async with served() as s:
        headers = {} if origin is None else {"origin": origin}
        for path in ("/metrics", "/nothing"):
            found = await s.browser.get(path, host=host, headers=headers, key="fc_admin")
            assert (found.status, found.reason) == (403, reason)
        assert s.site.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1:33333", "192.0.2.7", "proxy.lan", "[::1]:33333"])
async def test_names_of_ours(host: str, autojump_clock: MockClock) -> None:
    async with served() as s:
        assert (await s.browser.get("/livez", host=host, headers={"origin": "http://localhost:3000"})).status == 200


class Asked:
    """Nobody gets a WebSocket; whoever may ask for one is told so."""

    origins: Collection[str] = ("https://app.example",)

    def ask(self, _head: RequestHead, *, local: bool) -> Denial:  # noqa: ARG002
        return Denial(DenialKind.UNAVAILABLE, "asked", "not today")


@pytest.mark.parametrize(
    ("certified", "origin", "reason"),
    [
        (None, "http://localhost:8080", "asked"),
        ("boss", None, "asked"),
        ("boss", "https://localhost:33333", "asked"),
        ("boss", "https://app.example", "asked"),
        ("boss", "https://proxy.lan", "asked"),
        ("boss", "http://localhost:8080", "origin"),
    ],
)
async def test_a_certificate_serves_no_page_of_another_port(
    certified: str | None, origin: str | None, reason: str, autojump_clock: MockClock
) -> None:
    """The browser shows it for every page, also for one of somebody else's program on this machine."""
    headers = {
        **({} if origin is None else {"origin": origin}),
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "b3BlbmRtdXggdGVzdHMhIQ==",
    }
    async with served(certified=certified, upgrades=Asked()) as s:
        found = await s.browser.get("/", headers=headers)
        assert found.reason == reason


@pytest.mark.parametrize("case", ["remote", "closed", "passed on"])
async def test_where_a_key_is_needed(case: str, autojump_clock: MockClock) -> None:
    site = FakeSite(open_locally=case != "closed")
    headers = {"x-forwarded-for": "203.0.113.9"} if case == "passed on" else {}
    async with served(site, local=case != "remote") as s:
        found = await s.browser.get("/livez", headers=headers)
        assert (found.status, found.reason, found.headers["www-authenticate"]) == (401, "missing", "Bearer")
        found = await s.browser.get("/livez", key="fc_wrong", headers=headers)
        assert (found.status, found.reason) == (401, "invalid")
        assert b"fc_wrong" not in found.body
        assert (await s.browser.get("/livez", key="fc_reader", headers=headers)).status == 200
        assert (await s.browser.get("/readyz", key="fc_reader", headers=headers)).status == 200
        found = await s.browser.get("/metrics", key="fc_reader", headers=headers)
        assert (found.status, found.reason) == (403, "scope")
        assert b"admin" in found.body
        assert (await s.browser.get("/metrics", key="fc_admin", headers=headers)).status == 200
        found = await s.browser.get("/metrics", key="busy", headers=headers)
        assert (found.status, found.headers["retry-after"]) == (429, "3")
        found = await s.browser.get("/metrics", headers={**headers, "authorization": "Basic fc_admin"})
        assert found.reason == "missing"
        found = await s.browser.get("/metrics", key="a", headers={**headers, "Authorization": "Bearer b"})
        assert (found.status, found.reason) == (400, "authorization")


# -- time


async def test_a_slow_head_ends(autojump_clock: MockClock) -> None:
    async with served(first=b"GET") as s:
        start = trio.current_time()
        text = await s.browser.stream.receive_some()
        assert text.startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - start == pytest.approx(HEAD_S)
        assert await s.browser.ended()


async def test_a_trickle_does_not_help(autojump_clock: MockClock) -> None:
    async with served() as s:
        start = trio.current_time()
        await s.browser.get("/livez")
        with trio.move_on_after(1000):
            async with trio.open_nursery() as nursery:

                async def trickle() -> None:
                    for byte in b"GET /livez HTTP/1.1\r\nX: " + b"y" * 1000:
                        await s.browser.stream.send_all(bytes([byte]))
                        await trio.sleep(1)

                nursery.start_soon(trickle)
                assert (await s.browser.stream.receive_some()).startswith(b"HTTP/1.1 408 ")
                nursery.cancel_scope.cancel()
        assert trio.current_time() - start == pytest.approx(HEAD_S)


async def test_an_idle_connection_is_closed(autojump_clock: MockClock) -> None:
    async with served() as s:
        assert (await s.browser.get("/livez")).status == 200
        start = trio.current_time()
        assert await s.browser.ended()
        assert trio.current_time() - start == pytest.approx(IDLE_S)


async def test_a_peer_that_takes_no_answer_is_left(autojump_clock: MockClock) -> None:
    async with served(first=b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n") as s:
        s.far_end.send_stream.send_all_hook = trio.sleep_forever
        start = trio.current_time()
        while s.sessions or trio.current_time() == start:
            await trio.sleep(0.5)
        assert trio.current_time() - start == pytest.approx(WRITE_S, abs=1)


@pytest.mark.parametrize("when", ["idle", "reading", "before"])
async def test_a_drain_ends_it_after_the_request(when: str, autojump_clock: MockClock) -> None:
    async with served() as s:
        if when == "before":
            await s.browser.stream.send_all(b"GET /livez HTTP/1.1\r\n")
            await wait_all_tasks_blocked()
        else:
            assert (await s.browser.get("/livez")).status == 200
        start = trio.current_time()
        if when == "reading":
            await s.browser.stream.send_all(b"GET /livez HTTP/1.1\r\n")
        await wait_all_tasks_blocked()
        (session,) = s.sessions
        session.drain()
        session.drain()
        if when != "idle":
            await wait_all_tasks_blocked()
            await s.browser.stream.send_all(b"Host: localhost\r\n\r\n")
            text = await s.browser.stream.receive_some()
            assert text.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" in text.lower()
        assert await s.browser.ended()
        assert trio.current_time() - start < HEAD_S


async def test_a_peer_that_breaks_off(autojump_clock: MockClock) -> None:
    async with served() as s:
        assert (await s.browser.get("/livez")).status == 200
        await trio.aclose_forcefully(s.browser.stream)
        await wait_all_tasks_blocked()
        assert s.sessions == set()


# -- further routes


async def events_page(exchange: Exchange) -> None:
    raise RuntimeError("a bug")


async def echo(exchange: Exchange) -> None:
    assert exchange.key is not None
    await exchange.respond_json(200, {"key": exchange.key.id, "query": exchange.head.query})


FURTHER = {**ROUTES, "/crash": Route({"GET": events_page}, open_locally=True), "/echo": Route({"GET": echo})}


async def test_a_crash_is_a_500_and_ends_nothing(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with served(routes=FURTHER) as s:
        found = await s.browser.get("/crash")
        assert (found.status, found.reason) == (500, "crash")
        assert (await s.browser.get("/livez")).status == 200
    assert "a bug" in caplog.text


async def test_a_route_of_another_module_has_its_caller(autojump_clock: MockClock) -> None:
    async with served(routes=FURTHER) as s:
        assert (await s.browser.get("/echo")).status == 401
        found = await s.browser.get("/echo?a=1", key="fc_reader")
        assert json.loads(found.body) == {"key": "reader", "query": "a=1"}


async def test_a_crash_of_the_session_is_contained(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_args: object) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(HttpSession, "run", crash)
    async with served(first=b"G") as s:
        assert await s.browser.ended()
    assert "a bug of ours" in caplog.text
