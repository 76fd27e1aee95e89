"""``opendmux resume``: the end of a pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._control import add_options, ask
from ._pauses import add_which, show, which

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "run"]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "resume",
        description="End the pause: a running opendmux connects to OpenD again, restores what clients had subscribed, "
        "and tells them.",
    )
    add_which(parser)
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Resume; prints what is paused still."""
    return show(args, ask(args, "POST", "/v1/resume", {"opend": which(args.opend)}), ended=True)
