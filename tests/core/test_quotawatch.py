"""How much of the quotas is used, and when that is told of."""

from __future__ import annotations

from opendmux.core.conditions import Kind
from opendmux.wire.pb import opend
from tests.core.watch_kit import HISTORY, SUBS, USER, Watched, history, quota, user


def test_quotas() -> None:
    play = Watched()
    play.looks()
    play.told(SUBS, quota(91, 9))
    play.looks(1.0)
    play.told(USER, user(subQuota=100, historyKLQuota=100))
    play.notified(type=7, usedQuota=opend.NotifyUsedQuota(usedKLineQuota=90))
    play.looks(1.0)
    assert play.wrong() == [(Kind.QUOTA, "subscriptions", "subscriptions")]
    assert play.book.active()[0].figures == "91 of 100 are used."
    play.notified(type=7, usedQuota=opend.NotifyUsedQuota(usedSubQuota=89, usedKLineQuota=100))
    play.looks(1.0)
    assert [subject for _, subject, _ in play.wrong()] == ["subscriptions", "history"], "a little below is not over yet"
    play.notified(type=6, apiQuota=opend.NotifyAPIQuota(subQuota=1000, historyKLQuota=1000))
    play.looks(1.0)
    assert play.wrong() == []


def test_quotas_that_are_asked_for() -> None:
    """OpenD need not tell of them by itself."""
    play = Watched()
    play.looks()
    play.told(HISTORY, history(99, 1))
    play.told(SUBS, quota(1, 99, optionUsedQuota=19, optionRemainQuota=1))
    play.looks(1.0)
    assert [(subject, cause) for _kind, subject, cause in play.wrong()] == [
        ("history", "history"),
        ("options", "options"),
    ]
    assert [one.figures for one in play.book.active()] == ["99 of 100 are used.", "19 of 20 are used."]
    assert (play.watch.quotas.now["history"].used, play.watch.quotas.now["history"].total) == (99, 100)
