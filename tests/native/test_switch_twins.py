"""Both switches through the same random lives: every answer and every byte agree, and the invariants hold."""

from __future__ import annotations

import os
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.native.switch_world import World

LIVES = int(os.environ.get("OPENDMUX_LIVES", "60"))
"""More for a night's run."""

STEPS = 500


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False), st.integers(1, 60))
def test_short_lives(random: Random, steps: int) -> None:
    """These can be shrunk to the calls that matter."""
    World(random).live(steps)


@pytest.mark.parametrize("seed", range(LIVES))
def test_long_lives(seed: int) -> None:
    World(Random(seed)).live(STEPS)


def test_lives_are_worth_living() -> None:
    """The random world reaches what it is there for."""
    seen: Counter[str] = Counter()
    for seed in range(10):
        seen += World(Random(seed)).live(STEPS)
    wanted = {
        *("delivered", "strays", "pushes", "joined", "event of a shared request", "released", "overflowed", "expired"),
        *("lost with a link", "told to stop", "told to go on", "take_frames: a frame is half sent"),
        *("submit: the serial does not grow", "join: only a NATIVE reply can be shared"),
        *(f"client event {kind}" for kind in range(5)),
        *(f"link event {kind}" for kind in range(4)),
    }
    assert {what for what in wanted if not seen[what]} == set()
