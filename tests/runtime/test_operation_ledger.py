"""Counts of operation commands that are shared by processes and outlive them."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from opendmux.core.operations import OPERATIONS, OperationError
from opendmux.runtime.operation_ledger import FILE, LOCK, OperationLedger
from opendmux.runtime.state import StateDir

PHONE, HELP = OPERATIONS["req_phone_verify_code"], OPERATIONS["help"]


def test_two_processes_have_one_count(tmp_path: Path) -> None:
    proxy, command = OperationLedger(StateDir(tmp_path / "state")), OperationLedger(StateDir(tmp_path / "state"))
    proxy.book(["a"], PHONE, 1000.0)
    with pytest.raises(OperationError, match="must wait"):
        command.book(["a"], PHONE, 1001.0)
    assert command.wait_s(["a"], PHONE, 1001.0) == 60.0
    command.book(["a"], PHONE, 1061.0)
    with pytest.raises(OperationError):
        proxy.book(["a"], PHONE, 1062.0)


def test_it_counts_beside_a_proxy_that_holds_the_folder(tmp_path: Path) -> None:
    held = StateDir(tmp_path)
    held.hold()
    OperationLedger(StateDir(tmp_path)).book(["a"], PHONE, 1000.0)
    held.close()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such lock")
def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Root may count in the folder of a service, and must make nothing elsewhere for it."""
    state = tmp_path / "state"
    state.mkdir()
    (state / LOCK).symlink_to(tmp_path / "elsewhere")
    with caplog.at_level(logging.WARNING):
        OperationLedger(StateDir(state)).book(["a"], PHONE, 1000.0)
    assert not (tmp_path / "elsewhere").exists()
    assert "in memory alone" in caplog.text


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
def test_what_root_counts_the_service_can_go_on_with(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    OperationLedger(StateDir(tmp_path)).book(["a"], PHONE, 1000.0)
    assert {path.name: path.stat().st_uid for path in tmp_path.iterdir()} == {FILE: 65534, LOCK: 65534}


def test_what_has_no_limit_leaves_no_trace(tmp_path: Path) -> None:
    OperationLedger(StateDir(tmp_path / "state")).book(["a"], HELP, 1000.0)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("place", [None, "file/below"])
def test_where_nothing_can_be_kept_the_process_still_counts(
    tmp_path: Path, place: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    ledger = OperationLedger(StateDir(None if place is None else tmp_path / place))
    with caplog.at_level(logging.WARNING):
        ledger.book(["a"], PHONE, 1000.0)
        with pytest.raises(OperationError):
            ledger.book(["a"], PHONE, 1001.0)
    assert len(caplog.records) == 1
    assert "in memory alone" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such lock")
def test_a_process_that_was_stopped_in_between_holds_nobody_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import fcntl

    with (tmp_path / LOCK).open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ledger = OperationLedger(StateDir(tmp_path))
        with caplog.at_level(logging.WARNING):
            ledger.book(["a"], PHONE, 1000.0)
        assert "in memory alone" in caplog.text
        with pytest.raises(OperationError):
            ledger.book(["a"], PHONE, 1001.0)
