"""The client of OpenD's operation console, on memory streams and the mock clock."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.lowlevel
import trio.testing
from trio.testing import MockClock

from opendmux.core.operations import order_of
from opendmux.runtime.telnet import CONNECT_S, FIRST_S, SEND_S, SILENCE_S, TOTAL_S, Console, TelnetError

PING = order_of("ping", {})
Peer = Callable[[trio.abc.Stream], Awaitable[None]]


class World:
    """A console whose other side a test plays; ``dialled``: how often."""

    def __init__(self, nursery: trio.Nursery, peer: Peer) -> None:
        self.dialled = 0
        self._nursery, self._peer = nursery, peer
        self.console = Console("127.0.0.1:22222", self._dial)

    async def _dial(self) -> trio.abc.Stream:
        self.dialled += 1
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self._peer, theirs)
        await trio.lowlevel.checkpoint()
        return ours


class Deaf(trio.abc.Stream):
    """Takes nothing and says nothing."""

    async def send_all(self, data: object) -> None:  # noqa: ARG002
        await trio.sleep_forever()

    async def wait_send_all_might_not_block(self) -> None: ...

    async def receive_some(self, max_bytes: int | None = None) -> bytes:  # noqa: ARG002
        await trio.sleep_forever()
        raise AssertionError

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class Breaking(Deaf):
    """Takes everything and breaks."""

    async def send_all(self, data: object) -> None:  # noqa: ARG002
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:  # noqa: ARG002
        await trio.lowlevel.checkpoint()
        raise trio.BrokenResourceError


async def line_of(stream: trio.abc.Stream) -> bytes:
    got = b""
    while not got.endswith(b"\n"):
        chunk = await stream.receive_some()
        if not chunk:
            raise trio.EndOfChannel
        got += chunk
    return got


async def test_an_answer_ends_after_half_a_second_of_silence(autojump_clock: MockClock) -> None:
    seen = []

    async def peer(stream: trio.abc.Stream) -> None:
        seen.append(await line_of(stream))
        await trio.sleep(2)
        text = "延迟: 23 ms\r\n第二行\r\n".encode("gb2312")
        for at in range(len(text)):  # every character is cut in two
            await stream.send_all(text[at : at + 1])
            await trio.sleep(0.4)
        await stream.receive_some()

    async with trio.open_nursery() as nursery:
        world = World(nursery, peer)
        reply = await world.console.perform(PING)
        assert (reply.lines, reply.note) == (["延迟: 23 ms", "第二行"], "")
        assert seen == [b"ping\r\n"]
        text_bytes = len("延迟: 23 ms\r\n第二行\r\n".encode("gb2312"))
        assert trio.current_time() == pytest.approx(2 + 0.4 * (text_bytes - 1) + SILENCE_S)


async def test_the_end_of_the_connection_ends_an_answer(autojump_clock: MockClock) -> None:
    async def peer(stream: trio.abc.Stream) -> None:
        await line_of(stream)
        await stream.send_all(b"bye")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        reply = await World(nursery, peer).console.perform(PING)
    assert (reply.lines, reply.note) == (["bye"], "")


async def test_who_says_nothing_is_not_waited_for_long(autojump_clock: MockClock) -> None:
    async def peer(stream: trio.abc.Stream) -> None:
        await line_of(stream)
        await stream.receive_some()

    async with trio.open_nursery() as nursery:
        reply = await World(nursery, peer).console.perform(PING)
    assert reply.lines == []
    assert "answered nothing" in reply.note
    assert trio.current_time() == FIRST_S


async def test_who_never_ends_is_cut_off(autojump_clock: MockClock) -> None:
    async def peer(stream: trio.abc.Stream) -> None:
        await line_of(stream)
        with contextlib.suppress(trio.BrokenResourceError):
            while True:
                await stream.send_all(b"x\r\n")
                await trio.sleep(0.3)

    async with trio.open_nursery() as nursery:
        reply = await World(nursery, peer).console.perform(PING)
    assert "not over after" in reply.note
    assert set(reply.lines) == {"x"}
    assert trio.current_time() == pytest.approx(TOTAL_S, abs=0.5)


async def test_who_floods_is_cut_off(autojump_clock: MockClock) -> None:
    async def peer(stream: trio.abc.Stream) -> None:
        await line_of(stream)
        with contextlib.suppress(trio.BrokenResourceError):
            for _ in range(100):
                await stream.send_all(b"x" * 10_000)
                await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        reply = await World(nursery, peer).console.perform(PING)
    assert "not whole" in reply.note


async def test_one_command_at_a_time(autojump_clock: MockClock) -> None:
    open_now = []

    async def peer(stream: trio.abc.Stream) -> None:
        open_now.append(1)
        assert len(open_now) == 1
        await line_of(stream)
        await stream.send_all(b"ok\r\n")
        assert await stream.receive_some() == b""
        open_now.pop()

    async with trio.open_nursery() as nursery:
        world = World(nursery, peer)
        async with trio.open_nursery() as callers:
            for _ in range(3):
                callers.start_soon(world.console.perform, PING)
    assert world.dialled == 3


@pytest.mark.parametrize(
    "problem",
    [
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        OSError("all attempts to connect to localhost:22222 failed"),
    ],
)
async def test_a_refused_connection_is_explained(problem: OSError) -> None:
    if problem.errno is None:  # as Trio tells of several addresses
        problem.__cause__ = ExceptionGroup("", [ConnectionRefusedError(errno.ECONNREFUSED, "x")])

    async def dial() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise problem

    with pytest.raises(
        TelnetError, match=r"telnet_port is not set in OpenD\.xml.*no port at all.*own console"
    ) as caught:
        await Console("127.0.0.1:22222", dial).perform(PING)
    assert not caught.value.sent


async def test_another_failure_has_its_own_words() -> None:
    async def dial() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    with pytest.raises(TelnetError, match="No route to host"):
        await Console("192.0.2.1:22222", dial).perform(PING)


async def test_connecting_has_a_deadline(autojump_clock: MockClock) -> None:
    async def dial() -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    with pytest.raises(TelnetError, match="did not answer within 5 s"):
        await Console("192.0.2.1:22222", dial).perform(PING)
    assert trio.current_time() == CONNECT_S


async def test_who_takes_nothing_may_have_got_it(autojump_clock: MockClock) -> None:
    async def dial() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return Deaf()

    with pytest.raises(TelnetError, match="nobody knows") as caught:
        await Console("127.0.0.1:22222", dial).perform(PING)
    assert caught.value.sent
    assert trio.current_time() == SEND_S


async def test_a_connection_that_breaks_is_said(autojump_clock: MockClock) -> None:
    async def peer(stream: trio.abc.Stream) -> None:
        await line_of(stream)
        assert isinstance(stream, trio.StapledStream)
        stream.send_stream.close()

    async def dial() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return Breaking()

    assert (await Console("c", dial).perform(PING)).note == "OpenD broke the connection off"
    async with trio.open_nursery() as nursery:
        reply = await World(nursery, peer).console.perform(PING)
    assert "answered nothing; the command was sent" in reply.note


async def test_cancelling_closes_the_connection(autojump_clock: MockClock) -> None:
    ended = trio.Event()

    async def peer(stream: trio.abc.Stream) -> None:
        await line_of(stream)
        assert await stream.receive_some() == b""
        ended.set()

    async with trio.open_nursery() as nursery:
        world = World(nursery, peer)
        with trio.move_on_after(1):
            await world.console.perform(PING)
        await ended.wait()
        with trio.move_on_after(1):  # the next one is not kept waiting
            await world.console.perform(PING)
    assert world.dialled == 2
