"""The switch from the client to upstream: cutting, checking, the row, pausing."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.native import (
    BAD_MAGIC,
    BAD_SHA1,
    DENY,
    FRAME,
    INSPECT,
    LOCAL,
    NATIVE,
    PASS,
    TOO_LARGE,
    ClientEvent,
)
from tests.native.switch_kit import (
    ANSWERED_HERE,
    EDITED,
    HELD,
    INSPECTED,
    LIMITS,
    PASSED,
    PUSH,
    ROW,
    SECOND,
    SLOT,
    UNKNOWN,
    Bench,
    Request,
    S,
    bad_sha1,
    cell,
    frame,
    frames,
    load,
    make_row,
    with_body_len,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from opendmux.native import Switch
    from tests.native.switch_kit import NewSwitch

pytest_plugins = ("tests.native.switch_fixtures",)


# -- passing on


def test_pass_frame_goes_out_with_a_fresh_serial(bench: Bench) -> None:
    assert bench.feed(frame(PASSED, 777, b"hello")) is None
    assert bench.upstream() == [Request(PASSED, 1, b"hello")]
    assert bench.switch.in_flight(bench.slot) == 1
    assert bench.switch.counters().passed == 1


def test_header_is_written_anew(bench: Bench) -> None:
    odd = bytearray(frame(PASSED, 777, b"hello", proto_fmt=1))
    odd[7] = 9  # proto_ver
    odd[36:44] = b"reserved"
    assert bench.feed(bytes(odd)) is None
    fields = struct.unpack("<2sIBBII20s8s", bytes(bench.switch.link_out(0))[:44])
    assert fields == (b"FT", PASSED, 1, 0, 1, 5, hashlib.sha1(b"hello").digest(), bytes(8))


def test_empty_body(bench: Bench) -> None:
    assert bench.feed(frame(PASSED, 5, b"")) is None
    assert bench.upstream() == [Request(PASSED, 1, b"")]


@pytest.mark.parametrize(
    ("proto_id", "action"),
    [
        (INSPECTED, INSPECT),
        (ANSWERED_HERE, LOCAL),
        (2205, DENY),
        (UNKNOWN, DENY),
        (PUSH, DENY),
        (0, DENY),
        (2**32 - 1, DENY),
    ],
)
def test_other_cells_come_back(bench: Bench, proto_id: int, action: int) -> None:
    events = bench.feed(frame(proto_id, 2**32 - 1, b"body", proto_fmt=1))
    assert events == [ClientEvent(FRAME, action, proto_id, 1, 2**32 - 1, b"body")]
    assert bench.upstream() == []


def test_cell_zero_is_for_unknown_ids(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), make_row({}, default=cell(PASS)))
    assert bench.feed(frame(UNKNOWN) + frame(4_000_000_000)) is None
    assert [request.proto_id for request in bench.upstream()] == [UNKNOWN, 4_000_000_000]


def test_unknown_format_is_denied(bench: Bench) -> None:
    assert bench.feed(frame(PASSED, 3, b"body", proto_fmt=2)) == [ClientEvent(FRAME, DENY, PASSED, 2, 3, b"body")]
    assert bench.feed(frame(INSPECTED, 4, b"", proto_fmt=255)) == [ClientEvent(FRAME, DENY, INSPECTED, 255, 4, b"")]


def test_link_that_is_not_ready(bench: Bench) -> None:
    bench.switch.set_link_ready(bench.link, False)
    assert bench.feed(frame(PASSED, 3)) == [ClientEvent(FRAME, PASS, PASSED, 0, 3, b"body")]
    bench.switch.set_link_ready(bench.link, True)
    assert bench.feed(frame(PASSED, 4)) is None


def test_no_link_at_all(new_switch: NewSwitch) -> None:
    switch = new_switch()
    slot = switch.open_slot(ROW, timeout_ns=S, max_in_flight=1, outbox_limit=0)
    assert switch.feed_untrusted(slot, frame(PASSED, 3), 1) == [ClientEvent(FRAME, PASS, PASSED, 0, 3, b"body")]


def test_bad_sha1_is_swallowed_and_the_stream_goes_on(bench: Bench) -> None:
    events = bench.feed(
        bad_sha1(frame(PASSED, 1)) + frame(INSPECTED, 2) + bad_sha1(frame(INSPECTED, 3)) + frame(PASSED, 4)
    )
    assert events == [
        ClientEvent(BAD_SHA1, PASS, PASSED, 0, 1, b""),
        ClientEvent(FRAME, INSPECT, INSPECTED, 0, 2, b"body"),
        ClientEvent(BAD_SHA1, INSPECT, INSPECTED, 0, 3, b""),
        ClientEvent(FRAME, PASS, PASSED, 0, 4, b"body"),
    ]
    assert bench.upstream() == []
    assert bench.switch.counters().bad_sha1 == 2
    assert bench.feed(frame(PASSED, 5)) is None
    assert len(bench.upstream()) == 1


def test_what_comes_behind_an_event_waits_for_its_turn(bench: Bench) -> None:
    events = bench.feed(frame(PASSED, 1) + frame(INSPECTED, 2) + frame(PASSED, 3) + frame(PASSED, 4))
    assert [(event.action, event.serial_no) for event in events] == [(INSPECT, 2), (PASS, 3), (PASS, 4)]
    assert [request.serial_no for request in bench.upstream()] == [1]


@pytest.mark.parametrize("garbage", [b"X", b"FX", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100])
def test_bad_magic_ends_the_stream_at_the_first_wrong_byte(bench: Bench, garbage: bytes) -> None:
    assert bench.feed(frame(PASSED, 1) + garbage + frame(PASSED, 2)) == [ClientEvent(BAD_MAGIC, DENY, 0, 0, 0, b"")]
    assert bench.feed(frame(PASSED, 3)) is None
    assert [request.serial_no for request in bench.upstream()] == [1]


def test_bad_magic_after_a_kept_byte(bench: Bench) -> None:
    assert bench.feed(b"F") is None
    assert bench.feed(b"X") == [ClientEvent(BAD_MAGIC, DENY, 0, 0, 0, b"")]


def test_too_large_is_seen_with_the_header(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(max_client_body=100))
    assert bench.feed(frame(PASSED, 1, bytes(100))) is None
    header = with_body_len(frame(PASSED, 2**32 - 1, b"", proto_fmt=1), 101)
    assert bench.feed(header[:43]) is None
    assert bench.feed(header[43:]) == [ClientEvent(TOO_LARGE, DENY, PASSED, 1, 2**32 - 1, b"")]
    assert bench.feed(frame()) is None
    assert len(bench.upstream()) == 1


def test_largest_body_len_is_too_large(bench: Bench) -> None:
    [event] = bench.feed(with_body_len(frame(PASSED, 1), 2**32 - 1))
    assert event.kind == TOO_LARGE


def test_stop_reading(bench: Bench) -> None:
    assert bench.feed(frame()[:20]) is None
    bench.switch.stop_reading(bench.slot)
    bench.switch.stop_reading(bench.slot)
    assert bench.feed(frame()[20:] + frame() + b"garbage") is None
    assert bench.upstream() == []
    assert bench.switch.counters().frames_in == 0


def test_counters_of_the_client_side(bench: Bench) -> None:
    data = frame(PASSED) + frame(INSPECTED) + bad_sha1(frame(PASSED)) + b"F"
    bench.feed(data)
    counters = bench.switch.counters()
    assert (counters.frames_in, counters.bytes_in, counters.passed) == (3, len(data), 1)
    assert counters.pending == 1


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_taken(bench: Bench, kind: type) -> None:
    assert bench.switch.feed_untrusted(bench.slot, kind(frame()), 1) is None
    assert bench.upstream() == [Request(PASSED, 1, b"body")]


MIXED = (
    frame(PASSED, 1, b"a" * 300)
    + frame(INSPECTED, 2, b"")
    + frame(PASSED, 3, b"")
    + bad_sha1(frame(PASSED, 4, b"xyz"))
    + frame(EDITED, 5, b"q" * 1000)
    + frame(PASSED, 6, b"", proto_fmt=7)
    + frame(UNKNOWN, 7, b"u")
    + frame(HELD, 8)
)


def outcome(impl: type[Switch], pieces: list[bytes]) -> tuple[list[ClientEvent], bytes]:
    """The events that are not the caller's to send on, and what went upstream; the caller keeps the order."""
    bench = Bench(impl(**LIMITS))
    events: list[ClientEvent] = []
    for piece in pieces:
        for event in bench.feed(piece) or []:
            if (event.kind, event.action) == (FRAME, PASS):
                bench.switch.submit(
                    bench.link, bench.slot, event.serial_no, event.proto_id, event.proto_fmt, event.body,
                    reply=NATIVE, token=None, timeout_ns=1, now_ns=1,
                )  # fmt: skip
            else:
                events.append(event)
    return events, bytes(bench.switch.link_out(0))


