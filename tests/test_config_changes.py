"""What is different between two configurations, and what of it a running proxy takes over."""

from __future__ import annotations

from opendmux.config import Config, Limits, Listener, Timeouts
from opendmux.config.changes import changes, with_live

OLD = Config()
NEW = Config(
    listen=(":1",),
    log_level="debug",
    limits=Limits(in_flight=8, extra_lanes=1),
    timeouts=Timeouts(reply_s=9.0, goodbye_s=1.0),
    listeners=(Listener((":1",), ("a",)),),
)


def test_nothing_is_different() -> None:
    assert changes(NEW, NEW) == []
    assert with_live(NEW, NEW) == NEW


def test_every_difference_is_named_once() -> None:
    assert {change.key: change.live for change in changes(OLD, NEW)} == {
        "listen": False,
        "listeners": False,
        "log_level": True,
        "limits.in_flight": True,
        "limits.extra_lanes": False,
        "timeouts.reply_s": False,
        "timeouts.goodbye_s": True,
    }


def test_a_change_is_said_as_the_file_says_it() -> None:
    said = [str(change) for change in changes(OLD, NEW)]
    assert 'log_level: "info" -> "debug"' in said
    assert "limits.in_flight: 512 -> 8" in said
    assert 'listen: [] -> [":1"]' in said


def test_only_what_can_be_is_taken_over() -> None:
    assert with_live(OLD, NEW) == Config(
        log_level="debug", limits=Limits(in_flight=8), timeouts=Timeouts(goodbye_s=1.0)
    )
