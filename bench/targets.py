"""What the benchmark compares: each target is a process between the load and a stub of its own.

Everything started here ends with the ``with`` block that started it, by its pid.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BENCH = Path(__file__).parent
SOURCE = BENCH.parent / "src"
# Children find this checkout's package also when it is not installed.
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))}
BENCH_COMMAND = [sys.executable, "-m", "opendmux", "bench"]

READY_SECONDS = 120.0
"""How long a target may take until a client is through with InitConnect. On a machine that is busy with other things a
start takes long; a target that has ended is not waited for."""

END_SECONDS = 10.0
"""How long a process may take to end after SIGTERM; then it is killed."""

HAPROXY_CONFIG = """\
global
    nbthread 1
    maxconn 8192
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:{port}
    server stub 127.0.0.1:{stub_port}
"""


class UnavailableError(Exception):
    """This target can't be measured here; the text is one line for the user."""


@dataclass
class Stub:
    """The stub behind one target."""

    port: int
    counts: dict[str, int] = field(default_factory=dict)
    """What it counted; filled when it has ended."""


@dataclass
class Target:
    name: str
    port: int
    pid: int | None
    """None for the stub itself."""
    stub: Stub

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextlib.contextmanager
def process(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    child: subprocess.Popen[str] = subprocess.Popen(command, text=True, env=ENVIRONMENT, **options)  # type: ignore[call-overload]
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port for a server that is given its number, until the block ends.

    On Linux the port stays bound here: so nobody else is given it, and a server that sets SO_REUSEADDR, as all of them
    do, can still listen on it. Elsewhere that does not go, and somebody may be quicker.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        if sys.platform != "linux":
            holder.close()
        yield port


@contextlib.contextmanager
def run_stub() -> Iterator[Stub]:
    command = [*BENCH_COMMAND, "stub", "--listen", "127.0.0.1:0"]
    with process(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        if not first:
            raise UnavailableError("the stub does not start: build the package first (pip install -e .)")
        stub = Stub(int(json.loads(first)["listening"].rpartition(":")[2]))
        try:
            yield stub
        finally:
            child.terminate()
            last = child.stdout.read()
            stub.counts = json.loads(last) if last else {}


def wait_ready(name: str, child: subprocess.Popen[str], port: int, errors: Path) -> None:
    """Until a client is through with InitConnect; `UnavailableError` when the process ends or takes too long."""
    from opendmux.cli._bench_clients import Address, BenchError, open_client

    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            open_client(Address("127.0.0.1", port), timeout=2).close()
        except BenchError as error:
            last = errors.read_text(errors="replace").strip().rpartition("\n")[2]
            if child.poll() is not None:
                raise UnavailableError(f"{name} does not run (exit code {child.returncode}): {last}") from None
            if time.monotonic() > deadline:
                raise UnavailableError(f"{name} is not ready after {READY_SECONDS:.0f} s: {error}; {last}") from None
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def between(name: str, command: list[str], port: int, stub: Stub) -> Iterator[Target]:
    """A process that listens on ``port`` and has ``stub`` as its upstream."""
    with tempfile.TemporaryDirectory() as scratch:
        errors = Path(scratch) / "stderr"
        with errors.open("w") as sink, process(command, stdout=subprocess.DEVNULL, stderr=sink) as child:
            wait_ready(name, child, port, errors)
            yield Target(name, port, child.pid, stub)


@contextlib.contextmanager
def run_direct() -> Iterator[Target]:
    with run_stub() as stub:
        yield Target("direct", stub.port, None, stub)


@contextlib.contextmanager
def run_haproxy() -> Iterator[Target]:
    if not shutil.which("haproxy"):
        raise UnavailableError("HAProxy is not on the PATH (Debian, Ubuntu: apt-get install haproxy)")
    with reserved_port() as port, run_stub() as stub, tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch) / "haproxy.cfg"
        config.write_text(HAPROXY_CONFIG.format(port=port, stub_port=stub.port))
        with between("haproxy", ["haproxy", "-db", "-f", str(config)], port, stub) as target:
            yield target


@contextlib.contextmanager
def run_trio() -> Iterator[Target]:
    with reserved_port() as port, run_stub() as stub:
        command = [sys.executable, str(BENCH / "trio_relay.py"), str(port), str(stub.port)]
        with between("trio", command, port, stub) as target:
            yield target


@contextlib.contextmanager
def run_opendmux() -> Iterator[Target]:
    with reserved_port() as port, run_stub() as stub:
        command = [sys.executable, "-m", "opendmux", "--listen", f"127.0.0.1:{port}"]
        command += ["--upstream", f"127.0.0.1:{stub.port}"]
        with between("opendmux", command, port, stub) as target:
            yield target


TARGETS = {"direct": run_direct, "haproxy": run_haproxy, "trio": run_trio, "opendmux": run_opendmux}
