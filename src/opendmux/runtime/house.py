"""What all OpenDs and all ports of one process share: keys, limits, audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from opendmux.core.access import Access
from opendmux.core.limits import Limits

from .audit import AuditLog
from .store import Store

__all__ = ["House"]


@dataclass(slots=True)
class House:
    """Made before anything listens; stations, ports and the audit look at it."""

    access: Access = field(default_factory=Access)
    limits: Limits = field(default_factory=Limits)
    audit: AuditLog | None = None
    audit_reads: bool = False
    """Put down every request that the gate sees, not only refusals and trade writes."""
    store: Store | None = None
    """Where the daily values are kept; None: in memory alone."""
    names: tuple[str, ...] = ()
    """Host names besides this machine's own under which HTTP may be asked."""
    open_locally: bool = True
    """From this machine metrics and probes need no key."""
    reload: Callable[[], None] = lambda: None
    """Read keys again; raises ConfigError and changes nothing when they can't be read."""
