"""OpenD's own word: version, program, logins, clock, rights, quota, update.

`ask` asks, `judge` decides. What is a condition that the proxy knows too is said in the same sentences.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from google.protobuf.message import Message

from opendmux.core.conditions import Condition, Kind
from opendmux.core.notices import NO_RIGHT, Program, market_name, program_name, right_name, right_rank, rights_in
from opendmux.core.opendstate import STATE_REQUEST, USER_REQUEST
from opendmux.core.program import STARTING, STATES
from opendmux.core.rights import cause_of
from opendmux.errors import RemoteProtocolError
from opendmux.wire import handshake
from opendmux.wire.frame import RetType
from opendmux.wire.messages import decode_untrusted, encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from opendmux.wording import printable, version_text

from ._call import Call, CallError
from ._finding import Section, State
from ._machine import said_sdks
from ._told import Told, find

__all__ = ["KNOWN_VERSION", "Word", "ask", "judge"]

KNOWN_VERSION: Final = 1011
"""Of OpenD and the SDKs for whose protocol opendmux was written, as major * 100 + minor."""
CLOCK_S: Final = 5.0
QUOTA_FULL: Final = 0.9
UPDATE_ADVISED, UPDATE_FORCED = 1, 2
"""GetUserInfo.UpdateType."""
BMP: Final = 1
"""Qot_Common.QotRight. With it nothing can be subscribed."""
TEXT_SHOWN: Final = 200

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Word:
    """What OpenD said. An answer is None where it refused or did not answer, and ``refusals`` says how."""

    name: str
    server_ver: int
    state: opend.GetGlobalStateS2C | None
    user: opend.GetUserInfoS2C | None
    subscriptions: opend.GetSubInfoS2C | None
    refusals: Mapping[str, str]
    clock_ahead_s: float | None = None
    """OpenD's clock minus ours; None: not told."""
    kept: bool = True
    """It answered a KeepAlive at the end."""
    several: bool = False
    """There are several OpenDs, so commands must say which one is meant."""
    asks_back: bool = False
    """The settings let opendmux ask a lost quote right back by itself."""
    told: Sequence[Told] = ()
    """What a running opendmux tells of this OpenD."""


def ask(call: Call, name: str, clock: Callable[[], float] = time.time) -> Word:
    """Four questions. ``name``: what OpenD is called; ``clock``: UTC seconds."""
    refusals: dict[str, str] = {}
    sub_request = encode(opend.GetSubInfoRequest(c2s=opend.GetSubInfoC2S(isReqAllConn=False)))
    begun = clock()
    state = _asked(call, ProtoId.GET_GLOBAL_STATE, STATE_REQUEST, opend.GetGlobalStateResponse, refusals)
    ended = clock()
    user = _asked(call, ProtoId.GET_USER_INFO, USER_REQUEST, opend.GetUserInfoResponse, refusals)
    subscriptions = _asked(call, ProtoId.QOT_GET_SUB_INFO, sub_request, opend.GetSubInfoResponse, refusals)
    ahead = None
    if state is not None and state.s2c.time:
        theirs = state.s2c.localTime or state.s2c.time + 0.5  # whole seconds are half a second late on average
        ahead = theirs - (begun + ended) / 2
    try:
        call.ask(ProtoId.KEEP_ALIVE, handshake.keep_alive_request(int(clock())))
        kept = True
    except CallError as error:
        refusals["KeepAlive"] = str(error)
        kept = False
    return Word(
        name,
        call.identity.server_ver,
        None if state is None else state.s2c,
        None if user is None else user.s2c,
        None if subscriptions is None else subscriptions.s2c,
        refusals,
        ahead,
        kept,
    )


def _asked(call: Call, proto_id: ProtoId, request: bytes, answer: type[M], refusals: dict[str, str]) -> M | None:
    name = {1002: "GetGlobalState", 1005: "GetUserInfo", 3003: "Qot_GetSubInfo"}[proto_id]
    try:
        response: M = decode_untrusted(answer, call.ask(proto_id, request), 0)
    except (CallError, RemoteProtocolError) as error:
        refusals[name] = str(error)
        return None
    head = response
    if getattr(head, "retType") != RetType.SUCCEED:  # noqa: B009 - every response has it, no base class says so
        refusals[name] = getattr(head, "retMsg") or "refused"  # noqa: B009
        return None
    return response


# -- the judgement


