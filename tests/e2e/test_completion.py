"""Tab in real shells, in a real terminal."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opendmux import cli

from .terminal import Terminal

SHELLS = {
    "bash": "bash --noprofile --norc -i",
    "zsh": "zsh -f -i",
    "fish": "fish --no-config",
}
INSTALL = {
    "bash": 'eval "$(opendmux completion bash)"',
    "zsh": 'autoload -U compinit; compinit -D -u; eval "$(opendmux completion zsh)"',
    "fish": "opendmux completion fish | source",
}

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux, which plays the terminal")


@pytest.fixture(params=SHELLS)
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    shell: str = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    monkeypatch.chdir(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "opendmux"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m opendmux "$@"\n')
    program.chmod(0o755)
    assert cli.main(["keys", "add", "--id", "my-bot", "--scopes", "qot:read"]) == 0
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    command = f'env PATH="{programs}:$PATH" {SHELLS[shell]}'
    with contextlib.closing(Terminal(tmp_path, command, **home)) as terminal:
        terminal.line(INSTALL[shell])
        terminal.line("echo installed-(math 1 + 1)" if shell == "fish" else "echo installed-$((1 + 1))")
        terminal.wait_for("installed-2")
        yield terminal


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("opendmux statu", "opendmux status"),
        ("opendmux keys sho", "opendmux keys show"),
        ("opendmux keys show my", "opendmux keys show my-bot"),
        ("opendmux --upst", "opendmux --upstream"),
        ("opendmux --log-level warn", "opendmux --log-level warning"),
        ("opendmux keys add --scopes qot:r", "opendmux keys add --scopes qot:read"),
        ("opendmux keys add --scopes qot:read,acc:r", "opendmux keys add --scopes qot:read,acc:read"),
        ("opendmux --keys keys.js", "opendmux --keys keys.json"),
        ("opendmux proto --out bi", "opendmux proto --out bin/"),
    ],
)
def test_tab(terminal: Terminal, typed: str, becomes: str) -> None:
    terminal.keys("-l", typed)
    terminal.wait_for(typed)
    terminal.keys("Tab")
    terminal.wait_for(becomes)


def test_tab_twice_lists(terminal: Terminal) -> None:
    terminal.keys("-l", "opendmux keys ")
    terminal.keys("Tab", "Tab")
    screen = terminal.wait_for("rotate")
    assert "revoke" in screen
