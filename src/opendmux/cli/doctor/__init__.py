"""``opendmux doctor``: what is wrong between programs and OpenD, and what to do about it.

It looks and changes nothing. Every check is a pure function that judges what was gathered before (`_port`, `_word`,
`_xml`, `_folders`, ...); `_examination` gathers, in order.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from opendmux.cli import _control
from opendmux.errors import ConfigError

__all__ = ["add_parser", "run"]

EPILOG: Final = """\
Exit codes: 0 no problem (there may be warnings); 1 a problem; 2 wrong usage.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "doctor",
        description="Look at OpenD, at this machine and at opendmux, and say what is wrong and what to do about it. "
        "Nothing is changed. opendmux need not run; when it does, it is asked too.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--upstream",
        metavar="HOST:PORT",
        help="OpenD's API address (default: every OpenD of the settings, or else of the running opendmux)",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="opendmux's settings, or OpenD's own OpenD.xml")
    parser.add_argument(
        "--opend-dir",
        type=Path,
        metavar="DIR",
        help="the folder of OpenD's program and its OpenD.xml (default: next to the OpenD that runs here)",
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE",
        help="write what support needs into this new .tar.gz or .zip file, without secrets",
    )
    parser.add_argument(
        "--with-opend-logs",
        action="store_true",
        help="with --bundle: the end of OpenD's newest log too; it may hold personal data",
    )
    _control.add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look, and show. Raises ConfigError for options that make no sense and for a bundle that can't be written."""
    from ._bundle import write_bundle
    from ._examination import examine
    from ._finding import State, tree_of, worst_of
    from ._show import print_report

    _check(args)
    found = examine(args)
    if args.json:
        _control.print_json(tree_of(found.sections))
    else:
        print_report(found.sections)
    if args.bundle is not None:
        write_bundle(args.bundle, found, with_opend_logs=args.with_opend_logs)
    return 1 if worst_of(found.sections) is State.PROBLEM else 0


def _check(args: argparse.Namespace) -> None:
    """What can be known before anything is looked at, which takes seconds. Raises ConfigError."""
    from ._bundle import check_place

    if args.opend_dir is not None and not args.opend_dir.is_dir():
        raise ConfigError(f"--opend-dir {args.opend_dir} is no folder; give the one with OpenD's program and OpenD.xml")
    if args.bundle is not None:
        check_place(args.bundle)
    elif args.with_opend_logs:
        raise ConfigError("--with-opend-logs puts OpenD's log into a bundle; say which by --bundle FILE")
