"""Commands that alerts run: real ones."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

import pytest
import trio

from opendmux.runtime.hook import OUTPUT_BYTES, HookError, run_hook

PATIENCE_S = 30.0


def script(text: str) -> list[str]:
    return [sys.executable, "-S", "-c", textwrap.dedent(text)]


async def run(text: str, body: bytes = b"{}", timeout_s: float = PATIENCE_S, **variables: str) -> str:
    return await run_hook(script(text), body, variables, timeout_s)


async def test_it_gets_the_json_and_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENDMUX_KEY", "fc_secret")
    monkeypatch.setenv("HOOK_TEST", "kept")
    printed = await run(
        """
        import os, sys
        ours = sorted(name for name in os.environ if name.startswith("OPENDMUX_"))
        print(sys.stdin.read(), ours, os.environ["OPENDMUX_ALERT_TEXT"], os.environ["HOOK_TEST"])
        """,
        b'{"event":"begin"}',
        OPENDMUX_ALERT_TEXT="a\0b",
    )
    assert printed == '{"event":"begin"} [\'OPENDMUX_ALERT_TEXT\'] a b kept'


async def test_no_shell() -> None:
    printed = await run_hook([*script("import sys; print(sys.argv[1:])"), "$HOME; ls", "*"], b"", {}, PATIENCE_S)
    assert printed == "['$HOME; ls', '*']"


async def test_its_input_need_not_be_read() -> None:
    assert await run("print('done')", b"x" * 1_000_000) == "done"


async def test_failures() -> None:
    with pytest.raises(HookError, match="ended with 3; it printed: oh no"):
        await run("import sys; print('oh no'); sys.exit(3)")
    with pytest.raises(HookError, match=r"/no/such can't be run: No such file"):
        await run_hook(["/no/such"], b"", {}, PATIENCE_S)


async def test_its_output_is_bounded_and_tamed() -> None:
    printed = await run("import sys; sys.stdout.write('\\x1b[31m' + 'y' * 1_000_000)")
    assert printed.startswith("[31myyy")
    assert len(printed) < OUTPUT_BYTES


async def test_it_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(HookError, match=r"did not end within 2 s and was killed; it printed: begun"):
        await run(
            f"""
            import os, subprocess, sys, time
            child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
            open({str(pids)!r}, "w").write(str(child.pid))
            print("begun", flush=True)
            time.sleep(600)
            """,
            timeout_s=2,
        )
    child = int(pids.read_text())
    with trio.fail_after(PATIENCE_S):
        while _alive(child):
            await trio.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False


async def test_a_child_that_keeps_the_pipe_does_not_hold_it_up() -> None:
    with trio.fail_after(PATIENCE_S):
        printed = await run(
            """
            import subprocess, sys
            subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(20)"])
            print("done")
            """
        )
    assert printed == "done"
