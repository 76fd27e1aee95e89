"""OpenD.xml: each option that a user suffers from."""

from __future__ import annotations

from pathlib import Path

import pytest

from opendmux.cli.doctor._finding import Section, State
from opendmux.cli.doctor._programs import Opend
from opendmux.cli.doctor._xml import judge, read, telnet_of
from opendmux.config import Address
from opendmux.errors import ConfigError
from opendmux.runtime.holders import Program

from .kit import only, states

HERE = Address("127.0.0.1", 11111)


def written(folder: Path, inner: str, mode: int = 0o600) -> Path:
    path = folder / "OpenD.xml"
    path.write_text(f"<futu_opend>{inner}</futu_opend>")
    path.chmod(mode)
    return path


def judged(path: Path, *, answered: bool = True, has_rsa: bool = False, opend: Opend | None = None) -> Section:
    section = Section("OpenD")
    judge(read(path, opend), section, upstream=HERE, answered=answered, has_rsa=has_rsa)
    return section


def test_a_good_one(tmp_path: Path) -> None:
    section = judged(written(tmp_path, "<api_port>11111</api_port><login_pwd_md5>e10adc</login_pwd_md5>"))
    assert set(states(section).values()) == {State.OK}


def test_no_secret_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, "<login_account>100000</login_account><login_pwd>hunter2</login_pwd>", 0o644)
    options = read(path, None)
    assert "hunter2" not in repr(options)
    assert "100000" not in repr(options)
    found = only(judged(path), "login options")
    assert found.state is State.WARNING
    assert "in clear text" in found.conclusion
    assert found.figures == "readable for other users of this machine"
    assert "login_pwd_md5" in found.next_step


def test_the_password_beside_its_md5(tmp_path: Path) -> None:
    path = written(tmp_path, "<login_pwd>x</login_pwd><login_pwd_md5>y</login_pwd_md5>")
    assert "beside its MD5, which wins" in only(judged(path), "login options").conclusion


def test_an_empty_password_is_none(tmp_path: Path) -> None:
    assert only(judged(written(tmp_path, "<login_pwd> </login_pwd>")), "login options").state is State.OK


def test_the_md5_is_as_good_as_the_password(tmp_path: Path) -> None:
    found = only(judged(written(tmp_path, "<login_pwd_md5>y</login_pwd_md5>", 0o644)), "login options")
    assert (found.state, f"chmod 600 {tmp_path / 'OpenD.xml'}" in found.next_step) == (State.WARNING, True)


@pytest.mark.parametrize("level", ["no", "warning", "error", "fatal"])
def test_a_log_that_is_of_no_use(tmp_path: Path, level: str) -> None:
    found = only(judged(written(tmp_path, f"<log_level>{level}</log_level>")), "OpenD's log level")
    assert found.state is State.WARNING
    assert "info for questions about orders, debug for questions about quotes" in found.next_step


def test_a_log_that_is(tmp_path: Path) -> None:
    assert "quotes need debug" in only(judged(written(tmp_path, "<ip/>")), "OpenD's log level").conclusion
    debug = judged(written(tmp_path, "<log_level>debug</log_level>"))
    assert "orders and quotes" in only(debug, "OpenD's log level").conclusion


def test_the_policy_of_the_quote_right(tmp_path: Path) -> None:
    holds = only(judged(written(tmp_path, "<ip/>")), "quote right policy")
    assert "takes the quote right back" in holds.conclusion
    leaves = only(
        judged(written(tmp_path, "<ip/><auto_hold_quote_right>0</auto_hold_quote_right>")), "quote right policy"
    )
    assert leaves.conclusion == "OpenD leaves the quote right to other terminals."


def test_an_address_for_everybody(tmp_path: Path) -> None:
    found = only(judged(written(tmp_path, "<ip>0.0.0.0</ip>")), "listen address")
    assert (found.state, found.figures) == (State.WARNING, "ip = 0.0.0.0, without rsa_private_key")


def test_another_port_matters_when_nobody_answers(tmp_path: Path) -> None:
    path = written(tmp_path, "<api_port>11112</api_port>")
    assert only(judged(path), "OpenD.xml").state is State.OK
    found = only(judged(path, answered=False), "OpenD.xml")
    assert found.conclusion == "OpenD.xml gives OpenD the port 11112, and it is looked for on 11111."
    assert "--upstream 127.0.0.1:11112" in found.next_step


def test_the_rsa_key(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    path = written(tmp_path, f"<rsa_private_key>{key}</rsa_private_key>")
    assert "is not there" in only(judged(path), "RSA key").conclusion
    key.touch()
    assert "opendmux has no key for it" in only(judged(path, answered=False), "RSA key").conclusion
    assert only(judged(path, answered=False, has_rsa=True), "RSA key").state is State.OK


def test_the_command_line_wins(tmp_path: Path) -> None:
    path = written(tmp_path, "<api_port>11111</api_port><log_level>no</log_level>")
    program = Program(1, "FutuOpenD")
    opend = Opend(program, tmp_path, None, [], {"log_level": "debug"}, password_shown=True)
    section = judged(path, opend=opend)
    assert only(section, "OpenD's log level").state is State.OK
    assert "stands on its command line" in only(section, "login options").conclusion


@pytest.mark.parametrize(
    ("inner", "address"),
    [
        ("<ip/>", None),
        ("<ip/><telnet_port>0</telnet_port>", None),
        ("<ip/><telnet_port>x</telnet_port>", None),
        ("<ip/><telnet_port>22222</telnet_port>", Address("127.0.0.1", 22222)),
        ("<ip/><telnet_ip>0.0.0.0</telnet_ip><telnet_port>22222</telnet_port>", Address("127.0.0.1", 22222)),
        ("<ip/><telnet_ip>192.0.2.7</telnet_ip><telnet_port>2</telnet_port>", Address("192.0.2.7", 2)),
    ],
)
def test_where_the_console_is(tmp_path: Path, inner: str, address: Address | None) -> None:
    assert telnet_of(read(written(tmp_path, inner), None)) == address


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        read(tmp_path / "OpenD.xml", None)
    (tmp_path / "OpenD.xml").write_bytes(b" " * (1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="larger than"):
        read(tmp_path / "OpenD.xml", None)
