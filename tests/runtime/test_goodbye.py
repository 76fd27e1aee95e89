"""A client of OpenD's TCP protocol that is closed is told why, and a silent one is not closed."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config, Limits, Timeouts
from opendmux.wire.frame import build_frame
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from . import bodies
from .world import Client, world

TICKER_PUSH = 3011


async def last_words(client: Client) -> tuple[list[int], str]:
    """What came before the end, by number, and the text of the Notify that came last."""
    seen: list[int] = []
    text = ""
    try:
        while True:
            frame = await client.receive()
            seen.append(frame.proto_id)
            if frame.proto_id == ProtoId.NOTIFY:
                s2c = opend.NotifyResponse.FromString(frame.body).s2c
                assert (s2c.type, s2c.event.eventType) == (1, 0)
                text = s2c.event.desc
    except trio.EndOfChannel:
        return seen, text


async def test_garbage_is_answered_with_the_reason(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client(recv_notify=True)
        await client.stream.send_all(build_frame(9999, 0, 5, b"\x0a\x00") + b"oops")
        seen, text = await last_words(client)
        assert seen == [9999, ProtoId.NOTIFY], "the answer that was due comes first"
        assert text.startswith("opendmux closes this connection: ")
        assert "FT" in text
        assert w.proxy.hub.torn == 0


async def test_who_takes_no_notifications_is_closed_without_a_word(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await client.stream.send_all(b"oops")
        assert await last_words(client) == ([], "")


async def test_who_has_gone_is_told_nothing(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client(recv_notify=True)
        assert isinstance(client.stream, trio.StapledStream)
        await client.stream.send_eof()
        assert await last_words(client) == ([], "")


async def test_a_slow_client_is_told_behind_the_frame_that_was_half_sent(autojump_clock: MockClock) -> None:
    limits = Limits(outbox_bytes=20_000, outbox_high_water_bytes=10_000)
    async with world(Config(limits=limits)) as w:
        w.opend.answers[3001] = lambda _frame: b"\x08\x00"
        slow = await w.client(recv_notify=True)
        await slow.call(3001, bodies.sub([(1, "00700")], [4]))
        held = trio.Event()
        slow.far_end.send_stream.send_all_hook = held.wait
        for number in range(400):
            await w.opend.push(TICKER_PUSH, bodies.ticker_push(1, "00700", str(number).encode()))
            await trio.testing.wait_all_tasks_blocked()  # the writer hangs in the first one
        held.set()
        seen, text = await last_words(slow)
        assert set(seen[:-1]) == {TICKER_PUSH}
        assert 0 < len(seen) < 400
        assert text == "opendmux closes this connection: slow: its outbox is full"
        assert w.proxy.hub.torn == 0


async def test_a_stop_is_told(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client(recv_notify=True)
        w.proxy.stop()
        assert await last_words(client) == (
            [ProtoId.NOTIFY],
            "opendmux closes this connection: opendmux stops; connect again when it is back",
        )


async def test_an_outage_that_closes_is_told(autojump_clock: MockClock) -> None:
    async with world(Config(on_outage="close")) as w:
        client = await w.client(recv_notify=True)
        await w.opend.drop()
        seen, text = await last_words(client)
        assert seen == [ProtoId.NOTIFY]
        assert "has been away for 0 s" in text


@pytest.mark.parametrize("recv_notify", [False, True])
async def test_a_client_without_keep_alive_is_not_closed(autojump_clock: MockClock, recv_notify: bool) -> None:
    """OpenD itself drops one that sends no KeepAlive; the connection to OpenD is kept alive by opendmux."""
    async with world() as w:
        w.opend.answers[3004] = lambda _frame: b"\x08\x00"
        client = await w.client(recv_notify=recv_notify)
        assert await client.nothing_comes(300)
        assert (await client.call(3004, b"\x0a\x00")).body == b"\x08\x00"
        assert w.opend.connections == 1


async def test_nothing_comes_behind_the_last_word(autojump_clock: MockClock) -> None:
    """Ticks go on while the client reads why it is closed."""
    async with world() as w:
        w.opend.answers[3001] = lambda _frame: b"\x08\x00"
        client = await w.client(recv_notify=True)
        await client.call(3001, bodies.sub([(1, "00700")], [4]))
        await client.stream.send_all(b"oops")
        await trio.testing.wait_all_tasks_blocked()
        for number in range(3):
            await w.opend.push(TICKER_PUSH, bodies.ticker_push(1, "00700", str(number).encode()))
            await trio.testing.wait_all_tasks_blocked()
        seen, _text = await last_words(client)
        assert seen == [ProtoId.NOTIFY]


async def test_who_takes_nothing_any_more_is_not_waited_for(autojump_clock: MockClock) -> None:
    async with world(Config(timeouts=Timeouts(goodbye_s=1.0))) as w:
        client = await w.client(recv_notify=True)
        client.far_end.send_stream.send_all_hook = trio.sleep_forever
        began = trio.current_time()
        await client.stream.send_all(b"oops")
        while w.proxy.hub.clients:
            await trio.sleep(0.1)
        assert trio.current_time() - began < 2.0
        assert w.proxy.hub.torn == 1, "half of the last word may have got there"
