"""How OpenD itself is: its program status, its logins, its quote rights, and the notifications about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opendmux.wire.pb import opend

from .numbers import QotMarket

if TYPE_CHECKING:
    from .faults import Faults
    from .securities import SecKey

__all__ = ["READY", "Status", "event_notice", "fill_rights", "quota_notice", "rights_notice", "used_notice"]

READY = 10
"""ProgramStatusType"""

_EVENT, _PROGRAM_STATUS, _CONN_STATUS, _QOT_RIGHT, _API_QUOTA, _USED_QUOTA = 1, 2, 3, 4, 6, 7
"""NotifyType"""
_BMP, _LEVEL2 = 1, 3
"""QotRight. Nothing can be subscribed with BMP."""

_MARKET_OF_PREFIX = {
    "hkFuture": QotMarket.HK_FUTURE,
    "hk": QotMarket.HK,
    "us": QotMarket.US,
    "cn": QotMarket.SH,
    "sh": QotMarket.SH,
    "sz": QotMarket.SZ,
    "sg": QotMarket.SG,
    "jp": QotMarket.JP,
    "my": QotMarket.MY,
    "cc": QotMarket.CC,
    "ec": QotMarket.EVENT,
}
"""How a field's name begins -> the QotMarket whose right it tells; the first that fits."""


@dataclass(slots=True)
class Status:
    """What GetGlobalState tells, besides the markets."""

    program: int = READY
    """ProgramStatusType"""
    description: str = ""
    """strExtDesc"""
    qot_logined: bool = True
    trd_logined: bool = True
    history_quota: int | None = None
    """What GetUserInfo says of it, where that was changed."""
    history_used: int | None = None
    """How much of it is used, where a test says so; else the securities are counted."""
    history_seen: set[SecKey] = field(default_factory=set)
    """Securities with historical candles; the simulator does not live long enough to forget one."""
    version: int | None = None
    """serverVer; None: the one of the configuration."""
    clock_ahead_s: float = 0.0
    """By how much OpenD's clock is wrong."""
    update_type: int = 0
    """UpdateType in GetUserInfo: 1 an update is advised, 2 it is forced."""
    must_agree: bool = False
    """GetUserInfo says that the disclaimer is still to be agreed to."""

    def program_status(self) -> opend.ProgramStatus:
        return opend.ProgramStatus(type=self.program, strExtDesc=self.description or None)

    def program_notice(self) -> opend.NotifyResponse:
        status = opend.NotifyProgramStatus(programStatus=self.program_status())
        return opend.NotifyResponse(retType=0, s2c=opend.NotifyS2C(type=_PROGRAM_STATUS, programStatus=status))

    def connect_notice(self) -> opend.NotifyResponse:
        status = opend.NotifyConnectStatus(qotLogined=self.qot_logined, trdLogined=self.trd_logined)
        return opend.NotifyResponse(retType=0, s2c=opend.NotifyS2C(type=_CONN_STATUS, connectStatus=status))


def event_notice(event_type: int, description: str) -> opend.NotifyResponse:
    """``event_type``: a GtwEventType."""
    event = opend.NotifyGtwEvent(eventType=event_type, desc=description)
    return opend.NotifyResponse(retType=0, s2c=opend.NotifyS2C(type=_EVENT, event=event))


def rights_notice(faults: Faults) -> opend.NotifyResponse:
    rights = opend.NotifyQotRight()
    fill_rights(rights, faults)
    return opend.NotifyResponse(retType=0, s2c=opend.NotifyS2C(type=_QOT_RIGHT, qotRight=rights))


def quota_notice(subscriptions: int, history: int) -> opend.NotifyResponse:
    """What the account may use in all."""
    quota = opend.NotifyAPIQuota(subQuota=subscriptions, historyKLQuota=history)
    return opend.NotifyResponse(retType=0, s2c=opend.NotifyS2C(type=_API_QUOTA, apiQuota=quota))


def used_notice(subscriptions: int, history: int) -> opend.NotifyResponse:
    """What it uses."""
    used = opend.NotifyUsedQuota(usedSubQuota=subscriptions, usedKLineQuota=history)
    return opend.NotifyResponse(retType=0, s2c=opend.NotifyS2C(type=_USED_QUOTA, usedQuota=used))


def fill_rights(message: Any, faults: Faults) -> None:
    """Set every ...QotRight field of a message by its market."""
    for one in message.DESCRIPTOR.fields:
        if one.name.endswith("QotRight"):
            name = one.name.removeprefix("has")
            prefix = next(prefix for prefix in _MARKET_OF_PREFIX if name.lower().startswith(prefix.lower()))
            right = faults.has_right(_MARKET_OF_PREFIX[prefix])
            setattr(message, one.name, right if name != one.name else _LEVEL2 if right else _BMP)
