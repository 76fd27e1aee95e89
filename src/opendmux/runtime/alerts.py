"""Alerts: what begins to be wrong, lasts, and is over is told to webhooks and commands.

Each entry of the configuration has a task of its own, which tells one alert at a time. While its receiver is slow or
away, what happens meanwhile waits in core's `Alarm`, bounded, and what is over before it could be told is not told.
Nothing else ever waits for an alert.
"""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec
import trio

from opendmux.config import AlertConfig
from opendmux.config.checking import alert_name
from opendmux.core.alerting import Alarm, Alert, Rule, payload_of, trial
from opendmux.core.conditions import Change, Condition, Conditions, Kind
from opendmux.errors import OpendmuxError
from opendmux.wording import nearest, shown_value

from .hook import HookError, run_hook
from .webhook import Webhook, WebhookError, open_webhook

__all__ = ["BACK_OFF_S", "Alerts", "Channel", "Delivered", "NoAlertError", "channels_of"]

log = logging.getLogger("opendmux.alerts")

BACK_OFF_S: Final = (2.0, 10.0, 30.0)
"""Before the second, third and fourth try of a webhook. Then the alert is given up: what lasts shows in the status, and
comes again with ``repeat_s``. A command is run once: it may have done half of what it does."""


class NoAlertError(OpendmuxError):
    """There is no such entry, or none at all. The text is one sentence for the user."""


class Delivered(NamedTuple):
    """How a test alert went."""

    alert: str
    delivered: bool
    problem: str
    """Why not, one sentence; empty when it was."""


@dataclass(slots=True, eq=False)
class Channel:
    """One entry."""

    name: str
    config: AlertConfig
    webhook: Webhook | None
    alarm: Alarm
    delivered: int = 0
    failed: int = 0
    _news: trio.Event = field(default_factory=trio.Event)

    def heard(self, change: Change, condition: Condition, now: float) -> None:
        """A listener of the conditions."""
        if self.alarm.heard(change, condition, now):
            news, self._news = self._news, trio.Event()
            news.set()

    async def run(self, offset: Callable[[], float]) -> None:
        """Tell what is due until cancelled. ``offset``: UTC less Trio seconds."""
        while True:
            with trio.move_on_at(self.alarm.next_due()):
                await self._news.wait()
            for alert in self.alarm.due(trio.current_time()):
                try:
                    await self._tell(alert, offset())
                except Exception:
                    self.failed += 1
                    log.exception("%s: a crash over an alert; the next ones are told", self.name)

    async def _tell(self, alert: Alert, offset: float) -> None:
        what = f"{alert.event} of {alert.condition.kind}"
        for wait_s in (*BACK_OFF_S, None):
            try:
                printed = await self.send(alert, offset)
            except HookError as error:
                log.warning("%s: %s was not told: %s", self.name, what, error)
                break
            except WebhookError as error:
                if error.hopeless or wait_s is None:
                    log.warning("%s: %s was not told: %s", self.name, what, error)
                    break
                log.info("%s: %s is told again in %g s: %s", self.name, what, wait_s, error)
                await trio.sleep(wait_s)
            else:
                self.delivered += 1
                log.info("%s: told %s%s", self.name, what, f"; it printed: {printed}" if printed else "")
                return
        self.failed += 1

    async def send(self, alert: Alert, offset: float) -> str:
        """One try. Raises WebhookError or HookError."""
        said = payload_of(alert, offset, platform.node() or "unknown")
        body = msgspec.json.encode(said)
        if self.webhook is None:
            variables = {f"OPENDMUX_ALERT_{name.upper()}": str(value) for name, value in said.items()}
            return await run_hook(self.config.command, body, variables, self.config.timeout_s)
        try:
            with trio.fail_after(self.config.timeout_s):
                await self.webhook.post(body)
        except trio.TooSlowError as error:
            raise WebhookError(f"{self.webhook} does not answer within {self.config.timeout_s:g} s") from error
        return ""


def channels_of(configs: Sequence[AlertConfig]) -> list[Channel]:
    """Raises ConfigError for authorities that can't be read."""
    channels = []
    for number, config in enumerate(configs, 1):
        name = alert_name(config, number)
        webhook = open_webhook(config.webhook, config.ca, f"alerts: {name}") if config.webhook else None
        kinds = frozenset(map(Kind, config.kinds)) or frozenset(Kind)
        alarm = Alarm(Rule(name, kinds, config.after_s, config.repeat_s, config.over))
        channels.append(Channel(name, config, webhook, alarm))
    return channels


class Alerts:
    """All of one process. Hears of conditions from the moment it is made."""

    def __init__(
        self, configs: Sequence[AlertConfig], conditions: Conditions, wall: Callable[[], float] = time.time
    ) -> None:
        """Raises ConfigError."""
        self.channels = channels_of(configs)
        self._wall = wall
        for channel in self.channels:
            conditions.on_change.append(channel.heard)

    async def run(self) -> None:
        """Until cancelled; what is on its way then is cut off."""
        async with trio.open_nursery() as nursery:
            for channel in self.channels:
                nursery.start_soon(channel.run, self._offset)

    async def test(self, name: str | None = None) -> list[Delivered]:
        """Send one for trial by every entry, or by the one of that name; each is tried once, all at the same time.
        Raises NoAlertError."""
        chosen = [channel for channel in self.channels if name in (None, channel.name)]
        if not chosen:
            raise NoAlertError(self._why_none(name))
        found: dict[str, str] = {}

        async def one(channel: Channel) -> None:
            try:
                await channel.send(trial(trio.current_time()), self._offset())
            except (WebhookError, HookError) as error:
                found[channel.name] = str(error)
            else:
                found[channel.name] = ""

        async with trio.open_nursery() as nursery:
            for channel in chosen:
                nursery.start_soon(one, channel)
        return [Delivered(channel.name, not found[channel.name], found[channel.name]) for channel in chosen]

    def _why_none(self, name: str | None) -> str:
        names = [channel.name for channel in self.channels]
        if name is None or not names:
            return (
                "no alerts are configured: add an [[alerts]] entry with a webhook or a command to the configuration "
                "file, and start opendmux again"
            )
        return f"no alert is called {shown_value(name)} (there are: {', '.join(names)}){nearest(name, names)}"

    def counts(self) -> list[tuple[str, str, int]]:
        """For metrics: entry, outcome, how many."""
        return [
            (channel.name, outcome, count)
            for channel in self.channels
            for outcome, count in (
                ("delivered", channel.delivered),
                ("failed", channel.failed),
                ("dropped", channel.alarm.dropped),
            )
        ]

    def _offset(self) -> float:
        return self._wall() - trio.current_time()
