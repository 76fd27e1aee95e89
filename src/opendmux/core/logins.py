"""Whether OpenD itself is logged in for quotes and for trading, and what state its program is in, read out of what
passes by on its way to clients.

OpenD says so in the answer to GetGlobalState and in a Notify when it changes. Nobody is asked for this: until one of
the two has come it is not known.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import HEADER_LEN, RetType
from opendmux.wire.messages import decode_untrusted
from opendmux.wire.pb import opend

__all__ = ["Logins", "in_notify", "in_state", "program_in_notify", "program_in_state", "program_name"]

PROGRAM_STATUS = 2
"""Notify.NotifyType ProgramStatus."""

CONN_STATUS = 3
"""Notify.NotifyType ConnStatus."""


PROGRAM_NAMES: Final = (
    "none",
    "loaded",
    "logging in",
    "needs a picture code",
    "needs a phone code",
    "login failed",
    "needs an update",
    "preparing data",
    "lacks data",
    "disclaimer not agreed",
    "ready",
    "logged out by force",
    "disclaimer not fetched",
)
"""By ProgramStatusType."""


def program_name(program: int) -> str:
    """The state of OpenD's program in words; its number where that is new."""
    return PROGRAM_NAMES[program] if 0 <= program < len(PROGRAM_NAMES) else str(program)


class Logins(NamedTuple):
    """What OpenD said last."""

    quote: bool
    trade: bool


def in_state(body: bytes, proto_fmt: int) -> Logins | None:
    """What a GetGlobalState answer says; None for a refusal, or when it can't be read."""
    s2c = _state(body, proto_fmt)
    return None if s2c is None else Logins(s2c.qotLogined, s2c.trdLogined)


def program_in_state(body: bytes, proto_fmt: int) -> int | None:
    """The ProgramStatusType in a GetGlobalState answer; None where there is none."""
    s2c = _state(body, proto_fmt)
    return s2c.programStatus.type if s2c is not None and s2c.HasField("programStatus") else None


def in_notify(frame: bytes, proto_fmt: int) -> Logins | None:
    """What a Notify frame says; None when it is about something else, or can't be read."""
    s2c = _notify(frame, proto_fmt)
    if s2c is None or s2c.type != CONN_STATUS:
        return None
    return Logins(s2c.connectStatus.qotLogined, s2c.connectStatus.trdLogined)


def program_in_notify(frame: bytes, proto_fmt: int) -> int | None:
    """The ProgramStatusType in a Notify frame; None when it is about something else, or can't be read."""
    s2c = _notify(frame, proto_fmt)
    if s2c is None or s2c.type != PROGRAM_STATUS:
        return None
    return s2c.programStatus.programStatus.type


def _state(body: bytes, proto_fmt: int) -> opend.GetGlobalStateS2C | None:
    try:
        response = decode_untrusted(opend.GetGlobalStateResponse, body, proto_fmt)
    except RemoteProtocolError:
        return None
    return response.s2c if response.retType == RetType.SUCCEED else None


def _notify(frame: bytes, proto_fmt: int) -> opend.NotifyS2C | None:
    try:
        return decode_untrusted(opend.NotifyResponse, frame[HEADER_LEN:], proto_fmt).s2c
    except RemoteProtocolError:
        return None
