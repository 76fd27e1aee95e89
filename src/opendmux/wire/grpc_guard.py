"""What one gRPC connection may use up."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GrpcLimits", "Patience"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GrpcLimits:
    """Per connection; each with what it is good for."""

    max_streams: int = 1000
    """Calls at once. Clients keep more than that waiting on their side."""
    header_list_bytes: int = 16 * 1024
    """Metadata of one call; grpcio's own limit."""
    request_bytes: int = 16 * MIB + 1024
    """One request message: the largest body of a client, and what FutuRequest adds."""
    small_request_bytes: int = 64 * 1024
    """The same for every call but a request of OpenD: those have a few bytes, and need no key but for pushes."""
    request_budget_bytes: int = 64 * MIB
    """Large requests that are being received at once; the others wait behind their flow control window."""
    reply_bytes: int = 64 * MIB
    """One reply message."""
    queue_bytes: int = 128 * MIB
    """Replies that wait for the client's flow control window, of all calls together: two of the largest."""
    reset_burst: int = 2000
    """Calls that the client may cancel at once: all that it may have open, twice (a deadline hits them together)."""
    resets_per_s: float = 200.0
    """And in the long run. Opening and cancelling in a loop (rapid reset) costs us more than the client."""
    idle_burst: int = 10_000
    """Frames that move nothing: PING and its answer, PRIORITY, empty DATA, DATA of a call that is over, WINDOW_UPDATE
    that follows no data of ours. gRPC clients ping often to measure the line."""
    idle_per_s: float = 1000.0
    settings_burst: int = 100
    """SETTINGS, each of which is done to all calls. Clients change their window a few times while they measure."""
    settings_per_s: float = 10.0


class Patience:
    """So much at once, so much per second in the long run."""

    def __init__(self, burst: int, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left = float(burst)
        self._last: float | None = None

    def spend(self, now: float) -> bool:
        """Whether there was one left at this time, in seconds of any clock."""
        if self._last is not None:
            self._left = min(float(self._burst), self._left + (now - self._last) * self._per_s)
        self._last = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
