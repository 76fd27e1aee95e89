"""The identity of a machine: stable, hidden behind a hash, and missed in a sentence."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from opendmux.errors import ConfigError
from opendmux.runtime import machine


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first of the files that hold it on this make-believe system."""
    file = tmp_path / "machine-id"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(machine, "IDENTITY_FILES", (str(file), str(tmp_path / "other")))
    return file


def test_it_is_a_hash_of_the_systems_own(identity: Path) -> None:
    identity.write_text("0123456789ABCDEF0123456789abcdef\n")
    expected = hashlib.sha256(b"opendmux machine\x000123456789abcdef0123456789abcdef").hexdigest()
    assert machine.machine_id() == machine.machine_id() == expected


def test_the_next_file_is_asked_when_one_is_missing_empty_or_not_text(identity: Path) -> None:
    identity.with_name("other").write_text("b")
    found = machine.machine_id()
    identity.write_text("\n")
    assert machine.machine_id() == found
    identity.write_bytes(b"\xff")
    assert machine.machine_id() == found


@pytest.mark.parametrize("text", ["", "uninitialized\n"])
def test_a_machine_without_one(identity: Path, text: str) -> None:
    identity.write_text(text)
    with pytest.raises(ConfigError, match="this machine has no identity"):
        machine.machine_id()


def test_the_platform_uuid_is_found_in_what_ioreg_prints() -> None:
    text = (
        '  | {\n  |   "IOPlatformSerialNumber" = "X"\n  |   "IOPlatformUUID" = "AAAAAAAA-0000-1111-2222-BBBBBBBBBBBB"\n'
    )
    assert machine._platform_uuid(text) == "AAAAAAAA-0000-1111-2222-BBBBBBBBBBBB"
    assert machine._platform_uuid("") == ""
