"""The quote rights of one OpenD: which were lost, and whose subscriptions that concerns.

A right counts as lost while it is lower than the best that OpenD has named since opendmux started: it was taken by
another terminal of the account, or has run out. Without one that is better than BMP nothing is pushed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from .conditions import Conditions, Kind
from .notices import market_name, right_name, right_rank

__all__ = ["Rights", "cause_of", "rights_for"]

PUSHED_FROM: Final = 2
"""Rank of LV1, the lowest right with which something can be subscribed."""

_SUPERSEDED: Final[Mapping[str, frozenset[str]]] = {
    "cnQotRight": frozenset({"shQotRight", "szQotRight"}),
    "usFutureQotRight": frozenset({"usCMEFutureQotRight", "usCBOTFutureQotRight", "usNYMEXFutureQotRight"}),
}
"""Old fields, and those that say it better where they are filled."""

_OF_MARKET: Final[Mapping[int, str]] = {
    1: "hkQotRight",
    11: "usQotRight",
    21: "shQotRight",
    22: "szQotRight",
    31: "sgStockQotRight",
    41: "jpStockQotRight",
    61: "myStockQotRight",
    91: "ccQotRight",
    101: "ecQotRight",
}
"""QotMarket -> the right for its stocks."""

_US_OPTION: Final = re.compile(r"[A-Z.]+\d{6}[CP]\d+")
_HK_OPTION: Final = re.compile(r"[A-Z]+\d{6}[CP]\d+")
_HK_STOCK: Final = re.compile(r"\d{5}|\d{6}")


def cause_of(*, asks_back: bool) -> str:
    """Of a lost right, by whether opendmux asks it back by itself: then nobody is told to let it do so."""
    return "asked_back" if asks_back else ""


class Rights:
    """What OpenD may quote. ``name``: of the OpenD; ``asks_back``: opendmux asks for a lost one by itself."""

    def __init__(self, conditions: Conditions, name: str, asks_back: Callable[[], bool] = lambda: False) -> None:
        self.now: dict[str, int] = {}
        """Field of OpenD's message -> QotRight; empty until it has said so."""
        self._best: dict[str, int] = {}
        self._conditions = conditions
        self._name = name
        self._asks_back = asks_back

    def take(self, rights: Mapping[str, int], now: float) -> None:
        """OpenD has named these; of the others nothing is new."""
        self.now.update(rights)
        for field, right in rights.items():
            rank = right_rank(right)
            if rank is None or not _SUPERSEDED.get(field, frozenset()).isdisjoint(rights):
                continue
            best = self._best.get(field, right)
            if rank >= (right_rank(best) or 0):
                self._best[field] = right
                self._conditions.over(Kind.RIGHT_LOST, market_name(field), now, opend=self._name)
            else:
                figures = f"{right_name(best)} before, {right_name(right)} now."
                self._lost(market_name(field), now, figures)

    @property
    def any_lost(self) -> bool:
        """Something is not pushed any more for want of a right."""
        return any(self._gone(field) for field in self.now)

    def lost_for(self, market: int, code: str) -> str | None:
        """The field whose right this security needs and has lost, so that nothing is pushed of it any more."""
        field = rights_for(market, code)
        return field if field is not None and self._gone(field) else None

    def _lost(self, subject: str, now: float, figures: str) -> None:
        """What is done about it is settled when it begins: with another cause it would be news."""
        known = self._conditions.find(Kind.RIGHT_LOST, subject, opend=self._name)
        cause = known.cause if known is not None else cause_of(asks_back=self._asks_back())
        self._conditions.begin(Kind.RIGHT_LOST, subject, now, figures, opend=self._name, cause=cause)

    def _gone(self, field: str) -> bool:
        if field not in self.now or field not in self._best:
            return False
        rank, best = right_rank(self.now[field]), right_rank(self._best[field])
        return rank is not None and best is not None and rank < PUSHED_FROM <= best


def rights_for(market: int, code: str) -> str | None:
    """The field of the right that a security needs, as far as its code tells: OpenD numbers options, futures and stocks
    of a place alike. None where it can't be told."""
    if market == 1 and not _HK_STOCK.fullmatch(code):
        return "hkOptionQotRight" if _HK_OPTION.fullmatch(code) else "hkFutureQotRight"
    if market == 11 and code.startswith("."):
        return "usIndexQotRight"
    if market == 11 and _US_OPTION.fullmatch(code):
        return "usOptionQotRight"
    return _OF_MARKET.get(market)
