"""One run of a command: JSON on its standard input, a few variables in its environment, no shell.

It has a deadline and is killed after it, with everything it has started itself. What it prints is kept up to a bound.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import trio

__all__ = ["HookError", "run_hook"]

OUTPUT_BYTES: Final = 2000
"""Of its output that are kept; the rest is read and dropped, so that it never waits for us."""
READ_BYTES: Final = 4096
LINGER_S: Final = 0.5
"""For output after its end: a child of its own may hold the pipe for ever."""
KILL_S: Final = 2.0
OURS: Final = "OPENDMUX_"
"""Variables of ours: some hold keys, so none is passed on but those of the alert."""


class HookError(Exception):
    """It could not be run, failed, or took too long."""


async def run_hook(argv: Sequence[str], body: bytes, variables: Mapping[str, str], timeout_s: float) -> str:
    """Returns what it printed. Raises HookError. Cancellation kills it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    env.update({name: value.replace("\0", " ") for name, value in variables.items()})
    try:
        process = await trio.lowlevel.open_process(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )
    except OSError as error:
        raise HookError(f"{argv[0]} can't be run: {error.strerror}") from error
    output = bytearray()
    ended = False
    try:
        with trio.move_on_after(timeout_s):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_feed, process, body)
                nursery.start_soon(_read, process, output)
                await process.wait()
                ended = True
                nursery.cancel_scope.deadline = trio.current_time() + LINGER_S
    finally:
        if not ended:
            await _kill(process)
    text = " ".join(output.decode("utf-8", "replace").split())
    shown = "".join(letter for letter in text if letter.isprintable())
    if not ended:
        raise HookError(f"{argv[0]} did not end within {timeout_s:g} s and was killed{_printed(shown)}")
    if process.returncode:
        raise HookError(f"{argv[0]} ended with {process.returncode}{_printed(shown)}")
    return shown


def _printed(text: str) -> str:
    return f"; it printed: {text}" if text else ""


async def _feed(process: trio.Process, body: bytes) -> None:
    assert process.stdin is not None, "asked for"
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async with process.stdin:
            await process.stdin.send_all(body)


async def _read(process: trio.Process, output: bytearray) -> None:
    assert process.stdout is not None, "asked for"
    async with process.stdout:
        while data := await process.stdout.receive_some(READ_BYTES):
            output += data[: OUTPUT_BYTES - len(output)]


async def _kill(process: trio.Process) -> None:
    """With its whole session; where there are none (Windows) it alone."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with trio.move_on_after(KILL_S, shield=True):
        await process.wait()
