"""Who may do what, compiled into a policy row: one cell per protocol, looked up by native code for every frame."""

from __future__ import annotations

from opendmux.wire.protocols import BASE_ROW, N_PROTOCOLS, RequestAction, index_of

__all__ = ["HANDSHAKE_ROW", "action_of", "open_row"]

HANDSHAKE_ROW = bytes([RequestAction.LOCAL]) * (N_PROTOCOLS + 1)
"""Until InitConnect has been answered every frame is core's to judge."""


def open_row(*, allow_unknown: bool) -> bytes:
    """The row of a client that may do everything OpenD itself would let it do.

    Pushes sent as requests are refused in any case; unknown ids only when ``allow_unknown`` is off.
    """
    unknown = RequestAction.PASS if allow_unknown else RequestAction.DENY
    return bytes([unknown]) + BASE_ROW[1:]


def action_of(row: bytes, proto_id: int) -> RequestAction:
    """What the row says to a request of this id."""
    return RequestAction(row[index_of(proto_id)] & 3)
