"""How many HTTP connections each address has, be it HTTP/1.1, WebSocket or gRPC, on all ports of the process.

They need no login to stay open, and each takes a file descriptor, of which the process has only so many: one peer must
not have them all. Connections of OpenD's own protocol are bounded elsewhere: until InitConnect by `silence`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import math
from collections.abc import Iterator
from typing import Final

__all__ = ["Crowd", "within_files"]

log = logging.getLogger("opendmux.door")

SAY_S: Final = 60.0
"""Between two lines in the log, however many are refused."""
WORDS_MAX: Final = 64
"""So many at a time are told why they are refused: each has a descriptor meanwhile, for up to a second."""
PREFIX: Final = 64
"""Bits of an IPv6 address that one machine can't choose for itself."""


class Crowd:
    """Of one process."""

    def __init__(self) -> None:
        self.refused = 0
        """Since the start."""
        self._open: dict[str, int] = {}
        self._told = 0
        self._said_at = -math.inf
        self._said = 0

    def enter(self, host: str, most: int, now: float) -> bool:
        """Somebody comes from there; False: it has ``most`` connections already. Each that entered has to `leave`."""
        place = _place_of(host)
        count = self._open.get(place, 0)
        if count < most:
            self._open[place] = count + 1
            return True
        self.refused += 1
        if now - self._said_at >= SAY_S:
            refused, self._said, self._said_at = self.refused - self._said, self.refused, now
            text = (
                "%s: refused, it has %d HTTP connections, and limits.http_per_address allows no more; %d refused lately"
            )
            log.warning(text, host, count, refused, extra={"peer": host})
        return False

    def leave(self, host: str) -> None:
        """One of its connections has ended."""
        place = _place_of(host)
        self._open[place] -= 1
        if not self._open[place]:
            del self._open[place]

    @contextlib.contextmanager
    def telling(self) -> Iterator[bool]:
        """While one is told why it is refused; False: too many are, and it has to go without a word."""
        self._told += 1
        try:
            yield self._told <= WORDS_MAX
        finally:
            self._told -= 1


def within_files(most: int) -> int:
    """At most half of the files that the process may have open."""
    with contextlib.suppress(ImportError):  # not there on Windows
        import resource

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if soft != resource.RLIM_INFINITY:
            return max(1, min(most, soft // 2))
    return most


def _place_of(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, PREFIX), strict=False))
