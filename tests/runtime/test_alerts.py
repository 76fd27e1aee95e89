"""Alerts while the proxy runs: tries, back-off, and that nobody waits for them."""

from __future__ import annotations

import json
import logging
from typing import Any, get_args

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import AlertConfig, AlertKind
from opendmux.core.conditions import Conditions, Kind
from opendmux.runtime.alerts import BACK_OFF_S, Alerts, NoAlertError
from opendmux.runtime.webhook import WebhookError


class Fake:
    """Stands for a webhook: it fails as often as it is told, hangs, or crashes."""

    def __init__(self) -> None:
        self.failures = 0
        self.hopeless = False
        self.hang = False
        self.crash = False
        self.bodies: list[dict[str, Any]] = []
        self.tries: list[float] = []

    def __str__(self) -> str:
        return "https://hooks.example:443/..."

    async def post(self, body: bytes) -> None:
        self.tries.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.hang:
            await trio.sleep_forever()
        if self.crash:
            raise ZeroDivisionError
        if self.failures:
            self.failures -= 1
            raise WebhookError("it is away", hopeless=self.hopeless)
        self.bodies.append(json.loads(body))


class Desk:
    """A book, alerts that hear of it, and where they arrive."""

    def __init__(self, **settings: Any) -> None:
        self.book = Conditions()
        config = AlertConfig(webhook="https://hooks.example/s3cret", **settings)
        self.alerts = Alerts([config], self.book, wall=lambda: 1_700_000_000.0 + trio.current_time())
        self.fake = Fake()
        self.alerts.channels[0].webhook = self.fake  # type: ignore[assignment]

    def begin(self, kind: Kind = Kind.KICKED) -> None:
        self.book.begin(kind, "A", trio.current_time(), opend="A")

    def over(self, kind: Kind = Kind.KICKED) -> None:
        self.book.over(kind, "A", trio.current_time(), opend="A")

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(body["event"], body["kind"]) for body in self.fake.bodies]

    @property
    def counts(self) -> dict[str, int]:
        return {outcome: count for _name, outcome, count in self.alerts.counts()}


async def test_begin_and_over(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.alerts.run)
        await trio.sleep(10)
        desk.begin()
        await trio.sleep(4.9)
        assert desk.told == []
        await trio.sleep(0.2)
        assert desk.told == [("begin", "kicked")]
        await trio.sleep(100)
        desk.over()
        await trio.sleep(0.1)
        assert desk.told == [("begin", "kicked"), ("over", "kicked")]
        assert desk.fake.bodies[1]["lasted_s"] == 105.1
        assert desk.fake.bodies[1]["since"] == "2023-11-14T22:13:30.000000Z"
        assert desk.counts == {"delivered": 2, "failed": 0, "dropped": 0}
        nursery.cancel_scope.cancel()


async def test_a_link_that_is_soon_back_is_no_alert(autojump_clock: MockClock) -> None:
    desk = Desk()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.alerts.run)
        for _ in range(5):
            desk.begin(Kind.UPSTREAM_DOWN)
            await trio.sleep(4)
            desk.over(Kind.UPSTREAM_DOWN)
            await trio.sleep(1)
        assert desk.fake.tries == []
        nursery.cancel_scope.cancel()


async def test_it_is_tried_again_and_then_given_up(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    desk = Desk(after_s=0)
    desk.fake.failures = 2
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.alerts.run)
        desk.begin()
        await trio.sleep(100)
        assert desk.fake.tries == [0.0, BACK_OFF_S[0], sum(BACK_OFF_S[:2])]
        assert desk.told == [("begin", "kicked")]
        desk.fake.failures = 100
        desk.over()
        await trio.sleep(100)
        assert len(desk.fake.tries) == 3 + 1 + len(BACK_OFF_S)
        assert desk.counts == {"delivered": 1, "failed": 1, "dropped": 0}
        assert "over of kicked was not told: it is away" in caplog.text
        assert "s3cret" not in caplog.text
        desk.fake.failures, desk.fake.hopeless = 1, True
        desk.begin()
        await trio.sleep(100)
        assert len(desk.fake.tries) == 4 + 1 + len(BACK_OFF_S), "what is hopeless is tried once"
        nursery.cancel_scope.cancel()


async def test_while_a_receiver_hangs_nothing_waits_and_nothing_old_is_told(autojump_clock: MockClock) -> None:
    desk = Desk(after_s=0, timeout_s=10)
    desk.fake.hang = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.alerts.run)
        desk.begin()
        await trio.sleep(5)
        for _ in range(1000):
            desk.begin(Kind.MUTE)
            desk.over(Kind.MUTE)
        desk.begin(Kind.AUDIT)
        desk.fake.hang = False
        await trio.sleep(60)
        assert desk.told == [("begin", "kicked"), ("begin", "audit")]
        nursery.cancel_scope.cancel()


async def test_a_crash_ends_one_alert_alone(autojump_clock: MockClock) -> None:
    desk = Desk(after_s=0)
    desk.fake.crash = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.alerts.run)
        desk.begin()
        await trio.sleep(1)
        desk.fake.crash = False
        desk.over()
        await trio.sleep(1)
        assert desk.told == [("over", "kicked")]
        assert desk.counts == {"delivered": 1, "failed": 1, "dropped": 0}
        nursery.cancel_scope.cancel()


async def test_reminders_and_kinds(autojump_clock: MockClock) -> None:
    desk = Desk(after_s=0, repeat_s=60, kinds=("kicked",), over=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.alerts.run)
        desk.begin(Kind.MUTE)
        desk.begin()
        await trio.sleep(130)
        desk.over()
        await trio.sleep(130)
        assert desk.told == [("begin", "kicked"), ("reminder", "kicked"), ("reminder", "kicked")]
        nursery.cancel_scope.cancel()


async def test_for_trial(autojump_clock: MockClock) -> None:
    desk = Desk(timeout_s=7)
    assert await desk.alerts.test() == [("alert 1", True, "")]
    assert desk.told == [("test", "test")]
    desk.fake.failures = 1
    assert await desk.alerts.test("alert 1") == [("alert 1", False, "it is away")]
    desk.fake.hang = True
    (hangs,) = await desk.alerts.test()
    assert hangs.problem == "https://hooks.example:443/... does not answer within 7 s"


async def test_who_names_no_entry_is_told_which_there_are() -> None:
    alerts = Alerts([AlertConfig(command=("x",), name="chat"), AlertConfig(command=("x",))], Conditions())
    with pytest.raises(NoAlertError) as refused:
        await alerts.test("chatt")
    assert str(refused.value) == "no alert is called 'chatt' (there are: chat, alert 2); did you mean 'chat'?"
    with pytest.raises(NoAlertError, match=r"'pager' \(there are: chat, alert 2\)$"):
        await alerts.test("pager")
    for name in (None, "chat"):
        with pytest.raises(NoAlertError, match=r"no alerts are configured: add an \[\[alerts\]\] entry"):
            await Alerts([], Conditions()).test(name)


def test_the_settings_know_every_kind() -> None:
    assert set(get_args(AlertKind)) == {str(kind) for kind in Kind}
