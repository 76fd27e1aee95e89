"""The benchmark measures what it says: load generator and stub against each other and against servers that lie."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.empty_pb2 import Empty

from opendmux import cli
from opendmux.cli import bench
from opendmux.cli._bench_clients import Address, BenchError, open_client, open_clients
from opendmux.cli._bench_frames import (
    BASIC_QUOTE,
    GLOBAL_STATE,
    INIT_CONNECT,
    KEEP_ALIVE,
    answer_control,
    build_frame,
    keep_alive_body,
    load_body,
)
from opendmux.native import _load

from .bench_servers import COMMAND, Frames, StubProcess, StubThread, python_server

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
MS = 1_000_000


def measure(target: Address, **changed: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        "clients": 1,
        "in_flight": 4,
        "body": 100,
        "seconds": 0.1,
        "warmup": 0.02,
        "check_every": 1,
    }
    return bench.measure(target, **{**options, **changed})


def drive(target: Address, **changed: Any) -> dict[str, int]:
    options: dict[str, Any] = {
        "first_serial": 2,
        "in_flight": 8,
        "keepalive_every_ns": 10**12,
        "warmup_ns": 0,
        "measure_ns": 50 * MS,
        "drain_ns": 20_000 * MS,
        "check_every": 1,
    }
    with open_clients(target, 3) as sockets:
        for sock in sockets:
            sock.setblocking(False)
        request = build_frame(BASIC_QUOTE, 0, load_body(500))
        keepalive = build_frame(KEEP_ALIVE, 0, keep_alive_body())
        return _load.drive([sock.fileno() for sock in sockets], request, keepalive, **{**options, **changed})


def faults(result: dict[str, int]) -> dict[str, int]:
    return {name: result[name] for name in _load.FAULTS if result[name]}


# ---- in order --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clients", "in_flight", "body"), [(1, 1, 2), (1, 64, 100), (20, 3, 4096), (2, 2, 1_000_000), (200, 1, 7)]
)
def test_counts_are_consistent(clients: int, in_flight: int, body: int) -> None:
    with StubProcess() as stub:
        result = measure(stub.address, clients=clients, in_flight=in_flight, body=body)
    assert result["errors"] == {}
    assert result["replies"] > 0
    assert result["frames_per_second"] == pytest.approx(result["replies"] / result["seconds"])
    assert 0 < result["p50_us"] <= result["p90_us"] <= result["p99_us"] <= result["p999_us"] <= result["max_us"]
    # Besides what was measured: an InitConnect each, the probe, warm-up and drain.
    assert stub.counts["frames"] >= result["replies"] + clients + 1
    assert stub.counts["bytes"] >= result["replies"] * (44 + body)
    assert stub.counts["connections_max"] == stub.counts["connections_total"] == clients
    assert stub.counts["bad"] == 0


@pytest.mark.parametrize("use_epoll", [True, False])
def test_both_ways_to_wait(use_epoll: bool) -> None:
    with StubThread(use_epoll=use_epoll) as stub:
        result = drive(stub.address, use_epoll=use_epoll)
    assert result["replies"] > 0
    assert faults(result) == {}
    assert stub.counts["connections_max"] == 3


def test_every_request_sent_comes_back() -> None:
    """Without warm-up, what the stub saw is exactly what was measured plus the requests in flight at the end."""
    with StubThread() as stub:
        result = drive(stub.address)
    assert stub.counts["frames"] == 3 + result["replies"] + 3 * 8


@pytest.mark.parametrize("use_epoll", [True, False])
def test_a_delayed_reply_is_never_early(use_epoll: bool) -> None:
    with StubThread(delay_ns=20 * MS, use_epoll=use_epoll) as stub:
        result = drive(stub.address, measure_ns=100 * MS)
    assert faults(result) == {}
    assert result["replies"] > 0
    assert result["p50_ns"] >= 20 * MS


def test_a_delay_with_more_in_flight_than_the_line_has_marks() -> None:
    with StubThread(delay_ns=200 * MS) as stub:
        result = drive(stub.address, in_flight=3000, measure_ns=300 * MS)
    assert faults(result) == {}
    assert result["replies"] > 0


def test_keepalives_go_out_and_their_replies_do_not_count() -> None:
    seen: list[int] = []

    def answer(connection: int, proto_id: int, serial_no: int, body: bytes) -> bytes:
        seen.append(proto_id)
        return answer_control(connection, proto_id, serial_no, body)

    with StubThread(answer) as stub:
        result = drive(stub.address, keepalive_every_ns=MS)
    assert faults(result) == {}
    assert seen[:3] == [INIT_CONNECT] * 3
    assert set(seen[3:]) == {KEEP_ALIVE}
    assert stub.counts["frames"] == len(seen) + result["replies"] + 3 * 8


def test_replies_may_come_in_any_order() -> None:
    def reversed_pairs(frames: Frames) -> None:
        while (first := frames.read()) and (second := frames.read()):
            frames.send(second + first)

    with python_server(reversed_pairs) as address:
        result = measure(address)
    assert result["errors"] == {}
    assert result["replies"] > 0


def test_one_reply_may_stay_out_while_others_pass_it() -> None:
    def keep_the_first(frames: Frames) -> None:
        kept = frames.read()
        for _ in range(500):
            frames.send(frames.read())
        frames.send(kept)
        while frame := frames.read():
            frames.send(frame)

    with python_server(keep_the_first) as address:
        result = measure(address, seconds=0.3)
    assert result["errors"] == {}


@pytest.mark.parametrize("size", [2, 3, 7, 8, 100, 127, 128, 135, 4096, 1 << 20])
def test_the_body_of_the_load_is_a_response(size: int) -> None:
    body = load_body(size)
    assert len(body) == size
    assert body[0] == 0x08
    Empty.FromString(body)


def test_control_replies_are_protobuf_and_conn_ids_differ() -> None:
    for proto_id in (INIT_CONNECT, GLOBAL_STATE, KEEP_ALIVE):
        Empty.FromString(answer_control(1, proto_id, 1, b"")[44:])
    assert answer_control(1, INIT_CONNECT, 1, b"") != answer_control(2, INIT_CONNECT, 1, b"")


def test_idle_clients_are_held() -> None:
    with StubProcess() as stub:
        target = ["--target", str(stub.address), "--clients", "30", "--seconds", "0.05"]
        done = subprocess.run([*COMMAND, "idle", *target], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"held": 30}
    assert stub.counts["connections_max"] == 30


# ---- out of order ----------------------------------------------------------------------------------------------------


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


LIES: dict[str, Callable[[bytes], bytes]] = {
    "wrong_flag": lambda frame: b"FX" + frame[2:],
    "wrong_proto_id": lambda frame: frame[:2] + u32(3005) + frame[6:],
    "unknown_serial": lambda frame: frame[:8] + u32(4_000_000) + frame[12:],
    "wrong_length": lambda frame: frame[:12] + u32(99) + frame[16:-1],
    "wrong_digest": lambda frame: frame[:16] + bytes(20) + frame[36:],
}


@pytest.mark.parametrize("kind", LIES)
def test_a_lying_server_is_reported(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    def lie(frames: Frames) -> None:
        for _ in range(10):
            frames.send(frames.read())
        frames.send(LIES[kind](frames.read()))
        frames.drain()

    with python_server(lie) as address:
        code = cli.main(load_words(address))
    assert code == 1
    shown = capsys.readouterr()
    assert "frames/s" in shown.out
    assert shown.err == f"opendmux: the replies were not in order: {kind} 1\n"


def load_words(address: Address) -> list[str]:
    return ["bench", "--target", str(address), "--clients", "1", "--seconds", "0.5", "--warmup", "0.01"]


def test_a_body_that_is_not_its_digest_is_seen_by_sampling() -> None:
    def other_body(frames: Frames) -> None:
        while frame := frames.read():
            frames.send(frame[:-1] + b"\xff")

    with python_server(other_body) as address:
        assert measure(address, check_every=3)["errors"] == {"wrong_digest": 1}
    with python_server(other_body) as address:
        assert measure(address, check_every=0)["errors"] == {}


def test_the_same_reply_twice_is_unknown_the_second_time() -> None:
    def twice(frames: Frames) -> None:
        while frame := frames.read():
            frames.send(frame * 2)

    with python_server(twice) as address:
        assert measure(address)["errors"] == {"unknown_serial": 1}


def test_a_server_that_hangs_up_is_reported() -> None:
    with python_server(lambda frames: frames.send(frames.read())) as address:
        assert measure(address)["errors"] == {"closed": 1}


def test_requests_without_a_reply_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "DRAIN_SECONDS", 0.02)

    with python_server(Frames.drain) as address:
        result = measure(address)
    assert (result["replies"], result["errors"]) == (0, {"lost": 4})


def test_what_is_not_a_stub_gets_no_load() -> None:
    def greet_and_refuse() -> None:
        conn, _ = listener.accept()
        with conn:
            frames = Frames(conn)
            for proto_id, serial_no in ((INIT_CONNECT, 1), (BASIC_QUOTE, 2)):
                frames.read()
                frames.send(build_frame(proto_id, serial_no, b"\x08\x00"))
            after.append(frames.read())

    after: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet_and_refuse)
        thread.start()
        with pytest.raises(BenchError, match="is not the stub of the benchmark"):
            measure(Address(*listener.getsockname()))
        thread.join(20)
    assert after == [b""]


def test_a_target_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = subprocess.run([*COMMAND, "--target", f"127.0.0.1:{port}"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"opendmux: cannot reach 127.0.0.1:{port}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "options", [["--target", "nowhere"], ["--clients", "0"], ["--seconds", "nan"], ["--body", "1"]]
)
def test_arguments_out_of_range(options: list[str]) -> None:
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"argument {options[0]}" in done.stderr


def test_the_stub_hangs_up_on_what_is_no_frame() -> None:
    with StubThread() as stub:
        for bad in (b"GET / HTTP/1.1\r\n" * 4, build_frame(KEEP_ALIVE, 1, bytes(5000))):
            with socket.create_connection(stub.address, 20) as sock, contextlib.suppress(ConnectionResetError):
                sock.sendall(bad)
                assert sock.recv(1) == b""
    assert (stub.counts["bad"], stub.counts["connections"]) == (2, 0)


def test_an_error_of_the_callback_ends_the_stub() -> None:
    def answer(*_: object) -> bytes:
        raise ZeroDivisionError

    with StubThread(answer) as stub, pytest.raises(BenchError):
        open_client(stub.address)
    assert isinstance(stub.error, ZeroDivisionError)


def test_drive_refuses_what_it_cannot_do() -> None:
    options: dict[str, Any] = dict.fromkeys(
        ("keepalive_every_ns", "warmup_ns", "measure_ns", "drain_ns", "check_every"), 0
    )
    frame = build_frame(BASIC_QUOTE, 0, b"")
    for fds, request, first_serial, in_flight in (
        ([], frame, 1, 1),
        ([0], b"", 1, 1),
        ([0], frame, 0, 1),
        ([0], frame, 1, 0),
    ):
        with pytest.raises(ValueError, match=r"44 bytes|count from 1"):
            _load.drive(fds, request, frame, first_serial=first_serial, in_flight=in_flight, **options)


# ---- the table -------------------------------------------------------------------------------------------------------


def test_the_table_of_make_bench(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    options = [
        "--targets",
        "direct,trio",
        "--rounds",
        "1",
        "--seconds",
        "0.05",
        "--warmup",
        "0.02",
        "--no-grpc",
        "--no-gate",
        "--json",
        str(figures),
    ]
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "run.py"), *options], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    everything = json.loads(figures.read_text())
    assert [(row["target"], row["failed"]) for row in everything["rows"]] == [("direct", 0), ("trio", 0)] * 4
    assert {name: counts["connections_max"] for name, counts in everything["stubs"].items()} == {
        "direct": 32,
        "trio": 32,
    }
    assert all(f"{row['frames_per_second']:,.0f}" in done.stdout for row in everything["rows"])


def test_a_port_of_the_stub_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert cli.main(["bench", "stub", "--listen", address]) == 2
    assert capsys.readouterr().err.startswith(f"opendmux: cannot listen on {address}: another program uses that port")
