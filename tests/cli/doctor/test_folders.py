"""OpenD's folders, planted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from opendmux.cli.doctor._finding import Section, State
from opendmux.cli.doctor._folders import Folders, base_folders, judge, look, tail_of

from .kit import only, states

NOW = 1_800_000_000.0
NAME = ".com.futunn.FutuOpenD"


class Home:
    """One with an OpenD in it."""

    def __init__(self, folder: Path, name: str = NAME) -> None:
        self.base = folder / name
        self.data = self.base / "F3CNN"
        self.data.mkdir(parents=True)
        self.put(self.data / "Device.dat", "device", age_s=90_000)
        self.put(self.data / "Appdata.dat", "data")
        self.log = self.base / "Log"
        self.log.mkdir()
        self.put(self.log / "GTWLog_1.log", "2026-11-29 fine\n", age_s=60)

    def put(self, path: Path, text: str, *, age_s: float = 0.0) -> None:
        path.write_text(text)
        os.utime(path, (NOW - age_s, NOW - age_s))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def folders_of(*homes: Path) -> Folders:
    return look(base_folders(list(homes), {}, "linux"), wall=NOW)


def judged(folders: Folders, *, runs_here: bool = True, answers: bool = True) -> Section:
    section = Section("files")
    judge(folders, section, runs_here=runs_here, answers=answers)
    return section


def test_all_is_well(home: Home, tmp_path: Path) -> None:
    folders = folders_of(tmp_path)
    section = judged(folders)
    assert {state for check, state in states(section).items() if check != "disk"} == {State.OK}
    assert only(section, "device id").figures == f"{home.data / 'Device.dat'}, 6 bytes, 1 d 1 h old"
    assert "last written 1 min 0 s ago" in only(section, "OpenD's log").figures
    assert str(home.data / "Appdata.dat") in only(section, "OpenD's data").figures


def test_places_by_system(tmp_path: Path) -> None:
    assert base_folders([tmp_path], {}, "linux")[0] == tmp_path / NAME
    windows = base_folders([tmp_path], {"APPDATA": str(tmp_path / "Roaming")}, "win32")
    assert windows[0] == tmp_path / "Roaming" / "com.futunn.FutuOpenD"
    assert base_folders([tmp_path], {}, "win32")[0] == tmp_path / "AppData" / "Roaming" / "com.futunn.FutuOpenD"


@pytest.mark.parametrize("answers", [True, False])
def test_the_data_is_missing(home: Home, tmp_path: Path, answers: bool) -> None:
    for path in home.data.iterdir():
        path.unlink()
    found = only(judged(folders_of(tmp_path), answers=answers), "OpenD's data")
    assert found.state is (State.WARNING if answers else State.PROBLEM)
    assert found.figures == f"{home.data}: it is empty"
    assert f"Unpack Appdata.dat of the program folder into {home.data}" in found.next_step
    home.data.rmdir()
    assert only(judged(folders_of(tmp_path)), "OpenD's data").figures.endswith("it is not there")


def test_appdata_of_the_program_folder_is_named(home: Home, tmp_path: Path) -> None:
    for path in home.data.iterdir():
        path.unlink()
    program = tmp_path / "OpenD"
    program.mkdir()
    (program / "Appdata.dat").touch()
    folders = look([home.base], wall=NOW, program_folder=program)
    assert f"Unpack {program / 'Appdata.dat'} into" in only(judged(folders), "OpenD's data").next_step


def test_the_folder_that_an_sdk_made_is_not_opends(tmp_path: Path) -> None:
    (tmp_path / NAME / "Log").mkdir(parents=True)
    (tmp_path / NAME / "Log" / "py_2026_11_29.log").write_text("error\n")
    section = judged(folders_of(tmp_path), runs_here=False)
    assert states(section) == {"OpenD's data": State.SKIPPED}


def test_a_home_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stat(path: os.PathLike[str], **_details: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "stat", stat)
    folders = look([tmp_path / NAME], wall=NOW)
    monkeypatch.undo()
    assert "Run doctor as the user that OpenD runs as" in only(judged(folders), "OpenD's data").next_step


def test_no_folder(tmp_path: Path) -> None:
    assert states(judged(folders_of(tmp_path), runs_here=False)) == {"OpenD's data": State.SKIPPED}
    found = only(judged(folders_of(tmp_path), runs_here=True), "OpenD's data")
    assert (found.state, found.figures) == (State.UNKNOWN, f"looked for {tmp_path / NAME}")


@pytest.mark.parametrize("content", [None, ""])
def test_no_device_id(home: Home, tmp_path: Path, content: str | None) -> None:
    (home.data / "Device.dat").unlink()
    if content is not None:
        (home.data / "Device.dat").write_text(content)
    found = only(judged(folders_of(tmp_path)), "device id")
    assert (found.state, "asks for a phone code" in found.conclusion) == (State.WARNING, True)


def test_copies_of_the_device_id(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    copy = Home(tmp_path, ".com.futunn.FutuOpenD-copy")
    other.put(other.data / "Device.dat", "another")
    folders = folders_of(tmp_path, tmp_path / "other")
    assert folders.copies == [copy.data / "Device.dat"]
    found = only(judged(folders), "device id")
    assert found.state is State.WARNING
    assert str(copy.data / "Device.dat") in found.figures
    assert "Delete Device.dat in the copies" in found.next_step


def test_a_young_device_id_may_be_one_of_many(home: Home, tmp_path: Path) -> None:
    home.put(home.data / "Device.dat", "device", age_s=60)
    assert "not kept between its starts" in only(judged(folders_of(tmp_path)), "device id").next_step


def test_the_last_errors_of_the_log(home: Home, tmp_path: Path) -> None:
    lines = [f"{number} Error login_pwd=hunter2 account 12345678 \x1b[31m" for number in range(9)]
    home.put(home.log / "GTWLog_2.log", "\n".join(["fine", *lines, "terrors are no errors of ours"]))
    found = only(judged(folders_of(tmp_path)), "OpenD's log")
    assert found.state is State.OK
    assert found.figures.count(" Error ") == 5
    assert "8 Error login_pwd=<removed> account <removed> ?[31m" in found.figures
    assert "hunter2" not in found.figures


def test_a_log_that_is_not_written(home: Home, tmp_path: Path) -> None:
    home.put(home.log / "GTWLog_1.log", "old", age_s=90_000)
    assert only(judged(folders_of(tmp_path)), "OpenD's log").state is State.WARNING
    assert only(judged(folders_of(tmp_path), runs_here=False), "OpenD's log").state is State.OK
    (home.log / "GTWLog_1.log").unlink()
    assert only(judged(folders_of(tmp_path)), "OpenD's log").state is State.UNKNOWN


def test_no_other_file_is_shown_for_the_log(home: Home, tmp_path: Path) -> None:
    """Root may look at the folder of a user, who could link to what only root may read."""
    home.put(tmp_path / "shadow", "error: secret\n")
    (home.log / "GTWLog_2.log").symlink_to(tmp_path / "shadow")
    found = only(judged(folders_of(tmp_path)), "OpenD's log")
    assert "GTWLog_1.log" in found.figures
    assert "secret" not in found.figures


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders")
def test_a_pipe_in_place_of_the_device_id_holds_nobody_up(home: Home, tmp_path: Path) -> None:
    (home.data / "Device.dat").unlink()
    os.mkfifo(home.data / "Device.dat")
    assert folders_of(tmp_path).device is None


def test_another_log_path(home: Home, tmp_path: Path) -> None:
    elsewhere = tmp_path / "logs"
    elsewhere.mkdir()
    home.put(elsewhere / "x.log", "fine")
    folders = look([home.base], wall=NOW, log_path=str(elsewhere))
    assert folders.log is not None
    assert folders.log.path == elsewhere / "x.log"


@pytest.mark.parametrize(
    ("free", "state"), [(2 * 1024**3, State.OK), (500 * 1024**2, State.WARNING), (1, State.PROBLEM)]
)
def test_the_disk(home: Home, free: int, state: State) -> None:
    assert only(judged(Folders(home.base, home.base, free_bytes=free)), "disk").state is state


def test_a_tail_begins_with_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\nthree \xff\n")
    assert tail_of(path) == "one\ntwo\nthree \ufffd\n"
    assert tail_of(path, 12) == "three \ufffd\n"
    assert tail_of(tmp_path / "none") == ""
