"""What ``opendmux keys ...`` does. What is needed is imported when it runs, so that ``--help`` is quick.

stdout holds what was asked for; remarks go to stderr.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import re
import secrets
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from opendmux.errors import ConfigError
from opendmux.wording import printable

from ._control import print_json

if TYPE_CHECKING:
    from pathlib import Path

    from opendmux.core.keyrecord import Record
    from opendmux.runtime.keystore import Loaded

__all__ = ["add", "check", "revoke", "rotate", "show", "show_all"]

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
LISTS: Final = ("allowed_markets", "allowed_symbols", "allowed_trd_sides")
NUMBERS_AND_HOURS: Final = ("max_order_value", "max_daily_value", "max_orders_per_minute", "hours_window")
HIDDEN: Final = ("hash", "previous_hash", "md5", "previous_md5")
THIS: Final = "this"


RELOAD = "a running opendmux goes by it after SIGHUP: kill -HUP with the pid that `opendmux status` shows"
"""What every change of the file needs to come true."""


def add(args: argparse.Namespace) -> int:
    """Make a key."""
    from opendmux.core.keyrecord import record_of
    from opendmux.core.keyvalues import utc_text
    from opendmux.runtime.keystore import update

    now = time.time()
    plaintext = _new_plaintext()
    raw: dict[str, object] = {
        "id": args.id,
        "hash": _sha256(plaintext),
        "scopes": _words(args.scopes),
        "limits": {
            **{name: _words(value) for name in LISTS if (value := getattr(args, name)) is not None},
            **{name: value for name in NUMBERS_AND_HOURS if (value := getattr(args, name)) is not None},
        },
        "created_at": utc_text(now),
    }
    if not raw["scopes"]:
        raise ConfigError("--scopes names no scope")
    if args.allowed_card_nums is not None:
        raw["allowed_card_nums"] = _words(args.allowed_card_nums)
    if args.allowed_acc_ids is not None:
        raw["allowed_acc_ids"] = [int(word) if word.isdecimal() else word for word in _words(args.allowed_acc_ids)]
    if args.allowed_machines is not None:
        raw["allowed_machines"] = _machines(args.allowed_machines)
    if args.expires is not None:
        raw["expires_at"] = utc_text(_moment(args.expires, now, "--expires"))
    further = ("note", "tz", "cancel_on_disconnect", "dead_man_s")
    raw |= {name: value for name in further if (value := getattr(args, name)) is not None}
    raw |= {name: True for name in ("allow_unknown", "strict_unlock") if getattr(args, name)}
    if args.websocket:
        raw["md5"] = _md5(plaintext)
    record = record_of(raw, f"key {args.id!a}")

    def change(records: tuple[Record, ...]) -> Sequence[Record]:
        if any(other.id == record.id for other in records):
            raise ConfigError(f"{args.keys} has a key {record.id!r} already; `keys rotate` gives it a new plaintext")
        return (*records, record)

    update(args.keys, change, create=True)
    if args.json:
        print_json({"id": record.id, "key": plaintext, "file": str(args.keys)})
        return 0
    _remark(f"key {record.id!r} is in {args.keys} ({RELOAD}); its plaintext is shown this once:")
    print(plaintext)
    return 0


def rotate(args: argparse.Namespace) -> int:
    """Give a key a new plaintext. Raises ConfigError for one that has expired and gets no new end."""
    import msgspec

    from opendmux.core.keyvalues import seconds_of, utc_text
    from opendmux.runtime.keystore import update

    now = time.time()
    plaintext = _new_plaintext()
    until = None if args.overlap is None else utc_text(now + _duration(args.overlap, "--overlap"))
    expires = None if args.expires is None else utc_text(_moment(args.expires, now, "--expires"))

    def change(records: tuple[Record, ...]) -> Sequence[Record]:
        old = _record(records, args.id, args.keys)
        if expires is None and old.expires_at is not None and seconds_of(old.expires_at) <= now:
            raise ConfigError(
                f"key {args.id!r} has expired, {old.expires_at}, so a new plaintext would be refused too: give it a "
                "new end by --expires, for example --expires 30d"
            )
        new = msgspec.structs.replace(
            old,
            hash=_sha256(plaintext),
            md5=_md5(plaintext) if old.md5 else None,
            previous_hash=old.hash if until else None,
            previous_md5=old.md5 if until else None,
            previous_until=until,
            expires_at=expires or old.expires_at,
        )
        return [new if record is old else record for record in records]

    update(args.keys, change)
    if args.json:
        print_json({"id": args.id, "key": plaintext, "file": str(args.keys), "previous_until": until})
        return 0
    old_one = f"the old one works until {until}" if until else "the old one does not work any more"
    _remark(f"key {args.id!r} has a new plaintext, shown this once; {old_one} ({RELOAD}):")
    print(plaintext)
    return 0


def revoke(args: argparse.Namespace) -> int:
    """Remove a key."""
    from opendmux.runtime.keystore import update

    def change(records: tuple[Record, ...]) -> Sequence[Record]:
        gone = _record(records, args.id, args.keys)
        return [record for record in records if record is not gone]

    update(args.keys, change)
    if args.json:
        print_json({"id": args.id, "file": str(args.keys)})
        return 0
    _remark(f"key {args.id!r} is removed from {args.keys} ({RELOAD})")
    return 0


def show_all(args: argparse.Namespace) -> int:
    """List the keys."""
    loaded = _load(args.keys)
    now = time.time()
    if args.json:
        print_json([_shown(record, now) for record in loaded.file.records])
        return 0
    rows = [("ID", "STATE", "EXPIRES", "SCOPES", "NOTE")]
    for record in loaded.file.records:
        shown = _shown(record, now)
        rows.append(
            (
                record.id,
                str(shown["state"]),
                str(shown.get("expires_at", "never")),
                ",".join(record.scopes) or "none",
                printable(record.note or ""),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip())
    return 0


def show(args: argparse.Namespace) -> int:
    """Show one key."""
    record = _record(_load(args.keys).file.records, args.id, args.keys)
    shown = _shown(record, time.time())
    if args.json:
        print_json(shown)
        return 0
    limits = shown.pop("limits", {})
    assert isinstance(limits, dict)
    for name, value in (shown | limits).items():
        text = (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
        text = {"True": "yes", "False": "no"}.get(text, text)
        print(f"{name + ':':<23} {printable(text)}")
    return 0


def check(args: argparse.Namespace) -> int:
    """Check a file; with --import, compare what it means."""
    from opendmux.core.keyimport import differences

    path = args.import_file or args.keys
    loaded = _load(path)
    records = loaded.file.records
    found = differences(records) if args.import_file else []
    expired = [record.id for record in records if _shown(record, time.time())["state"] == "expired"]
    if args.json:
        print_json(
            {
                "file": str(path),
                "keys": len(records),
                "expired": expired,
                "warning": loaded.warning,
                "differences": [dataclasses.asdict(one) for one in found],
            }
        )
        return 0
    for one in found:
        mark = " (looser here)" if one.looser else ""
        print(f"{one.key_id}: {one.field}: here {one.here}; there {one.there}{mark}")
    for key_id in expired:
        print(f"{key_id}: has expired")
    print(f"{path} is good: {len(records)} {'key' if len(records) == 1 else 'keys'}")
    return 0


# -- parts


def _load(path: Path) -> Loaded:
    from opendmux.runtime.keystore import load

    loaded = load(path)
    if loaded.warning:
        _remark(loaded.warning)
    return loaded


def _record(records: Sequence[Record], key_id: str, path: Path) -> Record:
    from opendmux.wording import nearest

    for record in records:
        if record.id == key_id:
            return record
    raise ConfigError(f"{path} has no key {key_id!a}{nearest(key_id, [record.id for record in records])}")


def _shown(record: Record, now: float) -> dict[str, object]:
    """All that may be seen of a key: no hash, in no form."""
    import msgspec

    from opendmux.core.keyvalues import seconds_of, utc_text

    def moment(name: str) -> float | None:
        value = getattr(record, name)
        return None if value is None else seconds_of(value)

    expires_at, previous_until = moment("expires_at"), moment("previous_until")
    state = "active"
    if expires_at is not None and now >= expires_at:
        state = "expired"
    elif record.allowed_machines == []:
        state = "frozen"
    elif previous_until is not None and now < previous_until:
        state = "rotating"
    shown: dict[str, object] = {"id": record.id, "state": state}
    raw = msgspec.to_builtins(record)
    shown |= {name: value for name, value in raw.items() if name not in HIDDEN}
    for name in ("created_at", "expires_at", "previous_until"):
        if (seconds := moment(name)) is not None:
            shown[name] = utc_text(seconds)
    shown["websocket"] = record.md5 is not None
    return shown


def _new_plaintext() -> str:
    from opendmux.core.keys import KEY_PREFIX

    return KEY_PREFIX + secrets.token_hex(32)


def _sha256(plaintext: str) -> str:
    from opendmux.core.keys import digest_of

    return digest_of(plaintext).hex()


def _md5(plaintext: str) -> str:
    return hashlib.md5(plaintext.encode(), usedforsecurity=False).hexdigest()


def _words(text: str) -> list[str]:
    """``a,b``; an empty text is an empty list."""
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if "" in words:
        raise ConfigError(f"{text!a} has an empty place between its commas")
    return words


def _machines(text: str) -> list[str]:
    from opendmux.runtime.machine import machine_id

    return [machine_id() if word == THIS else word for word in _words(text)]


def _duration(text: str, what: str) -> float:
    match = re.fullmatch(r"(\d{1,6})([smhdw])", text, re.ASCII)
    if match is None or int(match[1]) == 0:
        raise ConfigError(f"{what} {text!a} is not a number of s, m, h, d or w, like 12h or 30d")
    return float(int(match[1]) * UNITS[match[2]])


def _moment(text: str, now: float, what: str) -> float:
    """UTC seconds of a duration from now, or of an ISO date or time."""
    from opendmux.core.keyvalues import seconds_of

    if re.fullmatch(r"\d+[a-z]?", text, re.ASCII):
        return now + _duration(text, what)
    try:
        moment = seconds_of(text)
    except ValueError:
        raise ConfigError(f"{what} {text!a} is neither like 30d or 12h nor like 2030-01-31") from None
    if moment <= now:
        raise ConfigError(f"{what} {text} has passed")
    return moment


def _remark(text: str) -> None:
    print(f"opendmux: {text}", file=sys.stderr)
