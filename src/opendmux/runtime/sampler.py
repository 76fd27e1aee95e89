"""Rates: the counters of every station, read once a second by one task.

Nothing is counted for it: the switch counts anyway, and a rate is the difference of two readings.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import trio

from opendmux.core.identity import Session
from opendmux.native import SlotFigures

from .hub import Hub
from .station import Station

__all__ = ["SAMPLE_S", "WINDOW", "Latencies", "Sample", "Sampler", "Samples", "figures_of"]

log = logging.getLogger("opendmux.status")

SAMPLE_S: Final = 1.0
WINDOW: Final = 60
"""Rates that are kept: a minute."""

Latencies: TypeAlias = Mapping[int, tuple[tuple[int, ...], float]]
"""As `Switch.latencies`."""


class Sample(NamedTuple):
    """One reading."""

    at: float
    requests: int
    pushes_in: int
    pushes_out: int
    latencies: Latencies


def figures_of(hub: Hub, session: Session) -> SlotFigures:
    """Of the client with all its streams, those that have ended included."""
    figures = hub.switch.slot_figures(session.slot)
    if session.streams is None:
        return figures
    streams = [hub.switch.slot_figures(slot) for slot in session.streams]
    return SlotFigures(
        session.calls,
        session.past_pushes + sum(stream.pushes_out for stream in streams),
        figures.outbox_bytes + sum(stream.outbox_bytes for stream in streams),
        figures.in_flight,
    )


class Samples:
    """Of one station."""

    def __init__(self) -> None:
        self.window: deque[Sample] = deque(maxlen=WINDOW + 1)
        self._counts: dict[int, tuple[int, int]] = {}
        self._rates: dict[int, tuple[float, float]] = {}

    def take(self, hub: Hub, now: float) -> None:
        """Read the counters. ``now``: Trio seconds."""
        counters = hub.switch.counters()
        before = self.window[-1].at if self.window else now
        passed = now - before
        counts, rates = {}, {}
        for owner, session in hub.router.sessions.items():
            if session.slot not in hub.clients:
                continue
            figures = figures_of(hub, session)
            new = counts[owner] = figures.frames_in, figures.pushes_out
            # A client that came meanwhile begins at nothing.
            old = self._counts.get(owner, (0, 0))
            rates[owner] = (_rate(new[0] - old[0], passed), _rate(new[1] - old[1], passed))
        self._counts, self._rates = counts, rates
        requests = counters.frames_in + hub.calls
        self.window.append(Sample(now, requests, counters.pushes_in, counters.pushes_out, hub.switch.latencies()))

    def of_client(self, owner: int) -> tuple[float, float]:
        """Requests and pushes per second."""
        return self._rates.get(owner, (0.0, 0.0))

    def rates(self, figure: Callable[[Sample], int]) -> list[float]:
        """Per second, for each second of the window, oldest first."""
        found = []
        before = None
        for sample in self.window:
            if before is not None:
                found.append(_rate(figure(sample) - figure(before), sample.at - before.at))
            before = sample
        return found

    @property
    def seconds(self) -> float:
        """How long the window is."""
        return self.window[-1].at - self.window[0].at if self.window else 0.0


def _rate(count: int, seconds: float) -> float:
    return round(max(0, count) / seconds, 1) if seconds > 0 else 0.0


class Sampler:
    """Of one process."""

    def __init__(self, stations: Callable[[], Sequence[Station]]) -> None:
        self._stations = stations
        self._samples: dict[int, Samples] = {}
        self._taken = trio.Event()
        self.count = 0
        """Readings so far."""

    def of(self, number: int) -> Samples:
        """Of the station with this number in the list."""
        return self._samples.setdefault(number, Samples())

    def take(self, now: float) -> None:
        """Read everything once."""
        for number, station in enumerate(self._stations()):
            self.of(number).take(station.hub, now)
        self.count += 1
        taken, self._taken = self._taken, trio.Event()
        taken.set()

    async def taken(self) -> None:
        """Wait for the next reading. Cancellation: nothing is changed."""
        await self._taken.wait()

    async def run(self) -> None:
        """Read every `SAMPLE_S` until cancelled."""
        while True:
            try:
                self.take(trio.current_time())
            except Exception:
                log.exception("the counters could not be read")
            await trio.sleep(SAMPLE_S)
