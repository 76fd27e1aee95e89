"""A terminal for the end-to-end tests, with keys to press and a screen to read."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .harness import PATIENCE_S

__all__ = ["Terminal"]


class Terminal:
    """A command, such as a shell, in a terminal of 80 x 24 that tmux plays."""

    def __init__(self, folder: Path, command: str, **env: str) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux.sock"), "-f", "/dev/null"]
        # A runner of tests may have said how wide its own output is; that would be believed before the terminal is.
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        subprocess.run(
            [*self._tmux, "new-session", "-d", "-x", "80", "-y", "24", command],
            check=True,
            env={**inherited, "TERM": "xterm", **env},
        )

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
