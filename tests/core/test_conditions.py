"""The book of what is wrong, and the sentences about it."""

from __future__ import annotations

import re

import pytest

from opendmux.core.condition_texts import TEXTS
from opendmux.core.conditions import RECENT_MAX, RECENT_S, SAME_S, Condition, Conditions, Kind, together

NAME = "127.0.0.1:11111"


class Book(Conditions):
    """Puts down what it tells."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, Kind, str, str, float]] = []
        self.on_change.append(
            lambda change, one, now: self.told.append((change, one.kind, one.subject, one.cause, now))
        )


def test_begin_and_over_are_told_once() -> None:
    book = Book()
    for now in (1.0, 2.0):
        book.begin(Kind.MUTE, "HK", now, f"for {now:g} s", opend=NAME)
    (one,) = book.active()
    assert (one.since, one.figures, one.opend, one.single) == (1.0, "for 2 s", NAME, False)
    book.over(Kind.MUTE, "HK", 5.0)
    assert len(book.active()) == 1, "that was no OpenD's"
    for now in (6.0, 7.0):
        book.over(Kind.MUTE, "HK", now, opend=NAME)
    assert book.told == [("begin", Kind.MUTE, "HK", "", 1.0), ("over", Kind.MUTE, "HK", "", 6.0)]
    assert book.active() == []
    assert book.begun == {Kind.MUTE: 1}


def test_another_cause_is_another_condition() -> None:
    book = Book()
    book.begin(Kind.CODE_NEEDED, NAME, 1.0, cause="phone")
    book.begin(Kind.CODE_NEEDED, NAME, 2.0, cause="picture")
    assert [(change, cause) for change, _, _, cause, _ in book.told] == [
        ("begin", "phone"),
        ("over", "phone"),
        ("begin", "picture"),
    ]
    assert [one.since for one in book.active()] == [2.0]


def test_what_differs_in_its_subject_alone_is_one_for_people() -> None:
    book = Book()
    book.begin(Kind.RIGHT_LOST, "HK stocks", 1.0, "LV2 before, BMP now.", opend=NAME)
    book.begin(Kind.KEY_EXPIRING, "a", 2.0, "Expires: soon.")
    book.begin(Kind.RIGHT_LOST, "US stocks", 3.0, "LV2 before, BMP now.", opend=NAME)
    book.begin(Kind.RIGHT_LOST, "US stocks", 3.0, "LV2 before, LV1 now.", opend="other")
    book.begin(Kind.KEY_EXPIRING, "b", 4.0, "Expires: soon.")
    found = together(book.active())
    assert [(one.kind, one.opend, one.subject, one.since) for one in found] == [
        (Kind.RIGHT_LOST, NAME, "HK stocks, US stocks", 1.0),
        (Kind.KEY_EXPIRING, "", "a", 2.0),
        (Kind.RIGHT_LOST, "other", "US stocks", 3.0),
        (Kind.KEY_EXPIRING, "", "b", 4.0),
    ], "a key has a command of its own"
    assert found[0].figures == "LV2 before, BMP now."
    book.begin(Kind.RIGHT_LOST, "US stocks", 5.0, "LV1 before, BMP now.", opend=NAME)
    assert together(book.active())[0].figures == "HK stocks: LV2 before, BMP now. US stocks: LV1 before, BMP now."
    assert len(book.active()) == 5, "the book itself is as it was"


def test_commands_say_which_of_several_opends_is_meant() -> None:
    book = Book()
    book.begin(Kind.CODE_NEEDED, NAME, 1.0, opend=NAME, cause="phone")
    book.several = True
    book.begin(Kind.CODE_NEEDED, "b:1", 1.0, opend="b:1", cause="phone")
    book.begin(Kind.CODE_NEEDED, "c:1 or d:1", 1.0, opend="c:1 or d:1", cause="phone")
    book.begin(Kind.KEY_EXPIRING, "bot", 1.0)
    alone, several, group, key = (one.next_step for one in book.active())
    assert "opendmux opend input_phone_verify_code -code=123456" in alone
    assert "opendmux opend --opend b:1 input_phone_verify_code -code=123456" in several
    assert "opendmux opend --opend b:1 req_phone_verify_code" in several
    assert "opendmux opend input_phone_verify_code" in group, "a group has no name for commands"
    assert "opendmux keys rotate bot --keys FILE --overlap 1h --expires 30d" in key, (
        "without an end it keeps the old one"
    )
    book.happened(Kind.PROGRAM, "b:1", 1.0, opend="b:1", cause="banned")
    assert book.recent(1.0)[0].one_of_several


def test_single_events_count_on_and_fade() -> None:
    book = Book()
    for now in (0.0, SAME_S, 2 * SAME_S + 1 + SAME_S):
        book.happened(Kind.OUTCOME_UNKNOWN, "desk", now, f"at {now:g}")
    assert [(one.times, one.single) for one in book.recent(200.0)] == [(2, True), (1, True)]
    assert [change for change, *_ in book.told] == ["happened", "happened"]
    assert len(book.recent(SAME_S + RECENT_S + 1)) == 1
    assert book.recent(10 * RECENT_S) == []
    assert book.active() == []
    for number in range(2 * RECENT_MAX):
        book.happened(Kind.OUTCOME_UNKNOWN, f"#{number}", 1.0)
    assert len(book.recent(1.0)) == RECENT_MAX


def test_a_single_event_that_two_connections_hear_of_is_one() -> None:
    book = Book()
    book.members["A or B"] = lambda: ("B", "A")
    for opend in ("A or B", "B", "A"):
        book.happened(Kind.PROGRAM, opend, 1.0, opend=opend, cause="banned")
        book.happened(Kind.OUTCOME_UNKNOWN, "bot", 1.0, opend=opend)
    heard = [(one.kind, one.opend, one.times) for one in book.recent(1.0)]
    assert heard[:2] == [(Kind.PROGRAM, "A or B", 1), (Kind.OUTCOME_UNKNOWN, "A or B", 1)]
    assert heard[2:] == [(Kind.OUTCOME_UNKNOWN, "B", 1), (Kind.PROGRAM, "A", 1), (Kind.OUTCOME_UNKNOWN, "A", 1)]


def test_what_is_found() -> None:
    book = Conditions()
    book.begin(Kind.LOGIN_LOST, "trade", 1.0, opend=NAME, cause="trade")
    book.begin(Kind.AUDIT, "/a", 1.0)
    assert [one.kind for one in book.of(NAME)] == [Kind.LOGIN_LOST]
    assert book.of(NAME, Kind.MUTE) == []
    assert book.find(Kind.AUDIT, "/a") is not None
    assert book.find(Kind.AUDIT, "/b") is None
    book.begin(Kind.KICKED, NAME, 1.0, opend=NAME)
    book.begin(Kind.MUTE, "HK", 1.0, opend=NAME)
    assert [one.blocks for one in book.active()] == [True, True, True, False]


@pytest.mark.parametrize(("kind", "cause"), sorted(TEXTS))
def test_every_text_is_whole(kind: Kind, cause: str) -> None:
    one = Condition(kind, NAME, "HK", cause, 0.0, "LV2 before, BMP now.")
    for text in (one.conclusion, one.next_step):
        assert not re.search(r"[{}]", text)
        assert text[:1].isupper() or text.startswith("opendmux ")
        assert "  " not in text
    assert one.conclusion.endswith(".")
    assert one.sentence == f"{one.conclusion} LV2 before, BMP now."
    assert NAME in one.conclusion or "HK" in one.conclusion


def test_every_kind_has_a_text() -> None:
    assert {kind for kind, _cause in TEXTS} == set(Kind)
    assert Condition(Kind.KICKED, NAME, "", "new cause", 0.0, "").conclusion
    # A kind with causes has no text of its own; whoever begins it names one of them.
    assert {kind for kind in Kind if (kind, "") not in TEXTS} == {
        Kind.CODE_NEEDED,
        Kind.LOGIN_LOST,
        Kind.QUOTA,
        Kind.PROGRAM,
    }


@pytest.mark.parametrize(
    ("kind", "cause", "words"),
    [
        (Kind.CODE_NEEDED, "phone", ["opendmux opend input_phone_verify_code -code=123456", "10 tries in 60 s"]),  # Q4
        (Kind.CODE_NEEDED, "picture", ["opendmux opend input_pic_verify_code -code=1234", "10 tries in 60 s"]),  # Q4
        (Kind.PROGRAM, "agreement", ["questionnaire", "agree"]),  # Q1
        (Kind.PROGRAM, "data_missing", ["Appdata.dat", "~/.com.futunn.FutuOpenD/F3CNN", "%appdata%"]),  # Q2
        (Kind.PROGRAM, "device_lock", ["Device.dat"]),  # Q6
        (Kind.KICKED, "", ["10 OpenDs", "opendmux opend relogin"]),  # Q8
        (Kind.RIGHT_LOST, "", ["auto_hold_quote_right=1", "auto_hold_quote_right=0", "10 s"]),  # Q9 to Q11
        (Kind.RIGHT_LOST, "", ["opendmux opend request_highest_quote_right"]),
        (Kind.RIGHT_LOST, "asked_back", ["opendmux opend request_highest_quote_right", "auto_hold_quote_right=0"]),
        (Kind.LOGIN_LOST, "quote", ["token has expired", "typing the password"]),  # Q12
        (Kind.PROGRAM, "update_forced", ["opendmux opend update", "in use", "website"]),  # Q19
    ],
)
def test_they_answer_the_official_questions(kind: Kind, cause: str, words: list[str]) -> None:
    said = Condition(kind, NAME, "HK", cause, 0.0, "").next_step
    assert [word for word in words if word not in said] == []
