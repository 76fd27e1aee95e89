"""Whether OpenD itself is logged in for quotes and for trading, read out of what passes by on its way to clients.

OpenD says so in the answer to GetGlobalState and in a Notify when it changes. Nobody is asked for this: until one of
the two has come it is not known.
"""

from __future__ import annotations

from typing import NamedTuple

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import HEADER_LEN, RetType
from opendmux.wire.messages import decode_untrusted
from opendmux.wire.pb import opend

__all__ = ["Logins", "in_notify", "in_state"]

CONN_STATUS = 3
"""Notify.NotifyType ConnStatus."""


class Logins(NamedTuple):
    """What OpenD said last."""

    quote: bool
    trade: bool


def in_state(body: bytes, proto_fmt: int) -> Logins | None:
    """What a GetGlobalState answer says; None for a refusal, or when it can't be read."""
    try:
        response = decode_untrusted(opend.GetGlobalStateResponse, body, proto_fmt)
    except RemoteProtocolError:
        return None
    if response.retType != RetType.SUCCEED:
        return None
    return Logins(response.s2c.qotLogined, response.s2c.trdLogined)


def in_notify(frame: bytes, proto_fmt: int) -> Logins | None:
    """What a Notify frame says; None when it is about something else, or can't be read."""
    try:
        s2c = decode_untrusted(opend.NotifyResponse, frame[HEADER_LEN:], proto_fmt).s2c
    except RemoteProtocolError:
        return None
    if s2c.type != CONN_STATUS:
        return None
    return Logins(s2c.connectStatus.qotLogined, s2c.connectStatus.trdLogined)
