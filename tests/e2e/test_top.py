"""`opendmux top` in a real terminal (tmux), with a real proxy and a program of the official SDK."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .harness import PATIENCE_S, Opendmux, SdkProgram

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux, which plays the terminal")


class Terminal:
    """A shell in a terminal of 80 x 24."""

    def __init__(self, folder: Path, term: str) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux.sock"), "-f", "/dev/null"]
        env = {**os.environ, "OPENDMUX": f"{sys.executable} -m opendmux", "TERM": "xterm"}
        shell = f"env TERM={term} bash --noprofile --norc -i"
        subprocess.run([*self._tmux, "new-session", "-d", "-x", "80", "-y", "24", shell], check=True, env=env)
        self._pid = int(self._ask("display-message", "-p", "#{pid}"))

    def _ask(self, *words: str) -> str:
        return subprocess.run([*self._tmux, *words], check=True, capture_output=True, text=True).stdout

    def keys(self, *keys: str) -> None:
        self._ask("send-keys", *keys)

    def line(self, text: str) -> None:
        self.keys(text, "Enter")

    def resize(self, columns: int, lines: int) -> None:
        self._ask("resize-window", "-x", str(columns), "-y", str(lines))

    def screen(self) -> str:
        return self._ask("capture-pane", "-p")

    def wait(self, shows: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while not shows(screen := self.screen()):
            assert time.monotonic() < deadline, f"not on the screen:\n{screen}"
            time.sleep(0.05)
        return screen

    def wait_for(self, text: str) -> str:
        return self.wait(lambda screen: text in screen)

    def close(self) -> None:
        self._ask("kill-server")


@pytest.fixture(params=["screen-256color", "vt100"])
def terminal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """With and without colours."""
    with contextlib.closing(Terminal(tmp_path, request.param)) as terminal:
        terminal.line("echo before-$((1 + 1)); stty -a > before")
        terminal.wait_for("before-2")
        yield terminal


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def is_as_before(terminal: Terminal, folder: Path, code: int) -> None:
    """The shell's screen and mode are back, and the command ended with this code."""
    terminal.wait_for("before-2")  # until then it is `top` that reads what is typed
    terminal.line("echo ended-$?")
    terminal.wait_for(f"ended-{code}")
    terminal.line("stty -a > after; echo asked-$((1 + 1))")
    terminal.wait_for("asked-2")
    assert (folder / "after").read_text() == (folder / "before").read_text()


def ends_with_keys(screen: str, lines: int) -> bool:
    """So a whole frame is there: it is drawn from above."""
    shown = screen.splitlines()
    return len(shown) == lines and shown[-1].startswith("q quit")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def proxy_on(port: int) -> Opendmux:
    return Opendmux("--upstream", "sim", "--listen", f"127.0.0.1:{port}")


def test_what_a_user_sees(terminal: Terminal, tmp_path: Path) -> None:
    port = free_port()
    with proxy_on(port).wait_ready(), SdkProgram("quote", port, tmp_path / "home").wait_ready() as sdk:
        sdk.ok("subscribe", ["HK.00700", "US.AAPL"], ["QUOTE", "TICKER"])
        sdk.ok("get_market_state", ["HK.00700"])
        terminal.line(f"$OPENDMUX top --connect 127.0.0.1:{port}")
        screen = terminal.wait(lambda screen: "Qot_GetMarketState" in screen and ends_with_keys(screen, 24))
        assert "before-2" not in screen, "a screen of its own"
        lines = screen.splitlines()
        assert lines[0].startswith(f"opendmux 0.1.0 on 127.0.0.1:{port}  ready  SIMULATED")
        assert lines[23].startswith("q quit   s sort: rate   p pause")
        for head in ("OPEND", "CLIENTS", "REQUESTS", "SUBSCRIPTIONS"):
            assert any(line.startswith(head) for line in lines), screen
        clock = lines[0].split()[-2]
        terminal.wait(lambda screen: clock not in screen)
        terminal.keys("s")
        terminal.wait_for("s sort: outbox")
        terminal.keys("p")
        paused = terminal.wait_for("PAUSED")
        assert "p go on" in paused
        terminal.keys("p")
        terminal.wait(lambda screen: "PAUSED" not in screen)

        terminal.resize(140, 40)
        terminal.wait(lambda screen: "PEER" in screen and ends_with_keys(screen, 40))
        terminal.resize(40, 12)
        terminal.wait(lambda screen: "PEER" not in screen and ends_with_keys(screen, 12))
        terminal.resize(80, 24)
        terminal.wait(lambda screen: "SUBSCRIPTIONS" in screen and ends_with_keys(screen, 24))
    lost = terminal.wait_for("NO CONNECTION")
    assert "trying again each second" in lost
    assert "REQUESTS" in lost, "the last figures stay"
    with proxy_on(port).wait_ready():
        terminal.wait(lambda screen: "NO CONNECTION" not in screen and "up" in screen)
        terminal.keys("q")
        is_as_before(terminal, tmp_path, 0)


@pytest.mark.parametrize("way", ["C-c", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_put_back(terminal: Terminal, tmp_path: Path, way: str) -> None:
    port = free_port()
    with proxy_on(port).wait_ready():
        terminal.line(f"$OPENDMUX top --connect 127.0.0.1:{port} & echo $! > pid; fg")
        terminal.wait_for("q quit")
        terminal.keys("C-z")  # does nothing: it would leave the terminal as it is now
        if way == "C-c":
            terminal.keys("C-c")
        else:
            pid = (tmp_path / "pid").read_text().strip()
            subprocess.run(["bash", "-c", f"kill -{way.removeprefix('SIG')} {pid}"], check=True)
        is_as_before(terminal, tmp_path, 0)
