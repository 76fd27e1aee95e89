"""Where a file of keys means something else here than at the gateway in Rust, whose format it is.

The comparison is with what that gateway's documents and change log say up to its release 1.4.114.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from .keyrecord import LimitsRecord, Record
from .keys import Scopes

__all__ = ["Difference", "differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one key that is read in two ways."""

    key_id: str
    field: str
    here: str
    there: str
    looser: bool
    """opendmux allows more than that gateway: worth a look before the file is used."""


_EMPTY: Final = (
    ("allowed_markets", "no market is allowed"),
    ("allowed_symbols", "no symbol is allowed"),
    ("allowed_trd_sides", "no order is allowed"),
)
_OURS: Final = (
    "tz",
    "allow_unknown",
    "strict_unlock",
    "cancel_on_disconnect",
    "dead_man_s",
    "previous_hash",
    "previous_until",
    "md5",
    "previous_md5",
)


def differences(records: Iterable[Record]) -> list[Difference]:
    """All of them, key by key in the order of the file."""
    return [difference for record in records for difference in _of(record)]


def _of(record: Record) -> Iterator[Difference]:
    def found(field: str, here: str, there: str, *, looser: bool = False) -> Difference:
        return Difference(record.id, field, here, there, looser)

    limits = record.limits or LimitsRecord()
    for field, here in _EMPTY:
        if getattr(limits, field) == []:
            yield found(field, f"[]: {here}", "[]: no limit")
    if record.allowed_acc_ids == []:
        yield found("allowed_acc_ids", "[]: no account is allowed", "[]: no limit")
    if record.allowed_card_nums == []:
        yield found(
            "allowed_card_nums", "[]: no account is allowed", "[]: no limit in some releases, none allowed later"
        )
    if record.allowed_machines:
        yield found(
            "allowed_machines",
            "ids of opendmux, checked for programs on this machine, all others are refused",
            "ids that it computes in another way; replace them with `--allowed-machines this`",
        )
    if limits.hours_window is not None and record.tz is None:
        yield found("hours_window", "the time of the machine that opendmux runs on", "the time of its machine, or --tz")
    yield from _of_limits(record, limits)
    yield from _of_scopes(record)
    for field in _OURS:
        if getattr(record, field) not in (None, False):
            yield found(field, "in force", "unknown to it")


def _of_limits(record: Record, limits: LimitsRecord) -> Iterator[Difference]:
    if limits.max_daily_value is not None:
        yield Difference(
            record.id,
            "max_daily_value",
            "counted over restarts; a refused order gives its value back",
            "starts at zero with every start",
            looser=False,
        )
    named = [
        field
        for field in ("allowed_symbols", "allowed_trd_sides", "max_order_value", "max_daily_value")
        if getattr(limits, field) is not None
    ]
    if named:
        yield Difference(
            record.id,
            ", ".join(named),
            "checked when an order is changed as well; cancelling is never limited",
            "not checked when an order is changed",
            looser=False,
        )
    if limits.max_order_value is not None or limits.max_daily_value is not None:
        yield Difference(
            record.id,
            "max_order_value" if limits.max_order_value is not None else "max_daily_value",
            "a market order counts at the last known price, and is refused without one",
            "quantity times the price in the request",
            looser=False,
        )


def _of_scopes(record: Record) -> Iterator[Difference]:
    scopes = set(record.scopes)
    if Scopes.TRADE_REAL in scopes:
        if Scopes.TRADE_UNLOCK not in scopes and not record.strict_unlock:
            yield Difference(
                record.id,
                "scopes",
                "trade:real may unlock trading (2005); `strict_unlock: true` ends that",
                "trade:unlock is needed for it since 1.4.104",
                looser=True,
            )
        if not record.allow_unknown:
            yield Difference(
                record.id,
                "scopes",
                "proto_ids that opendmux does not know are refused; `allow_unknown: true` lets them pass",
                "trade:real may send any proto_id",
                looser=False,
            )
    if Scopes.QOT_READ in scopes and Scopes.QOT_WRITE not in scopes:
        yield Difference(
            record.id,
            "scopes",
            "changing watch lists, price reminders and option alerts (3214, 3220, 3309) needs qot:write",
            "qot:read is enough for it",
            looser=False,
        )
    if Scopes.ADMIN not in scopes:
        yield Difference(record.id, "scopes", "1006, 1008 and 1009 need admin", "they need no scope", looser=False)
