"""`status`, `clients` and `subs` against a running proxy, as a user runs them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from opendmux.cli import main

from .harness import Opendmux, Process, SdkProgram


def run(*words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "opendmux", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)


def test_who_is_there_and_what_they_hold(tmp_path: Path) -> None:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0").wait_ready() as proxy:
        here = ["--connect", f"127.0.0.1:{proxy.port}"]
        with SdkProgram("quote", proxy.port, tmp_path / "home").wait_ready() as sdk:
            sdk.ok("subscribe", ["HK.00700"], ["QUOTE", "TICKER"])
            sdk.ok("query_subscription")
            sdk.ok("unsubscribe_all")
            sdk.ok("subscribe", ["HK.00700"], ["QUOTE"])
            status = run("status", *here)
            assert (status.returncode, status.stderr) == (0, "")
            assert "SIMULATED" in status.stdout
            assert "2 used" in status.stdout
            subs = json.loads(run("subs", "--json", *here).stdout)
            assert {one["name"]: (one["state"], one["holders"]) for one in subs} == {
                "Basic": ("subscribed", 1),
                "Ticker": ("leaving", 0),
            }
            (client,) = json.loads(run("clients", "list", "--json", *here).stdout)
            assert client["requests"] >= 5
            killed = run("clients", "kill", client["id"], *here)
            assert (killed.returncode, killed.stdout) == (0, f"closed {client['id']}\n")
            proxy.wait_for_error(r"was closed by <admin-socket> of pid \d+ of uid \d+")
            proxy.wait_for_error("closed, closed by an administrator")
        assert run("clients", "kill", client["id"], *here).returncode == 1
    stopped = run("status", *here)
    assert stopped.returncode == 1
    assert "nothing listens" in stopped.stderr


def test_with_keys_and_tls(tmp_path: Path) -> None:
    keys, key_file = tmp_path / "keys.json", tmp_path / "key"
    made = run("keys", "add", "--keys", str(keys), "--id", "boss", "--scopes", "admin")
    key_file.write_text(made.stdout)
    assert main(["tls", "self-signed", "--out", str(tmp_path / "tls")]) == 0
    (certificate,) = [path for path in (tmp_path / "tls").iterdir() if b"BEGIN CERTIFICATE" in path.read_bytes()]
    (private,) = [path for path in (tmp_path / "tls").iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    config = tmp_path / "opendmux.toml"
    config.write_text(f'[tls]\ncert = "{certificate}"\nkey = "{private}"\nrequire = true\n')
    arguments = ["--config", str(config), "--upstream", "sim", "--listen", "127.0.0.1:0", "--keys", str(keys)]
    with Opendmux(*arguments).wait_ready() as proxy:
        here = ["--connect", f"127.0.0.1:{proxy.port}"]
        assert run("status", *here).returncode == 0, "by the admin socket, which needs neither"
        here += ["--admin-socket", "off"]
        assert "takes TLS" in run("status", *here).stderr
        here += ["--cacert", str(certificate)]
        locked = run("status", *here)
        assert locked.returncode == 1
        assert "OPENDMUX_KEY" in locked.stderr
        assert run("status", *here, "--key-file", str(key_file)).returncode == 0


def test_orders_without_keys_need_the_admin_socket(tmp_path: Path) -> None:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0").wait_ready() as proxy:
        here = ["--connect", f"127.0.0.1:{proxy.port}", "--admin-socket", "off"]
        with SdkProgram("quote", proxy.port, tmp_path / "home").wait_ready():
            (client,) = json.loads(run("clients", "list", "--json", *here).stdout)
            refused = run("clients", "kill", client["id"], *here)
            assert refused.returncode == 1
            assert "admin socket" in refused.stderr
            assert run("clients", "kill", client["id"], *here[:2]).returncode == 0


def test_the_admin_socket_answers_while_opend_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = tmp_path / "admin.sock"
        upstream = f"127.0.0.1:{nobody.getsockname()[1]}"
        env = {"OPENDMUX_ADMIN_SOCKET": str(place)}
        with Process(
            [sys.executable, "-m", "opendmux", "--upstream", upstream, "--listen", "127.0.0.1:0"], env=env
        ) as proxy:
            proxy.wait_for_error("waiting for it")
            found = run("status", "--json", "--admin-socket", str(place))
            assert found.returncode == 1, "not ready"
            assert json.loads(found.stdout)["ready"] is False
            assert "has been away" in run("status", env={**os.environ, **env}).stdout
    gone = run("status", "--admin-socket", str(place))
    assert (gone.returncode, gone.stderr) == (
        1,
        f"opendmux: nothing listens on {place}: opendmux is not running there, or it still waits for OpenD\n",
    )
