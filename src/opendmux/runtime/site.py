"""The proxy as the HTTP face sees it; see `transports.http.Site`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import trio

from opendmux.core.access import Access
from opendmux.core.conditions import Condition
from opendmux.core.denial import Denial
from opendmux.core.keys import Key

from .metrics import Metrics
from .notary import Notary
from .readiness import Readiness, readiness_of
from .station import Station

__all__ = ["ProxySite"]


@dataclass(slots=True)
class ProxySite:
    """One per process."""

    stations: Callable[[], Sequence[Station]]
    access: Access
    notary: Notary
    figures: Metrics
    names: Collection[str] = ()
    """Host names besides this machine's own under which it may be reached, in lower case."""
    open_locally: bool = True
    """From this machine metrics and probes need no key."""
    trouble: Callable[[], Iterable[str]] = tuple
    """Reasons not to be ready that stations do not know of: a drain, an audit log that can't be written."""
    conditions: Callable[[], Iterable[Condition]] = tuple
    """What is wrong now."""
    wall: Callable[[], float] = time.time

    @property
    def keyed(self) -> bool:
        """See `Site`."""
        return self.access.keyring is not None

    def metrics(self) -> bytes:
        """See `Site`."""
        return self.figures.text(trio.current_time())

    def readiness(self) -> Readiness:
        """See `Site`."""
        return readiness_of(
            self.stations(),
            now=trio.current_time(),
            wall=self.wall(),
            further=self.trouble(),
            conditions=self.conditions(),
        )

    def admit(self, bearer: str | None, *, peer: str, local: bool, certified: str | None = None) -> Key | Denial:
        """See `Site`."""
        key = self.judge(bearer, local=local, certified=certified)
        if isinstance(key, Denial):
            self.notary.turned_away("http", peer, key)
        else:
            self.access.tally.auth("http", "allow", key.id)
        return key

    def judge(self, bearer: str | None, *, local: bool, certified: str | None = None) -> Key | Denial:
        """See `Site`."""
        admitted = self.access.admit(bearer, iface="http", local=local, wall=self.wall(), bound_to=certified)
        if isinstance(admitted, Denial):
            return admitted
        assert admitted.key is not None, "over HTTP the anonymous have a key too"
        return admitted.key
