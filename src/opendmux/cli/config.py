"""``opendmux config``: what the settings are, whether they make sense, and a file to begin with."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opendmux.errors import ConfigError

from ._control import print_json
from .settings import add_options, settings_from

if TYPE_CHECKING:
    from opendmux.config import Config
    from opendmux.config.sources import Settings, Source

__all__ = ["TEMPLATE", "add_parser"]

TEMPLATE: Final = "opendmux.toml"
"""The file of `config init`, beside this module; made by docs/gen_config.py."""


WIDEST: Final = 48
"""Columns of `config show`: one long value must not push the sources of all others out of sight."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "config",
        description="The settings: from a file, OPENDMUX_* variables and the options of `serve`.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = commands.add_parser(
        "check",
        help="say whether `serve` would start with them",
        description="Read the settings and the files that they name. Exit codes: 0 in order, 2 not, with the reason.",
    )
    show = commands.add_parser(
        "show",
        help="every setting with its value and where that comes from",
        description="Every setting in force, with its source: default, file, environment or flag.",
    )
    show.add_argument("--json", action="store_true", help="JSON instead of columns")
    show.add_argument("--changed", action="store_true", help="only those that are no defaults")
    check.add_argument("--json", action="store_true", help="JSON instead of a sentence")
    for command, run in ((check, _check), (show, _show)):
        command.add_argument("file", nargs="?", type=Path, metavar="FILE", help="the same as --config FILE")
        add_options(command)
        command.set_defaults(run=run)
    init = commands.add_parser(
        "init",
        help="write a file with every key, commented out",
        description="Write a file with every key, its meaning, unit and default; never over one that is there.",
    )
    init.add_argument("file", nargs="?", type=Path, default=Path(TEMPLATE), metavar="FILE", help=f"default: {TEMPLATE}")
    init.add_argument("--json", action="store_true", help="JSON instead of a sentence")
    init.set_defaults(run=_init)


def _settings(args: argparse.Namespace) -> Settings:
    if args.file is not None:
        if args.config is not None:
            raise ConfigError(f"two files are given, {args.file} and {args.config}")
        args.config = args.file
    return settings_from(args, os.environ)


def _check(args: argparse.Namespace) -> int:
    settings = _settings(args)
    _read_named_files(settings.config)
    if args.json:
        print_json({"file": None if settings.file is None else str(settings.file), "notes": settings.notes})
        return 0
    for note in settings.notes:
        print(f"opendmux: {note}", file=sys.stderr)
    print(f"{settings.file or 'the settings'}: in order")
    return 0


def _read_named_files(config: Config) -> None:
    from opendmux.runtime.alerts import channels_of
    from opendmux.runtime.certificates import read_contexts
    from opendmux.wire.cipher import RsaKey

    from .house import read_keys

    if config.keys:
        read_keys(config)
    if config.tls.cert:
        read_contexts(config.tls)
    channels_of(config.alerts)
    paths = (config.rsa_private_key, config.upstream_rsa_private_key, *(u.rsa_private_key for u in config.upstreams))
    for path in paths:
        if path:
            RsaKey.load(path)


def _show(args: argparse.Namespace) -> int:
    import msgspec

    from opendmux.config.secrets import without_secrets

    settings = _settings(args)
    rows = [
        (key, without_secrets(value), source)
        for key, value, source in settings.rows()
        if not (args.changed and source.kind == "default")
    ]
    if args.json:
        shown = {
            "file": None if settings.file is None else str(settings.file),
            "settings": [
                {"key": key, "value": value, "source": source.kind, "from": source.name or None}
                for key, value, source in rows
            ],
            "notes": settings.notes,
        }
        print_json(msgspec.to_builtins(shown))
        return 0
    columns = [(key, msgspec.json.encode(value).decode(), _said(source)) for key, value, source in rows]
    widths = [min(WIDEST, max((len(row[column]) for row in columns), default=0)) for column in (0, 1)]
    for key, value, source_text in columns:
        print(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {source_text}")
    for note in settings.notes:
        print(f"opendmux: {note}", file=sys.stderr)
    return 0


def _said(source: Source) -> str:
    return f"{source.kind} {source.name}".rstrip()


def _init(args: argparse.Namespace) -> int:
    from importlib.resources import files

    text = files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    try:
        with args.file.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{args.file} is there already; it is left as it is") from None
    except OSError as error:
        raise ConfigError(f"cannot write {args.file}: {error.strerror}") from error
    if args.json:
        print_json({"file": str(args.file)})
        return 0
    print(f"{args.file}: every key with its default; `opendmux --config {args.file}` reads it")
    return 0
