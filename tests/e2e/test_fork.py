"""Programs of several processes: what the official SDK makes of spawn and of fork, and that nobody else suffers.

The SDK works through threads, which a forked child does not have: every call in it waits for ever. So it is with
OpenD as well, and a proxy can't mend it. What it can do is to go on, for the parent and for all others.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import HERE, Opendmux, Process, SdkProgram


@pytest.fixture(scope="module")
def proxy() -> Iterator[Opendmux]:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0").wait_ready() as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("how", "steps"),
    [
        ("spawn", [("parent", "ok"), ("child", "ok"), ("parent", "ok")]),
        ("early", [("child", "ok"), ("parent", "ok")]),
        ("shared", [("parent", "ok"), ("child", "hangs"), ("parent", "ok")]),
        ("late", [("parent", "ok"), ("child", "hangs"), ("parent", "ok")]),
    ],
)
def test_the_sdk_in_several_processes(proxy: Opendmux, tmp_path: Path, how: str, steps: list[tuple[str, str]]) -> None:
    with SdkProgram("quote", proxy.port, tmp_path / "other").wait_ready() as other:
        other.ok("subscribe", ["HK.00700"], ["QUOTE"])
        words = [sys.executable, str(HERE / "fork_program.py"), how, str(proxy.port)]
        with Process(words, env={"HOME": str(tmp_path)}) as program:
            assert program.wait() == 0
            said = [json.loads(line) for line in program.lines if line.startswith("{")]
        assert [(step["who"], step["state"]) for step in said] == steps
        other.wait_push("quote")
        other.finish()
    assert proxy.popen.poll() is None
    assert not [line for line in proxy.errors if "Traceback" in line or "WARNING" in line], proxy.text()


def test_the_remedy_as_the_page_has_it(proxy: Opendmux, tmp_path: Path) -> None:
    page = (HERE.parents[1] / "docs" / "tcp.md").read_text(encoding="utf-8")
    (code,) = [code for code in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if "spawn" in code]
    program = tmp_path / "program.py"
    program.write_text(code.replace("33333", str(proxy.port)))
    with Process([sys.executable, str(program)], env={"HOME": str(tmp_path)}) as running:
        assert running.wait() == 0
        assert sorted(set(running.lines) & {"HK.00700 0", "US.AAPL 0"}) == ["HK.00700 0", "US.AAPL 0"]
