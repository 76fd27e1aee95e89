"""Which accounts OpenD has."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from opendmux.core.commands import Ask, Command, Failure, Outcome
from opendmux.core.roster import AGAIN_S, Roster
from opendmux.wire.messages import ret_body
from opendmux.wire.pb import opend
from tests.core.key_kit import key
from tests.runtime.bodies import acc_list

NO_LIST = ret_body(0, -1, "no such accounts")
SILENCE = ret_body(0, -100, "time-out")


@dataclass
class Scene:
    """A roster, who waits for it, and what it has asked."""

    ready: bool = True
    told: list[tuple[str, float]] = field(default_factory=list)
    asked: list[Ask] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.roster = Roster(0, lambda: self.ready)

    def want(self, name: str = "one", now: float = 0.0) -> None:
        def told(later: float) -> list[Command]:
            self.told.append((name, later))
            return []

        self._keep(self.roster.when_known(told, now))

    def answer(self, body: bytes = b"", *, failure: Failure | None = None, now: float = 1.0) -> None:
        self._keep(self.asked.pop(0).then(Outcome(body, 0, failure), now))

    def _keep(self, commands: list[Command]) -> None:
        for command in commands:
            assert isinstance(command, Ask)
            self.asked.append(command)

    def categories(self) -> list[int]:
        return [opend.GetAccListRequest.FromString(ask.body).c2s.trdCategory for ask in self.asked]

    def learn(self, *accounts: tuple[int, str]) -> None:
        self.want()
        self.answer(acc_list(*accounts))
        self.answer(acc_list())


def test_both_lists_are_read_once_for_all_who_want_them() -> None:
    scene = Scene()
    scene.want("one")
    scene.want("two")
    assert scene.categories() == [1]
    scene.answer(acc_list((1, "A")))
    assert scene.categories() == [2]
    assert not scene.told
    scene.answer(acc_list((2, "B")), now=3.0)
    assert scene.told == [("one", 3.0), ("two", 3.0)]
    assert scene.roster.known
    scene.want("three", 4.0)
    assert scene.told[-1] == ("three", 4.0)
    assert not scene.asked
    assert scene.roster.visible(key()) == {1, 2}


@pytest.mark.parametrize("failure", list(Failure))
def test_who_waits_is_told_when_opend_does_not_tell(failure: Failure) -> None:
    scene = Scene()
    scene.want()
    scene.answer(failure=failure, now=5.0)
    assert scene.told == [("one", 5.0)]
    assert not scene.roster.known
    assert not scene.roster.due(5.0 + AGAIN_S - 0.1)
    assert scene.roster.due(5.0 + AGAIN_S)


@pytest.mark.parametrize("body", [NO_LIST, SILENCE, b"\xff", b""])
def test_a_refusal_is_no_list(body: bytes) -> None:
    scene = Scene()
    scene.want()
    scene.answer(body)
    assert not scene.roster.known
    assert len(scene.told) == 1


@pytest.mark.parametrize(("body", "known"), [(NO_LIST, True), (SILENCE, False), (b"\xff", False)])
def test_a_user_without_futures_accounts_has_none(body: bytes, known: bool) -> None:
    scene = Scene()
    scene.want()
    scene.answer(acc_list((1, "A")))
    scene.answer(body)
    assert scene.roster.known is known
    assert scene.roster.visible(key()) == (frozenset({1}) if known else frozenset())


def test_nothing_is_asked_of_a_link_that_is_down() -> None:
    scene = Scene(ready=False)
    scene.want(now=2.0)
    assert scene.told == [("one", 2.0)]
    assert not scene.asked
    assert not scene.roster.known


def test_after_a_lost_link_it_is_asked_again() -> None:
    scene = Scene()
    scene.learn((1, "A"), (2, "A"))
    scene.roster.link_lost()
    assert not scene.roster.known
    assert scene.roster.visible(key()) == {1, 2}, "what was known is still the best guess"
    scene.learn((2, "A"), (3, "B"))
    assert scene.roster.visible(key()) == {2, 3}, "a former user's accounts are gone"


def test_cards() -> None:
    scene = Scene()
    card = key(allowed_card_nums=frozenset({"A"}))
    both = key(allowed_card_nums=frozenset({"A", "B"}), allowed_acc_ids=frozenset({2, 3, 9}))
    assert scene.roster.allowed(card) == frozenset(), "nothing is known yet: nothing is allowed"
    scene.learn((1, "A"), (2, "A"), (3, "B"), (4, "C"), (5, ""))
    assert scene.roster.allowed(card) == frozenset({1, 2})
    assert scene.roster.allowed(both) == frozenset({2, 3})
    assert scene.roster.allowed(key(allowed_card_nums=frozenset())) == frozenset()
    assert scene.roster.allowed(key(allowed_card_nums=frozenset({""}))) == frozenset()
    assert scene.roster.allowed(key()) is None
    assert scene.roster.allowed(key(allowed_acc_ids=frozenset())) == frozenset()


def test_a_card_that_has_moved_on_does_not_open_its_former_account() -> None:
    scene = Scene()
    card = key(allowed_card_nums=frozenset({"A"}))
    scene.learn((1, "A"))
    scene.roster.link_lost()
    scene.learn((1, "Z"), (2, "A"))
    assert scene.roster.allowed(card) == frozenset({2})


def test_an_account_that_opend_does_not_have_is_not_asked_for() -> None:
    scene = Scene()
    scene.learn((1, "A"))
    assert scene.roster.visible(key(allowed_acc_ids=frozenset({1, 999}))) == {1}


def test_both_kinds_of_card_numbers_count() -> None:
    account = opend.TrdAcc(accID=1, cardNum="A", uniCardNum="U")
    body = opend.GetAccListResponse(retType=0, s2c=opend.GetAccListS2C(accList=[account])).SerializeToString()
    scene = Scene()
    scene.want()
    scene.answer(body)
    scene.answer(acc_list())
    for card in "AU":
        assert scene.roster.allowed(key(allowed_card_nums=frozenset({card}))) == frozenset({1})
