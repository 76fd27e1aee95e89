"""``keys.json``: bytes to keys, and records back to bytes.

A file is taken whole or not at all: whoever starts with a part of his keys would serve with limits that nobody wrote.
Every refusal is one sentence that names the file, the key and the field.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from opendmux.errors import ConfigError
from opendmux.wording import nearest

from .keyrecord import Record, digest_in, key_of, record_of
from .keys import Key, Keyring
from .keyvalues import seconds_of

__all__ = ["VERSION", "KeyFile", "dump", "parse", "place_of"]

VERSION: Final = 1
_TOP: Final = ("version", "keys")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A whole file that was found good."""

    records: tuple[Record, ...]
    """As they were written, in their order."""
    keyring: Keyring

    @classmethod
    def of(cls, records: Iterable[Record], name: str) -> KeyFile:
        """Records that are good each by itself. Raises ConfigError when two have an id or a hash in common."""
        kept = tuple(records)
        entries: list[tuple[Key, bytes, float | None]] = []
        md5s: list[tuple[bytes, bytes]] = []
        ids: set[str] = set()
        owner: dict[bytes, str] = {}
        for record in kept:
            if record.id in ids:
                raise ConfigError(f"{name}: two keys have the id {record.id!r}; the id must be of one key alone")
            ids.add(record.id)
            key = key_of(record)
            for field, text, until in (
                ("hash", record.hash, None),
                ("previous_hash", record.previous_hash, record.previous_until),
            ):
                if text is not None:
                    digest = digest_in(text)
                    entries.append((key, digest, None if until is None else seconds_of(until)))
                    _claim(owner, digest, record.id, field, name)
            for field, text, of_same in (
                ("md5", record.md5, record.hash),
                ("previous_md5", record.previous_md5, record.previous_hash),
            ):
                if text is not None:
                    assert of_same is not None, "a record with previous_md5 has been checked to have previous_hash"
                    md5 = bytes.fromhex(text)
                    _claim(owner, md5, record.id, field, name)
                    md5s.append((md5, digest_in(of_same)))
        return cls(kept, Keyring.of(entries, md5s))


def _claim(owner: dict[bytes, str], digest: bytes, key_id: str, field: str, name: str) -> None:
    if digest in owner:
        other = f"the one of key {owner[digest]!r}" if owner[digest] != key_id else "another hash of the same key"
        raise ConfigError(f"{name}: key {key_id!r}: {field} is the same as {other}; make a new key")
    owner[digest] = key_id


class _TwiceError(Exception):
    """A field stands twice in one object."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            key_id = dict(pairs).get("id")
            raise _TwiceError(f"the field {name!a} stands twice in {f'key {key_id!a}' if key_id else 'one object'}")
        found[name] = value
    return found


def _read(data: bytes, name: str) -> object:
    """JSON. The standard library reads it: it alone tells of a field that stands twice, and it lets NaN and 1e999 come
    through to where the field has a name."""
    if not data.strip():
        raise ConfigError(f"{name} is empty; `opendmux keys add` makes a first key")
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not UTF-8 text: byte {error.start} can't be read") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{name} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except _TwiceError as error:
        raise ConfigError(f"{name}: {error}") from None
    except (RecursionError, ValueError):  # the second: a number of thousands of digits
        raise ConfigError(f"{name} is not a file of keys: it is nested too deep, or a number is too long") from None


def place_of(raw: object, index: int) -> str:
    """``key 'bot'``, or ``keys[2]`` where there is no id that could be said."""
    key_id = raw.get("id") if isinstance(raw, dict) else None
    return f"key {key_id!a}" if isinstance(key_id, str) and 0 < len(key_id) <= 64 else f"keys[{index}]"


def parse(data: bytes, name: str) -> KeyFile:
    """The keys of a file; ``name`` is what messages call it. Raises ConfigError."""
    raw = _read(data, name)
    if not isinstance(raw, dict):
        raise ConfigError(f'{name} must hold an object like {{"version": 1, "keys": []}}')
    for field in raw:
        if field not in _TOP:
            raise ConfigError(f"{name} has an unknown field {field!a}{nearest(field, _TOP)}")
    for field in _TOP:
        if field not in raw:
            raise ConfigError(f"{name} has no field {field!r}")
    version, keys = raw["version"], raw["keys"]
    if type(version) is not int or version != VERSION:
        raise ConfigError(f"{name}: version must be {VERSION}; this opendmux knows no other")
    if not isinstance(keys, list):
        raise ConfigError(f"{name}: keys must be a list")
    return KeyFile.of((record_of(key, f"{name}: {place_of(key, index)}") for index, key in enumerate(keys)), name)


def dump(records: Iterable[Record]) -> bytes:
    """The bytes of a file: two spaces of indent, a newline at the end."""
    raw = {"version": VERSION, "keys": [msgspec.to_builtins(record) for record in records]}
    return json.dumps(raw, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
