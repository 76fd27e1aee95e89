"""Processes that look like OpenD, and the files that belong to them. Linux only: elsewhere `--opend-dir` says where."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from opendmux.config import Address
from opendmux.runtime.holders import PROC, Program, Sockets

__all__ = ["Opend", "find_opends", "homes_of", "options_of", "xml_files"]

LOOKS_LIKE: Final = re.compile(r"(?i)(futu|moomoo|ft)?_?opend(\.exe|\.appimage)?$")
"""FutuOpenD, moomoo_OpenD, OpenD.exe; not opendmux."""
EMULATORS: Final = frozenset(
    {"box64", "qemu-x86_64", "qemu-x86_64-static", "FEXInterpreter", "rosetta", "wine", "wine64"}
)
"""Programs that run another one, whose name comes behind theirs."""
XML_NAMES: Final = ("OpenD.xml", "FutuOpenD.xml", "moomoo_OpenD.xml")
SHOWN_OPTIONS: Final = frozenset(
    {"api_ip", "api_port", "log_level", "auto_hold_quote_right", "telnet_ip", "telnet_port", "websocket_ip"}
    | {"websocket_port", "cfg_file", "lang", "log_path"}
)
"""Options of the command line that hold nothing secret."""


@dataclass(frozen=True, slots=True)
class Opend:
    """One process."""

    program: Program
    folder: Path | None
    """Where its program file lies; None when that may not be seen."""
    home: Path | None
    """Of the user whose process it is."""
    listens: Sequence[Address]
    options: Mapping[str, str]
    """Of its command line, without secrets."""
    password_shown: bool
    """The command line holds a password, which every user of the machine can read."""


def find_opends(sockets: Sockets, root: Path = PROC) -> list[Opend]:
    """By their names."""
    programs = [program for program in sockets.programs() if _looks_like_opend(program)]
    listening = sockets.listening()
    holders = sockets.holders(listening) if programs else {}
    return [
        Opend(
            program,
            _folder(root, program.pid),
            _home(root, program.pid),
            sorted(
                {s.local for s in listening if s.inode in holders and holders[s.inode].pid == program.pid}, key=_by_port
            ),
            options_of(program.arguments),
            any(word.startswith("-login_pwd") for word in program.arguments),
        )
        for program in programs
    ]


def _looks_like_opend(program: Program) -> bool:
    names = [PurePath(word).name for word in program.arguments[:2]] or [program.name]
    if len(names) > 1 and names[0] in EMULATORS:
        names.pop(0)
    return bool(LOOKS_LIKE.match(names[0]))


def options_of(arguments: Iterable[str]) -> dict[str, str]:
    """``-api_port=11112``, for the names that hold nothing secret; they win over the file's."""
    found = {}
    for word in arguments:
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and equals and name in SHOWN_OPTIONS:
            found["ip" if name == "api_ip" else name] = value
    return found


def xml_files(opends: Iterable[Opend], given: Path | None, config: Path | None) -> dict[Path, Opend | None]:
    """The configuration files that are there, with the process that reads them where one is known."""
    found: dict[Path, Opend | None] = {}
    for opend in opends:
        named = opend.options.get("cfg_file")
        places = [Path(named)] if named else [opend.folder / name for name in XML_NAMES] if opend.folder else []
        found |= {path: opend for path in places if os.path.isfile(path)}
    if given is not None:
        inside = [given] if given.suffix == ".xml" else [given / name for name in XML_NAMES]
        found |= {path: None for path in inside if os.path.isfile(path) and path not in found}
    if config is not None and config.suffix.lower() == ".xml":
        found.setdefault(config, None)
    return found


def homes_of(opends: Iterable[Opend]) -> list[Path]:
    """Where data of OpenD may lie: the homes of those who run one, and ours."""
    homes = [opend.home for opend in opends if opend.home is not None]
    try:
        homes.append(Path.home())
    except RuntimeError:  # a user whom the system does not know, as in containers
        homes.append(Path("/"))
    return list(dict.fromkeys(homes))


def _by_port(address: Address) -> tuple[int, str]:
    return address.port, address.host


def _folder(root: Path, pid: int) -> Path | None:
    try:
        return Path(os.readlink(root / str(pid) / "exe")).parent
    except OSError:
        return None


def _home(root: Path, pid: int) -> Path | None:
    if sys.platform == "win32":
        return None
    import pwd

    try:
        return Path(pwd.getpwuid((root / str(pid)).stat().st_uid).pw_dir)
    except (OSError, KeyError):
        return None
