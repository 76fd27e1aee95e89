"""One key as it stands in the file: its fields, what each may hold, and how a bad one is named to the user.

A record is kept as it was written (times as text or number, hashes in either spelling), so that a file that is changed
by one command keeps the words of its owner elsewhere. Only the place of the limits is made uniform: nested.
"""

from __future__ import annotations

import difflib
import math
import re
import typing
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from opendmux.errors import ConfigError

from .keys import ALL_SCOPES, KEY_PREFIX, HoursWindow, Key, KeyLimits
from .markets import ALL_MARKETS, QOT_MARKETS, TRD_SIDES, covered_markets

__all__ = [
    "ANONYMOUS",
    "LimitsRecord",
    "Record",
    "digest_in",
    "hours_window_of",
    "key_of",
    "nearest",
    "record_of",
    "seconds_of",
    "utc_text",
]

ANONYMOUS: Final = "anonymous"
"""What metrics and audit call a caller without a key; no key may be called so."""
LATEST_S: Final = 100_000_000_000
"""Unix seconds from here on, the year 5138, are milliseconds that somebody mistook for seconds."""
U64: Final = 2**64

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_HASH: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)
_MD5: Final = re.compile(r"[0-9a-f]{32}", re.ASCII | re.IGNORECASE)
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_CODE: Final = re.compile(r"[!-+\--~]{1,64}", re.ASCII)
"""Printable ASCII but for the space and the comma."""

Time = int | float | str


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
    previous_hash: str | None = None
    """Of the plaintext before the last rotation, which works until ``previous_until``."""
    previous_until: Time | None = None
    md5: str | None = None
    """MD5 of the plaintext, for WebSocket programs: their SDK sends nothing else."""
    previous_md5: str | None = None


class _BadValueError(Exception):
    """What is wrong with one value; the place is put before it."""


def nearest(word: str, names: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or nothing when no name is near."""
    folded = {name.casefold(): name for name in names}
    found = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f"; did you mean {folded[found[0]]!r}?" if found else ""


def _shown(value: object) -> str:
    text = ascii(value) if isinstance(value, str) else str(value)
    text = {"True": "true", "False": "false", "None": "null"}.get(text, text)
    if isinstance(value, list | dict):
        text = "a list" if isinstance(value, list) else "an object"
    return text if len(text) <= 60 else f"{text[:57]}..."


def seconds_of(value: Time) -> float:
    """UTC seconds of a time of the file. Raises ValueError with what is wrong."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise ValueError(
                f"must be ISO 8601, like 2030-01-31T00:00:00Z, or Unix seconds, not {_shown(value)}"
            ) from None
    if not 0 <= value < LATEST_S:
        hint = ", which looks like milliseconds" if value >= LATEST_S and math.isfinite(value) else ""
        raise ValueError(f"must be Unix seconds, from 0 to the year 5138, not {_shown(value)}{hint}")
    return float(value)


