"""The machine of `test_ledger_machine` on long walks with realistic odds.

Hypothesis likes small and extreme cases; these walks look like a working day: most calls succeed, links are seldom
lost, and several owners want the same streams, so that waiting, changing and restoring meet each other.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from opendmux.core.streams import BASIC, KL_1MIN, KL_DAY, TICKER, Options, Space
from tests.core.test_ledger_machine import LedgerMachine

SECURITIES = [(11, "AAPL"), (11, "MSFT"), (1, "00700")]
SUB_TYPES = [BASIC, TICKER, KL_DAY, KL_1MIN]
PLAIN = [Options()]
MIXED = [*PLAIN * 3, Options(session=3), Options(extended_time=True)]


class Walk:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.machine = LedgerMachine()
        self.machine.start(self.random.random() < 0.5)
        self.options = self.random.choice([PLAIN, MIXED, MIXED])
        self.outcomes = [*["ok"] * self.random.choice([4, 8]), "no", "lost", "lost but done"]
        self.steps: dict[Callable[[], None], float] = {
            self.subscribe: 30,
            self.unsubscribe: 6,
            lambda: self.machine.unsubscribe_all(self.owner(), self.space(), True): 1,
            self.register: 8,
            lambda: self.machine.close(self.owner(), True): 2,
            self.lose: self.random.choice([1, 3, 10]),
            self.answer: 30,
            self.machine.answer_all_well: 5,
            lambda: self.machine.wait(self.random.choice([0.5, 5, 30, 61, 200])): 8,
            self.wait_until_due: 7,
            self.come_back_to_refusals: 1,
            self.give_up: 1,
        }

    def owner(self) -> int:
        return self.random.randint(1, 4)

    def space(self) -> Space:
        return self.random.choice([Space.QOT, Space.QOT, Space.QOT, Space.EVENT_CONTRACT])

    def securities(self) -> list[tuple[int, str]]:
        return self.random.sample(SECURITIES, self.random.randint(1, 3))

    def sub_types(self) -> list[int]:
        return self.random.sample(SUB_TYPES, self.random.randint(1, 3))

    def rehabs(self) -> list[int]:
        return [self.random.randint(0, 2) for _ in range(self.random.choice([0, 0, 1, 2]))]

    def first_push(self) -> bool:
        return self.random.random() < 0.5

    def subscribe(self) -> None:
        self.machine.subscribe(
            self.owner(),
            self.space(),
            self.securities(),
            self.sub_types(),
            self.random.choice(self.options),
            self.random.choice([True, True, None, False]),
            self.rehabs(),
            self.first_push(),
        )

    def unsubscribe(self) -> None:
        self.machine.unsubscribe(self.owner(), self.space(), self.securities(), self.sub_types())

    def register(self) -> None:
        register = self.random.random() < 0.7
        self.machine.register(
            self.owner(), self.securities(), self.sub_types(), register, self.rehabs(), self.first_push()
        )

    def answer(self) -> None:
        if self.machine.opend.calls:
            self.machine.answer(self.random.randrange(100), self.random.choice(self.outcomes))

    def wait_until_due(self) -> None:
        if self.machine.linked:
            self.machine.wait_until_due()

    def lose(self) -> None:
        if self.machine.linked:
            self.machine.lose(True)

    def come_back_to_refusals(self) -> None:
        if self.machine.linked:
            self.machine.come_back_to_refusals(True, self.random.randint(1, 4))

    def give_up(self) -> None:
        if self.machine.linked:
            self.machine.give_up()

    def go(self, length: int) -> None:
        for _ in range(length):
            if not self.machine.linked and self.random.random() < 0.4:
                self.machine.replay()
            else:
                self.random.choices(list(self.steps), list(self.steps.values()))[0]()
            self.machine.books_are_right()
            self.machine.pushes_reach_who_registered()
            self.machine.upstream_is_what_is_wanted()
        self.machine.teardown()


@pytest.mark.parametrize("seed", range(80))
def test_walk(seed: int) -> None:
    Walk(seed).go(120)
