"""Processes for the end-to-end tests: the proxy, the simulator, and programs that use the official SDK."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent
NO_STATE = Path(tempfile.gettempdir()) / f"opendmux-tests-{os.getpid()}"
"""Where nothing is kept: a freeze of the user who runs the tests must not reach them."""
PATIENCE_S = 20.0
"""For anything that another process does; generous, because the machine may be busy."""


class Process:
    """A child process whose stdout is read line by line; ended by its own pid on every path."""

    def __init__(self, arguments: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
        self.arguments = list(arguments)
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._error_came = threading.Condition()
        self._fresh: queue.Queue[str | None] = queue.Queue()
        self.popen = subprocess.Popen(
            self.arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        )
        self._readers = [
            threading.Thread(target=self._read_out, daemon=True),
            threading.Thread(target=self._read_err, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_out(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line.rstrip("\n"))
            self._fresh.put(line.rstrip("\n"))
        self._fresh.put(None)

    def _read_err(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            with self._error_came:
                self.errors.append(line.rstrip("\n"))
                self._error_came.notify_all()

    def next_line(self, timeout_s: float = PATIENCE_S) -> str:
        """The next line of stdout; AssertionError with the output so far when none comes."""
        try:
            line = self._fresh.get(timeout=timeout_s)
        except queue.Empty:
            line = None
        if line is None:
            raise AssertionError(f"no line from {self.arguments}:\n{self.text()}")
        return line

    def wait_for(self, pattern: str, timeout_s: float = PATIENCE_S) -> re.Match[str]:
        """Read lines until one matches."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = re.search(pattern, self.next_line(max(0.01, deadline - time.monotonic())))
            if found:
                return found

    def wait_for_error(self, pattern: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until a line of stderr, from the beginning on, matches."""
        with self._error_came:
            found = self._error_came.wait_for(lambda: any(re.search(pattern, e) for e in self.errors), timeout_s)
        assert found, f"no {pattern!r} in stderr:\n{self.text()}"

    def text(self) -> str:
        return "\n".join([*self.lines, "-- stderr --", *self.errors])

    def send_line(self, line: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Wait for its end; returns the exit code."""
        code = self.popen.wait(timeout_s)
        for reader in self._readers:
            reader.join(timeout_s)
        return code

    def stop(self) -> int:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if pipe is not None:
                pipe.close()
        if error is not None:
            error.add_note(f"output of {' '.join(self.arguments[:6])}:\n{self.text()}")


class Opendmux(Process):
    """``python -m opendmux`` with these arguments; `port` is known once the banner has been printed."""

    def __init__(self, *arguments: str) -> None:
        super().__init__([sys.executable, "-m", "opendmux", *arguments], env={"XDG_STATE_HOME": str(NO_STATE)})

    def wait_ready(self) -> Self:
        self.port = int(self.wait_for(r"connect to \S*?:(\d+)")[1])
        return self


class SdkProgram(Process):
    """One program with the official SDK (`sdk_program.py`), its pushes collected while its answers are waited for."""

    def __init__(
        self, kind: str, port: int, home: Path, *, python: str = sys.executable, host: str = "127.0.0.1", **extra: Any
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        arguments = [python, str(HERE / "sdk_program.py"), kind, host, str(port), json.dumps(extra)]
        # The SDK writes log files below HOME.
        super().__init__(arguments, env={"HOME": str(home)})
        self.pushes: list[dict[str, Any]] = []

    def _next_message(self, timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while True:
            line = self.next_line(max(0.01, deadline - time.monotonic()))
            if line.startswith("@@"):
                message: dict[str, Any] = json.loads(line[2:])
                if "push" in message:
                    self.pushes.append(message)
                return message

    def wait_ready(self) -> Self:
        while True:
            message = self._next_message(PATIENCE_S)
            if "ready" in message:
                self.conn_id = int(message["conn_id"])
                return self

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Call a method of the context; returns (ret, data)."""
        self.send_line(json.dumps({"call": name, "args": args, "kwargs": kwargs}))
        return self.answer(name)

    def call_at_once(self, threads: int, name: str, *args: Any, **kwargs: Any) -> list[tuple[Any, Any]]:
        """`call` from several threads of the program at the same time."""
        self.send_line(json.dumps({"call": name, "args": args, "kwargs": kwargs, "threads": threads}))
        return [self.answer(name) for _ in range(threads)]

    def answer(self, name: str) -> tuple[Any, Any]:
        while True:
            message = self._next_message(PATIENCE_S)
            if message.get("answer") == name:
                return message["ret"], message["data"]

    def ok(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """`call` that must succeed; returns the data."""
        ret, data = self.call(name, *args, **kwargs)
        assert ret == 0, f"{name}: {ret} {data}"
        return data

    def wait_push(
        self, name: str, accept: Callable[[Any], bool] = lambda _data: True, timeout_s: float = PATIENCE_S
    ) -> Any:
        """The next push of that kind that ``accept`` likes, from now on."""
        deadline = time.monotonic() + timeout_s
        while True:
            message = self._next_message(max(0.01, deadline - time.monotonic()))
            if message.get("push") == name and accept(message["data"]):
                return message["data"]

    def saw_push(self, name: str, accept: Callable[[Any], bool]) -> Any:
        """Such a push, now or before: a push may reach the program before the answer to what caused it."""
        for push in self.pushes:
            if push["push"] == name and accept(push["data"]):
                return push["data"]
        return self.wait_push(name, accept)

    def drain_pushes(self) -> list[dict[str, Any]]:
        """Everything pushed so far, without waiting."""
        while True:
            try:
                line = self._fresh.get_nowait()
            except queue.Empty:
                return self.pushes
            assert line is not None, self.text()
            if line.startswith("@@"):
                message = json.loads(line[2:])
                if "push" in message:
                    self.pushes.append(message)

    def finish(self) -> None:
        """Close the context and end, as a well-behaved program does."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()
        assert self.wait() == 0, self.text()


class Control:
    """The simulator's control port: one JSON line out, one back."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._file = self._socket.makefile("rw", encoding="utf-8")

    def ask(self, command: str, **details: Any) -> Any:
        self._file.write(json.dumps({"command": command, **details}) + "\n")
        self._file.flush()
        return json.loads(self._file.readline())

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def codes_of(data: Any) -> set[str]:
    """The securities in a push's rows."""
    rows = data if isinstance(data, list) else [data]
    return {row["code"] for row in rows}