@settings(deadline=None)
@given(st.data())
def test_cuts_do_not_change_the_result(data: st.DataObject) -> None:
    tail = data.draw(st.sampled_from([b"", frame()[:30], b"FX", with_body_len(frame(), 2**31)]))
    stream = MIXED + tail
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = outcome(load("pure"), [stream])
    assert outcome(load("pure"), pieces) == whole
    assert outcome(load("native"), pieces) == whole


def test_byte_by_byte(switch_impl: type[Switch]) -> None:
    assert outcome(switch_impl, [MIXED[i : i + 1] for i in range(len(MIXED))]) == outcome(switch_impl, [MIXED])


# -- pausing


def test_paused_at_the_in_flight_cap(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), max_in_flight=2)
    assert bench.feed(frames([PASSED] * 5)) is None
    assert bench.switch.in_flight(bench.slot) == 2
    assert bench.switch.paused(bench.slot)
    assert bench.switch.take_resumed() == []
    sent = bench.upstream()
    assert [request.serial_no for request in sent] == [1, 2]

    bench.answer(frame(PASSED, 1))
    assert not bench.switch.paused(bench.slot)
    assert bench.switch.take_resumed() == [bench.slot]
    assert bench.switch.take_resumed() == []
    assert bench.feed(b"") is None
    assert [request.serial_no for request in bench.upstream()] == [3]
    assert bench.switch.paused(bench.slot)


