"""Freezing and thawing while the proxy runs, and what is kept of it over a restart.

The file and the memory never disagree to the open side. What makes it stricter holds at once, before it is on disk:
when it can't be kept, whoever asked is told, and it holds until the process ends. What makes it laxer is on disk first:
when that fails, nothing has changed. A file that can't be read at the start counts as a freeze of everybody.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import trio

from opendmux.core.access import Access
from opendmux.core.audit import NO_KEY, AuditEvent
from opendmux.core.conditions import Kind
from opendmux.core.freezes import Freeze, Freezes, FrozenMode, dump, parse
from opendmux.errors import OpendmuxError

from .house import House
from .state import StateDir, StateError
from .station import Station

__all__ = ["FREEZES", "FreezeError", "Freezer", "Frozen", "kept_freezes"]

log = logging.getLogger("opendmux.freeze")

FREEZES: Final = "freezes.json"
"""The file."""
WHY: Final = "what was frozen before the restart can't be read, the log says why"
"""For clients too, so without the file's name."""

ModeName = Literal["read-only", "cancel-only", "off"]


class FreezeError(OpendmuxError):
    """It could not be done, or not wholly. The text is one sentence for the user."""

    def __init__(self, reason: Literal["key", "state"], text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Frozen:
    """The answer to a change, and to a question."""

    freezes: list[Freeze]
    in_flight: int
    """Trade writes of those concerned that have been sent to OpenD and have no answer yet: they are not held up."""


def kept_freezes(state: StateDir, wall: float) -> Freezes:
    """What the last run has kept; everybody frozen when that can't be told. ``wall``: UTC seconds."""
    try:
        data = state.read(FREEZES)
        found = [] if data is None else parse(data)
    except (StateError, ValueError) as error:
        said = str(error) if isinstance(error, StateError) else f"{FREEZES} in {state.path} is damaged: {error}"
        log.error("nobody can tell what was frozen before the restart, so everybody is: %s", said)
        found = [Freeze(None, FrozenMode.READ_ONLY, wall, "opendmux", WHY)]
    if found:
        for freeze in found:
            log.warning("FROZEN: %s", freeze.text())
        try:
            state.hold()
        except StateError as error:
            log.warning("freezes can't be changed here: %s", error)
    return Freezes(found)


@dataclass(slots=True)
class Freezer:
    """One per process."""

    house: House
    stations: Callable[[], Sequence[Station]]
    wall: Callable[[], float] = time.time
    _writing: trio.Lock = field(default_factory=trio.Lock)

    @property
    def _access(self) -> Access:
        return self.house.access

    def show(self) -> Frozen:
        """What holds now."""
        return self._answer(None)

    async def change(self, key_id: str | None, mode: ModeName, *, by: str, peer: str, asker: str) -> Frozen:
        """Freeze a key, or everybody; ``off`` ends what holds for exactly that key or for everybody, a dead-man
        timer's included. ``by``: who, for those who are refused; ``peer`` and ``asker``: for the audit.

        Raises FreezeError. Cancellation: what is stricter holds; what is laxer may not.
        """
        name = "everybody" if key_id is None else f"key {key_id}"
        try:
            self._check(key_id)
            if mode == "off":
                await self._thaw(key_id)
            else:
                await self._freeze(key_id, FrozenMode(mode), by)
        except FreezeError as error:
            self._note(peer, asker, mode, "failure", f"{name}: {error}")
            raise
        self._note(peer, asker, mode, "success", name)
        log.warning("%s: %s, by %s", "thawed" if mode == "off" else f"FROZEN ({mode})", name, by)
        return self._answer(key_id)

    def _check(self, key_id: str | None) -> None:
        freezes, keyring = self._access.freezes, self._access.keyring
        if key_id is None or freezes.of(key_id) is not None or freezes.silent(key_id) is not None:
            return  # a key that has vanished meanwhile can be thawed
        if keyring is None:
            raise FreezeError("key", "no keys are configured, so only everybody can be frozen")
        if key_id not in keyring.keys:
            raise FreezeError("key", f"there is no key with the id {key_id!r}")

    async def _freeze(self, key_id: str | None, mode: FrozenMode, by: str) -> None:
        """Who comes later wins: each knows what it found, and leaves alone what another has put there since, unless
        that leaves nothing in force."""
        freezes, before = self._access.freezes, self._access.freezes.of(key_id)
        wanted = Freeze(key_id, mode, self.wall(), by)
        if before is not None and before.mode is mode:
            wanted = before  # who froze first, and since when
        elif before is None or mode is FrozenMode.READ_ONLY:
            freezes.put(wanted)
            self.apply()
        laxer = freezes.of(key_id) is not wanted
        async with self._writing:
            current = freezes.of(key_id)
            if laxer and current is None:
                freezes.put(wanted)
                self.apply()
                current, laxer = wanted, False
            if current is not (before if laxer else wanted):
                return
            rest = [freeze for freeze in freezes.kept() if freeze.key != key_id]
            await self._keep([*rest, wanted], holds=not laxer)
            if laxer and freezes.lift(before or wanted):
                freezes.put(wanted)
                self.apply()

    async def _thaw(self, key_id: str | None) -> None:
        freezes, before = self._access.freezes, self._access.freezes.of(key_id)
        silent = None if key_id is None else freezes.silent(key_id)
        async with self._writing:
            if before is not None and freezes.of(key_id) is before:
                await self._keep([freeze for freeze in freezes.kept() if freeze is not before], holds=False)
                freezes.lift(before)  # unless it has been frozen anew meanwhile
            if silent is not None:
                freezes.lift(silent)
        self.apply()

    async def _keep(self, freezes: list[Freeze], *, holds: bool) -> None:
        """``holds``: it is in force already."""
        try:
            await trio.to_thread.run_sync(self.house.state.write, FREEZES, dump(freezes))
        except StateError as error:
            what = (
                "it is frozen now, but would not be after a restart of opendmux"
                if holds
                else "nothing has been changed"
            )
            raise FreezeError("state", f"{what}: {error}") from error

    def apply(self) -> None:
        """Every session goes by what is frozen from here on, and people are told, also of what holds for nobody; to be
        called at the start and after keys were read again, too."""
        for station in self.stations():
            hub = station.hub
            hub.run(hub.router.tenancy.refreeze())
        conditions, now = self.house.conditions, trio.current_time()
        holding = {freeze.whom: freeze for freeze in reversed(self._access.told_freezes())}
        for whom, freeze in holding.items():
            why = f": {freeze.why}" if freeze.why else ""
            ends = f" The first read of {whom} ends it." if freeze.silent and not freeze.stray else ""
            figures = f"Mode {freeze.mode}, set by {freeze.by}{why}.{ends}"
            conditions.begin(Kind.FROZEN, whom, now, figures, cause="stray" if freeze.stray else "")
        for gone in [one for one in conditions.of("", Kind.FROZEN) if one.subject not in holding]:
            conditions.over(Kind.FROZEN, gone.subject, now)

    def _answer(self, key_id: str | None) -> Frozen:
        in_flight = sum(station.hub.router.writes.open_of(key_id) for station in self.stations())
        return Frozen(self._access.told_freezes(), in_flight)

    def _note(self, peer: str, asker: str, mode: ModeName, outcome: Literal["success", "failure"], reason: str) -> None:
        if self.house.audit is not None:
            endpoint = "unfreeze" if mode == "off" else f"freeze {mode}"
            self.house.audit.write(AuditEvent("http", peer, asker or NO_KEY, endpoint, outcome, reason))
