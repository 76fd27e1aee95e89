"""The file of keys on disk: bounds, rights, whole or not at all, one writer at a time."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from opendmux.core.keyfile import dump
from opendmux.core.keyrecord import Record
from opendmux.errors import ConfigError
from opendmux.runtime import keystore
from opendmux.runtime.keystore import load, update


def record(number: int) -> Record:
    return Record(id=f"key-{number}", hash=f"{number:064x}", scopes=["qot:read"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file of one key."""
    file = tmp_path / "keys.json"
    file.write_bytes(dump([record(0)]))
    file.chmod(0o600)
    return file


def adding(number: int) -> Callable[[tuple[Record, ...]], Sequence[Record]]:
    return lambda records: (*records, record(number))


def ids(path: Path) -> list[str]:
    return [one.id for one in load(path).file.records]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- reading


def test_a_good_file(path: Path) -> None:
    loaded = load(path)
    assert (ids(path), loaded.warning) == (["key-0"], "")


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o644])
def test_a_file_that_others_may_open_is_warned_of(path: Path, bits: int) -> None:
    path.chmod(bits)
    assert load(path).warning == (
        f"{path} is open to other users of this machine (mode {bits:04o}); `chmod 600 {path}` closes it"
    )


def test_no_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert str(refused.value) == f"there is no file {path}; `opendmux keys add --keys {path} ...` makes it"


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="pipe is not a file"):
        load(pipe)


def test_a_file_that_is_too_large(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = path.stat().st_size
    monkeypatch.setattr(keystore, "MAX_FILE_BYTES", size)
    assert ids(path) == ["key-0"]
    monkeypatch.setattr(keystore, "MAX_FILE_BYTES", size - 1)
    with pytest.raises(ConfigError, match="is larger than 0 MiB; that is no file of keys"):
        load(path)


def test_a_name_that_can_not_be_opened(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't read .*: Not a directory"):
        load(path / "under")


def test_a_bad_file_is_named(path: Path) -> None:
    path.write_text("{")
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path} is not JSON: ")


# -- writing


def test_a_change(path: Path) -> None:
    path.chmod(0o644)
    inode = path.stat().st_ino
    after = update(path, adding(1))
    assert [one.id for one in after.records] == ids(path) == ["key-0", "key-1"]
    assert mode(path) == 0o600
    assert path.stat().st_ino != inode, "renamed over, not written into"
    assert os.listdir(path.parent) == ["keys.json"], "nothing is left beside it"


def test_a_missing_file_is_made_only_when_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(ConfigError, match="there is no file"):
        update(path, adding(1))
    assert not path.exists()
    update(path, adding(1), create=True)
    assert (ids(path), mode(path)) == (["key-1"], 0o600)


def test_a_missing_folder(tmp_path: Path) -> None:
    path = tmp_path / "none" / "keys.json"
    with pytest.raises(ConfigError) as refused:
        update(path, adding(1), create=True)
    assert str(refused.value) == f"can't write {path}: folder {path.parent}: No such file or directory"


def test_a_bad_file_is_not_replaced(path: Path) -> None:
    path.write_text("")
    with pytest.raises(ConfigError, match="is empty"):
        update(path, adding(1), create=True)
    assert path.read_text() == ""


def test_a_change_that_is_refused_or_makes_a_bad_file_changes_nothing(path: Path) -> None:
    before = path.read_bytes()

    def refuse(_records: tuple[Record, ...]) -> Sequence[Record]:
        raise ConfigError("no")

    with pytest.raises(ConfigError, match=r"^no$"):
        update(path, refuse)
    with pytest.raises(ConfigError, match="two keys have the id 'key-0'"):
        update(path, adding(0))
    assert path.read_bytes() == before


def test_a_failing_disk_leaves_the_old_file_and_nothing_beside_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError) as refused:
        update(path, adding(1))
    assert str(refused.value) == f"can't write {path}: No space left on device"
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["keys.json"]


def test_a_symbolic_link_is_followed_and_kept(path: Path) -> None:
    (path.parent / "links").mkdir()
    link = path.parent / "links" / "keys.json"
    link.symlink_to("../keys.json")
    update(link, adding(1))
    assert link.is_symlink()
    assert ids(path) == ["key-0", "key-1"]
    dangling = path.parent / "links" / "new.json"
    dangling.symlink_to("../new.json")
    update(dangling, adding(5), create=True)
    assert dangling.is_symlink()
    assert ids(path.parent / "new.json") == ["key-5"]


def test_links_in_a_circle(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.symlink_to(path)
    with pytest.raises(ConfigError):
        update(path, adding(1), create=True)


# -- two at once


def test_a_folder_that_stays_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore, "LOCK_WAIT_S", 0.0)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match=r"another program has been changing files in .* try again"):
            update(path, adding(1))
        assert ids(path) == ["key-0"], "readers do not wait"
    finally:
        os.close(descriptor)
    update(path, adding(1))
    assert ids(path) == ["key-0", "key-1"]


def test_no_change_of_many_at_once_is_lost(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore, "LOCK_WAIT_S", 60.0)
    monkeypatch.setattr(keystore, "LOCK_RETRY_S", 0.0)
    threads = [threading.Thread(target=update, args=(path, adding(number))) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids(path)) == [f"key-{number}" for number in range(9)]
