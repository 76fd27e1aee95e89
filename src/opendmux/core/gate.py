"""Who may do what, compiled into a policy row: one cell per protocol, looked up by native code for every frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from opendmux.wire.protocols import (
    BASE_ROW,
    N_PROTOCOLS,
    PROTOCOLS,
    PUSH_IDS,
    RequestAction,
    index_of,
)

from .answers import name_of
from .denial import WITHOUT_KEYS, Denial, DenialKind
from .keys import Key, Scopes
from .keyvalues import ANONYMOUS

__all__ = [
    "HANDSHAKE_ROW",
    "TRADE_AREAS",
    "TRADE_LINK",
    "action_of",
    "denial_of",
    "inspecting",
    "is_trade",
    "key_row",
    "may_send_unknown",
    "missing_scope",
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


def missing_scope(key: Key, proto_id: int) -> str:
    """The scope that the key needs for this request and lacks; empty when it may ask.

    A trade write passes with either trade scope here: which one it needs stands in its body. An unknown id needs more
    than a scope, see `may_send_unknown`.
    """
    protocol = PROTOCOLS.get(proto_id)
    if protocol is None:
        return "" if Scopes.TRADE_REAL in key.scopes else Scopes.TRADE_REAL
    if protocol.scope == "none":
        return ""
    if protocol.scope == "trade":
        return "" if key.scopes & {Scopes.TRADE_SIMULATE, Scopes.TRADE_REAL} else Scopes.TRADE_SIMULATE
    if protocol.scope == Scopes.TRADE_UNLOCK and Scopes.TRADE_REAL in key.scopes and not key.strict_unlock:
        return ""
    return "" if protocol.scope in key.scopes else protocol.scope


def may_send_unknown(key: Key) -> bool:
    """Ids that opendmux does not know may be sent. Not with a key that names accounts: nobody can say which account
    such a request is about."""
    return key.allow_unknown and Scopes.TRADE_REAL in key.scopes and not key.names_accounts


def key_row(row: bytes, key: Key) -> bytes:
    """The row, narrowed to what the key may ask. A key that names accounts has every trade read shown to core."""
    cells = bytearray(row)
    cells[0] = cells[0] & ~3 | (RequestAction.INSPECT if may_send_unknown(key) else RequestAction.DENY)
    for protocol in PROTOCOLS.values():
        if missing_scope(key, protocol.proto_id):
            cells[protocol.index] |= RequestAction.DENY
        elif key.names_accounts and protocol.area == "trade-read":
            cells[protocol.index] = cells[protocol.index] & ~3 | RequestAction.INSPECT
    return bytes(cells)


def denial_of(key: Key | None, proto_id: int) -> Denial:
    """Why the row of this key says DENY."""
    if proto_id in PUSH_IDS:
        return Denial(DenialKind.INVALID, "push_id", f"{name_of(proto_id)} is a push, it can't be requested")
    scope = "" if key is None else missing_scope(key, proto_id)
    if proto_id not in PROTOCOLS:
        text = f"proto_id {proto_id} is not known here and was not sent"
        # The scope alone would not do for a key without `allow_unknown`.
        lacks = scope if key is not None and key.allow_unknown else ""
        return Denial(DenialKind.PERMISSION, "unknown", text, lacks)
    if key is None or not scope:
        needed = "it is not allowed any more"
    elif key.id == ANONYMOUS:
        needed = f"it needs {_either(key, proto_id, scope)}{WITHOUT_KEYS}"
    else:
        needed = f"it needs a key with the scope {_either(key, proto_id, scope)}"
    return Denial(DenialKind.PERMISSION, "scope", f"{name_of(proto_id)} was not sent: {needed}", scope)


def _either(key: Key, proto_id: int, scope: str) -> str:
    """With the other scope that would do."""
    real_too = PROTOCOLS[proto_id].scope == "trade" or (scope == Scopes.TRADE_UNLOCK and not key.strict_unlock)
    return f"{scope} or {Scopes.TRADE_REAL}" if real_too else scope


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
