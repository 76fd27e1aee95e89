"""``opendmux audit verify``: exit codes and what is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from opendmux.cli import main
from opendmux.core.audit import BEGINS, ENDS, AuditEvent, hash_of_line, line_of, note

WALL = 1_795_253_400.0


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"".join(lines()))
    return path


def lines() -> list[bytes]:
    last, written = "0" * 64, []
    trade = AuditEvent("tcp", "peer", "bot", "proto_id=2202", "success")
    for seq, event in enumerate([note(BEGINS), trade, trade, note(ENDS)], 1):
        written.append(line_of(event, seq, WALL, last))
        last = hash_of_line(written[-1]) or ""
    return written


def verified(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = main(["audit", "verify", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out + err


def test_a_whole_log(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = verified(capsys, log)
    assert code == 0
    assert "4 lines, the chain is whole" in text
    assert "note" not in text
    anchor = re.search(r"last line: (\d+:[0-9a-f]{64})", text)
    assert anchor is not None
    assert verified(capsys, log, "--anchor", anchor[1])[0] == 0
    log.write_bytes(b"".join(lines()[:3]))
    code, text = verified(capsys, log)
    assert code == 0
    assert "only an anchor tells" in text
    code, text = verified(capsys, log, "--anchor", anchor[1])
    assert code == 1
    assert "cut off" in text


def test_a_broken_log_names_the_line(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.write_bytes(log.read_bytes().replace(b"bot", b"bat", 1))
    code, text = verified(capsys, log)
    assert code == 1
    assert "BROKEN: audit.jsonl, line 2: edited" in text
    code, text = verified(capsys, log, "--json")
    assert code == 1
    said = json.loads(text)
    assert (said["broken"]["line"], said["broken"]["damage"], said["lines"]) == (2, "edited", 1)


def test_json_of_a_whole_log(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = verified(capsys, log, "--json")
    assert code == 0
    said = json.loads(text)
    assert (said["broken"], said["first_seq"], said["last_seq"], said["closed"]) == (None, 1, 4, True)


def test_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = verified(capsys, tmp_path)
    assert code == 2
    assert "no audit files" in text
    (tmp_path / "opendmux-audit.2026-11-21.jsonl").write_bytes(b"".join(lines()))
    (tmp_path / "opendmux-audit.2026-11-22.jsonl").write_bytes(b"")
    code, text = verified(capsys, tmp_path)
    assert code == 0
    assert "note: opendmux-audit.2026-11-22.jsonl is empty" in text


def test_an_empty_log_is_called_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"")
    code, text = verified(capsys, tmp_path / "empty.jsonl")
    assert code == 0
    assert "empty.jsonl: it is empty" in text
    assert "whole" not in text


def test_wrong_usage(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = verified(capsys, log.with_name("nothing.jsonl"))
    assert code == 2
    assert "No such file" in text
    code, text = verified(capsys, log, "--anchor", "7")
    assert code == 2
    assert "SEQ:HASH" in text
    with pytest.raises(SystemExit) as ended:
        main(["audit"])
    assert ended.value.code == 2
