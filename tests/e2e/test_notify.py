"""The process under a service manager: what arrives on its socket from start to stop."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from .harness import PATIENCE_S, Opendmux, Process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no unix datagram sockets")


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(self.address)
        self._sock.settimeout(0.1)
        self._came = threading.Condition()
        self._closed = False
        self.messages: list[dict[str, str]] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._closed:
            with contextlib.suppress(TimeoutError):
                text = self._sock.recv(8192).decode()
                with self._came:
                    self.messages.append(dict(line.split("=", 1) for line in text.split("\n")))
                    self._came.notify_all()

    def wait_for(self, key: str, pattern: str = "", after: int = 0, times: int = 1) -> int:
        """Wait until so many messages, from number ``after`` on, have the key with such a value; returns the number
        behind the last of them."""

        def found() -> list[int]:
            numbered = enumerate(self.messages[after:], after)
            return [number for number, message in numbered if re.search(pattern, message.get(key, "\0"))]

        with self._came:
            assert self._came.wait_for(lambda: len(found()) >= times, PATIENCE_S), (key, pattern, self.messages)
            return found()[times - 1] + 1

    def close(self) -> None:
        self._closed = True
        self._thread.join()
        self._sock.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def start(*arguments: str, env: Mapping[str, str]) -> Process:
    return Process([sys.executable, "-m", "opendmux", *arguments], env=env)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_service_from_start_to_stop(manager: Manager, tmp_path: Path) -> None:
    port = free_port()
    settings = tmp_path / "opendmux.toml"
    settings.write_text(f'listen = ["127.0.0.1:0"]\nupstream = "127.0.0.1:{port}"\n[timeouts]\ndrain_s = 2.0\n')
    env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}
    with start("--config", str(settings), env=env) as proxy:
        # Nothing listens before OpenD has answered, and that is what is said.
        seen = manager.wait_for("STATUS", f"no client is accepted .* OpenD at 127.0.0.1:{port} has been away")
        seen = manager.wait_for("EXTEND_TIMEOUT_USEC", "30000000", seen)
        assert not any("READY" in message for message in manager.messages)
        with Opendmux("sim", "--listen", f"127.0.0.1:{port}") as sim:
            sim.wait_for("simulator|SIMULATED|listen")
            seen = manager.wait_for("READY", "1", seen)
            assert re.fullmatch(
                rf"ready on 127\.0\.0\.1:\d+; OpenD at 127\.0\.0\.1:{port}", manager.messages[-1]["STATUS"]
            )
            seen = manager.wait_for("WATCHDOG", "1", seen, times=3)
            proxy.signal(signal.SIGHUP)
            seen = manager.wait_for("RELOADING", "1", seen)
            assert int(manager.messages[seen - 1]["MONOTONIC_USEC"]) > 0
            seen = manager.wait_for("READY", "1", seen)
            assert "STATUS" not in manager.messages[seen - 1]
            sim.popen.kill()
        seen = manager.wait_for("STATUS", f"not ready: OpenD at 127.0.0.1:{port} has been away", seen)
        manager.wait_for("WATCHDOG", "1", seen, times=2)  # an outage is no reason to be restarted
        with Opendmux("sim", "--listen", f"127.0.0.1:{port}"):
            seen = manager.wait_for("STATUS", "ready on", seen)
        proxy.signal(signal.SIGTERM)
        seen = manager.wait_for("STOPPING", "1", seen)
        assert manager.messages[seen - 1]["EXTEND_TIMEOUT_USEC"] == "7000000"
        assert proxy.wait() == 0
    ready = [number for number, message in enumerate(manager.messages) if "READY" in message]
    assert len(ready) == 2


def test_a_stop_before_opend_has_answered(manager: Manager) -> None:
    with start(
        "--upstream", f"127.0.0.1:{free_port()}", "--listen", "127.0.0.1:0", env={"NOTIFY_SOCKET": manager.address}
    ) as proxy:
        manager.wait_for("STATUS", "no client is accepted")
        proxy.signal(signal.SIGTERM)
        manager.wait_for("STOPPING", "1")
        assert proxy.wait() == 0
    assert not any("READY" in message or "WATCHDOG" in message for message in manager.messages)


def test_a_child_process_hears_nothing_of_it(manager: Manager) -> None:
    """Command hooks run as children: none of them may say READY or feed the watchdog in our name."""
    code = (
        "import os; from opendmux.runtime.notify import Manager; Manager.of(os.environ); "
        "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', "
        '\'import os; assert not [name for name in os.environ if name in ("NOTIFY_SOCKET", "WATCHDOG_USEC")]\']))'
    )
    env = {**os.environ, "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60).returncode == 0
