"""What a running opendmux tells of one OpenD."""

from __future__ import annotations

from typing import Any

from opendmux.cli.doctor._told import Told, find, told_of

LOST: dict[str, Any] = {
    "kind": "right_lost",
    "opend": "a:1",
    "subject": "HK stocks, US stocks",
    "active": True,
    "since": "2026-11-29T10:00:00.123Z",
    "conclusion": "It was lost.\x1b",
    "figures": "LV2 before, BMP now.",
    "next_step": "Take it back.",
}
TOLD = Told(
    "right_lost",
    "HK stocks, US stocks",
    "It was lost.?",
    "LV2 before, BMP now. Since 2026-11-29T10:00:00Z.",
    "Take it back.",
)


def test_of_this_opend_and_of_its_group() -> None:
    over = LOST | {"active": False}
    assert told_of({"conditions": [over, LOST, LOST | {"opend": "b:2"}]}, "a:1") == (TOLD,)
    assert told_of({"conditions": [LOST | {"opend": "b:2 or a:1"}]}, "a:1") == (TOLD,)
    assert told_of({"conditions": [LOST]}, "a:11") == ()


def test_nothing_and_another_version() -> None:
    for snapshot in (None, {}, {"conditions": None}, {"conditions": [{"kind": "right_lost"}]}, {"conditions": [5]}):
        assert told_of(snapshot, "a:1") == ()


def test_the_one_that_is_about_this() -> None:
    assert find([TOLD], "right_lost", ["SG stocks", "US stocks"]) == TOLD
    assert find([TOLD], "right_lost", ["SG stocks"]) is None
    assert find([TOLD], "right_lost", []) is None
    assert find([TOLD], "login_lost", ["US stocks"]) is None
