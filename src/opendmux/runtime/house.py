"""What all OpenDs and all ports of one process share: keys, limits, audit."""

from __future__ import annotations

from dataclasses import dataclass, field

from opendmux.core.access import Access

__all__ = ["House"]


@dataclass(slots=True)
class House:
    """Made before anything listens; the stations look at it."""

    access: Access = field(default_factory=Access)
