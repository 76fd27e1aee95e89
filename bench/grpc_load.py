"""gRPC through opendmux and through a grpc.aio gateway, each in front of a stub of its own, driven by h2load.

    python bench/grpc_load.py --rounds 3 --seconds 3

`make bench` runs it too. See README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from bench.report import version_of  # noqa: E402
from bench.targets import BENCH, READY_SECONDS, Stub, UnavailableError, process, reserved_port, run_stub  # noqa: E402

METHOD = "/futu.service.FutuOpenD/Request"
SLACK_SECONDS = 120.0
"""What h2load may take beyond its own plan, or for so many calls."""
ATTEMPT_SECONDS = 10.0
"""For one call to a server that is just starting."""
CONFIG = "coalesce = false\n"
"""The load asks the same thing again and again: opendmux would ask upstream once for many."""


class Load(NamedTuple):
    """Connections x calls at once on each."""

    connections: int
    streams: int

    def __str__(self) -> str:
        return f"{self.connections} x {self.streams}"


LOADS = [Load(1, 1), Load(4, 32), Load(32, 16)]


@dataclass
class Server:
    name: str
    port: int
    stub: Stub
    pid: int

    def cpu_seconds(self) -> float:
        """What the process has used until now; NaN where the system does not tell it this way."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return math.nan
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Result(NamedTuple):
    """One round of one load."""

    calls: int
    per_second: float
    p50_us: float
    p99_us: float
    cpu_us: float
    """Of the server for each call."""


BASELINE = "grpc.aio"

Results = dict[tuple[Load, str], list[Result | None]]
"""By round; None where it failed."""


def h2load_version() -> str:
    if not shutil.which("h2load"):
        raise UnavailableError("gRPC: h2load is not on the PATH (Debian, Ubuntu: apt-get install nghttp2-client)")
    words = subprocess.run(["h2load", "--version"], capture_output=True, text=True).stdout.split()
    return words[-1].removeprefix("nghttp2/") if words else "unknown"


# ---- the servers -----------------------------------------------------------------------------------------------------


def request_message() -> bytes:
    """A FutuRequest whose body of 100 bytes is a Request, and, as the stub echoes it, a Response with retType 0."""
    from opendmux.cli._bench_frames import BASIC_QUOTE, load_body
    from opendmux.wire.pb import futu

    return futu.FutuRequest(proto_id=BASIC_QUOTE, body=load_body(100)).SerializeToString()


def check_answer(port: int, key: str, seconds: float = READY_SECONDS) -> None:
    """Make one call with the official client: within so many seconds it must be OK, with retType 0 and the body that
    was sent. Raises `UnavailableError`."""
    import grpc

    from opendmux.wire.pb import futu

    request = request_message()
    metadata = [("authorization", f"Bearer {key}")]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(METHOD)
        try:
            said = call(request, metadata=metadata, timeout=seconds, wait_for_ready=True)
        except grpc.RpcError as error:
            raise UnavailableError(f"gRPC: no answer: {error}") from error
    answer = futu.FutuResponse.FromString(said)
    if answer.ret_type != 0 or answer.body != futu.FutuRequest.FromString(request).body:
        raise UnavailableError("gRPC: the answer is not the stub's")


@contextlib.contextmanager
def serve(name: str, command: list[str], port: int, stub: Stub, key: str) -> Iterator[Server]:
    with tempfile.TemporaryFile("w+") as errors, process(command, stdout=subprocess.DEVNULL, stderr=errors) as child:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                check_answer(port, key, ATTEMPT_SECONDS)
                break
            except UnavailableError as error:
                # Until its upstream is there opendmux says that it is not.
                if child.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                errors.seek(0)
                last = errors.read().strip().rpartition("\n")[2]
                raise UnavailableError(f"{error}; {last}") from error
        yield Server(name, port, stub, child.pid)


