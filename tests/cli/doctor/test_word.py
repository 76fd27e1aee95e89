"""What is said of OpenD's own word; each state of the simulator is in tests/e2e/test_doctor.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from opendmux.cli.doctor._finding import Section, State
from opendmux.cli.doctor._told import Told
from opendmux.cli.doctor._word import Word, judge
from opendmux.core.condition_texts import TEXTS, Kind
from opendmux.core.notices import Program
from opendmux.core.program import STARTING, STATES
from opendmux.wire.pb import opend

from .kit import only, states


def word(*, state: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **known: Any) -> Word:
    """A healthy one, but for what is said."""
    status: dict[str, Any] = {"qotLogined": True, "trdLogined": True, "serverBuildNo": 7108}
    status |= {"programStatus": {"type": 10}} | (state or {})
    rights: dict[str, Any] = {"hkQotRight": 3, "usQotRight": 2, "subQuota": 100, "historyKLQuota": 30} | (user or {})
    details: dict[str, Any] = {
        "name": "127.0.0.1:11111",
        "server_ver": 1011,
        "state": opend.GetGlobalStateS2C(**status),
        "user": opend.GetUserInfoS2C(**rights),
        "subscriptions": opend.GetSubInfoS2C(totalUsedQuota=10, remainQuota=90),
        "refusals": {},
        "clock_ahead_s": 0.1,
    }
    return Word(**(details | known))


def judged(said: Word, **sdks: str) -> Section:
    section = Section("OpenD")
    judge(said, section, {name.replace("_", "-"): version for name, version in sdks.items()})
    return section


def test_a_healthy_one() -> None:
    section = judged(word(), futu_api="10.11.7108")
    assert set(states(section).values()) == {State.OK}
    assert only(section, "quota").figures == "10 of 100 subscriptions used, historical candles of 30 securities"
    assert only(section, "quote rights").figures == "HK stocks LV2, US stocks LV1"
    assert "OpenD 10.11 (build 7108), futu-api 10.11.7108" in only(section, "OpenD's version").figures


def test_every_state_of_the_program_is_ready_starting_or_a_condition() -> None:
    assert set(STATES) | STARTING | {Program.READY} == set(Program)
    assert all(TEXTS.get(known) for known in STATES.values()), "said in the proxy's own sentences"


@pytest.mark.parametrize("status", sorted(set(Program) - {Program.READY}))
def test_an_opend_that_is_not_ready(status: int) -> None:
    section = judged(word(state={"programStatus": {"type": status, "strExtDesc": "its own\x1b words"}}))
    found = only(section, "program")
    assert found.state is State.PROBLEM
    assert "OpenD says: its own? words" in found.figures


@pytest.mark.parametrize("status", sorted(set(Program) - {Program.READY}))
def test_that_it_has_no_logins_then_is_no_problem_of_its_own(status: int) -> None:
    said = word(state={"qotLogined": False, "trdLogined": False, "programStatus": {"type": status}})
    section = judged(said)
    assert [check for check, state in states(section).items() if state is State.PROBLEM] == ["program"]
    assert only(section, "trade login").state is State.SKIPPED


def test_a_state_that_is_new() -> None:
    assert only(judged(word(state={"programStatus": {"type": 99}})), "program").state is State.UNKNOWN


def test_the_sentences_name_the_opend() -> None:
    found = only(judged(word(state={"qotLogined": False})), "quote login")
    assert found.conclusion == "OpenD at 127.0.0.1:11111 has lost its login for quotes: prices do not move."


@pytest.mark.parametrize(
    ("server_ver", "sdk", "state", "said"),
    [
        (1011, "10.11.7108", State.OK, "the one that opendmux was written for"),
        (1010, "10.11.7108", State.WARNING, "older than futu-api 10.11.7108"),
        (1010, "10.10.1", State.WARNING, "older than the 10.11"),
        (1012, "10.11.7108", State.OK, "newer than the 10.11"),
        (1011, "what", State.OK, "the one that"),
    ],
)
def test_versions(server_ver: int, sdk: str, state: State, said: str) -> None:
    found = only(judged(word(server_ver=server_ver), futu_api=sdk), "OpenD's version")
    assert found.state is state
    assert said in found.conclusion


def test_without_an_sdk() -> None:
    assert "no SDK in this Python" in only(judged(word()), "OpenD's version").figures


@pytest.mark.parametrize(
    ("ahead", "state", "said"),
    [
        (4.9, State.OK, "agree"),
        (-5.1, State.WARNING, "5 s behind"),
        (90.0, State.WARNING, "90 s ahead of"),
        (None, State.UNKNOWN, ""),
    ],
)
def test_the_clock(ahead: float | None, state: State, said: str) -> None:
    found = only(judged(word(clock_ahead_s=ahead)), "clock")
    assert found.state is state
    assert said in found.conclusion


def test_rights() -> None:
    some = only(judged(word(user={"hkQotRight": 1})), "quote rights")
    assert (some.state, "BMP, for HK stocks:" in some.conclusion) == (State.WARNING, True)
    none = only(judged(word(user={"hkQotRight": 1, "usQotRight": 5})), "quote rights")
    assert none.state is State.PROBLEM
    assert 'quote_right = "when-lost"' in none.next_step
    silent = replace(word(), user=opend.GetUserInfoS2C())
    assert only(judged(silent), "quote rights").state is State.UNKNOWN


def test_a_right_that_is_asked_back_already_needs_no_setting() -> None:
    lost = word(user={"hkQotRight": 1}, asks_back=True, several=True)
    found = only(judged(lost), "quote rights")
    said = TEXTS[Kind.RIGHT_LOST, "asked_back"].next_step
    said = said.replace("opendmux opend", f"opendmux opend --opend {lost.name}")
    assert found.next_step.endswith(said), "in the words of the running proxy"


@pytest.mark.parametrize(
    ("right", "words"), [(1, "It was lost."), (5, "It was lost."), (2, "OpenD has quote rights.")], ids=str
)
def test_a_right_that_the_running_proxy_tells_of_is_told_in_its_words(right: int, words: str) -> None:
    told = (Told("right_lost", "US stocks, HK stocks", "It was lost.", "LV2 before.", "Take it back."),)
    found = only(judged(word(user={"hkQotRight": right}, told=told)), "quote rights")
    assert found.conclusion == words
    if right != 2:
        assert (found.state, found.next_step) == (State.PROBLEM, "Take it back.")
        assert found.figures.startswith("HK stocks ")
        assert found.figures.endswith(". LV2 before.")
    elsewhere = (told[0]._replace(subject="SG stocks"),)
    assert only(judged(word(user={"hkQotRight": 1}, told=elsewhere)), "quote rights").state is State.WARNING


def test_so_is_a_login() -> None:
    told = (Told("login_lost", "trade", "It has no login.", "", "Nothing, or relogin."),)
    section = judged(word(state={"qotLogined": False, "trdLogined": False}, told=told))
    assert only(section, "trade login").conclusion == "It has no login."
    assert "has lost its login for quotes" in only(section, "quote login").conclusion


def test_quota() -> None:
    full = only(judged(word(subscriptions=opend.GetSubInfoS2C(totalUsedQuota=90, remainQuota=10))), "quota")
    assert full.state is State.WARNING
    assert "nearly used up" in full.conclusion
    without = only(judged(word(subscriptions=None)), "quota")
    assert without.figures == "100 subscriptions, historical candles of 30 securities"
    nothing = judged(word(subscriptions=None, user={}, refusals={"Qot_GetSubInfo": "too often"}))
    assert only(nothing, "quota").state is State.OK


def test_what_is_refused_is_quoted() -> None:
    refusals = {"GetGlobalState": "no answer", "GetUserInfo": "no", "KeepAlive": "closed", "Qot_GetSubInfo": "no"}
    section = judged(word(refusals=refusals, kept=False, subscriptions=None), futu_api="10.11.1")
    assert only(section, "keep-alive").figures == "KeepAlive: closed"
    dumb = Word("x", 1011, None, None, None, refusals)
    section = judged(dumb)
    assert only(section, "program").figures == "GetGlobalState: no answer"
    assert states(section)["quote rights"] is State.UNKNOWN
    assert only(section, "quota").figures == "Qot_GetSubInfo: no"
