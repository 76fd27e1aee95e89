"""Tables: direct, HAProxy, a Trio relay and opendmux under the same loads in the same minutes; gRPC; the gate.

See README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from bench import gate, grpc_load  # noqa: E402
from bench.report import Point, Rounds, environment, headline, summarize, table  # noqa: E402
from bench.targets import BENCH_COMMAND, TARGETS, Target, UnavailableError, process, run_opendmux  # noqa: E402

POINTS = [Point(1, 1, 100), Point(1, 64, 100), Point(32, 16, 100), Point(8, 16, 4096)]

IDLE_CLIENTS = 1000

GRPC_ROUNDS = 3
GRPC_LONGER = 2.5
"""Fewer calls a second than frames: their rounds are longer."""

SETTLE_SECONDS = 1.0
"""Before the memory of a process is read."""

SLACK_SECONDS = 60.0
"""What a load process may take beyond its own plan: starting, connecting, draining."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", default=",".join(TARGETS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=1.2, help="measured per point and round (default: %(default)s)"
    )
    parser.add_argument("--warmup", type=float, default=0.25, help="before each (default: %(default)s)")
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory of idle clients")
    parser.add_argument("--no-grpc", action="store_true", help="leave out gRPC")
    parser.add_argument("--no-gate", action="store_true", help="leave out what the gate costs a request")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, each round included, to a file")
    args = parser.parse_args()
    args.targets = args.targets.split(",")
    unknown = [name for name in args.targets if name not in TARGETS]
    if unknown or args.rounds < 1 or args.seconds <= 0:
        parser.error(f"targets are {', '.join(TARGETS)}; rounds and seconds are positive")
    return args


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def load(target: Target, point: Point, args: argparse.Namespace) -> dict[str, Any] | None:
    """One round of one load point in a process of its own; None when it failed, which is said at once."""
    command = [*BENCH_COMMAND, "--json", "--target", target.address]
    command += ["--clients", str(point.clients), "--in-flight", str(point.in_flight), "--body", str(point.body)]
    command += ["--seconds", str(args.seconds), "--warmup", str(args.warmup)]
    with process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            out, errors = child.communicate(timeout=args.seconds + args.warmup + SLACK_SECONDS)
        except subprocess.TimeoutExpired:
            out, errors = "", "the load process hangs"
    if child.returncode or errors:
        note(f"{target.name}, {point}: {errors.strip()}")
        return None
    result: dict[str, Any] = json.loads(out)
    return result


def measure(targets: list[Target], args: argparse.Namespace) -> Rounds:
    """Every target at every point, round by round, so that what disturbs the machine disturbs all of them."""
    rounds: Rounds = {(point, target.name): [] for point in POINTS for target in targets}
    for number in range(args.rounds):
        note(f"round {number + 1} of {args.rounds}")
        for point in POINTS:
            # Each goes first in turn.
            first = number % len(targets)
            for target in targets[first:] + targets[:first]:
                rounds[point, target.name].append(load(target, point, args))
    return rounds


def start_targets(names: list[str], stack: contextlib.ExitStack) -> tuple[list[Target], list[str]]:
    """The targets that run here, and one line for each that does not."""
    targets, skipped = [], []
    for name in names:
        try:
            targets.append(stack.enter_context(TARGETS[name]()))
        except UnavailableError as reason:
            skipped.append(f"skipped: {reason}")
    return targets, skipped


def resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise UnavailableError(f"process {pid} has no VmRSS")


def measure_memory() -> dict[str, Any]:
    """Resident memory of a fresh opendmux without clients and with idle ones, in KiB."""
    from opendmux.cli._bench_clients import Address, BenchError, allow_open_files, open_clients

    allow_open_files(2 * IDLE_CLIENTS + 256)  # inherited by opendmux
    try:
        with run_opendmux() as target:
            assert target.pid is not None
            time.sleep(SETTLE_SECONDS)
            before = resident_kib(target.pid)
            with open_clients(Address("127.0.0.1", target.port), IDLE_CLIENTS):
                time.sleep(SETTLE_SECONDS)
                after = resident_kib(target.pid)
    except (OSError, BenchError) as error:
        raise UnavailableError(f"memory not measured: {error}") from error
    per_client = (after - before) / IDLE_CLIENTS
    return {"idle_kib": before, "clients": IDLE_CLIENTS, "with_clients_kib": after, "per_client_kib": per_client}


def measure_grpc(args: argparse.Namespace, skipped: list[str]) -> dict[str, Any] | None:
    try:
        plan = grpc_load.Plan(args.seconds * GRPC_LONGER, args.warmup * GRPC_LONGER)
        measured = grpc_load.measure(GRPC_ROUNDS, plan, note)
    except UnavailableError as reason:
        skipped.append(f"skipped: {reason}")
        print(skipped[-1])
        return None
    print(f"\n{grpc_load.report(measured)}")
    return measured


def memory_line(memory: dict[str, Any]) -> str:
    return (
        f"opendmux memory: {memory['idle_kib'] / 1024:.1f} MiB alone, {memory['with_clients_kib'] / 1024:.1f} MiB with"
        f" {memory['clients']:,} idle clients, {memory['per_client_kib']:.1f} KiB per client"
    )


def main() -> int:
    args = arguments()
    # So that every `finally` runs, and with it every process started here ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    about = environment()
    print(headline(about), flush=True)
    with contextlib.ExitStack() as stack:
        targets, skipped = start_targets(args.targets, stack)
        rounds = measure(targets, args) if targets else {}
    rows = summarize(rounds)
    print(f"median of {args.rounds} rounds, {args.seconds:g} s each\n\n{table(rows)}\n")
    connections = {target.name: target.stub.counts for target in targets}
    memory = None
    lines = list(skipped)
    one_link = True
    if "opendmux" in connections:
        most = connections["opendmux"]["connections_max"]
        one_link = most == 1
        lines.append(
            f"upstream connections of opendmux under all these clients: {most}{'' if one_link else ', expected 1'}"
        )
        if not args.no_memory:
            try:
                memory = measure_memory()
                lines.append(memory_line(memory))
            except UnavailableError as reason:
                lines.append(f"skipped: {reason}")
    print("\n".join(lines))
    grpc = None if args.no_grpc else measure_grpc(args, skipped)
    costs = None if args.no_gate else gate.measure(gate.SHORT)
    if costs is not None:
        print(f"\n{gate.table(costs)}")
    if args.json:
        everything = {**about, "rows": rows, "stubs": connections, "memory": memory, "grpc": grpc, "gate": costs}
        args.json.write_text(json.dumps({**everything, "skipped": skipped}, indent=1) + "\n")
    failed = any(row["failed"] for row in [*rows, *(grpc["rows"] if grpc else [])])
    return 0 if one_link and rows and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
