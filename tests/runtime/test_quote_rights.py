"""The quote right is asked back by the console when the book of conditions says that it is lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from opendmux.core import quote_right
from opendmux.core.conditions import Condition, Kind
from opendmux.core.operations import order_of
from opendmux.core.quote_right import FIRST_WAIT_S, GAP_S, Policy
from opendmux.runtime.house import House
from opendmux.runtime.metrics import Metrics, Sources
from opendmux.runtime.operator import PROXY, Operator
from opendmux.runtime.quote_rights import REQUEST
from opendmux.runtime.status import Status

from .console_kit import Desk
from .world import World, world

NAME = "opend.test:11111"


class Rights:
    """A proxy, OpenD's console, and what is said about its rights."""

    def __init__(self, w: World, desk: Desk) -> None:
        self.world, self.desk = w, desk
        self.house = w.proxy.house
        self.right = w.proxy.stations[0].quote_right

    def lose(self, subject: str = "HK stocks", figures: str = "LV2 before, BMP now.") -> None:
        self.house.conditions.begin(Kind.RIGHT_LOST, subject, trio.current_time(), figures, opend=NAME)

    def back(self, subject: str = "HK stocks") -> None:
        self.house.conditions.over(Kind.RIGHT_LOST, subject, trio.current_time(), opend=NAME)

    @property
    def condition(self) -> Condition:
        (found,) = self.house.conditions.of(NAME, Kind.RIGHT_LOST)
        return found


@asynccontextmanager
async def rights(policy: Policy) -> AsyncIterator[Rights]:
    async with trio.open_nursery() as nursery:
        desk = Desk(nursery)
        async with world(consoles=[desk.member(policy)]) as w:
            yield Rights(w, desk)
        nursery.cancel_scope.cancel()


async def test_it_is_asked_back_and_comes_back(autojump_clock: MockClock) -> None:
    async with rights("when-lost") as r:
        r.lose()
        await trio.sleep(FIRST_WAIT_S + 1)
        assert r.desk.lines == [b"request_highest_quote_right\r\n"]
        assert r.desk.times == [pytest.approx(FIRST_WAIT_S, abs=0.1)]
        assert r.condition.figures.startswith("LV2 before, BMP now. Asked back 1 time; the next try is at 20")
        r.back()
        await trio.sleep(30)
        assert len(r.desk.lines) == 1


async def test_never_only_says_so(autojump_clock: MockClock) -> None:
    async with rights("never") as r:
        r.lose()
        await trio.sleep(30)
        assert not r.desk.lines
        assert r.right.lost_since is not None
        assert r.condition.figures == "LV2 before, BMP now."


@pytest.mark.parametrize("policy", ["never", "when-lost", "always"])
async def test_the_next_step_fits_the_policy(autojump_clock: MockClock, policy: Policy) -> None:
    async with rights(policy) as r:
        named = r.world.proxy.stations[0].watch.rights
        for right in (3, 1, 1):
            named.take({"hkQotRight": right}, trio.current_time())
            await trio.sleep(FIRST_WAIT_S + 1)
        assert ("let opendmux do so" in r.condition.next_step) == (policy == "never")
        assert ("opendmux asks it back by itself" in r.condition.next_step) == (policy != "never")
        assert r.condition.sentence.count("Asked back 1 time") == (policy != "never")


async def test_two_markets_are_one_quarrel(autojump_clock: MockClock) -> None:
    async with rights("always") as r:
        r.lose()
        r.lose("US stocks")
        await trio.sleep(FIRST_WAIT_S + 1)
        r.back()
        assert r.right.lost_since is not None
        r.back("US stocks")
        assert r.right.lost_since is None
        assert len(r.desk.lines) == 1


async def test_who_takes_it_again_is_let_alone(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quote_right, "CONTESTED_WAIT_S", 40.0)  # the proxy's clock ticks 20 times a second
    async with rights("when-lost") as r:
        r.lose()
        await trio.sleep(FIRST_WAIT_S + 1)
        r.back()
        await trio.sleep(5)
        r.lose()
        await trio.sleep(1)
        assert "Asked back 1 time; the next try is at" in r.condition.figures
        assert "taken again within 10 s" in r.condition.figures
        await trio.sleep(38)
        assert len(r.desk.lines) == 1
        await trio.sleep(2)
        assert len(r.desk.lines) == 2
        await trio.sleep(60)
        assert len(r.desk.lines) == 2
        assert "asks no more until it is back" in r.condition.figures


