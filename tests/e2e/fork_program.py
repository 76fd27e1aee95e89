"""A program of several processes with the official SDK: fork_program.py HOW PORT, one JSON line a step.

``spawn``: the way the official FAQ advises. ``shared``: the forked child uses its parent's context. ``late``: the
forked child makes one of its own, and the parent had one already. ``early``: likewise, but the parent makes its first
context after the fork.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
from typing import Any

from futu import OpenQuoteContext
from futu.common.sys_config import SysConfig

PATIENCE_S = 4.0


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def state_of(context: Any) -> str:
    """`ok`, the SDK's error text, or `hangs`."""
    answers: list[str] = []

    def ask() -> None:
        try:
            ret, data = context.get_global_state()
            answers.append("ok" if ret == 0 else str(data))
        except Exception as error:  # noqa: BLE001 - told to the test
            answers.append(repr(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return answers[0] if answers else "hangs"


def own_context(port: int) -> None:
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(OpenQuoteContext("127.0.0.1", port)), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    say(who="child", state=state_of(made[0]) if made else "hangs")
    os._exit(0)


def parents_context(context: Any) -> None:
    say(who="child", state=state_of(context))
    os._exit(0)


def main() -> None:
    how, port = sys.argv[1], int(sys.argv[2])
    SysConfig.set_all_thread_daemon(True)
    multiprocessing.set_start_method("spawn" if how == "spawn" else "fork")
    start = multiprocessing.Process
    context = None
    if how != "early":
        context = OpenQuoteContext("127.0.0.1", port)
        say(who="parent", state=state_of(context))
    child = (
        start(target=parents_context, args=(context,)) if how == "shared" else start(target=own_context, args=(port,))
    )
    child.start()
    child.join()
    if context is None:
        context = OpenQuoteContext("127.0.0.1", port)
    say(who="parent", state=state_of(context))
    context.close()
    os._exit(0)


if __name__ == "__main__":
    main()
