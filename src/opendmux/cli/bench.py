"""`opendmux bench`: how many frames a second go through a target to a stub OpenD and back, and how long each takes.

opendmux bench stub --listen 127.0.0.1:22222     # an upstream that echoes
opendmux --upstream 127.0.0.1:22222              # the target
opendmux bench --target 127.0.0.1:33333
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import time
from typing import Any

from opendmux.cli._bench_clients import (
    Address,
    BenchError,
    allow_open_files,
    load_native,
    open_clients,
    probe,
    still_open,
)
from opendmux.cli._bench_frames import (
    BASIC_QUOTE,
    KEEP_ALIVE,
    KEEP_ALIVE_INTERVAL,
    answer_control,
    build_frame,
    keep_alive_body,
    load_body,
)
from opendmux.errors import ConfigError

__all__ = ["add_parser", "measure", "run"]

DRAIN_SECONDS = 5.0
"""How long a run waits at its end for the replies that are out; later ones count as lost."""

FIRST_SERIAL = 1000
"""Above the serials of the handshake and the probe."""


def measure(
    target: Address,
    *,
    clients: int,
    in_flight: int,
    body: int,
    seconds: float,
    warmup: float,
    check_every: int,
) -> dict[str, Any]:
    """Load ``target`` and return the figures. Raises `BenchError`.

    ``frames_per_second`` counts replies (each is one request through and one reply back); times are in microseconds;
    ``errors`` has an entry for each kind that occurred (see `opendmux.native._load.FAULTS`).
    """
    native = load_native()
    filler = load_body(body)
    with open_clients(target, clients) as sockets:
        probe(sockets[0], target, filler)
        for sock in sockets:
            sock.setblocking(False)
        result = native.drive(
            [sock.fileno() for sock in sockets],
            build_frame(BASIC_QUOTE, 0, filler),
            build_frame(KEEP_ALIVE, 0, keep_alive_body()),
            first_serial=FIRST_SERIAL,
            in_flight=in_flight,
            keepalive_every_ns=round(KEEP_ALIVE_INTERVAL * 4 / 5 * 1e9),
            warmup_ns=round(warmup * 1e9),
            measure_ns=round(seconds * 1e9),
            drain_ns=round(DRAIN_SECONDS * 1e9),
            check_every=check_every,
        )
    return {
        "target": str(target),
        "clients": clients,
        "in_flight": in_flight,
        "body_bytes": body,
        "seconds": result["elapsed_ns"] / 1e9,
        "replies": result["replies"],
        "frames_per_second": result["replies"] / max(result["elapsed_ns"] / 1e9, 1e-9),
        **{f"{name}_us": result[f"{name}_ns"] / 1e3 for name in ("p50", "p90", "p99", "p999", "max")},
        "errors": {name: result[name] for name in native.FAULTS if result[name]},
    }


# ---- the stub --------------------------------------------------------------------------------------------------------


def serve_stub(listen: Address, delay_ms: float) -> dict[str, int]:
    """Serve until SIGTERM or SIGINT; prints a line with the address when it listens. Returns what it counted.
    Raises ConfigError when it can't listen there."""
    native = load_native()
    allow_open_files(1 << 16)
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        listener = socket.create_server(listen, family=family, backlog=4096)
    except OSError as error:
        from opendmux.config import Address as Place
        from opendmux.runtime.binding import why_not

        raise ConfigError(why_not(Place(*listen), error)) from error
    wake_read, wake_write = socket.socketpair()
    with listener, wake_read, wake_write:
        listener.setblocking(False)
        wake_write.setblocking(False)
        # The handlers do nothing: what ends the loop is the byte that the interpreter writes for each signal.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(wake_write.fileno())
        print(json.dumps({"listening": str(Address(*listener.getsockname()[:2]))}), flush=True)
        counts: dict[str, int] = native.serve(
            listener.fileno(), wake_read.fileno(), answer_control, delay_ns=round(delay_ms * 1e6)
        )
        signal.set_wakeup_fd(-1)
    return counts


# ---- the command -----------------------------------------------------------------------------------------------------


def table(result: dict[str, Any]) -> str:
    load = f"{result['clients']} clients x {result['in_flight']} in flight, {result['body_bytes']}-byte bodies"
    times = " ".join(f"{result[f'{name}_us']:>7,.0f} us" for name in ("p50", "p90", "p99", "p999", "max"))
    return (
        f"{result['target']}: {load}, {result['seconds']:.1f} s\n"
        f"{'frames/s':>10} {'p50':>10} {'p90':>10} {'p99':>10} {'p99.9':>10} {'max':>10}\n"
        f"{result['frames_per_second']:>10,.0f} {times}"
    )


def _run_load(args: argparse.Namespace) -> int:
    result = measure(
        args.target,
        clients=args.clients,
        in_flight=args.in_flight,
        body=args.body,
        seconds=args.seconds,
        warmup=args.warmup,
        check_every=args.check_every,
    )
    print(json.dumps(result) if args.json else table(result))
    if result["errors"]:
        errors = ", ".join(f"{name} {count}" for name, count in result["errors"].items())
        raise BenchError(f"the replies were not in order: {errors}")
    return 0


def _run_idle(args: argparse.Namespace) -> int:
    with open_clients(args.target, args.clients) as sockets:
        print(json.dumps({"held": len(sockets)}), flush=True)
        time.sleep(args.seconds)
        lost = sum(not still_open(sock) for sock in sockets)
    if lost:
        raise BenchError(f"{args.target} closed {lost} of {args.clients} idle connections")
    return 0


def _run_stub(args: argparse.Namespace) -> int:
    print(json.dumps(serve_stub(args.listen, args.delay_ms)))
    return 0


MODES = {"load": _run_load, "idle": _run_idle, "stub": _run_stub}


def run(args: argparse.Namespace) -> int:
    """Measure, hold or serve. Raises BenchError."""
    return MODES[args.mode](args)


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(low: int, high: int) -> Any:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low} to {high}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 86400")
    return seconds


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "mode",
        nargs="?",
        choices=list(MODES),
        default="load",
        help="load (default); idle: connect and hold; stub: upstream",
    )
    add(
        "--target", type=_address, default=Address("127.0.0.1", 33333), metavar="HOST:PORT", help="default: %(default)s"
    )
    add("--clients", type=_number(1, 65536), default=32, metavar="N", help="connections (default: %(default)s)")
    add("--in-flight", type=_number(1, 65536), default=16, metavar="N", help="requests each (default: %(default)s)")
    add("--body", type=_number(2, 1 << 24), default=100, metavar="BYTES", help="size of a body (default: %(default)s)")
    add(
        "--seconds", type=_seconds, default=3.0, metavar="S", help="how long is measured or held (default: %(default)s)"
    )
    add("--warmup", type=_seconds, default=0.5, metavar="S", help="how long before that (default: %(default)s)")
    add(
        "--check-every",
        type=_number(0, 1 << 31),
        default=1024,
        metavar="N",
        help="hash the body of each N-th reply, 0: of none (default: %(default)s)",
    )
    add("--json", action="store_true", help="print the result as JSON")
    add(
        "--listen",
        type=_address,
        default=Address("127.0.0.1", 22222),
        metavar="HOST:PORT",
        help="of the stub (default: %(default)s)",
    )
    add("--delay-ms", type=_seconds, default=0.0, metavar="MS", help="how long the stub holds a reply back")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``bench`` to the commands."""
    parser = subparsers.add_parser(
        "bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _arguments(parser)
    parser.set_defaults(run=run)
