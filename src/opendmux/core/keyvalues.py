"""What each field of a key may hold, and how a value that is none is said to the user."""

from __future__ import annotations

import math
import re
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from opendmux.wording import nearest, shown_value

from .keys import ALL_SCOPES, KEY_PREFIX, HoursWindow
from .markets import ALL_MARKETS, NOT_LISTINGS, QOT_MARKETS, TRD_SIDES

__all__ = [
    "ANONYMOUS",
    "FIELDS",
    "BadValueError",
    "Time",
    "hours_window_of",
    "seconds_of",
    "utc_text",
]

ANONYMOUS: Final = "anonymous"
"""What metrics and audit call a caller without a key; no key may be called so."""
LATEST_S: Final = 100_000_000_000
"""Unix seconds from here on, the year 5138, are milliseconds that somebody mistook for seconds."""
U64: Final = 2**64
DAY_S: Final = 86_400.0
"""A longer wait for a program that is missing is none."""

_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_HASH: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)
_MD5: Final = re.compile(r"[0-9a-f]{32}", re.ASCII | re.IGNORECASE)
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_CODE: Final = re.compile(r"[!-+\--~]{1,64}", re.ASCII)
"""Printable ASCII but for the space and the comma."""

Time = int | float | str


class BadValueError(Exception):
    """What is wrong with one value; the place is put before it."""


def seconds_of(value: Time) -> float:
    """UTC seconds of a time of the file. Raises ValueError with what is wrong."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise ValueError(
                f"must be ISO 8601, like 2030-01-31T00:00:00Z, or Unix seconds, not {shown_value(value)}"
            ) from None
    if not 0 <= value < LATEST_S:
        hint = ", which looks like milliseconds" if value >= LATEST_S and math.isfinite(value) else ""
        raise ValueError(f"must be Unix seconds, from 0 to the year 5138, not {shown_value(value)}{hint}")
    return float(value)


def utc_text(wall: float) -> str:
    """A time as we write it: ISO 8601 in UTC, whole seconds."""
    return datetime.fromtimestamp(math.floor(wall), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def hours_window_of(text: str) -> HoursWindow:
    """``HH:MM-HH:MM``, over midnight where the end is before the start. Raises ValueError with what is wrong."""
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ValueError(f"must be HH:MM-HH:MM, like 09:30-16:00 or 22:00-04:00, not {shown_value(text)}")
    start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
    window = HoursWindow(start_hour * 60 + start_minute, end_hour * 60 + end_minute)
    if window.start == window.end:
        raise ValueError(f"{text} starts and ends at the same minute; leave the field out for the whole day")
    return window


# -- one check per field: the value has its JSON type already


def _id(value: str) -> None:
    if not _ID.fullmatch(value):
        raise BadValueError(f"must be 1 to 64 of the characters A-Z a-z 0-9 . _ -, not {shown_value(value)}")
    if value == ANONYMOUS:
        raise BadValueError(f"must not be {ANONYMOUS!r}: so callers without a key are called")


def _hash(value: str) -> None:
    if not _HASH.fullmatch(value):  # the value stays unsaid: it may be a key that was put here by mistake
        hint = "; this is the key itself" if value.startswith(KEY_PREFIX) else ""
        raise BadValueError(f"must be the SHA-256 of the key: 64 hex digits, or sha256: and 64 hex digits{hint}")


def _md5(value: str) -> None:
    if not _MD5.fullmatch(value):
        hint = "; this is the key itself" if value.startswith(KEY_PREFIX) else ""
        raise BadValueError(f"must be the MD5 of the key: 32 hex digits{hint}")


def _one_of(names: Iterable[str], what: str) -> Callable[[list[str]], None]:
    known = tuple(names)

    def check(value: list[str]) -> None:
        for name in value:
            if name not in known:
                hint = nearest(name, known) or f"; there are {', '.join(known)}"
                raise BadValueError(f"names {shown_value(name)}, which is not a {what}{hint}")

    return check


def _markets(value: list[str]) -> None:
    for name in value:
        if name in NOT_LISTINGS:
            raise BadValueError(
                f"names {name!r}, which does not say where a security is listed; name {NOT_LISTINGS[name]} instead"
            )
    _one_of(ALL_MARKETS, "market")(value)


def _symbols(value: list[str]) -> None:
    for symbol in value:
        market, dot, code = symbol.partition(".")
        if not dot or not _CODE.fullmatch(code):
            raise BadValueError(f"names {shown_value(symbol)}, which is not MARKET.CODE, like HK.00700 or US.AAPL")
        if market not in QOT_MARKETS.values():
            known = tuple(QOT_MARKETS.values())
            hint = nearest(market, known) or f"; there are {', '.join(known)}"
            raise BadValueError(
                f"names {shown_value(symbol)}, and {shown_value(market)} is not a market of securities{hint}"
            )


def _words(value: list[str]) -> None:
    for word in value:
        if not word.strip() or not word.isprintable() or len(word) > 128:
            raise BadValueError(
                f"must be a list of words of 1 to 128 printable characters; {shown_value(word)} is none"
            )


def _acc_ids(value: list[int | str]) -> None:
    for acc_id in value:
        text = str(acc_id)
        if not (text.isascii() and text.isdigit() and len(text) <= 20 and 0 < int(text) < U64):
            raise BadValueError(f"must be a list of account numbers; {shown_value(acc_id)} is none")


def _amount(value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise BadValueError(f"must be a number of 0 or more, not {shown_value(value)}")


def _grace(value: float) -> None:
    if not 0 <= value <= DAY_S:
        raise BadValueError(f"must be from 0 to {DAY_S:g} seconds, not {shown_value(value)}")


def _dead_man(value: float) -> None:
    if not 1 <= value <= DAY_S:
        raise BadValueError(f"must be from 1 to {DAY_S:g} seconds, not {shown_value(value)}")


def _note(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair: it could be read, but never be written again
        raise BadValueError("holds a character that is none") from None


def _tz(value: str) -> None:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        hint = nearest(value, zoneinfo.available_timezones())
        raise BadValueError(f"must be a time zone like Asia/Hong_Kong, not {shown_value(value)}{hint}") from None


def _said_by(reader: Callable[..., object]) -> Callable[..., None]:
    def check(value: object) -> None:
        try:
            reader(value)
        except ValueError as error:
            raise BadValueError(str(error)) from None

    return check


_LIST: Final = "must be a list of texts, or null for no limit"
_TIME: Final = "must be ISO 8601 text, or Unix seconds"
_YES_NO: Final = "must be true or false"

FIELDS: Final[Mapping[str, tuple[str, Callable[..., None] | None]]] = {
    "id": ("must be text", _id),
    "hash": ("must be text", _hash),
    "scopes": ("must be a list of scope names", _one_of(ALL_SCOPES, "scope")),
    "limits": ("must be an object", None),
    "allowed_markets": (_LIST, _markets),
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
    "cancel_on_disconnect": ("must be a number of seconds", _grace),
    "dead_man_s": ("must be a number of seconds", _dead_man),
    "previous_hash": ("must be text", _hash),
    "previous_until": (_TIME, _said_by(seconds_of)),
    "md5": ("must be text", _md5),
    "previous_md5": ("must be text", _md5),
}
"""Field -> (what is said to a value of the wrong type, the check of a value of the right one)."""
