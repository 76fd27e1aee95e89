"""What a client that stops reading costs the others: latencies with and without it, in one run.

    python bench/slow.py --clients 1000 --seconds 5 --rounds 3

Four processes: a stub OpenD that pushes, opendmux, the clients (here), and the one that may stop. The clients send
requests at a fixed pace, far from any limit: times show waiting, not queueing. The one subscribes to everything that
OpenD pushes, and in every other phase it does not read. opendmux must disconnect it without the others noticing. The
table has the median of the rounds, with the lowest and highest; compare within one run, on a quiet machine.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import select
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from bench.targets import process  # noqa: E402
from opendmux.cli._bench_clients import Address, allow_open_files, open_client  # noqa: E402
from opendmux.cli._bench_frames import (  # noqa: E402
    BASIC_QUOTE,
    GLOBAL_STATE,
    HEADER,
    INIT_CONNECT,
    KEEP_ALIVE,
    answer_control,
    build_frame,
    keep_alive_body,
    load_body,
)
from opendmux.cli._bench_frames import field as proto  # noqa: E402

SUB, TICKER_PUSH, BOOK_PUSH = 3001, 3011, 3013
TICKER, BOOK = 4, 2
MARKET = 1
BURST_S = 0.01
PUSH_BYTES = 2000
STREAMS = 100
"""Securities of each of the two kinds of stream."""

OUTBOX_BYTES = 1 << 20
"""Of one client of opendmux; so small that a phase sees the end of the stopped one."""

OK = proto(1, 0)
BODY = load_body(100)
DRAIN_S = 2.0


# ---- the stub OpenD --------------------------------------------------------------------------------------------------


def security(number: int) -> bytes:
    return proto(1, MARKET) + proto(2, b"%05d" % number)


def push_of(proto_id: int, number: int) -> bytes:
    s2c = proto(1, security(number)) + proto(15, bytes(PUSH_BYTES))
    return build_frame(proto_id, 0, proto(1, 0) + proto(4, s2c))


def serve(port_to: int, pushes_per_s: int) -> None:
    """Answer, echo and push to one connection after the other, for ever; the port goes to ``port_to``."""
    listener = socket.create_server(("127.0.0.1", 0))
    os.write(port_to, b"%d\n" % listener.getsockname()[1])
    frames = [push_of(kind, number) for number in range(STREAMS) for kind in (TICKER_PUSH, BOOK_PUSH)]
    size = max(1, round(pushes_per_s * BURST_S))
    while True:
        sock, _ = listener.accept()
        with sock, contextlib.suppress(OSError):
            talk(sock, frames, size)


def talk(sock: socket.socket, frames: list[bytes], size: int) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    held, at, due = b"", 0, time.monotonic()
    while True:
        if select.select([sock], [], [], max(0.0, due - time.monotonic()))[0]:
            chunk = sock.recv(1 << 20)
            if not chunk:
                return
            requests, held = split(held + chunk)
            sock.sendall(b"".join(answer(*request) for request in requests))
        if time.monotonic() >= due:
            due += BURST_S
            sock.sendall(b"".join(frames[(at + step) % len(frames)] for step in range(size)))
            at += size


def answer(proto_id: int, serial_no: int, body: bytes) -> bytes:
    if proto_id in (INIT_CONNECT, GLOBAL_STATE, KEEP_ALIVE):
        return answer_control(1, proto_id, serial_no, body)
    return build_frame(proto_id, serial_no, OK if proto_id == SUB else body)


def split(data: bytes) -> tuple[list[tuple[int, int, bytes]], bytes]:
    """Whole frames as (proto_id, serial_no, body), and what is left."""
    frames, at = [], 0
    while at + HEADER.size <= len(data):
        _, proto_id, _, _, serial_no, length, _ = HEADER.unpack_from(data, at)
        end = at + HEADER.size + length
        if end > len(data):
            break
        frames.append((proto_id, serial_no, data[at + HEADER.size : end]))
        at = end
    return frames, data[at:]


# ---- the processes ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def stub(pushes_per_s: int) -> Iterator[int]:
    """Yields its port."""
    read, write = os.pipe()
    command = [sys.executable, __file__, "--serve", str(write), "--pushes", str(pushes_per_s)]
    with process(command, pass_fds=[write]):
        os.close(write)
        with os.fdopen(read) as lines:
            yield int(lines.readline())


@dataclass
class Proxy:
    """opendmux in front of the stub."""

    child: subprocess.Popen[str]
    address: Address
    log: list[str] = field(default_factory=list)

    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024

    def read_log(self) -> None:
        assert self.child.stderr is not None
        for line in self.child.stderr:
            if ": closed, " in line:
                self.log.append(line.rstrip())


@contextlib.contextmanager
def proxy(stub_port: int) -> Iterator[Proxy]:
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write(f"[limits]\noutbox_bytes = {OUTBOX_BYTES}\n")
        config.flush()
        command = [sys.executable, "-m", "opendmux", "--listen", "127.0.0.1:0", "--config", config.name]
        command += ["--upstream", f"127.0.0.1:{stub_port}", "--drain-timeout", "0"]
        with process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            assert child.stdout is not None
            port = next(int(found[1]) for line in child.stdout if (found := re.search(r"connect to .*?:(\d+)", line)))
            running = Proxy(child, Address("127.0.0.1", port))
            threading.Thread(target=running.read_log, daemon=True).start()
            yield running


# ---- the clients -----------------------------------------------------------------------------------------------------


@dataclass
class Healthy:
    """A client that reads; one request at a time."""

    sock: socket.socket
    held: bytes = b""
    serial_no: int = 1000
    sent_at: float = 0.0


def subscribe_to_everything(target: Address, *, stop: bool) -> None:
    """Be the client that takes all pushes, for ever; or that takes none."""
    sock = open_client(target)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096 if stop else 1 << 18)
    c2s = b"".join(proto(1, security(number)) for number in range(STREAMS))
    c2s += b"".join(proto(2, kind) for kind in (TICKER, BOOK)) + proto(3, 1) + proto(4, 1)
    sock.sendall(build_frame(SUB, 10, proto(1, c2s)))
    print("subscribed", flush=True)
    while stop:
        time.sleep(60)
    while sock.recv(1 << 18):
        pass


@contextlib.contextmanager
def one_more(target: Address, *, stop: bool) -> Iterator[None]:
    """That client, in a process of its own."""
    command = [sys.executable, __file__, "--one-more", str(target), *(["--stop"] if stop else [])]
    with process(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield


@dataclass
class Phase:
    """What one phase has shown. Times in seconds."""

    times: list[float] = field(default_factory=list)
    lost: int = 0
    memory_mb: float = 0.0

    def quantile_us(self, part: float) -> float:
        return sorted(self.times)[min(len(self.times) - 1, int(len(self.times) * part))] * 1e6


def run_phase(running: Proxy, clients: list[Healthy], rate: int, seconds: float, *, stopped: bool) -> Phase:
    """Paced requests of all clients, while one more client takes all pushes, or does not read them."""
    phase = Phase()
    with one_more(running.address, stop=stopped), selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.sock, selectors.EVENT_READ, client)
        start = now = time.perf_counter()
        sent, waiting = 0, 0
        while now < start + seconds or (waiting and now < start + seconds + DRAIN_S):
            while now < start + seconds and sent < (now - start) * rate:
                client = clients[sent % len(clients)]
                sent += 1
                if client.sent_at:
                    continue  # its last answer is still out
                client.serial_no += 1
                client.sent_at = time.perf_counter()
                client.sock.sendall(build_frame(BASIC_QUOTE, client.serial_no, BODY))
                waiting += 1
            for key, _events in selector.select(1 / rate):
                waiting -= receive(key.data, phase)
            now = time.perf_counter()
        phase.lost = waiting
        phase.memory_mb = running.memory_mb()
    for client in clients:
        client.sent_at = 0.0
    return phase


def receive(client: Healthy, phase: Phase) -> int:
    """Answers that came."""
    frames, client.held = split(client.held + client.sock.recv(1 << 16))
    count = 0
    for proto_id, serial_no, body in frames:
        if proto_id == BASIC_QUOTE and serial_no == client.serial_no:
            assert body == BODY, "an answer that is not the stub's"
            phase.times.append(time.perf_counter() - client.sent_at)
            client.sent_at = 0.0
            count += 1
    return count


def keep_alive(clients: list[Healthy]) -> None:
    for client in clients:
        client.sock.sendall(build_frame(KEEP_ALIVE, 1, keep_alive_body()))


# ---- the table -------------------------------------------------------------------------------------------------------


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def report(phases: dict[bool, list[Phase]], log: list[str], arguments: argparse.Namespace) -> None:
    print(
        f"{arguments.clients} clients, {arguments.rate} requests/s; {arguments.pushes} pushes/s of {PUSH_BYTES} bytes"
    )
    print("| one more client | answers | lost | p50 us | p99 us | RSS MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for stopped, rounds in phases.items():
        name = "stopped reading" if stopped else "reads everything"
        answers, lost = sum(len(phase.times) for phase in rounds), sum(phase.lost for phase in rounds)
        p50, p99 = (spread([phase.quantile_us(part) for phase in rounds]) for part in (0.5, 0.99))
        memory = max(phase.memory_mb for phase in rounds)
        print(f"| {name} | {answers:,} | {lost} | {p50} | {p99} | {memory:.0f} |")
    reasons = Counter(line.partition(": closed, ")[2] for line in log)
    for reason, count in reasons.items():
        if reason not in ("client closed", "Connection reset by peer"):
            print(f"disconnected by opendmux: {count} x {reason!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=1000, help="requests a second of all clients together")
    parser.add_argument("--pushes", type=int, default=1500, help="pushes a second from OpenD")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each phase")
    parser.add_argument("--rounds", type=int, default=3, help="of two phases each")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--one-more", type=Address.parse, help=argparse.SUPPRESS)
    parser.add_argument("--stop", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        serve(arguments.serve, arguments.pushes)
    if arguments.one_more is not None:
        subscribe_to_everything(arguments.one_more, stop=arguments.stop)
        return
    allow_open_files(arguments.clients + 64)
    phases: dict[bool, list[Phase]] = {False: [], True: []}
    with stub(arguments.pushes) as port, proxy(port) as running, contextlib.ExitStack() as stack:
        clients = [Healthy(stack.enter_context(open_client(running.address))) for _ in range(arguments.clients)]
        run_phase(running, clients, arguments.rate, 1.0, stopped=False)  # warm-up
        for number in range(arguments.rounds):
            for stopped in (False, True) if number % 2 else (True, False):
                keep_alive(clients)
                phases[stopped].append(run_phase(running, clients, arguments.rate, arguments.seconds, stopped=stopped))
        report(phases, running.log, arguments)


if __name__ == "__main__":
    main()
