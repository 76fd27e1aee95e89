"""What clients sent and the switch has not looked at: its bounds, of one slot and of all together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opendmux.native import BAD_MAGIC, BODY_FREE, DENY, FRAME, NO_ROOM, TOO_LARGE, ClientEvent
from tests.native.switch_kit import INSPECTED, LIMITS, PASSED, Bench, frame, frames, with_body_len

if TYPE_CHECKING:
    from tests.native.switch_kit import NewSwitch

pytest_plugins = ("tests.native.switch_fixtures",)

BIG = frame(PASSED, 7, bytes(50_000), proto_fmt=1)
NO_ROOM_FOR_BIG = ClientEvent(NO_ROOM, DENY, PASSED, 1, 7, b"")


def unread(bench: Bench) -> int:
    return bench.switch.counters().unread_bytes


# -- the largest body of one slot


def test_a_slot_may_have_a_limit_of_its_own(bench: Bench) -> None:
    other = bench.open()
    bench.switch.set_max_body(bench.slot, 100)
    assert bench.feed(frame(PASSED, 1, bytes(100))) is None
    [event] = bench.feed(with_body_len(frame(PASSED, 2), 101))
    assert event == ClientEvent(TOO_LARGE, DENY, PASSED, 0, 2, b"")
    assert bench.feed(frame(PASSED, 1, bytes(101)), other) is None


def test_the_limit_may_be_raised(bench: Bench) -> None:
    bench.switch.set_max_body(bench.slot, 100)
    bench.switch.set_max_body(bench.slot, LIMITS["max_client_body"])
    assert bench.feed(BIG) is None


def test_a_lower_limit_counts_for_a_frame_under_way(bench: Bench) -> None:
    bench.feed(BIG[:1000])
    bench.switch.set_max_body(bench.slot, 49_999)
    [event] = bench.feed(BIG[1000:])
    assert event.kind == TOO_LARGE
    assert unread(bench) == 0


@pytest.mark.parametrize("limit", [-1, LIMITS["max_client_body"] + 1, 2**40])
def test_the_limit_is_checked(bench: Bench, limit: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        bench.switch.set_max_body(bench.slot, limit)
    assert bench.feed(BIG) is None


def test_the_next_owner_of_a_slot_starts_with_the_usual_limit(bench: Bench) -> None:
    bench.switch.set_max_body(bench.slot, 0)
    bench.switch.close_slot(bench.slot)
    assert bench.open() == bench.slot
    assert bench.feed(BIG) is None


# -- all slots together


def test_what_is_not_looked_at_is_counted(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), max_in_flight=1)
    assert bench.feed(BIG[:30]) is None
    assert unread(bench) == 30
    assert bench.feed(BIG[30:20_000]) is None
    assert unread(bench) == 20_000
    assert bench.feed(BIG[20_000:]) is None
    assert unread(bench) == 0
    assert bench.feed(frames([PASSED] * 3)) is None  # the slot is paused
    assert unread(bench) == 3 * len(frame())
    bench.switch.stop_reading(bench.slot)
    assert unread(bench) == 0


def test_the_slot_that_crosses_the_bound_goes(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(client_body_total=60_000))
    other = bench.open()
    assert bench.feed(BIG[:40_000], other) is None
    assert bench.feed(BIG[:20_000]) is None
    assert bench.feed(BIG[20_000:20_001]) == [NO_ROOM_FOR_BIG]
    assert unread(bench) == 40_000
    assert bench.feed(BIG[20_001:] + frame()) is None, "nothing more is read"
    assert bench.feed(BIG[40_000:], other) is None
    assert [request.body for request in bench.upstream()] == [bytes(50_000)]
    assert unread(bench) == 0


def test_a_whole_frame_needs_no_room(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(client_body_total=0))
    assert bench.feed(BIG + frame()) is None
    assert len(bench.upstream()) == 2


def test_a_frame_that_becomes_whole_needs_no_more_room(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(client_body_total=30_000))
    assert bench.feed(BIG[:30_000]) is None
    assert bench.feed(BIG[30_000:] + BIG[:30_000]) is None
    assert unread(bench) == 30_000


def test_requests_of_the_usual_size_go_on_when_the_memory_is_full(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(client_body_total=50_000))
    greedy = bench.open()
    bench.feed(BIG[:50_000], greedy)
    usual = frame(PASSED, 1, bytes(BODY_FREE - 44))
    for size in (1, 43, 44, 45, BODY_FREE - 1):
        assert bench.feed(usual[:size]) is None
        assert bench.feed(usual[size:]) is None
    assert len(bench.upstream()) == 5
    assert bench.feed(BIG[:BODY_FREE]) is None
    assert bench.feed(BIG[BODY_FREE : BODY_FREE + 1]) == [NO_ROOM_FOR_BIG]


def test_whoever_holds_no_more_than_before_is_left_alone(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(client_body_total=50_000), max_in_flight=1)
    small = bench.open()
    bench.feed(BIG[:50_000])
    bench.feed(b"FT", small)  # over the bound, by what every slot may have
    assert unread(bench) == 50_002
    assert bench.feed(b"") is None
    assert bench.feed(BIG[50_000:]) is None


def test_headers_alone_lock_nobody_out(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(max_client_body=1 << 24, client_body_total=1 << 20))
    for slot in [bench.open() for _ in range(1000)]:
        assert bench.feed(with_body_len(frame(), 1 << 24)[:44] + b"x", slot) is None
    assert unread(bench) == 45_000
    assert bench.feed(BIG[:40_000]) is None
    assert bench.feed(BIG[40_000:]) is None
    assert len(bench.upstream()) == 1


def test_what_came_while_paused_counts(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(client_body_total=5000), max_in_flight=1)
    head, rest = frame(PASSED, 1), frame(INSPECTED, 2, bytes(6000))
    assert bench.feed(head + rest) == [ClientEvent(NO_ROOM, DENY, INSPECTED, 0, 2, b"")]
    assert len(bench.upstream()) == 1
    assert unread(bench) == 0
    assert not bench.switch.take_resumed()


@pytest.mark.parametrize(
    ("front", "kind"), [(b"X" * 44, BAD_MAGIC), (with_body_len(frame(), 1 << 21), TOO_LARGE), (b"FX", BAD_MAGIC)]
)
def test_a_lost_stream_is_called_by_its_name(new_switch: NewSwitch, front: bytes, kind: int) -> None:
    bench = Bench(new_switch(client_body_total=5000), max_in_flight=1)
    [event] = bench.feed(frame(PASSED, 1) + front + bytes(6000))
    assert event.kind == kind


def test_events_come_before_the_end(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(client_body_total=5000))
    events = bench.feed(frame(INSPECTED, 1) + BIG[:6000])
    assert [(event.kind, event.serial_no) for event in events] == [(FRAME, 1), (NO_ROOM, 7)]


def test_closing_gives_the_room_back(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(client_body_total=40_000))
    bench.feed(BIG[:40_000])
    other = bench.open()
    bench.switch.close_slot(bench.slot)
    assert unread(bench) == 0
    assert bench.feed(BIG[:40_000], other) is None


# -- bytes that the caller holds


def test_bytes_elsewhere_count_as_if_they_were_here(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(client_body_total=50_000))
    other = bench.open()
    assert bench.switch.count_elsewhere(other, 20_000)
    assert bench.switch.count_elsewhere(other, 30_000)
    assert unread(bench) == 30_000
    assert bench.feed(BIG[:20_001]) == [NO_ROOM_FOR_BIG]
    assert bench.switch.count_elsewhere(other, 50_000)
    assert not bench.switch.count_elsewhere(other, 50_001)
    assert bench.switch.count_elsewhere(other, 50_001), "no more than before"
    bench.switch.close_slot(other)
    assert unread(bench) == 0


def test_little_elsewhere_is_always_allowed(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(client_body_total=0))
    assert bench.switch.count_elsewhere(bench.slot, BODY_FREE)
    assert bench.feed(b"F") == [ClientEvent(NO_ROOM, DENY, 0, 0, 0, b"")]
    assert unread(bench) == BODY_FREE
    assert bench.switch.count_elsewhere(bench.slot, 0)
    assert unread(bench) == 0


@pytest.mark.parametrize("count", [-1, 2**31, 2**62])
def test_the_count_is_checked(bench: Bench, count: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        bench.switch.count_elsewhere(bench.slot, count)
    assert unread(bench) == 0
