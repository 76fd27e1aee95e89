"""The HTTP/1.1 face over memory streams: routes, deadlines, drains and crashes."""

from __future__ import annotations

import json

import h11
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from opendmux.runtime.transports._http_peer import WRITE_S
from opendmux.runtime.transports.http import HEAD_S, IDLE_S, ROUTES, Exchange, HttpSession, Route

from .http_kit import served

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