def test_kept_frames_are_taken_before_new_ones(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), max_in_flight=1)
    assert bench.feed(frame(PASSED, 10, b"one") + frame(PASSED, 11, b"two") + frame(PASSED, 12, b"three")[:50]) is None
    assert bench.feed(frame(PASSED, 12, b"three")[50:] + frame(PASSED, 13, b"four")) is None
    bodies = []
    for serial in range(1, 5):
        bodies += [request.body for request in bench.upstream()]
        bench.answer(frame(PASSED, serial))
        assert bench.switch.take_resumed() == [bench.slot]
        assert bench.feed(b"") is None
    assert bodies == [b"one", b"two", b"three", b"four"]
    assert [reply.serial_no for reply in bench.out()] == [10, 11, 12, 13]


def test_in_flight_of_events_is_counted_by_submit(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), max_in_flight=1)
    assert len(bench.feed(frames([INSPECTED] * 3))) == 3
    assert not bench.switch.paused(bench.slot)
    bench.submit()
    assert bench.switch.in_flight(bench.slot) == 1
    assert bench.switch.paused(bench.slot)
    bench.switch.expire(10 * S + 1)
    assert bench.switch.in_flight(bench.slot) == 0
    assert bench.switch.take_resumed() == [bench.slot]


def test_paused_while_the_link_is_over_high_water(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(link_high_water=100))
    bench.fill_link(56)  # with its header exactly at the mark
    assert not bench.switch.paused(bench.slot)
    assert bench.feed(frames([PASSED] * 3)) is None
    assert bench.switch.in_flight(bench.slot) == 1  # the first took the link over the mark
    assert bench.switch.paused(bench.slot)
    bench.switch.link_sent(bench.link, 47)
    assert bench.switch.take_resumed() == []
    bench.switch.link_sent(bench.link, 1)
    assert bench.switch.take_resumed() == [bench.slot]


