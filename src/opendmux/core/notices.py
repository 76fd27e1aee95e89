"""What OpenD says by itself: a Notify (1003), read whole.

A notice has one of six kinds, and says of itself which. Names of states and rights for people stand here too, beside
their numbers. What is new to us is passed over: a notice of an unknown kind is None, a number without a name is shown
as a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

from opendmux.errors import RemoteProtocolError
from opendmux.wire.messages import decode_answer_untrusted
from opendmux.wire.pb import opend

__all__ = [
    "NO_RIGHT",
    "ApiQuota",
    "ConnStatus",
    "Event",
    "GtwEvent",
    "Notice",
    "NotifyType",
    "Program",
    "ProgramStatus",
    "QotRight",
    "UsedQuota",
    "market_name",
    "program_name",
    "read_notice_untrusted",
    "right_name",
    "right_rank",
    "rights_in",
]


class NotifyType(IntEnum):
    """Notify.NotifyType. 5, the API level, is not used by OpenD any more."""

    EVENT = 1
    PROGRAM_STATUS = 2
    CONN_STATUS = 3
    QOT_RIGHT = 4
    API_QUOTA = 6
    USED_QUOTA = 7


class Event(IntEnum):
    """Notify.GtwEventType."""

    LOCAL_CONFIG_FAILED = 1
    API_SERVER_FAILED = 2
    FORCE_UPDATE = 3
    LOGIN_FAILED = 4
    DISCLAIMER_NOT_AGREED = 5
    NET_CONFIG_MISSING = 6
    KICKED_OUT = 7
    LOGIN_PASSWORD_CHANGED = 8
    LOGIN_BANNED = 9
    PICTURE_CODE = 10
    PHONE_CODE = 11
    APP_DATA_MISSING = 12
    NECESSARY_DATA_MISSING = 13
    TRADE_PASSWORD_CHANGED = 14
    ENABLE_DEVICE_LOCK = 15


class Program(IntEnum):
    """Common.ProgramStatusType."""

    NONE = 0
    LOADED = 1
    LOGGING_IN = 2
    PICTURE_CODE = 3
    PHONE_CODE = 4
    LOGIN_FAILED = 5
    FORCE_UPDATE = 6
    DATA_PREPARING = 7
    DATA_MISSING = 8
    DISCLAIMER_NOT_AGREED = 9
    READY = 10
    FORCED_LOGOUT = 11
    DISCLAIMER_NOT_FETCHED = 12


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
"""By `Program`."""

RIGHTS: Final[Mapping[int, tuple[str, int]]] = {
    0: ("unknown", -1),
    5: ("none", 0),
    1: ("BMP", 1),
    2: ("LV1", 2),
    3: ("LV2", 3),
    6: ("LV3", 4),
    4: ("SF", 5),
}
"""Qot_Common.QotRight -> its name, and its rank among the others. With BMP nothing can be subscribed. Whether LV3 or
SF is the better one is not documented; no market has both."""

LEVEL_1: Final = 2
NO_RIGHT: Final = 5

MARKET_NAMES: Final[Mapping[str, str]] = {
    "hkQotRight": "HK stocks",
    "usQotRight": "US stocks",
    "cnQotRight": "A shares",
    "shQotRight": "Shanghai",
    "szQotRight": "Shenzhen",
    "sgStockQotRight": "SG stocks",
    "jpStockQotRight": "JP stocks",
    "myStockQotRight": "MY stocks",
    "ccQotRight": "crypto",
    "ecQotRight": "event contracts",
    "hkOptionQotRight": "HK options",
    "hkFutureQotRight": "HK futures",
    "usOptionQotRight": "US options",
    "usIndexQotRight": "US indices",
    "usOtcQotRight": "US OTC",
    "usFutureQotRight": "US futures",
    "usCMEFutureQotRight": "CME futures",
    "usCBOTFutureQotRight": "CBOT futures",
    "usNYMEXFutureQotRight": "NYMEX futures",
    "usCOMEXFutureQotRight": "COMEX futures",
    "usCBOEFutureQotRight": "CBOE futures",
    "sgFutureQotRight": "SG futures",
    "jpFutureQotRight": "JP futures",
}
"""Field of QotRight (and of GetUserInfo) -> what it is the right for."""


class GtwEvent(NamedTuple):
    """Something happened to OpenD."""

    event: int
    """An `Event`, or a number that is new."""
    text: str
    """OpenD's own words."""


