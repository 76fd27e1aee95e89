"""The single executable under the official clients, without Python, in a place where there is nothing else.

`make binary` builds it, tries its commands (`deploy/smoke.py`), and runs this with its path in BINARY_UNDER_TEST.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import HERE, Process, SdkProgram

BINARY = str(Path(os.environ.get("BINARY_UNDER_TEST", "")).absolute())

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("BINARY_UNDER_TEST"), reason="`make binary` runs these with what it has built"
    ),
    pytest.mark.skipif(sys.platform != "linux", reason="what it is made of is looked at by Linux's own means"),
]
UNIT = Path(__file__).parents[2] / "deploy" / "opendmux.service"
SERVE = ["--upstream", "sim", "--listen", "127.0.0.1:0"]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a proxy with nothing in its environment."""
    with Process(["/usr/bin/env", "-i", BINARY, *SERVE]) as proxy:
        yield int(proxy.wait_for(r"connect to \S*?:(\d+)")[1])
        assert proxy.stop() == 0


def test_the_sdk_is_served(port: int, tmp_path: Path) -> None:
    with SdkProgram("quote", port, tmp_path) as program:
        program.wait_ready()
        program.ok("subscribe", ["HK.00700"], ["QUOTE", "TICKER"])
        program.wait_push("ticker")
        assert program.ok("get_market_snapshot", ["HK.00700"])[0]["code"] == "HK.00700"
        program.finish()
    with SdkProgram("trade", port, tmp_path) as program:
        program.wait_ready()
        orders = program.ok("place_order", 300.0, 100, "HK.00700", "BUY", trd_env="SIMULATE")
        assert orders[0]["code"] == "HK.00700"
        program.finish()


def test_a_client_of_grpc_is_served(port: int, tmp_path: Path) -> None:
    assert subprocess.run([BINARY, "proto", "--out", str(tmp_path)], capture_output=True).returncode == 0
    from grpc_tools import protoc

    options = [f"-I{tmp_path}", f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}"]
    assert protoc.main(["protoc", *options, str(tmp_path / "futu.proto")]) == 0
    with Process([sys.executable, str(HERE / "grpc_user.py"), str(port), str(tmp_path)]) as user:
        state = {"call": "request", "proto_id": 1002, "body": "0a020800", "timeout": 10, "times": 1}
        user.send_line(json.dumps(state))
        answer = user.next_line()
        assert '"ret_type": 0' in answer, answer


def libraries_of(*files: Path | str) -> set[str]:
    """Paths of the shared libraries that the dynamic linker takes from the system."""
    listed = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(/\S+\.so\S*) \(0x", listed))


def test_it_needs_the_c_library_and_nothing_else() -> None:
    names = {Path(path).name.split(".so")[0] for path in libraries_of(BINARY)}
    assert names <= {"libc", "libdl", "libpthread", "libz", "libm", "ld-linux-x86-64", "ld-linux-aarch64"}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may change the root folder")
def test_it_runs_where_there_is_the_c_library_alone(tmp_path: Path) -> None:
    """No Python, no shell, no /proc, no time zones, no certificates."""
    root = tmp_path / "root"
    (root / "tmp").mkdir(parents=True)
    (root / "home").mkdir()
    shutil.copy(BINARY, root / "opendmux")
    libraries = libraries_of(BINARY)
    libc = next(path for path in libraries if "/libc.so" in path)
    for name in ("libm.so.6", "librt.so.1", "libutil.so.1", "libresolv.so.2"):  # parts of the C library
        libraries.add(str(Path(libc).with_name(name)))
    for path in libraries:
        target = root / path.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    inside = [shutil.which("chroot") or "chroot", str(root), "/opendmux"]
    words = ["keys", "add", "--keys", "/home/keys.json", "--id", "bot", "--scopes", "qot:read"]
    limits = ["--hours-window", "09:30-16:00", "--tz", "Asia/Hong_Kong"]
    done = subprocess.run([*inside, *words, *limits], capture_output=True, text=True, env={})
    assert done.returncode == 0, done.stderr
    with Process([*inside, *SERVE, "--keys", "/home/keys.json"]) as proxy:
        port = int(proxy.wait_for(r"connect to \S*?:(\d+)")[1])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert proxy.stop() == 0


def test_its_two_processes_are_one_to_a_service_manager(tmp_path: Path) -> None:
    """The first one waits and passes signals on; the second one serves, and speaks for both."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        # As systemd does: the pid is that of the process that it started.
        start = 'export WATCHDOG_PID=$$; exec "$@"'
        with Process(["/bin/sh", "-c", start, "sh", BINARY, *SERVE], env=env) as proxy:
            seen = ""
            while not ("READY=1" in seen and "WATCHDOG=1" in seen):
                seen += manager.recv(8192).decode()
            proxy.signal(signal.SIGHUP)
            proxy.wait_for_error("the settings are as they were")
            proxy.signal(signal.SIGTERM)
            assert proxy.wait() == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_it_runs_under_the_filter_of_the_units() -> None:
    confined = [sys.executable, str(Path(__file__).with_name("confined.py")), str(UNIT)]
    trial = subprocess.run([*confined, sys.executable, "-c", "pass"], capture_output=True, text=True)
    if trial.returncode != 0:
        pytest.skip(f"a process can't be confined like that here: {trial.stderr.splitlines()[-1]}")
    with Process([*confined, BINARY, *SERVE]) as proxy:
        proxy.wait_for(r"connect to \S*?:(\d+)")
        assert proxy.stop() == 0
        assert "not permitted" not in proxy.text()


def test_figures() -> None:
    began = time.monotonic()
    assert subprocess.run([BINARY, "--version"], capture_output=True).returncode == 0
    took = time.monotonic() - began
    size = Path(BINARY).stat().st_size
    print(f"\n{size / 1e6:.1f} MB, --version after {took:.2f} s")
    assert size < 60e6
    assert took < 20
