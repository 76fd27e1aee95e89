"""`opendmux serve`: what is impossible is said before anything is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from opendmux import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("", ["--upstream", "nowhere"], "--upstream 'nowhere' is not HOST:PORT"),
        ('upstream = "::1:11111"', [], "opendmux.toml: upstream '::1:11111': write an IPv6 address in brackets"),
        ("", ["--log-level", "loud"], "--log-level = 'loud': must be one of debug, info, warning, error"),
        ("[timeouts]\nreply_s = 12", [], "opendmux.toml: timeouts.reply_s = 12: must be under 12"),
        ("port = 1", [], "opendmux.toml has an unknown key 'port'"),
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
