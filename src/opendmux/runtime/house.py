"""What all OpenDs and all ports of one process share: keys, limits, audit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from opendmux.core.access import Access
from opendmux.core.conditions import Conditions
from opendmux.core.keys import Keyring
from opendmux.core.limits import Limits
from opendmux.core.rejects import Rejects
from opendmux.core.tally import Series

from .audit import AuditLog
from .crowd import Crowd
from .operation_ledger import OperationLedger
from .state import StateDir
from .store import Store
from .tls import Tls

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
    state: StateDir = field(default_factory=lambda: StateDir(None))
    """For what has to survive a restart; of tests and of who embeds the proxy: nowhere."""
    names: tuple[str, ...] = ()
    """Host names besides this machine's own under which HTTP may be asked."""
    origins: tuple[str, ...] = ()
    """Origins besides our own whose pages may open a WebSocket, as browsers write them."""
    open_locally: bool = True
    """From this machine metrics and probes need no key."""
    tls: Tls | None = None
    """None: TLS is not configured."""
    crowd: Crowd = field(default_factory=Crowd)
    """Who has how many HTTP connections."""
    rejects: Rejects = field(default_factory=Rejects)
    """What was turned away lately."""
    conditions: Conditions = field(default_factory=Conditions)
    """What is wrong now, and what to do about it."""
    operations: OperationLedger = field(init=False)
    """How often operation commands were sent to OpenD, by this and by other processes."""
    operated: Series = field(default_factory=lambda: Series(1))
    """(opend, command, outcome): operation commands of this process, as the audit calls their outcome."""
    read_keys: Callable[[], Keyring] | None = None
    """Read the keys again; raises ConfigError. None: no keys file is configured."""

    def __post_init__(self) -> None:
        self.operations = OperationLedger(self.state)
        if self.audit is not None:
            self.use_audit(self.audit)
        if self.store is not None:
            self.use_store(self.store)

    def use_audit(self, audit: AuditLog) -> None:
        """Put decisions down there from now on."""
        self.audit = audit
        self.access.audit_ok = lambda: audit.trusted

    def use_store(self, store: Store) -> None:
        """Take the daily values that it holds, and keep them there."""
        self.store = store
        self.limits.restore(store.rows)
        self.limits.on_change = store.wake

    @asynccontextmanager
    async def records(self) -> AsyncIterator[None]:
        """Write what has to be kept for the length of the block; what is left at its end is written within a few
        seconds, so the last thing that a station says is kept too."""
        async with trio.open_nursery() as nursery:
            if self.audit is not None:
                nursery.start_soon(self.audit.run)
            if self.store is not None:
                nursery.start_soon(self.store.run, self.limits.changes)
            yield
            nursery.cancel_scope.cancel(reason="stopped")
        self.state.close()

    def close(self) -> None:
        """Let go of the files when `records` is not entered after all."""
        if self.audit is not None:
            self.audit.close()
        if self.store is not None:
            self.store.close()
        self.state.close()

    def trouble(self) -> list[str]:
        """Why the proxy is not ready as far as this goes, one sentence each."""
        reasons = []
        if self.audit is not None and not self.audit.trusted:
            reasons.append(f"the audit log {self.audit.path} can't be written, so no trade write is taken")
        return reasons
