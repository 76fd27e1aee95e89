"""The running opendmux, as it tells of itself."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from opendmux._version import __version__
from opendmux.cli._control import clean
from opendmux.config import SIM, SIMULATED, parse_address
from opendmux.errors import ConfigError
from opendmux.runtime.holders import PROC, Program

from ._finding import Section, State
from ._told import figures_of

__all__ = ["addresses_of", "console_of", "judge", "judge_absent", "judge_or_say_why", "judge_process", "log_file_of"]

CHECK: Final = "running opendmux"
MILD: Final = frozenset({"paused", "frozen", "quota", "key_expiring"})
"""Conditions that are meant so, or are still to come; where one of them blocks, it is a problem all the same."""
SILENT_MANY: Final = 32
"""Connections that never said anything: half of what one address may have by default."""
IDLE_S: Final = 3600.0
FILES_FULL: Final = 0.8
"""Of the limit of open files."""
OPEN_FILES: Final = re.compile(r"(?m)^Max open files\s+(\d+)")


def addresses_of(snapshot: Mapping[str, Any]) -> list[str]:
    """Of the OpenDs that it uses: where it was started with options, no file says them. Empty: they can't be told."""
    try:
        names = [
            name
            for one in snapshot["opends"]
            for name in ([SIM] if one["simulated"] else str(one["name"]).split(" or "))  # a group has several
        ]
        return [name if name == SIM else str(parse_address(name, what="upstream")) for name in dict.fromkeys(names)]
    except (ConfigError, KeyError, TypeError):  # another version
        return []


def console_of(snapshot: Mapping[str, Any], address: str) -> str:
    """The Telnet console that it goes to for this OpenD; empty: it has none, or can't tell."""
    if address == SIM:
        return ""
    try:
        wanted = parse_address(address, what="upstream")
        for one in snapshot["opends"]:
            for api, console in one["consoles"].items():
                if api != SIMULATED and parse_address(api, what="upstream") == wanted:
                    return str(parse_address(console, what="telnet"))
    except (ConfigError, KeyError, TypeError, AttributeError):  # another version
        pass
    return ""


def judge_absent(error: str, section: Section, *, seen: Program | None) -> None:
    """Nobody told anything. ``seen``: a process of opendmux holds the port."""
    if seen is not None:
        section.say(
            State.UNKNOWN,
            CHECK,
            "opendmux runs, but does not tell how it is.",
            f"{seen}: {clean(error)}",
            "Run doctor as the user that opendmux runs as, or give a key with the scope admin by --key-file.",
        )
    else:
        section.say(State.SKIPPED, CHECK, "No opendmux was asked.", clean(error))


def judge_or_say_why(snapshot: Mapping[str, Any], section: Section, said: Collection[str] = ()) -> None:
    """As `judge`, for what may come from another version."""
    try:
        judge(snapshot, section, said)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        section.say(
            State.UNKNOWN,
            "version",
            "What the running opendmux tells can't be read: it is another version.",
            f"{type(error).__name__}: {error}",
            "Use the doctor of that version, or start opendmux again after the update.",
        )


def judge(snapshot: Mapping[str, Any], section: Section, said: Collection[str] = ()) -> None:
    """Everything that a snapshot shows; names in it were chosen by peers. ``said``: conclusions that the report has
    already, because doctor saw the same with its own eyes: they stand in it once."""
    version = clean(str(snapshot["opendmux"]))
    reasons = [clean(str(reason)) for reason in snapshot["reasons"]]
    if snapshot["ready"]:
        section.say(State.OK, CHECK, "opendmux runs and is ready.", f"version {version}")
    else:
        section.say(
            State.PROBLEM,
            CHECK,
            "opendmux runs and is not ready.",
            "; ".join(reasons),
            "What is said about OpenD above is the reason as a rule.",
        )
    if version != __version__:
        section.say(
            State.WARNING,
            "version",
            "The running opendmux has another version than this command.",
            f"it {version}, this {__version__}",
            "Start it again after an update.",
        )
    _conditions(snapshot, section, said)
    _clients(snapshot, section)
    _audit(snapshot, section)