@contextlib.contextmanager
def run_opendmux(key: str) -> Iterator[Server]:
    with reserved_port() as port, run_stub() as stub, tempfile.TemporaryDirectory() as scratch:
        keys, config = Path(scratch) / "keys.json", Path(scratch) / "opendmux.toml"
        entry = {"id": "bench", "hash": hashlib.sha256(key.encode()).hexdigest(), "scopes": ["qot:read"]}
        keys.write_text(json.dumps({"version": 1, "keys": [entry]}))
        keys.chmod(0o600)
        config.write_text(CONFIG)
        command = [sys.executable, "-m", "opendmux", "--listen", f"127.0.0.1:{port}", "--keys", str(keys)]
        command += ["--config", str(config), "--upstream", f"127.0.0.1:{stub.port}"]
        with serve("opendmux", command, port, stub, key) as server:
            yield server


@contextlib.contextmanager
def run_aio(key: str) -> Iterator[Server]:
    with reserved_port() as port, run_stub() as stub:
        command = [sys.executable, str(BENCH / "grpc_relay.py"), str(port), str(stub.port), key]
        with serve("grpc.aio", command, port, stub, key) as server:
            yield server


# ---- the load --------------------------------------------------------------------------------------------------------


class Plan(NamedTuple):
    """How much h2load does for one round of one load."""

    seconds: float
    warmup: float
    calls: int | None = None
    """So many calls, however long they take, in place of a time."""

    def options(self) -> list[str]:
        if self.calls is not None:
            return ["-n", str(self.calls)]
        return ["-D", f"{self.seconds * 1000:.0f}ms", f"--warm-up-time={self.warmup * 1000:.0f}ms"]

    @property
    def whole(self) -> float:
        """Seconds that it takes at least."""
        return 0.0 if self.calls is not None else self.seconds + self.warmup

    @property
    def measured(self) -> float:
        """Which part of that is in the figures: the calls of the warm-up are in no log, and cost the same."""
        return 1.0 if self.calls is not None else self.seconds / self.whole


