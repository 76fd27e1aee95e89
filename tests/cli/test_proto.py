"""``opendmux proto``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opendmux.cli import main

SOURCE = Path(__file__).parents[2] / "proto" / "futu.proto"


def test_the_definition_is_written_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proto", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "futu.proto").read_bytes() == SOURCE.read_bytes()
    assert capsys.readouterr().out == f"{tmp_path / 'futu.proto'}\n"


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proto", "--out", str(tmp_path / "none")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["proto", "--out", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(tmp_path / "futu.proto")}
