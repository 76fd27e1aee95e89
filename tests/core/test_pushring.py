"""The ring of recent pushes: every reader gets all of it in order, or is told what is missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.core.events import GAP, PushEvent
from opendmux.core.pushring import EVENT_BYTES, FAR_BEHIND, PushRing, first_number, number_untrusted
from opendmux.errors import RemoteProtocolError
from opendmux.wire.protocols import ProtoId
from tests.native.wire_format import field, scalar

BASE = first_number(1_700_000_000.25)
ALL = 1 << 40


def tick(mark: int = 0, size: int = 100) -> PushEvent:
    return PushEvent(ProtoId.QOT_UPDATE_TICKER, "1_00700", 4, mark.to_bytes(8) + bytes(size - 8), "quote", 0)


def quote(code: str, mark: int = 0, size: int = 100) -> PushEvent:
    return PushEvent(ProtoId.QOT_UPDATE_BASIC_QOT, f"1_{code}", 1, mark.to_bytes(8) + bytes(size - 8), "quote", 0)


def candle(rehab_type: int | None) -> PushEvent:
    body = b"\x08\x00" + field(4, b"" if rehab_type is None else scalar(1, rehab_type))
    return PushEvent(ProtoId.QOT_UPDATE_KL, "1_00700", 6, body, "quote", 0)


def numbers(events: list[PushEvent]) -> list[int]:
    return [event.seq for event in events]


def room_for(count: int, size: int = 100) -> int:
    return count * (size + EVENT_BYTES)


def test_numbers_are_of_the_wall_clock_and_exact_in_a_json_number() -> None:
    assert BASE == 1_700_000_000_250_000
    assert first_number(4_000_000_000.0) < 2**53


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), (str(2**64 - 1), 2**64 - 1)])
def test_a_number_as_clients_write_it(text: str, number: int) -> None:
    assert number_untrusted(text) == number


@pytest.mark.parametrize("text", ["", " 1", "-1", "+1", "1.0", "0x1", "1e3", "\u0661", str(2**64), "1" * 5000])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        number_untrusted(text)


def test_in_order_from_where_the_reader_is() -> None:
    ring = PushRing(BASE, room_for(10))
    assert ring.read(BASE, ALL) == ([], BASE)
    for mark in range(5):
        ring.append(tick(mark))
    events, after = ring.read(BASE + 2, ALL)
    assert (numbers(events), after) == ([BASE + 3, BASE + 4, BASE + 5], BASE + 5)
    assert [event.body[:8] for event in events] == [mark.to_bytes(8) for mark in (2, 3, 4)]
    assert ring.read(after, ALL) == ([], after)


def test_a_limit_takes_at_least_one() -> None:
    ring = PushRing(BASE, room_for(10))
    for mark in range(4):
        ring.append(tick(mark))
    got, after = [], BASE
    for _ in range(4):
        events, after = ring.read(after, 1)
        assert len(events) == 1
        got += numbers(events)
    assert got == [BASE + n for n in range(1, 5)]


def test_what_is_gone_is_a_gap() -> None:
    ring = PushRing(BASE, room_for(3))
    for mark in range(10):
        ring.append(tick(mark))
    assert ring.kept_bytes == room_for(3)
    events, after = ring.read(BASE + 2, ALL)
    gap, *rest = events
    assert (gap.event_type, gap.gap_from, gap.gap_to, gap.seq) == (GAP, BASE + 3, BASE + 7, BASE + 7)
    assert (numbers(rest), after) == ([BASE + 8, BASE + 9, BASE + 10], BASE + 10)
    assert numbers(ring.read(gap.seq, ALL)[0]) == numbers(rest), "whoever has the gap goes on behind it"
    assert numbers(ring.read(BASE + 7, ALL)[0]) == numbers(rest), "nothing is missing for this one"


def test_a_number_of_an_earlier_session_is_a_gap_and_then_everything() -> None:
    ring = PushRing(BASE, room_for(10))
    ring.append(tick())
    (gap, event), _ = ring.read(17, ALL)
    assert (gap.gap_from, gap.gap_to, event.seq) == (18, BASE, BASE + 1)


def test_a_number_from_the_future_goes_on_from_now() -> None:
    ring = PushRing(BASE, room_for(10))
    ring.append(tick())
    (gap,), after = ring.read(BASE + 2, ALL)
    assert (gap.event_type, gap.gap_from, gap.gap_to, gap.seq, after) == (GAP, 0, 0, BASE + 1, BASE + 1)
    ring.append(tick())
    assert numbers(ring.read(after, ALL)[0]) == [BASE + 2]


def test_what_could_not_be_taken_is_a_gap_in_its_place() -> None:
    ring = PushRing(BASE, room_for(10))
    ring.append(tick())
    ring.lose()
    ring.append(tick())
    first, gap, second = ring.read(BASE, ALL)[0]
    assert (first.seq, gap.seq, second.seq) == (BASE + 1, BASE + 2, BASE + 3)
    assert (gap.event_type, gap.gap_from, gap.gap_to) == (GAP, BASE + 2, BASE + 2)


def test_where_nobody_counted_the_gap_has_no_bounds() -> None:
    ring = PushRing(BASE, room_for(10))
    ring.lose(counted=False)
    ring.append(tick())
    gap, tick_after = ring.read(BASE, ALL)[0]
    assert (gap.event_type, gap.gap_from, gap.gap_to, gap.seq) == (GAP, 0, 0, BASE + 1)
    assert tick_after.seq == BASE + 2


def test_what_was_cleared_is_gone() -> None:
    ring = PushRing(BASE, room_for(10))
    ring.append(quote("00700"))
    ring.append(tick())
    ring.clear()
    assert ring.kept_bytes == 0
    (gap,), after = ring.read(BASE + 1, ALL)
    assert (gap.gap_from, gap.gap_to, after) == (BASE + 2, BASE + 2, BASE + 2)
    assert ring.read(BASE + 2, ALL) == ([], BASE + 2)
    ring.append(quote("00700"))
    assert numbers(ring.read(BASE + 2, ALL)[0]) == [BASE + 3]


def test_the_newest_is_kept_whatever_its_size() -> None:
    ring = PushRing(BASE, 1000)
    ring.append(tick(size=100))
    ring.append(tick(size=5000))
    gap, event = ring.read(BASE, ALL)[0]
    assert (gap.gap_to, event.seq) == (BASE + 1, BASE + 2)


def test_replaced_quotes_are_left_out_for_those_far_behind() -> None:
    ring = PushRing(BASE, room_for(40))
    for mark in range(10):
        ring.append(quote("00700", mark))
        ring.append(tick(mark))
    near = BASE + 20 - 40 // FAR_BEHIND
    assert len(ring.read(near, ALL)[0]) == 10, "nobody is spared anything who is near"
    events, after = ring.read(BASE, ALL)
    assert after == BASE + 20
    assert len([event for event in events if event.proto_id == ProtoId.QOT_UPDATE_TICKER]) == 10
    assert len(events) < 20
    assert events[-2].body[:8] == (9).to_bytes(8), "the newest quote is there"
    assert not [event for event in events if event.event_type == GAP]


@pytest.mark.parametrize(("one", "other", "kept"), [(1, 2, 2), (1, 1, 1), (None, 0, 1)])
def test_candles_of_another_adjustment_are_other_candles(one: int | None, other: int, kept: int) -> None:
    ring = PushRing(BASE, 10_000)
    ring.append(candle(one))
    ring.append(candle(other))
    for _ in range(12):
        ring.append(tick(size=200))
    events = [event for event in ring.read(BASE, ALL)[0] if event.proto_id == ProtoId.QOT_UPDATE_KL]
    assert len(events) == kept


def test_a_candle_that_cannot_be_read_replaces_nothing() -> None:
    ring = PushRing(BASE, 10_000)
    for _ in range(2):
        ring.append(PushEvent(ProtoId.QOT_UPDATE_KL, "1_00700", 6, b"\xff", "quote", 0))
    for _ in range(12):
        ring.append(tick(size=200))
    assert len(ring.read(BASE, ALL)[0]) == 14


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("tick"), st.integers(8, 900)),
            st.tuples(st.sampled_from(["00700", "00005"]), st.integers(8, 900)),
            st.tuples(st.just("lose"), st.just(0)),
            st.tuples(st.just("read"), st.integers(1, 3000)),
            st.tuples(st.just("again"), st.integers(0, 60)),
        ),
        max_size=150,
    ),
    st.integers(1, 20_000),
)
def test_readers_miss_nothing_in_silence(steps: list[tuple[str, int]], limit: int) -> None:
    ring = PushRing(BASE, limit)
    sent: dict[int, PushEvent | None] = {}
    after = heard = BASE
    missed: set[int] = set()
    for what, size in steps:
        if what == "lose":
            ring.lose()
            sent[ring.last] = None
        elif what == "again":
            after = heard = max(BASE, after - size)
        elif what == "read":
            events, after = ring.read(after, size)
            for event in events:
                if event.event_type == GAP:
                    assert event.gap_from == heard + 1 or heard + 1 > BASE
                    missed |= set(range(event.gap_from, event.gap_to + 1))
                    heard = event.gap_to
                    continue
                assert event.seq > heard
                original = sent[event.seq]
                assert original is not None
                assert event.body == original.body
                for number in range(heard + 1, event.seq):
                    left_out = sent[number]
                    assert left_out is not None
                    assert left_out.proto_id != ProtoId.QOT_UPDATE_TICKER, "a tick was left out in silence"
                heard = event.seq
            assert after >= heard
        else:
            event = tick(len(sent), size) if what == "tick" else quote(what, len(sent), size)
            ring.append(event)
            sent[ring.last] = event
        assert ring.kept_bytes <= max(limit, 900 + EVENT_BYTES)
    events, after = ring.read(after, ALL)
    assert after == ring.last
    newest = {event.sec_key: number for number, event in sent.items() if event is not None and event.sec_key}
    kept = {event.seq for event in events}
    for number in newest.values():
        assert number <= heard or number in kept or any(e.gap_from <= number <= e.gap_to for e in events)
