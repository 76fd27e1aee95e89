"""``opendmux top``: a running opendmux, live in the terminal.

Two tasks beside the one that draws: one asks once a second, in a thread because a connection that hangs must not hold
up the keys; one waits for keys. The terminal is put into its mode by context managers, so that every way out of here,
a crash included, puts it back.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from opendmux.errors import CommandError, ConfigError

from ._control import add_options, age, print_json, status

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from rich.live import Live

    from ._top_frame import View

__all__ = ["add_parser", "run"]

EVERY_S: Final = 1.0
"""As often as the proxy has new figures."""
ONCE_SIZE: Final = (80, 24)
"""Of a frame that goes elsewhere than to a terminal."""
QUIT: Final = b"q\x03\x04"

EPILOG = """\
keys: q or Ctrl-C quit, s sort clients by another column, p pause the display and go on

Logins: Q and T logged in for quotes and for trading, q! and t! not, ? not known.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    from argparse import RawDescriptionHelpFormatter

    parser = subparsers.add_parser(
        "top",
        description="Watch a running opendmux, each second: OpenD, clients, requests, subscriptions, refusals, limits.",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--once", action="store_true", help="print one frame and end")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Watch until a key or a signal. Raises CommandError when nobody answers at the start."""
    from ._top_frame import View

    if not args.once and not args.json:
        _check_terminal()
    found = status(args)
    view = View(args.connect)
    if args.json:
        print_json(found)
    elif args.once:
        _print_frame(found, view)
    else:
        _watch(args, found, view)
    return 0


def _check_terminal() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("top wants a terminal for its keys and its display; --once prints one frame")
    if os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        raise ConfigError(
            f"the terminal can't move its cursor (TERM={os.environ.get('TERM', '')}); --once prints one frame"
        )
    if sys.platform == "win32":
        raise ConfigError("top needs a POSIX terminal; --once prints one frame")


def _print_frame(found: dict[str, Any], view: View) -> None:
    import shutil

    from ._top_frame import frame

    lines = frame(found, view, *(shutil.get_terminal_size(ONCE_SIZE) if sys.stdout.isatty() else ONCE_SIZE))
    print("\n".join(line.text for line in lines[:-1]).rstrip())


def _watch(args: argparse.Namespace, found: dict[str, Any], view: View) -> None:
    import trio
    from rich.console import Console
    from rich.live import Live

    console = Console()
    # What a library says on stderr would stand in the middle of the picture.
    with (
        _keys_unbuffered(sys.stdin.fileno()),
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stderr(nowhere),
        Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live,
    ):
        trio.run(_Watch(args, found, view, live).run, strict_exception_groups=True)


@contextlib.contextmanager
def _keys_unbuffered(descriptor: int) -> Iterator[None]:
    """Keys come one by one and are not echoed; Ctrl-Z does nothing: it would leave the terminal in this mode."""
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        now = termios.tcgetattr(descriptor)
        now[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(descriptor, termios.TCSADRAIN, now)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class _Watch:
    """The figures that are shown, and the tasks that change them."""

    def __init__(self, args: argparse.Namespace, found: dict[str, Any], view: View, live: Live) -> None:
        self._args = args
        self._found = found
        self._view = view
        self._live = live

    async def run(self) -> None:
        """Until a key or a signal ends it."""
        import signal

        import trio

        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask)
            nursery.start_soon(self._size_changes)
            ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

            async def on_signal() -> None:
                with trio.open_signal_receiver(*ends) as received:
                    async for _ in received:
                        nursery.cancel_scope.cancel(reason="signal")

            nursery.start_soon(on_signal)
            self._draw()
            await self._obey()
            nursery.cancel_scope.cancel(reason="quit")

    async def _ask(self) -> None:
        import trio

        lost_since: float | None = None
        while True:
            await trio.sleep(EVERY_S)
            if self._view.paused:
                continue
            try:
                found = await trio.to_thread.run_sync(status, self._args, abandon_on_cancel=True)
            except (CommandError, ConfigError) as error:
                now = trio.current_time()
                lost_since = now if lost_since is None else lost_since
                text = f"no news for {age(now - lost_since)}, trying again each second: {error}"
                self._view = self._view._replace(lost=text)
            else:
                lost_since = None
                self._view = self._view._replace(lost="")
                self._found = found
            self._draw()

    async def _size_changes(self) -> None:
        import signal

        import trio

        with trio.open_signal_receiver(signal.SIGWINCH) as received:
            async for _ in received:
                self._draw()

    async def _obey(self) -> None:
        """Keys; returns on one that ends."""
        import trio

        from ._top_frame import SORTS

        descriptor = sys.stdin.fileno()
        orders = list(SORTS)
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            keys = os.read(descriptor, 64)
            if not keys or any(key in QUIT for key in keys):  # nothing: the terminal is gone
                return
            view = self._view
            for key in keys:
                if key == ord("s"):
                    view = view._replace(sort=orders[(orders.index(view.sort) + 1) % len(orders)])
                elif key == ord("p"):
                    view = view._replace(paused=not view.paused)
            self._view = view
            self._draw()

    def _draw(self) -> None:
        from rich.text import Text

        from ._top_frame import frame

        size = self._live.console.size
        lines = frame(self._found, self._view, size.width, size.height)
        picture = Text("\n", no_wrap=True, overflow="crop").join(Text(line.text, style=line.style) for line in lines)
        self._live.update(picture, refresh=True)
