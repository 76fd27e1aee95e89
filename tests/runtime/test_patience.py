"""When a connection that says nothing has to go."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import pytest

from opendmux.runtime.patience import Patience


@dataclass(eq=False)
class Ends:
    deadline: float = inf


def test_the_time_runs_from_its_beginning() -> None:
    patience, one = Patience(10.0), Ends()
    patience.begin("a", one, 5.0)
    assert one.deadline == 15.0


def test_for_ever() -> None:
    patience, one = Patience(0.0), Ends()
    patience.begin("a", one, 5.0)
    patience.enter("a")
    patience.leave("a", 6.0)
    assert one.deadline == inf


@pytest.mark.parametrize("before", [True, False])
def test_it_may_stay_as_long_as_its_address_has_a_session(before: bool) -> None:
    patience, one, other = Patience(10.0), Ends(), Ends()
    patience.begin("b", other, 5.0)
    if before:
        patience.enter("a")
    patience.begin("a", one, 5.0)
    if not before:
        patience.enter("a")
    patience.enter("a")
    patience.leave("a", 50.0)
    assert one.deadline == inf, "one of its sessions lives"
    patience.leave("a", 60.0)
    assert (one.deadline, other.deadline) == (70.0, 15.0)
    patience.enter("a")
    assert one.deadline == inf, "and comes back"


def test_who_has_spoken_has_a_deadline_of_its_own() -> None:
    patience, one = Patience(10.0), Ends()
    patience.begin("a", one, 5.0)
    patience.end("a", one)
    one.deadline = 99.0
    patience.enter("a")
    patience.leave("a", 60.0)
    patience.end("a", one)
    assert one.deadline == 99.0
