"""What an alert tells, when, and in which words."""

from __future__ import annotations

import math

import pytest

from opendmux.core.alerting import (
    AGAIN_S,
    CALM_FIRST_S,
    CALM_MAX_S,
    EVENTS_MAX,
    Alarm,
    Alert,
    Rule,
    payload_of,
    trial,
)
from opendmux.core.conditions import SUBJECTS_SHOWN, Change, Condition, Conditions, Kind

NAME = "127.0.0.1:11111"
KICKED = "OpenD at A was logged out: its account logged in at another place, or was logged out from there."


class Desk(Conditions):
    """A book with one alarm."""

    def __init__(self, **rule: object) -> None:
        super().__init__()
        self.alarm = Alarm(Rule("desk", **rule))  # type: ignore[arg-type]
        self.on_change.append(self._hears)

    def _hears(self, change: Change, one: Condition, now: float) -> None:
        self.alarm.heard(change, one, now)

    def due(self, now: float) -> list[tuple[str, Kind, str]]:
        return [(alert.event, alert.condition.kind, alert.condition.subject) for alert in self.alarm.due(now)]


def test_what_lasts_is_told_once_with_its_end() -> None:
    desk = Desk(after_s=5.0)
    desk.begin(Kind.KICKED, "A", 1.0, opend="A")
    assert desk.alarm.next_due() == 6.0
    assert desk.due(5.9) == []
    assert desk.due(6.0) == [("begin", Kind.KICKED, "A")]
    assert desk.alarm.next_due() == math.inf
    assert desk.due(1000.0) == []
    desk.over(Kind.KICKED, "A", 1001.0, opend="A")
    assert desk.alarm.next_due() < 0
    assert desk.due(1001.0) == [("over", Kind.KICKED, "A")]
    assert desk.alarm.next_due() == math.inf


def test_what_is_over_at_once_is_no_alert() -> None:
    desk = Desk(after_s=5.0)
    for _ in range(3):
        desk.begin(Kind.UPSTREAM_DOWN, "A", 1.0, opend="A")
        desk.over(Kind.UPSTREAM_DOWN, "A", 3.0, opend="A")
    assert desk.due(100.0) == []


def test_what_comes_and_goes_is_told_as_one() -> None:
    desk = Desk(after_s=5.0)
    told = []
    for round_at in range(0, 3600, 12):  # six seconds down, six seconds up, for an hour
        for second in range(12):
            now = float(round_at + second)
            if second == 0:
                desk.begin(Kind.UPSTREAM_DOWN, "A", now, opend="A")
            if second == 6:
                desk.over(Kind.UPSTREAM_DOWN, "A", now, opend="A")
            told += [(now, event) for event, _kind, _subject in desk.due(now)]
    assert told == [(5.0, "begin"), (6.0, "over"), (17.0, "begin")]
    ended = 3600.0 - 6
    assert desk.alarm.next_due() == ended + CALM_MAX_S
    (alert,) = desk.alarm.due(ended + CALM_MAX_S)
    said = payload_of(alert, 0.0, "box")
    assert (said["event"], said["lasted_s"], said["times"]) == ("over", ended - 12.0, 300)
    assert str(said["text"]).startswith("opendmux on box: over after 59 min; it came 300 times: OpenD at A is not conn")
    desk.begin(Kind.UPSTREAM_DOWN, "A", 9000.0, opend="A")
    assert desk.due(9005.0) == [("begin", Kind.UPSTREAM_DOWN, "A")], "after a long calm it is news again"
    desk.over(Kind.UPSTREAM_DOWN, "A", 9006.0, opend="A")
    assert desk.due(9006.0) == [("over", Kind.UPSTREAM_DOWN, "A")]


def test_what_came_back_once_is_over_after_a_short_calm() -> None:
    desk = Desk(after_s=0.0, repeat_s=1000.0)
    desk.begin(Kind.MUTE, "HK", 0.0)
    desk.due(0.0)
    desk.over(Kind.MUTE, "HK", 50.0)
    assert desk.due(50.0) == [("over", Kind.MUTE, "HK")]
    desk.begin(Kind.MUTE, "HK", 100.0)
    assert desk.due(100.0) == [("begin", Kind.MUTE, "HK")]
    desk.over(Kind.MUTE, "HK", 150.0)
    assert desk.due(150.0) == []
    assert desk.due(150.0 + CALM_FIRST_S) == [("over", Kind.MUTE, "HK")]
    assert desk.alarm.next_due() == math.inf


