"""Keys that expire, and an audit log that can't be written."""

from __future__ import annotations

from opendmux.core.conditions import Conditions, Kind
from opendmux.core.housewatch import DAY_S, KEYS_S, HouseWatch
from opendmux.core.keys import Key

WALL = 1_700_000_000.0
NOBODY = frozenset[str]()


def wrong(book: Conditions) -> list[tuple[Kind, str, str]]:
    return [(one.kind, one.subject, one.cause) for one in book.active()]


def test_the_audit_log() -> None:
    book = Conditions()
    watch = HouseWatch(book)
    watch.audit("/a.log", trusted=True, now=1.0)
    assert wrong(book) == []
    watch.audit("/a.log", trusted=False, now=2.0)
    assert wrong(book) == [(Kind.AUDIT, "/a.log", "")]
    watch.audit("/a.log", trusted=True, now=3.0)
    assert wrong(book) == []


def test_keys() -> None:
    book = Conditions()
    watch = HouseWatch(book)
    keys = [
        Key("for ever", NOBODY),
        Key("later", NOBODY, expires_at=WALL + 4 * DAY_S),
        Key("soon", NOBODY, expires_at=WALL + 2 * DAY_S),
        Key("over", NOBODY, expires_at=WALL),
    ]
    watch.keys(keys, 0.0, WALL, 3.0)
    assert wrong(book) == [(Kind.KEY_EXPIRING, "soon", ""), (Kind.KEY_EXPIRING, "over", "expired")]
    assert [one.figures for one in book.active()] == [
        "Expires: 2023-11-16 22:13 UTC.",
        "Expired: 2023-11-14 22:13 UTC.",
    ]
    watch.keys([], 1.0, WALL, 3.0)
    assert len(wrong(book)) == 2, "they are not looked at all the time"
    watch.keys(keys[:3], KEYS_S, WALL + 2 * DAY_S, 3.0)
    assert wrong(book) == [(Kind.KEY_EXPIRING, "later", ""), (Kind.KEY_EXPIRING, "soon", "expired")]
    watch.keys(keys, 2 * KEYS_S, WALL, 0.0)
    assert wrong(book) == [], "0 means never"
