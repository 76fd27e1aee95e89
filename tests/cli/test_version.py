"""`opendmux version`."""

from __future__ import annotations

import json
import platform
import ssl

import pytest
import trio

from opendmux import __version__, cli
from opendmux.cli import version
from opendmux.native import IMPLEMENTATION, sha1_backend


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version"]) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert first == f"opendmux {__version__}"
    said = dict(line.split(maxsplit=1) for line in others)
    assert said["trio"] == trio.__version__
    assert said["openssl"] == ssl.OPENSSL_VERSION
    assert said["sha1"] == sha1_backend()
    assert said["data_path"] == IMPLEMENTATION


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["opendmux"] == __version__
    assert found["python"].startswith(platform.python_version())
    assert {"_framing", "_scan", "_switch"} <= set(found["native_modules"])
    assert all(found.values())


def test_without_compiled_modules_it_still_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is what somebody is asked for whose installation does not work."""
    monkeypatch.setattr(version, "_data_path", lambda: ("missing", "missing"))
    monkeypatch.setattr(version, "MODULES", ("_no_such",))
    assert cli.main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["native_modules"] == []