def judge(word: Word, section: Section, sdks: Mapping[str, str]) -> None:
    """Add what there is to say. ``sdks``: name -> version of those in this Python."""
    if word.state is None:
        section.say(
            State.PROBLEM,
            "program",
            "OpenD does not say how it is.",
            _refused(word, "GetGlobalState"),
            "Look at its window or log, and start it again.",
        )
    else:
        _program(word, word.state, section)
        _logins(word, word.state, section)
    _version(word, section, sdks)
    if word.user is not None:
        _update(word, word.user, section)
        _rights(word, word.user, section)
    else:
        section.say(
            State.UNKNOWN, "quote rights", "OpenD does not tell its quote rights.", _refused(word, "GetUserInfo")
        )
    _quota(word, section)
    _clock(word, section)
    _kept(word, section)


def _program(word: Word, state: opend.GetGlobalStateS2C, section: Section) -> None:
    if not state.HasField("programStatus"):
        section.say(State.UNKNOWN, "program", "OpenD does not tell the state of its program.")
        return
    status = state.programStatus
    figures = f"program status {status.type}, {program_name(status.type)}"
    if status.strExtDesc:
        figures += f"; OpenD says: {_quoted(status.strExtDesc)}"
    if status.type == Program.READY:
        section.say(State.OK, "program", "OpenD's program is ready.", figures)
    elif status.type in STATES:
        _condition(section, "program", word, *STATES[status.type], figures)
    elif status.type in STARTING:
        section.say(
            State.PROBLEM,
            "program",
            "OpenD is starting, and serves nothing yet.",
            figures,
            "Wait a minute and run doctor again; if it stays so, look at OpenD's window or console, and at its log.",
        )
    else:
        section.say(
            State.UNKNOWN,
            "program",
            "OpenD's program is in a state that opendmux does not know.",
            figures,
            "Look at OpenD's window or log.",
        )


def _condition(section: Section, check: str, word: Word, kind: Kind, cause: str, figures: str) -> None:
    """Said as the proxy says it."""
    condition = Condition(kind, word.name, word.name, cause, 0.0, figures, one_of_several=word.several)
    section.say(State.PROBLEM, check, condition.conclusion, figures, condition.next_step)


def _logins(word: Word, state: opend.GetGlobalStateS2C, section: Section) -> None:
    program = state.programStatus.type if state.HasField("programStatus") else Program.READY
    for cause, logged_in in (("quote", state.qotLogined), ("trade", state.trdLogined)):
        check, what = f"{cause} login", "quotes" if cause == "quote" else "trading"
        if logged_in:
            section.say(State.OK, check, f"OpenD is logged in for {what}.")
        elif program in STATES or program in STARTING:
            section.say(
                State.SKIPPED, check, f"OpenD is not logged in for {what}: that follows from the state of its program."
            )
        elif (told := find(word.told, Kind.LOGIN_LOST, (cause,))) is not None:
            section.say(State.PROBLEM, check, told.conclusion, told.figures, told.next_step)
        else:
            _condition(section, check, word, Kind.LOGIN_LOST, cause, "")


def _version(word: Word, section: Section, sdks: Mapping[str, str]) -> None:
    ours = version_text(KNOWN_VERSION)
    build = f" (build {word.state.serverBuildNo})" if word.state is not None and word.state.serverBuildNo else ""
    figures = f"OpenD {version_text(word.server_ver)}{build}, {said_sdks(sdks)}, opendmux knows {ours}"
    newer = [f"{name} {version}" for name, version in sdks.items() if _number(version) > word.server_ver]
    if newer:
        section.say(
            State.WARNING,
            "OpenD's version",
            f"OpenD is older than {' and '.join(newer)}: calls that are new there fail with an unknown protocol id.",
            figures,
            "Update OpenD (opendmux opend update, or download it), or install the SDK of OpenD's version.",
        )
    elif word.server_ver < KNOWN_VERSION:
        section.say(
            State.WARNING,
            "OpenD's version",
            f"OpenD is older than the {ours} that opendmux was written for: it refuses requests that came later.",
            figures,
            "Update OpenD: opendmux opend update, or download it.",
        )
    elif word.server_ver > KNOWN_VERSION:
        section.say(
            State.OK,
            "OpenD's version",
            f"OpenD is newer than the {ours} that opendmux was written for: requests that came later are refused by "
            "opendmux, unless allow_unknown is set.",
            figures,
        )
    else:
        section.say(State.OK, "OpenD's version", "OpenD's version is the one that opendmux was written for.", figures)


def _number(version: str) -> int:
    """Of an SDK, as OpenD writes its own; 0 when it has another form."""
    parts = version.split(".")
    try:
        return int(parts[0]) * 100 + int(parts[1])
    except (IndexError, ValueError):
        return 0


