"""The systemd units: systemd itself reads them, and opendmux runs under what they forbid."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from opendmux.config import Timeouts
from tests.e2e.harness import Process

from .confined import settings_of

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = ["opendmux.service", "opendmux@.service"]
EXPOSURE_MOST = 20
"""Tenths of systemd's measure, which ends at 10: 2.0 is "OK"; most services of a distribution are over 9."""

analyze = shutil.which("systemd-analyze")
with_systemd = pytest.mark.skipif(analyze is None, reason="systemd-analyze is not on this machine")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with a program that is there."""
    for name in UNITS:
        text = (DEPLOY / name).read_text(encoding="utf-8")
        assert "ExecStart=/usr/local/bin/opendmux serve" in text
        (tmp_path / name).write_text(text.replace("/usr/local/bin/opendmux", "/bin/true"))
    return tmp_path


@with_systemd
@pytest.mark.parametrize("name", ["opendmux.service", "opendmux@first.service"])
def test_systemd_has_nothing_to_say_about_it(units: Path, name: str) -> None:
    done = subprocess.run(["systemd-analyze", "verify", f"./{name}"], cwd=units, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@with_systemd
@pytest.mark.parametrize("name", UNITS)
def test_it_is_exposed_to_little(units: Path, name: str) -> None:
    words = ["systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE_MOST}", f"./{name}"]
    done = subprocess.run(words, cwd=units, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_the_template_differs_in_what_is_about_the_instance_alone() -> None:
    one, template = (settings_of(str(DEPLOY / name)) for name in UNITS)
    differing = {key for key in one | template if one.get(key) != template.get(key)}
    assert differing == {"Description", "ExecStart", "StateDirectory", "WorkingDirectory"}
    assert all("%i" in value for key in differing for value in template[key])


def test_a_drain_ends_before_systemd_loses_patience() -> None:
    settings = settings_of(str(DEPLOY / "opendmux.service"))
    assert float(settings["TimeoutStopSec"][0]) > 2 * Timeouts().drain_s
    assert settings["RestartPreventExitStatus"] == ["2"], "the exit code of wrong settings"
    assert settings["Type"] == ["notify"]


@with_systemd
@pytest.mark.skipif(sys.platform != "linux", reason="system calls of Linux")
def test_it_runs_with_the_system_calls_that_are_left(tmp_path: Path) -> None:
    """Keys, daily values, audit log, admin socket, TLS, a reload, a drain: nothing of it wants more."""
    unit = str(DEPLOY / "opendmux.service")
    confined = [sys.executable, str(Path(__file__).with_name("confined.py")), unit, sys.executable]
    trial = subprocess.run([*confined, "-c", "pass"], capture_output=True, text=True)
    if "the system can't confine" in trial.stderr or "libseccomp" in trial.stderr:
        pytest.skip(f"a process can't be confined like that here: {trial.stderr.splitlines()[-1]}")
    forbidden = "import os, socket\n"
    for call in ("os.chown('.', 1, 1)", "os.setuid(1)", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"):
        forbidden += f"try:\n  {call}\n  raise SystemExit(9)\nexcept OSError:\n  pass\n"
    assert subprocess.run([*confined, "-c", forbidden]).returncode == 0, "the filter does not hold"
    opendmux = [*confined, "-m", "opendmux"]
    keys, state = tmp_path / "keys.json", tmp_path / "state"
    state.mkdir()
    for words in (
        ["keys", "add", "--keys", str(keys), "--id", "admin", "--scopes", "admin"],
        ["tls", "self-signed", "--out", str(tmp_path / "tls")],
    ):
        done = subprocess.run([*opendmux, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    settings = tmp_path / "opendmux.toml"
    settings.write_text(
        f'listen = ["127.0.0.1:0"]\nupstream = "sim"\nkeys = "{keys}"\naudit_log = "{state}/audit.jsonl"\n'
        f'admin_socket = "{tmp_path}/admin.sock"\n[tls]\ncert = "{tmp_path}/tls/cert.pem"\n'
        f'key = "{tmp_path}/tls/key.pem"\n'
    )
    with Process([*opendmux, "serve", "--config", str(settings)]) as proxy:
        port = int(proxy.wait_for(r"connect to \S*?:(\d+)")[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/readyz")
        assert json.loads(connection.getresponse().read())["ready"]
        connection.close()
        proxy.signal(signal.SIGHUP)
        proxy.wait_for_error("audit.jsonl was opened again")
        status = subprocess.run([*opendmux, "status", "--admin-socket", str(tmp_path / "admin.sock")], text=True)
        assert status.returncode == 0
        assert proxy.stop() == 0
        assert "not permitted" not in proxy.text()
