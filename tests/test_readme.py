"""README.md: its links lead somewhere, and its commands, settings and programs work as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from opendmux.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_keys_are_made_as_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"^\.venv/bin/opendmux (keys add .*)$", README, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert main(shlex.split(command)) == 0
    assert main(["keys", "check", "--keys", "keys.json"]) == 0, capsys.readouterr().err


def test_its_settings_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    (settings,) = blocks("toml")
    Path("opendmux.toml").write_text(settings)
    assert main(["config", "check", "opendmux.toml"]) == 0, capsys.readouterr().err


def test_the_program_with_a_proxy_inside() -> None:
    (program,) = [code for code in blocks("python") if "open_proxy" in code]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=env, check=True)
    assert re.fullmatch(r"\[Address\(host='127\.0\.0\.1', port=[1-9]\d*\)\]\n", done.stdout), done.stdout


@pytest.mark.parametrize("target", re.findall(r"^make ([\w-]+)", README, re.MULTILINE))
def test_make_knows_its_targets(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
