"""Which changes of conditions are told by an alert, and when.

What has not lasted for ``after_s`` is never told, nor is its end: a connection that is back within seconds is no news.
What lasts is told again every ``repeat_s``. Changes that come together and differ in their subject alone, such as the
rights for twenty markets, are one alert. What comes and goes, such as a connection over a bad line, counts as lasting
until it has been away for a while, ever longer: neither its ends nor its returns are told before that. An OpenD that
serves alone and in a group is heard of twice: while the one is told, the other is not, and is looked at again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple, TypeAlias

from .audit import timestamp_of
from .conditions import Change, Condition, Kind, joined

__all__ = ["Alarm", "Alert", "Event", "Rule", "payload_of", "trial"]

EVENTS_MAX: Final = 100
"""Ends and single events that wait while the receiver does not answer; of more the oldest are dropped and counted."""

CALM_FIRST_S: Final = 30.0
"""What has come back once must stay away for so long before its end is told; twice as long after each return."""

CALM_MAX_S: Final = 600.0
"""At most so long; what comes back later than that is news."""

AGAIN_S: Final = 10.0
"""After which it is looked again whether something is still told by another name."""

Event: TypeAlias = Literal["begin", "reminder", "over", "happened", "test"]

_Key: TypeAlias = tuple[Kind, str, str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What somebody wants to be told."""

    name: str
    kinds: frozenset[Kind] = frozenset(Kind)
    after_s: float = 5.0
    repeat_s: float = 0.0
    """0: no reminders."""
    over: bool = True
    """The end too."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something to tell."""

    event: Event
    condition: Condition
    """As it was then; of several the subjects stand together."""
    at: float
    """Trio seconds."""


@dataclass(slots=True)
class _Known:
    condition: Condition
    at: float
    """When it is to be told (again)."""
    since: float
    """When it began; of what comes and goes, the first time that belongs to it."""
    returns: int = 0
    """How often it has come back soon after its end."""
    told: bool = False
    over_at: float | None = None
    """When it ended, while it is waited whether it comes back."""


class _Ended(NamedTuple):
    at: float
    returns: int


class Alarm:
    """Of one rule. ``now``: Trio seconds."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.dropped = 0
        self._known: dict[_Key, _Known] = {}
        self._ended: dict[_Key, _Ended] = {}
        """What was told and is over, for as long as it may be coming and going."""
        self._events: deque[Alert] = deque()

    def heard(self, change: Change, condition: Condition, now: float) -> bool:
        """A change; whether there is something to do about it now or later."""
        if condition.kind not in self.rule.kinds:
            return False
        key = condition.kind, condition.opend, condition.subject, condition.cause
        if change == "begin":
            self._begun(key, condition, now)
        elif change == "happened":
            self._put(Alert("happened", replace(condition), now))
        else:
            return self._over(key, condition, now)
        return True

    def _begun(self, key: _Key, condition: Condition, now: float) -> None:
        self._ended = {one: ended for one, ended in self._ended.items() if now - ended.at < CALM_MAX_S}
        known = self._known.get(key)
        if known is not None:  # back before its end was told
            known.condition, known.over_at, known.returns = condition, None, known.returns + 1
            known.at = now + self.rule.repeat_s if self.rule.repeat_s else math.inf
            return
        returns = self._ended[key].returns + 1 if key in self._ended else 0
        self._known[key] = _Known(condition, now + self.rule.after_s, now, returns)

    def _over(self, key: _Key, condition: Condition, now: float) -> bool:
        known = self._known.get(key)
        if known is None or not known.told:
            self._known.pop(key, None)
            return False
        known.condition, known.over_at = condition, now
        if known.returns:
            known.at = now + min(CALM_MAX_S, CALM_FIRST_S * 2 ** min(known.returns - 1, 10))
            return True
        return self._end(key, known)

    def _end(self, key: _Key, known: _Known) -> bool:
        """It is over for good, as far as anybody can tell; whether that is to be told."""
        del self._known[key]
        assert known.over_at is not None, "it has ended"
        self._ended[key] = _Ended(known.over_at, known.returns)
        if self.rule.over:
            over = replace(known.condition, since=known.since, times=known.returns + 1)
            self._put(Alert("over", over, known.over_at))
        return self.rule.over

    def _put(self, alert: Alert) -> None:
        self._events.append(alert)
        if len(self._events) > EVENTS_MAX:
            self._events.popleft()
            self.dropped += 1

    def next_due(self) -> float:
        """When `due` has something; infinity for nothing."""
        if self._events:
            return -math.inf
        return min((known.at for known in self._known.values()), default=math.inf)

    def due(self, now: float) -> list[Alert]:
        """What is to be told now, the ends first."""
        for key, known in list(self._known.items()):
            if known.over_at is not None and known.at <= now:
                self._end(key, known)
        alerts = list(self._events)
        self._events.clear()
        for known in self._known.values():
            if known.at <= now and not known.told and self._told_by_another_name(known):
                known.at = now + AGAIN_S
            elif known.at <= now:
                alerts.append(Alert("reminder" if known.told else "begin", replace(known.condition), now))
                known.told = True
                known.at = now + self.rule.repeat_s if self.rule.repeat_s else math.inf
        return _together(alerts)

    def _told_by_another_name(self, known: _Known) -> bool:
        news = known.condition.news
        return news is not None and any(one.told and one.condition.news == news for one in self._known.values())


def _together(alerts: Iterable[Alert]) -> list[Alert]:
    groups: dict[tuple[Event, Kind, str, str], list[Alert]] = {}
    for alert in alerts:
        one = alert.condition
        groups.setdefault((alert.event, one.kind, one.opend, one.cause), []).append(alert)
    return [
        Alert(group[0].event, joined([one.condition for one in group]), max(one.at for one in group))
        for group in groups.values()
    ]


def trial(now: float) -> Alert:
    """An alert that is none, to see whether it arrives."""
    return Alert("test", Condition(Kind.PROGRAM, "", "test", "starting", now, ""), now)


def payload_of(alert: Alert, offset: float, host: str) -> dict[str, str | float | int]:
    """What a receiver gets, see docs/alerts.md. ``offset``: UTC less Trio seconds; ``host``: where the proxy runs."""
    one, test = alert.condition, alert.event == "test"
    conclusion = "This is a test: alerts of opendmux arrive here." if test else one.conclusion
    next_step = "Nothing is to be done." if test else one.next_step
    lasted_s = round(alert.at - one.since, 1)
    return {
        "event": alert.event,
        "kind": "test" if test else str(one.kind),
        "opend": one.opend,
        "subject": one.subject,
        "host": host,
        "since": timestamp_of(offset + one.since),
        "time": timestamp_of(offset + alert.at),
        "lasted_s": lasted_s,
        "times": one.times,
        "conclusion": conclusion,
        "figures": one.figures,
        "next_step": next_step,
        "text": _text(alert.event, conclusion, one.figures, next_step, lasted_s, one.times, host),
    }


def _text(event: Event, conclusion: str, figures: str, next_step: str, lasted_s: float, times: int, host: str) -> str:
    sentence = f"{conclusion} {figures}".rstrip()
    name = f"opendmux on {host}"
    if event == "over":
        again = f"; it came {times} times" if times > 1 else ""
        return f"{name}: over after {_duration(lasted_s)}{again}: {conclusion}"
    if event == "reminder":
        return f"{name}: for {_duration(lasted_s)} now: {sentence}\nNext step: {next_step}"
    return f"{name}: {sentence}\nNext step: {next_step}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"
