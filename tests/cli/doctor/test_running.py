"""The running opendmux, its port, its files and this machine."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opendmux._version import __version__
from opendmux.cli import main
from opendmux.cli.doctor import _files, _listen, _machine
from opendmux.cli.doctor._examination import _with_console
from opendmux.cli.doctor._finding import Section, State
from opendmux.cli.doctor._running import (
    addresses_of,
    console_of,
    judge,
    judge_absent,
    judge_or_say_why,
    judge_process,
    log_file_of,
)
from opendmux.config import SIM, Address, Config, TlsConfig, UpstreamConfig
from opendmux.core import snapshot as core
from opendmux.errors import ConfigError
from opendmux.runtime.holders import Program, Sockets
from opendmux.runtime.keystore import load
from tests.proc_kit import Planted

from .kit import only, states

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
CLIENT: dict[str, Any] = {
    "state": "ready",
    "key_id": None,
    "since": "2026-11-29T09:00:00Z",
    "requests_per_s": 0.0,
    "pushes_per_s": 0.0,
    "subscriptions": 0,
}
SNAPSHOT: dict[str, Any] = {
    "opendmux": __version__,
    "time": "2026-11-29T12:00:00Z",
    "ready": True,
    "reasons": [],
    "keys": False,
    "clients": [],
    "conditions": [],
    "audit": None,
}


def judged(**changed: Any) -> Section:
    section = Section("opendmux")
    judge({**SNAPSHOT, **changed}, section)
    return section


def test_a_healthy_one() -> None:
    assert set(states(judged()).values()) == {State.OK}


def test_one_that_is_not_ready() -> None:
    found = only(judged(ready=False, reasons=["OpenD is away\x1b"]), "running opendmux")
    assert (found.state, found.figures) == (State.PROBLEM, "OpenD is away?")


def test_where_its_opends_are() -> None:
    simulated, real = {"name": "SIMULATED", "simulated": True}, {"name": "192.0.2.7:11111", "simulated": False}
    assert addresses_of({"opends": [simulated, real]}) == ["sim", "192.0.2.7:11111"]
    group = {"name": "192.0.2.7:11111 or 192.0.2.8:11111", "simulated": False}
    assert addresses_of({"opends": [real, group]}) == ["192.0.2.7:11111", "192.0.2.8:11111"]
    for unclear in ([{"name": "nowhere", "simulated": False}], [{"name": "192.0.2.7:11111"}], 5):
        assert addresses_of({"opends": unclear}) == []


def test_where_their_consoles_are() -> None:
    group = {"consoles": {"SIMULATED": "SIMULATED", "192.0.2.7:11111": "192.0.2.7:22222"}}
    found = {"opends": [{"consoles": {}}, group]}
    assert console_of(found, "192.0.2.7:11111") == "192.0.2.7:22222"
    assert console_of(found, "192.0.2.8:11111") == ""
    assert console_of(found, SIM) == ""
    for unclear in ([{"name": "192.0.2.7:11111"}], [{"consoles": {"192.0.2.7:11111": "nowhere"}}], 5):
        assert console_of({"opends": unclear}, "192.0.2.7:11111") == ""
    unnamed = UpstreamConfig("opend", "192.0.2.7:11111")
    assert _with_console(unnamed, found).telnet == "192.0.2.7:22222"
    named = UpstreamConfig("opend", "192.0.2.7:11111", telnet="192.0.2.7:1")
    assert _with_console(named, found).telnet == "192.0.2.7:1"


def test_an_older_one_that_knows_no_conditions() -> None:
    section = Section("opendmux")
    judge({name: value for name, value in SNAPSHOT.items() if name != "conditions"} | {"opendmux": "0.0.9"}, section)
    assert only(section, "version").figures == f"it 0.0.9, this {__version__}"
    assert only(section, "conditions").state is State.OK


@pytest.mark.parametrize(
    ("kind", "active", "blocks", "state"),
    [
        ("kicked", True, True, State.PROBLEM),
        ("right_lost", True, False, State.PROBLEM),
        ("quota", True, False, State.WARNING),
        ("paused", True, True, State.PROBLEM),
        ("outcome_unknown", False, False, State.WARNING),
    ],
)
def test_its_conditions(kind: str, active: bool, blocks: bool, state: State) -> None:
    condition = core.Condition(
        kind=kind,
        opend="x",
        subject="x",
        active=active,
        since="2026-11-29T10:00:00Z",
        times=1,
        blocks=blocks,
        conclusion="It was so.",
        figures="1 of 2.",
        next_step="Do this.",
    )
    found = only(judged(conditions=[msgspec.to_builtins(condition)]), f"condition {kind}")
    assert (found.state, found.conclusion, found.next_step) == (state, "It was so.", "Do this.")
    assert found.figures == "1 of 2. Since 2026-11-29T10:00:00Z."


def test_what_doctor_has_seen_itself_is_said_once() -> None:
    seen = {"kind": "code_needed", "active": True, "blocks": True, "conclusion": "It waits.", "since": ""}
    other = {**seen, "kind": "right_lost", "conclusion": "It has lost it."}
    section = Section("opendmux")
    judge({**SNAPSHOT, "conditions": [seen, other]}, section, {"It waits."})
    assert [check for check in states(section) if check.startswith("condition")] == ["condition right_lost"]


def test_its_clients() -> None:
    busy = CLIENT | {"requests_per_s": 1.0, "key_id": "bot"}
    young = CLIENT | {"since": "2026-11-29T11:59:00Z"}
    found = only(judged(keys=True, clients=[CLIENT, busy, young]), "clients")
    assert found.state is State.OK
    assert found.figures == "clients: 3, 0 that never said anything, 1 without requests and pushes, 2 without a key"
    many = only(judged(clients=[CLIENT | {"state": "new"}] * 32), "clients")
    assert (many.state, "close()" in many.next_step) == (State.WARNING, True)


def test_its_audit_log() -> None:
    audit = {"healthy": False, "written": 5, "queued": 2, "lost": 1}
    assert only(judged(audit=audit), "audit log").state is State.PROBLEM
    assert only(judged(audit=audit | {"healthy": True}), "audit log").state is State.OK


def test_another_version_that_cannot_be_read() -> None:
    section = Section("opendmux")
    judge_or_say_why({"opendmux": "9.0"}, section)
    assert only(section, "version").figures == "KeyError: 'reasons'"


def test_one_that_does_not_tell() -> None:
    section = Section("opendmux")
    judge_absent("refuses: no key", section, seen=Program(5, "opendmux"))
    judge_absent("nothing listens", section, seen=None)
    assert [finding.state for finding in section.findings] == [State.UNKNOWN, State.SKIPPED]


@pytest.mark.parametrize(("limit", "state"), [(4, State.WARNING), (100, State.OK)])
def test_its_open_files(tmp_path: Path, limit: int, state: State) -> None:
    folder = Planted(tmp_path).program(5, "opendmux", inodes=[1, 2, 3])
    (folder / "limits").write_text(f"Limit  Soft Limit\nMax open files            {limit}   9999   files\n")
    section = Section("opendmux")
    judge_process(Program(5, "opendmux"), section, tmp_path)
    found = only(section, "open files of opendmux")
    assert (found.state, found.figures) == (state, f"4 of {limit} open files, pid 5")


def test_the_file_of_its_log(tmp_path: Path) -> None:
    folder = Planted(tmp_path).program(5, "opendmux")
    assert log_file_of(Program(5, "opendmux"), tmp_path) is None
    (tmp_path / "log").touch()
    (folder / "fd" / "2").symlink_to(tmp_path / "log")
    assert log_file_of(Program(5, "opendmux"), tmp_path) == tmp_path / "log"


# -- its port


def test_its_port(tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    planted.program(1, "/usr/bin/opendmux", inodes=[1])
    planted.program(2, "FutuOpenD", inodes=[2])
    planted.listen("127.0.0.1", 1001, inode=1)
    planted.listen("127.0.0.1", 1002, inode=2)
    planted.listen("127.0.0.1", 1003, inode=3)
    planted.write()
    section = Section("opendmux")
    addresses = [Address("127.0.0.1", port) for port in (1001, 1002, 1003, 1004, 0)]
    holder = _listen.judge([*addresses, Address("::1", 1001)], Sockets(tmp_path), section)
    assert [finding.state for finding in section.findings] == [State.OK, State.PROBLEM, State.UNKNOWN]
    assert section.findings[1].figures == "FutuOpenD (pid 2)"
    assert holder.ours is not None
    assert (holder.ours.pid, holder.foreign) == (1, frozenset({1002}))
    assert holder.free == (Address("127.0.0.1", 1004),)


@pytest.mark.parametrize(
    ("waiting", "conclusion"),
    [
        (False, "Port 33333 is free for opendmux."),
        (True, "Nothing listens on port 33333 yet: opendmux runs and waits for OpenD first."),
    ],
)
def test_a_port_is_not_called_free_while_opendmux_waits(waiting: bool, conclusion: str) -> None:
    section = Section("opendmux")
    _listen.judge_free(_listen.Holder(free=(Address("127.0.0.1", 33333),)), section, waiting=waiting)
    (found,) = section.findings
    assert (found.state, found.conclusion, found.figures) == (State.OK, conclusion, "127.0.0.1:33333")


def test_where_ports_cannot_be_seen(tmp_path: Path) -> None:
    section = Section("opendmux")
    _listen.judge([Address("127.0.0.1", 33333)], Sockets(tmp_path), section)
    (found,) = section.findings
    assert (found.state, "33333" in found.next_step) == (State.SKIPPED, True)
    assert [str(address) for address in _listen.wanted_addresses(())] == ["127.0.0.1:33333"]


# -- its files


def test_settings() -> None:
    section = Section("opendmux")
    _files.look(Config(), None, None, section, wall=NOW.timestamp())
    assert states(section) == {"settings": State.OK, "keys": State.SKIPPED}
    keyed = Section("opendmux")
    _files.look(Config(), None, None, keyed, wall=NOW.timestamp(), keyed=True)
    assert only(keyed, "keys").conclusion == "The running opendmux has keys, and these settings name no file of them."
    section = Section("opendmux")
    _files.look(Config(), Path("x.toml"), ConfigError("x.toml has an unknown key"), section, wall=NOW.timestamp())
    assert only(section, "settings").figures == "x.toml has an unknown key"


def test_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    for name, expires in (("old", "2096-11-01"), ("soon", "2096-12-05"), ("good", "2097-11-01")):
        words = ["keys", "add", "--keys", str(path), "--id", name, "--scopes", "qot:read"]
        assert main([*words, "--expires", f"{expires}T00:00:00Z"]) == 0
    now = NOW.replace(year=2096).timestamp()
    section = Section("opendmux")
    _files.judge_keys(load(path).file.keyring, section, wall=now)
    assert only(section, "keys").figures == "expired: old; within 14 days: soon"
    section = Section("opendmux")
    _files.judge_keys(load(path).file.keyring, section, wall=now - 60 * 86_400)
    assert only(section, "keys").state is State.OK
    path.chmod(0o644)
    section = Section("opendmux")
    _files.look(Config(keys=str(path)), None, None, section, wall=0.0)
    (first, _second) = [finding for finding in section.findings if finding.check == "keys"]
    assert (first.state, f"chmod 600 {path}" in first.next_step) == (State.WARNING, True)
    section = Section("opendmux")
    _files.look(Config(keys=str(tmp_path / "none.json")), None, None, section, wall=0.0)
    assert only(section, "keys").state is State.PROBLEM


def test_a_certificate(tmp_path: Path) -> None:
    assert main(["tls", "self-signed", "--out", str(tmp_path)]) == 0
    (certificate,) = [path for path in tmp_path.iterdir() if b"BEGIN CERTIFICATE" in path.read_bytes()]
    (private,) = [path for path in tmp_path.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    config = Config(tls=TlsConfig(cert=str(certificate), key=str(private)))
    section = Section("opendmux")
    _files.look(config, None, None, section, wall=dt.datetime.now(dt.UTC).timestamp())
    assert states(section)["certificate"] is State.OK
    assert states(section)["tls.key"] is State.OK
    private.chmod(0o644)
    section = Section("opendmux")
    _files.look(config, None, None, section, wall=0.0)
    assert only(section, "tls.key").figures.endswith("mode 0644")
    certificate.write_text("nothing")
    section = Section("opendmux")
    _files.look(config, None, None, section, wall=0.0)
    assert only(section, "certificate").state is State.PROBLEM


@pytest.mark.parametrize(("days", "state"), [(-1, State.PROBLEM), (13, State.WARNING), (15, State.OK)])
def test_the_end_of_a_certificate(days: int, state: State) -> None:
    section = Section("opendmux")
    _files.judge_expiry(NOW + dt.timedelta(days=days), section, now=NOW)
    assert only(section, "certificate").state is state


def test_a_key_file_that_is_not_there(tmp_path: Path) -> None:
    section = Section("opendmux")
    _files.look(Config(upstream_rsa_private_key=str(tmp_path / "none")), None, None, section, wall=0.0)
    assert only(section, "upstream_rsa_private_key").state is State.PROBLEM


# -- this machine


def test_this_machine(tmp_path: Path) -> None:
    section = Section("this machine")
    _machine.look(section)
    assert {"versions", "native modules", "open files"} == set(states(section))
    assert not _machine.in_container(tmp_path)
    (tmp_path / ".dockerenv").touch()
    assert _machine.in_container(tmp_path)


def test_limits_and_native_code() -> None:
    section = Section("this machine")
    _machine.judge_files(section, 100, 100)
    assert only(section, "open files").state is State.WARNING
    section = Section("this machine")
    _machine.judge_files(section, None, None)
    _machine.judge_native(section, "pure", "hashlib")
    assert states(section) == {"open files": State.SKIPPED, "native modules": State.WARNING}
