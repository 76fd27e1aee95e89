"""What the simulator does wrong on purpose: switches that hold until they are changed, and tricks on single frames.

No clock and no chance: a trick is due at the n-th matching frame, so the same requests always meet the same faults.
What needs the streams themselves is a method of the simulator: `Simulator.drop`, `Simulator.crash` and others.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .refusal import Refused

__all__ = ["Act", "Faults", "Trick"]


class Act(enum.StrEnum):
    """What a trick does. The first four act on a request or a push, the others on the reply or the push."""

    DROP = "drop"
    """The connection ends (FIN) at a frame boundary."""
    RESET = "reset"
    """The connection ends with a reset (RST, on TCP); what was queued is lost."""
    SILENCE = "silence"
    """The connection stays and is read, but nothing is done, answered or pushed on it any more."""
    CRASH = "crash"
    """Every connection is reset, and nobody can connect for ``seconds``; see `Simulator.crash`."""
    HALF = "half"
    """Half of the frame, then the end (FIN)."""
    WRONG_SERIAL = "wrong_serial"
    """A serial number nobody used."""
    BAD_SHA1 = "bad_sha1"
    DOUBLE = "double"
    """The frame comes twice."""
    SWAP = "swap"
    """The frame comes behind the next reply of its connection."""


ENDS = frozenset({Act.DROP, Act.RESET, Act.SILENCE, Act.CRASH})


@dataclass(slots=True, kw_only=True)
class Trick:
    """One fault at the ``nth`` matching frame and the ``times`` - 1 matching ones after it."""

    act: Act
    proto_id: int = 0
    """Of the request or of the push; 0: every request."""
    connection: int = 0
    """Number of the connection; 0: any, all counted together."""
    nth: int = 1
    times: int = 1
    executed: bool = False
    """For the acts that end a connection at a request: do what it asks for, but answer nothing."""
    seconds: float = 0.0
    """For `Act.CRASH`: how long nobody can connect."""
    seen: int = 0
    """Matching frames so far."""

    @property
    def ends(self) -> bool:
        """It takes the place of the reply."""
        return self.act in ENDS


@dataclass(slots=True)
class Faults:
    """The seams: the engine asks `before_handling`, the connection `reply_delay_s` and `due`, the feed ``mute_feed``.

    A small subscription quota is ``Simulator.subscriptions.quota``.
    """

    mute_feed: bool = False
    """The market moves, but nobody is told."""
    delays_s: dict[int, float] = field(default_factory=dict)
    """proto_id -> seconds by which its replies come late; what happens, happens at once."""
    refusals: dict[int, str] = field(default_factory=dict)
    """proto_id -> text with which it is refused."""
    lost_rights: set[int] = field(default_factory=set)
    """QotMarkets that can't be subscribed. `Simulator.set_lost_rights` tells the clients, too."""
    kicked: bool = False
    """Another terminal has the quote right: no market can be subscribed, nothing is pushed. See `Simulator.kick`."""
    right_is_kept: bool = False
    """The other terminal keeps the quote right, whatever the console is told."""
    black_hole: bool = False
    """Connections are accepted and read, and nothing else. Those that sent something stay dead when it ends."""
    tricks: list[Trick] = field(default_factory=list)
    """Those still to come; a finished one is taken out."""

    def before_handling(self, proto_id: int) -> None:
        """Raises Refused for a proto_id that shall fail."""
        text = self.refusals.get(proto_id)
        if text is not None:
            raise Refused(text)

    def need_right(self, market: int) -> None:
        """Raises Refused for a QotMarket that can't be subscribed."""
        if not self.has_right(market):
            raise Refused(f"no quote right for market {market}")

    def has_right(self, market: int) -> bool:
        return not self.kicked and market not in self.lost_rights

    @property
    def feed_is_silent(self) -> bool:
        return self.mute_feed or self.kicked

    def reply_delay_s(self, proto_id: int) -> float:
        return self.delays_s.get(proto_id, 0.0)

    def due(self, connection: int, proto_id: int, *, push: bool = False) -> Trick | None:
        """The trick to play on this frame, which counts for all that match it; the oldest wins."""
        matching = [
            trick
            for trick in self.tricks
            if (trick.proto_id == proto_id or (not push and not trick.proto_id)) and trick.connection in {0, connection}
        ]
        for trick in matching:
            trick.seen += 1
        for trick in matching:
            if trick.seen >= trick.nth:
                trick.times -= 1
                if trick.times <= 0:
                    self.tricks.remove(trick)
                return trick
        return None
