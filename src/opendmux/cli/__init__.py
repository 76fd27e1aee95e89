"""The command line. Arguments are parsed before trio is imported, so that ``--help`` is quick.

Exit codes: 0 done; 1 failed; 2 a usage or configuration error, in one sentence; 128 + n ended by signal n.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from opendmux._version import __version__
from opendmux.errors import ConfigError

from . import audit, bench, clients, config, freeze, keys, proto, serve, sim, status, subs, tls
from ._control import CommandError

__all__ = [
    "audit",
    "bench",
    "clients",
    "config",
    "freeze",
    "keys",
    "main",
    "proto",
    "serve",
    "sim",
    "status",
    "subs",
    "tls",
]

COMMANDS = {
    "serve": serve,
    "sim": sim,
    "status": status,
    "clients": clients,
    "subs": subs,
    "config": config,
    "freeze": freeze,
    "keys": keys,
    "tls": tls,
    "audit": audit,
    "proto": proto,
    "bench": bench,
}

EPILOG = """\
examples:
  opendmux                                   share the OpenD on 127.0.0.1:11111 through port 33333
  opendmux --upstream sim                    the same with the built-in simulator: no OpenD, no account
  opendmux --listen 127.0.0.1:44444 --upstream 192.0.2.7:11111
  opendmux sim --listen 127.0.0.1:11111      the simulator alone
  opendmux config init                       a settings file with every key and its default
  opendmux status                            how the running one is; also: clients list, subs
  opendmux keys add --id bot --scopes qot:read   an API key, in keys.json
  opendmux tls self-signed --out .           a certificate for a quick start with TLS

Without a command, `serve` is meant: `opendmux serve --help` lists its options.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0] not in COMMANDS and words[0] not in ("-h", "--help", "--version")):
        if words and not words[0].startswith("-"):
            print(f"opendmux: no command is called {words[0]!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
            return 2
        words.insert(0, "serve")
    args = _parser().parse_args(words)
    try:
        code = int(args.run(args))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has seen enough; the interpreter must not try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ConfigError as error:
        print(f"opendmux: {error}", file=sys.stderr)
        return 2
    except CommandError as error:
        print(f"opendmux: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the signals were ours
        return 128 + 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="opendmux",
        description="A local proxy in front of Futu/moomoo OpenD: many programs share one OpenD through one port.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"opendmux {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS.values():
        module.add_parser(subparsers)
    return parser
