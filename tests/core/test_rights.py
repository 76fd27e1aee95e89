"""Quote rights that are lost and come back, and what they are the rights for."""

from __future__ import annotations

import pytest

from opendmux.core.conditions import Conditions, Kind
from opendmux.core.rights import Rights, rights_for


def lost(book: Conditions) -> dict[str, str]:
    return {one.subject: one.figures for one in book.active()}


def test_lost_and_back() -> None:
    book = Conditions()
    rights = Rights(book, "A")
    rights.take({"hkQotRight": 3, "usQotRight": 1}, 1.0)
    assert lost(book) == {}, "what was never there is not lost"
    rights.take({"hkQotRight": 2}, 2.0)
    assert lost(book) == {"HK stocks": "LV2 before, LV1 now."}
    assert rights.lost_for(1, "00700") is None, "with LV1 prices still come"
    assert not rights.any_lost
    rights.take({"hkQotRight": 1}, 3.0)
    assert lost(book) == {"HK stocks": "LV2 before, BMP now."}
    assert rights.lost_for(1, "00700") == "hkQotRight"
    assert rights.any_lost
    assert rights.lost_for(11, "AAPL") is None
    rights.take({"usQotRight": 3}, 4.0)
    assert list(lost(book)) == ["HK stocks"], "OpenD said nothing of it"
    rights.take({"hkQotRight": 3}, 5.0)
    assert lost(book) == {}
    assert rights.lost_for(1, "00700") is None
    assert book.begun == {Kind.RIGHT_LOST: 1}


def test_the_next_step_is_another_where_it_is_asked_back_without_a_person() -> None:
    book, policy = Conditions(), [True]
    rights = Rights(book, "A", lambda: policy[0])
    rights.take({"hkQotRight": 3, "usQotRight": 3}, 1.0)
    rights.take({"hkQotRight": 1}, 2.0)
    (asked,) = book.active()
    assert asked.next_step.startswith("opendmux asks it back by itself (quote_right) when it sees it lost")
    assert "when-lost" not in asked.next_step
    policy[0] = False
    rights.take({"hkQotRight": 2, "usQotRight": 1}, 3.0)
    assert book.active()[0] is asked, "it goes on as it began"
    assert 'quote_right = "when-lost"' in book.active()[1].next_step


@pytest.mark.parametrize("right", [0, 77, -1])
def test_what_can_not_be_compared_changes_nothing(right: int) -> None:
    book = Conditions()
    rights = Rights(book, "A")
    rights.take({"hkQotRight": right}, 1.0)
    rights.take({"hkQotRight": 3}, 2.0)
    rights.take({"hkQotRight": right}, 3.0)
    assert lost(book) == {}
    assert rights.lost_for(1, "00700") is None


def test_old_fields_give_way_to_those_that_say_it_better() -> None:
    book = Conditions()
    rights = Rights(book, "A")
    rights.take({"cnQotRight": 3, "shQotRight": 3, "szQotRight": 3}, 1.0)
    rights.take({"cnQotRight": 1, "shQotRight": 1, "szQotRight": 3}, 2.0)
    assert list(lost(book)) == ["Shanghai"]
    old = Rights(Conditions(), "B")
    old.take({"cnQotRight": 3}, 1.0)
    old.take({"cnQotRight": 1}, 2.0)
    assert old.now == {"cnQotRight": 1}


@pytest.mark.parametrize(
    ("market", "code", "field"),
    [
        (1, "00700", "hkQotRight"),
        (1, "800000", "hkQotRight"),
        (1, "TCH260130C600000", "hkOptionQotRight"),
        (1, "HSImain", "hkFutureQotRight"),
        (11, "AAPL", "usQotRight"),
        (11, "AAPL260116C200000", "usOptionQotRight"),
        (11, ".DJI", "usIndexQotRight"),
        (21, "600519", "shQotRight"),
        (22, "000001", "szQotRight"),
        (91, "BTC", "ccQotRight"),
        (81, "EURUSD", None),
    ],
)
def test_what_a_security_needs(market: int, code: str, field: str | None) -> None:
    assert rights_for(market, code) == field
