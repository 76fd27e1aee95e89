"""When a feed is called mute, and when it is only quiet."""

from __future__ import annotations

from opendmux.core.mute import BUSY_LOOKS, OPEN_STATES, UNKNOWN_FACTOR, USUAL_GAPS, Hearing

HK, US = 1, 11
MUTE_S = 60.0


class Ear:
    """Looks every second."""

    def __init__(self) -> None:
        self.hearing = Hearing()
        self.heard: dict[int, int] = {}
        self.now = 1000.0

    def goes(self, seconds: int, every: int = 0, market: int = HK, expected: tuple[int, ...] = (HK,)) -> float | None:
        """After how many seconds the market is mute, with a push in every so many; None: not within them."""
        for second in range(1, seconds + 1):
            self.now += 1.0
            if every and second % every == 0:
                self.heard[market] = self.heard.get(market, 0) + 3
            if market in self.hearing.look(self.heard, expected, self.now, MUTE_S):
                return second
        return None


def test_a_busy_feed_is_mute_after_the_time_that_is_set() -> None:
    ear = Ear()
    assert ear.goes(30, every=1) is None
    assert ear.goes(100) == MUTE_S
    assert ear.goes(1, every=1) is None, "over with the next push"
    again = ear.goes(100)
    assert again is not None, "and it may come again"
    assert MUTE_S <= again < MUTE_S + 5, "the first silence counts among the usual ones"


def test_thin_securities_get_the_time_that_they_need() -> None:
    ear = Ear()
    assert ear.goes(300, every=20) is None
    assert ear.goes(1000) == USUAL_GAPS * 20


def test_nothing_at_all_takes_longer() -> None:
    assert Ear().goes(1000) == UNKNOWN_FACTOR * MUTE_S + 1
    ear = Ear()
    assert ear.goes(BUSY_LOOKS - 1, every=1) is None
    assert ear.goes(1000) == UNKNOWN_FACTOR * MUTE_S


def test_the_first_burst_of_a_subscription_is_no_habit() -> None:
    ear = Ear()
    ear.heard[HK] = 500
    assert ear.goes(200) is None


def test_a_break_is_no_silence() -> None:
    ear = Ear()
    assert ear.goes(30, every=1) is None
    assert ear.goes(3600, expected=()) is None
    assert ear.goes(200) is None, "it begins anew when the market opens"
    ear.goes(10, every=1)
    ear.hearing.reset()
    assert ear.goes(200) is None, "and with a new connection"


def test_markets_are_looked_at_one_by_one() -> None:
    ear = Ear()
    assert ear.goes(30, every=1, expected=(HK, US)) is None
    assert ear.goes(290, every=1, market=HK, expected=(HK, US)) is None
    assert ear.hearing.look(ear.heard, (HK, US), ear.now, MUTE_S).keys() == {US}


def test_only_trading_hours_are_looked_at() -> None:
    assert {3, 5} == OPEN_STATES
