"""Orders of keys that go missing, with OpenD played by the test: unknown outcomes, locks, freezes, outages, callers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config
from opendmux.core.freezes import Freeze, FrozenMode
from opendmux.core.keys import ALL_SCOPES, Key
from opendmux.runtime.callers import GRACE_S, Callers
from opendmux.runtime.house import House
from opendmux.wire.frame import Frame
from opendmux.wire.messages import ret_body
from opendmux.wire.pb import opend
from tests.core.key_kit import key, plaintext, ring
from tests.core.trade_kit import ACC, order, order_list, order_push, place, placed

from .bodies import acc_list
from .world import OK, Client, World, world

PLACE, MODIFY, LIST, ACCOUNTS, PUSHES = 2202, 2205, 2201, 2001, 2008
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
