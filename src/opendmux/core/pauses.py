"""A pause: opendmux has let go of OpenD on somebody's order, so that it can be looked after or started anew.

To clients it is an outage that nobody is cut off for: connections stay whatever ``on_outage`` says, new ones are taken,
and every request is told what is going on. Nothing connects to OpenD until the pause is over.
"""

from __future__ import annotations

from dataclasses import dataclass

from .audit import said_time

__all__ = ["Pause"]


@dataclass(frozen=True, slots=True)
class Pause:
    """Times in UTC seconds."""

    since: float
    by: str
    """Who ordered it, in words."""
    until: float | None = None
    """When it ends by itself; None: not."""

    def text(self) -> str:
        """What it is, since when and how it ends; goes on after the name of an OpenD."""
        itself = "" if self.until is None else f", or by itself at {said_time(self.until)}"
        since = f"paused for maintenance since {said_time(self.since)} by {self.by}"
        return f"{since}, resume with `opendmux resume`{itself}"