def test_only_the_links_of_the_slot_pause_it(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(link_high_water=100))
    other = bench.switch.open_link()
    bench.fill_link(200)
    assert bench.switch.paused(bench.slot)
    for index in range(16):
        bench.switch.set_link(bench.slot, index, other)
    assert not bench.switch.paused(bench.slot)
    bench.switch.set_link(bench.slot, 15, bench.link)
    assert bench.switch.paused(bench.slot)


def test_reset_of_the_link_resumes(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(link_high_water=100), max_in_flight=1)
    bench.feed(frame(PASSED, 5, bytes(100)))
    assert bench.switch.paused(bench.slot)
    assert [entry.serial_no for entry in bench.switch.reset_link(bench.link)] == [5]
    assert bench.switch.take_resumed() == [bench.slot]


def test_paused_by_its_own_outbox(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(outbox_high_water=100))
    assert bench.switch.append(bench.slot, frame(PUSH, 0, bytes(56)))
    assert not bench.switch.paused(bench.slot)
    assert bench.switch.append(bench.slot, frame(PUSH, 0, b""))
    assert bench.feed(frame(PASSED)) is None
    assert bench.upstream() == []
    bench.switch.sent(bench.slot, 44)
    assert bench.switch.take_resumed() == [bench.slot]
    assert bench.feed(b"") is None
    assert len(bench.upstream()) == 1


def test_conflating_lane_does_not_pause(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(outbox_high_water=100))
    bench.switch.append(bench.slot, frame(PUSH, 0, b""))
    bench.switch.fan_out([bench.slot], frame(PUSH, 0, bytes(500)), "key")
    assert not bench.switch.paused(bench.slot)


def test_resumed_are_listed_in_the_order_they_stopped(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(link_high_water=0))
    slots = [bench.slot, *(bench.open() for _ in range(4))]
    bench.fill_link(1)
    order = [slots[3], slots[0], slots[4], slots[1], slots[2]]
    for slot in [*order, *slots]:
        assert bench.switch.paused(slot)
    bench.switch.close_slot(slots[4])
    bench.switch.stop_reading(slots[1])
    bench.upstream()
    assert bench.switch.take_resumed() == [slots[3], slots[0], slots[2]]
    assert bench.switch.take_resumed() == []


def test_nobody_is_resumed_who_was_not_told_to_stop(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(link_high_water=0))
    bench.fill_link(1)
    bench.upstream()
    assert bench.switch.take_resumed() == []


def test_stopped_for_two_reasons(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(link_high_water=0), max_in_flight=1)
    bench.feed(frame())
    bench.switch.link_sent(bench.link, bench.switch.link_pending_bytes(bench.link))
    assert bench.switch.take_resumed() == []
    bench.answer(frame(PASSED, 1))
    assert bench.switch.take_resumed() == [bench.slot]


# -- slots


def test_slot_numbers_are_reused_and_generations_are_not(bench: Bench) -> None:
    seen = {bench.switch.generation(bench.slot)}
    for _ in range(5):
        bench.switch.close_slot(bench.slot)
        assert bench.open() == bench.slot
        generation = bench.switch.generation(bench.slot)
        assert generation not in seen
        seen.add(generation)


def test_a_reused_slot_starts_clean(bench: Bench) -> None:
    switch, slot = bench.switch, bench.slot
    switch.feed_untrusted(slot, frame() + b"FT", 1)
    switch.append(slot, frame())
    switch.fan_out([slot], frame(), "key")
    switch.set_row(slot, ROW)
    switch.out_truncate(slot)
    switch.stop_reading(slot)
    switch.close_slot(slot)
    assert bench.open() == slot
    assert switch.in_flight(slot) == 0
    assert switch.row_epoch(slot) == 0
    assert switch.out_bytes(slot) == 0
    assert switch.counters().outbox_bytes == 0
    assert switch.feed_untrusted(slot, frame(), 1) is None
    assert switch.append(slot, frame())


