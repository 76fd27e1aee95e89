"""Push streams that go on where they broke off: nothing lost, nothing twice, and a word where something is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from opendmux.config import Config, Limits
from opendmux.core.denial import Denial
from opendmux.core.events import GAP, PushEvent
from opendmux.core.keys import KeyLimits, Scopes
from opendmux.core.pushring import EVENT_BYTES
from opendmux.runtime.backend import Caller, PushStream
from opendmux.runtime.pushstreams import KEEP_S, STREAMS_MAX
from opendmux.wire.protocols import ProtoId
from tests.core.key_kit import key

from .bodies import quote_push, sub, ticker_push
from .test_callers import QUOTES, TENCENT, Desk, desk
from .world import OK

if TYPE_CHECKING:
    from trio.testing import MockClock

TICKER, BASIC = 4, 1


def opened(caller: Caller, resume_from: int = 0) -> PushStream:
    stream = caller.open_stream(resume_from=resume_from)
    assert not isinstance(stream, Denial), stream
    return stream


async def subscribed(at: Desk) -> Caller:
    at.world.opend.answers[ProtoId.QOT_SUB] = lambda _frame: OK
    caller = at.admit(QUOTES)
    answer = await at.answered(caller, ProtoId.QOT_SUB, sub([TENCENT], [TICKER, BASIC]))
    assert answer.ret_type == 0, answer
    return caller


async def ticks(at: Desk, *marks: int) -> None:
    for mark in marks:
        await at.world.opend.push(ProtoId.QOT_UPDATE_TICKER, ticker_push(*TENCENT, mark=b"%d" % mark))
    await trio.sleep(0.1)


def taken(stream: PushStream) -> list[PushEvent]:
    events: list[PushEvent] = []
    while more := stream.take(200):
        events += more
    return events


def bodies(*marks: int) -> list[bytes]:
    return [ticker_push(*TENCENT, mark=b"%d" % mark) for mark in marks]


async def test_a_broken_stream_goes_on(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = await subscribed(at)
        plain, first = at.stream(caller), opened(caller)
        await ticks(at, 1, 2, 3)
        with trio.fail_after(1):
            await first.wakeups.receive()
        got = taken(first)
        assert [event.body for event in got] == bodies(1, 2, 3)
        assert got[0].seq > 0
        first.close()
        first.close()
        assert first.take(100) == []
        caller.detach()
        await ticks(at, 4, 5)
        again = at.admit(QUOTES)
        second = opened(again, got[1].seq)
        await ticks(at, 6)
        rest = taken(second)
        assert [event.body for event in rest] == bodies(3, 4, 5, 6)
        assert [event.seq for event in rest] == [got[1].seq + n for n in range(1, 5)]
        plain_events = taken(plain)
        assert [event.body for event in plain_events] == bodies(1, 2, 3, 4, 5, 6)
        assert {event.seq for event in plain_events} == {0}


async def test_a_ring_that_was_too_small_says_so(autojump_clock: MockClock) -> None:
    size = len(bodies(1)[0]) + EVENT_BYTES
    async with desk(QUOTES, config=Config(limits=Limits(push_ring_bytes=3 * size))) as at:
        caller = await subscribed(at)
        stream = opened(caller)
        await ticks(at, 1)
        (one,) = taken(stream)
        stream.close()
        await ticks(at, 2, 3, 4, 5, 6)
        gap, *rest = taken(opened(caller, one.seq))
        assert (gap.event_type, gap.gap_from, gap.gap_to, gap.seq) == (GAP, one.seq + 1, one.seq + 2, one.seq + 2)
        assert [event.body for event in rest] == bodies(4, 5, 6)


async def test_two_readers_share_the_numbers(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = await subscribed(at)
        one, other = opened(caller), opened(caller)
        await ticks(at, 1, 2)
        assert taken(one) == taken(other) != []


async def test_a_stream_from_now_is_greeted_and_a_resumed_one_is_not(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = await subscribed(at)
        await at.world.opend.push(ProtoId.QOT_UPDATE_BASIC_QOT, quote_push(TENCENT))
        await trio.sleep(0.1)
        stream = opened(caller)
        (greeting,) = taken(stream)
        assert (greeting.proto_id, greeting.seq) == (ProtoId.QOT_UPDATE_BASIC_QOT, 0)
        await ticks(at, 1)
        (event,) = taken(stream)
        assert taken(opened(caller, event.seq)) == []


async def test_what_was_recorded_is_given_before_the_end(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = await subscribed(at)
        stream = opened(caller)
        await ticks(at, 1, 2)
        at.callers.drain()
        assert stream.ended is not None
        await ticks(at, 3)
        assert [event.body for event in taken(stream)] == bodies(1, 2)


async def test_a_changed_key_does_not_see_what_it_saw_before(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = await subscribed(at)
        stream = opened(caller)
        await ticks(at, 1)
        (event,) = taken(stream)
        stream.close()
        await ticks(at, 2)
        at.use(key(Scopes.QOT_READ, Scopes.ACC_READ, key_id="quotes"))
        (gap,) = taken(opened(caller, event.seq))
        assert (gap.event_type, gap.gap_from, gap.gap_to) == (GAP, event.seq + 1, event.seq + 1)
        await ticks(at, 3)
        at.use(key(Scopes.QOT_READ, Scopes.ACC_READ, key_id="quotes", note="renewed", expires_at=4e9))
        assert [e.body for e in taken(opened(caller, gap.seq))] == bodies(3), "it may see the same"


@pytest.mark.parametrize(
    "changed",
    [
        {"allowed_acc_ids": frozenset()},
        {"allowed_card_nums": frozenset()},
        {"limits": KeyLimits(allowed_markets=frozenset({"US"}))},
        {"limits": KeyLimits(allowed_symbols=frozenset({"HK.00005"}))},
    ],
)
async def test_nor_does_a_reader_that_has_not_yet_looked(autojump_clock: MockClock, changed: dict[str, object]) -> None:
    async with desk(QUOTES) as at:
        caller = await subscribed(at)
        stream = opened(caller)
        await ticks(at, 1)
        at.use(key(*QUOTES.scopes, key_id="quotes", **changed))
        (gap,) = taken(stream)
        assert gap.event_type == GAP


async def test_recording_ends_when_nobody_comes_back(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = await subscribed(at)
        stream = opened(caller)
        hub = at.world.proxy.hub
        slots = len(hub.clients)
        await ticks(at, 1)
        (event,) = taken(stream)
        stream.close()
        assert len(hub.clients) == slots, "the recorder goes on"
        await trio.sleep(KEEP_S - 2)
        opened(caller, event.seq).close()
        await trio.sleep(KEEP_S - 2)
        assert len(hub.clients) == slots, "somebody came"
        await trio.sleep(5)
        assert len(hub.clients) == slots - 1
        await ticks(at, 2)
        (gap,) = taken(opened(caller, event.seq))
        assert gap.event_type == GAP
        assert gap.gap_from == event.seq + 1
        assert gap.gap_to > event.seq


async def test_the_bound_of_streams_counts_both_kinds(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = at.admit(QUOTES)
        streams = [opened(caller) for _ in range(STREAMS_MAX)]
        assert isinstance(caller.open_stream(), Denial)
        streams[0].close()
        at.stream(caller)


@pytest.mark.parametrize("reader", ["there", "none"])
async def test_an_outage_of_opend_is_a_gap_in_its_place(reader: str, autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = await subscribed(at)
        plain, stream = at.stream(caller), opened(caller)
        await ticks(at, 1)
        (event,) = taken(stream)
        if reader == "none":
            stream.close()
        await at.world.opend.drop()
        await trio.sleep(10)
        await at.world.opend.push(ProtoId.QOT_UPDATE_BASIC_QOT, quote_push(TENCENT))
        await trio.sleep(0.1)
        events = taken(opened(caller, event.seq) if reader == "none" else stream)
        gap, last = (one for one in events if one.event_type != "notify")
        assert (gap.event_type, gap.gap_from, gap.gap_to) == (GAP, 0, 0), "nobody knows what is missing"
        assert last.proto_id == ProtoId.QOT_UPDATE_BASIC_QOT
        assert event.seq < gap.seq < last.seq
        assert GAP not in {one.event_type for one in taken(plain)}, "plain streams know no gaps"


async def test_an_outage_while_nothing_is_recorded_is_no_gap(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = await subscribed(at)
        plain = at.stream(caller)
        opened(caller).close()
        await trio.sleep(KEEP_S + 1)
        await at.world.opend.drop()
        await trio.sleep(10)
        await ticks(at, 1)
        assert [one.body for one in taken(plain) if one.event_type != "notify"] == bodies(1)


@pytest.mark.parametrize("reader", ["behind", "none"])
async def test_a_push_that_finds_no_memory_is_a_gap(reader: str, autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = await subscribed(at)
        stream = opened(caller)
        await ticks(at, 1)
        (event,) = taken(stream)
        if reader == "none":
            stream.close()
        hub = at.world.proxy.hub
        recorder = next(client for slot, client in hub.clients.items() if slot == max(hub.clients))
        recorder.end("slow: its outbox is full", flush_all=False)
        await ticks(at, 2)
        gap, last = taken(opened(caller, event.seq) if reader == "none" else stream)
        assert (gap.event_type, gap.gap_from, gap.gap_to) == (GAP, event.seq + 1, event.seq + 1)
        assert last.seq == event.seq + 2