def _conditions(snapshot: Mapping[str, Any], section: Section, said: Collection[str]) -> None:
    conditions = snapshot.get("conditions") or []
    for condition in conditions:
        if clean(str(condition.get("conclusion", ""))) in said:
            continue
        kind = clean(str(condition.get("kind", "condition")))
        bad = condition.get("blocks") or (condition.get("active") and kind not in MILD)
        section.say(
            State.PROBLEM if bad else State.WARNING,
            f"condition {kind}",
            clean(str(condition.get("conclusion", ""))),
            figures_of(condition),
            clean(str(condition.get("next_step", ""))),
        )
    if not conditions:
        section.say(State.OK, "conditions", "opendmux sees nothing wrong.")


def _clients(snapshot: Mapping[str, Any], section: Section) -> None:
    clients = snapshot["clients"]
    silent = sum(client["state"] == "new" for client in clients)
    keyless = sum(client["key_id"] is None and client["state"] == "ready" for client in clients)
    now = dt.datetime.fromisoformat(snapshot["time"])
    idle = sum(_is_idle(client, now) for client in clients)
    figures = f"clients: {len(clients)}, {silent} that never said anything, {idle} without requests and pushes"
    if snapshot["keys"] and keyless:
        figures += f", {keyless} without a key"
    if silent >= SILENT_MANY:
        section.say(
            State.WARNING,
            "clients",
            "Many connections were opened and never used.",
            figures,
            "Programs that make contexts in a loop do that: each needs its close(). `opendmux clients list` shows "
            "them, `opendmux clients kill` ends one.",
        )
    else:
        section.say(State.OK, "clients", "The clients look well.", figures)


def _is_idle(client: Mapping[str, Any], now: dt.datetime) -> bool:
    age_s = (now - dt.datetime.fromisoformat(client["since"])).total_seconds()
    return (
        age_s > IDLE_S and not client["requests_per_s"] and not client["pushes_per_s"] and not client["subscriptions"]
    )


def _audit(snapshot: Mapping[str, Any], section: Section) -> None:
    audit = snapshot["audit"]
    if audit is None:
        return
    figures = f"{audit['written']} written, {audit['queued']} wait, {audit['lost']} lost"
    if audit["healthy"]:
        section.say(State.OK, "audit log", "The audit log is written.", figures)
    else:
        section.say(
            State.PROBLEM,
            "audit log",
            "The audit log can't be written, so trade writes are refused.",
            figures,
            "Look at the disk and the folder of audit_log; opendmux goes on by itself.",
        )


def judge_process(program: Program, section: Section, root: Path = PROC) -> None:
    """Its open files against its limit."""
    folder = root / str(program.pid)
    try:
        limit = OPEN_FILES.search((folder / "limits").read_text(encoding="ascii", errors="replace"))
        used = len(os.listdir(folder / "fd"))
    except OSError:
        return
    if limit is None:
        return
    allowed = int(limit[1])
    figures = f"{used} of {allowed} open files, pid {program.pid}"
    if used > allowed * FILES_FULL:
        section.say(
            State.WARNING,
            "open files of opendmux",
            "opendmux is near its limit of open files: further clients would be refused.",
            figures,
            "Raise the limit (LimitNOFILE= of systemd, `ulimit -Hn`) and start opendmux again.",
        )
    else:
        section.say(State.OK, "open files of opendmux", "opendmux has room for further clients.", figures)


def log_file_of(program: Program, root: Path = PROC) -> Path | None:
    """The file that its log goes to, when that is a file: what its stderr is."""
    try:
        path = Path(os.readlink(root / str(program.pid) / "fd" / "2"))
        return path if os.path.isfile(path) else None
    except OSError:
        return None
