"""What OpenD says of itself when it is asked, as far as we need it: GetGlobalState (1002), GetUserInfo (1005), the
quotas in GetSubInfo (3003), and the quota of historical candles (3104)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import RetType
from opendmux.wire.messages import decode_answer_untrusted, encode
from opendmux.wire.pb import opend

from .notices import ApiQuota, ConnStatus, ProgramStatus, rights_in

__all__ = [
    "HISTORY_REQUEST",
    "STATE_REQUEST",
    "SUB_INFO_REQUEST",
    "USER_REQUEST",
    "GlobalState",
    "UserInfo",
    "read_history_untrusted",
    "read_option_quota_untrusted",
    "read_quota_untrusted",
    "read_state_untrusted",
    "read_user_untrusted",
]

_API, _QOT_RIGHT = 2, 4
"""GetUserInfo.UserInfoField. Neither the user's name (1) nor the web login ticket (2048) is any business of ours."""

STATE_REQUEST: Final = encode(opend.GetGlobalStateRequest(c2s=opend.GetGlobalStateC2S(userID=0)))
USER_REQUEST: Final = encode(opend.GetUserInfoRequest(c2s=opend.GetUserInfoC2S(flag=_API | _QOT_RIGHT)))

SUB_INFO_REQUEST: Final = encode(opend.GetSubInfoRequest(c2s=opend.GetSubInfoC2S(isReqAllConn=False)))

HISTORY_REQUEST: Final = encode(opend.HistoryQuotaRequest(c2s=opend.HistoryQuotaC2S(bGetDetail=False)))

MARKET_FIELDS: Final[Mapping[int, str]] = {
    1: "marketHK",
    11: "marketUS",
    21: "marketSH",
    22: "marketSZ",
    31: "marketSG",
    41: "marketJP",
    61: "marketMY",
}
"""QotMarket -> the field with the state of its stock market. Of the other markets OpenD does not tell it here."""


class GlobalState(NamedTuple):
    """An answer to GetGlobalState."""

    logins: ConnStatus
    program: ProgramStatus | None
    """None where OpenD leaves it out."""
    markets: Mapping[int, int]
    """QotMarket -> QotMarketState, of those that OpenD has named."""


class UserInfo(NamedTuple):
    """An answer to GetUserInfo."""

    rights: Mapping[str, int]
    """See `notices.QotRight`."""
    quota: ApiQuota


def read_state_untrusted(body: bytes, proto_fmt: int) -> GlobalState | None:
    """None for a refusal, or when it can't be read."""
    try:
        response = decode_answer_untrusted(opend.GetGlobalStateResponse, body, proto_fmt)
    except RemoteProtocolError:
        return None
    s2c = response.s2c
    if response.retType != RetType.SUCCEED or not s2c.HasField("qotLogined"):  # OpenD never leaves it out
        return None
    status = s2c.programStatus
    return GlobalState(
        ConnStatus(s2c.qotLogined, s2c.trdLogined),
        ProgramStatus(status.type, status.strExtDesc) if s2c.HasField("programStatus") else None,
        {market: getattr(s2c, field) for market, field in MARKET_FIELDS.items() if s2c.HasField(field)},
    )


def read_user_untrusted(body: bytes, proto_fmt: int) -> UserInfo | None:
    """None for a refusal, or when it can't be read."""
    try:
        response = decode_answer_untrusted(opend.GetUserInfoResponse, body, proto_fmt)
    except RemoteProtocolError:
        return None
    if response.retType != RetType.SUCCEED:
        return None
    s2c = response.s2c
    quota = ApiQuota(
        s2c.subQuota if s2c.HasField("subQuota") else None,
        s2c.historyKLQuota if s2c.HasField("historyKLQuota") else None,
    )
    return UserInfo(rights_in(s2c), quota)


def read_quota_untrusted(body: bytes, proto_fmt: int) -> tuple[int, int] | None:
    """(used, left) of the subscription quota in a GetSubInfo answer; None likewise."""
    s2c = _sub_info_untrusted(body, proto_fmt)
    return None if s2c is None or not s2c.HasField("remainQuota") else (s2c.totalUsedQuota, s2c.remainQuota)


def read_option_quota_untrusted(body: bytes, proto_fmt: int) -> tuple[int, int] | None:
    """The same of the quota that options have for themselves; None also where OpenD leaves it out."""
    s2c = _sub_info_untrusted(body, proto_fmt)
    return (
        None if s2c is None or not s2c.HasField("optionRemainQuota") else (s2c.optionUsedQuota, s2c.optionRemainQuota)
    )


def _sub_info_untrusted(body: bytes, proto_fmt: int) -> opend.GetSubInfoS2C | None:
    try:
        response = decode_answer_untrusted(opend.GetSubInfoResponse, body, proto_fmt)
    except RemoteProtocolError:
        return None
    return response.s2c if response.retType == RetType.SUCCEED else None


def read_history_untrusted(body: bytes, proto_fmt: int) -> tuple[int, int] | None:
    """(used, left) of the quota of historical candles, in securities; None likewise."""
    try:
        response = decode_answer_untrusted(opend.HistoryQuotaResponse, body, proto_fmt)
    except RemoteProtocolError:
        return None
    if response.retType != RetType.SUCCEED or not response.s2c.HasField("remainQuota"):
        return None
    return response.s2c.usedQuota, response.s2c.remainQuota