def _update(word: Word, user: opend.GetUserInfoS2C, section: Section) -> None:
    if user.isNeedAgreeDisclaimer:
        _condition(section, "agreement", word, Kind.PROGRAM, "agreement", "isNeedAgreeDisclaimer is set")
    if user.updateType == UPDATE_FORCED:
        _condition(section, "update", word, Kind.PROGRAM, "update_forced", "update type 2, forced")
    elif user.updateType == UPDATE_ADVISED:
        section.say(
            State.WARNING,
            "update",
            "OpenD advises to update it.",
            "update type 1, advised",
            "opendmux opend update, at a time when nobody trades. If that fails, its files are in use: stop other "
            "OpenDs, or restart the machine, and try again; else download OpenD from the broker's website.",
        )
    else:
        section.say(State.OK, "update", "OpenD asks for no update.")


def _rights(word: Word, user: opend.GetUserInfoS2C, section: Section) -> None:
    rights = rights_in(user)
    figures = ", ".join(f"{market_name(field)} {right_name(right)}" for field, right in rights.items())
    known = [right for right in rights.values() if (right_rank(right) or 0) > 0]
    lowest = [market_name(field) for field, right in rights.items() if right == BMP]
    unusable = [*lowest, *(market_name(field) for field, right in rights.items() if right == NO_RIGHT)]
    if not rights:
        section.say(State.UNKNOWN, "quote rights", "OpenD names no quote rights.")
    elif (told := find(word.told, Kind.RIGHT_LOST, unusable)) is not None:
        section.say(State.PROBLEM, "quote rights", told.conclusion, f"{figures}. {told.figures}", told.next_step)
    elif not lowest:
        section.say(State.OK, "quote rights", "OpenD has quote rights.", figures)
    else:
        cause = cause_of(asks_back=word.asks_back)
        condition = Condition(
            Kind.RIGHT_LOST, word.name, ", ".join(lowest), cause, 0.0, "", one_of_several=word.several
        )
        section.say(
            State.PROBLEM if len(lowest) == len(known) else State.WARNING,
            "quote rights",
            f"OpenD has only the lowest quote right, BMP, for {', '.join(lowest)}: nothing of that can be subscribed.",
            figures,
            f"If the account has a better one, another terminal of it has taken that. {condition.next_step}",
        )


def _quota(word: Word, section: Section) -> None:
    said = word.subscriptions
    total = word.user.subQuota if word.user is not None and word.user.HasField("subQuota") else None
    history = word.user.historyKLQuota if word.user is not None and word.user.HasField("historyKLQuota") else None
    if said is not None and said.HasField("remainQuota"):
        used, total = said.totalUsedQuota, said.totalUsedQuota + said.remainQuota
        figures = f"{used} of {total} subscriptions used"
    elif total is not None:
        used, figures = 0, f"{total} subscriptions"
    else:
        section.say(State.UNKNOWN, "quota", "OpenD does not tell its quota.", _refused(word, "Qot_GetSubInfo"))
        return
    figures += "" if history is None else f", historical candles of {history} securities"
    if total and used >= total * QUOTA_FULL:
        condition = Condition(Kind.QUOTA, word.name, "subscriptions", "subscriptions", 0.0, figures)
        section.say(State.WARNING, "quota", condition.conclusion, figures, condition.next_step)
    else:
        section.say(State.OK, "quota", "There is subscription quota left.", figures)


def _clock(word: Word, section: Section) -> None:
    ahead = word.clock_ahead_s
    if ahead is None:
        section.say(State.UNKNOWN, "clock", "OpenD does not tell its time.")
    elif abs(ahead) <= CLOCK_S:
        section.say(State.OK, "clock", "OpenD's clock and ours agree.", f"{ahead:+.1f} s")
    else:
        section.say(
            State.WARNING,
            "clock",
            f"OpenD's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours.",
            f"{ahead:+.1f} s",
            "Let both machines set their clocks by NTP: hours of keys, certificates and times in logs depend on them.",
        )


def _kept(word: Word, section: Section) -> None:
    if word.kept:
        section.say(State.OK, "keep-alive", "OpenD answers KeepAlive, so a connection can be kept.")
    else:
        section.say(
            State.PROBLEM,
            "keep-alive",
            "OpenD does not answer KeepAlive: connections end after half a minute.",
            _refused(word, "KeepAlive"),
            "Look whether OpenD hangs, and start it again.",
        )


def _refused(word: Word, name: str) -> str:
    text = word.refusals.get(name, "")
    return f"{name}: {_quoted(text)}" if text else ""


def _quoted(text: str) -> str:
    return printable(text)[:TEXT_SHOWN]
