"""The state of OpenD's program and of its logins, as conditions: what it waits for, and what a person must do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .condition_texts import NO_TRADE
from .conditions import Conditions, Kind
from .notices import ConnStatus, Event, GtwEvent, Program, ProgramStatus, program_name

__all__ = ["STARTING", "STATES", "ProgramWatch"]

START_S: Final = 60.0
"""A program that is loading, logging in or preparing its data for longer than this is stuck."""

SAID_MAX: Final = 200
"""Characters of OpenD's own words that are repeated."""

STATES: Final[Mapping[int, tuple[Kind, str]]] = {
    Program.PICTURE_CODE: (Kind.CODE_NEEDED, "picture"),
    Program.PHONE_CODE: (Kind.CODE_NEEDED, "phone"),
    Program.LOGIN_FAILED: (Kind.PROGRAM, "login_failed"),
    Program.FORCE_UPDATE: (Kind.PROGRAM, "update_forced"),
    Program.DATA_MISSING: (Kind.PROGRAM, "data_missing"),
    Program.DISCLAIMER_NOT_AGREED: (Kind.PROGRAM, "agreement"),
    Program.DISCLAIMER_NOT_FETCHED: (Kind.PROGRAM, "agreement_unknown"),
    Program.FORCED_LOGOUT: (Kind.KICKED, ""),
}
"""States in which it waits for a person."""

_BEGINS: Final[Mapping[int, tuple[Kind, str]]] = {
    Event.FORCE_UPDATE: (Kind.PROGRAM, "update_forced"),
    Event.LOGIN_FAILED: (Kind.PROGRAM, "login_failed"),
    Event.DISCLAIMER_NOT_AGREED: (Kind.PROGRAM, "agreement"),
    Event.KICKED_OUT: (Kind.KICKED, ""),
    Event.PICTURE_CODE: (Kind.CODE_NEEDED, "picture"),
    Event.PHONE_CODE: (Kind.CODE_NEEDED, "phone"),
    Event.APP_DATA_MISSING: (Kind.PROGRAM, "data_missing"),
    Event.NECESSARY_DATA_MISSING: (Kind.PROGRAM, "data_missing"),
}
"""Events after which it is in such a state. They end when its state is told and says otherwise."""

_HAPPENS: Final[Mapping[int, str]] = {
    Event.LOCAL_CONFIG_FAILED: "config_failed",
    Event.API_SERVER_FAILED: "api_failed",
    Event.NET_CONFIG_MISSING: "net_config_missing",
    Event.LOGIN_PASSWORD_CHANGED: "password_changed",
    Event.LOGIN_BANNED: "banned",
    Event.TRADE_PASSWORD_CHANGED: "trade_password_changed",
    Event.ENABLE_DEVICE_LOCK: "device_lock",
}
"""Events without such a state, by the cause of `Kind.PROGRAM` under which they are told."""

STARTING: Final = frozenset({Program.NONE, Program.LOADED, Program.LOGGING_IN, Program.DATA_PREPARING})
"""States that pass by themselves."""

_KINDS: Final = (Kind.CODE_NEEDED, Kind.KICKED, Kind.PROGRAM)
"""One of these at a time."""


class ProgramWatch:
    """Of one OpenD, by its ``name``. ``trades``: its login for trading is meant too; of a group that may be another
    OpenD's.

    While it waits for a person it has no logins either: that is one piece of news, with one next step. While it starts
    it has none yet: that is no news before `due` says so. A login that was lost before stays lost meanwhile.
    """

    def __init__(self, conditions: Conditions, name: str, *, trades: bool = True) -> None:
        self._conditions = conditions
        self._name = name
        self._implied = ("quote", "trade") if trades else ("quote",)
        self._status: int | None = None
        self._starting_since: float | None = None
        self._has_traded = False
        """It had its login for trading since the start; an account that does not trade never has."""

    def event(self, event: GtwEvent, now: float) -> None:
        """Something happened to it. A number that is new says nothing."""
        if event.event in _BEGINS:
            self._begin(*_BEGINS[event.event], _said(event.text), now)
        elif event.event in _HAPPENS:
            cause = _HAPPENS[event.event]
            self._conditions.happened(Kind.PROGRAM, self._name, now, _said(event.text), opend=self._name, cause=cause)

    def status(self, status: ProgramStatus, now: float) -> None:
        """It is in this state."""
        self._status = status.status
        waits_for = STATES.get(status.status)
        if waits_for is not None:
            self._starting_since = None
            self._begin(*waits_for, _said(status.text), now)
        elif status.status == Program.READY:
            self.ready(now)
        elif status.status in STARTING and self._starting_since is None:
            self._starting_since = now
            # It has got past the code that it was waiting for.
            self._conditions.over(Kind.CODE_NEEDED, self._name, now, opend=self._name)

    def ready(self, now: float) -> None:
        """All is well with it."""
        self._starting_since = None
        self._end(now)

    def login(self, which: str, logged_in: bool, now: float) -> None:
        """``which``: ``quote`` or ``trade``."""
        self._has_traded |= logged_in and which == "trade"
        if logged_in or (which in self._implied and self._conditions.of(self._name, *_KINDS)):
            self._conditions.over(Kind.LOGIN_LOST, which, now, opend=self._name)
        elif which not in self._implied or self._starting_since is None:
            cause = NO_TRADE if which == "trade" and not self._has_traded else which
            self._conditions.begin(Kind.LOGIN_LOST, which, now, opend=self._name, cause=cause)

    def logins(self, main: ConnStatus | None, trade: ConnStatus | None, now: float) -> None:
        """Quotes are the main connection's, trading is the trade connection's. None: not known."""
        if main is not None:
            self.login("quote", main.quote, now)
        if trade is not None:
            self.login("trade", trade.trade, now)

    def due(self, now: float) -> None:
        """Has it been starting for too long?"""
        if self._starting_since is not None and now - self._starting_since >= START_S:
            figures = "" if self._status is None else f"State: {program_name(self._status)}."
            self._begin(Kind.PROGRAM, "starting", figures, now)

    def gone(self) -> None:
        """The connection is lost: whether it is starting is not known."""
        self._starting_since = None

    def _begin(self, kind: Kind, cause: str, figures: str, now: float) -> None:
        self._end(now, but=kind)
        self._conditions.begin(kind, self._name, now, figures, opend=self._name, cause=cause)
        for which in self._implied:
            self._conditions.over(Kind.LOGIN_LOST, which, now, opend=self._name)

    def _end(self, now: float, but: Kind | None = None) -> None:
        for kind in _KINDS:
            if kind is not but:
                self._conditions.over(kind, self._name, now, opend=self._name)


def _said(text: str) -> str:
    """OpenD's own words, as a sentence of ours; empty for none."""
    words = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    if len(words) > SAID_MAX:
        words = words[:SAID_MAX] + "..."
    return f'OpenD says: "{words}".' if words else ""
