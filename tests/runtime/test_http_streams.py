"""Answers in pieces over the HTTP face: readers that leave, stall, ask by HEAD, and a proxy that stops."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from opendmux.runtime.transports._http_peer import WRITE_S
from opendmux.runtime.transports.http import GOODBYE_S, ROUTES, Exchange, Route
from opendmux.wire.sse import CONTENT_TYPE, HEARTBEAT, encode_event

from .http_kit import served


class Ticker:
    """Counts a second each; remembers how its handlers ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.times = 3
        self.piece = 10
        self.polite = False

    async def __call__(self, exchange: Exchange) -> None:
        try:
            await exchange.start_stream(CONTENT_TYPE)
            for number in range(self.times):
                await exchange.send(encode_event(b"x" * self.piece, number=number))
                with trio.move_on_after(1) as waited:
                    await (exchange.draining if self.polite else trio.Event()).wait()
                if not waited.cancelled_caught:
                    await exchange.send(b"data: bye\n\n")
                    break
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        self.ended.append("done")

    @property
    def routes(self) -> Mapping[str, Route]:
        return {**ROUTES, "/tick": Route({"GET": self}, open_locally=True)}


async def test_pieces_come_as_they_are_made(autojump_clock: MockClock) -> None:
    ticker = Ticker()
    async with served(routes=ticker.routes) as s:
        start = trio.current_time()
        found = await s.browser.get("/tick")
        assert trio.current_time() - start == pytest.approx(3)
        assert (found.status, found.headers["content-type"]) == (200, CONTENT_TYPE)
        assert found.headers["connection"] == "close"
        assert found.body == b"".join(encode_event(b"x" * 10, number=number) for number in range(3))
        assert await s.browser.ended()
    assert ticker.ended == ["done"]


async def test_head_of_a_stream_is_its_head(autojump_clock: MockClock) -> None:
    ticker = Ticker()
    async with served(routes=ticker.routes) as s:
        found = await s.browser.get("/tick", method="HEAD")
        assert (found.status, found.body) == (200, b"")
        assert await s.browser.ended()
    assert ticker.ended == ["Cancelled"]


async def test_a_reader_that_leaves_ends_it(autojump_clock: MockClock) -> None:
    ticker = Ticker()
    ticker.times = 1000
    async with served(routes=ticker.routes) as s:
        await s.browser.send("/tick")
        assert b"200" in await s.browser.stream.receive_some()
        await s.browser.stream.send_all(b"what nobody asked for")
        await trio.sleep(2.5)
        assert ticker.ended == []
        await s.browser.stream.aclose()
        await wait_all_tasks_blocked()
        assert ticker.ended == ["Cancelled"]
        assert s.sessions == set()


async def test_a_reader_that_stalls_is_left(autojump_clock: MockClock) -> None:
    ticker = Ticker()
    async with served(routes=ticker.routes) as s:
        await s.browser.send("/tick")
        assert b"200" in await s.browser.stream.receive_some()
        s.far_end.send_stream.send_all_hook = trio.sleep_forever
        start = trio.current_time()
        while s.sessions:
            await trio.sleep(0.5)
        assert trio.current_time() - start == pytest.approx(WRITE_S, abs=2)
    assert len(ticker.ended) == 1


async def test_a_large_piece_has_a_deadline_for_each_part(autojump_clock: MockClock) -> None:
    """A slow line is not a stalled one."""
    ticker = Ticker()
    ticker.times, ticker.piece = 1, 512 * 1024

    async def slow_line() -> None:
        await trio.sleep(WRITE_S / 2)

    async with served(routes=ticker.routes) as s:
        s.far_end.send_stream.send_all_hook = slow_line
        found = await s.browser.get("/tick")
        assert len(found.body) > 512 * 1024
    assert ticker.ended == ["done"]


@pytest.mark.parametrize("polite", [True, False])
async def test_a_drain_ends_streams(polite: bool, autojump_clock: MockClock) -> None:
    ticker = Ticker()
    ticker.times, ticker.polite = 1000, polite
    async with served(routes=ticker.routes) as s:
        await s.browser.send("/tick")
        await trio.sleep(3.5)
        (session,) = s.sessions
        session.drain()
        start = trio.current_time()
        found = await s.browser.answer()
        assert trio.current_time() - start <= GOODBYE_S
        assert found.body.endswith(b"data: bye\n\n") is polite
        assert await s.browser.ended()
    assert ticker.ended == ["done" if polite else "Cancelled"]


async def test_a_crash_in_the_middle_is_no_whole_answer(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(exchange: Exchange) -> None:
        await exchange.start_stream(CONTENT_TYPE)
        await exchange.send(HEARTBEAT)
        raise RuntimeError("a bug")

    async with served(routes={"/x": Route({"GET": broken}, open_locally=True)}) as s:
        await s.browser.send("/x")
        text = b""
        while piece := await s.browser.stream.receive_some():
            text += piece
        assert not text.endswith(b"0\r\n\r\n")
    assert "a bug" in caplog.text
