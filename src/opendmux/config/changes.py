"""What is different between two configurations, and which of it a running proxy can take over."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from .schema import LIVE
from .secrets import secret_changed, without_secrets
from .structs import Config

__all__ = ["Change", "changes", "with_live"]


class Change(NamedTuple):
    """One setting that is different."""

    key: str
    old: object
    new: object

    @property
    def live(self) -> bool:
        """It can be taken over without a restart."""
        return self.key in LIVE

    def __str__(self) -> str:
        before, after = _shown(self.old), _shown(self.new)
        if before == after:
            return f"{self.key}: changed (secret)"
        too = " (and a secret in it)" if secret_changed(self.old, self.new) else ""
        return f"{self.key}: {before} -> {after}{too}"


def _shown(value: object) -> str:
    """As the file would say it, but for secrets."""
    return msgspec.json.encode(without_secrets(value)).decode()


def changes(old: Config, new: Config) -> list[Change]:
    """Every setting that is different, in the order of the structs. A repeated table is one setting."""
    found = []
    for name in Config.__struct_fields__:
        before, after = getattr(old, name), getattr(new, name)
        if isinstance(before, msgspec.Struct):
            pairs = [
                Change(f"{name}.{inner}", getattr(before, inner), getattr(after, inner))
                for inner in before.__struct_fields__
            ]
        else:
            pairs = [Change(name, before, after)]
        found += [pair for pair in pairs if pair.old != pair.new]
    return found


def with_live(old: Config, new: Config) -> Config:
    """The old configuration with what can be taken over from the new one."""
    result = old
    for change in changes(old, new):
        table, _dot, name = change.key.rpartition(".")
        if change.live and table:
            inner = msgspec.structs.replace(getattr(result, table), **{name: change.new})
            result = msgspec.structs.replace(result, **{table: inner})
        elif change.live:
            result = msgspec.structs.replace(result, **{name: change.new})
    return result
