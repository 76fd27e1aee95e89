"""Settings as they may be shown: without what only their owner should read."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from .structs import AlertConfig

__all__ = ["secret_changed", "without_secrets"]


def without_secrets(value: object) -> object:
    """The value of a setting, with the address of a webhook cut down to its host and a command to its program."""
    if isinstance(value, tuple):
        return tuple(without_secrets(item) for item in value)
    if isinstance(value, AlertConfig):
        return msgspec.structs.replace(
            value,
            webhook=_host_of(value.webhook) if value.webhook else "",
            command=(value.command[0], "...") if len(value.command) > 1 else value.command,
        )
    return value


def secret_changed(old: object, new: object) -> bool:
    """One has taken the place of another that looks the same `without_secrets`; entries may stand in another order."""
    before, after = _carriers(old), _carriers(new)
    return not {without_secrets(one) for one in before - after}.isdisjoint(map(without_secrets, after - before))


def _carriers(value: object) -> set[AlertConfig]:
    """What of a setting can be secret, apart from the rest."""
    if isinstance(value, tuple):
        return {carrier for item in value for carrier in _carriers(item)}
    return {AlertConfig(webhook=value.webhook, command=value.command)} if isinstance(value, AlertConfig) else set()


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}/..."
    except ValueError:
        return "..."
