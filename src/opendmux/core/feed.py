"""The prices of one OpenD: which markets have fallen silent, and which subscriptions may show old prices, and why.

Silence ends as a condition; when a market counts as silent is `mute`'s to say.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from .conditions import Conditions, Kind
from .lanes import Lane, Lanes
from .markets import QOT_MARKETS
from .mute import LIVELY, OPEN_STATES, Hearing
from .notices import market_name
from .rights import Rights
from .streams import Space, StreamKey

__all__ = ["STALE_REASONS", "STREAMS_S", "Feed", "Stale"]

STREAMS_S: Final = 5.0
"""How often the subscriptions are gone through, to count them: with thousands of them that takes milliseconds."""

STALE_REASONS: Final = ("link", "login", "right", "mute")


class Stale(NamedTuple):
    """Why what is known of a subscription may be old."""

    reason: str
    """One of `STALE_REASONS`."""
    text: str
    """The same in a sentence."""


class Feed:
    """Of one OpenD, by its ``name``, over all its ``lanes``. ``rights``: what it may quote."""

    def __init__(self, lanes: Lanes, rights: Rights, conditions: Conditions, name: str) -> None:
        self._lanes = lanes
        self._rights = rights
        self._conditions = conditions
        self._name = name
        self._hearing = Hearing()
        self._mute: dict[int, float] = {}
        """QotMarket -> since when nothing comes of it."""
        self._lively: Counter[int] = Counter()
        """QotMarket -> subscriptions of which something must come, as of the latest count."""
        self._counted_at = -STREAMS_S

    def look(self, now: float, mute_s: float, state_at: float) -> bool:
        """Has a market fallen silent? Called about once a second. ``state_at``: when OpenD said last which markets are
        open; True: it should be asked again, for one that seems silent may have closed since."""
        main = self._lanes.main.upstream
        # Without its login OpenD has nothing to send: that is said already.
        if not mute_s or not main.ready or main.state is None or self._logged_out():
            self.rest(now)
            return False
        opened = [market for market, state in main.state.markets.items() if state in OPEN_STATES]
        if now - self._counted_at >= min(STREAMS_S, mute_s / 4):
            self._counted_at = now
            self._lively = self._count() if opened else Counter()
        heard: Counter[int] = Counter()
        for lane in self._lanes.all:
            heard.update(lane.pushes.heard)
        expected = [market for market in opened if self._lively[market]]
        silent = self._hearing.look(heard, expected, now, mute_s)
        confirmed = {
            market: since for market, since in silent.items() if market in self._mute or state_at - since >= mute_s / 2
        }
        self._set_mute(confirmed, now)
        return len(confirmed) < len(silent)

    def rest(self, now: float) -> None:
        """Nothing can come, or nobody wants to know: nothing is missed."""
        self._hearing.reset()
        self._set_mute({}, now)

    def _logged_out(self) -> bool:
        logins = self._lanes.main.upstream.logins
        return logins is not None and not logins.quote

    def _count(self) -> Counter[int]:
        return Counter(
            view.key.market
            for lane in self._lanes.wanted()
            for view in lane.ledger.overview()
            if view.present
            and view.registered
            and view.key.space is Space.QOT
            and view.key.sub_type in LIVELY
            # Why nothing comes of the others is known.
            and self._rights.lost_for(view.key.market, view.key.code) is None
        )

    def _set_mute(self, mute: dict[int, float], now: float) -> None:
        for market in [market for market in self._mute if market not in mute]:
            self._conditions.over(Kind.MUTE, _market(market), now, opend=self._name)
        for market, since in mute.items():
            figures = f"None for {now - since:.0f} s, of {self._lively[market]} subscriptions."
            self._conditions.begin(Kind.MUTE, _market(market), now, figures, opend=self._name)
        self._mute = mute

    # -- what is old without it

    def count_stale(self, now: float) -> Counter[str]:
        """How many subscriptions that somebody holds may be old, by reason."""
        found: Counter[str] = Counter()
        suspicious = bool(self._mute) or self._rights.any_lost or self._logged_out()
        for lane in self._lanes.wanted():
            if lane.upstream.ready and not suspicious:
                continue  # there may be thousands, and this is asked for every second
            for view in lane.ledger.overview():
                stale = self.stale(lane, view.key, now) if view.holders else None
                if stale is not None:
                    found[stale.reason] += 1
        return found

    def stale(self, lane: Lane, key: StreamKey, now: float) -> Stale | None:
        """Why the prices of this subscription may be old; None: no reason is known."""
        if not lane.upstream.ready:
            return Stale("link", lane.upstream.absence(now))
        if self._logged_out():
            return Stale("login", "OpenD has lost its login for quotes")
        lost = self._rights.lost_for(key.market, key.code)
        if lost is not None:
            return Stale("right", f"OpenD has lost its quote right for {market_name(lost)}")
        if key.space is Space.QOT and key.market in self._mute:
            seconds = round(now - self._mute[key.market])
            return Stale("mute", f"OpenD has sent nothing of {_market(key.market)} for {seconds} s")
        return None


def _market(market: int) -> str:
    return QOT_MARKETS.get(market, f"market {market}")
