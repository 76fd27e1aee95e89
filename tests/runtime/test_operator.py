"""Operation commands through the proxy: by console or by protocol, counted, put down, answered over the routes."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config
from opendmux.core.audit import AuditEvent
from opendmux.core.operations import OperationError, order_of
from opendmux.runtime.house import House
from opendmux.runtime.operator import PROXY, Asker, NoOpendError, Operator, by_console
from opendmux.runtime.server import Face, run_proxy
from opendmux.runtime.state import StateDir
from opendmux.runtime.station import Reach
from opendmux.runtime.telnet import TelnetError
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .console_kit import Desk
from .http_kit import Browser
from .test_status import look, status_of
from .world import MemoryListener, World, world

PING, PHONE = order_of("ping", {}), order_of("req_phone_verify_code", {})
CODE = order_of("input_phone_verify_code", {"code": "424242"})
BOSS = Asker("http", "192.0.2.1:5", "boss")


class Book:
    """The audit log, as far as it is written to."""

    path = "audit.jsonl"
    trusted = healthy = True
    written = queued = lost = 0

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    def write(self, event: AuditEvent) -> None:
        self.events.append(event)


@asynccontextmanager
async def operating(tmp_path: Path, *, console: bool = True) -> AsyncIterator[tuple[World, Desk, Operator]]:
    async with trio.open_nursery() as nursery:
        desk = Desk(nursery)
        house = House(state=StateDir(tmp_path / "state"))
        async with world(house=house, consoles=[desk.member(console=console)]) as w:
            yield w, desk, Operator(lambda: w.proxy.stations, house, wall=lambda: 1e9 + trio.current_time())
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("console", [True, False])
async def test_the_snapshot_names_the_console(tmp_path: Path, autojump_clock: MockClock, *, console: bool) -> None:
    async with operating(tmp_path, console=console) as (w, _desk, _operator):
        (one,) = look(status_of(w)).opends
        assert one.consoles == ({"opend.test:11111": "127.0.0.1:22222"} if console else {})


async def test_by_the_console(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with operating(tmp_path) as (w, desk, operator):
        desk.answer = "延迟 23 ms\r\n".encode("gb2312")
        performed = await operator.perform(PING, None, BOSS)
        assert (performed.way, performed.place, performed.lines) == ("telnet", "127.0.0.1:22222", ["延迟 23 ms"])
        assert desk.lines == [b"ping\r\n"]
        assert list(w.proxy.house.operated) == [(("opend.test:11111", "ping", "success"), 1)]


async def test_both_who_send_to_a_console_tell_of_it_in_the_same_form(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The command line does so itself where no opendmux runs."""
    async with operating(tmp_path) as (w, desk, operator):
        desk.answer = b"done\r\n"
        (member,) = w.proxy.stations[0].reach.members_known
        assert member.console is not None
        assert await by_console(member, member.console, PING) == await operator.perform(PING, None, BOSS)
        assert desk.lines == [b"ping\r\n"] * 2


