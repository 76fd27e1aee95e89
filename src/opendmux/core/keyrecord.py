"""One key as it stands in the file: a record, checked field by field, and the Key that it means.

A record is kept as it was written (times as text or number, hashes in either spelling), so that a file that is changed
by one command keeps the words of its owner elsewhere. Only the place of the limits is made uniform: nested.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from opendmux.errors import ConfigError
from opendmux.wording import nearest, shown_value

from .keys import Key, KeyLimits
from .keyvalues import FIELDS, BadValueError, Time, hours_window_of, seconds_of
from .markets import covered_markets

__all__ = ["LimitsRecord", "Record", "digest_in", "key_of", "record_of"]


class LimitsRecord(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """``limits`` of a key."""

    allowed_markets: list[str] | None = None
    allowed_symbols: list[str] | None = None
    allowed_trd_sides: list[str] | None = None
    max_order_value: float | None = None
    max_daily_value: float | None = None
    max_orders_per_minute: int | None = None
    hours_window: str | None = None


class Record(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A key of the file. The fields' meaning is in ``keys.Key``; what is only here is said here."""

    id: str
    hash: str
    """SHA-256 of the plaintext: 64 hex digits, with ``sha256:`` before them or not."""
    scopes: list[str]
    limits: LimitsRecord | None = None
    allowed_machines: list[str] | None = None
    allowed_acc_ids: list[int | str] | None = None
    """Numbers, or text for files that went through programs that round large numbers."""
    allowed_card_nums: list[str] | None = None
    created_at: Time | None = None
    """ISO 8601, without an offset UTC; or Unix seconds. So are all times."""
    expires_at: Time | None = None
    note: str | None = None
    tz: str | None = None
    allow_unknown: bool | None = None
    strict_unlock: bool | None = None
    cancel_on_disconnect: float | None = None
    dead_man_s: float | None = None
    previous_hash: str | None = None
    """Of the plaintext before the last rotation, which works until ``previous_until``."""
    previous_until: Time | None = None
    md5: str | None = None
    """MD5 of the plaintext, for WebSocket programs: their SDK sends nothing else."""
    previous_md5: str | None = None


_SECRET: Final = frozenset({"hash", "previous_hash", "md5", "previous_md5"})
_HINTS: Final[Mapping[type, Mapping[str, object]]] = {
    struct: typing.get_type_hints(struct) for struct in (Record, LimitsRecord)
}


def _check_fields(raw: Mapping[str, object], struct: type[msgspec.Struct], where: str, known: Iterable[str]) -> None:
    """Raise ConfigError for the first field that is unknown or does not hold what it should."""
    for name, value in raw.items():
        types = _HINTS[struct] if name in _HINTS[struct] else _HINTS[LimitsRecord]
        if name not in types or name not in known:
            raise ConfigError(f"{where} has an unknown field {shown_value(name)}{nearest(name, known)}")
        expected, check = FIELDS[name]
        try:
            msgspec.convert(value, types[name] if name != "limits" else dict[str, object] | None)
            if check is not None and value is not None:
                check(value)
        except msgspec.ValidationError:
            shown = "" if name in _SECRET else f", not {shown_value(value)}"
            raise ConfigError(f"{where}: {name} {expected}{shown}") from None
        except BadValueError as bad:
            raise ConfigError(f"{where}: {name} {bad}") from None


def record_of(raw: object, where: str) -> Record:
    """A key of the file, as JSON gave it. ``where`` begins every sentence, such as ``keys.json: key 'bot'``.

    Raises ConfigError.
    """
    if not isinstance(raw, dict):
        raise ConfigError(f"{where} must be an object, not {shown_value(raw)}")
    fields, limit_fields = Record.__struct_fields__, LimitsRecord.__struct_fields__
    for name in ("id", "hash", "scopes"):
        if name not in raw:
            unknown = [field for field in raw if field not in fields and nearest(str(field), (name,))]
            hint = f"; it has an unknown field {shown_value(unknown[0])}" if unknown else ""
            raise ConfigError(f"{where} has no {name}{hint}")
    _check_fields(raw, Record, where, (*fields, *limit_fields))
    nested = raw.get("limits") or {}
    _check_fields(nested, LimitsRecord, f"{where}: limits", limit_fields)
    flat = {name: value for name, value in raw.items() if name in limit_fields}
    for name in flat:
        if name in nested:
            raise ConfigError(f"{where}: {name} stands both in limits and beside it; keep one")
    for name, needed in (
        ("previous_hash", "previous_until"),
        ("previous_until", "previous_hash"),
        ("previous_md5", "previous_hash"),
    ):
        if raw.get(name) is not None and raw.get(needed) is None:
            raise ConfigError(f"{where}: {name} needs {needed} beside it")
    return msgspec.convert(
        {**{name: value for name, value in raw.items() if name not in flat}, "limits": {**nested, **flat} or None},
        Record,
    )


def _set(values: list[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)


def key_of(record: Record) -> Key:
    """What the record means. The record has been checked."""
    limits = record.limits or LimitsRecord()
    markets, acc_ids = limits.allowed_markets, record.allowed_acc_ids
    return Key(
        id=record.id,
        scopes=frozenset(record.scopes),
        limits=KeyLimits(
            allowed_markets=None if markets is None else covered_markets(markets),
            allowed_symbols=_set(limits.allowed_symbols),
            allowed_trd_sides=_set(limits.allowed_trd_sides),
            max_order_value=limits.max_order_value,
            max_daily_value=limits.max_daily_value,
            max_orders_per_minute=limits.max_orders_per_minute,
            hours_window=None if limits.hours_window is None else hours_window_of(limits.hours_window),
        ),
        allowed_machines=_set(record.allowed_machines),
        allowed_acc_ids=None if acc_ids is None else frozenset(map(int, acc_ids)),
        allowed_card_nums=_set(record.allowed_card_nums),
        created_at=None if record.created_at is None else seconds_of(record.created_at),
        expires_at=None if record.expires_at is None else seconds_of(record.expires_at),
        note=record.note or "",
        tz=record.tz,
        allow_unknown=bool(record.allow_unknown),
        strict_unlock=bool(record.strict_unlock),
        cancel_on_disconnect=record.cancel_on_disconnect,
        dead_man_s=record.dead_man_s,
    )


def digest_in(text: str) -> bytes:
    """The 32 bytes of a hash that has been checked."""
    return bytes.fromhex(text[-64:])
