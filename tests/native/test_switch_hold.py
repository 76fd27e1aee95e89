"""Placeholders in the ordered lane: what is held back, what waits behind it, and who is gone when it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opendmux.native import HOLD
from tests.native.switch_kit import HELD, ORDER_PUSH, PASSED, PUSH, Bench, Request, frame, frames

if TYPE_CHECKING:
    from tests.native.switch_kit import NewSwitch

pytest_plugins = ("tests.native.switch_fixtures",)

SMALL = frame(PUSH, 0, b"")
"""44 bytes."""


def push(body: bytes) -> bytes:
    return frame(PUSH, 0, body)


def bodies(bench: Bench, slot: int | None = None) -> list[bytes]:
    return [got.body for got in bench.out(slot)]


def account_is_right(bench: Bench, *slots: int) -> bool:
    return bench.switch.counters().outbox_bytes == sum(bench.switch.out_bytes(slot) for slot in slots)


# -- order


def test_what_comes_after_a_placeholder_waits(bench: Bench) -> None:
    bench.switch.append(bench.slot, push(b"before"))
    ticket = bench.switch.hold(bench.slot)
    bench.switch.append(bench.slot, push(b"after"))
    assert bodies(bench) == [b"before"]
    assert bodies(bench) == []
    assert bench.switch.out_bytes(bench.slot) == 49
    assert bench.switch.release(bench.slot, ticket, push(b"held"))
    assert bodies(bench) == [b"held", b"after"]


def test_empty_release(bench: Bench) -> None:
    ticket = bench.switch.hold(bench.slot)
    bench.switch.append(bench.slot, push(b"after"))
    assert bench.switch.release(bench.slot, ticket, b"")
    assert not bench.switch.release(bench.slot, ticket, b"")
    assert bodies(bench) == [b"after"]


def test_releases_in_any_order(bench: Bench) -> None:
    tickets = []
    for number in range(6):
        bench.switch.append(bench.slot, push(b"between %d" % number))
        tickets.append(bench.switch.hold(bench.slot))
    for number in (3, 5, 1, 0, 4):
        assert bench.switch.release(bench.slot, tickets[number], push(b"held %d" % number))
    assert bodies(bench) == [b"between 0", b"held 0", b"between 1", b"held 1", b"between 2"]
    assert bench.switch.release(bench.slot, tickets[2], push(b"held 2"))
    assert bodies(bench) == [
        b"held 2",
        *(b"%s %d" % (what, number) for number in (3, 4, 5) for what in (b"between", b"held")),
    ]


def test_release_while_a_frame_is_half_sent(bench: Bench) -> None:
    bench.switch.append(bench.slot, push(b"first"))
    ticket = bench.switch.hold(bench.slot)
    bench.switch.append(bench.slot, push(b"third"))
    bench.switch.sent(bench.slot, 20)
    assert bench.switch.release(bench.slot, ticket, push(b"second"))
    assert bytes(bench.switch.out(bench.slot)) == push(b"first")[20:] + push(b"second") + push(b"third")
    assert bench.switch.out_to_boundary(bench.slot) == 29


def test_release_asks_no_bound(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(outbox_total=50), outbox_limit=50)
    ticket = bench.switch.hold(bench.slot)
    bench.switch.append(bench.slot, SMALL)
    assert bench.switch.release(bench.slot, ticket, push(bytes(100)))
    assert bench.switch.out_bytes(bench.slot) == 188
    assert not bench.switch.append(bench.slot, SMALL)


def test_ticket_of_a_slot_that_is_closed_and_reused(bench: Bench) -> None:
    ticket = bench.switch.hold(bench.slot)
    bench.switch.close_slot(bench.slot)
    assert bench.open() == bench.slot
    assert bench.switch.hold(bench.slot) != ticket
    assert not bench.switch.release(bench.slot, ticket, SMALL)
    assert not bench.switch.release(bench.slot, -1, SMALL)
    assert not bench.switch.release(bench.slot, 0, SMALL)


def test_ticket_of_another_slot(bench: Bench) -> None:
    other = bench.open()
    ticket = bench.switch.hold(bench.slot)
    assert not bench.switch.release(other, ticket, SMALL)
    assert bench.switch.release(bench.slot, ticket, SMALL)


# -- the conflating lane behind a placeholder


def test_slot_behind_a_placeholder_has_nothing_to_send(bench: Bench) -> None:
    bench.switch.hold(bench.slot)
    assert bench.switch.fan_out([bench.slot], SMALL, None) == ([], [])
    assert bench.switch.fan_out([bench.slot], SMALL, "key") == ([], [])
    assert bench.switch.out_bytes(bench.slot) == 88


def test_the_newest_quote_alone_waits_behind_a_placeholder(bench: Bench) -> None:
    ticket = bench.switch.hold(bench.slot)
    for number in range(3):
        assert bench.switch.fan_out([bench.slot], push(b"quote %d" % number), "key") == ([], [])
    bench.switch.append(bench.slot, frame(ORDER_PUSH, 0, b"order"))
    assert bodies(bench) == []
    assert bench.switch.release(bench.slot, ticket, push(b"held"))
    assert bodies(bench) == [b"held", b"order"]
    assert bodies(bench) == [b"quote 2"]
    assert bench.switch.counters().conflated == 2


def test_an_empty_release_lets_the_quotes_go(bench: Bench) -> None:
    ticket = bench.switch.hold(bench.slot)
    bench.switch.fan_out([bench.slot], push(b"quote"), "key")
    assert bench.switch.release(bench.slot, ticket, b"")
    assert bench.switch.fan_out([bench.slot], push(b"other"), "other") == ([bench.slot], [])
    assert bodies(bench) == [b"quote", b"other"]
    assert account_is_right(bench, bench.slot)


def test_a_placeholder_behind_moved_quotes(bench: Bench) -> None:
    bench.switch.append(bench.slot, SMALL)
    bench.switch.fan_out([bench.slot], push(b"quote"), "key")
    bench.switch.sent(bench.slot, 44)
    assert bytes(bench.switch.out(bench.slot)) == push(b"quote")  # moved into the ordered lane now
    ticket = bench.switch.hold(bench.slot)
    bench.switch.fan_out([bench.slot], push(b"newer"), "key")
    bench.switch.release(bench.slot, ticket, push(b"held"))
    assert bodies(bench) == [b"quote", b"held"]
    assert bodies(bench) == [b"newer"]


def test_a_placeholder_keeps_quotes_from_being_moved(bench: Bench) -> None:
    """They came first, but they may be replaced, and what is held may not wait for them."""
    bench.switch.append(bench.slot, SMALL)
    bench.switch.fan_out([bench.slot], push(b"quote"), "key")
    bench.switch.sent(bench.slot, 44)
    ticket = bench.switch.hold(bench.slot)
    assert bytes(bench.switch.out(bench.slot)) == b""
    bench.switch.release(bench.slot, ticket, push(b"held"))
    assert bodies(bench) == [b"held"]
    assert bodies(bench) == [b"quote"]


# -- transports that take frames


def test_take_frames_stops_at_a_placeholder_and_takes_the_conflating_lane(bench: Bench) -> None:
    bench.switch.append(bench.slot, push(b"one"))
    ticket = bench.switch.hold(bench.slot)
    bench.switch.fan_out([bench.slot], push(b"quote"), "key")
    assert bench.switch.take_frames(bench.slot, 1000) == [push(b"one")]
    assert bench.switch.take_frames(bench.slot, 1000) == []
    bench.switch.release(bench.slot, ticket, b"")
    assert bench.switch.take_frames(bench.slot, 1000) == [push(b"quote")]


def test_take_frames_gets_what_is_released_between_two_placeholders(bench: Bench) -> None:
    first, second = bench.switch.hold(bench.slot), bench.switch.hold(bench.slot)
    bench.switch.append(bench.slot, push(b"last"))
    assert bench.switch.take_frames(bench.slot, 1000) == []
    bench.switch.release(bench.slot, second, push(b"second"))
    assert bench.switch.take_frames(bench.slot, 1000) == []
    bench.switch.release(bench.slot, first, push(b"first"))
    assert bench.switch.take_frames(bench.slot, 1000) == [push(b"first"), push(b"second"), push(b"last")]
    counters = bench.switch.counters()
    assert (counters.frames_out, counters.outbox_bytes) == (3, 0)


def test_take_frames_up_to_a_limit_leaves_the_placeholder_in_its_place(bench: Bench) -> None:
    for number in range(3):
        bench.switch.append(bench.slot, push(b"%d" % number))
    ticket = bench.switch.hold(bench.slot)
    assert bench.switch.take_frames(bench.slot, 90) == [push(b"0"), push(b"1")]
    bench.switch.append(bench.slot, push(b"behind"))
    bench.switch.release(bench.slot, ticket, push(b"held"))
    assert bench.switch.take_frames(bench.slot, 1000) == [push(b"2"), push(b"held"), push(b"behind")]


def test_a_half_sent_frame_in_front_of_a_placeholder(bench: Bench) -> None:
    bench.switch.append(bench.slot, push(b"front"))
    ticket = bench.switch.hold(bench.slot)
    bench.switch.sent(bench.slot, 48)
    with pytest.raises(ValueError, match="half sent"):
        bench.switch.take_frames(bench.slot, 1000)
    bench.switch.sent(bench.slot, 1)
    assert bench.switch.out_to_boundary(bench.slot) == 0
    bench.switch.release(bench.slot, ticket, push(b"held"))
    assert bench.switch.take_frames(bench.slot, 1000) == [push(b"held")]


# -- bounds


@pytest.mark.parametrize("empty_first", [True, False])
def test_what_waits_behind_a_placeholder_is_bounded(new_switch: NewSwitch, empty_first: bool) -> None:
    bench = Bench(new_switch(), outbox_limit=100)
    if not empty_first:
        bench.switch.append(bench.slot, SMALL)
    ticket = bench.switch.hold(bench.slot)
    taken = [bench.switch.append(bench.slot, SMALL) for _ in range(3)]
    assert taken == ([True, True, False] if empty_first else [True, False, False])
    assert bench.switch.fan_out([bench.slot], SMALL, "key") == ([], [bench.slot])
    assert bench.switch.release(bench.slot, ticket, push(b"held"))
    assert bench.switch.out_bytes(bench.slot) == 88 + 48
    assert bodies(bench) == ([b"held", b"", b""] if empty_first else [b"", b"held", b""])
    assert bench.switch.append(bench.slot, SMALL)


def test_a_released_frame_over_the_limit_leaves_the_usual_room_behind_it(new_switch: NewSwitch) -> None:
    """As one that was never held back: its client is not slow."""
    bench = Bench(new_switch(), outbox_limit=100)
    ticket = bench.switch.hold(bench.slot)
    assert bench.switch.release(bench.slot, ticket, push(bytes(956)))
    assert [bench.switch.append(bench.slot, SMALL) for _ in range(3)] == [True, True, False]


def test_the_room_of_an_earlier_long_frame_is_not_left_behind_a_released_one(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), outbox_limit=100)
    bench.switch.append(bench.slot, push(bytes(956)))
    bench.out()
    ticket = bench.switch.hold(bench.slot)
    assert bench.switch.release(bench.slot, ticket, SMALL)
    assert bench.switch.append(bench.slot, SMALL)
    assert not bench.switch.append(bench.slot, SMALL)


def test_what_waits_behind_a_placeholder_pauses_its_client(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(outbox_high_water=100))
    ticket = bench.switch.hold(bench.slot)
    for _ in range(3):
        bench.switch.append(bench.slot, SMALL)
    assert bench.switch.paused(bench.slot)
    bench.switch.release(bench.slot, ticket, SMALL)
    assert bench.switch.take_resumed() == []
    bench.out()
    assert bench.switch.take_resumed() == [bench.slot]


def test_a_released_frame_may_pause_its_client(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(outbox_high_water=100))
    ticket = bench.switch.hold(bench.slot)
    assert not bench.switch.paused(bench.slot)
    bench.switch.release(bench.slot, ticket, push(bytes(57)))
    assert bench.switch.paused(bench.slot)


# -- replies that are held


def test_replies_keep_their_places_while_one_is_held(bench: Bench) -> None:
    bench.feed(frames([PASSED, HELD, PASSED]))
    batch = bench.answer(frame(PASSED, 1, b"one") + frame(HELD, 2, b"two") + frame(PASSED, 3, b"three"))
    [event] = batch.events
    assert (event.entry.reply, event.body, batch.dirty) == (HOLD, b"two", [bench.slot])
    assert bench.switch.in_flight(bench.slot) == 0
    assert bodies(bench) == [b"one"]
    bench.switch.append(bench.slot, frame(ORDER_PUSH, 0, b"order"))
    assert bench.switch.release(bench.slot, event.ticket, frame(HELD, event.entry.serial_no, event.body))
    assert bench.out() == [Request(HELD, 2, b"two"), Request(PASSED, 3, b"three"), Request(ORDER_PUSH, 0, b"order")]


def test_a_held_reply_whose_owner_has_gone_gets_no_place(bench: Bench) -> None:
    bench.submit(proto_id=HELD, reply=HOLD, token="token")
    bench.switch.close_slot(bench.slot)
    assert bench.open() == bench.slot
    [event] = bench.answer(frame(HELD, 1)).events
    assert (event.ticket, event.entry.token) == (-1, "token")
    bench.switch.append(bench.slot, push(b"mine"))
    assert bodies(bench) == [b"mine"]


def test_a_held_reply_after_truncate_has_a_ticket_that_leads_nowhere(bench: Bench) -> None:
    bench.feed(frame(HELD))
    bench.switch.out_truncate(bench.slot)
    [event] = bench.answer(frame(HELD, 1)).events
    assert event.ticket > 0
    assert not bench.switch.release(bench.slot, event.ticket, frame(HELD, 1))
    assert bytes(bench.switch.out(bench.slot)) == b""
    assert account_is_right(bench, bench.slot)


# -- the end of an outbox with open tickets


@pytest.mark.parametrize("sent", [0, 10])
def test_truncate_forgets_every_ticket(bench: Bench, sent: int) -> None:
    tickets = []
    for body in (b"a", b"b", b"c"):
        bench.switch.append(bench.slot, push(body))
        tickets += [bench.switch.hold(bench.slot), bench.switch.hold(bench.slot)]
    bench.switch.fan_out([bench.slot], push(b"quote"), "key")
    bench.switch.release(bench.slot, tickets[2], push(b"held"))
    bench.switch.sent(bench.slot, sent)
    bench.switch.out_truncate(bench.slot)
    for ticket in tickets:
        assert not bench.switch.release(bench.slot, ticket, SMALL)
        assert not bench.switch.release(bench.slot, ticket, b"")
    assert bytes(bench.switch.out(bench.slot)) == (push(b"a")[10:] if sent else b"")
    assert account_is_right(bench, bench.slot)


def test_truncate_while_a_released_frame_is_half_sent(bench: Bench) -> None:
    ticket = bench.switch.hold(bench.slot)
    bench.switch.append(bench.slot, push(b"behind"))
    bench.switch.release(bench.slot, ticket, push(b"held"))
    bench.switch.sent(bench.slot, 46)
    assert bench.switch.out_truncate(bench.slot) == 50
    assert bytes(bench.switch.out(bench.slot)) == b"ld"


def test_closing_with_open_tickets_gives_all_back(bench: Bench) -> None:
    tickets = [bench.switch.hold(bench.slot) for _ in range(20)]
    bench.switch.append(bench.slot, SMALL)
    bench.switch.fan_out([bench.slot], SMALL, "key")
    bench.switch.release(bench.slot, tickets[7], push(b"held"))
    bench.switch.close_slot(bench.slot)
    assert bench.switch.counters().outbox_bytes == 0
    for ticket in tickets:
        with pytest.raises(ValueError, match="no such slot"):
            bench.switch.release(bench.slot, ticket, SMALL)
    assert bench.open() == bench.slot
    for ticket in tickets:
        assert not bench.switch.release(bench.slot, ticket, SMALL)
    assert bodies(bench) == []
    assert bench.switch.counters().outbox_bytes == 0


def test_open_tickets_are_counted(bench: Bench) -> None:
    assert bench.switch.held(bench.slot) == 0
    first, second = bench.switch.hold(bench.slot), bench.switch.hold(bench.slot)
    assert bench.switch.held(bench.slot) == 2
    bench.switch.release(bench.slot, second, SMALL)
    assert bench.switch.held(bench.slot) == 1
    bench.switch.release(bench.slot, first, b"")
    assert bench.switch.held(bench.slot) == 0
    bench.switch.hold(bench.slot)
    bench.switch.out_truncate(bench.slot)
    assert bench.switch.held(bench.slot) == 0


def test_tickets_of_all_slots_are_different(bench: Bench) -> None:
    slots = [bench.slot, bench.open(), bench.open()]
    tickets = [bench.switch.hold(slot) for slot in slots * 3]
    assert len(set(tickets)) == len(tickets)
    assert min(tickets) > 0
    for slot, ticket in zip(slots * 3, tickets, strict=True):
        assert bench.switch.release(slot, ticket, b"")
