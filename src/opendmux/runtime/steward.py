"""Looks after the orders of keys that go missing: watches, cancels, and keeps over a restart which orders there are.

One task looks four times a second who is there (`core.lifesigns`), and starts a sweep (`core.sweeps`) for each OpenD at
which a missing key has orders. A sweep asks through a seat of its own (`own`), so OpenD's windows, PacketIDs and the
audit are those of every trade write, cancels first. While nothing may be cancelled (a freeze to read-only, a pause, an
outage) it waits. A stop of opendmux cancels nothing; what it knows is on disk, and counts again after the start.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio

from opendmux.core.answers import verdict
from opendmux.core.audit import AuditEvent
from opendmux.core.commands import Outcome
from opendmux.core.conditions import Kind
from opendmux.core.custody import Placed, cancel_body, dump, guarded, list_body, parse
from opendmux.core.denial import Denial
from opendmux.core.lifesigns import Guard, LifeSigns, Missing, dead_man
from opendmux.core.sweeps import Cancel, Look, Sweep
from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import RetType
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .freezer import Freezer
from .house import House
from .own import PROXY, Seat
from .state import OthersStateError, StateError
from .station import Station

__all__ = ["LOOK_S", "ORDERS", "Steward"]

log = logging.getLogger("opendmux.steward")

LOOK_S: Final = 0.25
KEEP_AGAIN_S: Final = 5.0
"""After the disk has failed."""
LAST_KEEP_S: Final = 1.0
"""For what is to be kept at the end."""
CRASH_S: Final = 30.0
"""After a sweep has crashed, before the next one."""
NOBODY: Final = 0
"""An owner that no session has: account pushes that the proxy wants for itself."""
ORDERS: Final = "orders.json"
"""The file."""
ACC_LIST: Final = encode(opend.GetAccListRequest(c2s=opend.GetAccListC2S(userID=0, needGeneralSecAccount=True)))


@dataclass(slots=True)
class Steward:
    """One per process. ``stopping``: nothing new is begun."""

    house: House
    freezer: Freezer
    stations: Callable[[], Sequence[Station]]
    stopping: Callable[[], bool]
    wall: Callable[[], float] = time.time
    signs: LifeSigns = field(init=False)
    _guards: dict[str, Guard] = field(default_factory=dict)
    """Of all keys that want to be watched; of one that has vanished with orders open, as it was last."""
    _sweeping: set[tuple[str, str]] = field(default_factory=set)
    """Key and OpenD."""
    _kept: tuple[int, ...] = ()
    """The versions that are on disk."""
    _said: str = ""
    """Why it can't be kept, once that has been said."""
    _silent: frozenset[str] = frozenset()
    """Keys that a dead-man timer has put down."""

    def __post_init__(self) -> None:
        self.signs = LifeSigns(self.house.access.freezes)
        self.house.access.heard = self.signs.heard

    async def run(self) -> None:
        """Watch until cancelled. Cancellation: sweeps end where they are; what they know is on disk."""
        self.signs.begun = trio.current_time()
        self._take_up()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep)
            while True:
                await trio.sleep(LOOK_S)
                try:
                    self._want_pushes()
                    for missing in self._look():
                        if missing.why == "silent":
                            self._put_down(missing)
                        self._cancel(missing, nursery)
                    if not self.stopping():
                        # Silence is said once; a sweep for it may have crashed, or another one was at work.
                        for key_id in self._silent:
                            self._cancel(Missing(key_id, "silent", 0.0), nursery)
                except Exception:
                    log.exception("a crash over the orders of missing keys; trying again")

    # -- watching

    def _want_pushes(self) -> None:
        """How the orders end is told in pushes of their accounts, whether a client has asked for them or not."""
        for station in self.stations():
            router = station.hub.router
            lane = router.lanes.trade
            if lane.upstream.ready and router.writes.custody.accounts:
                station.hub.run(lane.trading.watch(NOBODY, router.writes.custody.accounts))

    def _look(self) -> list[Missing]:
        self._learn_guards()
        self._tell_of_thaws()
        if self.stopping() or not self._guards:
            return []
        present, holders = set(), dict[str, int]()
        for station in self.stations():
            router = station.hub.router
            present |= {s.key.id for s in router.sessions.values() if s.ready and s.attended and s.key is not None}
            for key_id, count in router.writes.custody.holders().items():
                holders[key_id] = holders.get(key_id, 0) + count
        return self.signs.look(self._guards, present, holders, trio.current_time())

    def _learn_guards(self) -> None:
        keyring = self.house.access.keyring
        keys = {} if keyring is None else keyring.keys
        wanted = {key.id: Guard(key.cancel_on_disconnect, key.dead_man_s) for key in keys.values() if guarded(key)}
        custodies = [station.hub.router.writes.custody for station in self.stations()]
        for key_id in {key_id for custody in custodies for key_id in custody.holders()} - wanted.keys():
            if key_id in keys:  # it is there and does not want it any more
                log.warning("the key %s is not watched any more: its orders are let go", key_id)
                for custody in custodies:
                    custody.forget(key_id)
            else:
                wanted[key_id] = self._guards.get(key_id) or Guard(0.0, None)
        self._guards = wanted

    def _put_down(self, missing: Missing) -> None:
        """A key that showed no life may only cancel from now on."""
        freeze = dead_man(missing.key_id, self.wall(), missing.seconds)
        log.warning("the key %s showed no life for %.0f s: %s", missing.key_id, missing.seconds, freeze.text())
        self._note(missing.key_id, "dead man", f"no life for {missing.seconds:.0f} s")
        self.house.access.freezes.put(freeze)
        self.freezer.apply()

    def _cancel(self, missing: Missing, nursery: trio.Nursery) -> None:
        """Begin with it where nothing is at work for the key yet."""
        for station in self.stations():
            custody = station.hub.router.writes.custody
            place = (missing.key_id, station.reach.name)
            if custody.of(missing.key_id) and place not in self._sweeping:
                self._sweeping.add(place)
                nursery.start_soon(self._sweep, station, missing)

    def _tell_of_thaws(self) -> None:
        """A key that was silent has spoken: its sessions elsewhere and the conditions hear of it."""
        silent = frozenset(f.key for f in self.house.access.freezes.active() if f.silent and f.key is not None)
        if self._silent - silent:
            self.freezer.apply()
        for key_id in self._silent - silent:
            log.warning("the key %s is off its dead-man timer's freeze", key_id)
        self._silent = silent

    # -- cancelling

    async def _sweep(self, station: Station, missing: Missing) -> None:
        """Until it is over. A crash in it is told, and ends neither the watch nor the hope of the next one."""
        key_id, name = missing.key_id, station.reach.name
        sweep = Sweep(key_id, station.hub.router.writes.custody)
        try:
            await self._swept(sweep, missing, station)
        except Exception:
            log.exception("a crash over the orders of the key %s; it is looked at again", key_id)
            sweep.trouble = "opendmux has made a mistake; its log says which."
            self._tell(sweep, name)
            self._note(key_id, missing.what, f"a crash after {sweep.cancelled} cancels", failed=True)
            await trio.sleep(CRASH_S)
        finally:
            self._sweeping.discard((key_id, name))
            self.house.conditions.over(Kind.ORDERS_LEFT, key_id, trio.current_time(), opend=name)

    async def _swept(self, sweep: Sweep, missing: Missing, station: Station) -> None:
        key_id, custody = missing.key_id, sweep.custody
        why = missing.what
        log.warning("%s: the key %s is missing; its %d orders are cancelled", why, key_id, len(custody.of(key_id)))
        seat = Seat(station.hub, f"{why}: key {key_id}", key_id)
        try:
            await self._steps(sweep, seat, missing, station)
        finally:
            seat.leave()
        left = len(custody.of(key_id))
        freeze = self.house.access.freezes.silent(key_id)
        if missing.why == "silent" and freeze is not None and not (left or sweep.cancelled or sweep.vanished):
            log.warning("the key %s had no order open after all", key_id)
            self.house.access.freezes.lift(freeze)
            self.freezer.apply()
        log.warning("%s: the key %s: %s", why, key_id, sweep.summary)
        self._note(key_id, why, sweep.summary, failed=bool(left or sweep.vanished))

    async def _steps(self, sweep: Sweep, seat: Seat, missing: Missing, station: Station) -> None:
        greeted = False
        while True:
            step = sweep.step(trio.current_time(), back=self._is_back(missing))
            if step is None:
                return
            if isinstance(step, Look):
                if (until := self._its_time(missing, station)) > trio.current_time():
                    await trio.sleep_until(until)
                    if self._is_back(missing):
                        return
                    continue
                if not greeted:  # OpenD takes no order on a connection that has not read its accounts
                    await seat.ask(ProtoId.TRD_GET_ACC_LIST, ACC_LIST)
                    greeted = True
                answer, denial = await seat.ask(ProtoId.TRD_GET_ORDER_LIST, list_body(step.account))
                self._looked(sweep, step, station, answer, denial)
            elif isinstance(step, Cancel):
                frozen = self.house.access.freezes.denial(
                    sweep.key_id, ProtoId.TRD_MODIFY_ORDER, 0, body := cancel_body(step.placed)
                )
                if frozen is not None or self.stopping():
                    sweep.held("opendmux is stopping" if frozen is None else frozen.text)
                    continue
                answer, denial = await seat.ask(ProtoId.TRD_MODIFY_ORDER, body)
                ret_type, ret_msg = verdict(answer)
                log.warning("%s: cancel %s", step.placed.name, ret_msg or ("taken" if ret_type == 0 else ret_type))
                if ret_type == RetType.SUCCEED:
                    sweep.taken()
                else:
                    sweep.refused(ret_msg)
            else:
                greeted = False
                self._tell(sweep, station.reach.name)
                await trio.sleep_until(step.until)

    def _its_time(self, missing: Missing, station: Station) -> float:
        """Until when nothing is cancelled: while OpenD was away a key could perhaps not come back or speak, for nobody
        is let in before its first connection, nor during an outage with ``on_outage = "close"``. Counts from its
        return; while it is away, asking it says so. The same goes for an outage of another OpenD that has ended the
        key's last connections: the key has not left, unless its dead-man timer says that it is dead."""
        router, now = station.hub.router, trio.current_time()
        if not router.lanes.trade.upstream.ready:
            return -math.inf
        since = [router.outages.back_since]
        lives = self.house.access.knows(missing.key_id, self.wall()) and not self._is_dead(missing.key_id)
        if missing.why == "gone" and lives:
            there = self.signs.last_there(missing.key_id)
            others = [other.hub.router.outages for other in self.stations() if other is not station]
            since += [outages.kept_out_until(missing.key_id, there, now) for outages in others]
        return max(since) + self.signs.time_s(missing, self._guards.get(missing.key_id, Guard(None, None)))

    def _looked(self, sweep: Sweep, step: Look, station: Station, answer: Outcome, denial: Denial | None) -> None:
        now, since = trio.current_time(), station.hub.router.lanes.trade.upstream.ready_since
        ret_type, ret_msg = verdict(answer)
        if denial is not None or ret_type != RetType.SUCCEED:
            sweep.not_looked(ret_msg)
            return
        try:
            listed = sweep.custody.listed_untrusted(
                sweep.key_id, step.account, (answer.proto_fmt, answer.body), self.wall(), now, since=since
            )
        except RemoteProtocolError as error:
            sweep.not_looked(f"OpenD's list of orders can't be read: {error}")
        else:
            sweep.looked(listed.still, listed.unsure)
            sweep.vanished += len(listed.vanished)
            for one in listed.vanished:
                which = f"{one.told} (key {sweep.key_id})"
                self.house.conditions.happened(Kind.ORDERS_VANISHED, which, now, opend=station.reach.name)

    def _tell(self, sweep: Sweep, name: str) -> None:
        now = trio.current_time()
        if sweep.trouble:
            figures = f"{len(sweep.custody.of(sweep.key_id))} orders. {sweep.trouble}"
            self.house.conditions.begin(Kind.ORDERS_LEFT, sweep.key_id, now, figures, opend=name)
            log.warning("orders of the key %s are left: %s", sweep.key_id, sweep.trouble)
        else:
            self.house.conditions.over(Kind.ORDERS_LEFT, sweep.key_id, now, opend=name)

    def _is_dead(self, key_id: str) -> bool:
        """By its dead-man timer, and has not spoken since."""
        return self.house.access.freezes.silent(key_id) is not None

    def _is_back(self, missing: Missing) -> bool:
        if missing.why == "silent":
            return not self._is_dead(missing.key_id)
        guard = self._guards.get(missing.key_id, Guard(None, None))
        return self.signs.back(missing.key_id, guard, trio.current_time())

    def _note(self, key_id: str, what: str, reason: str, *, failed: bool = False) -> None:
        if self.house.audit is not None:
            self.house.audit.write(AuditEvent(PROXY, "", key_id, what, "failure" if failed else "success", reason))

    # -- over a restart

    def _take_up(self) -> None:
        """The orders that the last run knew: only where this process alone may look after them."""
        state = self.house.state
        try:
            data = state.read(ORDERS)
            if data is None:
                return
            kept = parse(data)
            if not any(kept.values()):
                return
            state.hold()
        except (StateError, ValueError) as error:
            self._learn_guards()
            if isinstance(error, OthersStateError) and not self._guards:
                log.info("no key is watched here, so the orders that are kept for some are another's: %s", error)
                return
            log.error("which orders are open for keys that are watched can't be told after this restart: %s", error)
            return
        for station in self.stations():
            for placed in kept.pop(station.reach.name, ()):
                station.hub.router.writes.custody.take(placed)
        for name, orders in kept.items():
            log.error("%d orders of watched keys are at OpenD %s, which is not configured any more", len(orders), name)
        self._kept = self._versions()

    def _versions(self) -> tuple[int, ...]:
        return tuple(station.hub.router.writes.custody.version for station in self.stations())

    async def _keep(self) -> None:
        """A task of its own: no order waits for its cancel because a disk hangs. When it is cancelled, what the last
        moment brought is kept too, within `LAST_KEEP_S`."""
        one_thread = trio.CapacityLimiter(1)  # one that was left behind may not overtake the next
        try:
            while True:
                await self._keep_once(one_thread)
                await trio.sleep(KEEP_AGAIN_S if self._said else LOOK_S)
        finally:
            with trio.move_on_after(LAST_KEEP_S, shield=True) as scope:
                await self._keep_once(one_thread)
            if scope.cancelled_caught:
                log.error("the disk is too slow: the last orders of watched keys are not kept over the restart")

    async def _keep_once(self, one_thread: trio.CapacityLimiter) -> None:
        versions = self._versions()
        if versions == (self._kept or (0,) * len(versions)):
            return
        held: dict[str, list[Placed]] = {}
        for station in self.stations():  # two of them may go to the same OpenD
            held.setdefault(station.reach.name, []).extend(station.hub.router.writes.custody.all())
        data = dump(held)
        state = self.house.state
        try:
            if state.path is None:
                state.hold()  # says what is missing
            await trio.to_thread.run_sync(state.write, ORDERS, data, abandon_on_cancel=True, limiter=one_thread)
        except Exception as error:
            said = str(error) or type(error).__name__
            if said != self._said:
                self._said, crash = said, not isinstance(error, StateError)
                log.error("open orders of watched keys would be forgotten in a restart: %s", said, exc_info=crash)
        else:
            self._kept, self._said = versions, ""
