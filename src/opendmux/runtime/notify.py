"""What a service manager is told: systemd's notification protocol, which needs a datagram socket and nothing else.

``READY=1`` goes out when every port listens, which is when its OpenD has answered once: whoever is ordered behind the
service finds a port that serves. Until then the manager is asked for more time, again and again, because OpenD may wait
for a person with a phone. ``WATCHDOG=1`` goes out only when every hub's clock has come round since the last time: a
loop that is stuck, or runs without doing what is due, is restarted by the manager.

Without ``NOTIFY_SOCKET`` in the environment nothing of this happens.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

import trio

from opendmux.config import Address
from opendmux.wording import printable

from .hub import Hub
from .readiness import Readiness
from .station import Station

__all__ = ["Manager", "Served", "report", "status_text"]

log = logging.getLogger("opendmux.notify")

POLL_S: Final = 1.0
"""How often it is looked whether the status is another."""
REPEAT_S: Final = 15.0
"""A status in which only figures have changed ("away for 12 s") is sent again so often."""
EXTEND_S: Final = 30.0
"""The time that is asked for at a start; asked for again at each `POLL_S`."""
MARGIN_S: Final = 5.0
"""On top of the drain deadline, for what comes after it."""
SEND_S: Final = 2.0
"""For a manager that is busy: its socket takes ten messages or so, and a sender waits for the rest."""
STATUS_MAX: Final = 500
"""Characters of a status; managers show it in one line."""

_FIGURES: Final = re.compile(r"\d+ s\b")


class Served(Protocol):
    """The part of a proxy that is looked at; see `server.Proxy`."""

    stations: list[Station]
    addresses: list[Address]
    listening: trio.Event

    async def stopped(self) -> None: ...
    def readiness(self) -> Readiness: ...


class Manager:
    """The way to the service manager. Nothing here raises: a manager that does not listen must not stop the proxy."""

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self.address = address
        """Of its socket; one that begins with ``@`` is in the abstract name space. Empty: there is no manager."""
        self.watchdog_s = watchdog_s
        """It must hear from us so often; None: it does not wait."""
        self.ready = False
        """``READY=1`` has been sent, and ``STOPPING=1`` has not."""
        self._complained = False

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> Manager:
        """The one of the environment. Its variables are taken out, so that no child process speaks in our name."""
        address = environ.pop("NOTIFY_SOCKET", "")
        every_us, whose = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        if address and (not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX")):
            log.warning("NOTIFY_SOCKET=%s is no unix socket, so the service manager is told nothing", address)
            address = ""
        ours = not whose or whose in _pids()
        wanted = bool(address) and ours and every_us.isdecimal() and int(every_us) > 0
        return cls(address, int(every_us) / 1e6 if wanted else None)

    async def tell(self, *lines: str) -> None:
        """Send one message. Cancellation: it may not have been sent."""
        if not self.address:
            return
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, trio.fail_after(SEND_S):
                await sock.connect(name)
                await sock.send("\n".join(lines).encode())
        except (OSError, trio.TooSlowError) as error:
            if not self._complained:
                self._complained = True
                log.warning(
                    "the service manager at %s can't be told how it goes: %s", self.address, str(error) or "busy"
                )
        else:
            self._complained = False

    @asynccontextmanager
    async def reloading(self) -> AsyncIterator[None]:
        """Around the reading of settings. Before it is ready there is nothing to say: the manager knows a start only
        or a reload, not both."""
        if not self.ready:
            yield
            return
        await self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            if self.ready:  # else a stop came meanwhile, and that stands
                await self.tell("READY=1")


def _pids() -> set[str]:
    """Those by which the manager may know us: the single binary's first process is a parent that only waits."""
    pids = {str(os.getpid())}
    if getattr(sys, "frozen", False):
        pids.add(str(os.getppid()))
    return pids


async def report(manager: Manager, served: Served, *, drain_s: float) -> None:
    """Tell the manager how it goes, until cancelled; returns at once where there is none."""
    if not manager.address:
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_life, manager, served, drain_s)
        if manager.watchdog_s is not None:
            nursery.start_soon(_watchdog, manager, [station.hub for station in served.stations], manager.watchdog_s / 2)


async def _life(manager: Manager, served: Served, drain_s: float) -> None:
    async with trio.open_nursery() as nursery:

        async def begin() -> None:
            await served.listening.wait()
            manager.ready = True
            await manager.tell("READY=1", f"STATUS={_status(served)}")

        nursery.start_soon(begin)
        nursery.start_soon(_statuses, manager, served)
        await served.stopped()
        nursery.cancel_scope.cancel(reason="stopping")
    manager.ready = False
    extend_us = round((drain_s + MARGIN_S) * 1e6)
    status = f"stopping, within {drain_s:g} s: what is in flight comes to its end"
    await manager.tell("STOPPING=1", f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={extend_us}")


async def _statuses(manager: Manager, served: Served) -> None:
    sent, at = "", float("-inf")
    while True:
        text, now = _status(served), trio.current_time()
        lines = []
        if _FIGURES.sub("", text) != _FIGURES.sub("", sent) or (text != sent and now - at >= REPEAT_S):
            sent, at = text, now
            lines.append(f"STATUS={text}")
        if not served.listening.is_set():
            lines.append(f"EXTEND_TIMEOUT_USEC={round(EXTEND_S * 1e6)}")
        if lines:
            await manager.tell(*lines)
        await trio.sleep(POLL_S)


def _status(served: Served) -> str:
    return status_text(served.readiness(), served.addresses, listening=served.listening.is_set())


def status_text(readiness: Readiness, addresses: Sequence[Address], *, listening: bool) -> str:
    """The state in one line."""
    reasons = "; ".join(readiness.reasons)
    if readiness.ready and listening:
        where = " and ".join(map(str, addresses))
        upstreams = ", ".join(f"OpenD at {one.name}" if not one.simulated else one.name for one in readiness.opends)
        text = f"ready on {where}; {upstreams}"
    elif listening:
        text = f"not ready: {reasons}"
    else:
        text = f"no client is accepted before OpenD has answered: {reasons}" if reasons else "about to listen"
    return printable(text)[:STATUS_MAX]


async def _watchdog(manager: Manager, hubs: Sequence[Hub], every_s: float) -> None:
    """Says that we live, as long as every hub's clock ticks; a tick that raises before it does what is due does not
    count."""
    ticked: set[Hub] = set()
    for hub in hubs:
        # In front: what other features hang on the clock may fail without anybody's being restarted for it.
        hub.on_tick.insert(0, lambda _now, hub=hub: ticked.add(hub))  # type: ignore[misc]
    while True:
        await trio.sleep(every_s)
        if len(ticked) == len(hubs):
            ticked.clear()
            await manager.tell("WATCHDOG=1")
        else:
            log.error(
                "the clock of %d of %d OpenDs stands still; the service manager is not told that all is well",
                len(hubs) - len(ticked),
                len(hubs),
            )
