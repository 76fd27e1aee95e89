"""From the file to `Config`: what is wrong is said in a sentence with file, table and key."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from opendmux.errors import ConfigError
from opendmux.wording import nearest, shown_value

from .opend_xml import read_opend_xml
from .schema import Entry, alternatives, entries, expected, fields_of, inner_struct, is_list
from .structs import Config

__all__ = ["converted", "load", "read"]

BYTES_MAX: Final = 1024 * 1024
"""Of a configuration file; one with every setting has some 15 kB."""


def load(path: Path | None) -> Config:
    """Read a TOML file, or an OpenD.xml. Raises ConfigError with the file and the place; None gives the defaults."""
    return Config() if path is None else read(path)[0]


def read(path: Path) -> tuple[Config, list[str], tuple[str, ...]]:
    """What the file says, the keys that it sets, and what is to be said about it, a sentence each."""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    if len(content) > BYTES_MAX:
        raise ConfigError(f"{path} is larger than {BYTES_MAX} bytes: it is no configuration")
    notes: tuple[str, ...] = ()
    if path.suffix.lower() == ".xml" or content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        data, notes = read_opend_xml(content, str(path))
    else:
        data = _toml(content, path)
    config: Config = _struct(data, Config, str(path), "")
    return config, list(_keys(data)), notes


def _toml(content: bytes, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8-sig"))  # editors of Windows put a mark in front
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _keys(data: Mapping[str, Any]) -> Iterable[str]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in value)
        else:
            yield name


def converted(value: object, entry: Entry, where: str) -> Any:
    """The value in the setting's type. Raises ConfigError that begins with ``where``."""
    try:
        return msgspec.convert(value, entry.kind)
    except msgspec.ValidationError:
        wrong = _wrong(value, entry)
        hint = nearest(wrong, alternatives(entry.kind)) if isinstance(wrong, str) else ""
        within = "a list with " if wrong is not value else ""
        raise ConfigError(f"{where} {expected(entry.kind)}, not {within}{_shown_one(wrong)}{hint}") from None


def _wrong(value: object, entry: Entry) -> object:
    """The value, or what is wrong in it where it is a list as it should be."""
    if not isinstance(value, list) or not is_list(entry.kind):
        return value
    allowed = alternatives(entry.kind)
    return next(item for item in value if not isinstance(item, str) or (allowed and item not in allowed))


def _shown_one(value: object) -> str:
    return "a table" if isinstance(value, dict) else shown_value(value)


def _struct(data: Mapping[str, Any], struct: type[msgspec.Struct], file: str, table: str) -> Any:
    """``table``: as it is said, such as ``[limits]``; empty for the main section."""
    fields = fields_of(struct)
    at = f"{file}: {table}" if table else file
    for name in data:
        if name not in fields:
            raise ConfigError(f"{at} has an unknown key {shown_value(name)}{_hint(name, fields)}")
    for name, entry in fields.items():
        if entry.default is msgspec.NODEFAULT and name not in data:
            raise ConfigError(f"{at} has no {name}")
    values = {}
    for name, value in data.items():
        inner = inner_struct(fields[name].kind)
        place = f"{file}: {table} {name}" if table else f"{file}: {name}"
        if inner is None:
            values[name] = converted(value, fields[name], place)
        elif inner[1]:
            if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
                raise ConfigError(f"{place} must be tables, [[{name}]], not {_shown_one(value)}")
            values[name] = tuple(
                _struct(item, inner[0], file, f"[[{name}]] number {number}") for number, item in enumerate(value, 1)
            )
        else:
            if not isinstance(value, dict):
                raise ConfigError(f"{place} must be a table, [{name}], not {_shown_one(value)}")
            values[name] = _struct(value, inner[0], file, f"[{name}]")
    return struct(**values)


def _hint(name: str, fields: Iterable[str]) -> str:
    """The nearest name of this table, or the table where the name belongs."""
    owners = [entry.table for entry in entries() if entry.name == name and not entry.repeated]
    if owners:
        return f"; it belongs {f'in [{owners[0]}]' if owners[0] else 'in front of the first table'}"
    return nearest(name, fields)
