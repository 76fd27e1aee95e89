"""State that survives a restart: where it lies, that it is written whole, and that two processes keep out of each
other's way."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from opendmux.runtime import state
from opendmux.runtime.state import OthersStateError, StateDir, StateError, state_dir

posix = pytest.mark.skipif(sys.platform == "win32", reason="folders have no locks there")


def test_what_is_written_is_read_and_the_folder_made_for_it(tmp_path: Path) -> None:
    kept = StateDir(tmp_path / "a" / "b")
    assert kept.read("x.json") is None
    assert not (tmp_path / "a").exists()
    kept.write("x.json", b"1")
    kept.write("x.json", b"2")
    assert kept.read("x.json") == b"2"
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "b" / "x.json").stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "a" / "b") == ["x.json"]
    kept.close()


@posix
def test_a_second_process_may_read_and_is_refused_when_it_writes(tmp_path: Path) -> None:
    first, second = StateDir(tmp_path), StateDir(tmp_path)
    first.write("x.json", b"1")
    assert second.read("x.json") == b"1"
    with pytest.raises(StateError, match="another opendmux keeps its state"):
        second.write("x.json", b"2")
    with pytest.raises(OthersStateError, match="another opendmux"):
        second.hold()
    assert first.read("x.json") == b"1"
    first.close()
    second.write("x.json", b"2")
    second.close()


@posix
def test_two_threads_that_write_first_do_not_keep_each_other_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, together, opened = StateDir(tmp_path), threading.Barrier(2), os.open

    def open_together(path: Path, flags: int, mode: int = 0o777) -> int:
        if path == tmp_path:
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(0.2)  # where only one of them comes so far
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", open_together)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(kept.write, ("a.json", "b.json"), (b"1", b"2")))
    assert (kept.read("a.json"), kept.read("b.json")) == (b"1", b"2")
    kept.close()


def test_what_is_no_file_of_ours_is_an_error_and_not_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "long").write_bytes(b"12345")
    kept = StateDir(tmp_path)
    with pytest.raises(StateError, match="folder"):
        kept.read("folder")
    monkeypatch.setattr(state, "MAX_STATE_BYTES", 4)
    with pytest.raises(StateError, match="larger"):
        kept.read("long")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StateError, match="Not a directory"):
        StateDir(tmp_path / "file").read("x")


@posix
def test_a_link_that_leads_nowhere_is_an_error_and_not_nothing(tmp_path: Path) -> None:
    """What it led to may be on a disk that is not mounted."""
    (tmp_path / "x").symlink_to(tmp_path / "gone")
    (tmp_path / "state").symlink_to(tmp_path / "gone")
    for kept in (StateDir(tmp_path), StateDir(tmp_path / "state")):
        with pytest.raises(StateError, match="leads nowhere"):
            kept.read("x")


def test_a_disk_that_fails_is_said_and_the_old_content_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = StateDir(tmp_path)
    kept.write("x.json", b"1")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateError, match=r"can't write .*x\.json: No space left on device"):
        kept.write("x.json", b"2")
    assert kept.read("x.json") == b"1"
    kept.close()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StateError, match="can't make the folder"):
        StateDir(tmp_path / "file" / "below").write("x", b"")


def test_without_a_place_nothing_was_kept_and_nothing_can_be() -> None:
    nowhere = StateDir(None)
    assert nowhere.read("x") is None
    with pytest.raises(StateError, match="state_dir"):
        nowhere.write("x", b"")


@pytest.mark.parametrize(
    ("configured", "environ", "path"),
    [
        ("/a", {"STATE_DIRECTORY": "/b"}, "/a"),
        ("", {"STATE_DIRECTORY": "/b:/c", "XDG_STATE_HOME": "/d"}, "/b"),
        ("", {"XDG_STATE_HOME": "/d"}, "/d/opendmux"),
        ("", {"XDG_STATE_HOME": "relative"}, "HOME/.local/state/opendmux"),
        ("", {}, "HOME/.local/state/opendmux"),
    ],
)
def test_where_it_lies(
    configured: str, environ: dict[str, str], path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert state_dir(configured, environ).path == Path(path.replace("HOME", str(tmp_path)))


def test_somebody_without_a_home_has_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", none)
    assert state_dir("", {}).path is None
