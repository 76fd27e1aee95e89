"""Who may do what, compiled into a policy row: one cell per protocol, looked up by native code for every frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from opendmux.wire.protocols import BASE_ROW, N_PROTOCOLS, PROTOCOLS, RequestAction, index_of

__all__ = [
    "HANDSHAKE_ROW",
    "TRADE_AREAS",
    "TRADE_LINK",
    "action_of",
    "inspecting",
    "is_trade",
    "open_row",
    "with_trade_link",
]

TRADE_AREAS: Final = frozenset({"trade-read", "trade-write", "trade-sub", "unlock"})
TRADE_IDS: Final = range(2000, 3000)
"""OpenD's numbering; for ids that opendmux does not know."""
TRADE_LINK: Final = 1
"""Index into a session's own link map; 0 is its home lane."""

HANDSHAKE_ROW = bytes([RequestAction.LOCAL]) * (N_PROTOCOLS + 1)
"""Until InitConnect has been answered every frame is core's to judge."""


def open_row(*, allow_unknown: bool) -> bytes:
    """The row of a client that may do everything OpenD itself would let it do.

    Pushes sent as requests are refused in any case; unknown ids only when ``allow_unknown`` is off.
    """
    unknown = RequestAction.PASS if allow_unknown else RequestAction.DENY
    return bytes([unknown]) + BASE_ROW[1:]


def with_trade_link(row: bytes) -> bytes:
    """The row with every trade protocol on link index 1 of the session: where a group of OpenDs trades. Unknown ids,
    where they are passed on, are shown to core, which goes by their number."""
    cells = bytearray(row)
    if cells[0] & 3 == RequestAction.PASS:
        cells[0] |= RequestAction.INSPECT
    for protocol in PROTOCOLS.values():
        if protocol.area in TRADE_AREAS:
            cells[protocol.index] |= TRADE_LINK << 4
    return bytes(cells)


def is_trade(proto_id: int) -> bool:
    """The call belongs to the OpenD that trades."""
    protocol = PROTOCOLS.get(proto_id)
    return proto_id in TRADE_IDS if protocol is None else protocol.area in TRADE_AREAS


def inspecting(row: bytes, proto_ids: Iterable[int]) -> bytes:
    """The row with these requests shown to core where they were passed on unseen."""
    cells = bytearray(row)
    for proto_id in proto_ids:
        index = index_of(proto_id)
        if cells[index] & 3 == RequestAction.PASS:
            cells[index] |= RequestAction.INSPECT
    return bytes(cells)


def action_of(row: bytes, proto_id: int) -> RequestAction:
    """What the row says to a request of this id."""
    return RequestAction(row[index_of(proto_id)] & 3)
