"""The counters of the gate."""

from __future__ import annotations

from opendmux.core.tally import OTHER, Series, Tally


def test_each_counter_has_its_labels() -> None:
    tally = Tally()
    tally.auth("grpc", "allow", "bot")
    tally.auth("grpc", "allow", "bot")
    tally.auth("tcp", "reject", "<missing>")
    tally.limit_reject("grpc", "bot", "rate")
    tally.filtered_push("acc:read", "bot", 3)
    assert dict(tally.auth_events) == {("grpc", "allow", "bot"): 2, ("tcp", "reject", "<missing>"): 1}
    assert dict(tally.limit_rejects) == {("grpc", "bot", "rate"): 1}
    assert dict(tally.filtered_pushes) == {("acc:read", "bot"): 3}
    assert tally.auth_events["grpc", "reject", "bot"] == 0


def test_beyond_the_bound_keys_are_counted_together() -> None:
    series = Series(1, bound=2)
    for key in ("a", "b", "c", "d", "a"):
        series.add(("tcp", key, "rate"))
    assert dict(series) == {("tcp", "a", "rate"): 2, ("tcp", "b", "rate"): 1, ("tcp", OTHER, "rate"): 2}


def test_no_label_makes_it_grow_for_ever() -> None:
    series = Series(1, bound=4)
    for number in range(1000):
        series.add((str(number), str(number), str(number)))
    assert len(series) <= 2 * 4 + 1
    assert sum(count for _labels, count in series) == 1000


def test_counting_while_it_is_read_does_no_harm() -> None:
    tally = Tally()
    tally.auth("tcp", "allow", "a")
    for _labels, _count in tally.auth_events:
        tally.auth("tcp", "allow", "b")
    assert tally.auth_events["tcp", "allow", "b"] == 1
