"""``opendmux freeze``: the kill switch of a running proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opendmux.errors import ConfigError

from ._control import CommandError, add_options, ask, clean, print_json

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "run"]

PATH = "/v1/freeze"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "freeze",
        description="Freeze trading through a running opendmux: it holds at once for whoever comes by whatever "
        "protocol, and over a restart. What OpenD has been sent already is not held up; nothing is cancelled.",
    )
    parser.add_argument("--key", metavar="ID", help="of this key alone (default: everybody)")
    parser.add_argument(
        "--mode",
        choices=("read-only", "cancel-only", "off"),
        help="read-only: no trade write and no unlock; cancel-only: cancels alone; off: lift what was set for the "
        "same key, or for everybody (default: read-only)",
    )
    parser.add_argument("--show", action="store_true", help="change nothing, say what is frozen")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Freeze, thaw or show."""
    if args.show and (args.key or args.mode):
        raise ConfigError("--show changes nothing; leave out --key and --mode")
    if args.key == "":
        raise ConfigError("--key '' is no key; leave the option out to freeze everybody")
    if args.show:
        answer = ask(args, "GET", PATH)
    else:
        answer = ask(args, "POST", PATH, {"key": args.key, "mode": args.mode or "read-only"})
    if not isinstance(answer, dict) or not {"freezes", "in_flight"} <= answer.keys():
        raise CommandError(f"{args.connect} is not an opendmux, or not one that this version knows")
    if args.json:
        print_json(answer)
    else:
        _print(answer, lifted=args.mode == "off")
    return 0


def _print(answer: dict[str, Any], *, lifted: bool) -> None:
    for freeze in answer["freezes"]:
        print(clean(str(freeze["text"])))
    if not answer["freezes"]:
        print("nothing is frozen any more" if lifted else "nothing is frozen")
    if answer["in_flight"]:
        print(f"{answer['in_flight']} trade writes were sent to OpenD before and have no answer yet")
