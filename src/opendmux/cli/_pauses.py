"""What `pause` and `resume` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opendmux.errors import CommandError

from ._control import clean, print_json

if TYPE_CHECKING:
    import argparse

__all__ = ["add_which", "show", "which"]


def add_which(parser: argparse.ArgumentParser) -> None:
    """Which OpenD is meant."""
    parser.add_argument(
        "--opend",
        metavar="NUMBER|NAME",
        help="its number or address, as `opendmux status` shows it, or its name in the settings (default: all of them)",
    )


def which(text: str | None) -> int | str | None:
    """What the proxy is asked for by ``--opend``."""
    return int(text) if text and text.isdecimal() else text


def show(args: argparse.Namespace, answer: Any, *, ended: bool = False) -> int:
    """Print the answer of the proxy; returns the exit code. ``ended``: a pause was to end."""
    if not isinstance(answer, dict) or "paused" not in answer:
        raise CommandError(f"{args.connect} is not an opendmux, or not one that this version knows")
    if args.json:
        print_json(answer)
        return 0
    for one in answer["paused"]:
        print(clean(str(one["text"])))
        if one["unanswered"]:
            print(f"{one['unanswered']} requests had no answer when the connections were closed")
    if not answer["paused"]:
        print("nothing is paused any more" if ended else "nothing is paused")
    return 0