def test_what_comes_and_goes_and_stays_is_told_again_by_reminders() -> None:
    desk = Desk(after_s=0.0, repeat_s=600.0, over=False)
    for begun in (0.0, 10.0, 20.0):
        desk.begin(Kind.MUTE, "HK", begun)
        desk.due(begun)
        if begun < 20.0:
            desk.over(Kind.MUTE, "HK", begun + 5)
    assert desk.due(619.0) == []
    assert desk.due(620.0) == [("reminder", Kind.MUTE, "HK")]
    desk.over(Kind.MUTE, "HK", 700.0)
    assert desk.due(5000.0) == []
    assert desk.alarm.next_due() == math.inf


def test_reminders() -> None:
    desk = Desk(after_s=0.0, repeat_s=600.0)
    desk.begin(Kind.MUTE, "HK", 0.0, "None for 60 s.")
    assert desk.due(0.0) == [("begin", Kind.MUTE, "HK")]
    assert desk.alarm.next_due() == 600.0
    desk.begin(Kind.MUTE, "HK", 500.0, "None for 560 s.")
    (alert,) = desk.alarm.due(600.0)
    assert (alert.event, alert.condition.figures) == ("reminder", "None for 560 s.")
    assert desk.due(700.0) == []
    assert desk.due(1200.0) == [("reminder", Kind.MUTE, "HK")]


def test_one_opend_that_serves_alone_and_in_a_group_is_told_of_once() -> None:
    desk = Desk(after_s=5.0, repeat_s=100.0)
    member = ["A"]
    desk.members["A or B"] = lambda: (member[0], "A")
    desk.begin(Kind.KICKED, "A or B", 1.0, opend="A or B")
    desk.begin(Kind.KICKED, "A", 1.0, opend="A")
    assert desk.due(6.0) == [("begin", Kind.KICKED, "A or B")]
    assert desk.due(16.0) == [], "looked at, and told by another name still"
    assert desk.due(106.0) == [("reminder", Kind.KICKED, "A or B")]
    desk.over(Kind.KICKED, "A or B", 107.0, opend="A or B")
    assert desk.due(107.0) == [("over", Kind.KICKED, "A or B")]
    assert desk.due(106.0 + AGAIN_S) == [("begin", Kind.KICKED, "A")], "it was over there alone"
    desk.over(Kind.KICKED, "A", 120.0, opend="A")
    assert desk.due(120.0) == [("over", Kind.KICKED, "A")]


def test_what_ends_by_both_names_is_over_once() -> None:
    desk = Desk(after_s=5.0)
    desk.members["A or B"] = lambda: ("A", "A")
    for name, cause in (("A", ""), ("A or B", "trade")):
        desk.begin(Kind.UPSTREAM_DOWN, "A", 1.0, opend=name, cause=cause)
    for market in ("HK stocks", "US stocks"):
        for name in ("A", "A or B"):
            desk.begin(Kind.RIGHT_LOST, market, 1.0, opend=name)
    lost = "HK stocks, US stocks"
    assert desk.due(6.0) == [("begin", Kind.UPSTREAM_DOWN, "A"), ("begin", Kind.RIGHT_LOST, lost)]
    for name in ("A", "A or B"):
        desk.over(Kind.UPSTREAM_DOWN, "A", 7.0, opend=name)
    assert desk.due(100.0) == [("over", Kind.UPSTREAM_DOWN, "A")]


def test_the_same_of_another_opend_is_told_too() -> None:
    desk = Desk(after_s=0.0)
    member = ["A"]
    desk.members["A or B"] = lambda: (member[0], "A")
    desk.begin(Kind.KICKED, "A", 1.0, opend="A")
    desk.begin(Kind.KICKED, "A or B", 1.0, opend="A or B")
    assert desk.due(1.0) == [("begin", Kind.KICKED, "A")]
    member[0] = "B"
    desk.begin(Kind.KICKED, "A or B", 2.0, opend="A or B")
    assert desk.due(1.0 + AGAIN_S) == [("begin", Kind.KICKED, "A or B")], "B was logged out as well"
    for name in ("A", "A or B"):  # these are about orders, which each has for itself
        desk.begin(Kind.ORDERS_LEFT, "bot", 20.0, opend=name)
    assert len(desk.alarm.due(20.0)) == 2


