"""``opendmux audit``: judge an audit log."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from opendmux.errors import ConfigError

from ._control import print_json

if TYPE_CHECKING:
    from opendmux.core.audit_verify import Anchor, Verdict

__all__ = ["add_parser", "run"]

EPILOG = """\
Exit codes: 0 the chain is whole or the log empty, 1 it is broken or its end is torn, 2 wrong usage or nothing to read.

A chain can't show by itself that its last lines were cut off. Keep the last line that is printed here somewhere else,
and give it back next time as --anchor SEQ:HASH.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("audit", description="Check an audit log.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    verify = actions.add_parser(
        "verify",
        help="find the first line that was edited, removed or moved",
        description="Check the hash chain of an audit log: one file, or a folder of daily files.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verify.add_argument("path", type=Path, metavar="PATH", help="the file or folder given to --audit-log")
    verify.add_argument("--anchor", metavar="SEQ:HASH", help="a line that is known to have been in the log")
    verify.add_argument("--json", action="store_true", help="say it as one JSON object")
    verify.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Judge the log; 0 or 1. Raises ConfigError for what can't be read."""
    from opendmux.core.audit_verify import verify

    anchor = None if args.anchor is None else _anchor(args.anchor)
    try:
        files = _files(args.path)
        verdict = verify(((path.name, _lines(path)) for path in files), anchor)
    except OSError as error:
        raise ConfigError(f"{error.filename or args.path}: {error.strerror or error}") from error
    if args.json:
        import msgspec

        print_json(msgspec.to_builtins(verdict))
    else:
        _say(args.path, verdict)
    return 0 if verdict.broken is None else 1


def _files(path: Path) -> list[Path]:
    from opendmux.runtime.audit_file import daily_files

    if not path.is_dir():
        return [path]
    files = daily_files(path)
    if not files:
        raise ConfigError(f"{path}: there are no audit files in it (opendmux-audit.YYYY-MM-DD.jsonl)")
    return files


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _anchor(text: str) -> Anchor:
    from opendmux.core.audit_verify import Anchor

    match = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text)
    if match is None:
        raise ConfigError("--anchor: SEQ:HASH is wanted, as `opendmux audit verify` prints it")
    return Anchor(int(match[1]), match[2])


def _say(path: Path, verdict: Verdict) -> None:
    for note in verdict.notes:
        print(f"note: {note}")
    broken = verdict.broken
    if broken is not None:
        print(f"BROKEN: {broken.name}, line {broken.line}: {broken.damage.value}: {broken.text}")
        return
    if not verdict.lines:
        print(f"{path}: it is empty, there is no chain to judge")
        return
    print(f"{path}: {verdict.lines} lines, the chain is whole")
    if not verdict.closed:
        print("note: it does not end with a closing line: it is being written, or its process crashed, or the end")
        print("      was cut off; only an anchor tells")
    print(f"last line: {verdict.last_seq}:{verdict.last_hash}")
