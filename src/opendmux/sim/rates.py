"""OpenD's limits per 30 seconds. ``now`` is passed, in seconds on any clock that does not go back.

The window slides: between a request and the n-th one after it there must be more than 30 s. A refused request does
not count; whether it does with OpenD is not documented.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from opendmux.wire.protocols import ProtoId

__all__ = ["LIMITS", "WINDOW_S", "Limit", "Rates"]

WINDOW_S = 30.0


@dataclass(frozen=True, slots=True)
class Limit:
    """So many of one kind in a window."""

    count: int
    per_account: bool = False
    """Counted for each accID; otherwise for all clients together."""
    gap_s: float = 0.0
    """Least time between two."""
    only_refresh: bool = False
    """Only requests with refreshCache count: the others are answered out of OpenD's cache."""
    only_first_page: bool = False
    """Requests for a further page, with nextReqKey, are free."""


_TRADE_READ = Limit(10, per_account=True)
_CACHED = Limit(10, per_account=True, only_refresh=True)

LIMITS: dict[int, Limit] = {
    ProtoId.TRD_UNLOCK_TRADE: Limit(10),
    ProtoId.TRD_PLACE_ORDER: Limit(15, per_account=True, gap_s=0.02),
    ProtoId.TRD_MODIFY_ORDER: Limit(20, per_account=True, gap_s=0.04),
    ProtoId.TRD_GET_FUNDS: _CACHED,
    ProtoId.TRD_GET_POSITION_LIST: _CACHED,
    ProtoId.TRD_GET_ORDER_LIST: _CACHED,
    ProtoId.TRD_GET_ORDER_FILL_LIST: _CACHED,
    ProtoId.TRD_GET_MAX_TRD_QTYS: _TRADE_READ,
    ProtoId.TRD_GET_HISTORY_ORDER_LIST: _TRADE_READ,
    ProtoId.TRD_GET_HISTORY_ORDER_FILL_LIST: _TRADE_READ,
    ProtoId.QOT_REQUEST_HISTORY_KL: Limit(60, only_first_page=True),
    ProtoId.QOT_GET_SECURITY_SNAPSHOT: Limit(60),
    ProtoId.QOT_REQUEST_TRADE_DATE: Limit(30),
    ProtoId.QOT_GET_MARKET_STATE: Limit(10),
}
"""Of the protocols that are simulated; data of subscribed securities has no limit."""


class Rates:
    """The windows of one OpenD."""

    def __init__(self) -> None:
        self._done: dict[tuple[int, int], deque[float]] = {}

    def excess(self, proto_id: int, c2s: Any, now: float) -> str | None:
        """Count the request; when it comes too soon it is not counted, and the text says so."""
        limit = LIMITS.get(proto_id)
        if limit is None or _is_free(limit, c2s):
            return None
        acc_id = c2s.header.accID if limit.per_account else 0
        done = self._done.setdefault((proto_id, acc_id), deque(maxlen=limit.count))
        if len(done) == limit.count and now - done[0] <= WINDOW_S:
            return f"requests come too often: at most {limit.count} in {WINDOW_S:g} s"
        if done and now - done[-1] < limit.gap_s:
            return f"requests come too often: {limit.gap_s:g} s must lie between two"
        done.append(now)
        return None


def _is_free(limit: Limit, c2s: Any) -> bool:
    return (limit.only_refresh and not c2s.refreshCache) or (limit.only_first_page and bool(c2s.nextReqKey))