async def test_codes_go_by_the_protocol_where_there_is_no_console(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with operating(tmp_path, console=False) as (w, _desk, operator):
        asked = []

        def answer(frame: Any) -> bytes:
            asked.append(opend.VerificationRequest.FromString(frame.body).c2s)
            return encode(opend.VerificationResponse(retType=0))

        w.opend.answers[ProtoId.VERIFICATION] = answer
        performed = await operator.perform(PHONE, None, BOSS)
        assert (performed.way, performed.place, performed.note) == ("protocol", "opend.test:11111", "")
        await operator.perform(CODE, None, BOSS)
        assert [(one.type, one.op, one.code) for one in asked] == [(2, 1, ""), (2, 2, "424242")]
        w.opend.answers[ProtoId.VERIFICATION] = lambda _frame: ret_body(0, -1, "wrong code")
        refused = await operator.perform(CODE, None, BOSS)
        assert (refused.refused, refused.note) == (True, "OpenD refuses: wrong code")
        with pytest.raises(OperationError, match=r"start opendmux with --telnet HOST:PORT, .* entry opend of"):
            await operator.perform(PING, None, BOSS)


async def test_without_an_answer_nobody_knows(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with operating(tmp_path, console=False) as (w, _desk, operator):
        performed = await operator.perform(PHONE, None, BOSS)
        assert "nobody knows" in performed.note
        w.opend.answers[ProtoId.VERIFICATION] = lambda _frame: b"\xff"
        performed = await operator.perform(CODE, None, BOSS)
        assert "can't be read" in performed.note
        w.opend.up = False
        await w.opend.drop()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OperationError, match="no port at all"):
            await operator.perform(CODE, None, BOSS)


async def test_the_limit_holds_for_both_ways_and_for_other_processes(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with operating(tmp_path) as (_w, desk, operator):
        await operator.perform(PHONE, None, BOSS)
        with pytest.raises(OperationError, match="at most 1 in 60 s"):
            await operator.perform(PHONE, None, BOSS)
        assert len(desk.lines) == 1
    async with operating(tmp_path, console=False) as (w, _desk, operator):
        w.opend.answers[ProtoId.VERIFICATION] = lambda _frame: encode(opend.VerificationResponse(retType=0))
        with pytest.raises(OperationError, match="at most 1 in 60 s"):
            await operator.perform(PHONE, None, BOSS)
        assert not w.opend.bodies(ProtoId.VERIFICATION)
        await trio.sleep(61)
        await operator.perform(PHONE, None, BOSS)


async def test_what_did_not_get_out_does_not_count(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with operating(tmp_path) as (_w, desk, operator):
        desk.up = False
        for _ in range(3):
            with pytest.raises(TelnetError, match="telnet_port"):
                await operator.perform(PHONE, None, BOSS)
        desk.up = True
        await operator.perform(PHONE, None, BOSS)


async def test_it_is_put_down_without_values(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with operating(tmp_path) as (w, desk, operator):
        book = Book()
        w.proxy.house.audit = book  # type: ignore[assignment]
        with caplog.at_level(logging.DEBUG):
            secret = order_of("relogin", {"login_pwd_md5": "5ebe2294ecd0e0f08eab7690d2a6ee69"})
            await operator.perform(secret, None, BOSS)
            await operator.perform(CODE, None, PROXY)
            with pytest.raises(NoOpendError):
                await operator.perform(CODE, "other", BOSS)
            desk.answer = b""
            await operator.perform(PING, None, BOSS)
            operator.refused("exit", OperationError("no"), BOSS)
        assert [(event.endpoint, event.outcome, event.key_id) for event in book.events] == [
            ("opend relogin", "success", "boss"),
            ("opend input_phone_verify_code", "success", "<none>"),
            ("opend input_phone_verify_code", "reject", "boss"),
            ("opend ping", "unknown", "boss"),
            ("opend exit", "reject", "boss"),
        ]
        await operator.perform(PHONE, None, BOSS)
        with pytest.raises(OperationError):
            await operator.perform(PHONE, None, BOSS)
        assert book.events[-1].reason.startswith("req_phone_verify_code was not sent"), "no OpenD was named"
        text = repr(book.events) + caplog.text
        assert not [secret for secret in ("5ebe2294", "424242") if secret in text]


async def test_which_one_is_meant(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        one, two = Desk(nursery), Desk(nursery)
        house = House(state=StateDir(tmp_path))

        async def nowhere() -> trio.abc.Stream:
            raise ConnectionRefusedError

        pair = [one.member(name="hk"), two.member(name="us")]
        reach = Reach("a or b", nowhere, "a", members=[("a", nowhere), ("b", nowhere)], consoles=pair)
        third = Desk(nursery).member(name="third", console=False)
        first, second = Face(reach, Config()), Face(Reach("c", nowhere, consoles=[third]), Config())

        async def run(task_status: trio.TaskStatus[Any]) -> None:
            await run_proxy([first, second], drain_s=1, house=house, task_status=task_status)

        proxy = await nursery.start(run)
        operator = Operator(lambda: proxy.stations, house)
        known: list[tuple[Any, str]] = [("hk", "hk"), ("us", "us"), (2, "third"), ("2", "third"), ("third", "third")]
        for which, name in known:
            assert operator.find(which)[1].name == name
        for which, text in (
            (None, "say which one, hk or us or third"),
            (1, "say which one"),
            ("thrid", "did you mean .third"),
        ):
            with pytest.raises(NoOpendError, match=text):
                operator.find(which)
        # A pause is one of the whole group, whichever of it is called.
        for which, numbers in (
            ("hk", [1]),
            ("us", [1]),
            ("a or b", [1]),
            (1, [1]),
            ("third", [2]),
            ("c", [2]),
            (None, [1, 2]),
        ):
            paused = await proxy.pauser.pause(which, None, by="ops", peer="", asker="")
            assert [one.number for one in paused] == numbers
            assert await proxy.pauser.resume(which, by="ops", peer="", asker="") == []
        with pytest.raises(NoOpendError, match="did you mean"):
            await proxy.pauser.resume("thrid", by="ops", peer="", asker="")
        nursery.cancel_scope.cancel()


async def test_one_opend_in_two_places_is_paused_in_both(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:

        async def nowhere() -> trio.abc.Stream:
            raise ConnectionRefusedError

        hk, us = Desk(nursery).member(name="hk"), Desk(nursery).member(name="us")
        odd = Desk(nursery).member(name="2")
        group = Reach("a or b", nowhere, "a", members=[("a", nowhere), ("b", nowhere)], consoles=[hk, us])
        faces = [
            Face(reach, Config())
            for reach in (group, Reach("a", nowhere, consoles=[hk]), Reach("c", nowhere, consoles=[odd]))
        ]

        async def run(task_status: trio.TaskStatus[Any]) -> None:
            await run_proxy(faces, drain_s=1, house=House(state=StateDir(tmp_path)), task_status=task_status)

        proxy = await nursery.start(run)
        paused = await proxy.pauser.pause("hk", None, by="ops", peer="", asker="")
        assert [one.number for one in paused] == [1, 2]
        with pytest.raises(NoOpendError, match="say which one, hk or 2"):
            await proxy.pauser.resume("2", by="ops", peer="", asker="")
        paused = await proxy.pauser.resume(2, by="ops", peer="", asker="")
        assert [one.number for one in paused] == [1]
        nursery.cancel_scope.cancel()


# -- the routes


@asynccontextmanager
async def admin(tmp_path: Path) -> AsyncIterator[tuple[MemoryListener, Desk]]:
    """A proxy whose OpenD is not there yet: only its console and the admin socket are."""
    listener = MemoryListener()

    async def nowhere() -> trio.abc.Stream:
        raise ConnectionRefusedError

    async with trio.open_nursery() as nursery:
        desk = Desk(nursery)
        face = Face(Reach("opend.test:11111", nowhere, consoles=[desk.member()]), Config())
        house = House(state=StateDir(tmp_path))

        async def run(task_status: trio.TaskStatus[Any]) -> None:
            await run_proxy([face], drain_s=1, house=house, admin=[listener], task_status=task_status)

        await nursery.start(run)
        yield listener, desk
        nursery.cancel_scope.cancel()


async def post(listener: MemoryListener, command: str, body: object = None) -> tuple[int, dict[str, Any]]:
    ours, _theirs = await listener.connect()
    content = b"" if body is None else json.dumps(body).encode()
    answer = await Browser(ours).get(f"/v1/opend/{command}", method="POST", host="localhost", body=content)
    return answer.status, json.loads(answer.body)


async def test_the_route(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with admin(tmp_path) as (listener, desk):
        status, answer = await post(listener, "input_phone_verify_code", {"parameters": {"code": "1234"}})
        assert (status, answer["lines"], answer["way"]) == (200, ["ok"], "telnet")
        assert desk.lines == [b"input_phone_verify_code -code=1234\r\n"]
        assert (await post(listener, "ping"))[0] == 200
        assert (await post(listener, "exit", {"confirm": True}))[0] == 200
        assert (await post(listener, "req_phone_verify_code"))[0] == 200


@pytest.mark.parametrize(
    ("command", "body", "status", "text"),
    [
        ("exit", None, 400, "--yes"),
        ("show_sub_info", {"parameters": {"sub_info_path": "x"}}, 400, "write a file"),
        ("dance", None, 400, "no operation command"),
        ("ping", {"opend": "other"}, 404, "no OpenD is called"),
        ("ping", {"opend": 9}, 404, "no OpenD is called"),
        ("ping", {"parameters": {"code": 1}}, 400, "can't be read"),
        ("ping", {"force": True}, 400, "can't be read"),
    ],
)
async def test_the_route_refuses(
    tmp_path: Path, autojump_clock: MockClock, command: str, body: object, status: int, text: str
) -> None:
    async with admin(tmp_path) as (listener, desk):
        found, answer = await post(listener, command, body)
        assert (found, text in answer["error"]["text"]) == (status, True), answer
        assert not desk.lines


async def test_the_route_tells_of_limits_and_of_a_console_that_is_not_there(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with admin(tmp_path) as (listener, desk):
        await post(listener, "req_phone_verify_code")
        assert (await post(listener, "req_phone_verify_code"))[0] == 429
        desk.up = False
        status, answer = await post(listener, "ping")
        assert (status, answer["error"]["reason"]) == (503, "console")
