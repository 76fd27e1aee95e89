"""The lanes: upstream connections with different properties, and what belongs to each.

One OpenD connection has one push format, one set of options per subscribed stream, and one set of account pushes.
Clients that need another of these get it from another connection, a lane of its own:

- MAIN: protobuf pushes; nearly everything. Always wanted.
- JSON: pushes as JSON, for clients whose InitConnect asks for them; made when the first such client comes.
- EXTRA: streams whose options conflict with those in use elsewhere; a small pool, made on demand, given up when empty.
  Each is made with the push format of the client that needs it, and serves clients of that format.
- TRADE: the trade calls of a group of OpenDs, whose quotes may fail over while trading never does.
- JSON_TRADE: the same for the clients of JSON.

A lane has its own ledger, list of account pushes, roster, push cache and link. Lane number = the switch's link number.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from opendmux.wire.frame import ProtoFmt

from .accounts import Accounts
from .commands import CloseLane, Command, OpenLane
from .identity import Session, Upstream
from .ledger import Ledger
from .pushes import Pushes
from .quotes import Quotes
from .roster import Roster
from .trading import Trading
from .unlock import Unlock
from .visibility import Visibility

__all__ = ["Lane", "LaneKind", "Lanes", "Waiting"]


IDLE_S = 30.0
"""A lane that was made on demand and has nothing left to do is kept for so long: making one takes a handshake."""


class LaneKind(enum.Enum):
    """Why a lane exists."""

    MAIN = "main"
    JSON = "json"
    EXTRA = "extra"
    TRADE = "trade"
    JSON_TRADE = "json trade"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that waits for a lane to become ready."""

    until: float
    session: Session
    go: Callable[[float], list[Command]]
    give_up: Callable[[float], list[Command]]


class Lane:
    """One upstream connection and what hangs on it."""

    def __init__(
        self,
        index: int,
        kind: LaneKind,
        address: str,
        sessions: Mapping[int, Session],
        unlock: Unlock,
        visibility: Visibility,
    ) -> None:
        self.index = index
        self.kind = kind
        self.upstream = Upstream(address)
        self.wanted = kind in (LaneKind.MAIN, LaneKind.TRADE)
        """A link is kept for it."""
        self.idle_since: float | None = None
        self.opening = False
        """Wanted, and not yet ready since: requests wait for it instead of being refused."""
        self.ever_ready = False
        """It has been ready since it was last wanted."""
        self.waiting: deque[Waiting] = deque()
        self.ledger = Ledger()
        self.accounts = Accounts()
        self.pushes = Pushes(index, self.accounts, sessions, self.ledger, visibility)
        if kind in (LaneKind.JSON, LaneKind.JSON_TRADE):
            self.pushes.push_fmt = ProtoFmt.JSON
        self.quotes = Quotes(index, self.ledger, self.pushes)
        self.trading = Trading(index, self.accounts, unlock)
        self.roster = Roster(index, lambda: self.upstream.ready)

    @property
    def push_fmt(self) -> ProtoFmt:
        """Of its pushes; an EXTRA lane's is set anew whenever it is made."""
        return self.pushes.push_fmt

    @property
    def trades(self) -> bool:
        """It is there for a group's trade calls."""
        return self.kind in (LaneKind.TRADE, LaneKind.JSON_TRADE)

    def __str__(self) -> str:
        return self.kind.value if self.kind is not LaneKind.EXTRA else f"extra {self.index}"


class Lanes:
    """All lanes of one OpenD, or of one group of OpenDs; made once, used when wanted.

    ``extra``: how many EXTRA lanes there may be. ``trade_address``: of the TRADE lanes, None where MAIN and JSON
    trade.
    """

    def __init__(
        self,
        address: str,
        sessions: Mapping[int, Session],
        unlock: Unlock,
        visibility: Visibility,
        *,
        extra: int,
        trade_address: str | None = None,
    ) -> None:
        self._sessions = sessions
        self.main = Lane(0, LaneKind.MAIN, address, sessions, unlock, visibility)
        self.json = Lane(1, LaneKind.JSON, address, sessions, unlock, visibility)
        self.all = [self.main, self.json]
        self.trade, self._json_trade = self.main, self.json
        if trade_address is not None:
            self.trade = Lane(2, LaneKind.TRADE, trade_address, sessions, unlock, visibility)
            self._json_trade = Lane(3, LaneKind.JSON_TRADE, trade_address, sessions, unlock, visibility)
            self.all += [self.trade, self._json_trade]
        first = len(self.all)
        self.extras = [
            Lane(first + number, LaneKind.EXTRA, address, sessions, unlock, visibility) for number in range(extra)
        ]
        self.all += self.extras

    def __getitem__(self, index: int) -> Lane:
        return self.all[index]

    def trade_of(self, session: Session) -> Lane:
        """Where the trade calls of this client go, and its order pushes come from."""
        return self._json_trade if session.lane == self.json.index else self.trade

    def home_json(self, session: Session, now: float) -> list[Command]:
        """The client wants its pushes as JSON."""
        session.lane = self.json.index
        return [command for lane in dict.fromkeys((self.json, self._json_trade)) for command in self.open(lane, now)]

    def open(self, lane: Lane, now: float, push_fmt: ProtoFmt | None = None) -> list[Command]:
        """Make a link for this lane, unless there is one; ``push_fmt``: of an EXTRA lane."""
        if lane.wanted:
            return []
        if push_fmt is not None:
            lane.pushes.push_fmt = push_fmt
        lane.wanted = lane.opening = True
        lane.ever_ready = False
        lane.upstream.down_since = now
        return [OpenLane(lane.index)]

    def tidy(self, now: float) -> list[Command]:
        """Give up lanes that were made on demand and that nobody needs any more."""
        commands: list[Command] = []
        for lane in self.all:
            if lane.kind in (LaneKind.MAIN, LaneKind.TRADE) or not lane.wanted:
                continue
            home = self.json if lane.kind is LaneKind.JSON_TRADE else lane
            if lane.waiting or not lane.ledger.empty() or any(s.lane == home.index for s in self._sessions.values()):
                lane.idle_since = None
            elif lane.idle_since is None:
                lane.idle_since = now
            elif now - lane.idle_since >= IDLE_S:
                lane.wanted = lane.opening = lane.upstream.ready = False
                lane.idle_since = None
                commands.append(CloseLane(lane.index))
        return commands

    def wanted(self) -> Iterator[Lane]:
        """Lanes that have, or are about to have, a link."""
        return (lane for lane in self.all if lane.wanted)
