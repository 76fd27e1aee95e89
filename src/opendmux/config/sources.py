"""The settings of one run and where each comes from.

Later sources win: defaults, the file, the environment (``OPENDMUX_*``), the command line. There is no file that is read
without being named (``--config`` or ``OPENDMUX_CONFIG``): a file that merely lies where the proxy is started could lead
its clients to somebody else's OpenD, and the same command would do different things in different folders.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from opendmux.errors import ConfigError
from opendmux.wording import nearest, shown_value

from .checking import alert_name, check
from .reach import same_opends
from .reading import converted, read
from .schema import Entry, entries, expected, is_list
from .structs import Config

__all__ = ["CONFIG_VARIABLE", "PREFIX", "Given", "Settings", "Source", "settings_of", "variable_of"]

PREFIX: Final = "OPENDMUX_"
CONFIG_VARIABLE: Final = "OPENDMUX_CONFIG"
"""Names the file where ``--config`` does not."""
OTHER_VARIABLES: Final = frozenset({CONFIG_VARIABLE, "OPENDMUX_KEY", "OPENDMUX_PURE", "OPENDMUX_SHA1"})
"""Ours, but no settings."""
HOOK: Final = "OPENDMUX_ALERT_"
"""What the command of an alert is given, which may run opendmux itself."""
SERVICE_LINKS: Final = re.compile(r"OPENDMUX_(\w+_)?(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP)\w*)?)")
"""What Kubernetes puts into every container beside a service that is called opendmux."""
WORDS: Final[Mapping[str, bool]] = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
INSTEAD: Final = (
    ("listen", "listeners"),
    ("upstream", "upstreams"),
    ("telnet", "upstreams"),
    ("quote_right", "upstreams"),
)
"""A setting, and the tables of the file that say more than it can, so that neither can stand for the other."""
PATHS: Final = (
    "rsa_private_key",
    "upstream_rsa_private_key",
    "admin_socket",
    "keys",
    "usage_db",
    "state_dir",
    "audit_log",
    "tls.cert",
    "tls.key",
    "tls.client_ca",
)
PATHS_IN_TABLES: Final = (("upstreams", "rsa_private_key"), ("alerts", "ca"))
"""Settings that are files or folders of ours. Programs of alerts are not: no shell runs them."""


class Source(NamedTuple):
    """Where a setting comes from. ``name``: the file's path, the variable or the option; empty for the default."""

    kind: Literal["default", "file", "environment", "flag"]
    name: str = ""


DEFAULT: Final = Source("default")


