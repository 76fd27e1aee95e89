"""Conditions as a person wants to read them: what differs in its subject alone is said once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["gathered"]


def gathered(conditions: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], list[str]]]:
    """Each condition of a snapshot, with the further subjects of which it is said too: a phone that takes the quote
    right takes that of twenty markets. Single events stay apart, for each of them is an order, say."""
    groups: dict[object, tuple[Mapping[str, Any], list[str]]] = {}
    for place, one in enumerate(conditions):
        subject = str(one.get("subject", ""))
        alike = tuple(one.get(name) for name in ("kind", "opend", "blocks", "figures", "next_step"))
        conclusion = str(one.get("conclusion", "")).replace(subject, "")
        first = groups.setdefault((conclusion, *alike) if one.get("active") else place, (one, []))
        if first[0] is not one:
            first[1].append(subject)
    return list(groups.values())
