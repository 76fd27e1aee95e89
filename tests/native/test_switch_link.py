"""The switch from upstream to the client: replies, pushes, serials, deadlines, what a lost link leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.native import (
    EVENT,
    HOLD,
    NATIVE,
    OVERFLOW,
    REPLY,
    REPLY_BAD_SHA1,
    STREAM_LOST,
    Entry,
    LinkBatch,
    LinkEvent,
    Push,
)
from tests.native.switch_kit import (
    EDITED,
    HELD,
    LIMITS,
    ORDER_PUSH,
    PASSED,
    PUSH,
    ROW,
    UNKNOWN,
    Bench,
    Request,
    S,
    bad_sha1,
    frame,
    frames,
    load,
    with_body_len,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from opendmux.native import Switch
    from tests.native.switch_kit import NewSwitch

pytest_plugins = ("tests.native.switch_fixtures",)

NOTHING = LinkBatch([], [], [], 0, 0)
LAST = 2**32 - 1


# -- replies


def test_native_reply_goes_back_with_the_clients_serial(bench: Bench) -> None:
    bench.feed(frame(PASSED, 777, b"ask"))
    assert bench.answer(frame(PASSED, 1, b"answer", proto_fmt=1)) == LinkBatch([bench.slot], [], [], 0, 0)
    assert bench.out() == [Request(PASSED, 777, b"answer", 1)]
    assert bench.switch.in_flight(bench.slot) == 0
    assert bench.switch.counters().pending == 0


def test_replies_in_any_order(bench: Bench) -> None:
    bench.feed(frame(PASSED, 10) + frame(EDITED, 11) + frame(PASSED, 12))
    batch = bench.answer(frame(PASSED, 3, b"c") + frame(EDITED, 2, b"b") + frame(PASSED, 1, b"a"))
    assert batch.dirty == [bench.slot]
    assert [(event.entry.serial_no, event.body) for event in batch.events] == [(11, b"b")]
    assert bench.out() == [Request(PASSED, 12, b"c"), Request(PASSED, 10, b"a")]


def test_event_carries_the_entry(bench: Bench) -> None:
    bench.feed(frame(EDITED, 77, proto_fmt=1), now_ns=5)
    entry = Entry(bench.slot, bench.switch.generation(bench.slot), 77, 1, EDITED, 1, None, bench.link, 5, EVENT, ())
    batch = bench.answer(frame(EDITED, 1, b"answer", proto_fmt=0))
    assert batch == LinkBatch([], [LinkEvent(REPLY, entry, b"answer", 0, -1)], [], 0, 0)
    assert bench.out() == []
    assert bench.switch.in_flight(bench.slot) == 0


def test_dirty_slots_are_listed_once_in_order(bench: Bench) -> None:
    others = [bench.open() for _ in range(3)]
    for slot in [*others, *others, bench.slot]:
        bench.feed(frame(PASSED, slot), slot)
    batch = bench.answer(b"".join(frame(PASSED, serial) for serial in (3, 1, 6, 4, 2)))
    assert batch.dirty == [others[2], others[0], others[1]]
    assert bench.answer(frame(PASSED, 7)).dirty == [bench.slot]


@pytest.mark.parametrize(
    "answer", [frame(PASSED, 2), frame(PASSED, 0), frame(PASSED, LAST), frame(EDITED, 1), frame(UNKNOWN, 1)]
)
def test_strays_leave_the_entry_alone(bench: Bench, answer: bytes) -> None:
    bench.feed(frame(PASSED, 10))
    assert bench.answer(answer) == LinkBatch([], [], [], 0, 1)
    assert bench.switch.counters().strays == 1
    bench.answer(frame(PASSED, 1))
    assert bench.out() == [Request(PASSED, 10, b"body")]


def test_second_reply_is_a_stray(bench: Bench) -> None:
    bench.feed(frame(PASSED, 10))
    assert bench.answer(frame(PASSED, 1) * 2) == LinkBatch([bench.slot], [], [], 0, 1)
    assert len(bench.out()) == 1


def test_serials_of_one_link_are_nothing_to_another(bench: Bench) -> None:
    other = bench.switch.open_link()
    bench.feed(frame(PASSED, 10))
    assert bench.switch.link_feed_untrusted(other, frame(PASSED, 1), 1).strays == 1
    assert bench.answer(frame(PASSED, 1)).strays == 0


@pytest.mark.parametrize("proto_id", [PASSED, EDITED, HELD])
def test_reply_with_bad_sha1(bench: Bench, proto_id: int) -> None:
    bench.feed(frame(proto_id, 10))
    [event] = bench.answer(bad_sha1(frame(proto_id, 1))).events
    assert (event.kind, event.entry.serial_no, event.body, event.ticket) == (REPLY_BAD_SHA1, 10, b"", -1)
    assert bench.switch.out_bytes(bench.slot) == 0
    assert bench.switch.in_flight(bench.slot) == 0
    assert bench.switch.counters().bad_sha1 == 1
    assert bench.answer(frame(proto_id, 1)).strays == 1


def test_bad_sha1_of_a_stray_is_a_stray(bench: Bench) -> None:
    assert bench.answer(bad_sha1(frame(PASSED, 1))) == LinkBatch([], [], [], 0, 1)
    assert bench.switch.counters().bad_sha1 == 0


def test_late_reply_never_reaches_the_next_owner(bench: Bench) -> None:
    for proto_id in (PASSED, EDITED, HELD):
        bench.feed(frame(proto_id, 10))
        serial = bench.switch.link_serial(bench.link)
        bench.switch.close_slot(bench.slot)
        assert bench.switch.counters().pending == 0
        assert bench.open() == bench.slot
        bench.feed(frame(proto_id, 10))
        assert bench.answer(frame(proto_id, serial)) == LinkBatch([], [], [], 0, 1)
        assert bench.switch.in_flight(bench.slot) == 1
        assert bench.out() == []
        bench.answer(frame(proto_id, serial + 1))
        bench.switch.close_slot(bench.slot)
        assert bench.open() == bench.slot


def test_overflow(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), outbox_limit=200)
    bench.feed(frame(PASSED, 10) + frame(PASSED, 11) + frame(PASSED, 12))
    batch = bench.answer(frame(PASSED, 1, bytes(100)) + frame(PASSED, 2, bytes(100)) + frame(PASSED, 3, bytes(12)))
    [event] = batch.events
    assert (event.kind, event.entry.slot, event.entry.serial_no, event.body) == (OVERFLOW, bench.slot, 11, b"")
    assert batch.dirty == [bench.slot]
    assert [reply.serial_no for reply in bench.out()] == [10, 12]


def test_empty_outbox_takes_any_reply(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(outbox_total=10), outbox_limit=0)
    bench.feed(frame(PASSED, 10))
    assert bench.answer(frame(PASSED, 1, bytes(100_000))).events == []
    assert len(bench.out()) == 1


def test_large_body_in_small_chunks(bench: Bench) -> None:
    body = bytes(range(256)) * 4000
    answer = frame(PASSED, 1, body) + frame(EDITED, 2)
    bench.feed(frame(PASSED, 10) + frame(EDITED, 11))
    batches = [bench.answer(answer[at : at + 10_000]) for at in range(0, len(answer), 10_000)]
    assert [batch for batch in batches if batch != NOTHING] == batches[-1:]
    assert bench.out() == [Request(PASSED, 10, body)]


# -- HOLD


def test_held_reply_keeps_its_place(bench: Bench) -> None:
    bench.feed(frame(PASSED, 10) + frame(HELD, 11) + frame(PASSED, 12))
    batch = bench.answer(frame(PASSED, 1, b"first") + frame(HELD, 2, b"held") + frame(PASSED, 3, b"after"))
    [event] = batch.events
    assert (event.kind, event.entry.reply, event.body) == (REPLY, HOLD, b"held")
    assert batch.dirty == [bench.slot]
    bench.switch.append(bench.slot, frame(ORDER_PUSH, 0, b"order"))
    assert [reply.body for reply in bench.out()] == [b"first"]
    assert bench.switch.release(bench.slot, event.ticket, frame(HELD, 11, b"held"))
    assert [reply.body for reply in bench.out()] == [b"held", b"after", b"order"]


def test_a_placeholder_alone_does_not_make_a_slot_dirty(bench: Bench) -> None:
    bench.feed(frame(HELD, 11))
    batch = bench.answer(frame(HELD, 1))
    assert batch.dirty == []
    assert batch.events[0].ticket > 0


# -- tokens


def test_token_comes_back_with_the_reply(bench: Bench) -> None:
    token = object()
    serial = bench.submit(token=token, reply=EVENT, serial_no=5)
    [event] = bench.answer(frame(PASSED, serial, b"r")).events
    assert event.entry.token is token
    assert (event.kind, event.entry.serial_no, event.entry.upstream_serial) == (REPLY, 5, serial)


def test_native_with_a_token_is_delivered_and_told(bench: Bench) -> None:
    serial = bench.submit(token="t", reply=NATIVE, serial_no=5)
    batch = bench.answer(frame(PASSED, serial, b"r"))
    assert batch.dirty == [bench.slot]
    [event] = batch.events
    assert (event.kind, event.entry.token, event.body) == (REPLY, "t", b"r")
    assert bench.out() == [Request(PASSED, 5, b"r")]


@pytest.mark.parametrize("reply", [NATIVE, EVENT, HOLD])
def test_what_has_a_token_outlives_its_slot(bench: Bench, reply: int) -> None:
    generation = bench.switch.generation(bench.slot)
    serial = bench.submit(token="order", reply=reply)
    bench.switch.close_slot(bench.slot)
    assert bench.open() == bench.slot
    assert bench.switch.in_flight(bench.slot) == 0
    batch = bench.answer(frame(PASSED, serial, b"done"))
    [event] = batch.events
    assert (event.entry.slot, event.entry.generation, event.entry.token) == (bench.slot, generation, "order")
    assert (event.kind, event.body, event.ticket) == (REPLY, b"done", -1)
    assert batch.dirty == []
    assert bench.switch.in_flight(bench.slot) == 0


def test_request_of_the_proxys_own(bench: Bench) -> None:
    serial = bench.submit(slot=-1, reply=EVENT, serial_no=9)
    [event] = bench.answer(frame(PASSED, serial)).events
    assert (event.entry.slot, event.entry.generation, event.entry.serial_no, event.entry.token) == (-1, 0, 9, None)
    assert bench.answer(frame(PASSED, bench.submit(slot=-1, reply=NATIVE))) == NOTHING


# -- join


def test_joined_waiters_get_the_reply_too(bench: Bench) -> None:
    second, third = bench.open(), bench.open()
    serial = bench.submit(serial_no=1)
    assert bench.switch.join(bench.link, serial, second, 22)
    assert bench.switch.join(bench.link, serial, third, 33)
    assert bench.switch.join(bench.link, serial, second, 23)
    assert bench.switch.in_flight(second) == 0
    assert bench.answer(frame(PASSED, serial, b"r")) == LinkBatch([bench.slot, second, third], [], [], 0, 0)
    assert bench.out() == [Request(PASSED, 1, b"r")]
    assert bench.out(second) == [Request(PASSED, 22, b"r"), Request(PASSED, 23, b"r")]
    assert bench.out(third) == [Request(PASSED, 33, b"r")]


def test_waiters_outlive_the_one_who_asked(bench: Bench) -> None:
    second = bench.open()
    bench.feed(frame(PASSED, 10))
    assert bench.switch.join(bench.link, 1, second, 22)
    bench.switch.close_slot(bench.slot)
    assert bench.open() == bench.slot
    assert bench.answer(frame(PASSED, 1)) == LinkBatch([second], [], [], 0, 0)
    assert bench.out(bench.slot) == []


def test_waiters_that_closed_are_left_out(bench: Bench) -> None:
    second = bench.open()
    bench.feed(frame(PASSED, 10))
    bench.switch.join(bench.link, 1, second, 22)
    bench.switch.close_slot(second)
    assert bench.open() == second
    assert bench.answer(frame(PASSED, 1)).dirty == [bench.slot]
    assert bench.out(second) == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_reply_is_a_stray_when_all_have_closed(bench: Bench, order: tuple[int, int]) -> None:
    slots = [bench.slot, bench.open()]
    bench.feed(frame(PASSED, 10))
    bench.switch.join(bench.link, 1, slots[1], 22)
    for at in order:
        bench.switch.close_slot(slots[at])
    assert bench.answer(frame(PASSED, 1)) == LinkBatch([], [], [], 0, 1)


def test_join_of_what_is_gone(bench: Bench) -> None:
    assert not bench.switch.join(bench.link, 1, bench.slot, 1)
    assert not bench.switch.join(bench.link, 0, bench.slot, 1)
    bench.feed(frame(PASSED, 10))
    bench.answer(frame(PASSED, 1))
    assert not bench.switch.join(bench.link, 1, bench.slot, 1)


@pytest.mark.parametrize("proto_id", [EDITED, HELD])
def test_only_native_replies_are_shared(bench: Bench, proto_id: int) -> None:
    bench.feed(frame(proto_id, 10))
    with pytest.raises(ValueError, match="NATIVE"):
        bench.switch.join(bench.link, 1, bench.slot, 1)


def test_waiters_are_in_the_entry(bench: Bench) -> None:
    second = bench.open()
    serial = bench.submit(token="t")
    bench.switch.join(bench.link, serial, second, 22)
    [entry] = bench.switch.reset_link(bench.link)
    assert entry.waiters == ((second, bench.switch.generation(second), 22),)


def test_waiter_that_overflows_is_named(bench: Bench) -> None:
    second = bench.open(outbox_limit=0)
    bench.switch.append(second, frame())
    serial = bench.submit(serial_no=1)
    bench.switch.join(bench.link, serial, second, 22)
    batch = bench.answer(frame(PASSED, serial))
    assert batch.dirty == [bench.slot]
    [event] = batch.events
    expected = (OVERFLOW, second, bench.switch.generation(second), 22, ())
    assert (event.kind, *event.entry[:3], event.entry.waiters) == expected


# -- pushes


def test_push_is_known_by_its_id_alone(bench: Bench) -> None:
    bench.feed(frame(PASSED, 10))
    raw = bytearray(frame(PUSH, 1, b"quote", proto_fmt=1))
    raw[7] = 3
    raw[36:44] = b"reserved"
    order = frame(ORDER_PUSH, 0, b"")
    batch = bench.answer(bytes(raw) + order)
    assert batch == LinkBatch([], [], [Push(PUSH, 1, bytes(raw)), Push(ORDER_PUSH, 0, order)], 0, 0)
    assert bench.switch.in_flight(bench.slot) == 1


def test_bad_push_is_counted(bench: Bench) -> None:
    assert bench.answer(bad_sha1(frame(PUSH)) + frame(PUSH, 9)) == LinkBatch(
        [], [], [Push(PUSH, 0, frame(PUSH, 9))], 1, 0
    )
    assert bench.switch.counters().bad_sha1 == 1


# -- the stream from upstream


@pytest.mark.parametrize("garbage", [b"X", b"FX", with_body_len(frame(), LIMITS["max_upstream_body"] + 1)])
def test_lost_stream(bench: Bench, garbage: bytes) -> None:
    lost = LinkEvent(STREAM_LOST, None, b"", 0, -1)
    bench.feed(frames([PASSED, PASSED]))
    assert bench.answer(frame(PASSED, 1) + garbage + frame(PASSED, 2)) == LinkBatch([bench.slot], [lost], [], 0, 0)
    assert bench.answer(frame(PASSED, 2)) == NOTHING
    assert [entry.serial_no for entry in bench.switch.reset_link(bench.link)] == [2]
    bench.switch.set_link_ready(bench.link, True)
    bench.feed(frame(PASSED, 3))
    assert bench.answer(frame(PASSED, 3)).dirty == [bench.slot]


def test_largest_upstream_body(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(max_upstream_body=10))
    bench.feed(frame(PASSED, 10) + frame(PASSED, 11))
    assert bench.answer(frame(PASSED, 1, bytes(10))).events == []
    assert bench.answer(frame(PASSED, 2, bytes(11))[:44]).events[0].kind == STREAM_LOST


STREAM = (
    frame(PASSED, 1, b"a" * 500)
    + frame(PUSH, 7, b"push")
    + frame(EDITED, 2, b"")
    + bad_sha1(frame(PUSH, 8))
    + frame(PASSED, 999)
    + bad_sha1(frame(PASSED, 3))
    + frame(HELD, 4, b"h" * 200)
    + frame(PASSED, 5, b"")
)


def outcome(impl: type[Switch], pieces: list[bytes]) -> tuple[Any, ...]:
    bench = Bench(impl(**LIMITS))
    bench.feed(frames([PASSED, EDITED, PASSED, HELD, PASSED]))
    batches = [bench.answer(piece) for piece in pieces]
    events = [event for batch in batches for event in batch.events]
    pushes = [push for batch in batches for push in batch.pushes]
    counts = sum(batch.bad_pushes for batch in batches), sum(batch.strays for batch in batches)
    sent = bench.out()
    for event in events:
        if event.ticket >= 0:
            bench.switch.release(bench.slot, event.ticket, b"")
    # What comes after a lost stream is not counted, and how much of it shares a chunk with the end is up to the cuts.
    counters = bench.switch.counters()._replace(upstream_bytes_in=0)
    return events, pushes, counts, sent, bench.out(), counters


@settings(deadline=None)
@given(st.data())
def test_cuts_do_not_change_the_result(data: st.DataObject) -> None:
    tail = data.draw(st.sampled_from([b"", frame()[:43], b"FX", with_body_len(frame(), 2**31)]))
    stream = STREAM + tail
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = outcome(load("pure"), [stream])
    assert outcome(load("pure"), pieces) == whole
    assert outcome(load("native"), pieces) == whole


def test_counters_of_the_upstream_side(bench: Bench) -> None:
    data = frame(PUSH) + frame(PASSED, 5) + b"F"
    bench.answer(data)
    counters = bench.switch.counters()
    assert (counters.upstream_frames_in, counters.upstream_bytes_in, counters.strays) == (2, len(data), 1)


# -- serials


def test_serials_start_at_one_and_grow(bench: Bench) -> None:
    assert bench.switch.link_serial(bench.link) == 0
    bench.feed(frames([PASSED, EDITED]))
    assert bench.submit() == 3
    assert bench.switch.reserve_serial(bench.link) == 4
    assert bench.switch.link_serial(bench.link) == 3
    assert bench.submit(upstream_serial=4) == 4
    assert bench.submit() == 5
    assert [request.serial_no for request in bench.upstream()] == [1, 2, 3, 4, 5]
    assert bench.switch.link_serial(bench.link) == 5


def test_reserved_serial_that_was_overtaken(bench: Bench) -> None:
    serial = bench.switch.reserve_serial(bench.link)
    bench.feed(frame(PASSED))
    with pytest.raises(ValueError, match="grow"):
        bench.submit(upstream_serial=serial)
    assert bench.switch.counters().pending == 1
    assert [request.serial_no for request in bench.upstream()] == [serial + 1]


@pytest.mark.parametrize("serial", [3, 2, 1, LAST])
def test_serial_that_does_not_grow(bench: Bench, serial: int) -> None:
    bench.feed(frames([PASSED] * 3))
    with pytest.raises(ValueError, match="grow"):
        bench.submit(upstream_serial=serial)


def jump(bench: Bench, serial: int) -> None:
    """Use serials up to ``serial``, in steps that count as growth."""
    for step in (2**31 - 1, 2**32 - 3, serial):
        bench.submit(slot=-1, upstream_serial=step, timeout_ns=S)
    bench.switch.expire(S + 1)
    bench.upstream()


def test_serials_wrap_past_zero_and_past_what_is_waited_for(bench: Bench) -> None:
    bench.feed(frame(PASSED, 10) + frame(PASSED, 11))  # 1 and 2 are waited for
    jump(bench, LAST - 1)
    bench.feed(frames([PASSED] * 3))
    assert [request.serial_no for request in bench.upstream()] == [LAST, 3, 4]
    bench.answer(frame(PASSED, 2, b"old") + frame(PASSED, 3, b"new"))
    assert bench.out() == [Request(PASSED, 11, b"old"), Request(PASSED, 2, b"new")]


def test_serial_that_is_waited_for_is_not_taken_again(bench: Bench) -> None:
    bench.feed(frame(PASSED, 10) + frame(PASSED, 11))
    jump(bench, LAST)
    with pytest.raises(ValueError, match="grow"):
        bench.submit(upstream_serial=2)
    assert bench.submit(upstream_serial=3) == 3


def test_serials_go_on_after_a_reset(bench: Bench) -> None:
    bench.feed(frames([PASSED] * 3))
    bench.switch.reset_link(bench.link)
    bench.switch.set_link_ready(bench.link, True)
    bench.feed(frame())
    assert [request.serial_no for request in bench.upstream()] == [4]


# -- submit


def test_submit_works_on_a_link_that_is_not_ready(bench: Bench) -> None:
    bench.switch.set_link_ready(bench.link, False)
    assert bench.submit(slot=-1, proto_id=1001, reply=EVENT, proto_fmt=1) == 1
    assert bench.upstream() == [Request(1001, 1, b"body", 1)]


def test_submit_with_a_digest(bench: Bench) -> None:
    bench.submit(body=b"cipher", sha1=b"d" * 20)
    assert bytes(bench.switch.link_out(bench.link))[16:36] == b"d" * 20


@pytest.mark.parametrize(
    "bad",
    [
        {"serial_no": -1},
        {"serial_no": 2**32},
        {"proto_id": 2**32},
        {"proto_fmt": 256},
        {"reply": 3},
        {"reply": -1},
        {"reply": HOLD, "slot": -1},
        {"timeout_ns": 0},
        {"now_ns": -1},
        {"upstream_serial": -1},
        {"upstream_serial": 2**32},
        {"sha1": b"short"},
    ],
)
def test_submit_checks_its_arguments_before_it_changes_anything(bench: Bench, bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        bench.submit(**({"token": "t"} | bad))
    assert bench.switch.counters().pending == 0
    assert bench.switch.in_flight(bench.slot) == 0
    assert bench.upstream() == []
    assert bench.submit() == 1


# -- deadlines


def test_expire(bench: Bench) -> None:
    fast = bench.open(timeout_ns=S)
    bench.feed(frame(PASSED, 10), now_ns=1)
    bench.feed(frame(PASSED, 20), fast, now_ns=2)
    bench.feed(frame(EDITED, 21), fast, now_ns=3)
    serial = bench.submit(token="t", timeout_ns=S // 2, now_ns=4, serial_no=11)
    assert bench.switch.next_deadline_ns() <= S // 2 + 4
    assert bench.switch.expire(S // 2 + 3) == []
    assert [entry.token for entry in bench.switch.expire(S // 2 + 4)] == ["t"]
    assert [(entry.slot, entry.serial_no) for entry in bench.switch.expire(2 * S)] == [(fast, 20), (fast, 21)]
    assert (bench.switch.in_flight(fast), bench.switch.in_flight(bench.slot)) == (0, 1)
    assert bench.answer(frame(PASSED, 2) + frame(PASSED, serial)).strays == 2
    assert [entry.start_ns for entry in bench.switch.expire(10 * S + 1)] == [1]
    assert bench.switch.next_deadline_ns() == 0


def test_expired_come_oldest_first(bench: Bench) -> None:
    other = bench.switch.open_link()
    for number in range(40):
        link = bench.link if number % 3 else other
        bench.switch.submit(
            link, -1, number, PASSED, 0, b"", reply=EVENT, token=None, timeout_ns=100 - number, now_ns=number + 1
        )
        if number % 4 == 0:
            bench.switch.link_feed_untrusted(link, frame(PASSED, bench.switch.link_serial(link)), 1)
    expected = [number for number in range(40) if number % 4]
    assert [entry.serial_no for entry in bench.switch.expire(1000)] == expected


def test_orphans_end_without_a_word(bench: Bench) -> None:
    second = bench.open()
    bench.feed(frame(PASSED, 10))
    bench.switch.join(bench.link, 1, second, 1)
    bench.submit(token="t", slot=second)
    bench.switch.close_slot(bench.slot)
    bench.switch.close_slot(second)
    assert [entry.token for entry in bench.switch.expire(100 * S)] == ["t"]
    assert bench.switch.counters().pending == 0


def test_deadline_beyond_the_end_of_time(bench: Bench) -> None:
    slot = bench.open(timeout_ns=2**63 - 1)
    bench.feed(frame(), slot, now_ns=2**62)
    assert bench.switch.expire(2**63 - 2) == []
    assert len(bench.switch.expire(2**63 - 1)) == 1


def test_next_deadline_is_never_late(bench: Bench) -> None:
    assert bench.switch.next_deadline_ns() == 0
    bench.submit(timeout_ns=5 * S)
    bench.submit(timeout_ns=2 * S)
    assert 0 < bench.switch.next_deadline_ns() <= 2 * S + 1
    bench.switch.expire(2 * S + 1)
    assert 0 < bench.switch.next_deadline_ns() <= 5 * S + 1
    bench.answer(frame(PASSED, 1))
    assert bench.switch.next_deadline_ns() == 0


# -- a lost link


def test_reset_link(bench: Bench) -> None:
    other = bench.switch.open_link()
    bench.feed(frame(PASSED, 10) + frame(HELD, 11))
    bench.submit(serial_no=12, token="kept", reply=EVENT)
    gone = bench.open()
    bench.feed(frame(PASSED, 20), gone)
    bench.submit(slot=gone, serial_no=21, token="order", reply=EVENT)
    bench.switch.close_slot(gone)
    bench.switch.submit(other, -1, 30, PASSED, 0, b"", reply=EVENT, token=None, timeout_ns=S, now_ns=1)
    bench.answer(frame(PASSED, 1)[:40])

    entries = bench.switch.reset_link(bench.link)
    assert [(entry.serial_no, entry.token) for entry in entries] == [
        (10, None),
        (11, None),
        (12, "kept"),
        (21, "order"),
    ]
    assert bench.switch.link_pending_bytes(bench.link) == 0
    assert bytes(bench.switch.link_out(bench.link)) == b""
    assert bench.switch.in_flight(bench.slot) == 0
    assert bench.switch.counters().pending == 1
    assert len(bench.feed(frame(PASSED, 13))) == 1  # not ready
    assert bench.answer(frame(PASSED, 2)).strays == 1  # the half frame is gone as well
    assert bench.switch.reset_link(bench.link) == []


def test_link_out_and_sent(bench: Bench) -> None:
    bench.feed(frame(PASSED, 10, b"one") + frame(PASSED, 11, b"two"))
    data = bytes(bench.switch.link_out(bench.link))
    bench.switch.link_sent(bench.link, 5)
    assert bytes(bench.switch.link_out(bench.link)) == data[5:]
    assert bench.switch.link_pending_bytes(bench.link) == len(data) - 5
    for bad in (len(data) - 4, -1):
        with pytest.raises(ValueError, match="out of range"):
            bench.switch.link_sent(bench.link, bad)
    bench.switch.link_sent(bench.link, len(data) - 5)
    assert bytes(bench.switch.link_out(bench.link)) == b""


def test_sixteen_links(new_switch: NewSwitch) -> None:
    switch = new_switch()
    assert [switch.open_link() for _ in range(16)] == list(range(16))
    with pytest.raises(ValueError, match="no more links"):
        switch.open_link()
    slot = switch.open_slot(ROW, timeout_ns=S, max_in_flight=1, outbox_limit=0)
    switch.set_link(slot, 15, 15)
    for index in (-1, 16):
        with pytest.raises(ValueError, match="out of range"):
            switch.set_link(slot, index, 0)


@pytest.mark.parametrize("link", [-1, 1, 16, 2**40])
def test_link_that_is_not_open(bench: Bench, link: int) -> None:
    switch = bench.switch
    calls: list[Callable[[], object]] = [
        lambda: switch.set_link(bench.slot, 0, link),
        lambda: switch.set_link_ready(link, True),
        lambda: switch.reset_link(link),
        lambda: switch.reserve_serial(link),
        lambda: switch.submit(link, -1, 1, 1, 0, b"", reply=EVENT, token=None, timeout_ns=1, now_ns=1),
        lambda: switch.join(link, 1, bench.slot, 1),
        lambda: switch.link_feed_untrusted(link, b"", 1),
        lambda: switch.link_out(link),
        lambda: switch.link_sent(link, 0),
        lambda: switch.link_pending_bytes(link),
        lambda: switch.link_serial(link),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="no such link"):
            call()


def test_many_pending(bench: Bench) -> None:
    """More than any table starts with, answered backwards and across stragglers."""
    slot = bench.open(max_in_flight=10_000)
    count = 3000
    bench.feed(frames([PASSED] * count), slot)
    assert bench.switch.in_flight(slot) == count
    bench.upstream()
    for serial in range(count, 0, -1):
        if serial % 10:
            assert bench.answer(frame(PASSED, serial, b"")).strays == 0
    bench.feed(frames([PASSED] * count), slot)
    assert bench.switch.in_flight(slot) == count + count // 10
    answers = b"".join(frame(PASSED, serial, b"") for serial in range(1, 2 * count + 1))
    assert bench.answer(answers).strays == count - count // 10
    assert bench.switch.counters().pending == 0


def test_serials_begin_again_with_the_connection_after_the_one_that_used_them_up(bench: Bench) -> None:
    for serial in (0x7800_0000, 0xF000_0000):
        bench.submit(upstream_serial=serial)
    assert bench.switch.reserve_serial(bench.link) == 0xF000_0001
    bench.switch.reset_link(bench.link)
    assert (bench.switch.link_serial(bench.link), bench.switch.reserve_serial(bench.link)) == (0, 1)
