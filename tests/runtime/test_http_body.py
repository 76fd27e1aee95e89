"""Bodies of requests: too long, too slow, broken off, and the memory that all of them share."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from opendmux.runtime.transports._http_body import BODIES_BYTES, BODY_S, KEPT_BYTES, PIECES_AT_ONCE, SMALL_BYTES
from opendmux.runtime.transports.http import BodyPool, Exchange, Route

from . import http_kit
from .http_kit import Answer, Served

LIMIT = 1024 * 1024
HEAD = b"POST /upload HTTP/1.1\r\nHost: localhost\r\n"


async def upload(exchange: Exchange) -> None:
    await exchange.respond_json(200, len(await exchange.body()))


ROUTES = {"/upload": Route({"POST": upload}, public=True, body_bytes=LIMIT)}


@asynccontextmanager
async def served(pool: BodyPool | None = None) -> AsyncIterator[Served]:
    async with http_kit.served(routes=ROUTES, bodies=pool) as s:
        await wait_all_tasks_blocked()
        yield s


async def post(s: Served, size: int) -> Answer:
    return await s.browser.get("/upload", method="POST", body=b"x" * size)


async def test_its_limit_is_allowed(autojump_clock: MockClock) -> None:
    pool = BodyPool(LIMIT, kept=0)
    async with served(pool) as s:
        for _ in range(2):
            found = await post(s, LIMIT)
            assert (found.status, found.body) == (200, b"%d\n" % LIMIT), "each request gives back what it took"


async def test_too_long_by_its_own_words(autojump_clock: MockClock) -> None:
    async with served() as s:
        await s.browser.stream.send_all(HEAD + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))
        text = await s.browser.stream.receive_some()
        assert text.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in text.lower()
        assert await s.browser.ended()


async def test_growing_too_long(autojump_clock: MockClock) -> None:
    pool = BodyPool()
    async with served(pool) as s:
        await s.browser.stream.send_all(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _ in range(LIMIT // 0x10000 + 1):
            await s.browser.stream.send_all(chunk)
        text = await s.browser.stream.receive_some()
        assert text.startswith(b"HTTP/1.1 413 ")
    assert pool.take(BODIES_BYTES - KEPT_BYTES), "all of it was given back"


async def test_others_have_their_turn_while_it_comes_in_crumbs(autojump_clock: MockClock) -> None:
    async with served() as s, trio.open_nursery() as nursery:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        crumbs = b"2\r\nxx\r\n" * 2000  # within one read
        await s.browser.stream.send_all(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        await wait_all_tasks_blocked()
        nursery.start_soon(other)
        await s.browser.stream.send_all(crumbs)
        await s.browser.stream.send_all(b"0\r\n\r\n")
        text = await s.browser.stream.receive_some()
        assert text.endswith(b"4000\n")
        assert turns > 2000 // PIECES_AT_ONCE
        nursery.cancel_scope.cancel()


async def test_crumbs_take_no_more_memory_than_is_counted(autojump_clock: MockClock) -> None:
    async with served() as s:
        await s.browser.stream.send_all(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        tracemalloc.start()
        try:
            for _ in range(3):
                await s.browser.stream.send_all(b"2\r\nxx\r\n" * 2000)
                await wait_all_tasks_blocked()
            now, _peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert now < 128 * 1024, "12 kB came"


async def test_no_memory_for_it(autojump_clock: MockClock) -> None:
    async with served(BodyPool(100)) as s:
        assert (await post(s, 90)).status == 200
        found = await post(s, 110)
        assert (found.status, found.reason, found.headers["retry-after"]) == (503, "memory", "1")


async def test_large_ones_leave_room_for_small_ones(autojump_clock: MockClock) -> None:
    pool = BodyPool(SMALL_BYTES + 1000, kept=1000)
    async with served(pool) as hog, served(pool) as other:
        await hog.browser.stream.send_all(HEAD + b"Content-Length: %d\r\n\r\n" % (2 * SMALL_BYTES))
        for _ in range(4):
            await hog.browser.stream.send_all(b" " * (SMALL_BYTES // 4))
            await wait_all_tasks_blocked()
        assert (await post(other, 10)).status == 200
        await hog.browser.stream.send_all(b" ")
        assert (await hog.browser.stream.receive_some()).startswith(b"HTTP/1.1 503 ")


async def test_one_that_trickles(autojump_clock: MockClock) -> None:
    async with served() as s:
        await s.browser.stream.send_all(HEAD + b"Content-Length: 1000\r\n\r\n{")
        start = trio.current_time()
        text = await s.browser.stream.receive_some()
        assert text.startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - start == pytest.approx(BODY_S)


async def test_one_that_breaks_off(autojump_clock: MockClock) -> None:
    async with served() as s:
        await s.browser.stream.send_all(HEAD + b"Content-Length: 1000\r\n\r\n{")
        await s.browser.stream.send_eof()
        assert (await s.browser.stream.receive_some()).startswith(b"HTTP/1.1 400 ")


async def test_one_that_is_waited_for(autojump_clock: MockClock) -> None:
    async with served() as s:
        await s.browser.stream.send_all(HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await s.browser.stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await s.browser.stream.send_all(b"{}")
        text = await s.browser.stream.receive_some()
        assert text.startswith(b"HTTP/1.1 200 ")
        assert text.endswith(b"2\n")
