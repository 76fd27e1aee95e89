"""How much of an OpenD's quotas is used, as conditions: subscriptions, securities with historical candles, options.

OpenD tells of the first two by itself, in notices; all of them are in answers to what the proxy asks it now and then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .conditions import Conditions, Kind
from .notices import ApiQuota, UsedQuota

__all__ = ["Quota", "QuotaWatch"]

NOTIFIED: Final = ("subscriptions", "history")
"""The quotas of which OpenD tells by itself, in the order of its notices."""

HYSTERESIS: Final = 0.05
"""The share by which a quota must fall below the mark before all is well again."""


@dataclass(slots=True)
class Quota:
    """As OpenD said last; None: it has not."""

    used: int | None = None
    total: int | None = None


class QuotaWatch:
    """Of one OpenD, by its ``name``."""

    def __init__(self, conditions: Conditions, name: str) -> None:
        self.now = {cause: Quota() for cause in (*NOTIFIED, "options")}
        """By the cause of `Kind.QUOTA`; ``history`` counts securities with historical candles."""
        self._conditions = conditions
        self._name = name
        self._told: tuple[int, int] | None = None

    def allowed(self, notice: ApiQuota) -> None:
        """How large they are; what the notice leaves out stays."""
        for cause, total in zip(NOTIFIED, notice, strict=True):
            self.now[cause].total = self.now[cause].total if total is None else total

    def used(self, notice: UsedQuota) -> None:
        """How much of them is used; what the notice leaves out stays."""
        for cause, used in zip(NOTIFIED, notice, strict=True):
            self.now[cause].used = self.now[cause].used if used is None else used

    def told(self, cause: str, use: tuple[int, int] | None) -> None:
        """(used, left) of an answer; None: it does not say."""
        if use is not None:
            self.now[cause] = Quota(use[0], sum(use))

    def look(self, subscriptions: tuple[int, int] | None, mark: float, now: float) -> None:
        """Is one nearly used up? ``subscriptions``: (used, left) of the latest answer, a client's included; it counts
        once, for a notice may say otherwise since. ``mark``: the share from which it is told of."""
        if subscriptions is not self._told:
            self._told = subscriptions
            self.told("subscriptions", subscriptions)
        for cause, quota in self.now.items():
            if quota.used is None or not quota.total:
                continue
            share = quota.used / quota.total
            if share > mark:
                figures = f"{quota.used} of {quota.total} are used."
                self._conditions.begin(Kind.QUOTA, cause, now, figures, opend=self._name, cause=cause)
            elif share <= mark - HYSTERESIS:
                self._conditions.over(Kind.QUOTA, cause, now, opend=self._name)
