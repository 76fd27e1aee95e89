"""What several commands say in the same words of a snapshot (`core.snapshot`, decoded). Nothing is cleaned here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from ._control import age

__all__ = ["quota_cell", "quota_when", "refusal", "short"]

Row = Mapping[str, Any]


def refusal(reject: Row) -> str:
    """Why something was turned away, with what it was: most sentences name it, those about OpenD do not."""
    what, text = f"{reject['proto_id']} {reject['name']}", str(reject["text"])
    return text if not reject["proto_id"] or text.startswith(what) else f"{what}: {text}"


def quota_when(opend: Row, time: str) -> str:
    """When OpenD told of its quota, at the time of the snapshot: the figures beside it are newer."""
    seconds = _told_before(opend, time)
    return "last" if seconds is None else f"{age(seconds)} ago"


def quota_cell(opend: Row, time: str) -> str:
    """``5/100 12s ago``; empty while OpenD has not said it."""
    if opend["quota_used"] is None:
        return ""
    seconds = _told_before(opend, time)
    figures = f"{opend['quota_used']}/{opend['quota_used'] + opend['quota_left']}"
    return figures if seconds is None else f"{figures} {short(seconds)} ago"


def _told_before(opend: Row, time: str) -> float | None:
    at = opend.get("quota_at")  # an older proxy does not tell
    return None if at is None else (dt.datetime.fromisoformat(time) - dt.datetime.fromisoformat(at)).total_seconds()


def short(seconds: float) -> str:
    """``3m``: the larger unit of `age` alone."""
    whole = max(0, int(seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"
