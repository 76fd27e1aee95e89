"""``opendmux keys``: make, list, rotate and revoke API keys, and check a file of them.

A plaintext is printed once, alone on the last line of stdout, when its key is made or rotated; it is kept nowhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import _keys_commands as commands

__all__ = ["add_parser"]

DEFAULT_FILE = "keys.json"
GRACE_S = 15.0
"""The Python SDK connects again 6 seconds after it has lost a connection; twice that and a little."""
PLAINTEXT = "print JSON: the plaintext is `key` in it"
ALL_FIELDS = "print JSON: all fields but the hashes"

EPILOG = """\
examples:
  opendmux keys add --id reader --scopes qot:read,acc:read --expires 30d
  opendmux keys add --id bot --scopes qot:read,acc:read,trade:real --allowed-markets HK,US \\
      --max-order-value 20000 --max-daily-value 100000 --max-orders-per-minute 5
  opendmux keys rotate bot --overlap 1h
  opendmux keys revoke reader

Scopes: qot:read, qot:write, acc:read, trade:simulate, trade:real, trade:unlock, admin.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "keys",
        description="Make, list, rotate and revoke API keys, and check a file of them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add(actions)
    _list(actions)
    _show(actions)
    _rotate(actions)
    _revoke(actions)
    _check(actions)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, json_help: str = "print JSON"
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.add_argument(
        "--keys",
        type=Path,
        default=Path(DEFAULT_FILE),
        metavar="FILE",
        help="the file of keys (default: keys.json in the current folder)",
    )
    parser.add_argument("--json", action="store_true", help=json_help)
    return parser


def _add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(
        actions, "add", "make a key, and the file when there is none; print the plaintext, once", PLAINTEXT
    )
    parser.add_argument("--id", required=True, metavar="ID", help="its name in logs and metrics: A-Z a-z 0-9 . _ -")
    parser.add_argument("--scopes", required=True, metavar="A,B", help="what it may do at all; see `opendmux keys -h`")
    limits = parser.add_argument_group(
        "limits", "Without the option: no limit. With an empty list (''): nothing is allowed."
    )
    limits.add_argument(
        "--allowed-markets", metavar="HK,US", help="markets of orders and of pushes of quotes; others are refused"
    )
    limits.add_argument(
        "--allowed-symbols",
        metavar="HK.00700,US.AAPL",
        help="symbols of orders and of pushes of quotes; others are refused",
    )
    limits.add_argument("--allowed-trd-sides", metavar="BUY,SELL", help="of BUY, SELL, SELL_SHORT, BUY_BACK")
    limits.add_argument("--max-order-value", type=float, metavar="N", help="of one order, in its currency")
    limits.add_argument("--max-daily-value", type=float, metavar="N", help="of all orders of a UTC day, in currency")
    limits.add_argument("--max-orders-per-minute", type=int, metavar="N", help="in any 60 seconds")
    limits.add_argument("--hours-window", metavar="HH:MM-HH:MM", help="when orders may be sent; may cross midnight")
    limits.add_argument("--tz", metavar="ZONE", help="of --hours-window, like Asia/Hong_Kong (default: the machine's)")
    limits.add_argument("--allowed-machines", metavar="this", help="machine ids; `this` is the one you are on")
    limits.add_argument("--allowed-acc-ids", metavar="ID,ID", help="accounts by acc_id")
    limits.add_argument("--allowed-card-nums", metavar="NUM,NUM", help="accounts by card number")
    parser.add_argument("--allow-unknown", action="store_true", help="with trade:real: proto_ids unknown to opendmux")
    parser.add_argument("--strict-unlock", action="store_true", help="trade:real alone may not unlock trading")
    parser.add_argument(
        "--cancel-on-disconnect",
        nargs="?",
        type=float,
        const=GRACE_S,
        metavar="S",
        help="cancel its open orders S seconds after its last connection has ended (without S: %(const)g)",
    )
    parser.add_argument(
        "--dead-man-s",
        type=float,
        metavar="S",
        help="cancel them when it shows no life for S seconds, connected or not",
    )
    parser.add_argument("--expires", metavar="30d|12h|DATE", help="when it stops working (default: never)")
    parser.add_argument("--websocket", action="store_true", help="keep the MD5 too, which WebSocket programs log in by")
    parser.add_argument("--note", metavar="TEXT", help="for yourself")
    parser.set_defaults(run=commands.add)


def _list(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "list", "list the keys", ALL_FIELDS)
    parser.set_defaults(run=commands.show_all)


def _show(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "show", "show one key with all its limits", ALL_FIELDS)
    parser.add_argument("id", metavar="ID")
    parser.set_defaults(run=commands.show)


def _rotate(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "rotate", "give a key a new plaintext, and print it, once", PLAINTEXT)
    parser.add_argument("id", metavar="ID")
    parser.add_argument(
        "--overlap", metavar="1h", help="how long the old plaintext works on (default: it ends at once)"
    )
    parser.add_argument("--expires", metavar="30d|12h|DATE", help="a new end of the key (default: as it was)")
    parser.set_defaults(run=commands.rotate)


def _revoke(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "revoke", "remove a key")
    parser.add_argument("id", metavar="ID")
    parser.set_defaults(run=commands.revoke)


def _check(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "check", "check a file of keys")
    parser.add_argument(
        "--import",
        dest="import_file",
        type=Path,
        metavar="FILE",
        help="check this file of the gateway in Rust instead, and list what means something else here",
    )
    parser.set_defaults(run=commands.check)
