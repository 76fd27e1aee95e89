"""Processes of OpenD in a planted /proc, and several of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from opendmux.cli.doctor._conflicts import judge
from opendmux.cli.doctor._finding import Section, State
from opendmux.cli.doctor._programs import Opend, find_opends, homes_of, options_of, xml_files
from opendmux.cli.doctor._xml import Options
from opendmux.config import Address, UpstreamConfig
from opendmux.runtime.holders import Program, Sockets
from tests.proc_kit import Planted

from .kit import only


def planted_opend(tmp_path: Path) -> tuple[Path, Path]:
    """(/proc, the program's folder)."""
    program = tmp_path / "OpenD_10.11"
    program.mkdir()
    (program / "FutuOpenD").touch()
    (program / "OpenD.xml").write_text("<futu_opend><api_port>11112</api_port></futu_opend>")
    planted = Planted(tmp_path / "proc")
    folder = planted.program(42, "./FutuOpenD", "-login_pwd=hunter2", "-log_level=debug", inodes=[1, 2])
    (folder / "exe").symlink_to(program / "FutuOpenD")
    planted.program(43, "grep", "FutuOpenD")
    planted.program(44, "python", "-m", "opendmux")
    planted.listen("127.0.0.1", 22222, inode=2)
    planted.listen("127.0.0.1", 11112, inode=1)
    planted.write()
    return tmp_path / "proc", program


def test_a_process_and_what_belongs_to_it(tmp_path: Path) -> None:
    proc, program = planted_opend(tmp_path)
    (found,) = find_opends(Sockets(proc), proc)
    assert str(found.program) == "FutuOpenD (pid 42)"
    assert found.folder == program
    assert found.listens == [Address("127.0.0.1", 11112), Address("127.0.0.1", 22222)]
    assert found.options == {"log_level": "debug"}
    assert found.password_shown
    assert xml_files([found], None, None) == {program / "OpenD.xml": found}
    assert found.home in homes_of([found])


@pytest.mark.parametrize(
    ("words", "is_one"),
    [
        (["/opt/FutuOpenD"], True),
        (["OpenD.exe"], True),
        (["moomoo_OpenD"], True),
        (["box64", "./FutuOpenD"], True),
        (["opendmux"], False),
        (["/opt/FutuOpenD_folder/tool"], False),
        (["vim", "OpenD"], False),
    ],
)
def test_what_looks_like_one(tmp_path: Path, words: list[str], is_one: bool) -> None:
    planted = Planted(tmp_path)
    planted.program(1, *words)
    planted.write()
    assert bool(find_opends(Sockets(tmp_path), tmp_path)) is is_one


def test_only_options_without_secrets_are_read() -> None:
    words = ["-login_pwd_md5=abc", "-login_account=1", "-api_ip=0.0.0.0", "-api_port=5", "api_port=6", "-console"]
    assert options_of(words) == {"ip": "0.0.0.0", "api_port": "5"}


def test_a_file_that_is_named(tmp_path: Path) -> None:
    _proc, program = planted_opend(tmp_path)
    named = tmp_path / "two.xml"
    named.touch()
    opend = Opend(Program(1, "FutuOpenD"), program, None, [], {"cfg_file": str(named)}, password_shown=False)
    assert xml_files([opend], None, None) == {named: opend}
    assert xml_files([], program, None) == {program / "OpenD.xml": None}
    assert xml_files([], named, None) == {named: None}
    assert xml_files([], tmp_path, named) == {named: None}
    assert xml_files([], None, tmp_path / "opendmux.toml") == {}


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    assert homes_of([]) == [Path("/")]


# -- several: Q17


def opend(pid: int, folder: str, **options: str) -> Opend:
    return Opend(Program(pid, "FutuOpenD"), Path(folder), None, [], options, password_shown=False)


def options(path: str, **values: str) -> Options:
    return Options(Path(path), values, frozenset())


def judged(
    cases: list[UpstreamConfig] | None = None, opends: list[Opend] | None = None, xmls: list[Options] | None = None
) -> Section:
    section = Section("files")
    judge(cases or [UpstreamConfig("opend", "127.0.0.1:11111")], opends or [], xmls or [], section)
    return section


def test_one_of_each_is_no_matter() -> None:
    assert judged(opends=[opend(1, "/a")], xmls=[options("/a/OpenD.xml")]).findings == []


def test_two_that_are_apart() -> None:
    cases = [UpstreamConfig("a", "127.0.0.1:11111"), UpstreamConfig("b", "127.0.0.1:11112")]
    xmls = [options("/a/OpenD.xml"), options("/b/OpenD.xml", api_port="11112")]
    found = only(judged(cases, [opend(1, "/a"), opend(2, "/b")], xmls), "several OpenDs")
    assert (found.state, found.figures) == (State.OK, "2 in the settings, 2 running here, 2 OpenD.xml")


def test_two_upstreams_that_are_one() -> None:
    found = only(judged([UpstreamConfig("a", "127.0.0.1:1"), UpstreamConfig("b", ":1")]), "several OpenDs")
    assert found.conclusion == "Two upstreams of the settings, 'a' and 'b', are the same OpenD."
    assert found.state is State.PROBLEM


def test_two_programs_out_of_one_folder() -> None:
    found = only(judged(opends=[opend(1, "/a"), opend(2, "/a")]), "several OpenDs")
    assert "Copy the whole folder" in found.next_step
    apart = judged(opends=[opend(1, "/a", cfg_file="1.xml"), opend(2, "/a", cfg_file="2.xml")])
    assert only(apart, "several OpenDs").state is State.OK


def test_two_files_with_one_port() -> None:
    found = only(judged(xmls=[options("/a/OpenD.xml"), options("/b/OpenD.xml", api_port="11111")]), "several OpenDs")
    assert "the same port 11111" in found.conclusion
    assert found.figures == "/a/OpenD.xml, /b/OpenD.xml"
