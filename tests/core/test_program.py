"""The state of OpenD's program, as conditions: every state and every event."""

from __future__ import annotations

import pytest

from opendmux.core.conditions import Conditions, Kind
from opendmux.core.notices import ConnStatus, Event, GtwEvent, Program, ProgramStatus
from opendmux.core.program import SAID_MAX, START_S, ProgramWatch

NAME = "127.0.0.1:11111"

STATES = {
    Program.NONE: None,
    Program.LOADED: None,
    Program.LOGGING_IN: None,
    Program.PICTURE_CODE: (Kind.CODE_NEEDED, "picture"),
    Program.PHONE_CODE: (Kind.CODE_NEEDED, "phone"),
    Program.LOGIN_FAILED: (Kind.PROGRAM, "login_failed"),
    Program.FORCE_UPDATE: (Kind.PROGRAM, "update_forced"),
    Program.DATA_PREPARING: None,
    Program.DATA_MISSING: (Kind.PROGRAM, "data_missing"),
    Program.DISCLAIMER_NOT_AGREED: (Kind.PROGRAM, "agreement"),
    Program.READY: None,
    Program.FORCED_LOGOUT: (Kind.KICKED, ""),
    Program.DISCLAIMER_NOT_FETCHED: (Kind.PROGRAM, "agreement_unknown"),
}

EVENTS = {
    Event.LOCAL_CONFIG_FAILED: (Kind.PROGRAM, "config_failed", True),
    Event.API_SERVER_FAILED: (Kind.PROGRAM, "api_failed", True),
    Event.FORCE_UPDATE: (Kind.PROGRAM, "update_forced", False),
    Event.LOGIN_FAILED: (Kind.PROGRAM, "login_failed", False),
    Event.DISCLAIMER_NOT_AGREED: (Kind.PROGRAM, "agreement", False),
    Event.NET_CONFIG_MISSING: (Kind.PROGRAM, "net_config_missing", True),
    Event.KICKED_OUT: (Kind.KICKED, "", False),
    Event.LOGIN_PASSWORD_CHANGED: (Kind.PROGRAM, "password_changed", True),
    Event.LOGIN_BANNED: (Kind.PROGRAM, "banned", True),
    Event.PICTURE_CODE: (Kind.CODE_NEEDED, "picture", False),
    Event.PHONE_CODE: (Kind.CODE_NEEDED, "phone", False),
    Event.APP_DATA_MISSING: (Kind.PROGRAM, "data_missing", False),
    Event.NECESSARY_DATA_MISSING: (Kind.PROGRAM, "data_missing", False),
    Event.TRADE_PASSWORD_CHANGED: (Kind.PROGRAM, "trade_password_changed", True),
    Event.ENABLE_DEVICE_LOCK: (Kind.PROGRAM, "device_lock", True),
}


def now_wrong(book: Conditions) -> list[tuple[Kind, str, str]]:
    return [(one.kind, one.cause, one.figures) for one in book.active()]


@pytest.mark.parametrize("state", Program)
def test_every_state(state: Program) -> None:
    book = Conditions()
    watch = ProgramWatch(book, NAME)
    watch.status(ProgramStatus(state, "why"), 1.0)
    expected = STATES[state]
    assert now_wrong(book) == ([] if expected is None else [(*expected, 'OpenD says: "why".')])
    watch.status(ProgramStatus(Program.READY, ""), 2.0)
    assert now_wrong(book) == []


@pytest.mark.parametrize("event", Event)
def test_every_event(event: Event) -> None:
    book = Conditions()
    watch = ProgramWatch(book, NAME)
    watch.event(GtwEvent(event, ""), 1.0)
    kind, cause, single = EVENTS[event]
    assert now_wrong(book) == ([] if single else [(kind, cause, "")])
    assert [(one.kind, one.cause) for one in book.recent(1.0)] == ([(kind, cause)] if single else [])
    watch.ready(2.0)
    assert now_wrong(book) == []


def test_new_numbers_say_nothing() -> None:
    book = Conditions()
    watch = ProgramWatch(book, NAME)
    watch.event(GtwEvent(99, "x"), 1.0)
    watch.status(ProgramStatus(99, "x"), 1.0)
    watch.due(1000.0)
    assert book.active() == book.recent(1.0) == []


def test_one_at_a_time() -> None:
    book = Conditions()
    watch = ProgramWatch(book, NAME)
    watch.status(ProgramStatus(Program.PHONE_CODE, ""), 1.0)
    watch.status(ProgramStatus(Program.LOGGING_IN, ""), 2.0)
    assert now_wrong(book) == [], "the code was taken"
    watch.status(ProgramStatus(Program.LOGIN_FAILED, "wrong password"), 3.0)
    watch.status(ProgramStatus(Program.FORCED_LOGOUT, ""), 4.0)
    assert now_wrong(book) == [(Kind.KICKED, "", "")]


def test_starting_for_too_long() -> None:
    book = Conditions()
    watch = ProgramWatch(book, NAME)
    watch.status(ProgramStatus(Program.LOADED, ""), 0.0)
    watch.status(ProgramStatus(Program.DATA_PREPARING, ""), 30.0)
    watch.due(START_S - 1)
    assert now_wrong(book) == []
    watch.due(START_S)
    assert now_wrong(book) == [(Kind.PROGRAM, "starting", "State: preparing data.")]
    watch.ready(100.0)
    watch.due(1000.0)
    assert now_wrong(book) == []
    watch.status(ProgramStatus(Program.LOADED, ""), 0.0)
    watch.gone()
    watch.due(2000.0)
    assert now_wrong(book) == []


def test_logins_one_by_one() -> None:
    book = Conditions()
    watch = ProgramWatch(book, NAME)
    watch.logins(ConnStatus(False, True), ConnStatus(True, False), 1.0)
    assert [(one.subject, one.cause, one.blocks) for one in book.active()] == [
        ("quote", "quote", True),
        ("trade", "no_trade", False),
    ]
    watch.logins(ConnStatus(True, False), None, 2.0)
    assert [one.subject for one in book.active()] == ["trade"]
    watch.logins(None, ConnStatus(False, True), 3.0)
    assert book.active() == []
    watch.logins(None, ConnStatus(True, False), 4.0)
    assert [(one.subject, one.cause, one.blocks) for one in book.active()] == [("trade", "trade", True)]


def test_opends_words_are_tamed() -> None:
    book = Conditions()
    watch = ProgramWatch(book, NAME)
    watch.status(ProgramStatus(Program.LOGIN_FAILED, "a\nb\x1b[31m" + "x" * 1000), 1.0)
    (one,) = book.active()
    assert one.figures.startswith('OpenD says: "a b [31mxxx')
    assert len(one.figures) < SAID_MAX + 30
