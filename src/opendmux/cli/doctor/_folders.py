"""OpenD's folders on this machine: its data, its device id, its log, the room on the disk.

Nothing in them is changed, and of Device.dat, which stands for this machine, only the digest is compared.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opendmux.wording import printable

from ._finding import Section, State
from ._redact import redacted_log

__all__ = ["Device", "Folders", "LogFile", "base_folders", "judge", "look", "tail_of"]

NAMES: Final = (".com.futunn.FutuOpenD", ".com.futunn.OpenD")
PATTERN: Final = ".com.*OpenD*"
"""Finds copies, and the folder of another brand."""
DATA: Final = "F3CNN"
LOG: Final = "Log"
SDK_LOG: Final = "py_"
"""The Python SDK writes its own logs into the same folder."""
DEVICE_MAX: Final = 1024 * 1024
TAIL_BYTES: Final = 64 * 1024
LINES_SHOWN: Final = 5
LINE_SHOWN: Final = 200
BAD_LINE: Final = re.compile(
    r"(?i)\b(error|fail(ed|ure)?|fatal|exception|does not exist|questionnaire|agreement confirmation)\b"
)
"""The form of OpenD's lines is not documented; the last three are out of what its FAQ quotes."""
DISK_LITTLE: Final = 1024**3
DISK_NOTHING: Final = 100 * 1024**2
"""Bytes. OpenD's debug log grows by hundreds of MB a day."""
STALE_LOG_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Device:
    """A Device.dat."""

    path: Path
    size: int
    age_s: float
    digest: str


@dataclass(frozen=True, slots=True)
class LogFile:
    """The newest one of OpenD."""

    path: Path
    size: int
    age_s: float
    bad_lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Folders:
    """What was found."""

    base: Path | None
    """The folder of OpenD's data and log; None: there is none."""
    expected: Path
    """Where it should be."""
    data_error: str = ""
    """Why the data can't be used; empty when it can."""
    app_data: Path | None = None
    """Appdata.dat beside the program or in the data folder."""
    program_folder: Path | None = None
    device: Device | None = None
    copies: Sequence[Path] = ()
    """Other files with the same content as Device.dat."""
    log: LogFile | None = None
    log_folder: Path | None = None
    free_bytes: int | None = None

    @property
    def is_opends(self) -> bool:
        """An OpenD has been here: the SDKs make the same folder for their own logs."""
        assert self.base is not None
        return self.log is not None or self.program_folder is not None or os.path.exists(self.base / DATA)


def base_folders(homes: Sequence[Path], environ: Mapping[str, str], platform: str = sys.platform) -> list[Path]:
    """Where data of OpenD may lie, the documented place first; not all of them are there."""
    if platform == "win32":
        roaming = environ.get("APPDATA")
        roots = [Path(roaming)] if roaming else [home / "AppData" / "Roaming" for home in homes]
        names = [name.removeprefix(".") for name in NAMES]
    else:
        roots, names = list(homes), list(NAMES)
    places = [root / name for root in roots for name in names]
    for root in roots:
        try:
            places += sorted(root.glob(PATTERN if platform != "win32" else PATTERN.removeprefix(".")))
        except OSError:
            continue
    return list(dict.fromkeys(places))


def look(bases: Sequence[Path], *, wall: float, program_folder: Path | None = None, log_path: str = "") -> Folders:
    """``wall``: UTC seconds. The first base that is there is the one in use."""
    there = [base for base in bases if os.path.isdir(base)]
    base = there[0] if there else None
    log_folder = Path(log_path) if log_path else base / LOG if base else None
    if base is None:
        return Folders(None, bases[0], log=_newest_log(log_folder, wall), program_folder=program_folder)
    data = base / DATA
    device = _device(data / "Device.dat", wall)
    found = [path / DATA / "Device.dat" for path in there[1:]]
    copies = [path for path in found if device is not None and (other := _device(path, wall)) and _same(device, other)]
    beside = [folder / "Appdata.dat" for folder in (program_folder, data) if folder is not None]
    try:
        free: int | None = shutil.disk_usage(base).free
    except OSError:
        free = None
    return Folders(
        base,
        bases[0],
        _data_error(data),
        next((path for path in beside if os.path.isfile(path)), None),
        program_folder,
        device,
        copies,
        _newest_log(log_folder, wall),
        log_folder,
        free,
    )


def _data_error(data: Path) -> str:
    if not os.path.exists(data):
        return "it is not there"
    try:
        if not os.listdir(data):
            return "it is empty"
    except OSError as error:
        return f"it can't be read: {error.strerror}"
    return ""


def _same(one: Device, other: Device) -> bool:
    return one.digest == other.digest and one.size > 0


def _device(path: Path, wall: float) -> Device | None:
    if not os.path.isfile(path):  # to open a named pipe would wait for its writer
        return None
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            digest = hashlib.sha256(file.read(DEVICE_MAX)).hexdigest()
    except OSError:
        return None
    return Device(path, status.st_size, max(0.0, wall - status.st_mtime), digest)


def _newest_log(folder: Path | None, wall: float) -> LogFile | None:
    if folder is None:
        return None
    newest: tuple[float, int, Path] | None = None
    try:
        for entry in os.scandir(folder):
            # Root may look at a user's folder, and must not be led to files that only root may read.
            if entry.is_file(follow_symlinks=False) and not entry.name.startswith(SDK_LOG):
                status = entry.stat(follow_symlinks=False)
                newest = max(newest or (0.0, 0, folder), (status.st_mtime, status.st_size, Path(entry.path)))
    except OSError:
        return None
    if newest is None:
        return None
    changed, size, path = newest
    bad = [line for line in tail_of(path).splitlines() if BAD_LINE.search(line)][-LINES_SHOWN:]
    return LogFile(path, size, max(0.0, wall - changed), [printable(redacted_log(line))[:LINE_SHOWN] for line in bad])


