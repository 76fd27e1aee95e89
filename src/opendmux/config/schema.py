"""What settings there are, read off the structs: names, types, units and defaults."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Final, Literal, NamedTuple, get_args, get_origin

import msgspec

from .structs import Config

__all__ = ["LIVE", "Entry", "alternatives", "entries", "expected", "fields_of", "inner_struct", "is_list", "unit_of"]

LIVE: Final[Mapping[str, str]] = {
    "audit_reads": "",
    "log_format": "",
    "log_level": "",
    "log_lines_per_s": "",
    "limits.in_flight": "for clients that connect from then on",
    "limits.outbox_bytes": "for clients that connect from then on",
    "limits.client_body_bytes": "for clients that connect from then on",
    "timeouts.backoff_first_s": "",
    "timeouts.backoff_max_s": "",
    "timeouts.connect_s": "",
    "timeouts.goodbye_s": "",
    "timeouts.replay_s": "",
    "timeouts.write_stall_s": "",
    "watch.ask_s": "",
    "watch.key_days": "",
    "watch.mute_s": "",
    "watch.quota_percent": "",
}
"""Settings that SIGHUP changes in a running proxy, and for whom where that is not everybody. The others are built into
what runs: ports, upstreams, and the rows and sizes that the native code was given at the start."""


class Entry(NamedTuple):
    """One setting."""

    table: str
    """``limits`` of ``[limits]``; empty for the main section."""
    name: str
    kind: object
    """Its type, as the struct says it."""
    default: object
    """``msgspec.NODEFAULT`` where it must be given."""
    repeated: bool = False
    """It is of a ``[[table]]``, of which there may be several."""

    @property
    def key(self) -> str:
        """``limits.in_flight``."""
        return f"{self.table}.{self.name}" if self.table else self.name


@cache
def fields_of(struct: type[msgspec.Struct]) -> dict[str, Entry]:
    """The fields of one struct by name, tables included."""
    hints = typing.get_type_hints(struct)
    return {field.name: Entry("", field.name, hints[field.name], field.default) for field in _fields(struct)}


def _fields(struct: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(struct)


def inner_struct(kind: object) -> tuple[type[msgspec.Struct], bool] | None:
    """The struct of a table and whether it is repeated; None for a plain setting."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind, False
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            return inner, True
    return None


@cache
def entries() -> tuple[Entry, ...]:
    """Every plain setting, the main section first, then table by table."""
    main, inner = [], []
    for entry in fields_of(Config).values():
        table = inner_struct(entry.kind)
        if table is None:
            main.append(entry)
        else:
            struct, repeated = table
            inner += [field._replace(table=entry.name, repeated=repeated) for field in fields_of(struct).values()]
    return (*main, *inner)


def _bare(kind: object) -> object:
    """Without ``| None``."""
    if isinstance(kind, types.UnionType) or get_origin(kind) is typing.Union:
        return next(part for part in get_args(kind) if part is not type(None))
    return kind


def is_list(kind: object) -> bool:
    """It is a list of texts."""
    return get_origin(_bare(kind)) is tuple


def alternatives(kind: object) -> tuple[str, ...]:
    """The words that a setting may have, or a list of them hold; empty where any may."""
    kind = _bare(kind)
    if get_origin(kind) is tuple:
        return alternatives(get_args(kind)[0])
    return get_args(kind) if get_origin(kind) is Literal else ()


def expected(kind: object) -> str:
    """``must be ...``, what is said to a value of the wrong type."""
    bare = _bare(kind)
    words = ", ".join(alternatives(bare))
    if is_list(bare):
        return f"must be a list of {words or 'texts'}"
    if words:
        return f"must be one of {words}"
    return {
        str: "must be text",
        bool: "must be true or false",
        int: "must be a whole number",
        float: "must be a number",
    }[typing.cast("type", bare)]


def unit_of(entry: Entry) -> str:
    """What the value is counted in, or what kind of value it is."""
    bare = _bare(entry.kind)
    for suffix, unit in (("_per_s", "per second"), ("_s", "seconds"), ("_bytes", "bytes"), ("_days", "days")):
        if entry.name.endswith(suffix) and bare in (int, float):
            return unit
    return expected(entry.kind).removeprefix("must be ").removeprefix("a ").removeprefix("one of ")
