"""Minutes of fifty clients that do as they please, against the simulator that keeps OpenD's rules.

On the mock clock: every run of a seed is the same, and takes seconds. `make test-soak` takes ten minutes of more seeds.
"""

from __future__ import annotations

import logging
import os
import random

import pytest
import trio
from trio.testing import MockClock

from opendmux.sim import SimConfig
from opendmux.wire.protocols import ProtoId

from .soak import OWN_LIST, PERIOD_S, Member, Soak, StreamId, own_list, soak

CLIENTS = 50
LONG = os.environ.get("TEST_SOAK") == "1"
VIRTUAL_S = 600.0 if LONG else 240.0
ROUND_S = 12.0
"""Everybody acts for so long; then everything settles and is compared."""

PLENTY = 1000
TIGHT = 44
"""Fewer than there are streams: OpenD refuses some."""


RUNS = [(1, PLENTY, 1), (2, PLENTY, 3), (3, TIGHT, 1)]
FURTHER = [(seed, TIGHT if seed % 3 == 0 else PLENTY, 1 + 2 * (seed % 3 == 2)) for seed in range(4, 10)]


@pytest.mark.parametrize(("seed", "quota", "quotes_per_push"), [*RUNS, *FURTHER] if LONG else RUNS)
async def test_minutes_of_fifty_clients(
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    quota: int,
    quotes_per_push: int,
) -> None:
    caplog.set_level(logging.WARNING)
    be_deterministic(monkeypatch, seed)
    config = SimConfig(
        seed=seed,
        strict_serials=True,
        sub_quota=quota,
        step_min_s=PERIOD_S,
        step_max_s=PERIOD_S,
        quotes_per_push=quotes_per_push,
    )
    async with soak(config) as s:
        dice = random.Random(f"upstream {seed}")
        s.members += [Member(s, number, seed) for number in range(CLIENTS)]
        for member in s.members:
            await member.connect()
        s.nursery.start_soon(compare_at_every_step, s)
        while trio.current_time() < VIRTUAL_S:
            await one_round(s, dice)
            await settle(s)
        assert s.checks > VIRTUAL_S / 3
        assert all(member.answered > VIRTUAL_S / 12 for member in s.members)
        for member in s.members:
            await member.leave()
        await trio.sleep(150)
        s.assert_nothing_left()
        assert s.sim.violations == []
    texts = [record.getMessage() for record in caplog.records]
    refusals = [text for text in texts if "refused to" in text and "was lost before the answer" not in text]
    assert not any("unsubscribe" in text for text in refusals), refusals
    if quota == PLENTY:
        assert refusals == []
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == []


def be_deterministic(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """The same seed gives the same run: Trio shuffles its tasks, the link jitters its back-off."""
    monkeypatch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
    monkeypatch.setattr("trio._core._run._r", random.Random(seed))
    monkeypatch.setattr("opendmux.runtime.upstream.random", random.Random(seed))


async def compare_at_every_step(s: Soak) -> None:
    while True:
        await trio.sleep(0.5)
        await trio.testing.wait_all_tasks_blocked()
        if s.quiet and not any(member.pending for member in s.members):
            s.check_upstream()


async def one_round(s: Soak, dice: random.Random) -> None:
    """Everybody acts; now and then the upstream is dropped, answers late, or stays away for a while."""
    end = trio.current_time() + ROUND_S
    s.sim.faults.delays_s = {ProtoId.QOT_SUB: 0.3} if dice.random() < 0.3 else {}
    async with trio.open_nursery() as nursery:
        for member in s.members:
            nursery.start_soon(act_until, member, end)
        if dice.random() < 0.35:
            await trio.sleep(dice.uniform(0, ROUND_S / 2))
            s.up["up"] = dice.random() < 0.5
            numbers = [connection.number for connection in s.sim.connections]
            s.sim.drop(dice.choice([None, *numbers]))
            await trio.sleep(dice.uniform(0, 3))
            s.up["up"] = True


async def act_until(member: Member, end: float) -> None:
    while True:
        await trio.sleep(member.dice.choice([0.05, 0.5, 1.0, 2.0, 4.0, 8.0]))
        if trio.current_time() >= end:
            return
        await member.act()


async def settle(s: Soak) -> None:
    """Everything is as it must be once nothing is under way."""
    await s.until_quiet()
    s.check_upstream()
    for member in s.members:
        member.got.clear()
    await trio.sleep(2 * PERIOD_S + 0.5)
    away = {StreamId(*key[1:]) for lane in s.lanes for key in lane.ledger.refused()}
    for member in s.members:
        missing = {key for key in member.pushed - member.got if key.stream not in away}
        assert not missing, f"was not pushed {missing}: {member.story()}"
    await everybody_hears_of_an_order(s)
    for member in s.members[::10]:
        await sees_its_own_list(member)


async def everybody_hears_of_an_order(s: Soak) -> None:
    placed = await s.members[-1].place_order()
    await trio.testing.wait_all_tasks_blocked()
    order_id = s.sim.orders[-1].order_id
    for member in s.members:
        assert (order_id in member.orders) == (placed in member.accounts), member.story()


async def sees_its_own_list(member: Member) -> None:
    """3003 says what the client holds, each stream once."""
    assert own_list(await member.ask(ProtoId.QOT_GET_SUB_INFO, OWN_LIST)) == member.held
