"""OpenD's own logins, as they pass by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.core.logins import Logins, in_notify, in_state, program_in_notify, program_in_state, program_name
from opendmux.wire.frame import build_frame
from opendmux.wire.messages import encode, to_client
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId


@pytest.mark.parametrize("proto_fmt", [0, 1])
@pytest.mark.parametrize("logins", [Logins(quote=True, trade=False), Logins(quote=False, trade=True)])
def test_both_say_it_in_either_format(logins: Logins, proto_fmt: int) -> None:
    state = opend.GetGlobalStateS2C(qotLogined=logins.quote, trdLogined=logins.trade)
    assert in_state(to_client(opend.GetGlobalStateResponse(retType=0, s2c=state), proto_fmt), proto_fmt) == logins
    status = opend.NotifyConnectStatus(qotLogined=logins.quote, trdLogined=logins.trade)
    notify = opend.NotifyResponse(retType=0, s2c=opend.NotifyS2C(type=3, connectStatus=status))
    frame = build_frame(ProtoId.NOTIFY, proto_fmt, 0, to_client(notify, proto_fmt))
    assert in_notify(frame, proto_fmt) == logins


@pytest.mark.parametrize("proto_fmt", [0, 1])
def test_both_say_the_state_of_the_program(proto_fmt: int) -> None:
    status = opend.ProgramStatus(type=10)
    state = opend.GetGlobalStateResponse(retType=0, s2c=opend.GetGlobalStateS2C(programStatus=status))
    assert program_in_state(to_client(state, proto_fmt), proto_fmt) == 10
    s2c = opend.NotifyS2C(type=2, programStatus=opend.NotifyProgramStatus(programStatus=status))
    frame = build_frame(ProtoId.NOTIFY, proto_fmt, 0, to_client(opend.NotifyResponse(retType=0, s2c=s2c), proto_fmt))
    assert program_in_notify(frame, proto_fmt) == 10
    assert in_notify(frame, proto_fmt) is None
    assert program_in_state(to_client(opend.GetGlobalStateResponse(retType=0), proto_fmt), proto_fmt) is None
    assert [program_name(number) for number in (-1, 0, 10, 99)] == ["-1", "none", "ready", "99"]


def test_nothing_is_learnt_from_anything_else() -> None:
    assert in_state(encode(opend.GetGlobalStateResponse(retType=-1)), 0) is None
    other = opend.NotifyResponse(retType=0, s2c=opend.NotifyS2C(type=1))
    assert in_notify(build_frame(ProtoId.NOTIFY, 0, 0, encode(other)), 0) is None


@given(st.binary(max_size=100), st.integers(0, 3))
def test_no_bytes_do_harm(body: bytes, proto_fmt: int) -> None:
    in_state(body, proto_fmt)
    in_notify(body, proto_fmt)
    program_in_state(body, proto_fmt)
    program_in_notify(body, proto_fmt)