class ProgramStatus(NamedTuple):
    """The state of OpenD's program."""

    status: int
    """A `Program`, or a number that is new."""
    text: str
    """OpenD's own words, such as why the login failed; often empty."""


class ConnStatus(NamedTuple):
    """Whether OpenD is logged in for quotes and for trading."""

    quote: bool
    trade: bool


class QotRight(NamedTuple):
    """What OpenD may quote."""

    rights: Mapping[str, int]
    """Field of the message, such as ``hkQotRight`` -> Qot_Common.QotRight; only those that OpenD has named."""


class ApiQuota(NamedTuple):
    """How much the account may use. None: OpenD has not said."""

    subscriptions: int | None
    history: int | None
    """Securities with historical candles."""


class UsedQuota(NamedTuple):
    """How much of it is used, likewise."""

    subscriptions: int | None
    history: int | None


Notice: TypeAlias = GtwEvent | ProgramStatus | ConnStatus | QotRight | ApiQuota | UsedQuota


def read_notice_untrusted(body: bytes, proto_fmt: int) -> Notice | None:
    """What a Notify says; None when it can't be read, is of a kind that is not known, or says nothing."""
    try:
        s2c = decode_answer_untrusted(opend.NotifyResponse, body, proto_fmt).s2c
    except RemoteProtocolError:
        return None
    match s2c.type:
        case NotifyType.EVENT if s2c.HasField("event"):
            return GtwEvent(s2c.event.eventType, s2c.event.desc)
        case NotifyType.PROGRAM_STATUS if s2c.programStatus.HasField("programStatus"):
            status = s2c.programStatus.programStatus
            return ProgramStatus(status.type, status.strExtDesc)
        case NotifyType.CONN_STATUS if s2c.HasField("connectStatus"):
            return ConnStatus(s2c.connectStatus.qotLogined, s2c.connectStatus.trdLogined)
        case NotifyType.QOT_RIGHT if s2c.HasField("qotRight"):
            return QotRight(rights_in(s2c.qotRight))
        case NotifyType.API_QUOTA if s2c.HasField("apiQuota"):
            quota = s2c.apiQuota
            return ApiQuota(
                quota.subQuota if quota.HasField("subQuota") else None,
                quota.historyKLQuota if quota.HasField("historyKLQuota") else None,
            )
        case NotifyType.USED_QUOTA if s2c.HasField("usedQuota"):
            used = s2c.usedQuota
            return UsedQuota(
                used.usedSubQuota if used.HasField("usedSubQuota") else None,
                used.usedKLineQuota if used.HasField("usedKLineQuota") else None,
            )
    return None


def rights_in(message: opend.NotifyQotRight | opend.GetUserInfoS2C) -> dict[str, int]:
    """The quote rights that a message names, by field. An OpenD that tells of US options only whether there is a right
    is taken for LV1 or none."""
    rights: dict[str, int] = {}
    for field, value in message.ListFields():
        if field.name in MARKET_NAMES:
            rights[field.name] = value
    if message.HasField("hasUSOptionQotRight"):
        rights.setdefault("usOptionQotRight", LEVEL_1 if message.hasUSOptionQotRight else NO_RIGHT)
    return rights


def program_name(program: int) -> str:
    """The state of OpenD's program in words; its number where that is new."""
    return PROGRAM_NAMES[program] if 0 <= program < len(PROGRAM_NAMES) else str(program)


def right_name(right: int) -> str:
    """A Qot_Common.QotRight as users write it; its number where that is new."""
    return RIGHTS[right][0] if right in RIGHTS else str(right)


def right_rank(right: int) -> int | None:
    """Greater is better; None for one that can't be compared with others."""
    rank = RIGHTS[right][1] if right in RIGHTS else -1
    return None if rank < 0 else rank


def market_name(field: str) -> str:
    """What a right is for, by its field."""
    return MARKET_NAMES.get(field, field.removesuffix("QotRight"))
