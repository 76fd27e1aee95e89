"""How a command asks a running opendmux, and how it shows what it is told.

Names in the answers were chosen by peers: what can't be printed is replaced, so that nobody writes on another's
terminal.
"""

from __future__ import annotations

import ipaddress
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opendmux.errors import CommandError, ConfigError

from ._admin import find_socket, local_connection

if TYPE_CHECKING:
    import argparse
    import http.client
    import ssl

    from opendmux.config import Address

__all__ = [
    "Column",
    "CommandError",
    "NotRunningError",
    "add_options",
    "age",
    "ask",
    "ask_text",
    "clean",
    "draw",
    "find_socket",
    "local_connection",
    "may_carry_secrets",
    "print_json",
    "status",
]

KEY_VARIABLE: Final = "OPENDMUX_KEY"
SOCKET_VARIABLE: Final = "OPENDMUX_ADMIN_SOCKET"
TIMEOUT_S: Final = 10.0
JSON: Final = "application/json"
OFF: Final = "off"
WIDE: Final = 110
"""Columns of a terminal on which every column of a table has room."""


class NotRunningError(CommandError):
    """Nobody listens there."""


class Column(NamedTuple):
    """Of a table."""

    title: str
    right: bool = False
    wide: bool = False
    """Left out on a narrow terminal."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """What all commands have that ask a running opendmux."""
    parser.add_argument(
        "--connect",
        default="127.0.0.1:33333",
        metavar="HOST:PORT",
        help="where the running opendmux listens (default: %(default)s)",
    )
    parser.add_argument(
        "--admin-socket",
        metavar="PATH",
        help="the running proxy's admin socket, where its own user needs no key; `off` to ask the port instead "
        f"(default: the variable {SOCKET_VARIABLE}, or where a proxy on that port makes it)",
    )
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help=f"holds a key with the scope admin, where the proxy has keys (default: the variable {KEY_VARIABLE})",
    )
    parser.add_argument("--tls", action="store_true", help="connect with TLS")
    parser.add_argument(
        "--cacert", type=Path, metavar="FILE", help="with TLS: certificates to trust in place of the system's (PEM)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def ask(args: argparse.Namespace, method: str, path: str, body: object = None, *, timeout_s: float = TIMEOUT_S) -> Any:
    """The decoded answer of the running opendmux. ``body``: of an order, to be sent as JSON.

    By its admin socket where there is one for us, else by its port. Raises CommandError, ConfigError for bad options.
    """
    return _judged(*_exchanged(args, method, path, body, timeout_s))


def ask_text(args: argparse.Namespace, path: str) -> str:
    """What is at this path, when it is no JSON. Raises as `ask`."""
    where, status, answer, rights = _exchanged(args, "GET", path, None, TIMEOUT_S)
    return answer.decode(errors="replace") if status == 200 else str(_judged(where, status, answer, rights))


def _exchanged(
    args: argparse.Namespace, method: str, path: str, body: object, timeout_s: float
) -> tuple[str, int, bytes, str]:
    """Who has answered, the status, the answer, and how to show the right to ask; empty: a key was shown, or none is
    needed."""
    import http.client
    import ssl

    from opendmux.config import parse_address

    address = parse_address(args.connect, what="--connect")
    place = _socket_of(args, address)
    key = None if place is not None else _key(args.key_file)
    connection = _connection(args, address, timeout_s) if place is None else local_connection(place, timeout_s)
    where = str(address if place is None else place)
    if key is not None and not isinstance(connection, http.client.HTTPSConnection) and not _is_here(address.host):
        print(f"opendmux: the key goes to {address} without encryption; --tls encrypts", file=sys.stderr)
    headers = {"Accept": "application/json"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
    try:
        content = None if body is None else json.dumps(body).encode()
        connection.request(method, path, content, headers | ({} if body is None else {"Content-Type": JSON}))
        response = connection.getresponse()
        status, answer = response.status, response.read()
    except (ConnectionRefusedError, FileNotFoundError):
        raise NotRunningError(
            f"nothing listens on {where}: opendmux is not running there, or it still waits for OpenD"
        ) from None
    except TimeoutError:
        raise CommandError(f"{where} does not answer within {timeout_s:g} s") from None
    except ssl.SSLError as error:
        raise CommandError(f"{where}: no TLS connection: {_why_no_tls(error)}") from None
    except (http.client.HTTPException, ConnectionResetError, BrokenPipeError):
        raise CommandError(f"{where} is not an opendmux, or it wants TLS: it does not speak HTTP") from None
    except OSError as error:
        raise CommandError(f"{where} can't be reached: {error.strerror or error}") from None
    finally:
        connection.close()
    # An answer is the proxy's, whichever way it came: the path of a socket that was found by the address would read as
    # if the file could not be opened.
    answerer = str(address) if args.admin_socket is None and SOCKET_VARIABLE not in os.environ else where
    return answerer, status, answer, "" if key is not None or place is not None else _rights(_is_here(address.host))


def _why_no_tls(error: ssl.SSLError) -> str:
    """What is wrong, and what to do."""
    import ssl

    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.reason or error}; TLS may be off on that port"
    said = error.verify_message.rstrip(".")
    if "not valid for" in said:
        return f"{said}: give a name or address that stands in the certificate by --connect"
    return f"its certificate is not trusted ({said}): give that, or its authority's, by --cacert FILE"


def _rights(here: bool) -> str:
    """What to do when the port has refused who showed no key."""
    key = f"give a key with the scope admin by --key-file or in {KEY_VARIABLE}"
    if not here:
        return key
    return (
        f"{key}, or go by the admin socket: it is named after the proxy's first port, --connect that one or give "
        "--admin-socket PATH"
    )


def may_carry_secrets(args: argparse.Namespace) -> bool:
    """What `ask` sends stays on this machine, or is encrypted."""
    from opendmux.config import parse_address

    if args.tls or args.cacert is not None or getattr(args, "telnet", None) is not None:
        return True
    address = parse_address(args.connect, what="--connect")
    return _is_here(address.host) or _socket_of(args, address) is not None


def _socket_of(args: argparse.Namespace, address: Address) -> Path | None:
    """The admin socket to go by; None: the port. Who names a key or asks for TLS means the port."""
    given = args.admin_socket
    if given is None and (args.key_file is not None or args.tls or args.cacert is not None):
        return None
    given = given or os.environ.get(SOCKET_VARIABLE, "")
    if given:
        return None if given == OFF else Path(given)
    return find_socket(address.port) if _is_here(address.host) else None


def _judged(address: str, status: int, body: bytes, rights: str) -> Any:
    try:
        answer = json.loads(body)
    except ValueError:
        raise CommandError(f"{address} is not an opendmux, or not one that this version knows") from None
    if status == 200:
        return answer
    error = answer.get("error") if isinstance(answer, dict) else None
    text = clean(str(error.get("text"))) if isinstance(error, dict) else ""
    if not text:
        raise CommandError(f"{address} is not an opendmux, or not one that this version knows")
    if status in (401, 403) and rights:
        text += f"; {rights}"
    said = "refuses" if status in (401, 403) else "says"
    raise CommandError(f"the proxy on {address} {said}: {text}")


def _key(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get(KEY_VARIABLE, "").strip() or None
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--key-file {path}: {getattr(error, 'strerror', None) or 'it is not text'}") from error
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"--key-file {path}: one key, alone in the file, is wanted")
    return key


def _is_here(host: str) -> bool:
    from opendmux.config.reach import is_loopback

    if host == "localhost":
        return True
    try:
        return is_loopback(str(ipaddress.ip_address(host)))
    except ValueError:  # a name, and be it 127.example
        return False


def _connection(args: argparse.Namespace, address: Address, timeout_s: float) -> http.client.HTTPConnection:
    import http.client
    import ssl

    if not args.tls and args.cacert is None:
        return http.client.HTTPConnection(address.host, address.port, timeout=timeout_s)
    try:
        trust = ssl.create_default_context(cafile=args.cacert)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"--cacert {args.cacert}: {error.strerror or 'no certificates in it'}") from error
    return http.client.HTTPSConnection(address.host, address.port, timeout=timeout_s, context=trust)


def status(args: argparse.Namespace) -> dict[str, Any]:
    """The snapshot; see `core.snapshot`. Raises as `ask`."""
    answer = ask(args, "GET", "/v1/status")
    if not isinstance(answer, dict) or not {"opendmux", "opends", "clients", "subscriptions"} <= answer.keys():
        raise CommandError(f"{args.connect} is not an opendmux, or not one that this version knows")
    return answer


# -- showing


def clean(text: str) -> str:
    """The text without what moves a cursor or turns a line around."""
    return "".join(character if character.isprintable() else "?" for character in text)


def print_json(value: object) -> None:
    """For a terminal with every letter as it is; what would move its cursor is escaped, for JSON lets some of that
    pass."""
    if not sys.stdout.isatty():
        print(json.dumps(value, indent=2))
        return
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print("".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text))


def age(seconds: float) -> str:
    """``3 min 5 s``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def draw(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, empty: str = "") -> None:
    """A table: drawn on a terminal, plain columns for everything else. ``empty``: what a person is told in place of a
    table without rows."""
    cells = [[clean(str(cell)) for cell in row] for row in rows]
    if sys.stdout.isatty():
        if empty and not cells:
            print(empty)
        else:
            _draw_rich(columns, cells)
        return
    lines = [[column.title.upper() for column in columns], *cells]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        parts = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        print("  ".join(parts).rstrip())


def _draw_rich(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    shown = [place for place, column in enumerate(columns) if not column.wide or console.width >= WIDE]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in (columns[place] for place in shown):
        table.add_column(Text(column.title), justify="right" if column.right else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(row[place]) for place in shown))
    console.print(table)
