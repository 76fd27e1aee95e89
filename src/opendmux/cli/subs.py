"""``opendmux subs``: what a running opendmux has subscribed, and for how many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._control import Column, add_options, age, draw, print_json, status
from ._snapshot_words import quota_when

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "run"]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "subs",
        description="What a running opendmux has subscribed at OpenD: each counts once there, however many hold it.",
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List them."""
    found = status(args)
    if args.json:
        print_json(found["subscriptions"])
        return 0
    names = {one["number"]: one["name"] for one in found["opends"]}
    several = len(names) > 1
    draw(
        [
            Column("security"),
            Column("type"),
            Column("holders", right=True),
            Column("pushed to", right=True),
            Column("age", right=True),
            Column("lane"),
            *([Column("OpenD")] if several else []),
            Column("state"),
        ],
        [
            (
                one["security"],
                one["name"],
                one["holders"],
                one["registered"],
                "" if one["age_s"] is None else age(one["age_s"]),
                one["lane"],
                *([names.get(one["opend"], "")] if several else []),
                _state(one),
            )
            for one in found["subscriptions"]
        ],
        empty="nothing is subscribed",
    )
    if found["subscriptions_left_out"]:
        print(f"and {found['subscriptions_left_out']} more")
    for one in found["opends"]:
        if one["quota_used"] is not None:
            figures = f"{one['quota_used']} used, {one['quota_left']} left"
            print(f"quota of {one['name']}: {figures}, as OpenD said {quota_when(one, found['time'])}")
    return 0


def _state(one: dict[str, Any]) -> str:
    if one["state"] == "leaving":
        return f"leaves in {age(one['leaves_in_s'])}"
    if one["state"] == "refused":
        return f"refused: {one['refusal']}"
    return f"stale: {one['stale_reason']}" if one.get("stale") else str(one["state"])