def test_row_takes_effect_with_the_next_frame(bench: Bench) -> None:
    denied = make_row({})
    half = frame(PASSED, 1)
    bench.feed(half[:-1])
    assert bench.switch.set_row(bench.slot, denied) == 1
    assert bench.switch.row_epoch(bench.slot) == 1
    assert bench.feed(half[-1:]) == [ClientEvent(FRAME, DENY, PASSED, 0, 1, b"body")]
    assert bench.switch.set_row(bench.slot, ROW) == 2
    assert bench.feed(frame()) is None


def test_set_link(bench: Bench) -> None:
    second = bench.switch.open_link()
    bench.switch.set_link(bench.slot, 1, second)
    assert bench.feed(frame(SECOND, 1)) == [ClientEvent(FRAME, PASS, SECOND, 0, 1, b"body")]
    bench.switch.set_link_ready(second, True)
    assert bench.feed(frame(SECOND, 2) + frame(PASSED, 3)) is None
    assert bench.switch.link_pending_bytes(second) == len(frame())
    assert bench.switch.link_pending_bytes(bench.link) == len(frame())
    assert (bench.switch.link_serial(second), bench.switch.link_serial(bench.link)) == (1, 1)


def test_every_call_on_a_closed_slot_raises(bench: Bench) -> None:
    switch, slot, link = bench.switch, bench.slot, bench.link
    switch.close_slot(slot)
    calls: list[Callable[[int], object]] = [
        switch.generation,
        lambda at: switch.set_row(at, ROW),
        switch.row_epoch,
        lambda at: switch.set_link(at, 0, link),
        switch.in_flight,
        lambda at: switch.set_max_body(at, 0),
        lambda at: switch.count_elsewhere(at, 0),
        switch.close_slot,
        lambda at: switch.feed_untrusted(at, b"", 1),
        switch.paused,
        switch.stop_reading,
        lambda at: bench.submit(slot=at if at != -1 else -2),
        lambda at: switch.join(link, 1, at, 1),
        lambda at: switch.append(at, frame()),
        lambda at: switch.reply(at, 1, 0, 1, b""),
        lambda at: switch.fan_out([at], frame(), None),
        switch.hold,
        switch.held,
        lambda at: switch.release(at, 1, b""),
        switch.out,
        lambda at: switch.sent(at, 0),
        lambda at: switch.take_frames(at, 0),
        switch.out_bytes,
        switch.out_to_boundary,
        switch.out_truncate,
    ]
    for call in calls:
        for bad in (slot, slot + 1, -1, 2**31, 2**40):
            with pytest.raises(ValueError, match="no such slot"):
                call(bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"timeout_ns": 0},
        {"max_in_flight": 0},
        {"max_in_flight": 2**32},
        {"outbox_limit": -1},
    ],
)
def test_open_slot_checks_its_arguments(bench: Bench, bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        bench.open(**bad)


@pytest.mark.parametrize("row", [b"", ROW[1:], ROW + b"\0", bytes([cell(PASS, 3)]) + ROW[1:]])
def test_rows_are_checked(bench: Bench, row: bytes) -> None:
    with pytest.raises(ValueError, match=r"row|reply action"):
        bench.open(row)
    with pytest.raises(ValueError, match=r"row|reply action"):
        bench.switch.set_row(bench.slot, row)
    assert bench.switch.row_epoch(bench.slot) == 0


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_limits_are_checked(switch_impl: type[Switch], name: str) -> None:
    with pytest.raises(ValueError, match="out of range"):
        switch_impl(**(LIMITS | {name: -1}))


def test_negative_time(bench: Bench) -> None:
    with pytest.raises(ValueError, match="out of range"):
        bench.feed(frame(), now_ns=-1)
    assert SLOT["timeout_ns"] > 0
    assert bench.upstream() == []
