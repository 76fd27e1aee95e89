"""The command line as a whole: which command is meant, exit codes, and what is imported when."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from opendmux import __version__, cli
from opendmux.errors import CommandError, ConfigError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


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
    err = capsys.readouterr().err
    assert err.startswith("opendmux: ")
    assert err.count("\n") == 1


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


# -- what is imported when

QUICK = {"opendmux", "opendmux._version", "opendmux.cli", "opendmux.cli._parser", "opendmux.errors"}
"""All of ours that the help of the whole needs."""
DEAR = {
    *("asyncio", "cryptography", "dataclasses", "google", "h11", "h2", "hashlib", "http", "inspect", "json", "logging"),
    *("msgspec", "pathlib", "prometheus_client", "rich", "secrets", "socket", "ssl", "tempfile", "trio", "urllib"),
}


def loaded_by(*words: str) -> set[str]:
    script = (
        f"import sys; before = set(sys.modules)\nimport opendmux.cli as cli\ntry: cli.main({list(words)!r})\n"
        "except SystemExit: pass\n"
        "print(*(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    return set(done.stderr.split())


def test_help_loads_nothing_dear_and_no_command() -> None:
    """The list in place of a time, which would depend on the machine."""
    loaded = loaded_by("--help")
    assert {name for name in loaded if name.split(".")[0] == "opendmux"} <= QUICK
    assert not {name.split(".")[0] for name in loaded} & DEAR


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_of_a_command_loads_no_other_command(command: str) -> None:
    loaded = loaded_by(command, "--help")
    modules = {f"opendmux.cli.{other.replace('-', '_')}" for other in cli.COMMANDS if other != command}
    assert not loaded & modules
    assert not {name.split(".")[0] for name in loaded} & {"trio", "rich", "ssl", "msgspec", "google", "cryptography"}


# -- JSON

NO_JSON = {"completion": "a script for a shell"}


def commands() -> list[str]:
    """With their actions: ``keys add``."""
    found = []
    for name, parser in subcommands(cli.parser_of(list(cli.COMMANDS))):
        actions = subcommands(parser)
        found += [f"{name} {action}" for action, _ in actions] or [name]
    return found


def subcommands(parser: argparse.ArgumentParser) -> list[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return list(action.choices.items())
    return []


def test_every_command_is_in_the_table_of_a_group() -> None:
    assert {command.group for command in cli.COMMANDS.values()} == set(cli.GROUPS)
    assert {words.split()[0] for words in commands()} == set(cli.COMMANDS)


@pytest.mark.parametrize("words", commands())
def test_every_command_has_json(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([*words.split(), "--help"])
    assert ("--json" in capsys.readouterr().out) == (words.split()[0] not in NO_JSON)


@pytest.mark.parametrize(
    "words",
    [
        ["statsu"],
        ["keys", "shwo"],
        ["--seed", "five"],
        ["serve", "--unheard-of"],
        ["opend", "relgoin"],
        ["opend", "ping", "--unheard-of"],
        ["opend", "ping", "-x"],
    ],
)
def test_wrong_usage_as_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = cli.main([*words, "--json"])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    error = json.loads(captured.err)["error"]
    assert error["kind"] == "usage"
    assert error["text"]


@pytest.mark.parametrize(("error", "code", "kind"), [(ConfigError("x"), 2, "usage"), (CommandError("x"), 1, "failed")])
@pytest.mark.parametrize("as_json", [True, False])
def test_an_error(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    kind: str,
    as_json: bool,
) -> None:
    def run(_args: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(cli.subs, "run", run)
    assert cli.main(["subs", *(["--json"] if as_json else [])]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    expected = json.dumps({"error": {"kind": kind, "text": "x"}}) if as_json else "opendmux: x"
    assert captured.err == f"{expected}\n"


# -- exit codes


def test_a_reader_that_has_seen_enough_is_exit_code_1() -> None:
    """`opendmux config show | head -1`: no traceback."""
    process = subprocess.Popen(
        [sys.executable, "-m", "opendmux", "config", "show"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(60) == 1


def test_an_interrupt_is_128_and_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.subs, "run", run)
    assert cli.main(["subs"]) == 130


@pytest.mark.parametrize("words", commands())
def test_every_command_ends_with_2_for_an_option_that_it_has_not(words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*words.split(), "--unheard-of"])
    assert ended.value.code == 2


def test_an_option_is_not_cut_short(capsys: pytest.CaptureFixture[str]) -> None:
    """What is clear today would mean two things tomorrow."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["keys", "list", "--js"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --js" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "command", "said"),
    [
        ("--upstrem sim", "serve", "unrecognized arguments: --upstrem sim; did you mean '--upstream'?"),
        ("freeze --status", "freeze", "unrecognized arguments: --status"),
        ("keys list --kees=a", "keys list", "unrecognized arguments: --kees=a; did you mean '--keys'?"),
        ("serve 5", "serve", "unrecognized arguments: 5"),
        ("clients", "clients", "say what to do: list, kill"),
    ],
)
def test_wrong_usage_is_said_by_the_command_that_was_meant(
    words: str, command: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(words.split())
    assert capsys.readouterr().err == f"opendmux: {said} (`opendmux {command} --help` says more)\n"


# -- docs/cli.md


def test_the_page_is_up_to_date() -> None:
    words = [sys.executable, "docs/gen_cli.py", "--check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), "run docs/gen_cli.py"


@pytest.mark.parametrize("words", commands())
def test_the_page_has_every_option(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the generator: what --help shows against the section of the command."""
    with pytest.raises(SystemExit):
        cli.main([*words.split(), "--help"])
    options = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, flags=re.MULTILINE))
    section = re.search(rf"^#+ opendmux {words}\n(.*?)(?=^#)", f"{PAGE}\n#", flags=re.MULTILINE | re.DOTALL)
    assert section is not None
    assert options <= set(re.findall(r"^- `(--[a-z-]+)", section[1], flags=re.MULTILINE))
