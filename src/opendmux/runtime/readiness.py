"""Can this proxy serve now, and if not, why: what `/readyz` says.

Ready means that the connection to every OpenD has done InitConnect and restored what clients hold, that OpenD has said
how it is, or failed to when it was asked (`Watch.awaited`), that it has its logins for quotes and for trading, also
while it starts, when that is no condition yet, and that it waits for no person: for a code, for an agreement
(`conditions.BLOCKING`). Quote rights and quotas are shown beside
it, with what to do about them, and change nothing: OpenD answers for itself what it can't do, and the rest of it works.
So does a login for trading that was never there, for an account may have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from opendmux.core import snapshot
from opendmux.core.audit import timestamp_of
from opendmux.core.conditions import Condition, Kind, together
from opendmux.core.lanes import Lane, Lanes
from opendmux.core.notices import program_name
from opendmux.core.program import STARTING

from .station import Station

__all__ = ["OpendState", "Readiness", "readiness_of", "shown"]

SAID_ITSELF: Final = frozenset({Kind.UPSTREAM_DOWN, Kind.PAUSED, Kind.AUDIT})
"""What is a reason without its condition: the connection with the time since when, and the audit log."""


@dataclass(frozen=True, slots=True)
class OpendState:
    """One OpenD, or one group of them."""

    name: str
    state: Literal["ready", "down"]
    since: str
    """RFC 3339, UTC."""
    simulated: bool
    quote_login: bool | None
    """None: not known, OpenD has not said so on this connection."""
    trade_login: bool | None
    program_status: str | None
    """Of OpenD's program, in words; None: not known, as above."""
    last_push_age_s: float | None
    """Since the latest push of any kind; None: none has come since the start."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The whole answer."""

    ready: bool
    reasons: list[str]
    """Why not; one sentence each."""
    simulated: bool
    """Some of it is the built-in simulator: no real market, no real money."""
    opends: list[OpendState]
    conditions: list[snapshot.Condition] = field(default_factory=list)
    """Everything that is wrong now, whether it makes the proxy unready or not, with the next step."""


def shown(condition: Condition, offset: float) -> snapshot.Condition:
    """A condition for people who look from outside. ``offset``: UTC less Trio seconds."""
    return snapshot.Condition(
        kind=condition.kind,
        opend=condition.opend,
        subject=condition.subject,
        active=not condition.single,
        since=timestamp_of(offset + condition.since),
        times=condition.times,
        blocks=condition.blocks,
        conclusion=condition.conclusion,
        figures=condition.figures,
        next_step=condition.next_step,
    )


def readiness_of(
    stations: Sequence[Station],
    *,
    now: float,
    wall: float,
    further: Iterable[str] = (),
    conditions: Iterable[Condition] = (),
) -> Readiness:
    """Look at every station. ``now``: Trio seconds, ``wall``: UTC seconds. ``further``: other reasons not to be ready,
    such as a drain. ``conditions``: what is wrong now."""
    wrong = list(conditions)
    reasons = [*further, *(one.sentence for one in wrong if one.blocks and one.kind not in SAID_ITSELF)]
    states = []
    for station in stations:
        lanes = station.hub.router.lanes
        needed: list[Lane] = list(dict.fromkeys((lanes.main, lanes.trade)))
        down = [lane for lane in needed if not lane.upstream.ready]
        reasons += [lane.upstream.absence(now) for lane in down]
        reasons += [
            f"OpenD at {lane.upstream.address} has just been reached, and has not said yet how it is"
            for lane in station.watch.awaited()
        ]
        if _starts(lanes) and not any(one.blocks and one.opend == station.reach.name for one in wrong):
            reasons.append(f"OpenD at {lanes.main.upstream.address} is starting, and is not logged in yet")
        since = min(lane.upstream.down_since for lane in down) if down else max(x.upstream.ready_since for x in needed)
        quote, trade = lanes.main.upstream.logins, lanes.trade.upstream.logins
        states.append(
            OpendState(
                station.reach.name,
                "down" if down else "ready",
                timestamp_of(wall - now + since),
                station.reach.simulated,
                None if quote is None else quote.quote,
                None if trade is None else trade.trade,
                None if lanes.main.upstream.program is None else program_name(lanes.main.upstream.program),
                _age(lanes, now),
            )
        )
    told = [shown(one, wall - now) for one in together(wrong)]
    return Readiness(not reasons, reasons, any(state.simulated for state in states), states, told)


def _starts(lanes: Lanes) -> bool:
    """Its program is on its way in and has not all of its logins; of a group, trading may be another OpenD's."""
    main = lanes.main.upstream
    if main.program not in STARTING or main.logins is None:
        return False
    return not (main.logins.quote and (main.logins.trade or lanes.trade is not lanes.main))


def _age(lanes: Lanes, now: float) -> float | None:
    times = [lane.upstream.pushed_at for lane in lanes.all if lane.upstream.pushed_at is not None]
    return round(now - max(times), 3) if times else None
