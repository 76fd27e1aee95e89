"""Servers for the tests of the benchmark: its own stub in two forms, and ones that do what they are told."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

from opendmux.cli._bench_clients import Address
from opendmux.cli._bench_frames import INIT_CONNECT, answer_control
from opendmux.native import _load

COMMAND = [sys.executable, "-m", "opendmux", "bench"]


class StubProcess:
    """`opendmux bench stub`, as it is run by users."""

    def __init__(self, *options: str) -> None:
        self._child = subprocess.Popen(
            [*COMMAND, "stub", "--listen", "127.0.0.1:0", *options], stdout=subprocess.PIPE, text=True
        )
        assert self._child.stdout is not None
        self.address = Address.parse(json.loads(self._child.stdout.readline())["listening"])
        self.counts: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self.counts = json.loads(self._child.communicate(timeout=20)[0])
        assert self._child.returncode == 0


class StubThread:
    """`serve` in a thread of this process."""

    def __init__(self, answer: Callable[[int, int, int, bytes], bytes] = answer_control, **options: Any) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.address = Address(*self._listener.getsockname())
        self._stop_read, self._stop_write = socket.socketpair()
        self.counts: dict[str, int] = {}
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, args=(answer, options))

    def _serve(self, answer: Callable[[int, int, int, bytes], bytes], options: dict[str, Any]) -> None:
        try:
            self.counts = _load.serve(self._listener.fileno(), self._stop_read.fileno(), answer, **options)
        except ArithmeticError as error:
            self.error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_write.send(b"x")
        self._thread.join(20)
        assert not self._thread.is_alive()
        for sock in (self._listener, self._stop_read, self._stop_write):
            sock.close()


class Frames:
    """The server's side of one connection, frame by frame."""

    def __init__(self, conn: socket.socket) -> None:
        self._conn = conn

    def read(self) -> bytes:
        """The next frame; b"" when the client is gone."""
        head = self._exactly(44)
        return head + self._exactly(int.from_bytes(head[12:16], "little")) if head else b""

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self._conn.recv(count - len(data))
            if not chunk:
                return b""
            data += chunk
        return data

    def drain(self) -> None:
        """Read on, so that what was sent is not lost by a reset, until the client is gone."""
        while self.read():
            pass

    def send(self, frame: bytes) -> None:
        self._conn.sendall(frame)


Talk = Callable[[Frames], None]


@contextlib.contextmanager
def python_server(talk: Talk) -> Iterator[Address]:
    """A server for one connection that answers InitConnect and the probe in order, and then does as ``talk`` does."""

    def serve() -> None:
        conn, _ = listener.accept()
        with conn, contextlib.suppress(OSError):
            frames = Frames(conn)
            frames.read()
            frames.send(answer_control(1, INIT_CONNECT, 1, b""))
            frames.send(frames.read())
            talk(frames)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield Address(*listener.getsockname())
        thread.join(20)
        assert not thread.is_alive()
