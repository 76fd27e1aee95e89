"""The bundle for support: what is in it, and what must never be."""

from __future__ import annotations

import re
import stat
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from opendmux import cli
from opendmux.cli.doctor._bundle import contents_of, write_bundle
from opendmux.cli.doctor._examination import Examination
from opendmux.cli.doctor._finding import State
from opendmux.cli.doctor._redact import REMOVED, redacted, redacted_log, redacted_setting
from opendmux.cli.doctor._xml import read
from opendmux.config.sources import settings_of
from opendmux.errors import ConfigError

KEY = "fc_" + "0123456789abcdef" * 4
MD5 = "e10adc3949ba59abbe56e057f20f883e"
HASH = "a" * 64
SECRETS = [
    "hunter2",
    KEY,
    MD5,
    HASH,
    "s3cr3t-hook",
    "MIIEpAIBAAKCAQEA",
    "t0k3n-of-mine",
    "654321",
    "100234567",
    "13800138000",
]
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"
DIRTY = (
    f"login_pwd=hunter2 pwdMD5: {MD5} <login_pwd>hunter2</login_pwd> key {KEY} hash {HASH}\n"
    f'"password": "hunter2", Authorization: Bearer t0k3n-of-mine, token=t0k3n-of-mine\n{PEM}\n'
    "post https://hooks.example/services/s3cr3t-hook and https://me:hunter2@hooks.example/x\n"
    "input_phone_verify_code -code=654321\n"
)
PERSONAL = "2026-11-29 10:00:00.123 account 100234567 phone +86 13800138000 mail me@mail.example failed\n"


def filled(tmp_path: Path) -> Examination:
    """One in which everything that can hold a secret does."""
    found = Examination()
    section = found.section("OpenD at 127.0.0.1:11111")
    section.say(State.PROBLEM, "program", f"It says {DIRTY}", DIRTY, f"Use {KEY}.")
    config = tmp_path / "opendmux.toml"
    config.write_text(f'keys = "{tmp_path / "keys.json"}"\nhttp_names = ["{KEY}"]\n')
    found.settings = settings_of(config, {})
    xml = tmp_path / "OpenD.xml"
    xml.write_text(
        f"<o><api_port>11111</api_port><login_pwd>hunter2</login_pwd><login_pwd_md5>{MD5}</login_pwd_md5>"
        "<login_account>100234567</login_account></o>"
    )
    found.options.append(read(xml, None))
    found.versions["127.0.0.1:11111"] = "10.11"
    found.snapshot = {"opendmux": "1", "clients": [{"client_id": KEY, "peer": "127.0.0.1:5"}]}
    found.metrics = f'opendmux_up{{key="{KEY}"}} 1\n'
    found.own_log = tmp_path / "opendmux.log"
    found.own_log.write_text(DIRTY)
    found.opend_log = tmp_path / "GTWLog.log"
    found.opend_log.write_text(DIRTY + PERSONAL)
    return found


