"""Why a request was turned away by the gate or the gateway itself, so that each transport can say it in its own way.

A TCP client gets ``text`` as retMsg, a gRPC client a status, an HTTP client a status code. What OpenD itself refuses is
no denial: that answer goes through as it is.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

__all__ = ["WITHOUT_KEYS", "Denial", "DenialKind"]

WITHOUT_KEYS: Final = (
    ", and this proxy has no keys file: make one with `opendmux keys add`, or start it with --insecure-allow-trading"
)
"""Ends the sentence about a scope for callers where no key is good: they would look for a better one in vain."""


class DenialKind(enum.Enum):
    """What the caller can do about it."""

    UNAUTHENTICATED = "unauthenticated"
    """No key, a wrong one or an expired one."""
    PERMISSION = "permission"
    """The key may not do this: a scope, an account, a market, a machine, an unknown proto_id."""
    LIMIT = "limit"
    """Now is not the time: a rate, a window, a value. ``retry_s`` says when, where that is known."""
    INVALID = "invalid"
    """The request makes no sense: a push id, or a body that can't be decoded."""
    UNAVAILABLE = "unavailable"
    """OpenD is away; nothing was sent, or a read was cut off."""
    TIMEOUT = "timeout"
    """OpenD did not answer in time."""


@dataclass(frozen=True, slots=True)
class Denial:
    """One refusal."""

    kind: DenialKind
    reason: str
    """A short name for metrics and audit, such as ``scope``, ``rate``, ``daily``, ``upstream``."""
    text: str
    """One sentence for the user."""
    scope: str = ""
    """The scope that is missing; empty when that is not why."""
    retry_s: float | None = None
    """Seconds until it may be tried again, where that is known."""
