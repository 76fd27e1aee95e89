"""`opendmux serve`: the file's settings with the command line's on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opendmux import cli
from opendmux.cli.serve import _merge
from opendmux.config import Config, Limits, Listener, Timeouts, UpstreamConfig, load
from opendmux.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def flags(*words: str) -> argparse.Namespace:
    return cli._parser().parse_args(["serve", *words])


FILE = Config(
    listen=("127.0.0.1:44444",),
    upstream="192.0.2.7:11111",
    sim_seed=3,
    allow_unknown=True,
    log_level="warning",
    limits=Limits(in_flight=8),
    timeouts=Timeouts(reply_s=5.0, drain_s=7.0),
)


@pytest.mark.parametrize("config", [Config(), FILE])
def test_without_flags_the_file_counts(config: Config) -> None:
    assert _merge(config, flags()) == config


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--listen", ":1", "--listen", "[::1]:1"], "listen", (":1", "[::1]:1")),
        (["--upstream", "sim"], "upstream", "sim"),
        (["--upstream", ""], "upstream", ""),
        (["--seed", "9"], "sim_seed", 9),
        (["--seed", "0"], "sim_seed", 0),
        (["--log-level", "debug"], "log_level", "debug"),
        (["--drain-timeout", "0"], "timeouts", Timeouts(reply_s=5.0, drain_s=0.0)),
        (["--drain-timeout", "1.5"], "timeouts", Timeouts(reply_s=5.0, drain_s=1.5)),
    ],
)
def test_a_flag_wins_and_changes_nothing_else(words: list[str], name: str, value: object) -> None:
    merged = _merge(FILE, flags(*words))
    assert getattr(merged, name) == value
    assert all(getattr(merged, other) == getattr(FILE, other) for other in Config.__struct_fields__ if other != name)


def test_flags_together() -> None:
    merged = _merge(Config(), flags("--listen", ":1", "--upstream", "sim", "--seed", "2", "--drain-timeout", "3"))
    assert merged == Config(listen=(":1",), upstream="sim", sim_seed=2, timeouts=Timeouts(drain_s=3.0))


@pytest.mark.parametrize("seconds", ["-1", "3600", "nan", "inf"])
def test_a_drain_timeout_that_makes_no_sense(seconds: str) -> None:
    with pytest.raises(ConfigError, match=r"--drain-timeout .* is not between 0 and 3600 seconds"):
        _merge(FILE, flags(f"--drain-timeout={seconds}"))


NAMED = (UpstreamConfig("a", "sim"),)
LEADING = (Listener((":1",), ("a",)),)


@pytest.mark.parametrize(
    ("config", "words", "said"),
    [
        (
            Config(upstreams=NAMED, listeners=LEADING),
            ["--listen", ":2"],
            "--listen can't be combined with [[listeners]]",
        ),
        (Config(upstreams=NAMED), ["--upstream", "sim"], "--upstream can't be combined with [[upstreams]]"),
    ],
)
def test_a_flag_is_never_ignored(config: Config, words: list[str], said: str) -> None:
    """The file's tables say more than the flag can, so neither can stand for the other."""
    with pytest.raises(ConfigError) as caught:
        _merge(config, flags(*words))
    assert said in str(caught.value)


def test_listen_leads_to_the_first_of_the_files_upstreams() -> None:
    assert _merge(Config(upstreams=NAMED), flags("--listen", ":2")).listen == (":2",)


def test_a_file_and_a_flag(tmp_path: Path) -> None:
    path = tmp_path / "opendmux.toml"
    path.write_text('upstream = "sim"\nsim_seed = 4\n[timeouts]\nreply_s = 6\n')
    args = flags("--config", str(path), "--seed", "5")
    assert _merge(load(args.config), args) == Config(upstream="sim", sim_seed=5, timeouts=Timeouts(reply_s=6.0))


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("", ["--upstream", "nowhere"], "--upstream 'nowhere' is not HOST:PORT"),
        ('upstream = "::1:11111"', [], "--upstream '::1:11111': write an IPv6 address in brackets"),
        ("", ["--log-level", "loud"], "log_level = 'loud': must be one of debug, info, warning, error"),
        ("[timeouts]\nreply_s = 12", [], "timeouts.reply_s = 12: must be under 12"),
        ("port = 1", [], "unknown field `port`"),
    ],
)
def test_what_is_impossible_is_said_before_anything_is_started(
    tmp_path: Path, text: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "opendmux.toml"
    path.write_text(text)
    assert cli.main(["serve", "--config", str(path), *words]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