class Given(NamedTuple):
    """One setting from the environment or the command line, in its own type."""

    source: Source
    key: str
    value: object


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force, and why."""

    config: Config
    file: Path | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)
    """By key, such as ``limits.in_flight``; what is not here is a default."""
    notes: tuple[str, ...] = ()
    """What its owner should know, a sentence each."""

    def source(self, key: str) -> Source:
        """Where a setting comes from."""
        return self.sources.get(key, DEFAULT)

    def named(self, key: str) -> str:
        """How a sentence about a setting begins: ``opendmux.toml: limits.in_flight``, ``--listen``."""
        source = self.source(key)
        return f"{source.name}: {key}" if source.kind == "file" else source.name or key

    def rows(self) -> list[tuple[str, object, Source]]:
        """Every setting: key, value and source. Tables that may be repeated are one row each."""
        keys = dict.fromkeys(entry.table if entry.repeated else entry.key for entry in entries())
        return [(key, _get(self.config, key), self.source(key)) for key in keys]


def settings_of(path: Path | None, environ: Mapping[str, str], flags: Iterable[Given] = ()) -> Settings:
    """Read, merge and check all sources. Raises ConfigError that names the source, the table and the key."""
    if path is None and environ.get(CONFIG_VARIABLE):
        path = Path(environ[CONFIG_VARIABLE])
    config, keys, notes = (Config(), [], ()) if path is None else read(path)
    sources = dict.fromkeys(keys, Source("file", str(path)))
    for source, key, value in (*_from_environment(environ), *flags):
        config = _with(config, key, value)
        sources[key] = source
    config = _at_home(config)
    settings = Settings(config, path, sources, (*notes, *_unused(config, sources)))
    check(config, settings.named)
    return replace(settings, notes=(*settings.notes, *_doubled(settings), *_not_runnable(settings, environ)))


def variable_of(entry: Entry) -> str:
    """``OPENDMUX_LIMITS__IN_FLIGHT``."""
    return PREFIX + entry.key.replace(".", "__").upper()


def _from_environment(environ: Mapping[str, str]) -> list[Given]:
    known = {variable_of(entry): entry for entry in entries() if not entry.repeated}
    tables = {PREFIX + entry.table.upper(): entry.table for entry in entries() if entry.repeated}
    given = []
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        table = tables.get(name.split("__")[0])
        if name in known:
            entry = known[name]
            given.append(Given(Source("environment", name), entry.key, _parsed(environ[name], entry, name)))
        elif table is not None:
            raise ConfigError(f"{name}: [[{table}]] can be given in a file only (--config)")
        elif name not in OTHER_VARIABLES and not name.startswith(HOOK) and not SERVICE_LINKS.fullmatch(name):
            raise ConfigError(f"the environment has an unknown setting {name}{nearest(name, known, prefix=PREFIX)}")
    return given


def _parsed(text: str, entry: Entry, name: str) -> Any:
    """A value of the environment: lists with commas, yes and no as words."""
    value: object = text
    if is_list(entry.kind):
        value = [word.strip() for word in text.split(",") if word.strip()]
    elif entry.kind is bool:
        value = WORDS.get(text.strip().lower(), text)
    elif entry.kind in (int, float):
        try:
            value = int(text) if entry.kind is int else float(text)
        except ValueError:
            raise ConfigError(f"{name} {expected(entry.kind)}, not {shown_value(text)}") from None
    return converted(value, entry, name)


def _unused(config: Config, sources: Mapping[str, Source]) -> list[str]:
    """Settings that another one takes the place of; raises ConfigError for those that were given just for this run."""
    notes = []
    for key, table in INSTEAD:
        source = sources.get(key)
        if source is None or not getattr(config, table):
            continue
        if source.kind != "file":
            raise ConfigError(f"{source.name} can't be combined with [[{table}]] of the configuration file")
        notes.append(f"{source.name}: {key} is not used, for there is [[{table}]]")
    return notes


def _doubled(settings: Settings) -> list[str]:
    return [
        f"{settings.named('upstreams')}: {one.name!r} and {other.name!r} are the same OpenD at {one.address}: give the "
        "second one the api_port of the second OpenD, such as 11112, or take it out"
        for one, other in same_opends(settings.config.upstreams)
    ]


def _not_runnable(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Commands of alerts that this user finds nowhere; they may be there when the alert comes."""
    return [
        f"{settings.named('alerts')}: {alert_name(alert, number)}: {alert.command[0]} can't be run from here: it is "
        "not there, or may not be executed; the alert would tell nobody"
        for number, alert in enumerate(settings.config.alerts, 1)
        if alert.command and shutil.which(alert.command[0], path=environ.get("PATH")) is None
    ]


def _at_home(config: Config) -> Config:
    """With the paths that begin with ``~/`` in the home of this user, as a shell has them."""
    for key in PATHS:
        value = _get(config, key)
        if value.startswith("~/"):
            config = _with(config, key, os.path.expanduser(value))
    for table, name in PATHS_IN_TABLES:
        found = getattr(config, table)
        rows = [msgspec.structs.replace(row, **{name: os.path.expanduser(getattr(row, name))}) for row in found]
        if any(getattr(row, name).startswith("~/") for row in found):
            config = _with(config, table, tuple(rows))
    return config


def _get(config: Config, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _with(config: Config, key: str, value: object) -> Config:
    table, _dot, name = key.rpartition(".")
    if table:
        name, value = table, msgspec.structs.replace(getattr(config, table), **{name: value})
    return msgspec.structs.replace(config, **{name: value})
