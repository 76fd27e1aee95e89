"""Orders of keys that go missing, with OpenD played by the test: unknown outcomes, locks, freezes, outages, callers."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config
from opendmux.core.conditions import Kind
from opendmux.core.custody import Account, Placed, dump, parse
from opendmux.core.freezes import Freeze, FrozenMode
from opendmux.core.keys import ALL_SCOPES, Key
from opendmux.runtime.callers import GRACE_S, Callers
from opendmux.runtime.house import House
from opendmux.runtime.server import Face, run_proxy
from opendmux.runtime.state import StateDir
from opendmux.runtime.station import Reach
from opendmux.runtime.steward import ORDERS
from opendmux.wire.frame import Frame
from opendmux.wire.messages import canonical_json, encode, ret_body
from opendmux.wire.pb import opend
from tests.core.key_kit import key, plaintext, ring
from tests.core.trade_kit import ACC, combo, order, order_list, order_push, place, placed

from .bodies import acc_list
from .world import OK, QUIET, Client, MemoryListener, OpenD, World, world

PLACE, COMBO, MODIFY, LIST, ACCOUNTS, PUSHES = 2202, 2227, 2205, 2201, 2001, 2008
SUBMITTED, CANCELLING, CANCELLED = 5, 13, 15
BOT = key(*ALL_SCOPES, key_id="bot", cancel_on_disconnect=5.0)
DEAD = key(*ALL_SCOPES, key_id="dead", dead_man_s=20.0)


@dataclass
class Market:
    """OpenD's orders: a cancel does what `on_cancel` says."""

    world: World
    status: dict[int, int] = field(default_factory=dict)
    cancels: list[int] = field(default_factory=list)
    on_cancel: str = "done"

    def open(self) -> None:
        answers = self.world.opend.answers
        answers[ACCOUNTS] = lambda _frame: acc_list((ACC, "A"))
        answers[PUSHES] = lambda _frame: OK
        answers[PLACE] = self._place
        answers[LIST] = lambda _frame: order_list(
            *(order(number, f"X{number}", status=status) for number, status in self.status.items())
        )
        answers[MODIFY] = self._cancel

    def _place(self, _frame: Frame) -> bytes:
        number = len(self.status) + 1
        self.status[number] = SUBMITTED
        return placed(number, f"X{number}")

    def _cancel(self, frame: Frame) -> bytes | None:
        c2s = opend.ModifyOrderRequest.FromString(frame.body).c2s
        assert (c2s.modifyOrderOp, c2s.header.accID, c2s.packetID.serialNo) == (2, ACC, frame.serial_no)
        assert c2s.orderIDEx == f"X{c2s.orderID}"
        self.cancels.append(c2s.orderID)
        if self.on_cancel == "locked":
            return ret_body(0, -1, "please unlock trade first")
        if self.on_cancel == "lost":
            return None
        self.status[c2s.orderID] = CANCELLED if self.on_cancel == "done" else CANCELLING
        return OK


@asynccontextmanager
async def market(*keys: Key, house: House | None = None, config: Config | None = None) -> AsyncIterator[Market]:
    house = house or House()
    house.access.keyring = ring(*keys)
    async with world(config, house=house) as w:
        at = Market(w)
        at.open()
        yield at


async def program(at: Market, its_key: Key, orders: int) -> Client:
    client = await at.world.client(plaintext(its_key.id))
    for _ in range(orders):
        await client.call(PLACE, place())
    return client


async def leave(client: Client) -> None:
    await trio.aclose_forcefully(client.stream)


def left(at: Market) -> dict[str, int]:
    return at.world.proxy.hub.router.writes.custody.holders()


def conditions(at: Market) -> list[str]:
    return [f"{one.kind} {one.subject}" for one in at.world.proxy.house.conditions.active()]


