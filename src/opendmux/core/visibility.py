"""What a session's key lets it see of the pushes it would get, and a count of what was kept from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from opendmux.wire.protocols import PROTOCOLS, ProtoId

from .identity import Session
from .keys import Key, Scopes
from .whitelists import about_securities, in_whitelists, lists

__all__ = ["Filtered", "Trade", "Visibility"]

Filtered = Callable[[str, str, int], None]
"""Called with the scope that would have been needed, the key id and the number of streams that did not get a push."""

Traded = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Trade:
    """What a trade push is about. ``traded``: (market's name, code) each; empty when it can't be told."""

    proto_id: int
    acc_id: int
    traded: Callable[[], Traded]


class Visibility:
    """The filter of pushes. Sessions without a key see everything.

    ``allowed``: the accounts that a key may use, None for all.
    """

    def __init__(self, filtered: Filtered, allowed: Callable[[Key], frozenset[int] | None]) -> None:
        self._filtered = filtered
        self._allowed = allowed

    def of(self, sessions: Iterable[Session], proto_id: int, security: tuple[int, str] | None = None) -> list[Session]:
        """Those that may see a push of this protocol (and of this security); the others are counted."""
        seeing: list[Session] = []
        for session in sessions:
            if self.sees(session, proto_id, security):
                seeing.append(session)
            else:
                self._count(session, Scopes.QOT_READ if proto_id == ProtoId.NOTIFY else PROTOCOLS[proto_id].scope)
        return seeing

    def sees(self, session: Session, proto_id: int, security: tuple[int, str] | None) -> bool:
        """It may see such a push; nothing is counted."""
        key = session.key
        if key is None:
            return True
        if proto_id == ProtoId.NOTIFY:
            return bool(key.scopes & {Scopes.QOT_READ, Scopes.ACC_READ})
        return PROTOCOLS[proto_id].scope in key.scopes and (security is None or in_whitelists(key, security))

    def of_trade(self, audience: Iterable[Session], trade: Trade) -> list[Session]:
        """Those of a trade push's audience that may see it."""
        seeing: list[Session] = []
        for session in audience:
            if self._sees_trade(session.key, trade):
                seeing.append(session)
            elif session.streams is None:
                self._count(session, Scopes.ACC_READ)
        return seeing

    def missed(self, sessions: Iterable[Session], trade: Trade) -> None:
        """Count the open streams that don't get this trade push because of their key. They need not have asked for the
        account, for a stream that may see one gets it without asking."""
        for session in sessions:
            if session.streams and not self._sees_trade(session.key, trade):
                self._count(session, Scopes.ACC_READ)

    def _sees_trade(self, key: Key | None, trade: Trade) -> bool:
        if key is None:
            return True
        if PROTOCOLS[trade.proto_id].scope not in key.scopes:
            return False
        if key.names_accounts and trade.acc_id not in (self._allowed(key) or frozenset()):
            return False
        if not about_securities(key.limits):
            return True
        traded = trade.traded()
        return bool(traded) and all(lists(key.limits, market, code) for market, code in traded)

    def _count(self, session: Session, scope: str) -> None:
        assert session.key is not None, "only those with a key miss anything"
        if session.push_slots:
            self._filtered(scope, session.key.id, len(session.push_slots))
