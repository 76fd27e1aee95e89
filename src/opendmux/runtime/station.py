"""One OpenD (or one group of them) with everything that runs for it: hub, links, broadcaster, clock."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from opendmux.config import SIMULATED, Config
from opendmux.core.lanes import Lane
from opendmux.core.quote_right import QuoteRight
from opendmux.core.watch import Watch, WatchRules
from opendmux.wire.cipher import RsaKey

from .binding import dial_group
from .broadcast import BATCHES_WAITING, Batch, broadcast
from .house import House
from .hub import Hub
from .operator import Member
from .upstream import Dial, UpstreamLink

__all__ = ["Reach", "Station"]

log = logging.getLogger("opendmux.station")

TICK_S = 0.05
"""How often deadlines are looked at; nearly all of them are seconds long."""

TICK_LEAST_S = 0.001
"""A window that opens sooner than that is waited for so long."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How an upstream is reached.

    A group has ``members`` for quotes, and trades with the first of them alone: ``dial`` and ``trade_name``.
    """

    name: str
    dial: Dial
    trade_name: str | None = None
    members: Sequence[tuple[str, Dial]] = ()
    rsa_key: RsaKey | None = None
    """OpenD's key, for an upstream that encrypts; all members of a group share it."""
    consoles: Sequence[Member] = ()
    """Every OpenD of it as its operator sees it, in the order of ``members``."""

    @property
    def simulated(self) -> bool:
        """The built-in simulator answers, alone or as one of a group."""
        return SIMULATED in {self.name, *(name for name, _dial in self.members)}

    @property
    def members_known(self) -> Sequence[Member]:
        """Every OpenD of it, at least one; those that nothing was configured for have no console."""
        if self.consoles:
            return self.consoles
        return tuple(Member(name, name, counters=(name,)) for name, _dial in self.members or [(self.name, self.dial)])


@dataclass(slots=True, eq=False)
class _Kept:
    """A link that is kept up, or is just ending."""

    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)


@dataclass(slots=True)
class Station:
    """Runs until cancelled; its lanes' links start and stop as core asks for them."""

    config: Config
    reach: Reach
    house: House = field(default_factory=House)
    rsa_key: RsaKey | None = None
    """For clients that encrypt."""
    hub: Hub = field(init=False)
    watch: Watch = field(init=False)
    """What is wrong with this OpenD."""
    link: UpstreamLink = field(init=False)
    """Of the MAIN lane."""
    quotes_from: str = field(init=False)
    """Of a group: the address of the member that the MAIN lane was connected to last."""
    quote_right: QuoteRight = field(init=False)
    """What is done about its quote right; see `quote_rights`."""
    answered: trio.Event = field(init=False, default_factory=trio.Event)
    """OpenD has said how it is, or failed to, for the first time."""
    _kept: dict[int, _Kept] = field(init=False, default_factory=dict)
    """By lane: its newest link."""
    _send: trio.MemorySendChannel[Batch] = field(init=False)
    _receive: trio.MemoryReceiveChannel[Batch] = field(init=False)

    def __post_init__(self) -> None:
        self.hub = Hub(
            self.config, self.reach.name, trade_name=self.reach.trade_name, rsa_key=self.rsa_key, house=self.house
        )
        self.watch = Watch(self.hub.router, self.house.conditions, self._rules, name=self.reach.name)
        self.hub.on_tick.append(self._look)
        self.quotes_from = self.reach.members_known[0].address
        self.house.conditions.members[self.reach.name] = lambda: (
            self.quotes_from,
            self.reach.trade_name or self.quotes_from,
        )
        self.quote_right = QuoteRight(self.reach.members_known[0].quote_right)
        self._send, self._receive = trio.open_memory_channel[Batch](BATCHES_WAITING)
        self.link = self._make(self.hub.router.lanes.main)

    def _look(self, now: float) -> None:
        self.hub.run(self.watch.due(now))
        if self.link.first_ready.is_set() and not self.watch.awaited():
            self.answered.set()

    def _rules(self) -> WatchRules:
        """As they are now: a reload may change them."""
        watch = self.hub.config.watch
        asks_back = self.quoting.quote_right != "never"
        return WatchRules(watch.ask_s, watch.mute_s, watch.quota_percent / 100, asks_back)

    def _make(self, lane: Lane) -> UpstreamLink:
        dial = self.reach.dial
        if self.reach.members and not lane.trades:
            dial = dial_group(self.reach.members, self._connected if lane is self.hub.router.lanes.main else None)
        return UpstreamLink(self.hub, lane, dial, self._send.clone(), self.reach.rsa_key)

    def _connected(self, name: str) -> None:
        self.quotes_from = name

    @property
    def quoting(self) -> Member:
        """The OpenD whose quotes the clients get."""
        known = self.reach.members_known
        return next((member for member in known if member.address == self.quotes_from), known[0])

    async def run(self) -> None:
        """Keep links, broadcaster and clock going until cancelled."""
        lanes = self.hub.router.lanes
        async with trio.open_nursery() as nursery:

            def open_lane(number: int) -> None:
                nursery.start_soon(self._keep, self._make(lanes[number]))

            self.hub.open_lane = open_lane
            self.hub.close_lane = self._close
            nursery.start_soon(broadcast, self.hub, self._receive)
            nursery.start_soon(self._tick)
            nursery.start_soon(self._keep, self.link)
            if lanes.trade is not lanes.main:
                open_lane(lanes.trade.index)

    async def _keep(self, link: UpstreamLink) -> None:
        """A lane may be wanted again while its last link still ends: one after the other."""
        before = self._kept.get(link.number)
        kept = self._kept[link.number] = _Kept()
        try:
            with kept.scope:
                if before is not None:
                    await before.ended.wait()
                await link.run()
        finally:
            kept.ended.set()
            if self._kept.get(link.number) is kept:
                del self._kept[link.number]

    def _close(self, number: int) -> None:
        kept = self._kept.get(number)
        if kept is not None:
            kept.scope.cancel(reason="the lane is not needed any more")

    async def _tick(self) -> None:
        while True:
            try:
                self.hub.tick()
            except Exception:
                log.exception("what was due could not be done")
            # A burst of orders or cancellations leaves 0.02 to 0.04 s apart, within a second in all: every one that
            # waited for the next tick instead would push those behind it over that second.
            due = self.hub.router.metering.next_due()
            await trio.sleep(TICK_S if due is None else max(TICK_LEAST_S, min(TICK_S, due - trio.current_time())))
