"""The outbox of a slot: ordered lane, conflating lane, bounds, half-sent frames. Placeholders: test_switch_hold.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.native.switch_kit import ORDER_PUSH, PASSED, PUSH, Bench, Request, frame, with_body_len

if TYPE_CHECKING:
    from tests.native.switch_kit import NewSwitch

pytest_plugins = ("tests.native.switch_fixtures",)

SMALL = frame(PUSH, 0, b"")
"""44 bytes."""


def push(body: bytes) -> bytes:
    return frame(PUSH, 0, body)


def bodies(bench: Bench, slot: int | None = None) -> list[bytes]:
    return [got.body for got in bench.out(slot)]


# -- the ordered lane


def test_append_keeps_the_order(bench: Bench) -> None:
    for body in (b"one", b"", b"three"):
        assert bench.switch.append(bench.slot, push(body))
    assert bench.switch.out_bytes(bench.slot) == 3 * 44 + 8
    assert bodies(bench) == [b"one", b"", b"three"]
    assert bench.switch.out_bytes(bench.slot) == 0


def test_reply_builds_the_frame(bench: Bench) -> None:
    assert bench.switch.reply(bench.slot, PASSED, 1, 2**32 - 1, b"body")
    assert bytes(bench.switch.out(bench.slot)) == frame(PASSED, 2**32 - 1, b"body", proto_fmt=1)
    assert bench.switch.reply(bench.slot, PASSED, 0, 0, bytearray())
    assert len(bench.out()) == 2


@pytest.mark.parametrize("bad", [(2**32, 0, 0), (-1, 0, 0), (1, 256, 0), (1, 0, 2**32), (1, 0, -1)])
def test_reply_checks_its_arguments(bench: Bench, bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        bench.switch.reply(bench.slot, *bad, b"")
    assert bench.switch.out_bytes(bench.slot) == 0


@pytest.mark.parametrize(
    "bad", [b"FT", SMALL[:43], SMALL + b"x", push(b"body")[:-1], b"XT" + SMALL[2:], b"FX" + SMALL[2:], SMALL * 2]
)
def test_only_whole_frames_are_taken(bench: Bench, bad: bytes) -> None:
    ticket = bench.switch.hold(bench.slot)
    for call in (
        lambda: bench.switch.append(bench.slot, bad),
        lambda: bench.switch.fan_out([bench.slot], bad, None),
        lambda: bench.switch.fan_out([bench.slot], bad, "key"),
        lambda: bench.switch.release(bench.slot, ticket, bad),
    ):
        with pytest.raises(ValueError, match="whole frame"):
            call()
    assert bench.switch.out_bytes(bench.slot) == 0


def test_body_len_that_lies(bench: Bench) -> None:
    with pytest.raises(ValueError, match="whole frame"):
        bench.switch.append(bench.slot, with_body_len(SMALL, 2**32 - 1))
    with pytest.raises(ValueError, match="whole frame"):
        bench.switch.append(bench.slot, with_body_len(push(b"four"), 2**32 - 40))
    with pytest.raises(ValueError, match="whole frame"):
        bench.switch.append(bench.slot, b"")


def test_out_up_to_a_limit(bench: Bench) -> None:
    bench.switch.append(bench.slot, SMALL)
    bench.switch.append(bench.slot, SMALL)
    assert bytes(bench.switch.out(bench.slot, 10)) == SMALL[:10]
    assert bytes(bench.switch.out(bench.slot, 50)) == SMALL + SMALL[:6]
    assert bytes(bench.switch.out(bench.slot, 1000)) == SMALL * 2
    assert bytes(bench.switch.out(bench.slot)) == SMALL * 2
    with pytest.raises(ValueError, match="out of range"):
        bench.switch.out(bench.slot, -1)


def test_partial_sends(bench: Bench) -> None:
    data = push(b"first") + push(b"second")
    bench.switch.append(bench.slot, push(b"first"))
    bench.switch.append(bench.slot, push(b"second"))
    got = b""
    for step in (1, 42, 1, 5, 20, 3, 27):
        got += bytes(bench.switch.out(bench.slot, step))
        bench.switch.sent(bench.slot, step)
        left = len(data) - len(got)
        expected = 49 - len(got) if 0 < len(got) < 49 else left if len(got) > 49 else 0
        assert bench.switch.out_to_boundary(bench.slot) == expected
        assert bench.switch.out_bytes(bench.slot) == left
        assert bench.switch.counters().outbox_bytes == left
    assert got == data
    counters = bench.switch.counters()
    assert (counters.frames_out, counters.bytes_out) == (2, len(data))


def test_frames_are_counted_when_they_are_complete(bench: Bench) -> None:
    bench.switch.append(bench.slot, SMALL)
    bench.switch.sent(bench.slot, 43)
    assert bench.switch.counters().frames_out == 0
    bench.switch.sent(bench.slot, 1)
    assert bench.switch.counters().frames_out == 1


@pytest.mark.parametrize("count", [-1, 45, 2**40])
def test_more_sent_than_there_was(bench: Bench, count: int) -> None:
    bench.switch.append(bench.slot, SMALL)
    bench.switch.hold(bench.slot)
    bench.switch.append(bench.slot, SMALL)
    with pytest.raises(ValueError, match="more bytes sent"):
        bench.switch.sent(bench.slot, count)
    assert bench.switch.out_bytes(bench.slot) == 88


def test_empty_outbox(bench: Bench) -> None:
    assert bytes(bench.switch.out(bench.slot)) == b""
    assert bench.switch.take_frames(bench.slot, 100) == []
    assert bench.switch.out_truncate(bench.slot) == 0
    bench.switch.sent(bench.slot, 0)


def test_take_frames(bench: Bench) -> None:
    frames = [push(bytes(size)) for size in (0, 100, 6, 200)]
    for one in frames:
        bench.switch.append(bench.slot, one)
    assert bench.switch.take_frames(bench.slot, 0) == frames[:1]
    assert bench.switch.take_frames(bench.slot, 194) == frames[1:3]
    assert bench.switch.take_frames(bench.slot, 10) == frames[3:]
    assert bench.switch.take_frames(bench.slot, 10) == []
    counters = bench.switch.counters()
    assert (counters.frames_out, counters.bytes_out, counters.outbox_bytes) == (4, 306 + 4 * 44, 0)
    with pytest.raises(ValueError, match="out of range"):
        bench.switch.take_frames(bench.slot, -1)


def test_take_frames_does_not_mix_with_a_half_sent_one(bench: Bench) -> None:
    bench.switch.append(bench.slot, SMALL)
    bench.switch.sent(bench.slot, 1)
    with pytest.raises(ValueError, match="half sent"):
        bench.switch.take_frames(bench.slot, 1000)


# -- bounds


def test_outbox_limit(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), outbox_limit=88)
    assert bench.switch.append(bench.slot, SMALL)
    assert not bench.switch.append(bench.slot, push(b"x"))
    assert bench.switch.append(bench.slot, SMALL)
    assert not bench.switch.append(bench.slot, SMALL)
    assert not bench.switch.reply(bench.slot, PASSED, 0, 1, b"")
    assert bench.switch.out_bytes(bench.slot) == 88
    bench.switch.sent(bench.slot, 44)
    assert bench.switch.reply(bench.slot, PASSED, 0, 1, b"")


def test_empty_outbox_takes_one_frame_whatever_its_size(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(outbox_total=0), outbox_limit=0)
    other = bench.open(outbox_limit=0)
    for slot in (bench.slot, other):
        assert bench.switch.append(slot, push(bytes(1000)))
        assert not bench.switch.append(slot, SMALL)
    assert bench.switch.counters().outbox_bytes == 2 * 1044


def test_outbox_total(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(outbox_total=150))
    other = bench.open()
    assert bench.switch.append(bench.slot, SMALL)
    assert bench.switch.append(other, SMALL)
    assert bench.switch.append(other, SMALL)
    assert not bench.switch.append(bench.slot, SMALL)
    bench.switch.close_slot(other)
    assert bench.switch.append(bench.slot, SMALL)


def test_conflating_lane_counts(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), outbox_limit=144)
    bench.switch.append(bench.slot, SMALL)
    assert bench.switch.fan_out([bench.slot], push(bytes(56)), "a") == ([bench.slot], [])
    assert bench.switch.out_bytes(bench.slot) == 144
    assert not bench.switch.append(bench.slot, SMALL)
    assert bench.switch.fan_out([bench.slot], SMALL, "b") == ([], [bench.slot])
    # A replacement counts for its growth alone; what does not fit leaves the older one.
    assert bench.switch.fan_out([bench.slot], push(bytes(57)), "a") == ([], [bench.slot])
    assert bench.switch.fan_out([bench.slot], push(b"small"), "a") == ([bench.slot], [])
    assert bodies(bench) == [b""]
    assert bodies(bench) == [b"small"]
    assert bench.switch.counters().conflated == 1


def test_replacement_of_all_there_is_always_fits(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(outbox_total=0), outbox_limit=0)
    bench.switch.hold(bench.slot)
    for size in (10, 1000, 0):
        assert bench.switch.fan_out([bench.slot], push(bytes(size)), "key") == ([], [])
    assert bench.switch.counters().outbox_bytes == 44


# -- fan-out and the conflating lane


def test_fan_out_without_a_key_is_ordered(bench: Bench) -> None:
    slots = [bench.slot, bench.open(), bench.open()]
    for body in (b"a", b"b"):
        assert bench.switch.fan_out(slots, push(body), None) == (slots, [])
    for slot in slots:
        assert bodies(bench, slot) == [b"a", b"b"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_newest_frame_per_key_wins_at_the_place_of_the_oldest(bench: Bench, kind: type) -> None:
    for body, key in ((b"1", "a"), (b"2", "a"), (b"3", ("b", 1)), (b"4", 7), (b"5", "a"), (b"6", ("b", 1))):
        assert bench.switch.fan_out([bench.slot], kind(push(body)), key) == ([bench.slot], [])
    bench.switch.append(bench.slot, frame(ORDER_PUSH, 0, b"order"))
    assert bodies(bench) == [b"1", b"order"]
    assert bodies(bench) == [b"5", b"6", b"4"]
    assert bodies(bench) == []
    assert bench.switch.counters().conflated == 2


def test_the_conflating_lane_waits_for_an_empty_ordered_lane(bench: Bench) -> None:
    bench.switch.append(bench.slot, push(b"reply"))
    bench.switch.fan_out([bench.slot], push(b"quote"), "key")
    bench.switch.sent(bench.slot, 48)
    assert bytes(bench.switch.out(bench.slot)) == push(b"reply")[48:]
    bench.switch.sent(bench.slot, 1)
    assert bodies(bench) == [b"quote"]


def test_newer_frame_does_not_overtake_the_conflating_lane(bench: Bench) -> None:
    bench.switch.append(bench.slot, SMALL)
    bench.switch.fan_out([bench.slot], push(b"old"), "key")
    bench.switch.sent(bench.slot, 44)  # the ordered lane is empty, the conflating one not moved yet
    assert bench.switch.fan_out([bench.slot], push(b"new"), "key") == ([bench.slot], [])
    assert bodies(bench) == [b"new"]
    assert bodies(bench) == []


def test_fan_out_tells_who_overflowed(bench: Bench) -> None:
    full = bench.open(outbox_limit=10)
    bench.switch.append(full, SMALL)
    assert bench.switch.fan_out([full, bench.slot], SMALL, None) == ([bench.slot], [full])
    assert bench.switch.fan_out([full, bench.slot], SMALL, "key") == ([bench.slot], [full])
    assert bench.switch.out_bytes(full) == 44


def test_fan_out_changes_nothing_when_a_slot_is_closed(bench: Bench) -> None:
    for key in (None, "key"):
        with pytest.raises(ValueError, match="no such slot"):
            bench.switch.fan_out([bench.slot, 99], SMALL, key)
    with pytest.raises(TypeError):
        bench.switch.fan_out([bench.slot], SMALL, [])
    assert bench.switch.out_bytes(bench.slot) == 0


# -- the end of an outbox


def test_truncate_keeps_the_half_sent_frame(bench: Bench) -> None:
    bench.switch.append(bench.slot, push(b"half"))
    ticket = bench.switch.hold(bench.slot)
    bench.switch.append(bench.slot, push(b"behind"))
    bench.switch.fan_out([bench.slot], push(b"quote"), "key")
    bench.switch.sent(bench.slot, 10)
    assert bench.switch.out_truncate(bench.slot) == 50 + 49
    assert bench.switch.out_bytes(bench.slot) == 38
    assert bench.switch.counters().outbox_bytes == 38
    assert not bench.switch.release(bench.slot, ticket, SMALL)
    assert bytes(bench.switch.out(bench.slot)) == push(b"half")[10:]
    bench.switch.sent(bench.slot, 38)
    assert bytes(bench.switch.out(bench.slot)) == b""


def test_truncate_at_a_boundary_drops_all(bench: Bench) -> None:
    bench.switch.append(bench.slot, SMALL)
    bench.switch.append(bench.slot, SMALL)
    bench.switch.sent(bench.slot, 44)
    assert bench.switch.out_truncate(bench.slot) == 44
    assert bytes(bench.switch.out(bench.slot)) == b""


def test_nothing_is_taken_after_truncate(bench: Bench) -> None:
    bench.feed(frame(PASSED, 1))
    bench.switch.out_truncate(bench.slot)
    assert not bench.switch.append(bench.slot, SMALL)
    assert not bench.switch.reply(bench.slot, PASSED, 0, 1, b"")
    assert bench.switch.fan_out([bench.slot], SMALL, None) == ([], [bench.slot])
    assert bench.switch.fan_out([bench.slot], SMALL, "key") == ([], [bench.slot])
    assert not bench.switch.release(bench.slot, bench.switch.hold(bench.slot), SMALL)
    assert len(bench.answer(frame(PASSED, 1)).events) == 1
    assert bench.switch.out_bytes(bench.slot) == 0


def test_close_gives_the_bytes_back(bench: Bench) -> None:
    bench.switch.append(bench.slot, SMALL)
    bench.switch.fan_out([bench.slot], SMALL, "key")
    bench.switch.close_slot(bench.slot)
    assert bench.switch.counters().outbox_bytes == 0


def test_moving_the_conflating_lane_keeps_the_account(bench: Bench) -> None:
    bench.switch.append(bench.slot, SMALL)
    for key in range(50):
        bench.switch.fan_out([bench.slot], push(b"%d" % key), key)
    total = bench.switch.out_bytes(bench.slot)
    bench.switch.sent(bench.slot, 44)
    bench.switch.out(bench.slot)
    assert bench.switch.out_bytes(bench.slot) == total - 44 == bench.switch.counters().outbox_bytes
    assert bench.out() == [Request(PUSH, 0, b"%d" % key) for key in range(50)]
