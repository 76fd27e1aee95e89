"""What the service manager hears, by a real datagram socket."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Address, Config, Timeouts
from opendmux.runtime.notify import Manager, report, status_text
from opendmux.runtime.readiness import OpendState, Readiness

from .world import World, world

SERVES = OpendState("opend.test:11111", "ready", "2026-01-01T00:00:00Z", False, None, None, None, None)
SIMULATED = OpendState("SIMULATED", "ready", "2026-01-01T00:00:00Z", True, None, None, None, None)
HERE = [Address("127.0.0.1", 33333), Address("::1", 33333)]


class Ear:
    """The manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + address[1:] if address.startswith("@") else address)
        self.sock.setblocking(False)
        self._heard: list[str] = []

    async def listen(self) -> None:
        """Until cancelled; without it the system keeps some ten messages."""
        while True:
            await trio.lowlevel.wait_readable(self.sock)
            self._read()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._heard.append(self.sock.recv(4096).decode())

    def heard(self) -> list[str]:
        """Every message since the last time."""
        self._read()
        found, self._heard = self._heard, []
        return found


@pytest.fixture(params=["path", "abstract"])
def ear(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ear]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@opendmux-test-{os.getpid()}-{tmp_path.name}"
    ear = Ear(address)
    yield ear
    ear.sock.close()


@asynccontextmanager
async def reported(w: World, ear: Ear, watchdog_s: float | None = None, drain_s: float = 5.0) -> AsyncIterator[Manager]:
    manager = Manager(ear.address, watchdog_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ear.listen)
        nursery.start_soon(partial(report, manager, w.proxy, drain_s=drain_s))
        yield manager
        nursery.cancel_scope.cancel()


async def test_a_life(autojump_clock: MockClock, ear: Ear) -> None:
    async with world(Config(timeouts=Timeouts(drain_s=3))) as w, reported(w, ear, drain_s=3) as manager:
        await trio.sleep(3)
        heard = ear.heard()
        assert heard[-1] == "READY=1\nSTATUS=ready on ; OpenD at opend.test:11111"
        assert manager.ready
        await trio.sleep(100)
        assert ear.heard() == [], "nothing has changed"
        w.proxy.stop()
        await trio.sleep(0.01)
        status = "stopping, within 3 s: what is in flight comes to its end"
        assert ear.heard() == [f"STOPPING=1\nSTATUS={status}\nEXTEND_TIMEOUT_USEC=8000000"]
        assert not manager.ready


async def test_more_time_is_asked_for_until_opend_answers(autojump_clock: MockClock, ear: Ear) -> None:
    async with world(up=False) as w, reported(w, ear):
        await trio.sleep(100.5)
        heard = ear.heard()
        assert len(heard) == 101
        assert all("EXTEND_TIMEOUT_USEC=30000000" in message for message in heard)
        assert not any("READY=1" in message for message in heard)
        statuses = [line for message in heard for line in message.split("\n") if line.startswith("STATUS=")]
        assert statuses[0].startswith(
            "STATUS=no client is accepted before OpenD has answered: OpenD at opend.test:11111 has been away for"
        )
        assert len(statuses) == 7, "one at once, then every 15 s, for only the figure changes"


async def test_an_outage_and_its_end(autojump_clock: MockClock, ear: Ear) -> None:
    async with world() as w, reported(w, ear):
        await trio.sleep(3)
        ear.heard()
        w.opend.up = False
        await w.opend.drop()
        await trio.sleep(2)
        (message,) = ear.heard()
        assert re.fullmatch(
            r"STATUS=not ready: OpenD at opend\.test:11111 has been away for \d s; opendmux is reconnecting", message
        )
        w.opend.up = True
        await trio.sleep(20)
        assert ear.heard()[-1] == "STATUS=ready on ; OpenD at opend.test:11111"


async def test_it_is_ready_only_once_and_a_stop_before_that_is_told_too(autojump_clock: MockClock, ear: Ear) -> None:
    async with world(up=False) as w, reported(w, ear):
        await trio.sleep(3.5)
        ear.heard()
        w.proxy.stop()
        await trio.sleep(4)
        (message,) = ear.heard()
        assert message.startswith("STOPPING=1\nSTATUS=stopping")
        assert message.endswith("\nEXTEND_TIMEOUT_USEC=10000000")


