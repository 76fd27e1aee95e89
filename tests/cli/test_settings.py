"""The options of `serve` and what all sources come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from opendmux import cli
from opendmux.cli.settings import FLAGS, settings_from
from opendmux.config import Config, Limits, Timeouts
from opendmux.config.sources import Settings, Source
from opendmux.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
listen = ["127.0.0.1:44444"]
upstream = "192.0.2.7:11111"
sim_seed = 3
allow_unknown = true
log_level = "warning"
[limits]
in_flight = 8
[timeouts]
reply_s = 5.0
drain_s = 3.0
"""
FILE = Config(
    listen=("127.0.0.1:44444",),
    upstream="192.0.2.7:11111",
    sim_seed=3,
    allow_unknown=True,
    log_level="warning",
    limits=Limits(in_flight=8),
    timeouts=Timeouts(reply_s=5.0, drain_s=3.0, park_s=4.0),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "opendmux.toml"
    file.write_text(TEXT + "park_s = 4\n", encoding="utf-8")
    return file


def settings(*words: str, **environ: str) -> Settings:
    return settings_from(cli.parser_of(["serve"]).parse_args(["serve", *words]), environ)


def test_without_anything_the_defaults_count() -> None:
    assert settings() == Settings(Config())


def test_without_flags_the_file_counts(path: Path) -> None:
    found = settings("--config", str(path))
    assert found.config == FILE
    assert found.source("limits.in_flight") == Source("file", str(path))
    assert found.source("limits.outbox_bytes") == Source("default")


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--listen", ":1", "--listen", "[::1]:1"], "listen", (":1", "[::1]:1")),
        (["--upstream", "sim"], "upstream", "sim"),
        (["--seed", "9"], "sim_seed", 9),
        (["--seed", "0"], "sim_seed", 0),
        (["--log-level", "debug"], "log_level", "debug"),
        (["--log-format", "json"], "log_format", "json"),
        (["--keys", "k.json"], "keys", "k.json"),
        (["--audit-log", "audit"], "audit_log", "audit"),
        (["--insecure-allow-trading"], "insecure_allow_trading", True),
        (["--drain-timeout", "0"], "timeouts.drain_s", 0.0),
        (["--drain-timeout", "1.5"], "timeouts.drain_s", 1.5),
    ],
)
def test_a_flag_wins_and_changes_nothing_else(path: Path, words: list[str], name: str, value: object) -> None:
    found = settings("--config", str(path), *words, OPENDMUX_LOG_LEVEL="error", OPENDMUX_TIMEOUTS__DRAIN_S="2")
    of_the_file = settings("--config", str(path), OPENDMUX_LOG_LEVEL="error", OPENDMUX_TIMEOUTS__DRAIN_S="2")
    differs = {
        key: now for (key, now, _), (_, then, _) in zip(found.rows(), of_the_file.rows(), strict=True) if now != then
    }
    assert differs == {name: value}
    assert found.source(name) == Source("flag", words[0])


def test_every_option_stands_in_the_table() -> None:
    args = vars(cli.parser_of(["serve"]).parse_args(["serve"]))
    assert set(args) - {"config", "json", "run"} == set(FLAGS)


def test_an_empty_address_is_not_no_address() -> None:
    with pytest.raises(ConfigError, match=r"--upstream '' is not HOST:PORT"):
        settings("--upstream", "")


@pytest.mark.parametrize("seconds", ["-1", "3600", "nan", "inf"])
def test_a_drain_timeout_that_makes_no_sense(seconds: str) -> None:
    with pytest.raises(ConfigError, match=r"--drain-timeout .* is not between 0 and 3600 seconds"):
        settings(f"--drain-timeout={seconds}")


def test_a_word_that_is_none_of_them() -> None:
    with pytest.raises(ConfigError) as caught:
        settings("--log-format", "jsn")
    assert str(caught.value) == "--log-format must be one of human, json, not 'jsn'; did you mean 'json'?"


def test_an_option_beats_the_variable_that_names_a_file(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("sim_seed = 5")
    assert settings(OPENDMUX_CONFIG=str(other)).config == msgspec.structs.replace(Config(), sim_seed=5)
    assert settings("--config", str(path), OPENDMUX_CONFIG=str(other)).config == FILE