def utc_text(wall: float) -> str:
    """A time as we write it: ISO 8601 in UTC, whole seconds."""
    return datetime.fromtimestamp(math.floor(wall), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def hours_window_of(text: str) -> HoursWindow:
    """``HH:MM-HH:MM``, over midnight where the end is before the start. Raises ValueError with what is wrong."""
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ValueError(f"must be HH:MM-HH:MM, like 09:30-16:00 or 22:00-04:00, not {_shown(text)}")
    start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
    window = HoursWindow(start_hour * 60 + start_minute, end_hour * 60 + end_minute)
    if window.start == window.end:
        raise ValueError(f"{text} starts and ends at the same minute; leave the field out for the whole day")
    return window


def digest_in(text: str) -> bytes:
    """The 32 bytes of a hash that has been checked."""
    return bytes.fromhex(text[-64:])


# -- one check per field: the value has its JSON type already


def _id(value: str) -> None:
    if not _ID.fullmatch(value):
        raise _BadValueError(f"must be 1 to 64 of the characters A-Z a-z 0-9 . _ -, not {_shown(value)}")
    if value == ANONYMOUS:
        raise _BadValueError(f"must not be {ANONYMOUS!r}: so callers without a key are called")


def _hash(value: str) -> None:
    if not _HASH.fullmatch(value):  # the value stays unsaid: it may be a key that was put here by mistake
        hint = "; this is the key itself" if value.startswith(KEY_PREFIX) else ""
        raise _BadValueError(f"must be the SHA-256 of the key: 64 hex digits, or sha256: and 64 hex digits{hint}")


def _md5(value: str) -> None:
    if not _MD5.fullmatch(value):
        hint = "; this is the key itself" if value.startswith(KEY_PREFIX) else ""
        raise _BadValueError(f"must be the MD5 of the key: 32 hex digits{hint}")


def _one_of(names: Iterable[str], what: str) -> Callable[[list[str]], None]:
    known = tuple(names)

    def check(value: list[str]) -> None:
        for name in value:
            if name not in known:
                hint = nearest(name, known) or f"; there are {', '.join(known)}"
                raise _BadValueError(f"names {_shown(name)}, which is not a {what}{hint}")

    return check


def _symbols(value: list[str]) -> None:
    for symbol in value:
        market, dot, code = symbol.partition(".")
        if not dot or not _CODE.fullmatch(code):
            raise _BadValueError(f"names {_shown(symbol)}, which is not MARKET.CODE, like HK.00700 or US.AAPL")
        if market not in QOT_MARKETS.values():
            known = tuple(QOT_MARKETS.values())
            hint = nearest(market, known) or f"; there are {', '.join(known)}"
            raise _BadValueError(f"names {_shown(symbol)}, and {_shown(market)} is not a market of securities{hint}")


def _words(value: list[str]) -> None:
    for word in value:
        if not word.strip() or not word.isprintable() or len(word) > 128:
            raise _BadValueError(f"must be a list of words of 1 to 128 printable characters; {_shown(word)} is none")


def _acc_ids(value: list[int | str]) -> None:
    for acc_id in value:
        text = str(acc_id)
        if not (text.isascii() and text.isdigit() and len(text) <= 20 and 0 < int(text) < U64):
            raise _BadValueError(f"must be a list of account numbers; {_shown(acc_id)} is none")


def _amount(value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise _BadValueError(f"must be a number of 0 or more, not {_shown(value)}")


def _note(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair: it could be read, but never be written again
        raise _BadValueError("holds a character that is none") from None


def _tz(value: str) -> None:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        hint = nearest(value, zoneinfo.available_timezones())
        raise _BadValueError(f"must be a time zone like Asia/Hong_Kong, not {_shown(value)}{hint}") from None


def _said_by(reader: Callable[..., object]) -> Callable[..., None]:
    def check(value: object) -> None:
        try:
            reader(value)
        except ValueError as error:
            raise _BadValueError(str(error)) from None

    return check


_LIST: Final = "must be a list of texts, or null for no limit"
_TIME: Final = "must be ISO 8601 text, or Unix seconds"
_YES_NO: Final = "must be true or false"

_FIELDS: Final[Mapping[str, tuple[str, Callable[..., None] | None]]] = {
    "id": ("must be text", _id),
    "hash": ("must be text", _hash),
    "scopes": ("must be a list of scope names", _one_of(ALL_SCOPES, "scope")),
    "limits": ("must be an object", None),
    "allowed_markets": (_LIST, _one_of(ALL_MARKETS, "market")),
    "allowed_symbols": (_LIST, _symbols),
    "allowed_trd_sides": (_LIST, _one_of(TRD_SIDES.values(), "side of an order")),
    "max_order_value": ("must be a number of 0 or more", _amount),
    "max_daily_value": ("must be a number of 0 or more", _amount),
    "max_orders_per_minute": ("must be a whole number of 0 or more", _amount),
    "hours_window": ("must be text like 09:30-16:00", _said_by(hours_window_of)),
    "allowed_machines": (_LIST, _words),
    "allowed_acc_ids": ("must be a list of account numbers, or null for no limit", _acc_ids),
    "allowed_card_nums": (_LIST, _words),
    "created_at": (_TIME, _said_by(seconds_of)),
    "expires_at": (_TIME, _said_by(seconds_of)),
    "note": ("must be text", _note),
    "tz": ("must be text like Asia/Hong_Kong", _tz),
    "allow_unknown": (_YES_NO, None),
    "strict_unlock": (_YES_NO, None),
    "previous_hash": ("must be text", _hash),
    "previous_until": (_TIME, _said_by(seconds_of)),
    "md5": ("must be text", _md5),
    "previous_md5": ("must be text", _md5),
}
"""Field -> (what is said to a value of the wrong type, the check of a value of the right one)."""

_SECRET: Final = frozenset({"hash", "previous_hash", "md5", "previous_md5"})
_HINTS: Final[Mapping[type, Mapping[str, object]]] = {
    struct: typing.get_type_hints(struct) for struct in (Record, LimitsRecord)
}


def _check_fields(raw: Mapping[str, object], struct: type[msgspec.Struct], where: str, known: Iterable[str]) -> None:
    """Raise ConfigError for the first field that is unknown or does not hold what it should."""
    for name, value in raw.items():
        types = _HINTS[struct] if name in _HINTS[struct] else _HINTS[LimitsRecord]
        if name not in types or name not in known:
            raise ConfigError(f"{where} has an unknown field {_shown(name)}{nearest(name, known)}")
        expected, check = _FIELDS[name]
        try:
            msgspec.convert(value, types[name] if name != "limits" else dict[str, object] | None)
            if check is not None and value is not None:
                check(value)
        except msgspec.ValidationError:
            shown = "" if name in _SECRET else f", not {_shown(value)}"
            raise ConfigError(f"{where}: {name} {expected}{shown}") from None
        except _BadValueError as bad:
            raise ConfigError(f"{where}: {name} {bad}") from None


def record_of(raw: object, where: str) -> Record:
    """A key of the file, as JSON gave it. ``where`` begins every sentence, such as ``keys.json: key 'bot'``.

    Raises ConfigError.
    """
    if not isinstance(raw, dict):
        raise ConfigError(f"{where} must be an object, not {_shown(raw)}")
    fields, limit_fields = Record.__struct_fields__, LimitsRecord.__struct_fields__
    for name in ("id", "hash", "scopes"):
        if name not in raw:
            unknown = [field for field in raw if field not in fields and nearest(str(field), (name,))]
            hint = f"; it has an unknown field {_shown(unknown[0])}" if unknown else ""
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
    )
