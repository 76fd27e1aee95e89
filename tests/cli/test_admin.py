"""Which admin socket a command trusts: an order, and the password in it, must not go to another user's."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from opendmux.cli._admin import find_socket
from opendmux.config import admin_place

NOBODY = 65534
PORT = 45454


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a proxy of this user makes it, in a place that stands for /tmp: with a short name, for sockets have a
    limit."""
    with tempfile.TemporaryDirectory() as temporary:
        monkeypatch.setattr(tempfile, "tempdir", temporary)
        monkeypatch.setattr(admin_place, "SYSTEM", Path(temporary) / "run")
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        made = Path(temporary) / f"opendmux-{os.getuid()}"
        made.mkdir(mode=0o700)
        yield made


def make(folder: Path) -> Path:
    path = folder / f"admin-{PORT}.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    path.chmod(0o600)
    return path


def test_our_own(folder: Path) -> None:
    path = make(folder)
    assert find_socket(PORT) == path
    assert find_socket(PORT + 1) is None


def test_not_in_a_folder_where_others_may_write(folder: Path) -> None:
    make(folder)
    for mode in (0o770, 0o707):
        folder.chmod(mode)
        assert find_socket(PORT) is None


def test_not_behind_a_link(folder: Path) -> None:
    moved = folder.rename(folder.parent / "elsewhere")
    make(moved)
    folder.symlink_to(moved)
    assert find_socket(PORT) is None


def test_root_does_not_take_what_a_user_made_in_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user may make /tmp/opendmux-0 before root ever does; root may open every socket."""
    theirs = folder.rename(folder.parent / "opendmux-0")
    path = make(theirs)
    if os.getuid() == 0:
        for made in (theirs, path):
            os.chown(made, NOBODY, NOBODY)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert find_socket(PORT) is None


def test_root_takes_that_of_a_service(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root can have made the service's folder, whoever it belongs to now."""
    system = folder.rename(folder.parent / "run")
    path = make(system)
    if os.getuid() == 0:
        for made in (system, path):
            os.chown(made, NOBODY, NOBODY)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert find_socket(PORT) == path
