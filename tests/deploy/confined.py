"""Run a command under what the unit file says about system calls and memory, as systemd would set it up.

    python confined.py UNIT-FILE COMMAND ARGUMENT...

Of the unit are taken: NoNewPrivileges, MemoryDenyWriteExecute, SystemCallFilter, SystemCallErrorNumber=EPERM and
RestrictAddressFamilies. The sets of system calls are those of `systemd-analyze syscall-filter`.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import socket
import subprocess
import sys
from pathlib import Path

PR_SET_NO_NEW_PRIVS = 38
PR_SET_MDWE = 65
"""From Linux 6.3 on; systemd itself uses a filter of mmap and mprotect, which older kernels can do too."""
ALLOW = 0x7FFF0000
EPERM = 0x00050000 | 1
EQUAL = 4


class Compare(ctypes.Structure):
    """`struct scmp_arg_cmp`."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def settings_of(unit: str) -> dict[str, list[str]]:
    """Every line of the file, by key."""
    found: dict[str, list[str]] = {}
    for line in Path(unit).read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def allowed(filters: list[str]) -> set[str]:
    """The names that the lines of SystemCallFilter leave."""
    sets = _sets()
    names: set[str] = set()
    for line in filters:
        without = line.startswith("~")
        for word in line.removeprefix("~").split():
            names = names - _expand(word, sets) if without else names | _expand(word, sets)
    return names


def _sets() -> dict[str, list[str]]:
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True).stdout
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        word = line.strip()
        if line.startswith("@"):
            current = found.setdefault(word, [])
        elif word and not word.startswith("#"):
            current.append(word)
    return found


def _expand(word: str, sets: dict[str, list[str]]) -> set[str]:
    if not word.startswith("@"):
        return {word}
    return {name for member in sets[word] for name in _expand(member, sets)}


def confine(unit: str) -> None:
    """Restrict this process. Raises OSError where the system can't."""
    settings = settings_of(unit)
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    if settings["MemoryDenyWriteExecute"] == ["yes"]:
        _check(libc.prctl(PR_SET_MDWE, 1, 0, 0, 0))
    seccomp = ctypes.CDLL(ctypes.util.find_library("seccomp") or "libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(EPERM))
    for name in sorted(allowed(settings["SystemCallFilter"]) - {"socket"}):
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            _check(seccomp.seccomp_rule_add_array(context, ALLOW, number, 0, None))
    number = seccomp.seccomp_syscall_resolve_name(b"socket")
    for family in settings["RestrictAddressFamilies"][0].split():
        compare = Compare(0, EQUAL, getattr(socket, family), 0)
        _check(seccomp.seccomp_rule_add_array(context, ALLOW, number, 1, ctypes.byref(compare)))
    _check(seccomp.seccomp_load(context))


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno() or -result, "the system can't confine a process like this")


if __name__ == "__main__":
    confine(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
