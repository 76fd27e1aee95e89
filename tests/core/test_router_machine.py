"""Random lives of a router: whatever comes, in whatever order, a request is answered once or its session is closed.

The playbook asserts that no request is answered twice and nothing is sent over a link that is down.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from opendmux.wire.protocols import PUSH_IDS
from tests.core.router_lives import ANSWERS, DAMAGES, EVENTS, PASSED, REQUESTS, Life

if TYPE_CHECKING:
    from collections.abc import Callable

    from opendmux.core.commands import Failure

PICKS = st.integers(0, 5)
ON_OUTAGE = ["hold", "hold", "close"]
SECONDS = [0.01, 0.06, 1.0, 5.0, 30.0]
TAILS = [b"", b"", b"\xff"]


class Lives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.life = Life(metered=False)

    @initialize(metered=st.booleans())
    def begin(self, metered: bool) -> None:
        self.life = Life(metered=metered)

    @rule(
        arrive=st.sampled_from([True, True, True, False]),
        recv_notify=st.booleans(),
        json=st.sampled_from([False, False, True]),
        on_outage=st.sampled_from(ON_OUTAGE),
    )
    def open(self, arrive: bool, recv_notify: bool, json: bool, on_outage: str) -> None:
        self.life.open(arrive=arrive, recv_notify=recv_notify, json=json, on_outage=on_outage)

    @rule(pick=PICKS, request=st.sampled_from(REQUESTS), damage=st.sampled_from([0] * 12 + list(DAMAGES)))
    def send(self, pick: int, request: tuple[int, bytes], damage: int) -> None:
        self.life.send(pick, request, damage)

    @rule(pick=PICKS, proto_id=st.sampled_from(PASSED) | st.sampled_from(EVENTS))
    def passes(self, pick: int, proto_id: int) -> None:
        self.life.passes(pick, proto_id)

    @rule(pick=PICKS)
    def close(self, pick: int) -> None:
        self.life.close(pick)

    @rule()
    def reap(self) -> None:
        self.life.reap()

    @rule(pick=PICKS, answer=st.sampled_from(ANSWERS))
    def answer(self, pick: int, answer: tuple[bytes, Failure | None]) -> None:
        self.life.answer(pick, answer)

    @rule(proto_id=st.sampled_from(sorted(PUSH_IDS)), pick=PICKS, damage=st.sampled_from(TAILS))
    def push(self, proto_id: int, pick: int, damage: bytes) -> None:
        self.life.push(proto_id, pick, damage=damage)

    @rule(pick=PICKS)
    def lose(self, pick: int) -> None:
        self.life.lose(pick)

    @rule(pick=PICKS)
    def connect(self, pick: int) -> None:
        self.life.connect(pick)

    @rule()
    def ready(self) -> None:
        self.life.ready()

    @rule(seconds=st.sampled_from(SECONDS))
    def later(self, seconds: float) -> None:
        self.life.later(seconds)

    @invariant()
    def check(self) -> None:
        self.life.check()

    def teardown(self) -> None:
        self.life.end()


TestLives = Lives.TestCase
TestLives.settings = settings(derandomize=True, deadline=None, max_examples=60, stateful_step_count=40)

WEIGHTS: dict[str, float] = {
    "open": 6,
    "send": 40,
    "passes": 6,
    "answer": 40,
    "push": 10,
    "close": 1.5,
    "reap": 10,
    "lose": 1,
    "connect": 3,
    "ready": 10,
    "later": 12,
}


@pytest.mark.parametrize("metered", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_long_walks(seed: int, metered: bool) -> None:
    """Longer lives than hypothesis tries, with rare combinations of what is common."""
    dice = random.Random(seed)
    life = Life(metered=metered)
    draws: dict[str, Callable[[], dict[str, Any]]] = {
        "open": lambda: {
            "arrive": dice.random() < 0.9,
            "recv_notify": dice.random() < 0.5,
            "json": dice.random() < 0.25,
            "on_outage": dice.choice(ON_OUTAGE),
        },
        "send": lambda: {
            "pick": dice.randrange(4),
            "request": dice.choice(REQUESTS),
            "damage": dice.choice([0] * 30 + list(DAMAGES)),
        },
        "passes": lambda: {"pick": dice.randrange(4), "proto_id": dice.choice(PASSED + EVENTS * 10)},
        "answer": lambda: {"pick": dice.randrange(10), "answer": dice.choice(ANSWERS)},
        "push": lambda: {
            "proto_id": dice.choice(sorted(PUSH_IDS)),
            "pick": dice.randrange(4),
            "damage": dice.choice(TAILS),
        },
        "close": lambda: {"pick": dice.randrange(4)},
        "lose": lambda: {"pick": dice.randrange(4)},
        "connect": lambda: {"pick": dice.randrange(4)},
        "later": lambda: {"seconds": dice.choice(SECONDS)},
    }
    for _ in range(1500):
        (name,) = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
        getattr(life, name)(**draws[name]() if name in draws else {})
        life.check()
    life.end()
