"""docs/cookbook.md: every recipe for a key makes one, and every piece of settings is in order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from opendmux.cli import main

PAGE = (Path(__file__).parent.parent / "docs" / "cookbook.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|toml)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line
    for kind, code in BLOCKS
    if kind == "sh"
    for line in code.replace("\\\n", " ").splitlines()
    if line.startswith(("opendmux keys add", "opendmux keys revoke", "opendmux tls"))
]
SETTINGS = [code for kind, code in BLOCKS if kind == "toml"]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_command_does_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        assert main(shlex.split(command)[1:]) == 0, command
    assert len([line for line in capsys.readouterr().out.splitlines() if line.startswith("fc_")]) == 6
    assert len(COMMANDS) == 8


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_piece_of_settings_is_in_order(settings: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "add", "--id", "legacy", "--scopes", "qot:read"]) == 0
    Path("opendmux.toml").write_text(settings)
    assert main(["config", "check", "opendmux.toml"]) == 0, capsys.readouterr().err
