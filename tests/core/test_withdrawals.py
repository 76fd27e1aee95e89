"""Who cancels everything means what waits here too."""

from __future__ import annotations

import pytest

from opendmux.wire.messages import canonical_json
from opendmux.wire.pb import opend
from tests.core.playbook import Play
from tests.core.test_metering import full
from tests.runtime.bodies import trade_write

PLACE, MODIFY = 2202, 2205
CANCEL_ALL = b"\x20\x02\x28\x01"
CANCEL_ONE = b"\x18\x07\x20\x02"


def waiting(play: Play, *, acc_id: int = 1) -> None:
    """Client 2 has an order in the queue for OpenD's window."""
    full(play)
    play.now += 27.0
    assert play.send(play.client(2), PLACE, trade_write(0, 0, acc_id=acc_id)) == []


def test_an_order_that_waits_is_withdrawn_by_a_cancel_of_all() -> None:
    play = Play(metered=True)
    waiting(play)
    order = play.serial
    lines = play.send(play.router.sessions[2], MODIFY, trade_write(0, 0, tail=CANCEL_ALL))
    assert lines == [("forward", 2, MODIFY, play.serial, True)], "the cancel goes at once"
    (line,) = play.later(0.9)
    assert line[:5] == ("reply", 2, PLACE, order, -1)
    assert "all orders were cancelled" in str(line[5])


def test_the_same_in_json() -> None:
    play = Play(metered=True)
    waiting(play)
    header = opend.TrdHeader(trdEnv=1, accID=1, trdMarket=1)
    c2s = opend.ModifyOrderC2S(packetID=opend.PacketID(), header=header, modifyOrderOp=2, forAll=True)
    body = canonical_json(opend.ModifyOrderRequest(c2s=c2s))
    assert play.send(play.router.sessions[2], MODIFY, body, proto_fmt=1)[0][0] == "forward"
    assert play.later(0.9)[0][:3] == ("reply", 2, PLACE)


@pytest.mark.parametrize(
    ("who", "acc_id", "tail"),
    [(3, 1, CANCEL_ALL), (2, 5, CANCEL_ALL), (2, 1, CANCEL_ONE), (2, 1, b"\x20\x01\x28\x01")],
    ids=["another client", "another account", "one order", "no cancel"],
)
def test_nothing_else_withdraws_it(who: int, acc_id: int, tail: bytes) -> None:
    play = Play(metered=True)
    play.client(3)
    waiting(play)
    order = play.serial
    session = play.router.sessions[who]
    play.send(session, MODIFY, trade_write(0, 0, acc_id=acc_id, tail=tail))
    assert ("forward", 2, PLACE, order, True) in play.later(0.9)


def test_an_order_after_it_goes() -> None:
    play = Play(metered=True)
    session = play.client(2)
    play.send(session, MODIFY, trade_write(0, 0, tail=CANCEL_ALL))
    play.answer_all()
    play.now += 1.0
    assert play.send(session, PLACE, trade_write(0, 0)) == [("forward", 2, PLACE, play.serial, True)]


def test_nothing_is_kept_of_who_has_gone() -> None:
    play = Play(metered=True)
    session = play.client(2)
    play.send(session, MODIFY, trade_write(0, 0, tail=CANCEL_ALL))
    play.answer_all()
    play.close(session)
    assert not play.router.writes.withdrawals._cancelled


@pytest.mark.parametrize(("tail", "goes"), [(CANCEL_ALL, True), (CANCEL_ONE, True), (b"\x18\x07\x20\x01", False)])
def test_a_full_disk_keeps_nobody_from_cancelling(tail: bytes, goes: bool) -> None:
    play = Play()
    play.router.access.audit_ok = lambda: False
    session = play.client(1)
    assert play.send(session, PLACE, trade_write(0, 0))[0][0] == "reply"
    assert (play.send(session, MODIFY, trade_write(0, 0, tail=tail))[0][0] == "forward") is goes
