"""The admin socket: who can open it, what it takes the place of, and what it serves."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from opendmux.errors import ConfigError
from opendmux.runtime.admin import PATH_BYTES, admin_listener
from opendmux.runtime.house import House
from opendmux.runtime.server import Face, Proxy, run_proxy
from opendmux.runtime.station import Reach
from tests.core.key_kit import ring

from .http_kit import Browser
from .test_status_http import ADMIN
from .world import MemoryListener


async def nowhere() -> trio.abc.Stream:
    raise ConnectionRefusedError


@asynccontextmanager
async def proxy(house: House, listener: MemoryListener) -> AsyncIterator[Proxy]:
    """One whose OpenD can't be reached: its ports do not listen."""
    from opendmux.config import Config

    face = Face(Reach("192.0.2.1:11111", nowhere), Config())
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[Proxy]) -> None:
            await run_proxy([face], drain_s=1, house=house, admin=[listener], task_status=task_status)

        yield await nursery.start(run)
        nursery.cancel_scope.cancel()


async def ask(listener: MemoryListener, path: str, method: str = "GET", **more: str) -> tuple[int, bytes]:
    ours, _theirs = await listener.connect()
    answer = await Browser(ours).get(path, method=method, host="localhost", **more)
    return answer.status, answer.body


async def test_it_serves_before_opend_has_been_reached(autojump_clock: trio.testing.MockClock) -> None:
    listener = MemoryListener()
    async with proxy(House(), listener):
        status, body = await ask(listener, "/v1/status")
        assert status == 200
        assert json.loads(body)["ready"] is False
        assert (await ask(listener, "/livez"))[0] == 200
        assert (await ask(listener, "/readyz"))[0] == 503
        assert (await ask(listener, "/metrics"))[0] == 200
        status, body = await ask(listener, "/v1/request/1002", "POST")
        assert status == 404


async def test_it_needs_no_key_where_keys_are_configured(
    autojump_clock: trio.testing.MockClock,
) -> None:
    listener, house = MemoryListener(), House()
    house.access.keyring = ring(ADMIN)
    async with proxy(house, listener):
        assert (await ask(listener, "/v1/status"))[0] == 200
        assert (await ask(listener, "/v1/status", key="fc_wrong"))[0] == 200
        status, body = await ask(listener, "/v1/clients/7/close", "POST")
        assert (status, json.loads(body)["error"]["reason"]) == (404, "client")


async def test_a_page_that_was_led_here_gets_nothing(autojump_clock: trio.testing.MockClock) -> None:
    listener = MemoryListener()
    async with proxy(House(), listener):
        ours, _theirs = await listener.connect()
        answer = await Browser(ours).get("/v1/status", host="evil.example")
        assert (answer.status, answer.reason) == (403, "host")


# -- the socket itself


async def test_only_its_owner_can_open_it_and_it_goes_with_the_proxy(tmp_path: Path) -> None:
    path = tmp_path / "made" / "admin.sock"
    with admin_listener(path, asked_for=False) as (_listener,):
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.lstat().st_mode) == 0o700
    assert not path.exists()


async def test_one_that_nobody_serves_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with admin_listener(path, asked_for=True) as listeners:
        assert len(listeners) == 1


async def test_one_that_is_served_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "admin.sock"
    with admin_listener(path, asked_for=True):
        with pytest.raises(ConfigError, match="another opendmux serves it"), admin_listener(path, asked_for=True):
            pass
        with caplog.at_level(logging.WARNING), admin_listener(path, asked_for=False) as listeners:
            assert listeners == []
        assert "there is no admin socket" in caplog.text
        assert path.exists()


async def test_what_a_later_proxy_has_made_stays(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with admin_listener(path, asked_for=True):
        path.rename(tmp_path / "moved")
        path.touch()
    assert path.exists()


@pytest.mark.parametrize("kind", ["file", "long", "missing", "shared"])
async def test_places_that_are_not_taken(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "admin.sock"
    if kind == "file":
        path.write_text("mine")
    elif kind == "long":
        path = tmp_path / ("x" * PATH_BYTES)
    elif kind == "missing":
        path = tmp_path / "no" / "admin.sock"
    else:
        path = tmp_path / "shared" / "admin.sock"
        path.parent.mkdir()
        path.parent.chmod(0o777)
        with admin_listener(path, asked_for=False) as listeners:
            assert listeners == []
        return
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(ConfigError, match="admin_socket"), admin_listener(path, asked_for=True):
        pass
    assert sorted(os.listdir(tmp_path)) == before
