"""The command line as a whole: which command is meant, exit codes, and what is imported when."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from opendmux import __version__, cli
from opendmux.errors import ConfigError

if TYPE_CHECKING:
    import argparse


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[argparse.Namespace]:
    """What `serve` was run with; it does nothing."""
    runs: list[argparse.Namespace] = []

    def run(args: argparse.Namespace) -> int:
        runs.append(args)
        return 0

    monkeypatch.setattr(cli.serve, "run", run)
    return runs


@pytest.mark.parametrize("words", [[], ["serve"], ["--upstream", "sim"], ["serve", "--upstream", "sim"]])
def test_without_a_command_serve_is_meant(served: list[argparse.Namespace], words: list[str]) -> None:
    assert cli.main(words) == 0
    (args,) = served
    assert args.upstream == ("sim" if "--upstream" in words else None)


def test_the_words_of_the_process_are_the_default(
    served: list[argparse.Namespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["opendmux", "--seed", "5"])
    assert cli.main() == 0
    assert served[0].seed == 5


@pytest.mark.parametrize("words", [["-h"], ["--help"], *([command, "--help"] for command in cli.COMMANDS)])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 0
    assert "usage: opendmux" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"opendmux {__version__}\n"


@pytest.mark.parametrize("words", [["--unheard-of"], ["serve", "5"], ["--seed", "five"], ["--drain-timeout", "soon"]])
def test_wrong_usage_is_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_a_wrong_setting_is_exit_code_2_and_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_args: argparse.Namespace) -> int:
        raise ConfigError("limits.in_flight = 0: must be greater than 0")

    monkeypatch.setattr(cli.serve, "run", run)
    assert cli.main([]) == 2
    captured = capsys.readouterr()
    assert captured.err == "opendmux: limits.in_flight = 0: must be greater than 0\n"
    assert captured.out == ""


def test_the_exit_code_is_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.serve, "run", lambda _args: 143)
    assert cli.main([]) == 143


def test_help_does_not_pay_for_trio() -> None:
    """Nor for protobuf and the native modules."""
    script = (
        "import sys, opendmux.cli as cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "dear = ('trio', 'google.protobuf', 'opendmux.native')\n"
        "print([name for name in dear if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"