def read_tar(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        found = {}
        for entry in archive.getmembers():
            file = archive.extractfile(entry)
            assert file is not None
            found[entry.name] = file.read().decode()
        return found


@pytest.mark.parametrize("name", ["report.tar.gz", "report.tgz", "report.zip"])
def test_no_planted_secret_is_in_it(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    write_bundle(path, filled(tmp_path), with_opend_logs=True)
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            files = {entry: archive.read(entry).decode() for entry in archive.namelist()}
    else:
        files = read_tar(path)
    assert sorted(files) == [
        f"opendmux-bundle/{file}"
        for file in (
            *("README.md", "doctor.json", "doctor.txt", "metrics.txt", "opend.log", "opend_options.json"),
            *("opendmux.log", "settings.json", "status.json", "versions.json"),
        )
    ]
    for file, text in files.items():
        assert not [secret for secret in SECRETS if secret in text], file
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    said = capsys.readouterr().err
    assert "it may still hold personal data" in said
    assert str(path) in said


def test_the_readme_asks_for_what_support_needs(tmp_path: Path) -> None:
    files = contents_of(filled(tmp_path), with_opend_logs=False)
    assert "opend.log" not in files, "only where it was asked for"
    readme = files["README.md"]
    for wanted in (
        "time of the error",
        "10.11 at 127.0.0.1:11111",
        "protocol number",
        "log_level = debug",
        str(tmp_path),
    ):
        assert wanted in readme
    assert all(f"| {name} |" in readme for name in files if name != "README.md")


def test_without_anything_running(tmp_path: Path) -> None:
    files = contents_of(Examination(), with_opend_logs=True)
    assert set(files) == {
        "README.md",
        "doctor.txt",
        "doctor.json",
        "versions.json",
        "settings.json",
        "opend_options.json",
    }
    assert "it did not answer" in files["README.md"]


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        write_bundle(path, Examination(), with_opend_logs=False)
    assert path.read_text() == "mine"
    for bad, said in (("report.txt", "must end in"), ("none/report.zip", "can't be written")):
        with pytest.raises(ConfigError, match=said):
            write_bundle(tmp_path / bad, Examination(), with_opend_logs=False)


# -- the patterns


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--opend-dir nowhere", "--opend-dir nowhere is no folder"),
        ("--with-opend-logs", "say which by --bundle FILE"),
        ("--bundle report.rar", "must end in .tar.gz or .zip"),
        ("--bundle nowhere/report.zip", "there is no folder nowhere"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_looked_at(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("opendmux: ")
    assert said in err


def test_what_is_no_secret_stays() -> None:
    for text in (
        "OpenD at 127.0.0.1:11111 has lost its login for quotes: prices do not move.",
        "its token has expired; log in once by typing the password, then OpenD renews it by itself.",
        "2026-11-29T10:00:00.123456Z client #7 of 127.0.0.1:50123, key bot",
        "order 12345678 of proto_id 2202",
        "https://hooks.example",
    ):
        assert redacted(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "<login_pwd>hush; a & b, c</login_pwd>",
        "-login_pwd=hush;a&b,c",
        "login_pwd=hush\"a'b",
        '"login_pwd": "hush \\"a\\" b"',
        'login_pwd = "hush a b',
        r'{"msg":"{\"token\": \"hush\"}"}',
        "verify_code=hush",
        "https://me:hu/sh@hush@hooks.example",
    ],
)
def test_the_whole_of_a_password_is_gone(text: str) -> None:
    left = redacted(text)
    assert "hush" not in left
    assert not {"a", "b", "c"} & set(re.findall(r"\w+", left))


def test_the_rest_of_a_line_stays() -> None:
    assert redacted('{"msg":"token=abc","conn":5}') == f'{{"msg":"token={REMOVED}","conn":5}}'


@pytest.mark.parametrize("piece", ["token", "a-", "://", "a.", "pwd ", "x"])
def test_long_words_are_searched_in_a_moment(piece: str) -> None:
    """A log may have a line of a megabyte without a blank; each search that ran to its end from every letter would
    take hours."""
    begun = time.process_time()
    redacted_log(piece * (300_000 // len(piece)))
    assert time.process_time() - begun < 20


def test_what_opend_wrote_loses_people() -> None:
    assert redacted_log(PERSONAL) == (
        f"2026-11-29 10:00:00.123 account {REMOVED} phone +86 {REMOVED} mail {REMOVED} failed\n"
    )
    assert redacted_log("acc-1002345 +86-138-0013-8000, 0.123456789 in 15 ms") == (
        f"acc-{REMOVED} {REMOVED}, 0.123456789 in 15 ms"
    )


def test_settings_by_their_names() -> None:
    alerts = [{"name": "ops", "webhook": "s3cr3t-hook", "command": ["x", "hunter2"], "kinds": ["kicked"], "wait_s": 5}]
    assert redacted_setting("alerts", alerts) == [
        {"name": "ops", "webhook": REMOVED, "command": [REMOVED, REMOVED], "kinds": ["kicked"], "wait_s": 5}
    ]
    assert redacted_setting("upstream", "127.0.0.1:11111") == "127.0.0.1:11111"
    assert redacted_setting("password", "") == ""