def tail_of(path: Path, size: int = TAIL_BYTES) -> str:
    """The last lines of a text, from the beginning of one; empty when it can't be read."""
    try:
        with path.open("rb") as file:
            at = max(0, os.fstat(file.fileno()).st_size - size)
            file.seek(at)
            data = file.read(size)
    except OSError:
        return ""
    return data.decode("utf-8", errors="replace").partition("\n" if at else "\0")[2 if at else 0]


# -- the judgement


def judge(folders: Folders, section: Section, *, runs_here: bool, answers: bool) -> None:
    """``runs_here``: a process of OpenD was seen. ``answers``: an OpenD did."""
    if folders.base is None or not (runs_here or folders.is_opends):
        _no_base(folders, section, runs_here=runs_here)
        return
    _judge_data(folders, section, answers=answers)
    _judge_device(folders, section)
    _judge_log(folders, section, runs_here=runs_here)
    _judge_disk(folders, section)


def _no_base(folders: Folders, section: Section, *, runs_here: bool) -> None:
    if runs_here:
        section.say(
            State.UNKNOWN,
            "OpenD's data",
            "OpenD runs here, but its data folder can't be found.",
            f"looked for {folders.expected}",
            "Run doctor as the user that OpenD runs as.",
        )
        return
    section.say(
        State.SKIPPED,
        "OpenD's data",
        "There is no data folder of OpenD on this machine: it runs elsewhere, as another user, or has never run.",
        f"looked for {folders.expected}",
    )


def _judge_data(folders: Folders, section: Section, *, answers: bool) -> None:
    assert folders.base is not None
    data = folders.base / DATA
    if folders.data_error:
        beside = folders.app_data or (folders.program_folder / "Appdata.dat" if folders.program_folder else None)
        section.say(
            State.WARNING if answers else State.PROBLEM,
            "OpenD's data",
            "OpenD's own data is missing: it ends with `the program's own data does not exist` then.",
            f"{data}: {folders.data_error}",
            f"Unpack {beside or 'Appdata.dat of the program folder'} into {data}, as the user that OpenD runs as; as a "
            "rule that user may not write there.",
        )
        return
    known = f", Appdata.dat at {folders.app_data}" if folders.app_data else ""
    section.say(State.OK, "OpenD's data", "OpenD's data folder is there.", f"{data}{known}")


def _judge_device(folders: Folders, section: Section) -> None:
    assert folders.base is not None
    path = folders.base / DATA / "Device.dat"
    device = folders.device
    if device is None or device.size == 0:
        section.say(
            State.WARNING,
            "device id",
            "OpenD has no device id to read, so it makes a new one and asks for a phone code at its next login.",
            f"{path}: {'empty' if device else 'not there'}",
            "Keep this folder over restarts, in a container on a volume; the code is needed once then.",
        )
    elif folders.copies:
        section.say(
            State.WARNING,
            "device id",
            "Several data folders have the same device id, as copied images do: they verify the device lock again and "
            "again.",
            ", ".join(str(one) for one in (path, *folders.copies)),
            "Delete Device.dat in the copies, here and on other machines made from the same image; each of them then "
            "asks for a phone code once.",
        )
    else:
        section.say(
            State.OK,
            "device id",
            "OpenD has a device id of its own.",
            f"{path}, {device.size} bytes, {_age(device.age_s)} old",
            "If OpenD asks for phone codes all the same, this file is not kept between its starts, or a copy of it is "
            "in use on another machine."
            if device.age_s < STALE_LOG_S
            else "",
        )


def _judge_log(folders: Folders, section: Section, *, runs_here: bool) -> None:
    log = folders.log
    if log is None:
        section.say(
            State.UNKNOWN,
            "OpenD's log",
            "There is no log of OpenD to look at.",
            f"looked in {folders.log_folder}",
            "Look whether log_level in OpenD.xml is `no`, or log_path leads elsewhere.",
        )
        return
    figures = f"{log.path}, {log.size} bytes, last written {_age(log.age_s)} ago"
    if log.bad_lines:
        figures += "; last errors: " + " | ".join(log.bad_lines)
    stale = runs_here and log.age_s > STALE_LOG_S
    section.say(
        State.WARNING if stale else State.OK,
        "OpenD's log",
        "OpenD runs and has not written to its log for over a day." if stale else "OpenD's log is there.",
        figures,
        "Look whether its disk is full and log_path in OpenD.xml leads there." if stale else "",
    )


def _judge_disk(folders: Folders, section: Section) -> None:
    free = folders.free_bytes
    if free is None:
        return
    figures = f"{free // 1024**2} MiB free at {folders.base}"
    if free >= DISK_LITTLE:
        section.say(State.OK, "disk", "There is room for OpenD's data and log.", figures)
        return
    section.say(
        State.PROBLEM if free < DISK_NOTHING else State.WARNING,
        "disk",
        "The disk with OpenD's data and log is nearly full.",
        figures,
        "Delete old files in its Log folder, and set log_level = info in OpenD.xml.",
    )


def _age(seconds: float) -> str:
    from opendmux.cli._control import age

    return age(seconds)
