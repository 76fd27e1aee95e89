"""Who counts as missing, after how long, and what counts as a sign of life."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core.freezes import Freezes
from opendmux.core.lifesigns import AUTOMATIC, START_S, Guard, LifeSigns, Missing, dead_man

READ, ORDER, UNLOCK, KEEP_ALIVE, LIST, ODD = 2201, 2202, 2005, 1004, 2001, 2999
BEGUN = 100.0
GONE = {"a": Guard(10.0, None)}
DEAD = {"a": Guard(None, 10.0)}
OPEN = {"a": 1}


def fresh() -> LifeSigns:
    return LifeSigns(Freezes(), BEGUN)


def test_who_is_gone_is_missing_after_the_grace_and_again_and_again() -> None:
    at = fresh()
    assert at.look(GONE, {"a"}, OPEN, 200.0) == []
    assert at.look(GONE, (), OPEN, 201.0) == []
    assert at.look(GONE, (), OPEN, 210.9) == []
    assert at.look(GONE, (), OPEN, 211.0) == [Missing("a", "gone", 10.0)]
    assert at.look(GONE, (), OPEN, 212.0) == [Missing("a", "gone", 11.0)]
    assert at.look(GONE, {"a"}, OPEN, 213.0) == []
    assert at.look(GONE, (), OPEN, 214.0) == [], "the grace begins anew"


def test_who_has_no_order_is_not_missing() -> None:
    at = fresh()
    at.look(GONE, {"a"}, {}, 200.0)
    at.look(GONE, (), {}, 201.0)
    assert at.look(GONE, (), {}, 300.0) == []
    assert at.look(GONE, (), {"b": 1}, 300.0) == [], "another's"
    assert at.look(GONE, (), OPEN, 301.0) == [Missing("a", "gone", 100.0)], "one that OpenD accepted late"


def test_after_a_start_everybody_has_time_to_come_back() -> None:
    at = fresh()
    assert at.look(GONE, (), OPEN, BEGUN + START_S - 1) == []
    assert at.look(GONE, (), OPEN, BEGUN + START_S) == [Missing("a", "gone", START_S)]
    at = fresh()
    assert at.look(DEAD, {"a"}, OPEN, BEGUN + START_S - 1) == [], "connected, but has said nothing"
    slow = {"a": Guard(START_S + 50, None)}
    assert fresh().look(slow, (), OPEN, BEGUN + START_S + 49) == []
    assert fresh().look(slow, (), OPEN, BEGUN + START_S + 50) != []


def test_a_request_is_a_presence_of_its_own() -> None:
    """Over HTTP a connection may be shorter than the time between two looks."""
    at = fresh()
    at.look(GONE, (), {}, 200.0)
    at.heard("a", ORDER, 300.0)
    assert at.look(GONE, (), OPEN, 309.0) == []
    at.heard("a", LIST, 309.0)
    assert at.look(GONE, (), OPEN, 318.0) == []
    assert at.look(GONE, (), OPEN, 319.0) == [Missing("a", "gone", 10.0)]


def test_when_somebody_was_there_last() -> None:
    at = fresh()
    at.look(GONE, (), OPEN, 200.0)
    assert at.last_there("a") == -math.inf
    at.look(GONE, {"a"}, OPEN, 201.0)
    at.look(GONE, (), OPEN, 203.0)
    assert at.last_there("a") == 201.0
    at.heard("a", KEEP_ALIVE, 204.0)
    assert at.last_there("a") == 204.0


def test_who_is_silent_is_said_once_connected_or_not() -> None:
    for present in ((), ("a",)):
        at = fresh()
        at.heard("a", ORDER, 200.0)
        assert at.look(DEAD, present, OPEN, 209.9) == []
        at.heard("a", READ, 209.9)
        at.heard("a", KEEP_ALIVE, 215.0)
        assert at.look(DEAD, present, OPEN, 219.8) == []
        assert at.look(DEAD, present, OPEN, 220.0) == [Missing("a", "silent", 220.0 - 209.9)]
        assert at.look(DEAD, present, OPEN, 230.0) == []
        at.heard("a", READ, 231.0)
        assert at.look(DEAD, present, OPEN, 240.0) == []
        assert len(at.look(DEAD, present, OPEN, 241.0)) == 1, "it can happen again"


def test_who_is_gone_can_be_silent_too() -> None:
    both = {"a": Guard(5.0, 10.0)}
    at = fresh()
    at.heard("a", READ, 200.0)
    at.look(both, (), OPEN, 200.0)
    assert at.look(both, (), OPEN, 205.0) == [Missing("a", "gone", 5.0)]
    assert at.look(both, (), OPEN, 210.0) == [Missing("a", "silent", 10.0), Missing("a", "gone", 10.0)]
    assert at.look(both, (), OPEN, 211.0) == [Missing("a", "gone", 11.0)]


def test_what_sdks_send_by_themselves_is_no_life() -> None:
    at = fresh()
    at.heard("a", ORDER, 200.0)
    for proto_id in AUTOMATIC:
        assert not at.heard("a", proto_id, 205.0)
    assert len(at.look(DEAD, ("a",), OPEN, 210.0)) == 1


def test_only_a_read_ends_what_the_timer_has_set() -> None:
    at = fresh()
    freeze = dead_man("a", 0.0, 12.3)
    at.freezes.put(freeze)
    assert "by its dead-man timer: it showed no life for 12 s; a read of it ends this" in freeze.text()
    for proto_id in (ORDER, 2205, UNLOCK, ODD, KEEP_ALIVE, LIST):
        assert not at.heard("a", proto_id, 200.0)
    assert not at.heard("b", READ, 200.0)
    assert at.freezes.silent("a") is freeze
    assert at.heard("a", READ, 200.0)
    assert at.freezes.active() == []
    assert not at.heard("a", READ, 201.0)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["there", "away", "read", "order", "keep alive"]), st.floats(0.1, 15.0), st.booleans()
        ),
        max_size=30,
    )
)
def test_nobody_is_missing_early_and_nobody_for_ever(moves: list[tuple[str, float, bool]]) -> None:
    at, now = fresh(), BEGUN + 1000
    guards = {"a": Guard(10.0, 20.0)}
    at.heard("a", READ, now)
    present, last_there, last_life = True, now, now
    at.look(guards, ("a",), {}, now)
    for what, seconds, orders in moves:
        now += seconds
        if what in ("there", "away"):
            present = what == "there"
        else:
            at.heard("a", {"read": READ, "order": ORDER, "keep alive": KEEP_ALIVE}[what], now)
            last_there = now
            last_life = last_life if what == "keep alive" else now
        last_there = now if present else last_there
        for missing in at.look(guards, ("a",) if present else (), OPEN if orders else {}, now):
            assert orders
            assert now - (last_there if missing.why == "gone" else last_life) >= {"gone": 10, "silent": 20}[missing.why]
    at.look(guards, (), OPEN, now)
    assert any(one.why == "gone" for one in at.look(guards, (), OPEN, now + 10.1))
