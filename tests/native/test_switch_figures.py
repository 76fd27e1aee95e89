"""What the switch counts for metrics: latencies by protocol, pushes, overflows."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import pytest

from opendmux.native import EVENT, HOLD, LATENCY_BUCKETS_S, NATIVE, PASS
from tests.native.switch_kit import (
    EDITED,
    HELD,
    PASSED,
    PUSH,
    UNKNOWN,
    Bench,
    S,
    bad_sha1,
    cell,
    frame,
    frames,
    make_row,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.native.switch_kit import NewSwitch

pytest_plugins = ("tests.native.switch_fixtures",)

MS = S // 1000


def counts(**by_place: int) -> tuple[int, ...]:
    """``at0=2``: two in the first bucket."""
    cells = [0] * (len(LATENCY_BUCKETS_S) + 1)
    for place, count in by_place.items():
        cells[int(place.removeprefix("at"))] = count
    return tuple(cells)


# -- latencies


def test_the_bounds_grow() -> None:
    assert all(low < high for low, high in pairwise(LATENCY_BUCKETS_S))


def test_nothing_answered(bench: Bench) -> None:
    bench.feed(frame())
    assert bench.switch.latencies() == {}


@pytest.mark.parametrize("place", range(len(LATENCY_BUCKETS_S)))
def test_a_bound_belongs_to_its_bucket(new_switch: NewSwitch, place: int) -> None:
    bound = round(LATENCY_BUCKETS_S[place] * S)
    bench = Bench(new_switch(), timeout_ns=100 * S)
    bench.feed(frames([PASSED] * 2), now_ns=5)
    bench.answer(frame(PASSED, 1), now_ns=5 + bound)
    bench.answer(frame(PASSED, 2), now_ns=6 + bound)
    expected = counts(**{f"at{place}": 1, f"at{place + 1}": 1})
    assert bench.switch.latencies() == {PASSED: (expected, (2 * bound + 1) / 1e9)}


def test_by_protocol_and_kind_of_reply(bench: Bench) -> None:
    bench.feed(frames([PASSED, EDITED, HELD, PASSED]), now_ns=0)
    for serial, proto_id in enumerate((PASSED, EDITED, HELD, PASSED), 1):
        bench.answer(frame(proto_id, serial), now_ns=serial * MS)
    assert bench.switch.latencies() == {
        PASSED: (counts(at1=1, at3=1), 0.005),
        EDITED: (counts(at2=1), 0.002),
        HELD: (counts(at3=1), 0.003),
    }


@pytest.mark.parametrize("reply", [NATIVE, EVENT, HOLD])
def test_what_core_submits_for_a_slot_counts(bench: Bench, reply: int) -> None:
    bench.submit(reply=reply, token="token", now_ns=MS)
    bench.answer(frame(PASSED, 1), now_ns=21 * MS)
    assert bench.switch.latencies() == {PASSED: (counts(at5=1), 0.02)}


def test_unknown_ids_are_one(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), make_row({}, default=cell(PASS)))
    bench.feed(frame(UNKNOWN) + frame(4_000_000_000), now_ns=0)
    bench.answer(frame(UNKNOWN, 1) + frame(4_000_000_000, 2), now_ns=MS)
    assert bench.switch.latencies() == {0: (counts(at1=2), 0.002)}


def test_one_answer_for_many_counts_once(bench: Bench) -> None:
    bench.feed(frame(), now_ns=0)
    for serial in range(3):
        assert bench.switch.join(bench.link, 1, bench.open(), serial)
    bench.answer(frame(PASSED, 1), now_ns=MS)
    assert bench.switch.latencies() == {PASSED: (counts(at1=1), 0.001)}


def test_what_is_no_reply_does_not_count(bench: Bench) -> None:
    bench.feed(frames([PASSED] * 3), now_ns=0)
    other = bench.open()
    bench.feed(frame(), other, now_ns=0)
    bench.switch.close_slot(other)
    bench.submit(slot=-1, now_ns=0)
    bench.submit(slot=-1, reply=EVENT, now_ns=0)
    answers = [frame(PASSED, serial) for serial in (4, 5, 6, 99)]
    bench.answer(bad_sha1(frame(PASSED, 1)) + frame(EDITED, 2) + frame(PUSH) + b"".join(answers), now_ns=MS)
    bench.switch.expire(100 * S)
    bench.answer(frame(PASSED, 2) + frame(PASSED, 3), now_ns=100 * S)
    assert bench.switch.latencies() == {}


def test_the_outcome_for_somebody_who_has_left_counts(bench: Bench) -> None:
    bench.submit(reply=EVENT, token="token", now_ns=0)
    bench.switch.close_slot(bench.slot)
    bench.answer(frame(PASSED, 1), now_ns=MS)
    assert bench.switch.latencies() == {PASSED: (counts(at1=1), 0.001)}


def test_a_reply_that_does_not_fit_counts(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), outbox_limit=44)
    bench.switch.append(bench.slot, frame(PUSH, 0, b""))
    bench.feed(frame(), now_ns=0)
    bench.answer(frame(PASSED, 1), now_ns=MS)
    assert bench.switch.latencies() == {PASSED: (counts(at1=1), 0.001)}


def test_a_clock_that_went_back_is_no_time_at_all(bench: Bench) -> None:
    bench.feed(frame(), now_ns=5 * S)
    bench.answer(frame(PASSED, 1), now_ns=1)
    assert bench.switch.latencies() == {PASSED: (counts(at0=1), 0.0)}


def test_the_longest_time(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), timeout_ns=2**63 - 1)
    bench.feed(frames([PASSED] * 3), now_ns=0)
    for serial in (1, 2, 3):
        bench.answer(frame(PASSED, serial), now_ns=2**63 - 1)
    ((latencies, total),) = bench.switch.latencies().values()
    assert latencies == counts(at14=3)
    assert total == pytest.approx(3 * 2**63 / 1e9)


# -- counters


def test_pushes_in_and_out(bench: Bench) -> None:
    slots = [bench.slot, bench.open(), bench.open()]
    bench.answer(frame(PUSH, 0) + bad_sha1(frame(PUSH, 0)) + frame(PUSH, 0))
    for key in (None, "key", "key"):
        bench.switch.fan_out(slots, frame(PUSH, 0), key)
    bench.switch.append(bench.slot, frame(PUSH, 0))
    counters = bench.switch.counters()
    assert (counters.pushes_in, counters.pushes_out, counters.conflated) == (2, 9, 3)


def test_overflows(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), outbox_limit=100)
    bench.feed(frame())
    full = frame(PUSH, 0, bytes(56))
    refused: list[Callable[[], object]] = [
        lambda: bench.switch.append(bench.slot, full),
        lambda: bench.switch.reply(bench.slot, PASSED, 0, 1, b""),
        lambda: bench.switch.fan_out([bench.slot], full, None),
        lambda: bench.switch.fan_out([bench.slot], full, "key"),
        lambda: bench.answer(frame(PASSED, 1)),
    ]
    assert bench.switch.append(bench.slot, full)
    seen = []
    for call in refused:
        call()
        seen.append(bench.switch.counters().overflows)
    assert seen == list(accumulate([1] * 5))
    assert bench.switch.counters().pushes_out == 0


# -- figures of one slot


def test_a_slot_counts_what_its_client_sent(bench: Bench) -> None:
    other = bench.open()
    bench.feed(frames([PASSED, EDITED]) + bad_sha1(frame()) + frame()[:30])
    assert bench.switch.slot_figures(bench.slot)[:2] == (3, 0)
    assert bench.switch.slot_figures(bench.slot).in_flight == bench.switch.in_flight(bench.slot)
    assert bench.switch.slot_figures(other) == (0, 0, 0, 0)


def test_a_slot_counts_the_pushes_that_it_took(new_switch: NewSwitch) -> None:
    bench = Bench(new_switch(), outbox_limit=100)
    other = bench.open()
    full = frame(PUSH, 0, bytes(56))
    for key in (None, "key", None):
        bench.switch.fan_out([bench.slot], full, key)
    bench.switch.fan_out([bench.slot, other], frame(PUSH, 0, b""), None)
    figures = bench.switch.slot_figures(bench.slot)
    assert (figures.pushes_out, figures.outbox_bytes) == (1, 100)
    assert bench.switch.slot_figures(other).pushes_out == 1


def test_a_slot_that_is_opened_again_begins_anew(bench: Bench) -> None:
    bench.feed(frame())
    bench.switch.fan_out([bench.slot], frame(PUSH, 0), None)
    bench.switch.close_slot(bench.slot)
    with pytest.raises(ValueError, match="no such slot"):
        bench.switch.slot_figures(bench.slot)
    again = bench.open()
    assert bench.switch.slot_figures(again) == (0, 0, 0, 0)
