"""``opendmux pause``: OpenD is left alone for maintenance, its clients stay."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from opendmux.errors import ConfigError

from ._control import add_options, ask
from ._pauses import add_which, show, which

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "run", "seconds_in"]

UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "pause",
        description="Let a running opendmux wait for the answers to what it has sent, then close its connections to "
        "OpenD and make no new ones, so that OpenD can be updated or restarted. Clients stay connected and are told; "
        "with `opendmux resume` they go on where they were. A restart of opendmux ends the pause.",
    )
    add_which(parser)
    parser.add_argument(
        "--for", dest="for_s", metavar="TIME", help="end it by itself after so long: 90, 90s, 10m, 2h (default: never)"
    )
    parser.add_argument("--show", action="store_true", help="change nothing, say what is paused")
    add_options(parser)
    parser.set_defaults(run=run)


def seconds_in(text: str) -> float:
    """``10m``. Raises ConfigError."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", text)
    if found is None or not float(found[1]):
        raise ConfigError(f"--for {text!r} is no time: it is a number of seconds, or one with s, m, h or d, like 10m")
    return float(found[1]) * UNITS[found[2]]


def run(args: argparse.Namespace) -> int:
    """Pause, or show what is paused."""
    if args.show:
        if args.opend is not None or args.for_s is not None:
            raise ConfigError("--show changes nothing; leave out --opend and --for")
        return show(args, ask(args, "GET", "/v1/pause"))
    for_s = None if args.for_s is None else seconds_in(args.for_s)
    return show(args, ask(args, "POST", "/v1/pause", {"opend": which(args.opend), "for_s": for_s}))
