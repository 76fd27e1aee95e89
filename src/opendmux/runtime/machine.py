"""Which machine this is, as a key's ``allowed_machines`` names it.

The operating system has an identity of its own that lasts from boot to boot: ``/etc/machine-id`` on Linux, the platform
UUID of macOS, MachineGuid in the registry of Windows, the host id of the BSDs. Such an identity should not leave its
machine, so a key file gets SHA-256 of our name and it. Copies of one virtual machine or container image may share one.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from typing import Final

from opendmux.errors import ConfigError

__all__ = ["machine_id"]

SALT: Final = b"opendmux machine\0"
IDENTITY_FILES: Final = ("/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid")


def machine_id() -> str:
    """64 hex digits, the same at every call on this machine. Raises ConfigError where the system has no identity."""
    identity = _of_the_system().strip().lower()
    if not identity or identity == "uninitialized":  # so systemd writes it into images that have never been booted
        raise ConfigError("this machine has no identity (/etc/machine-id or the like) that a key could be bound to")
    return hashlib.sha256(SALT + identity.encode()).hexdigest()


def _of_the_system() -> str:
    if sys.platform == "win32":
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography") as key:
            return str(winreg.QueryValueEx(key, "MachineGuid")[0])
    if sys.platform == "darwin":
        import subprocess

        command = ["/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice"]
        return _platform_uuid(subprocess.run(command, capture_output=True, text=True, timeout=10).stdout)  # noqa: S603, PLW1510
    return _first_file()


def _first_file() -> str:
    for name in IDENTITY_FILES:
        try:
            if text := Path(name).read_text(encoding="ascii").strip():
                return text
        except (OSError, UnicodeDecodeError):
            continue
    return ""


def _platform_uuid(text: str) -> str:
    """Out of what ioreg prints."""
    match = re.search(r'"IOPlatformUUID"\s*=\s*"([0-9A-Fa-f-]{36})"', text)
    return match[1] if match else ""
