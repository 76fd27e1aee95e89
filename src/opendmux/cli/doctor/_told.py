"""What a running opendmux tells of one OpenD. It has seen what was before, such as a better quote right, and so knows
more than OpenD's answers of now say: where doctor sees the same, it says it in these words, and it stands in the report
once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from opendmux.cli._control import clean

__all__ = ["Told", "figures_of", "find", "told_of"]


class Told(NamedTuple):
    """A condition that lasts."""

    kind: str
    subject: str
    """Or several, with commas."""
    conclusion: str
    figures: str
    next_step: str


def told_of(snapshot: Mapping[str, Any] | None, name: str) -> tuple[Told, ...]:
    """Of this OpenD, or of a group that it belongs to. None where nothing was told, or by another version."""
    try:
        return tuple(
            Told(
                clean(str(one["kind"])),
                clean(str(one["subject"])),
                clean(str(one["conclusion"])),
                figures_of(one),
                clean(str(one["next_step"])),
            )
            for one in (snapshot or {}).get("conditions") or ()
            if one["active"] and name in str(one["opend"]).split(" or ")
        )
    except (KeyError, TypeError, AttributeError):
        return ()


def find(told: Iterable[Told], kind: str, subjects: Iterable[str]) -> Told | None:
    """The one of this kind that is about one of these subjects."""
    wanted = tuple(subjects)
    return next((one for one in told if one.kind == kind and any(subject in one.subject for subject in wanted)), None)


def figures_of(condition: Mapping[str, Any]) -> str:
    """Those of the condition, and since when it lasts."""
    since = f"Since {clean(str(condition['since']))[:19]}Z." if condition.get("since") else ""
    return f"{clean(str(condition.get('figures') or ''))} {since}".strip()
