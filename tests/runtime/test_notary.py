"""What decisions leave behind: counters, audit lines, and replies that wait for them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import trio
from trio.testing import MockClock

from opendmux.core.access import Access
from opendmux.core.keys import Key, Keyring, Scopes, digest_of
from opendmux.runtime.audit import PROMISE_S, AuditLog
from opendmux.runtime.house import House
from opendmux.wire.frame import RetType
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .bodies import acc_push, order_push, trade_write
from .world import OK, world

PLAINTEXT = "fc_" + "2" * 64
TRADER = Key("trader", frozenset({Scopes.TRADE_REAL, Scopes.ACC_READ}))
PLACE = ProtoId.TRD_PLACE_ORDER


class Disk:
    """A thread for the audit that works only while it is let."""

    def __init__(self) -> None:
        self.free = trio.Event()
        self.free.set()

    async def __call__(self, work: Callable[[], None]) -> None:
        await trio.lowlevel.checkpoint()
        await self.free.wait()
        work()


def told(path: Path) -> list[tuple[object, ...]]:
    lines = [msgspec.json.decode(line, type=dict[str, object]) for line in path.read_bytes().splitlines()]
    return [(line["endpoint"], line["outcome"], line["key_id"], line["reason"]) for line in lines[1:]]


def house_at(path: Path, disk: Disk) -> House:
    keyring = Keyring.of([(TRADER, digest_of(PLAINTEXT), None)])
    return House(access=Access(keyring), audit=AuditLog(str(path), in_thread=disk))


async def test_a_reply_waits_for_its_record_and_keeps_its_place(autojump_clock: MockClock, tmp_path: Path) -> None:
    path, disk = tmp_path / "audit.jsonl", Disk()
    async with world(house=house_at(path, disk)) as w:
        client = await w.client(PLAINTEXT)
        w.opend.answers[ProtoId.TRD_SUB_ACC_PUSH] = lambda _frame: OK
        await client.call(ProtoId.TRD_SUB_ACC_PUSH, acc_push(1))
        serial_no = await client.request(PLACE, trade_write(0, 0))
        order = await w.opend.requests.receive()
        disk.free = trio.Event()
        assert w.opend.peer is not None
        await w.opend.peer.send(PLACE, order.serial_no, OK)
        await w.opend.peer.send(ProtoId.TRD_UPDATE_ORDER, 0, order_push(1))
        assert await client.nothing_comes(PROMISE_S / 2), "not before the record is on disk, the push behind it neither"
        disk.free.set()
        reply, push = await client.receive(), await client.receive()
        assert (reply.proto_id, reply.serial_no, push.proto_id) == (PLACE, serial_no, ProtoId.TRD_UPDATE_ORDER)
    assert told(path)[:-1] == [
        ("proto_id=1001", "allow", "trader", ""),
        ("proto_id=2202", "allow", "trader", ""),
        ("proto_id=2202", "success", "trader", ""),
    ]


async def test_a_disk_that_hangs_does_not_keep_the_outcome_from_its_owner(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    path, disk = tmp_path / "audit.jsonl", Disk()
    async with world(house=house_at(path, disk)) as w:
        client = await w.client(PLAINTEXT)
        await client.request(PLACE, trade_write(0, 0))
        order = await w.opend.requests.receive()
        disk.free = trio.Event()
        assert w.opend.peer is not None
        await w.opend.peer.send(PLACE, order.serial_no, OK)
        began = trio.current_time()
        assert (await client.receive()).proto_id == PLACE
        assert trio.current_time() - began >= PROMISE_S
        frame = await client.call(PLACE, trade_write(0, 0))
        assert opend.ResponseHead.FromString(frame.body).retType == RetType.FAILED, "no order without an audit"
        disk.free.set()
        await trio.sleep(1.0)
        await client.request(PLACE, trade_write(0, 0))
        assert (await w.opend.requests.receive()).proto_id == PLACE, "once it is written again, orders go on"


async def test_a_good_key_on_a_wrong_machine_is_put_down_too(autojump_clock: MockClock, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    elsewhere = Key("trader", TRADER.scopes, allowed_machines=frozenset())
    house = House(
        access=Access(Keyring.of([(elsewhere, digest_of(PLAINTEXT), None)])),
        audit=AuditLog(str(path), in_thread=Disk()),
    )
    async with world(house=house) as w:
        stranger = await w.connect()
        hello = opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=300, clientID=PLAINTEXT))
        await stranger.call(ProtoId.INIT_CONNECT, encode(hello))
    assert told(path)[:-1] == [("proto_id=1001", "reject", "<none>", "machine")]


async def test_refusals_are_put_down_and_counted(
    autojump_clock: MockClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "opendmux.audit")
    path = tmp_path / "audit.jsonl"
    house = house_at(path, Disk())
    async with world(house=house) as w:
        client = await w.client(PLAINTEXT)
        frame = await client.call(ProtoId.QOT_GET_BASIC_QOT, ret_body(0, 0))
        assert "qot:read" in opend.ResponseHead.FromString(frame.body).retMsg
        stranger = await w.connect()
        hello = opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=300, clientID="fc_wrong"))
        frame = await stranger.call(ProtoId.INIT_CONNECT, encode(hello))
        assert opend.InitConnectResponse.FromString(frame.body).retType == RetType.FAILED
        assert await stranger.read_to_the_end() == 0
    assert told(path)[1:-1] == [
        ("proto_id=3004", "reject", "trader", "scope"),
        ("proto_id=1001", "reject", "<invalid>", "invalid"),
    ]
    tally = house.access.tally
    assert tally.auth_events["tcp", "allow", "trader"] == 1
    assert tally.auth_events["tcp", "reject", "trader"] == 1
    assert tally.auth_events["tcp", "reject", "<invalid>"] == 1
    assert b"wrong" not in path.read_bytes()
    entered, refused, strange = caplog.messages
    assert entered.endswith(": 1001 InitConnect allow"), "no blank where there is no remark"
    assert refused.count("3004 Qot_GetBasicQot") == 1, "once, although the text of most refusals begins with it"
    assert ": refused: 3004 Qot_GetBasicQot " in refused
    assert ": 1001 InitConnect refused: " in strange
