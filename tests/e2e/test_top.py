"""`opendmux top` in a real terminal (tmux), with a real proxy and a program of the official SDK."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Opendmux, SdkProgram
from .terminal import Terminal

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux, which plays the terminal")


@pytest.fixture(params=["screen-256color", "vt100"])
def terminal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """With and without colours."""
    shell = f"env TERM={request.param} bash --noprofile --norc -i"
    with contextlib.closing(Terminal(tmp_path, shell, OPENDMUX=f"{sys.executable} -m opendmux")) as terminal:
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
