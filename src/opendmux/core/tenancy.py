"""Sessions and their keys while they live: callers begin and stream; keys expire, are revoked or changed."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final

from opendmux.wire.handshake import State
from opendmux.wire.protocols import PROTOCOLS, RequestAction

from .access import Access
from .commands import Command, UseRow
from .entry import Entry, end
from .gate import action_of, inspecting
from .identity import Session
from .keys import Key, Scopes
from .lanes import Lane, Lanes
from .roster import Roster

__all__ = ["ENDED", "Tenancy"]

ENDED: Final = "its key has expired or was revoked"

REVIEW_S: Final = 1.0
"""How often sessions are looked at for keys that have expired."""


class Tenancy:
    """Of one router, whose sessions these are. ``wall``: UTC seconds, as everywhere in core."""

    def __init__(
        self, sessions: MutableMapping[int, Session], access: Access, entry: Entry, lanes: Lanes, roster: Roster
    ) -> None:
        self._sessions = sessions
        self._access = access
        self._entry = entry
        self._lanes = lanes
        self._roster = roster
        self._reviewed_at = 0.0

    def open_caller(self, session: Session) -> None:
        """A key's session on a face of its own begins; it needs no InitConnect."""
        session.state = State.READY
        session.row = self._entry.row_of(session.key)
        session.recv_notify = True
        session.streams = []
        self._sessions[session.owner] = session

    def stream_opened(self, session: Session, slot: int, now: float) -> list[Command]:
        """A caller's stream begins: it gets the newest of what the session holds, and the session's accounts join the
        account pushes."""
        greetings = [push for lane in self._lanes.wanted() for push in lane.pushes.greeting(session, slot)]
        return [*greetings, *self._watch_accounts(session, now)]

    def _watch_accounts(self, session: Session, now: float) -> list[Command]:
        lane = self._lanes.trade
        if session.key is None or Scopes.ACC_READ not in session.key.scopes or not lane.upstream.ready:
            return []  # when the lane is back, `watch_all` asks again

        def told(_later: float) -> list[Command]:
            if not session.ready or not session.streams or session.key is None or not lane.upstream.ready:
                return []
            if Scopes.ACC_READ not in session.key.scopes:
                return []
            return lane.trading.watch(session.owner, self._roster.visible(session.key))

        return self._roster.when_known(told, now)

    def streams_closed(self, session: Session) -> list[Command]:
        """The last stream of a caller has ended: nobody reads its account pushes."""
        return [command for lane in self._lanes.wanted() for command in lane.trading.narrow(session.owner, frozenset())]

    def due(self, now: float, wall: float) -> list[Command]:
        """Keys that have expired; accounts that OpenD did not tell the last time."""
        commands = self.review(now, wall) if now - self._reviewed_at >= REVIEW_S else []
        if self._roster.due(now):
            commands += self.watch_all(now)
        for lane in self._lanes.wanted():
            if lane.roster.due(now):
                commands += self.introduce(lane, now)
        return commands

    def introduce(self, lane: Lane, now: float) -> list[Command]:
        """Read the account list for clients that read it on a former connection of this lane: OpenD takes no order of
        a real account on a connection that has not, and only the Python SDK reads it before each order."""
        stayed = any(s.trades and s.ready and self._lanes.trade_of(s) is lane for s in self._sessions.values())
        return lane.roster.read(now) if stayed else []

    def watch_all(self, now: float) -> list[Command]:
        """The accounts may be asked for (again): every stream that wants their pushes does."""
        streaming = [session for session in self._sessions.values() if session.streams]
        return [command for session in streaming for command in self._watch_accounts(session, now)]

    def review(self, now: float, wall: float) -> list[Command]:
        """Look at the keys of all sessions again: some may have ended, or have been changed by a reload."""
        self._reviewed_at = now
        commands: list[Command] = []
        for session in [session for session in self._sessions.values() if session.ready]:
            if self._access.ended(session, wall):
                commands.append(end(session, ENDED))
                continue
            key = self._access.still(session, wall)
            if key is not None and key is not session.key:
                commands += self._use_key(session, key, now)
        return commands

    def refreeze(self) -> list[Command]:
        """A freeze has begun, changed or ended: every session goes by it from its next frame on."""
        commands: list[Command] = []
        for session in [session for session in self._sessions.values() if session.ready]:
            row = self._row_of(session, session.key)
            if row != session.row:
                session.row = row
                commands.append(UseRow(session))
        return commands

    def _row_of(self, session: Session, key: Key | None) -> bytes:
        """What core was shown of the session, it is shown still: a stream on an EXTRA lane needs that."""
        shown = [proto_id for proto_id in PROTOCOLS if action_of(session.row, proto_id) is RequestAction.INSPECT]
        return inspecting(self._entry.row_of(key), shown)

    def _use_key(self, session: Session, key: Key, now: float) -> list[Command]:
        """The session's key has been changed."""
        session.key, session.row = key, self._row_of(session, key)
        commands: list[Command] = [UseRow(session)]
        allowed = self._roster.allowed(key) if Scopes.ACC_READ in key.scopes else frozenset()
        for lane in self._lanes.wanted():
            commands += lane.trading.narrow(session.owner, allowed)
        return commands + (self._watch_accounts(session, now) if session.streams else [])
