"""Callers that speak OpenD's JSON: what goes upstream, and what every kind of answer comes back as."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import trio

from opendmux.core.denial import Denial, DenialKind
from opendmux.core.keys import Scopes
from opendmux.runtime.backend import Answer, Caller
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.protocols import ProtoId
from tests.core.key_kit import key

from .bodies import acc_list
from .test_callers import ALL, Desk, desk
from .world import UPSTREAM_CONN_ID

if TYPE_CHECKING:
    from trio.testing import MockClock

FINE = b'{"retType":0,"retMsg":"","s2c":{"anything":18446744073709551615}}'
ACC_ID = 281756478396547854
ORDER = {"trdSide": 1, "orderType": 1, "code": "00700", "qty": 100.0, "price": 1.0, "secMarket": 1}


def ask(caller: Caller, proto_id: int, body: bytes = b'{"c2s":{}}') -> list[Answer]:
    got: list[Answer] = []
    caller.request(proto_id, body, until=None, answer=got.append, proto_fmt=ProtoFmt.JSON)
    return got


async def answered(at: Desk, proto_id: int, body: bytes = b'{"c2s":{}}') -> Answer:
    got = ask(at.admit(ALL), proto_id, body)
    await trio.sleep(0.1)
    (answer,) = got
    assert answer.proto_fmt == ProtoFmt.JSON
    return answer


@pytest.mark.parametrize("proto_id", [1005, 3004, 3103])
async def test_it_goes_and_comes_as_it_is(proto_id: int, autojump_clock: MockClock) -> None:
    """By way of the switch, of the windows, and of a protocol whose messages nobody here knows."""
    async with desk(ALL) as at:
        at.world.opend.answers[proto_id] = lambda _frame: FINE
        assert await answered(at, proto_id) == Answer(0, "", FINE, proto_fmt=ProtoFmt.JSON)
        (frame,) = at.world.opend.log
        assert (frame.proto_id, frame.proto_fmt, frame.body) == (proto_id, ProtoFmt.JSON, b'{"c2s":{}}')


async def test_an_answer_that_core_edits(autojump_clock: MockClock) -> None:
    async with desk(ALL) as at:
        at.world.opend.answers[1002] = lambda _frame: b'{"retType":0,"s2c":{"connID":%d}}' % UPSTREAM_CONN_ID
        conn_id = json.loads((await answered(at, 1002)).body)["s2c"]["connID"]
        assert isinstance(conn_id, int)
        assert conn_id != UPSTREAM_CONN_ID


@pytest.mark.parametrize("proto_id", [1004, 3001])
async def test_an_answer_of_the_proxy(proto_id: int, autojump_clock: MockClock) -> None:
    body = {1004: b'{"c2s":{"time":"1"}}', 3001: b'{"c2s":{"isSubOrUnSub":false,"isUnsubAll":true}}'}[proto_id]
    async with desk(ALL) as at:
        at.world.opend.answers[3001] = lambda _frame: b"\x08\x00"
        assert json.loads((await answered(at, proto_id, body)).body)["retType"] == 0


async def test_a_refusal(autojump_clock: MockClock) -> None:
    quotes = key(Scopes.QOT_READ, key_id="quotes")
    async with desk(quotes) as at:
        (answer,) = ask(at.admit(quotes), 2101)
        assert isinstance(answer.denial, Denial)
        assert answer.denial.kind is DenialKind.PERMISSION


async def test_what_core_cannot_read(autojump_clock: MockClock) -> None:
    async with desk(ALL) as at:
        (answer,) = ask(at.admit(ALL), 3001, b'{"c2s":{"strange":1}}')
        assert isinstance(answer.denial, Denial)
        assert answer.denial.kind is DenialKind.INVALID


async def test_an_order_whose_answer_is_lost(autojump_clock: MockClock) -> None:
    """It bears the link's PacketID, and that nobody knows its outcome is said in JSON."""
    header = {"trdEnv": 1, "accID": str(ACC_ID), "trdMarket": 1}
    body = json.dumps({"c2s": {"header": header, **ORDER}}).encode()
    async with desk(ALL) as at:
        at.world.opend.answers[ProtoId.TRD_GET_ACC_LIST] = lambda _frame: acc_list((ACC_ID, "1"))
        got = ask(at.admit(ALL), 2202, body)
        await trio.sleep(0.1)
        (sent,) = at.world.opend.bodies(2202)
        assert str(json.loads(sent)["c2s"]["packetID"]["connID"]) == str(UPSTREAM_CONN_ID)
        await at.world.opend.drop()
        await trio.sleep(0.5)
        (answer,) = got
        assert (answer.denial, answer.ret_type) == (None, -400)
        assert "outcome unknown" in json.loads(answer.body)["retMsg"]
