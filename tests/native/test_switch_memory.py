"""The compiled switch alone: what it holds, what it gives back, and what it does when there is no more."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from opendmux.native import EVENT, STREAM_LOST, sha1_backend
from tests.native.switch_kit import (
    EDITED,
    HELD,
    INSPECTED,
    LIMITS,
    ORDER_PUSH,
    PASSED,
    PUSH,
    Bench,
    S,
    frame,
    frames,
    load,
    with_body_len,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opendmux.native import Switch

MIB = 1 << 20


@pytest.fixture
def bench() -> Bench:
    return Bench(load("native")(**LIMITS))


@pytest.fixture
def held() -> Iterator[Callable[[], int]]:
    """Bytes allocated since the fixture was made, those of the buffers included."""
    gc.collect()
    tracemalloc.start()
    start = tracemalloc.get_traced_memory()[0]
    yield lambda: tracemalloc.get_traced_memory()[0] - start
    tracemalloc.stop()


def test_it_is_compiled() -> None:
    assert load("native").__module__ == "opendmux.native._switch"
    with pytest.raises(TypeError):
        type("Sub", (load("native"),), {})


# -- what it holds


def test_idle_slots_are_cheap(bench: Bench, held: Callable[[], int]) -> None:
    slots = [bench.open() for _ in range(1000)]
    for slot in slots:
        bench.feed(frames([PASSED] * 3) + frame()[:30], slot)
        bench.feed(frame()[30:], slot)
        bench.switch.append(slot, frame(PUSH))
        bench.switch.release(slot, bench.switch.hold(slot), frame(ORDER_PUSH))
        bench.switch.fan_out([slot], frame(PUSH), "key")
    bench.answer(b"".join(frame(PASSED, serial) for serial in range(1, 4001)))
    bench.switch.link_sent(bench.link, bench.switch.link_pending_bytes(bench.link))
    for slot in slots:
        assert len(bench.out(slot)) == 6
        assert len(bench.out(slot)) == 1
    assert bench.switch.counters().outbox_bytes == bench.switch.counters().pending == 0
    assert held() < 1000 * 500 + MIB  # the records; the pool and the link keep something


def test_announced_body_costs_little(bench: Bench, held: Callable[[], int]) -> None:
    slots = [bench.open() for _ in range(100)]
    for slot in slots:
        bench.feed(with_body_len(frame(PASSED), MIB), slot)
    assert held() < 100 * 2000


def test_growing_body_is_held_once(bench: Bench, held: Callable[[], int]) -> None:
    data = frame(PASSED, 1, bytes(MIB))
    chunk = 10_000
    tracemalloc.reset_peak()
    for at in range(0, len(data), chunk):
        bench.feed(data[at : at + chunk])
        if at < len(data) - chunk:
            assert held() <= len(data) * 2 + 2 * chunk + 5000  # `data` itself is one of the two
    # Growing copies what had come, which is a quarter at the last time.
    assert len(bench.upstream()[0].body) == MIB
    bench.switch.reset_link(bench.link)
    assert held() < len(data) + 20_000


def test_memory_follows_what_is_unread(bench: Bench, held: Callable[[], int]) -> None:
    data = frame(PASSED, 1, bytes(MIB))
    slots = [bench.open() for _ in range(20)]
    start = held()
    for at in range(0, MIB, 50_000):
        for slot in slots:
            bench.feed(data[at : at + 50_000], slot)
        unread = bench.switch.counters().unread_bytes
        assert unread <= held() - start <= unread * 3 // 2 + len(slots) * 8192


def test_a_long_frame_leaves_no_memory_to_the_few_bytes_behind_it(bench: Bench, held: Callable[[], int]) -> None:
    more = frame(PASSED, 3, bytes(9000))
    chunk = frame(PASSED, 2, bytes(MIB // 2)) + more
    slots = [bench.open(max_in_flight=1) for _ in range(20)]
    start = held()
    for slot in slots:
        bench.feed(frame(PASSED, 1), slot)
        bench.feed(chunk, slot)
    for entry in bench.switch.reset_link(bench.link):
        bench.switch.set_link_ready(bench.link, True)
        bench.feed(b"", entry.slot)
        bench.switch.link_sent(bench.link, bench.switch.link_pending_bytes(bench.link))
    assert bench.switch.counters().unread_bytes == len(slots) * len(more)
    bench.switch.reset_link(bench.link)
    assert held() - start <= len(slots) * (len(more) * 3 // 2 + 8192)


def test_upstream_body_is_held_once(bench: Bench, held: Callable[[], int]) -> None:
    bench.feed(frame(EDITED, 1))
    data = frame(EDITED, 1, bytes(MIB))
    for at in range(0, len(data) - 10_000, 10_000):
        bench.answer(data[at : at + 10_000])
        assert held() <= len(data) * 2 + 50_000


def test_all_is_given_back(held: Callable[[], int]) -> None:
    before = 0
    for turn in range(4):
        bench = Bench(load("native")(**LIMITS))
        for slot in [bench.slot, bench.open()]:
            bench.feed(frames([PASSED, EDITED, HELD, INSPECTED]) + frame()[:20], slot)
            bench.switch.append(slot, frame(PUSH, 0, bytes(100_000)))
            bench.switch.fan_out([slot], frame(PUSH, 0, bytes(100_000)), "key")
            bench.switch.hold(slot)
            bench.submit(slot=slot, token=object(), body=bytes(100_000))
        bench.answer(frame(EDITED, 2, bytes(100_000))[:90_000])
        del bench
        gc.collect()
        if turn == 0:
            before = held()  # what Python makes once
    assert held() - before < 2000


def test_cycle_through_a_token_is_collected(bench: Bench) -> None:
    class Session:
        switch: Switch

    session = Session()
    session.switch = bench.switch
    gone = weakref.ref(session)
    bench.submit(token=session)
    bench.switch.append(bench.slot, frame())
    bench.switch.fan_out([bench.slot], frame(), (1, session))
    del session
    bench.switch = None  # type: ignore[assignment]
    gc.collect()
    assert gone() is None


# -- foreign code


class Meddler:
    """A key that calls the switch when it is compared."""

    def __init__(self, switch: Switch, slot: int) -> None:
        self.switch = switch
        self.slot = slot

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        self.switch.close_slot(self.slot)
        return False


def test_calls_from_inside_are_refused(bench: Bench) -> None:
    switch, slot = bench.switch, bench.slot
    switch.append(slot, frame())
    switch.fan_out([slot], frame(), 1)
    with pytest.raises(RuntimeError, match="inside"):
        switch.fan_out([slot], frame(), Meddler(switch, slot))
    assert switch.out_bytes(slot) == 2 * len(frame()) == switch.counters().outbox_bytes
    switch.close_slot(slot)


# -- no memory


def scenario(bench: Bench, attempt: Callable[..., Any]) -> None:
    """A bit of everything that allocates; `attempt` is told what to call."""
    switch, slot, other = bench.switch, bench.slot, bench.open()
    attempt(switch.feed_untrusted, slot, frames([PASSED, INSPECTED, EDITED, HELD, PASSED]) + frame()[:30], 1)
    attempt(switch.feed_untrusted, slot, frame()[30:] + frame(PASSED, 9, bytes(3000))[:2000], 1)
    attempt(switch.feed_untrusted, slot, frame(PASSED, 9, bytes(3000))[2000:], 1)
    serial = attempt(bench.submit, slot=other, token="token", reply=EVENT)
    attempt(switch.join, bench.link, 1, other, 5)
    attempt(switch.link_feed_untrusted, bench.link, frame(PASSED, 1) + frame(EDITED, 2) + frame(PUSH)[:30], 1)
    attempt(switch.link_feed_untrusted, bench.link, frame(PUSH)[30:] + frame(HELD, 3), 1)
    attempt(switch.append, slot, frame(PUSH, 0, bytes(5000)))
    ticket = attempt(switch.hold, slot)
    for key in (None, "a", "b", "a"):
        attempt(switch.fan_out, [slot, other], frame(PUSH), key)
    attempt(switch.release, slot, ticket or 0, frame(PUSH, 0, bytes(9000)))
    attempt(switch.out, other)
    attempt(switch.take_frames, other, 10_000)
    attempt(switch.link_feed_untrusted, bench.link, frame(PASSED, serial or 99), 1)
    attempt(switch.expire, 5 * S)
    attempt(switch.reset_link, bench.link)
    attempt(switch.out_truncate, slot)
    attempt(switch.close_slot, other)


def failing_at(count: int, _testcapi: Any) -> tuple[int, Bench]:
    """Run the scenario with the allocation number `count` of every single call failing; how often one did."""
    bench = Bench(load("native")(**LIMITS))
    failed = 0

    def attempt(call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        nonlocal failed
        try:
            _testcapi.set_nomemory(count, count + 1)
            try:
                return call(*args, **named)
            finally:
                _testcapi.remove_mem_hooks()
        except MemoryError:
            failed += 1
        except ValueError:
            pass  # what an attempt before was to prepare is not there
        return None

    scenario(bench, attempt)
    return failed, bench


def can_fail_allocations() -> Any:
    if sha1_backend() == "hashlib":
        pytest.skip("hashlib allocates too; its failures are refused frames and noise on stderr")
    return pytest.importorskip("_testcapi", reason="this CPython has no test module to make allocations fail")


def test_without_memory_nothing_is_broken() -> None:
    _testcapi = can_fail_allocations()
    failures = 0
    for count in range(25):
        failed, bench = failing_at(count, _testcapi)
        failures += failed
        switch = bench.switch
        # Whatever failed: the accounts are right, and a fresh slot on a fresh connection works.
        switch.reset_link(bench.link)
        assert switch.counters().pending == 0
        assert switch.counters().outbox_bytes == sum(
            switch.out_bytes(slot) for slot in range(3) if is_open(switch, slot)
        )
        for slot in range(3):
            if is_open(switch, slot):
                assert switch.in_flight(slot) == 0
                bench.out(slot)
                switch.close_slot(slot)
        assert switch.counters().outbox_bytes == 0
        switch.set_link_ready(bench.link, True)
        slot = bench.open()
        assert bench.feed(frames([PASSED] * 3), slot) is None
        serials = [asked.serial_no for asked in bench.upstream()]
        assert not bench.answer(b"".join(frame(PASSED, serial) for serial in serials)).strays
        assert [reply.serial_no for reply in bench.out(slot)] == [1, 2, 3]
    assert failures > 50


def is_open(switch: Switch, slot: int) -> bool:
    try:
        switch.generation(slot)
    except ValueError:
        return False
    return True


def test_link_without_memory_reads_nothing_more() -> None:
    """Or it has read nothing of that chunk."""
    _testcapi = can_fail_allocations()
    whole = frame(EDITED, 1, bytes(100_000))
    half = whole[:50_000]
    outcomes = set()
    for count in range(10):
        bench = Bench(load("native")(**LIMITS))
        bench.feed(frame(EDITED, 1))
        arguments = (bench.link, half, 1)
        _testcapi.set_nomemory(count, 0)
        try:
            bench.switch.link_feed_untrusted(*arguments)
        except MemoryError:
            _testcapi.remove_mem_hooks()
            events = bench.answer(whole).events
            outcomes.add(len(events))
            assert [entry.serial_no for entry in bench.switch.reset_link(bench.link)] == [1][len(events) :]
            assert bench.answer(b"X").events[0].kind == STREAM_LOST
        finally:
            _testcapi.remove_mem_hooks()
    assert outcomes == {0, 1}
