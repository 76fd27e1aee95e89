"""Does the feed of a market still live? A connection may be well while no prices come by it.

The rule is made for few false alarms. A market is looked at while it is open and somebody is registered for prices
of it that move all the time: quotes, order books, ticks, time shares, broker queues. K lines alone are no reason, but
any quote push is a sign of life. It is called mute when nothing of it came for ``mute_s``, and for `USUAL_GAPS` times
as long as it has usually been silent: a few thin securities are silent for minutes. As long as that is not known
(pushes in fewer than `BUSY_LOOKS` seconds so far), `UNKNOWN_FACTOR` times ``mute_s`` are waited. The time begins anew
when the market opens, when the first such subscription is made, and when the connection is back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from . import streams

__all__ = ["LIVELY", "OPEN_STATES", "Hearing"]

LIVELY: Final = frozenset({streams.BASIC, streams.ORDER_BOOK, streams.TICKER, streams.RT, streams.BROKER})
"""Sub types whose pushes must come while the market moves."""

OPEN_STATES: Final = frozenset({3, 5})
"""QotMarketState Morning and Afternoon, for US stocks Afternoon alone. Not the auctions, the lunch break, nor what is
traded before, after and at night, when a security may rest for an hour."""

USUAL_GAPS: Final = 20.0
BUSY_LOOKS: Final = 5
UNKNOWN_FACTOR: Final = 5.0


@dataclass(slots=True)
class _Market:
    """Since it began to be looked at."""

    began: float
    count: int
    """Of its pushes, when it was looked at last."""
    first: float = 0.0
    last: float = 0.0
    """The looks that found new pushes, the first and the latest."""
    busy: int = 0
    """How many such looks."""

    def silent_since(self) -> float:
        return self.last if self.busy else self.began

    def patience_s(self, mute_s: float) -> float:
        if self.busy < BUSY_LOOKS:
            return UNKNOWN_FACTOR * mute_s
        return max(mute_s, USUAL_GAPS * (self.last - self.first) / (self.busy - 1))


class Hearing:
    """Of one OpenD. Called about once a second."""

    def __init__(self) -> None:
        self._markets: dict[int, _Market] = {}

    def look(self, heard: Mapping[int, int], expected: Collection[int], now: float, mute_s: float) -> dict[int, float]:
        """The markets that are mute, and since when. ``heard``: pushes per QotMarket so far; ``expected``: markets that
        are open and from which pushes must come."""
        for market in [market for market in self._markets if market not in expected]:
            del self._markets[market]
        mute = {}
        for market in expected:
            count = heard.get(market, 0)
            known = self._markets.get(market)
            if known is None:
                self._markets[market] = _Market(now, count)
            elif count != known.count:
                known.count = count
                known.first = known.first if known.busy else now
                known.last = now
                known.busy += 1
            elif now - known.silent_since() >= known.patience_s(mute_s):
                mute[market] = known.silent_since()
        return mute

    def reset(self) -> None:
        """The connection is gone, or nobody wants to know."""
        self._markets.clear()