async def test_after_the_grace_each_is_cancelled_once(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        client = await program(at, BOT, 3)
        at.status[2] = CANCELLED
        await leave(client)
        await trio.sleep(4.5)
        assert at.cancels == []
        await trio.sleep(2)
        assert at.cancels == [1, 3]
        await trio.sleep(60)
        assert (at.cancels, left(at)) == ([1, 3], {})
        assert [s for s in at.world.proxy.hub.router.sessions.values() if s.own] == [], "its seat is given back"


async def test_two_connections_are_one_key(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        first, second = await program(at, BOT, 1), await program(at, BOT, 1)
        await leave(first)
        await trio.sleep(60)
        assert at.cancels == []
        await leave(second)
        await trio.sleep(7)
        assert at.cancels == [1, 2]


async def test_a_cancel_under_way_is_waited_for_and_not_repeated(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        at.on_cancel = "slow"
        await leave(await program(at, BOT, 1))
        await trio.sleep(60)
        assert (at.cancels, left(at)) == ([1], {"bot": 1})
        at.status[1] = CANCELLED
        await trio.sleep(60)
        assert (at.cancels, left(at)) == ([1], {})


async def test_what_ends_by_a_push_is_not_cancelled(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        client = await program(at, BOT, 2)
        await trio.sleep(1)
        assert at.world.opend.bodies(PUSHES), "the proxy wants the pushes of the account for itself"
        at.status[1] = 11
        await at.world.opend.push(2208, order_push(order(1, "X1", status=11)))
        await trio.sleep(1)
        assert left(at) == {"bot": 1}
        await leave(client)
        await trio.sleep(10)
        assert at.cancels == [2]


async def test_an_unknown_outcome_is_looked_up_and_never_sent_again_blindly(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        at.on_cancel = "lost"
        await leave(await program(at, BOT, 1))
        await trio.sleep(10)
        assert at.cancels == [1], "OpenD has not answered yet"
        looks = len(at.world.opend.bodies(LIST))
        at.on_cancel = "done"
        await trio.sleep(7)
        assert "orders_left bot" in conditions(at)
        await trio.sleep(60)
        assert len(at.world.opend.bodies(LIST)) > looks
        assert (at.cancels, left(at)) == ([1, 1], {}), "once more, for the list said that it is open"
        assert "orders_left bot" not in conditions(at)


async def test_an_unknown_outcome_that_was_done_is_not_repeated(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        at.on_cancel = "lost"
        await leave(await program(at, BOT, 1))
        await trio.sleep(10)
        at.status[1] = CANCELLED
        await trio.sleep(60)
        assert (at.cancels, left(at)) == ([1], {})


async def test_locked_trade_is_told_and_tried_again(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        at.on_cancel = "locked"
        await leave(await program(at, BOT, 1))
        await trio.sleep(10)
        (told,) = [one for one in at.world.proxy.house.conditions.active() if one.kind == "orders_left"]
        assert "1 orders. please unlock trade first" in told.figures
        assert "unlock it in OpenD" in told.next_step
        at.on_cancel = "done"
        await trio.sleep(60)
        assert (left(at), conditions(at)) == ({}, [])


@pytest.mark.parametrize("who", [None, "bot"])
async def test_a_freeze_to_read_only_holds_it_up(autojump_clock: MockClock, who: str | None) -> None:
    async with market(BOT) as at:
        house, freezer = at.world.proxy.house, at.world.proxy.freezer
        client = await program(at, BOT, 1)
        freeze = Freeze(who, FrozenMode.READ_ONLY, 0.0, "ops")
        house.access.freezes.put(freeze)
        freezer.apply()
        await leave(client)
        await trio.sleep(30)
        assert at.cancels == []
        assert "orders_left bot" in conditions(at)
        house.access.freezes.put(Freeze(who, FrozenMode.CANCEL_ONLY, 0.0, "ops"))
        freezer.apply()
        await trio.sleep(40)
        assert (at.cancels, left(at)) == ([1], {})


async def test_an_outage_meanwhile(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        client = await program(at, BOT, 2)
        at.world.opend.up = False
        await at.world.opend.drop()
        await leave(client)
        await trio.sleep(120)
        assert at.cancels == []
        at.world.opend.up = True
        await trio.sleep(60)
        assert (at.cancels, left(at)) == ([1, 2], {})
        link = at.world.opend.connections - 1
        assert at.world.opend.sent_by(link, ACCOUNTS), "OpenD takes no order on a connection that has not read them"


async def test_who_is_back_is_left_alone(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        at.on_cancel = "locked"
        await leave(await program(at, BOT, 1))
        await trio.sleep(7)
        back = await program(at, BOT, 0)
        await trio.sleep(40)
        tries = len(at.cancels)
        at.on_cancel = "done"
        await trio.sleep(120)
        assert (len(at.cancels), left(at)) == (tries, {"bot": 1})
        await leave(back)
        await trio.sleep(10)
        assert left(at) == {}


async def test_an_order_that_is_accepted_after_its_program_died(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        del at.world.opend.answers[PLACE]
        client = await program(at, BOT, 0)
        await client.request(PLACE, place())
        sent = await at.world.opend.requests.receive()
        await leave(client)
        await trio.sleep(9)
        await at.world.opend.reply(sent, at._place(sent))
        await trio.sleep(3)
        assert (at.cancels, at.status) == ([1], {1: CANCELLED})


@pytest.mark.parametrize("keys", [(), (key(*ALL_SCOPES, key_id="bot"),)])
async def test_a_key_that_is_revoked_and_one_that_wants_it_no_more(
    autojump_clock: MockClock, keys: tuple[Key, ...]
) -> None:
    async with market(BOT) as at:
        client = await program(at, BOT, 1)
        await trio.sleep(1)
        at.world.proxy.house.access.keyring = ring(*keys)
        if keys:
            await leave(client)
        await trio.sleep(20)
        assert (at.cancels, left(at)) == ([] if keys else [1], {})


async def test_a_caller_is_there_while_a_connection_is_open(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        hub = at.world.proxy.hub
        callers = Callers(hub, at.world.proxy.house.access)
        caller = callers.admit(plaintext("bot"), iface="grpc", peer="p", local=True)
        caller.request(PLACE, place(), until=None, answer=lambda _answer: None)  # type: ignore[union-attr]
        await trio.sleep(30)
        assert at.cancels == []
        caller.detach()  # type: ignore[union-attr]
        await trio.sleep(4.5)
        assert at.cancels == []
        assert GRACE_S > 10, "its session is there still"
        await trio.sleep(2)
        assert at.cancels == [1]


async def test_the_dead_man(autojump_clock: MockClock) -> None:
    async with market(DEAD) as at:
        client = await program(at, DEAD, 1)
        for _ in range(6):
            await trio.sleep(15)
            await client.call(LIST, b"")
        assert (at.cancels, conditions(at)) == ([], []), "it lives"
        for _ in range(3):
            await trio.sleep(8)
            await client.call(1004, b"")
        assert at.cancels == [1]
        assert conditions(at) == ["frozen the key dead"]
        (told,) = at.world.proxy.house.conditions.active()
        assert "set by its dead-man timer: it showed no life for 20 s. The first read of the key dead" in told.figures
        refused = opend.ResponseHead.FromString((await client.call(PLACE, place())).body)
        assert "its dead-man timer" in refused.retMsg
        other = await program(at, DEAD, 0)
        await other.call(LIST, b"")
        assert opend.ResponseHead.FromString((await client.call(PLACE, place())).body).retType == 0
        await trio.sleep(1)
        assert conditions(at) == []
        at.status[2] = 11  # filled, and no push said so
        await trio.sleep(30)
        assert (at.cancels, conditions(at)) == ([1], []), "nothing was open after all"


async def test_no_state_to_keep_is_said_once(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with market(BOT) as at:
        with caplog.at_level(logging.ERROR):
            await program(at, BOT, 3)
            await trio.sleep(30)
        assert caplog.text.count("would be forgotten in a restart") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no lock on a folder")
@pytest.mark.parametrize(
    ("kept", "keys", "level"),
    [
        (False, (), None),
        (False, (BOT,), None),
        (True, (), logging.INFO),
        (True, (BOT,), logging.ERROR),
    ],
)
async def test_the_state_of_another_is_an_error_only_where_something_has_to_be_kept(
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    kept: bool,
    keys: tuple[Key, ...],
    level: int | None,
) -> None:
    orders = [Placed("bot", Account(1, ACC, 1), 1, "X1", 0.0)] if kept else []
    other, mine = StateDir(tmp_path), StateDir(tmp_path)
    other.write(ORDERS, dump({"opend.test:11111": orders}))
    try:
        with caplog.at_level(logging.INFO, "opendmux"):
            async with market(*keys, house=House(state=mine)) as at:
                await trio.sleep(2)
                assert (at.cancels, left(at)) == ([], {}), "they are the other's"
    finally:
        other.close()
        mine.close()
    said = [record.levelno for record in caplog.records if "another opendmux keeps its state" in record.getMessage()]
    assert said == ([] if level is None else [level])


async def test_who_could_not_come_back_during_an_outage_has_its_time_afterwards(autojump_clock: MockClock) -> None:
    patient = key(*ALL_SCOPES, key_id="bot", cancel_on_disconnect=40.0)
    async with market(patient, config=Config(on_outage="close")) as at:
        client = await program(at, patient, 1)
        at.world.opend.up = False
        await at.world.opend.drop()
        await client.read_to_the_end()
        await trio.sleep(100)
        assert "orders_left bot" in conditions(at)
        at.world.opend.up = True
        while not at.world.proxy.hub.router.lanes.trade.upstream.ready:
            await trio.sleep(0.1)
        await trio.sleep(35)
        await program(at, patient, 0)
        await trio.sleep(60)
        assert (at.cancels, left(at), conditions(at)) == ([], {"bot": 1}, [])


async def test_nobody_can_come_back_before_opend_is_there(autojump_clock: MockClock, tmp_path: Path) -> None:
    account = Account(1, ACC, 1)
    (tmp_path / ORDERS).write_bytes(dump({"opend.test:11111": [Placed("bot", account, 1, "X1", 0.0)]}))
    house = House(state=StateDir(tmp_path))
    house.access.keyring = ring(BOT)
    async with world(house=house, up=False) as w:
        at = Market(w, {1: SUBMITTED})
        at.open()
        await trio.sleep(300)
        w.opend.up = True
        await w.proxy.listening.wait()
        await trio.sleep(50)
        assert at.cancels == []
        await trio.sleep(60)
        assert (at.cancels, left(at)) == ([1], {})


async def test_who_comes_back_silent_is_swept_after_all(autojump_clock: MockClock) -> None:
    """The sweep for its absence ends when it is back; that it says nothing is said once."""
    both = key(*ALL_SCOPES, key_id="both", cancel_on_disconnect=5.0, dead_man_s=20.0)
    async with market(both) as at:
        at.on_cancel = "locked"
        await leave(await program(at, both, 1))
        await trio.sleep(18)
        client = await program(at, both, 0)
        for _ in range(12):
            await trio.sleep(8)
            await client.call(1004, b"")
        assert "frozen the key both" in conditions(at)
        assert "orders_left both" in conditions(at)
        at.on_cancel = "done"
        await trio.sleep(31)
        assert (at.status, left(at)) == ({1: CANCELLED}, {})


async def test_the_setting_goes_in_the_middle_of_a_pass(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        at.on_cancel = "lost"
        await leave(await program(at, BOT, 3))
        await trio.sleep(7)
        assert at.cancels == [1]
        at.world.proxy.house.access.keyring = ring(key(*ALL_SCOPES, key_id="bot"))
        await trio.sleep(60)
        assert (at.cancels, left(at), conditions(at)) == ([1], {}, [])


async def test_a_crash_is_not_silent(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with market(BOT) as at:
        with monkeypatch.context() as patch:
            patch.setattr("opendmux.runtime.steward.list_body", lambda _account: 1 / 0)
            await leave(await program(at, BOT, 1))
            await trio.sleep(10)
            assert "orders_left bot" in conditions(at)
        await trio.sleep(60)
        assert (at.cancels, left(at), conditions(at)) == ([1], {}, [])


async def test_a_crash_before_its_first_step_ends_nothing_else(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with market(BOT) as at:
        with monkeypatch.context() as patch:
            patch.setattr("opendmux.runtime.steward.Seat", lambda *_: 1 / 0)
            await leave(await program(at, BOT, 1))
            await trio.sleep(10)
            assert "orders_left bot" in conditions(at)
        await trio.sleep(60)
        assert (at.cancels, left(at), conditions(at)) == ([1], {}, [])


@pytest.mark.parametrize("push_proto_fmt", [0, 1])
async def test_a_group_is_asked_where_it_trades(autojump_clock: MockClock, push_proto_fmt: int) -> None:
    async with trio.open_nursery() as nursery:
        first, second = OpenD(nursery), OpenD(nursery)
        reach = Reach("a or b", first.dial, trade_name="a", members=[("a", first.dial), ("b", second.dial)])
        listener, house = MemoryListener(), House()
        house.access.keyring = ring(BOT)
        face = Face(reach, Config(watch=QUIET), listeners=[listener])
        proxy = await nursery.start(partial(run_proxy, [face], drain_s=1.0, house=house))
        await proxy.listening.wait()
        at = Market(World(proxy, first, listener))
        at.open()
        client = await at.world.client(plaintext("bot"), push_proto_fmt=push_proto_fmt)
        await client.call(PLACE, place())
        await client.call(PLACE, place())
        for peer in (first.peers[0], first.peers[2]) if push_proto_fmt else first.peers[:1]:
            await trio.aclose_forcefully(peer.stream)
        await leave(client)
        await trio.sleep(20)
        assert (at.cancels, left(at)) == ([1, 2], {})
        assert not second.bodies(LIST)
        assert not second.bodies(MODIFY)
        nursery.cancel_scope.cancel(reason="test is over")


async def test_one_key_at_two_opends(autojump_clock: MockClock) -> None:
    """There while it is at one of them; its orders are cancelled where they are."""
    async with trio.open_nursery() as nursery:
        opends, listeners, house = [OpenD(nursery), OpenD(nursery)], [MemoryListener(), MemoryListener()], House()
        house.access.keyring = ring(BOT)
        faces = [
            Face(Reach(name, opend.dial), Config(watch=QUIET), listeners=[listener])
            for name, opend, listener in zip("ab", opends, listeners, strict=True)
        ]
        proxy = await nursery.start(partial(run_proxy, faces, drain_s=1.0, house=house))
        await proxy.listening.wait()
        here, there = (Market(World(proxy, *each)) for each in zip(opends, listeners, strict=True))
        here.open()
        there.open()
        stays = await program(here, BOT, 0)
        await leave(await program(there, BOT, 1))
        await trio.sleep(30)
        assert there.cancels == []
        await leave(stays)
        await trio.sleep(7)
        assert (here.cancels, there.cancels) == ([], [1])
        assert not opends[0].bodies(LIST)
        nursery.cancel_scope.cancel(reason="test is over")


@pytest.mark.parametrize(
    ("ends", "look_s"),
    [("comes back", 0.25), ("stays away", 0.25), ("stays away", 3.0), ("is revoked", 0.25), ("is dead", 0.25)],
)
async def test_an_outage_elsewhere_that_has_ended_its_connections_is_no_leaving(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, ends: str, look_s: float
) -> None:
    monkeypatch.setattr("opendmux.runtime.steward.LOOK_S", look_s)  # much may be to do in an outage
    async with trio.open_nursery() as nursery:
        opends, listeners, house = [OpenD(nursery), OpenD(nursery)], [MemoryListener(), MemoryListener()], House()
        silent_s = 350.0 if ends == "is dead" else None
        house.access.keyring = ring(key(*ALL_SCOPES, key_id="bot", cancel_on_disconnect=5.0, dead_man_s=silent_s))
        faces = [
            Face(Reach(name, opend.dial), Config(watch=QUIET), on_outage="close", listeners=[listener])
            for name, opend, listener in zip("ab", opends, listeners, strict=True)
        ]
        proxy = await nursery.start(partial(run_proxy, faces, drain_s=1.0, house=house))
        await proxy.listening.wait()
        here, there = (Market(World(proxy, *each)) for each in zip(opends, listeners, strict=True))
        here.open()
        there.open()
        await program(here, BOT, 0)
        await leave(await program(there, BOT, 1))
        opends[0].up = False
        await opends[0].drop()
        await trio.sleep(300)
        assert there.cancels == []
        if ends == "is revoked":
            house.access.keyring = ring()
            await trio.sleep(12)
            assert there.cancels == [1], "it can't come back"
        elif ends == "is dead":
            await trio.sleep(60)
            assert there.cancels == [1], "its dead-man timer goes on"
            assert conditions(there) == ["upstream_down a", "frozen the key bot"]
        opends[0].up = True
        while not proxy.stations[0].hub.router.lanes.main.upstream.ready:
            await trio.sleep(0.1)
        await trio.sleep(4)
        if ends == "comes back":
            await program(here, BOT, 0)
        await trio.sleep(60)
        assert there.cancels == ([] if ends == "comes back" else [1])
        nursery.cancel_scope.cancel(reason="test is over")


async def test_an_order_in_json(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        client = await at.world.client(plaintext("bot"), push_proto_fmt=1)
        at.world.opend.answers[PLACE] = lambda _frame: json.dumps(
            {"retType": 0, "s2c": {"header": {"accID": str(ACC)}, "orderID": "1", "orderIDEx": "X1"}}
        ).encode()
        at.status[1] = 10  # filled in part
        await client.request(PLACE, canonical_json(opend.PlaceOrderRequest.FromString(place())), proto_fmt=1)
        await client.receive()
        assert left(at) == {"bot": 1}
        await leave(client)
        await trio.sleep(7)
        assert (at.cancels, left(at)) == ([1], {})


async def test_a_combo_order_learns_its_number_from_the_list(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        answer = opend.ComboOrderIdResponse(retType=0)
        answer.s2c.orderIDEx = "X1"
        at.world.opend.answers[COMBO] = lambda _frame: encode(answer)
        client = await program(at, BOT, 0)
        await client.call(COMBO, combo((11, "AAPL", 1, 1.0), (11, "MSFT", 2, 1.0)))
        at.status[1] = SUBMITTED
        assert left(at) == {"bot": 1}
        await leave(client)
        await trio.sleep(7)
        assert (at.cancels, left(at)) == ([1], {})


async def test_a_key_that_has_not_unlocked_is_swept_nevertheless(autojump_clock: MockClock) -> None:
    async with market(BOT, config=Config(unlock="own")) as at:
        at.world.opend.answers[2005] = lambda _frame: OK
        client = await program(at, BOT, 0)
        await client.call(2005, encode(opend.UnlockTradeRequest(c2s=opend.UnlockTradeC2S(unlock=True))))
        await client.call(PLACE, place())
        assert left(at) == {"bot": 1}
        await leave(client)
        await trio.sleep(7)
        assert (at.cancels, left(at)) == ([1], {})


async def test_what_is_too_new_for_the_list_gets_one_cancel(autojump_clock: MockClock) -> None:
    """Also when the clock of the machine is set back."""
    async with market(BOT) as at:
        at.on_cancel = "slow"
        client = await program(at, BOT, 1)
        del at.status[1]
        at.world.opend.answers[LIST] = lambda _frame: order_list()
        at.world.proxy.steward.wall = lambda: -1e6
        await leave(client)
        await trio.sleep(200)
        assert (at.cancels, left(at)) == ([1], {"bot": 1})
        at.world.opend.answers[LIST] = lambda _frame: order_list(order(1, "X1", status=SUBMITTED))
        at.on_cancel = "locked"
        await trio.sleep(31)
        assert (at.cancels, conditions(at)) == ([1, 1], ["orders_left bot"])


def age(at: Market) -> None:
    """The orders are older than they were."""
    wall = at.world.proxy.steward.wall
    at.world.proxy.steward.wall = lambda: wall() + 100


def vanished(at: Market) -> list[str]:
    recent = at.world.proxy.house.conditions.recent(trio.current_time())
    return [one.subject for one in recent if one.kind is Kind.ORDERS_VANISHED]


async def test_a_list_that_is_empty_after_a_restart_of_opend_lets_nothing_go(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        client = await program(at, BOT, 1)
        age(at)
        await leave(client)
        at.world.opend.answers[LIST] = lambda _frame: order_list()
        await at.world.opend.drop()
        await trio.sleep(50)
        assert (at.cancels, left(at), conditions(at)) == ([], {"bot": 1}, ["orders_left bot"])
        at.open()
        await trio.sleep(31)
        assert (at.cancels, left(at), conditions(at), vanished(at)) == ([1], {}, [], [])


@pytest.mark.parametrize("its_key", [BOT, DEAD])
async def test_orders_of_which_opend_has_no_word_are_let_go_loudly(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, its_key: Key
) -> None:
    async with market(its_key) as at:
        client = await program(at, its_key, 2)
        await trio.sleep(15 if its_key is DEAD else 100)
        at.world.opend.answers[LIST] = lambda _frame: order_list()
        age(at)
        await leave(client)
        await trio.sleep(46 if its_key is DEAD else 7)
        assert (left(at), vanished(at)) == ({its_key.id: 2}, []), "the first look proves nothing"
        await trio.sleep(150)
        which = f"of account ...{str(ACC)[-4:]} (key {its_key.id})"
        assert (at.cancels, left(at), vanished(at)) == ([], {}, [f"order X1 {which}", f"order X2 {which}"])
        frozen = ["frozen the key dead"] if its_key is DEAD else []
        assert conditions(at) == frozen, "nobody knows whether there was an order after all"


async def test_two_entries_that_lead_to_one_opend_keep_the_orders_of_both(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    async with trio.open_nursery() as nursery:
        opend = OpenD(nursery)
        faces = [Face(Reach("a", opend.dial), Config(), listeners=[MemoryListener()]) for _ in range(2)]
        house = House(state=StateDir(tmp_path))
        proxy = await nursery.start(partial(run_proxy, faces, house=house, drain_s=1.0))
        for number, station in enumerate(proxy.stations):
            station.hub.router.writes.custody.take(Placed("bot", Account(1, ACC, 1), number + 1, "", 0.0))
        await trio.sleep(5)
        kept = parse((tmp_path / ORDERS).read_bytes())
        assert [one.order_id for one in kept["a"]] == [1, 2]
        nursery.cancel_scope.cancel(reason="test is over")


async def test_a_restart_in_the_middle_of_a_sweep(autojump_clock: MockClock, tmp_path: Path) -> None:
    async with market(BOT, house=House(state=StateDir(tmp_path))) as at:
        at.on_cancel = "slow"
        await leave(await program(at, BOT, 1))
        await trio.sleep(7)
        await leave(await program(at, BOT, 1))
        await trio.sleep(4)
        assert at.cancels == [1], "it was there for a moment, and has its grace again"
        at.world.proxy.house.state.close()
    async with market(BOT, house=House(state=StateDir(tmp_path))) as later:
        later.status = at.status
        await trio.sleep(50)
        assert left(later) == {"bot": 2}
        await trio.sleep(20)
        assert later.cancels == [2], "the first one is being cancelled already"


async def test_an_order_of_the_last_moment_is_kept(autojump_clock: MockClock, tmp_path: Path) -> None:
    async with market(BOT, house=House(state=StateDir(tmp_path))) as at:
        await trio.sleep(1)
        await program(at, BOT, 1)
        assert not (tmp_path / ORDERS).exists()
    assert [one.order_id for one in parse((tmp_path / ORDERS).read_bytes())["opend.test:11111"]] == [1]


async def test_a_hanging_disk_holds_up_no_cancel_and_no_stop(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(*_args: object, **_options: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(trio.to_thread, "run_sync", hang)
    async with market(BOT, house=House(state=StateDir(tmp_path))) as at:
        await leave(await program(at, BOT, 1))
        await trio.sleep(7)
        assert at.cancels == [1]
        stopped = trio.current_time()
    assert trio.current_time() - stopped < 5
    assert "the disk is too slow: the last orders of watched keys are not kept" in caplog.text


async def test_a_pause_in_the_middle(autojump_clock: MockClock) -> None:
    async with market(BOT) as at:
        at.on_cancel = "locked"
        await leave(await program(at, BOT, 1))
        await trio.sleep(7)
        await at.world.proxy.pauser.pause(None, None, by="ops", peer="", asker="ops")
        tries = len(at.cancels)
        at.on_cancel = "done"
        await trio.sleep(100)
        assert (len(at.cancels), left(at)) == (tries, {"bot": 1})
        assert "orders_left bot" in conditions(at)
        await at.world.proxy.pauser.resume(None, by="ops", peer="", asker="ops")
        await trio.sleep(60)
        assert (len(at.cancels), left(at)) == (tries + 1, {})