def test_only_what_is_wanted() -> None:
    desk = Desk(after_s=0.0, kinds=frozenset({Kind.MUTE}), over=False)
    desk.begin(Kind.KICKED, "A", 0.0)
    desk.begin(Kind.MUTE, "HK", 0.0)
    assert desk.due(0.0) == [("begin", Kind.MUTE, "HK")]
    desk.over(Kind.MUTE, "HK", 1.0)
    assert desk.due(1.0) == []


def test_single_events_come_at_once_and_are_bounded() -> None:
    desk = Desk(after_s=60.0)
    desk.happened(Kind.OUTCOME_UNKNOWN, "#7", 1.0, "2202 Trd_PlaceOrder: x.")
    assert desk.due(1.0) == [("happened", Kind.OUTCOME_UNKNOWN, "#7")]
    for number in range(EVENTS_MAX + 7):
        desk.happened(Kind.OUTCOME_UNKNOWN, f"key {number}", 2.0)
    assert desk.alarm.dropped == 7
    (alert,) = desk.alarm.due(2.0)
    assert alert.condition.subject.startswith("key 7, key 8, ")
    assert alert.condition.subject.endswith(f" and {EVENTS_MAX - SUBJECTS_SHOWN} more")
    assert alert.condition.times == EVENTS_MAX


def test_what_comes_together_is_one_alert() -> None:
    desk = Desk(after_s=5.0)
    for market, before in (("HK stocks", "LV2"), ("US stocks", "LV1")):
        desk.begin(Kind.RIGHT_LOST, market, 1.0, f"{before} before, BMP now.", opend=NAME)
    desk.begin(Kind.RIGHT_LOST, "HK stocks", 1.0, "LV1 before, BMP now.", opend="other")
    first, second = desk.alarm.due(6.0)
    assert first.condition.subject == "HK stocks, US stocks"
    assert first.condition.figures == "HK stocks: LV2 before, BMP now. US stocks: LV1 before, BMP now."
    assert "quote right for HK stocks, US stocks:" in first.condition.conclusion
    assert second.condition.opend == "other"
    for market in ("HK stocks", "US stocks"):
        desk.over(Kind.RIGHT_LOST, market, 9.0, opend=NAME)
    (alert,) = desk.alarm.due(9.0)
    assert (alert.event, alert.condition.subject, alert.condition.times) == ("over", "HK stocks, US stocks", 1)


def test_an_alert_keeps_what_was_so_when_it_was_made() -> None:
    desk = Desk(after_s=0.0)
    desk.begin(Kind.QUOTA, "history", 0.0, "95 of 100 are used.", cause="history")
    (alert,) = desk.alarm.due(0.0)
    desk.begin(Kind.QUOTA, "history", 0.0, "99 of 100 are used.", cause="history")
    assert alert.condition.figures == "95 of 100 are used."


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ("begin", f'opendmux on box: {KICKED} OpenD says: "x".\nNext step: Find the other terminal'),
        ("reminder", "opendmux on box: for 5 min now: OpenD at A was logged out"),
        ("over", "opendmux on box: over after 5 min: OpenD at A was logged out"),
    ],
)
def test_the_payload(event: str, text: str) -> None:
    desk = Desk(after_s=0.0)
    desk.begin(Kind.KICKED, "A", 100.0, 'OpenD says: "x".', opend="A")
    (condition,) = desk.active()
    said = payload_of(Alert(event, condition, 400.0), 1_700_000_000.0, "box")  # type: ignore[arg-type]
    assert str(said["text"]).startswith(text)
    assert (said["event"], said["kind"], said["opend"], said["subject"]) == (event, "kicked", "A", "A")
    assert (said["since"], said["time"]) == ("2023-11-14T22:15:00.000000Z", "2023-11-14T22:20:00.000000Z")
    assert (said["lasted_s"], said["times"], said["figures"]) == (300.0, 1, 'OpenD says: "x".')
    assert said["conclusion"] == condition.conclusion
    assert said["next_step"] == condition.next_step


def test_a_trial_says_that_it_is_one() -> None:
    said = payload_of(trial(1.0), 0.0, "box")
    assert (said["event"], said["kind"]) == ("test", "test")
    assert said["text"] == (
        "opendmux on box: This is a test: alerts of opendmux arrive here.\nNext step: Nothing is to be done."
    )