@dataclass
class Driver:
    """h2load, with what it sends in files."""

    key: str
    plan: Plan
    folder: Path

    def drive(self, server: Server, load: Load) -> Result:
        """One round. Raises `UnavailableError` when a call failed."""
        body, log = self.folder / "request", self.folder / "log"
        message = request_message()
        body.write_bytes(struct.pack(">BI", 0, len(message)) + message)
        log.unlink(missing_ok=True)
        command = ["h2load", "-c", str(load.connections), "-m", str(load.streams), "-t", "1", "-d", str(body)]
        command += [*self.plan.options(), f"--log-file={log}"]
        command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        command += ["-H", f"authorization: Bearer {self.key}", f"http://127.0.0.1:{server.port}{METHOD}"]
        before = server.cpu_seconds()
        with process(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
            try:
                out, _ = child.communicate(timeout=self.plan.whole + SLACK_SECONDS)
            except subprocess.TimeoutExpired:
                raise UnavailableError("h2load hangs") from None
        used = (server.cpu_seconds() - before) * self.plan.measured
        return self.read(out, log.read_text() if log.exists() else "", used)

    def read(self, out: str, log: str, cpu_seconds: float) -> Result:
        """The figures of h2load; times from its log, which has every call."""
        counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", out)
        rate = re.search(r"finished in .*?, ([\d.]+) req/s", out)
        times = sorted(int(line.split("\t")[2]) for line in log.splitlines())
        if not (counts and rate) or any(int(text) for text in counts.groups()[1:]):
            raise UnavailableError(f"h2load: {counts[0] if counts else out.strip()}")
        if not times:
            raise UnavailableError("no call was answered within the time measured: give more --seconds")
        p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
        return Result(len(times), float(rate[1]), p50, p99, cpu_seconds / len(times) * 1e6)


SERVERS: dict[str, Callable[[str], contextlib.AbstractContextManager[Server]]] = {
    "grpc.aio": run_aio,
    "opendmux": run_opendmux,
}


def measure(rounds: int, plan: Plan, note: Callable[[str], None]) -> dict[str, Any]:
    """Both servers at every load, round by round, so that what disturbs the machine disturbs both."""
    version = h2load_version()
    if version_of("grpcio") == "not installed":
        raise UnavailableError("gRPC: grpcio is not installed (pip install -e '.[dev]')")
    key = "fc_" + secrets.token_hex(32)
    results: Results = {(load, name): [] for load in LOADS for name in SERVERS}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(run(key)) for run in SERVERS.values()]
        driver = Driver(key, plan, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        for number in range(rounds):
            note(f"gRPC, round {number + 1} of {rounds}")
            for load in LOADS:
                # Each goes first in turn.
                for server in servers if number % 2 == 0 else servers[::-1]:
                    result = None
                    try:
                        result = driver.drive(server, load)
                        check_answer(server.port, key)
                    except UnavailableError as error:
                        note(f"{server.name}, {load}: {error}")
                    results[load, server.name].append(result)
    for server in servers:
        # HTTP is fine with a refusal; what went to the stub and back was none.
        calls = sum(result.calls for load in LOADS for result in results[load, server.name] if result)
        if server.stub.counts["frames"] < calls:
            raise UnavailableError(f"gRPC: {server.name} has answered calls that its upstream did not see")
    return {
        "versions": {"grpcio": version_of("grpcio"), "h2": version_of("h2"), "h2load": version},
        "rows": [summarize(load, name, results) for load, name in results],
        "stubs": {server.name: server.stub.counts for server in servers},
    }


def summarize(load: Load, name: str, results: Results) -> dict[str, Any]:
    """The ratio to grpc.aio is taken within each round, where both met the same noise, and then its median."""
    mine, theirs = results[load, name], results[load, BASELINE]
    good = [result for result in mine if result]
    row: dict[str, Any] = {**load._asdict(), "target": name, "failed": len(mine) - len(good)}
    if good:
        rates = [result.per_second for result in good]
        row |= {"requests_per_second": median(rates), "lowest": min(rates), "highest": max(rates)}
        row |= {key: median(getattr(result, key) for result in good) for key in ("p50_us", "p99_us", "cpu_us")}
    ratios = [one.per_second / base.per_second for one, base in zip(mine, theirs, strict=True) if one and base]
    if ratios:
        row["ratio"] = median(ratios)
    return row


HEADING = (
    f"{'gRPC load':<16}{'target':<10}{'requests/s':>11}{'p50 us':>11}{'p99 us':>11}{'/ grpc.aio':>12}"
    f"{'cpu us/call':>13}   lowest - highest"
)


def table(rows: list[dict[str, Any]]) -> str:
    lines = [HEADING]
    previous = None
    for row in rows:
        load = Load(row["connections"], row["streams"])
        if previous not in (None, load):
            lines.append("")
        lines.append(f"{'' if load == previous else str(load):<16}{row['target']:<10}{cells(row)}")
        previous = load
    return "\n".join(lines)


def cells(row: dict[str, Any]) -> str:
    if "requests_per_second" not in row:
        return "     failed in every round"
    ratio = f"{row['ratio']:.2f}" if "ratio" in row else "-"
    failed = f"   failed in {row['failed']} rounds" if row["failed"] else ""
    return (
        f"{row['requests_per_second']:>11,.0f}{row['p50_us']:>11,.0f}{row['p99_us']:>11,.0f}{ratio:>12}{row['cpu_us']:>13,.0f}"
        f"   {row['lowest']:,.0f} - {row['highest']:,.0f}{failed}"
    )


def report(measured: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in measured["versions"].items())
    return f"{versions}\n{table(measured['rows'])}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured per load and round (default: %(default)s)")
    parser.add_argument("--warmup", type=float, default=0.5, help="before each (default: %(default)s)")
    parser.add_argument(
        "--calls", type=int, metavar="N", help="so many calls per load and round, however long they take, not a time"
    )
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        plan = Plan(args.seconds, args.warmup, args.calls)
        measured = measure(args.rounds, plan, lambda text: print(text, file=sys.stderr, flush=True))
    except UnavailableError as reason:
        print(f"skipped: {reason}")
        return 1
    print(report(measured))
    return 1 if any(row["failed"] for row in measured["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())
