"""Logs: the two formats, the client in fields of its own, no more than so many lines, no secrets."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from opendmux.config import Config
from opendmux.core.identity import Session
from opendmux.core.keys import Key
from opendmux.runtime.logs import BURST_S, KINDS_MAX, REPORT_S, HumanFormatter, JsonFormatter, Limiter, Logs

PLAINTEXT = "fc_" + "0123456789abcdef" * 4


def record(message: object, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("opendmux.test", logging.WARNING, "", 0, message, arguments, None)
    made.created = 1_750_000_000.25
    made.__dict__.update(extra)
    return made


def session(key: Key | None = None) -> Session:
    return Session(7, 1, 1, "127.0.0.1:5", "127.0.0.1", "tcp", 99, b"", b"", key=key, client_id="bot")


def as_json(made: logging.LogRecord) -> dict[str, object]:
    line = JsonFormatter().format(made)
    assert "\n" not in line
    fields: dict[str, object] = json.loads(line)
    return fields


# -- formats


def test_a_json_line() -> None:
    assert as_json(record("%d clients", 5)) == {
        "ts": "2025-06-15T15:06:40.250Z",
        "level": "warning",
        "logger": "opendmux.test",
        "msg": "5 clients",
    }


def test_a_record_about_a_session_names_the_client() -> None:
    fields = as_json(record("%s: closed, %s", session(), "why"))
    assert fields["msg"] == "#7 tcp 127.0.0.1:5 'bot': closed, why"
    assert (fields["conn"], fields["peer"], fields["transport"]) == (7, "127.0.0.1:5", "tcp")
    assert "key" not in fields
    assert as_json(record("%s", session(Key("bot", frozenset()))))["key"] == "bot"


def test_before_there_is_a_session_the_peer_is_named() -> None:
    fields = as_json(record("%s: gone", "x", peer="127.0.0.1:6", transport="grpc"))
    assert (fields["peer"], fields["transport"]) == ("127.0.0.1:6", "grpc")
    assert "conn" not in fields


def test_a_dictionary_of_arguments_is_no_session() -> None:
    assert as_json(record("%(a)s", {"a": 1}))["msg"] == "1"


def test_a_traceback() -> None:
    made = record("it broke")
    try:
        raise ValueError(PLAINTEXT)
    except ValueError:
        made.exc_info = sys.exc_info()
    text = str(as_json(made)["exc"])
    assert "Traceback" in text
    assert "ValueError: fc_<masked>" in text
    human = HumanFormatter().format(made)
    assert human.splitlines()[-1] == "  ValueError: fc_<masked>"


def test_a_peers_words_in_a_traceback_begin_no_record() -> None:
    made = record("it broke")
    try:
        raise ValueError("x\n2026-11-29 10:00:00,000 WARNING opendmux.freeze: thawed \x1b[2J")
    except ValueError:
        made.exc_info = sys.exc_info()
    first, *more = HumanFormatter().format(made).split("\n")
    assert first.endswith("it broke")
    assert all(line.startswith("  ") and line.isprintable() for line in more)


@pytest.mark.parametrize("formatter", [HumanFormatter(), JsonFormatter()])
def test_neither_keys_nor_control_characters_nor_broken_text_get_through(formatter: logging.Formatter) -> None:
    line = formatter.format(record("%s", f"a\nb\x1b[2J \udc80 {PLAINTEXT}"))
    assert "\n" not in line
    assert "\x1b" not in line
    assert PLAINTEXT not in line
    assert "fc_<masked>" in line
    line.encode()


def test_a_human_line() -> None:
    line = HumanFormatter().format(record("%s: closed", session()))
    assert line.endswith(" WARNING opendmux.test: #7 tcp 127.0.0.1:5 'bot': closed")


# -- so many and no more

KIND = ("opendmux.test", logging.INFO, "%s: closed")
OTHER = ("opendmux.test", logging.INFO, "%s: opened")


def test_a_burst_then_so_many_a_second() -> None:
    limiter = Limiter(2)
    assert [limiter.admits(KIND, 0.0) for _ in range(2 * BURST_S + 3)] == [True] * 2 * BURST_S + [False] * 3
    assert limiter.admits(OTHER, 0.0), "each kind counts for itself"
    assert [limiter.admits(KIND, 1.0) for _ in range(3)] == [True, True, False]


def test_what_was_left_out_is_told_once_after_some_seconds() -> None:
    limiter = Limiter(1)
    for _ in range(BURST_S + 4):
        limiter.admits(KIND, 5.0)
    assert list(limiter.dropped(5.0 + REPORT_S - 0.1)) == []
    assert list(limiter.dropped(5.0 + REPORT_S)) == [(KIND, 4)]
    assert list(limiter.dropped(5.0 + REPORT_S)) == []


def test_without_a_limit_nothing_is_left_out() -> None:
    limiter = Limiter(0)
    assert all(limiter.admits(KIND, 0.0) for _ in range(10_000))


def test_kinds_are_forgotten_but_not_what_was_left_out() -> None:
    limiter = Limiter(1)
    for _ in range(BURST_S + 1):
        limiter.admits(KIND, 0.0)
    for number in range(3 * KINDS_MAX):
        limiter.admits(("x", 0, str(number)), 0.0)
    assert len(limiter._buckets) <= KINDS_MAX
    assert list(limiter.dropped(100.0)) == [(KIND, 1)]


# -- together


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ours() -> Iterator[logging.Logger]:
    logger = logging.getLogger("opendmux")
    before = logger.level
    yield logger
    logger.setLevel(before)


def test_the_settings_are_taken_over_while_it_runs(ours: logging.Logger) -> None:
    stream, clock = io.StringIO(), Clock()
    logs = Logs(stream, clock=clock)
    logs.begin(Config(log_level="info", log_format="json", log_lines_per_s=1))
    try:
        for _ in range(BURST_S + 2):
            ours.info("again %s", 1)
        ours.debug("nobody reads this")
        logging.getLogger("hpack").debug("secret header")
        clock.now = REPORT_S
        ours.info("later")
        logs.apply(Config(log_level="debug", log_lines_per_s=0))
        ours.debug("now it is")
        for _ in range(BURST_S + 2):
            ours.debug("on and on")
        logs.apply(Config(log_level="error"))
        ours.warning("not any more")
    finally:
        logs.end()
    ours.error("after the end")
    lines = stream.getvalue().splitlines()
    assert [json.loads(line)["msg"] for line in lines[: BURST_S + 2]] == [
        *["again 1"] * BURST_S,
        "2 more lines like this were left out: again %s",
        "later",
    ]
    human = [line.rpartition(": ")[2] for line in lines[BURST_S + 2 :]]
    assert human == ["now it is", *["on and on"] * (BURST_S + 2)]


def test_the_end_says_what_was_left_out(ours: logging.Logger) -> None:
    stream = io.StringIO()
    logs = Logs(stream, clock=Clock())
    logs.begin(Config(log_lines_per_s=1))
    for _ in range(BURST_S + 7):
        ours.warning("storm")
    logs.end()
    assert stream.getvalue().splitlines()[-1].endswith("WARNING opendmux: 7 more lines like this were left out: storm")


def test_whoever_has_no_session_may_be_named_in_full() -> None:
    fields = as_json(record("turned away", conn=5, peer="p", transport="grpc", key="<invalid>"))
    assert (fields["conn"], fields["peer"], fields["transport"], fields["key"]) == (5, "p", "grpc", "<invalid>")
