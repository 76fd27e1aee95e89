"""``opendmux status``: how a running opendmux is."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from opendmux.wording import version_text

from ._control import Column, add_options, age, clean, draw, print_json
from ._control import status as ask_status
from ._snapshot_words import quota_when, refusal

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "run"]

EPILOG = """\
Exit codes: 0 everything is ready; 1 something is not, or nobody answers; 2 wrong usage.
"""
REQUESTS_SHOWN = 10
REJECTS_SHOWN = 5
GROUPED = " or "
"""Stands between the addresses of a group."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    from argparse import RawDescriptionHelpFormatter

    parser = subparsers.add_parser(
        "status",
        description="Ask a running opendmux how it is.",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask and show; 0 when it is ready, else 1."""
    found = ask_status(args)
    if args.json:
        print_json(found)
    else:
        _show(args.connect, found)
    return 0 if found["ready"] else 1


def _show(where: str, found: dict[str, Any]) -> None:
    word = "ready" if found["ready"] else "NOT READY"
    pid = f", pid {found['pid']}" if "pid" in found else ""  # an older proxy does not tell
    print(f"opendmux {clean(found['opendmux'])} on {where}: {word}, up {age(found['up_s'])}{pid}")
    if found["simulated"]:
        print("SIMULATED: the built-in simulator answers; no real market, no real money")
    for reason in found["reasons"]:
        print(f"not ready: {clean(reason)}")
    for freeze in found.get("freezes", ()):
        print(f"FROZEN: {clean(freeze['text'])}")
    now = _moment(found["time"])
    for condition in found.get("conditions", ()):  # an older proxy has none
        _show_condition(condition, now)
    for one in found["opends"]:
        _show_opend(one, now, several=len(found["opends"]) > 1)
    requests = [(one, protocol) for one in found["opends"] for protocol in one["protocols"]]
    if requests:
        print()
        draw(
            [Column("request"), *(Column(title, right=True) for title in ("last min", "p50 ms", "p99 ms", "total"))],
            [
                (
                    f"{protocol['proto_id']} {protocol['name']}",
                    protocol["lately"],
                    _ms(protocol["p50_ms"]),
                    _ms(protocol["p99_ms"]),
                    protocol["answered"],
                )
                for _one, protocol in requests[:REQUESTS_SHOWN]
            ],
        )
    if found["limits"]:
        print()
        draw(
            [Column("key"), Column("limit"), Column("left", right=True)],
            [(limit["key_id"], limit["limit"], f"{limit['left']:g}") for limit in found["limits"]],
        )
    if found["rejects"]:
        print("\nturned away lately:")
        for reject in found["rejects"][:REJECTS_SHOWN]:
            who = " ".join(clean(part) for part in (reject["key_id"], reject["client_id"], reject["peer"]) if part)
            ago = age((now - _moment(reject["time"])).total_seconds())
            print(f"  {ago} ago, {reject['count']} x, {who}: {clean(refusal(reject))}")


def _show_condition(one: dict[str, Any], now: dt.datetime) -> None:
    ago = age((now - _moment(one["since"])).total_seconds())
    when = f"for {ago}" if one["active"] else f"{ago} ago" + (f", {one['times']} times" if one["times"] > 1 else "")
    figures = f" {clean(one['figures'])}" if one["figures"] else ""
    print(f"\n{one['kind']}, {when}: {clean(one['conclusion'])}{figures}")
    print(f"  {clean(one['next_step'])}")


def _show_opend(one: dict[str, Any], now: dt.datetime, *, several: bool) -> None:
    pause = one.get("paused")
    state, since = ("paused", pause["since"]) if pause else (one["state"], one["since"])
    said = [f"{state} for {age((now - _moment(since)).total_seconds())}"]
    if one["version"] is not None:
        said.append(f"version {version_text(one['version'])}")
    if one.get("program") not in (None, "ready"):
        said.append(clean(one["program"]))
    said += [f"{area} login {_known(one[f'{area}_login'])}" for area in ("quote", "trade")]
    if one["reconnects"]:
        said.append("reconnected once" if one["reconnects"] == 1 else f"reconnected {one['reconnects']} times")
    quota = "" if one["quota_used"] is None else f" ({_quota(one, now)})"
    lanes = [lane["name"] + ("" if lane["state"] == "ready" else " (down)") for lane in one["lanes"]]
    print()
    number = f"OpenD {one['number']}, " if several else ""  # `--opend` of other commands wants it
    print(f"{number}{clean(one['name'])}: {', '.join(said)}")
    if GROUPED in one["name"]:
        print("  group          only who is in use is looked at; `opendmux doctor` looks at all of it")
    print(f"  clients        {one['clients']}")
    old = one.get("stale")
    # While OpenD is away it holds none, and the prices of all that clients hold grow old.
    stale = "" if not old else f", {old} of them stale" if old <= one["subscriptions"] else f"; of clients, {old} stale"
    print(f"  subscriptions  {one['subscriptions']}{stale}{quota}")
    print(f"  requests       {one['requests_per_s']:g}/s, {one['pending']} wait for OpenD")
    print(f"  pushes         {one['pushes_in_per_s']:g}/s in, {one['pushes_out_per_s']:g}/s out")
    print(f"  outboxes       {one['outbox_bytes']} bytes, {one['conflated']} pushes conflated so far")
    if len(lanes) > 1:
        print(f"  lanes          {', '.join(lanes)}")


def _quota(one: dict[str, Any], now: dt.datetime) -> str:
    figures = f"{one['quota_used']} used, {one['quota_left']} left"
    return f"OpenD's quota, as it said {quota_when(one, now.isoformat())}: {figures}"


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _known(yes: bool | None) -> str:
    return "not known" if yes is None else "yes" if yes else "no"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
