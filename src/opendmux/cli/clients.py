"""``opendmux clients``: who is connected to a running opendmux, and the way to end one of them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from urllib.parse import quote

from ._control import Column, CommandError, add_options, age, ask, draw, print_json, status

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "kill", "show"]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("clients", description="The clients of a running opendmux.")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list them", description="List the clients of a running opendmux.")
    add_options(listing)
    listing.set_defaults(run=show)
    ending = actions.add_parser(
        "kill",
        help="end one",
        description="End the sessions of clients: what waits to be sent to them is dropped, what only they had "
        "subscribed is given up. Nothing keeps them from connecting again.",
    )
    ending.add_argument("ids", nargs="+", metavar="ID", help="as `opendmux clients list` shows it")
    add_options(ending)
    ending.set_defaults(run=kill)


def show(args: argparse.Namespace) -> int:
    """List them."""
    found = status(args)
    if args.json:
        print_json(found["clients"])
        return 0
    now = dt.datetime.fromisoformat(found["time"])
    names = {one["number"]: one["name"] for one in found["opends"]}
    several = len(names) > 1
    draw(
        [
            *(Column(title) for title in ("id", "name", "transport", "peer", "key")),
            *(Column(title, wide=True) for title in ("state", "connected")),
            *([Column("OpenD", wide=True)] if several else []),
            *(Column(title, right=True) for title in ("req/s", "push/s")),
            *(Column(title, right=True, wide=True) for title in ("requests", "pushes")),
            *(Column(title, right=True) for title in ("outbox", "subs")),
        ],
        [
            (
                client["id"],
                client["client_id"],
                client["transport"],
                client["peer"],
                client["key_id"] or "-",
                client["state"],
                age((now - dt.datetime.fromisoformat(client["since"])).total_seconds()),
                *([names.get(client["opend"], "")] if several else []),
                f"{client['requests_per_s']:g}",
                f"{client['pushes_per_s']:g}",
                client["requests"],
                client["pushes"],
                client["outbox_bytes"],
                client["subscriptions"],
            )
            for client in found["clients"]
        ],
        empty="nobody is connected",
    )
    if found["clients_left_out"]:
        print(f"and {found['clients_left_out']} more")
    return 0


def kill(args: argparse.Namespace) -> int:
    """End them; 1 when one of them is not there."""
    closed, failed = [], []
    for ident in args.ids:
        try:
            ask(args, "POST", f"/v1/clients/{quote(ident, safe='')}/close")
        except CommandError as error:
            if len(args.ids) == 1:
                raise
            failed.append(f"{ident}: {error}")
        else:
            closed.append(ident)
    if args.json:
        print_json({"closed": closed, "failed": failed})
    else:
        for ident in closed:
            print(f"closed {ident}")
    if failed:
        raise CommandError("; ".join(failed))
    return 0