async def test_the_watchdog_hears_from_a_clock_that_ticks(
    autojump_clock: MockClock, ear: Ear, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world() as w, reported(w, ear, 10.0):
        await trio.sleep(3)
        ear.heard()
        await trio.sleep(58)
        assert ear.heard() == ["WATCHDOG=1"] * 12

        def broken(_now: float) -> NoReturn:
            raise RuntimeError("a tick that never gets done")

        monkeypatch.setattr(w.proxy.hub.router, "tick", broken)
        await trio.sleep(5)  # the last beat before has its ticks still
        ear.heard()
        await trio.sleep(60)
        assert ear.heard() == []
        assert "the clock of 1 of 1 OpenDs stands still" in caplog.text
        monkeypatch.undo()
        await trio.sleep(10)
        assert ear.heard().count("WATCHDOG=1") in (1, 2)


async def test_what_others_hang_on_the_clock_may_fail(autojump_clock: MockClock, ear: Ear) -> None:
    async with world() as w:

        def fails(_now: float) -> None:
            raise RuntimeError("some feature")

        w.proxy.hub.on_tick.append(fails)
        async with reported(w, ear, 10.0):
            await trio.sleep(3)
            ear.heard()
            await trio.sleep(58)
            assert ear.heard() == ["WATCHDOG=1"] * 12


async def test_a_reload_has_a_beginning_with_its_time_and_an_end(autojump_clock: MockClock, ear: Ear) -> None:
    manager = Manager(ear.address)
    async with manager.reloading():
        pass
    assert ear.heard() == [], "before it is ready"
    manager.ready = True
    async with manager.reloading():
        (message,) = ear.heard()
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=[1-9]\d{6,}", message)
    assert ear.heard() == ["READY=1"]
    async with manager.reloading():
        manager.ready = False
    assert len(ear.heard()) == 1, "a stop that came meanwhile stands"


async def test_a_manager_that_does_not_listen_stops_nobody(
    autojump_clock: MockClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manager = Manager(str(tmp_path / "nobody"))
    await manager.tell("READY=1")
    await manager.tell("READY=1")
    assert caplog.text.count("can't be told") == 1


async def test_a_manager_that_is_busy_is_waited_for_a_little(
    autojump_clock: MockClock, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    manager = Manager(ear.address)
    with trio.fail_after(30):
        while not caplog.records:
            await manager.tell("STATUS=x")
    assert caplog.records[0].getMessage().endswith("can't be told how it goes: busy")
    ear.heard()
    caplog.clear()
    await manager.tell("READY=1")
    assert ear.heard() == ["READY=1"]
    assert not caplog.records


async def test_without_a_manager_nothing_happens() -> None:
    manager = Manager.of({})
    assert (manager.address, manager.watchdog_s) == ("", None)
    await manager.tell("READY=1")
    await report(manager, None, drain_s=1)  # type: ignore[arg-type]


def test_the_environment_is_read_once_and_not_handed_on() -> None:
    environ = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "A": "b"}
    manager = Manager.of(environ)
    assert (manager.address, manager.watchdog_s) == ("/run/notify", 30.0)
    assert environ == {"A": "b"}


@pytest.mark.parametrize(
    ("every", "whose", "frozen", "seconds"),
    [
        ("2000000", "", False, 2.0),
        ("2000000", "1", False, None),
        ("2000000", "parent", False, None),
        ("2000000", "parent", True, 2.0),
        ("", "", False, None),
        ("0", "", False, None),
        ("-5", "", False, None),
        ("soon", "", False, None),
    ],
)
def test_whose_watchdog_it_is(
    every: str, whose: str, frozen: bool, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if frozen:
        monkeypatch.setattr("sys.frozen", True, raising=False)
    pid = str(os.getppid()) if whose == "parent" else whose
    manager = Manager.of({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": every, "WATCHDOG_PID": pid})
    assert manager.watchdog_s == seconds


@pytest.mark.parametrize("address", ["relative", "vsock:2:1234"])
def test_an_address_that_is_no_unix_socket(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert Manager.of({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"}).watchdog_s is None
    assert address in caplog.text


@pytest.mark.parametrize(
    ("reasons", "opends", "listening", "text"),
    [
        ([], [SERVES], True, "ready on 127.0.0.1:33333 and [::1]:33333; OpenD at opend.test:11111"),
        (
            [],
            [SERVES, SIMULATED],
            True,
            "ready on 127.0.0.1:33333 and [::1]:33333; OpenD at opend.test:11111, SIMULATED",
        ),
        (["it rains", "it snows"], [SERVES], True, "not ready: it rains; it snows"),
        (["it rains"], [SERVES], False, "no client is accepted before OpenD has answered: it rains"),
        ([], [SERVES], False, "about to listen"),
        (["two\nREADY=1\nlines"], [SERVES], True, "not ready: two?READY=1?lines"),
    ],
)
def test_the_state_in_one_line(reasons: list[str], opends: list[OpendState], listening: bool, text: str) -> None:
    assert status_text(Readiness(not reasons, reasons, False, opends), HERE, listening=listening) == text


def test_a_status_has_an_end() -> None:
    assert len(status_text(Readiness(False, ["x" * 5000], False, []), [], listening=True)) == 500
