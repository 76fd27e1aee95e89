"""docs/start.md, followed to the letter by a user who has an empty folder as his home.

Its code blocks are run in order, as marked by the comments in front of them: ``terminal`` to the end, ``proxy`` until
it is stopped before the next one, and a file's name saves the block. Two things differ: the port, and that where the
page says OpenD the simulator plays it, in a process of its own. CI uses the environment that it has; `make test-start`
begins with the page's own installation, in a copy of the source.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from .harness import HERE, Opendmux, Process

ROOT = HERE.parents[1]
PAGE = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
FRESH = os.environ.get("TEST_START") == "1"
SOURCE = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "_native", "src")
INSTALLATION = re.compile(r"^(?:\. .*activate|python3 -m venv .*|pip install .*)\n", re.MULTILINE)
PUSHES = r"quote HK\.00700 [0-9.]+\n(?s:.*)push HK\.00700 [0-9.]+\n" + r"push HK\.00700 [0-9.]+\n" * 2


def blocks() -> list[tuple[str, str]]:
    """(mark, code) of what is to be run."""
    return re.findall(r"^<!-- (\S+) -->\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class User:
    """Follows the page in ``folder``."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.env = env
        self.port = env["OPENDMUX_LISTEN"].rpartition(":")[2]
        self.said: list[str] = []
        """What each terminal block printed."""
        self.activate = ""
        self._proxy = ExitStack()

    def follow(self, mark: str, code: str) -> None:
        code = code.replace("33333", self.port)
        code = re.sub(r"^(opendmux (?:status|subs))$", rf"\1 --connect 127.0.0.1:{self.port}", code, flags=re.MULTILINE)
        if mark == "terminal":
            self._terminal(code)
        elif mark == "proxy":
            self._start(code)
        else:
            (self.folder / mark).write_text(code)

    def _terminal(self, code: str) -> None:
        activation = re.search(r"^\. .*activate$", code, re.MULTILINE)
        script = f"set -e; cd {self.folder}\n{self.activate}\n{code}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=900, env=self.env)
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
        self.said.append(done.stdout)
        self.activate = activation[0] if activation else self.activate

    def _start(self, code: str) -> None:
        self.stop()
        script = f"cd {self.folder}\n{self.activate}\nexec {code}"
        proxy = self._proxy.enter_context(Process(["env", "-i", *self._pairs(), "bash", "-c", script]))
        proxy.wait_for(rf"connect to 127\.0\.0\.1:{self.port}")

    def _pairs(self) -> list[str]:
        return [f"{name}={value}" for name, value in self.env.items()]

    def stop(self) -> None:
        """What the page says by Ctrl-C."""
        self._proxy.close()


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("fresh", [pytest.param(False, id="here"), pytest.param(True, id="fresh")])
def test_the_page_can_be_followed(tmp_path: Path, fresh: bool) -> None:
    if fresh and not FRESH:
        pytest.skip("it fetches and compiles: `make test-start`")
    for name in SOURCE if fresh else ():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.so"))
        else:
            shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "home").mkdir()
    with Opendmux("sim", "--listen", "127.0.0.1:0") as opend:
        upstream = opend.wait_for(r"(127\.0\.0\.1:\d+)")[1]
        env = {"HOME": str(tmp_path / "home"), "PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
        env |= {"OPENDMUX_LISTEN": f"127.0.0.1:{free_port()}", "OPENDMUX_UPSTREAM": upstream}
        if fresh:
            steps, first = blocks(), Path(sys.executable).resolve().parent
        else:
            steps, first = [(mark, INSTALLATION.sub("", code)) for mark, code in blocks()], _tools(tmp_path)
            env["PYTHONPATH"] = str(ROOT / "src")
        env["PATH"] = f"{first}:{env['PATH']}"
        user = User(tmp_path, env)
        with ExitStack() as at_the_end:
            at_the_end.callback(user.stop)
            for mark, code in steps:
                user.follow(mark, code)
        quotes = [said for said in user.said if "quote HK" in said]
        assert len(quotes) == 3, "with the simulator, with OpenD, with a key"
        assert all(re.search(PUSHES, said) for said in quotes), quotes
        assert any("SIMULATED" in said for said in user.said), "status"
        assert any("Basic" in said for said in user.said), "subs"


def _tools(folder: Path) -> Path:
    """`opendmux` and `python` of this environment."""
    tools = folder / "tools"
    tools.mkdir()
    for name, words in (("opendmux", "-m opendmux"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    return tools


def test_the_program_of_the_page_is_the_one_of_the_languages() -> None:
    (program,) = [code for mark, code in blocks() if mark == "quotes.py"]
    assert program == (ROOT / "docs" / "clients" / "python" / "sdk.py").read_text(encoding="utf-8")


def test_nothing_of_the_page_is_left_out() -> None:
    """Every block of commands has a mark."""
    marked = blocks()
    assert len(marked) == len(re.findall(r"^```(?:sh|python)$", PAGE, re.MULTILINE))
    assert [mark for mark, _code in marked].count("proxy") == 3