async def test_nothing_is_sent_to_an_opend_that_is_paused(autojump_clock: MockClock) -> None:
    async with rights("always") as r:
        r.lose()
        await r.world.proxy.pauser.pause(None, None, by="ops", peer="", asker="")
        await trio.sleep(60)
        assert not r.desk.lines
        assert r.right.tries == 0
        await r.world.proxy.pauser.resume(None, by="ops", peer="", asker="")
        await trio.sleep(GAP_S + 5)
        assert len(r.desk.lines) == 1


async def test_a_console_that_is_not_there_is_tried_again(autojump_clock: MockClock) -> None:
    async with rights("when-lost") as r:
        r.desk.up = False
        r.lose()
        await trio.sleep(60)
        assert not r.desk.lines
        r.desk.up = True
        await trio.sleep(60)
        assert r.desk.lines


async def test_the_limit_of_all_who_send_it_is_kept(autojump_clock: MockClock) -> None:
    async with rights("always") as r:
        for _ in range(10):
            r.house.operations.book(r.world.proxy.stations[0].quoting.counters, REQUEST.operation, 1e12)
        r.lose()
        await trio.sleep(30)
        assert not r.desk.lines
        await trio.sleep(60)
        assert not r.desk.lines  # the clock was set back: one window is lost
        assert r.right.next_try is not None


async def test_what_an_administrator_sends_counts_for_the_gap(autojump_clock: MockClock) -> None:
    async with rights("always") as r:
        r.lose()
        operator = Operator(lambda: r.world.proxy.stations, r.house)
        await trio.sleep(FIRST_WAIT_S + 2)
        assert len(r.desk.times) == 1
        await trio.sleep(5)
        await operator.perform(order_of("ping", {}), None, PROXY)
        await trio.sleep(GAP_S)
        first, second = [t for t, line in zip(r.desk.times, r.desk.lines, strict=True) if line.startswith(b"request")]
        assert second - first == pytest.approx(GAP_S)


async def test_figures_that_are_told_anew_keep_ours(autojump_clock: MockClock) -> None:
    async with rights("always") as r:
        r.lose()
        await trio.sleep(1)
        r.lose(figures="LV2 before, none now.")
        await trio.sleep(1)
        assert r.condition.figures.startswith("LV2 before, none now. Asked back 0 times; ")
        assert r.condition.figures.count("Asked back") == 1


async def test_after_an_outage_nobody_knows(autojump_clock: MockClock) -> None:
    async with rights("always") as r:
        r.lose()
        r.world.opend.up = False
        await r.world.opend.drop()
        await trio.testing.wait_all_tasks_blocked()
        r.back()
        r.world.opend.up = True
        await trio.sleep(2)
        r.lose()  # within ten seconds of being told: yet nobody has given it back in between
        assert not r.right.contested


async def test_status_and_metrics_show_it(autojump_clock: MockClock) -> None:
    async with rights("always") as r:
        stations = r.world.proxy.stations
        status = Status(lambda: stations, House(), "1", r.world.proxy.readiness)
        figures = Metrics(lambda: stations, Sources(r.house.access.tally, "1", operated=r.house.operated))
        before = json.loads(status.text(trio.current_time()))
        assert before["opends"][0]["quote_right"] is None
        assert b"opendmux_quote_right_tries" not in figures.text(trio.current_time())
        r.lose()
        await trio.sleep(FIRST_WAIT_S + 2)
        shown = json.loads(status.text(trio.current_time()))["opends"][0]["quote_right"]
        assert (shown["policy"], shown["tries"], shown["contested"]) == ("always", 1, False)
        assert shown["next_try"] > shown["since"]
        text = figures.text(trio.current_time()).decode()
        assert f'opendmux_quote_right_tries{{opend="{NAME}"}} 1.0' in text
        want = (
            f'opendmux_operations_total{{command="request_highest_quote_right",opend="{NAME}",outcome="success"}} 1.0'
        )
        assert want in text
