"""``opendmux opend``: OpenD's operation commands, as on OpenD's own console."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opendmux.errors import CommandError, ConfigError

from ._control import NotRunningError, add_options, ask, clean, may_carry_secrets, print_json
from ._pauses import which

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opendmux.config import Config
    from opendmux.core.operations import Order
    from opendmux.runtime.operator import Member

__all__ = ["add_parser", "run"]

ANSWER_S: Final = 60.0
"""A command may wait for another one that is under way, and each has its own deadlines."""
PASSWORD_MAX: Final = 1024
USAGE: Final = "opendmux opend [OPTIONS] COMMAND [-key=value ...] [OPTIONS]"
RELOGIN: Final = "relogin"
NO_ANSWER: Final = frozenset({"exit", "update"})
"""OpenD may be gone before it has answered them."""
EXAMPLES: Final = """\
examples:
  opendmux opend req_phone_verify_code
  opendmux opend input_phone_verify_code -code=123456
  opendmux opend request_highest_quote_right
  opendmux opend relogin --password-file FILE
  opendmux opend help --telnet 127.0.0.1:22222"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "opend",
        help="send OpenD an operation command: a login code, the quote right, ...",
        usage=USAGE,
        description="Send OpenD one of its operation commands, as on its own console. A running opendmux sends it; "
        "without one it goes straight to OpenD's Telnet console (--telnet, or telnet in the settings).",
        epilog=_listing(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND [-key=value ...]", help="see below")
    _add_options(parser)
    parser.set_defaults(run=run)


def _listing() -> str:
    from opendmux.core.operations import OPERATIONS

    lines = ["commands:"]
    for one in OPERATIONS.values():
        takes = " ".join(f"[-{parameter.name}=...]" for parameter in one.parameters if not parameter.secret)
        limit = f"; at most {one.rate}" if one.rate else ""
        lines.append(f"  {f'{one.name} {takes}'.rstrip():<44}{one.about}{limit}")
    return "\n".join([*lines, "", EXAMPLES])


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--opend", metavar="NUMBER|NAME", help="which one, where there are several")
    parser.add_argument(
        "--telnet", metavar="HOST:PORT", help="ask OpenD's Telnet console itself, without a running opendmux"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="where no opendmux runs: the settings, or OpenD's OpenD.xml, that say where the console is",
    )
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="for relogin: holds the login password (default: asked for, or the first line of stdin)",
    )
    parser.add_argument("--yes", action="store_true", help="it is meant: for exit, and close_api_conn without conn_id")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Send it and print the answer; 1 when it is not known to have been answered."""
    from opendmux.core.operations import OperationError, order_of

    command, given = _read(args)
    try:
        if command == RELOGIN and not given:
            given = {"login_pwd_md5": _password_md5(args)}
        order = order_of(command, given, confirmed=args.yes)
    except OperationError as error:
        raise ConfigError(str(error)) from None
    found = _performed(args, order)
    if args.json:
        print_json(found)
    else:
        _show(found)
    return 1 if found["refused"] or (found["note"] and command not in NO_ANSWER) else 0


def _read(args: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """The command and its parameters; options of ours may stand behind it."""
    from opendmux.core.operations import OPERATIONS, OperationError, parameters_of

    words = [word for word in args.words if word != "--"]
    if not words:
        raise ConfigError(f"which command? OpenD has {', '.join(OPERATIONS)}")
    command, *rest = words
    options: list[str] = []
    while rest and _is_parameter(rest[0]):
        options.append(rest.pop(0))
    _reread(args, rest)
    try:
        given = parameters_of(options)
    except OperationError as error:
        raise ConfigError(f"{command}: {error}") from None
    operation = OPERATIONS.get(command)
    secret = sorted(given.keys() & (operation.secrets if operation is not None else frozenset()))
    if secret:
        raise ConfigError(
            f"-{secret[0]} is not taken from the command line, where every user of this machine sees it (ps) and the "
            "shell keeps it: leave it out and it is asked for, or give --password-file FILE"
        )
    return command, given


def _is_parameter(word: str) -> bool:
    return not word.startswith("--") and word != "-h"


def _reread(args: argparse.Namespace, words: Sequence[str]) -> None:
    """Options that stand behind the command."""
    from ._parser import Parser

    parser = Parser(
        prog="opendmux opend", usage=USAGE, epilog=_listing(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _add_options(parser)
    for name, value in vars(parser.parse_args(list(words))).items():
        if value != parser.get_default(name):
            setattr(args, name, value)


def _password_md5(args: argparse.Namespace) -> str:
    """OpenD takes the MD5 of the password, so that is all that leaves this process."""
    import hashlib

    if not may_carry_secrets(args):
        raise ConfigError(f"the password would go to {args.connect} without encryption: add --tls")
    if args.password_file is not None:
        try:
            with args.password_file.open(encoding="utf-8") as file:
                text = file.read(PASSWORD_MAX)
        except (OSError, UnicodeDecodeError) as error:
            text = getattr(error, "strerror", None) or "it is not text"
            raise ConfigError(f"--password-file {args.password_file}: {text}") from None
    elif sys.stdin.isatty():
        import getpass

        text = getpass.getpass("OpenD's login password: ")
    else:
        text = sys.stdin.readline(PASSWORD_MAX)
    password = text.splitlines()[0] if text else ""
    if not password:
        raise ConfigError("relogin needs the login password: it was empty")
    return hashlib.md5(password.encode()).hexdigest()


def _performed(args: argparse.Namespace, order: Order) -> dict[str, Any]:
    if args.telnet is None:
        body = {"opend": which(args.opend), "parameters": dict(order.parameters), "confirm": args.yes}
        path = f"/v1/opend/{order.operation.name}"
        try:
            answer = ask(args, "POST", path, body, timeout_s=ANSWER_S)
        except NotRunningError as error:
            not_running = error
        else:
            if not isinstance(answer, dict) or not {"lines", "note", "refused", "way", "place"} <= answer.keys():
                raise CommandError(f"{args.connect} is not an opendmux, or not one that this version knows")
            return answer
    else:
        not_running = None
    return _direct(args, order, not_running)


def _direct(args: argparse.Namespace, order: Order, not_running: CommandError | None) -> dict[str, Any]:
    """Straight to the console. ``not_running``: why no opendmux does it."""
    import msgspec
    import trio

    from opendmux.config.sources import settings_of
    from opendmux.core.operations import OperationError
    from opendmux.runtime.operation_ledger import OperationLedger
    from opendmux.runtime.operator import by_console
    from opendmux.runtime.state import state_dir
    from opendmux.runtime.telnet import TelnetError

    config = settings_of(args.config, os.environ).config
    member = _member(args, config)
    console = member.console
    if console is None:
        why = f"{not_running}; " if not_running is not None else ""
        raise CommandError(f"{why}to ask OpenD itself, give --telnet HOST:PORT, its telnet_ip and telnet_port")
    ledger = OperationLedger(state_dir(config.state_dir, os.environ))
    try:
        ledger.book(member.counters, order.operation, time.time())
        performed = trio.run(by_console, member, console, order)
    except OperationError as error:
        raise CommandError(str(error)) from None
    except TelnetError as error:
        if not error.sent:
            ledger.give_back(member.counters, order.operation)
        raise CommandError(str(error)) from None
    found: dict[str, Any] = msgspec.to_builtins(performed)
    return {**found, "direct": True}


def _member(args: argparse.Namespace, config: Config) -> Member:
    """The OpenD that is meant. Raises ConfigError."""
    import dataclasses

    import msgspec

    from opendmux.config import parse_address
    from opendmux.config.reach import upstreams_of
    from opendmux.core.operation_rates import counter_of
    from opendmux.wording import nearest

    from .upstreams import member_of

    upstreams = upstreams_of(config)
    names = [upstream.name for upstream in upstreams]
    chosen = [u for number, u in enumerate(upstreams, 1) if args.opend in (None, u.name, str(number))]
    if not chosen:
        raise ConfigError(f"--opend: no OpenD is called {args.opend!a}{nearest(args.opend, names)}")
    if len(chosen) > 1 and args.telnet is None:
        raise ConfigError(f"there are several OpenDs: say which one, --opend {' or '.join(names)}")
    member = member_of(chosen[0])
    if args.telnet is None:
        return member
    address = parse_address(args.telnet, what="--telnet")
    given = member_of(msgspec.structs.replace(chosen[0], telnet=args.telnet))
    if member.console is not None and given.console is not None and member.console.name == given.console.name:
        return member
    # Nobody has said whose console it is, so it counts for itself.
    return dataclasses.replace(given, counters=[counter_of(address.host, address.port)])


def _show(found: dict[str, Any]) -> None:
    for line in found["lines"]:
        print(clean(line))
    way = "OpenD's Telnet console" if found["way"] == "telnet" else "the protocol Verification (1006) to OpenD"
    through = "" if found.get("direct") else ", through opendmux"
    print(f"-- by {way} at {clean(found['place'])}{through}")
    if found["note"]:
        print(f"opendmux: {clean(found['note'])}", file=sys.stderr)
