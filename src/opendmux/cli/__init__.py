"""The command line. The words are read before anything dear is imported, and of the commands only the one that is
meant, so that ``--help`` and the completion of a shell are quick.

Exit codes: 0 done; 1 failed; 2 a usage or configuration error, in one sentence; 128 + n ended by signal n.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from opendmux._version import __version__
from opendmux.errors import CommandError, ConfigError

from ._parser import Parser, UsageError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["COMMANDS", "GROUPS", "Command", "main", "parser_of"]


class Command(NamedTuple):
    """A command: the module of its name (``_`` for ``-``) beside this one has an ``add_parser``."""

    group: str
    text: str
    """What it is for, as `opendmux --help` lists it."""


GROUPS: Final = {
    "run": "run it",
    "look": "look at a running one",
    "access": "who may do what",
    "operate": "set it up and keep it going",
    "tools": "tools",
}

COMMANDS: Final = {
    "serve": Command("run", "run the proxy (the default)"),
    "sim": Command("run", "run a simulated OpenD alone"),
    "status": Command("look", "show the state of a running proxy"),
    "top": Command("look", "watch a running proxy live"),
    "clients": Command("look", "list or end the clients of a running proxy"),
    "subs": Command("look", "list the subscriptions of a running proxy"),
    "freeze": Command("access", "stop trading through a running proxy, or let it go on"),
    "keys": Command("access", "make and manage API keys"),
    "tls": Command("access", "make a certificate"),
    "audit": Command("access", "check an audit log"),
    "pause": Command("operate", "let go of OpenD for maintenance; clients stay connected"),
    "resume": Command("operate", "end a pause"),
    "config": Command("operate", "check, show or begin the settings"),
    "doctor": Command("operate", "say what is wrong with OpenD, this machine or opendmux, and what to do"),
    "alerts": Command("operate", "send a test alert"),
    "opend": Command("operate", "send OpenD an operation command: a login code, the quote right, ..."),
    "proto": Command("tools", "write out the gRPC service definition"),
    "bench": Command("tools", "measure throughput and latency against a stub OpenD"),
    "version": Command("tools", "show the versions of opendmux and of what it runs on"),
    "completion": Command("tools", "print a script by which a shell completes"),
}
"""In the order of the help."""

COMPLETE: Final = "__complete"
"""What the scripts of `opendmux completion` ask; in no list."""

DESCRIPTION: Final = "A local proxy in front of Futu/moomoo OpenD: many programs share one OpenD through one port."

USAGE: Final = """\
opendmux [OPTIONS]                    the proxy: the same as `opendmux serve [OPTIONS]`
       opendmux COMMAND [ACTION] [OPTIONS]   anything else; `opendmux COMMAND --help` says more"""

EPILOG: Final = """\
examples:
  opendmux                                   share the OpenD on 127.0.0.1:11111 through port 33333
  opendmux --upstream sim                    the same with the built-in simulator: no OpenD, no account
  opendmux --listen 127.0.0.1:44444 --upstream 192.0.2.7:11111
  opendmux sim --listen 127.0.0.1:11111      the simulator alone
  opendmux config init                       a settings file with every key and its default
  opendmux status                            how the running one is; also: clients list, subs
  opendmux opend input_phone_verify_code -code=123456   the login code, to OpenD
  opendmux keys add --id bot --scopes qot:read   an API key, in keys.json
  opendmux tls self-signed --out .           a certificate for a quick start with TLS

With --json a command prints one JSON value, and an error is a JSON object, the last line of stderr.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 128 + n ended by signal n.
"""


def __getattr__(name: str) -> ModuleType:
    """The module of a command, by the command's name."""
    if name in COMMANDS:
        return _module(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code. SystemExit: after --help and --version, and for wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    try:
        if words[:1] == [COMPLETE]:
            from .completion import answer

            return answer(words[1:])
        if not words or (words[0] not in COMMANDS and words[0] not in ("-h", "--help", "--version")):
            if words and not words[0].startswith("-"):
                from opendmux.wording import nearest

                guess = nearest(words[0], COMMANDS) or f"; there are {', '.join(COMMANDS)}"
                raise ConfigError(f"no command is called {words[0]!a}{guess}")
            words.insert(0, "serve")
        args = parser_of([words[0]] if words[0] in COMMANDS else []).read(words)
        code = int(args.run(args))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough; the interpreter must not try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UsageError as error:
        _wrong_usage(error, as_json)
    except ConfigError as error:
        return _failed("usage", error, 2, as_json)
    except CommandError as error:
        return _failed("failed", error, 1, as_json)
    except KeyboardInterrupt:  # before the signals were ours
        return 128 + 2
    return code


def parser_of(names: Sequence[str]) -> Parser:
    """What knows these commands; without any, only the help of the whole."""
    from argparse import RawDescriptionHelpFormatter

    parser = Parser(
        prog="opendmux",
        usage=None if names else USAGE,
        description=f"{DESCRIPTION}\n\n{_listing()}",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"opendmux {__version__}")
    if names:
        parser.usage = "opendmux"  # what the usage of each command begins with
        subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, prog="opendmux")
        for name in names:
            _module(name).add_parser(subparsers)
    return parser


def _module(name: str) -> ModuleType:
    return import_module(f".{name.replace('-', '_')}", __name__)


def _listing() -> str:
    lines = []
    for group, title in GROUPS.items():
        members = [(name, command.text) for name, command in COMMANDS.items() if command.group == group]
        lines += [f"{title}:", *(f"  {name:<12}{text}" for name, text in members), ""]
    return "\n".join(lines).rstrip()


def _failed(kind: str, error: Exception, code: int, as_json: bool) -> int:
    """Say it; returns ``code``."""
    if as_json:
        import json

        print(json.dumps({"error": {"kind": kind, "text": str(error)}}), file=sys.stderr)
    else:
        print(f"opendmux: {error}", file=sys.stderr)
    return code


def _wrong_usage(error: UsageError, as_json: bool) -> NoReturn:
    if not as_json:
        print(f"opendmux: {error} (`{error.prog} --help` says more)", file=sys.stderr)
        raise SystemExit(2) from None
    raise SystemExit(_failed("usage", error, 2, as_json)) from None
