"""``opendmux proto``: the service definition of the gRPC face, for users who generate stubs."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from opendmux.errors import ConfigError

from ._control import print_json

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "run"]

NAME = "futu.proto"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "proto",
        description=f"Write {NAME}, the definition of the gRPC service, to generate stubs from. "
        "Tools that use server reflection, such as grpcurl, don't need it.",
    )
    parser.add_argument("--out", default=".", metavar="DIR", help="the folder; must exist (default: this one)")
    parser.add_argument("--json", action="store_true", help="print JSON: the path")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the file. Raises ConfigError when that is impossible."""
    target = Path(args.out) / NAME
    text = (files("opendmux.wire.pb") / NAME).read_bytes()
    try:
        target.write_bytes(text)
    except OSError as error:
        raise ConfigError(f"can't write {target}: {error.strerror or error}") from error
    if args.json:
        print_json({"file": str(target)})
    else:
        print(target)
    return 0
