"""This machine as far as opendmux depends on it: Python, packages, native code, open files."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ._finding import Section, State

__all__ = ["in_container", "judge_files", "judge_native", "look", "said_sdks", "sdk_versions", "versions"]

SDKS: Final = ("futu-api", "moomoo-api")
FILES_WANTED: Final = 4096
"""Of the hard limit, which `serve` raises its own to: over 1,000 clients, with room for files and links."""


def versions() -> dict[str, str]:
    """Of opendmux and of what it is built on, as `opendmux version` tells them."""
    from opendmux.cli.version import versions as of_all

    return {name: ", ".join(value) if isinstance(value, list) else value for name, value in of_all().items()}


def sdk_versions() -> dict[str, str]:
    """The official SDKs that this interpreter has; others are not looked for."""
    found = {}
    for name in SDKS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def in_container(root: Path = Path("/")) -> bool:
    """As far as the usual marks tell."""
    return any(os.path.exists(root / name) for name in (".dockerenv", "run/.containerenv"))


def look(section: Section) -> None:
    """Add what there is to say."""
    found = versions()
    shown = [f"{name} {value}" for name, value in found.items() if name not in ("opendmux", "python")]
    section.say(State.OK, "versions", f"opendmux {found['opendmux']} on Python {found['python']}.", ", ".join(shown))
    judge_native(section, found["data_path"], found["sha1"])
    judge_files(section, *_file_limits())


def judge_native(section: Section, implementation: str, sha1: str) -> None:
    """Without native modules nothing of opendmux starts, this command included; there is a slow twin of them."""
    pure = implementation == "pure"
    section.say(
        State.WARNING if pure else State.OK,
        "native modules",
        "The slow twin of the native modules is in use." if pure else "The native modules are loaded.",
        f"{implementation}, SHA-1 by {sha1}",
        "Take OPENDMUX_PURE out of the environment." if pure else "",
    )


def judge_files(section: Section, soft: int | None, hard: int | None) -> None:
    """Limits of open files; None: the system has none, or does not say."""
    if hard is None:
        section.say(State.SKIPPED, "open files", "This system has no such limit of open files.")
    elif hard < FILES_WANTED:
        section.say(
            State.WARNING,
            "open files",
            f"A process may open {hard} files here, too few for 1,000 clients.",
            f"soft limit {soft}, hard limit {hard}",
            "Raise the limit: `ulimit -Hn`, LimitNOFILE= of systemd, --ulimit nofile of Docker.",
        )
    else:
        section.say(
            State.OK, "open files", "The limit of open files has room for over 1,000 clients.", f"hard limit {hard}"
        )


def _file_limits() -> tuple[int | None, int | None]:
    if sys.platform == "win32":
        return None, None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft, sys.maxsize if hard == resource.RLIM_INFINITY else hard


def said_sdks(found: Mapping[str, str]) -> str:
    """For a sentence."""
    return ", ".join(f"{name} {version}" for name, version in found.items()) or "no SDK in this Python"
