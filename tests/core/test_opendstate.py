"""What OpenD says when it is asked how it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.core.notices import ApiQuota, ConnStatus, ProgramStatus
from opendmux.core.opendstate import (
    STATE_REQUEST,
    USER_REQUEST,
    GlobalState,
    UserInfo,
    read_state_untrusted,
    read_user_untrusted,
)
from opendmux.wire.messages import encode, to_client
from opendmux.wire.pb import opend


@pytest.mark.parametrize("proto_fmt", [0, 1])
@pytest.mark.parametrize(("quote", "trade"), [(True, False), (False, True)])
def test_the_state(quote: bool, trade: bool, proto_fmt: int) -> None:
    s2c = opend.GetGlobalStateS2C(qotLogined=quote, trdLogined=trade, marketHK=3, marketUS=6, marketHKFuture=15)
    found = read_state_untrusted(to_client(opend.GetGlobalStateResponse(retType=0, s2c=s2c), proto_fmt), proto_fmt)
    assert found == GlobalState(ConnStatus(quote, trade), None, {1: 3, 11: 6})
    s2c.programStatus.type = 4
    s2c.programStatus.strExtDesc = "sent to 138****"
    found = read_state_untrusted(to_client(opend.GetGlobalStateResponse(retType=0, s2c=s2c), proto_fmt), proto_fmt)
    assert found is not None
    assert found.program == ProgramStatus(4, "sent to 138****")


def test_the_user() -> None:
    s2c = opend.GetUserInfoS2C(hkQotRight=3, subQuota=300)
    found = read_user_untrusted(encode(opend.GetUserInfoResponse(retType=0, s2c=s2c)), 0)
    assert found == UserInfo({"hkQotRight": 3}, ApiQuota(300, None))
    s2c = opend.GetUserInfoS2C(historyKLQuota=0)
    found = read_user_untrusted(encode(opend.GetUserInfoResponse(retType=0, s2c=s2c)), 0)
    assert found == UserInfo({}, ApiQuota(None, 0))


def test_neither_the_name_nor_the_web_ticket_is_asked_for() -> None:
    flag = opend.GetUserInfoRequest.FromString(USER_REQUEST).c2s.flag
    assert flag
    assert not flag & (1 | 2048)
    assert opend.GetGlobalStateRequest.FromString(STATE_REQUEST).c2s.HasField("userID")


def test_a_refusal_says_nothing() -> None:
    assert read_state_untrusted(encode(opend.GetGlobalStateResponse(retType=-1)), 0) is None
    assert read_state_untrusted(encode(opend.GetGlobalStateResponse(retType=0)), 0) is None
    assert read_user_untrusted(encode(opend.GetUserInfoResponse(retType=-1)), 0) is None


@given(st.binary(max_size=100), st.integers(0, 3))
def test_no_bytes_do_harm(body: bytes, proto_fmt: int) -> None:
    read_state_untrusted(body, proto_fmt)
    read_user_untrusted(body, proto_fmt)
