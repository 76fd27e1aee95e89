"""What a session's key lets it see of the pushes it would get, and a count of what was kept from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opendmux.wire.protocols import PROTOCOLS, ProtoId

from .identity import Session
from .keys import Key, Scopes
from .markets import QOT_MARKETS

__all__ = ["Filtered", "Visibility", "in_whitelists"]

Filtered = Callable[[str, str, int], None]
"""Called with the scope that would have been needed, the key id and the number of streams that did not get a push."""


def in_whitelists(key: Key, security: tuple[int, str]) -> bool:
    """The security is in the key's markets and symbols. ``security``: (Qot_Common.QotMarket, code)."""
    limits = key.limits
    if limits.allowed_markets is None and limits.allowed_symbols is None:
        return True
    market = QOT_MARKETS.get(security[0], "")
    if limits.allowed_markets is not None and market not in limits.allowed_markets:
        return False
    return limits.allowed_symbols is None or f"{market}.{security[1]}" in limits.allowed_symbols


class Visibility:
    """The filter of one lane's pushes. Sessions without a key see everything."""

    def __init__(self, filtered: Filtered) -> None:
        self._filtered = filtered

    def of(self, sessions: Iterable[Session], proto_id: int, security: tuple[int, str] | None = None) -> list[Session]:
        """Those that may see a push of this protocol (and of this security); the others are counted."""
        return [session for session in sessions if session.key is None or self._sees(session, proto_id, security)]

    def missed(self, sessions: Iterable[Session], proto_id: int) -> None:
        """A push that goes by account: count the streams that would have got it, had their key the scope."""
        scope = PROTOCOLS[proto_id].scope
        for session in sessions:
            if session.streams is not None and session.key is not None and scope not in session.key.scopes:
                self._count(session, scope)

    def _sees(self, session: Session, proto_id: int, security: tuple[int, str] | None) -> bool:
        key = session.key
        assert key is not None, "a session without a key sees everything"
        if proto_id == ProtoId.NOTIFY:
            scope, sees = Scopes.QOT_READ, bool(key.scopes & {Scopes.QOT_READ, Scopes.ACC_READ})
        else:
            scope = PROTOCOLS[proto_id].scope
            sees = scope in key.scopes and (security is None or in_whitelists(key, security))
        if not sees:
            self._count(session, scope)
        return sees

    def _count(self, session: Session, scope: str) -> None:
        assert session.key is not None, "only those with a key miss anything"
        if session.push_slots:
            self._filtered(scope, session.key.id, len(session.push_slots))
