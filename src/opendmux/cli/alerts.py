"""``opendmux alerts``: does an alert of a running proxy arrive?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._control import CommandError, add_options, ask, clean, print_json

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "run"]

PATH = "/v1/alerts/test"
PATIENCE_S = 320.0
"""Longer than the longest time that the configuration lets one alert take."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "alerts",
        description="Try the webhooks and commands that a running opendmux tells when something is wrong.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    test = actions.add_parser(
        "test",
        help="send a test alert",
        description="Send a test alert by every [[alerts]] entry, or by one, and say whether it arrived. Exit codes: 0 "
        "all did, 1 one did not, or nobody answers.",
    )
    test.add_argument("name", nargs="?", metavar="NAME", help="of one entry (default: all)")
    add_options(test)
    test.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask and show."""
    answer = ask(args, "POST", PATH, {"alert": args.name}, timeout_s=PATIENCE_S)
    if not isinstance(answer, dict) or not isinstance(answer.get("alerts"), list):
        raise CommandError(f"{args.connect} is not an opendmux, or not one that this version knows")
    if args.json:
        print_json(answer)
    else:
        for one in answer["alerts"]:
            how = "delivered" if one["delivered"] else f"not delivered: {clean(one['problem'])}"
            print(f"{clean(one['alert'])}: {how}")
    return 0 if all(one["delivered"] for one in answer["alerts"]) else 1
