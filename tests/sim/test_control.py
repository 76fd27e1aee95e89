"""The control port: JSON lines in, JSON lines out."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio
import trio.testing

from opendmux.sim import serve_control
from opendmux.sim.control import _COMMANDS
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .kit import BASIC, TENCENT, Play, playing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock


class Listener(trio.abc.Listener[trio.abc.Stream]):
    """Hands out one stream."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream: trio.abc.Stream | None = stream

    async def accept(self) -> trio.abc.Stream:
        if self._stream is None:
            await trio.sleep_forever()
        assert self._stream is not None
        stream, self._stream = self._stream, None
        return stream

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


class Control:
    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.held = b""

    async def line(self) -> dict[str, Any]:
        while b"\n" not in self.held:
            chunk = await self.stream.receive_some()
            if not chunk:
                raise trio.EndOfChannel
            self.held += chunk
        line, _, self.held = self.held.partition(b"\n")
        return msgspec.json.decode(line, type=dict[str, Any])

    async def raw(self, data: bytes) -> dict[str, Any]:
        await self.stream.send_all(data)
        return await self.line()

    async def ask(self, command: str, **details: Any) -> dict[str, Any]:
        answer = await self.raw(msgspec.json.encode({"command": command, **details}) + b"\n")
        assert answer["ok"], answer
        return answer


@asynccontextmanager
async def controlled(**config: Any) -> AsyncIterator[tuple[Play, Control]]:
    async with playing(**config) as play:
        ours, theirs = trio.testing.memory_stream_pair()
        await play.nursery.start(serve_control, play.sim, [Listener(theirs)])
        yield play, Control(ours)


async def test_report(autojump_clock: MockClock) -> None:
    async with controlled(seed=9) as (play, control):
        client = await play.client(clientID="one")
        await client.subscribe([TENCENT], [BASIC])
        await client.drain(2)
        report = await control.ask("report")
        assert report["seed"] == 9
        assert [connection["client_id"] for connection in report["connections"]] == ["one"]
        assert report["connections"][0]["closed_at"] is None
        assert report["requests"] == {"1001": 1, "3001": 1}
        assert report["pushes"]["3005"] >= 2
        assert (report["quota_used"], report["violations"], report["orders"]) == (1, 0, 0)


async def test_violations_requests_subscriptions_and_orders(autojump_clock: MockClock) -> None:
    async with controlled() as (play, control):
        client = await play.client()
        await client.subscribe([TENCENT], [BASIC])
        paper = (await client.accounts())[1]
        await client.place(paper, remark="r")
        await client.unlock("e" * 32)
        await client.head(ProtoId.KEEP_ALIVE, b"x", sha1=b"0" * 20)
        violations = (await control.ask("violations"))["violations"]
        assert [(item["rule"], item["proto_id"], item["connection"]) for item in violations] == [("sha1", 1004, 1)]
        requests = (await control.ask("requests"))["requests"]
        assert [item["proto_id"] for item in requests] == [1001, 3001, 2001, 2202, 2005, 1004]
        assert "eeee" not in str(requests)
        assert len((await control.ask("requests", proto_id=2202))["requests"]) == 1
        assert [item["proto_id"] for item in (await control.ask("requests", last=2))["requests"]] == [2005, 1004]
        subscriptions = await control.ask("subscriptions")
        assert subscriptions["now"] == [{"code": "HK.00700", "sub_type": 1, "connections": [1]}]
        assert subscriptions["ever"] == [{"code": "HK.00700", "sub_type": 1, "times": 1}]
        order = (await control.ask("orders"))["orders"][0]
        assert (order["code"], order["side"], order["status"], order["remark"]) == (
            "HK.00700",
            "BUY",
            "FILLED_ALL",
            "r",
        )
        await control.ask("clear")
        assert (await control.ask("violations"))["violations"] == []


async def test_tricks(autojump_clock: MockClock) -> None:
    async with controlled() as (play, control):
        client = await play.client(recvNotify=True)
        await control.ask("quota", value=0)
        assert (await client.subscribe([TENCENT], [BASIC])).retType == -1
        await control.ask("quota", value=5)
        await control.ask("min_age", seconds=0)
        assert (await client.subscribe([TENCENT], [BASIC])).retType == 0
        assert (await client.subscribe([TENCENT], [BASIC], isSubOrUnSub=False)).retType == 0
        await control.ask("refuse", proto_id=3001, text="closed")
        assert (await client.subscribe([TENCENT], [BASIC])).retMsg == "closed"
        await control.ask("refuse", proto_id=3001)
        await control.ask("delay", proto_id=3001, seconds=2.5)
        start = trio.current_time()
        assert (await client.subscribe([TENCENT], [BASIC])).retType == 0
        assert trio.current_time() - start == pytest.approx(2.5)
        await control.ask("mute")
        await client.drain(0.1)
        assert await client.drain(3) == []
        await control.ask("mute", on=False)
        assert await client.drain(3) != []
        await control.ask("notify", qot_logined=False)
        assert (await client.frame()).proto_id in {ProtoId.NOTIFY, ProtoId.QOT_UPDATE_BASIC_QOT}
        await client.unlock()
        assert (await control.ask("report"))["unlocked"]
        await control.ask("lock")
        assert not (await control.ask("report"))["unlocked"]
        await control.ask("stall")
        assert (await control.ask("report"))["stalled"]
        await control.ask("resume")
        assert (await control.ask("drop", connection=99))["dropped"] == 0
        assert (await control.ask("drop"))["dropped"] == 1


async def test_faults_on_single_frames(autojump_clock: MockClock) -> None:
    async with controlled() as (play, control):
        client = await play.client()
        await control.ask("trick", act="double", proto_id=1002, nth=2, times=2)
        await control.ask("trick", act="drop", proto_id=2001, connection=1, executed=True)
        faults = (await control.ask("report"))["faults"]["tricks"]
        assert [(trick["act"], trick["proto_id"], trick["nth"]) for trick in faults] == [
            ("double", 1002, 2),
            ("drop", 2001, 1),
        ]
        for count in (1, 2, 2, 1):
            serial_no = await client.send(ProtoId.GET_GLOBAL_STATE, b"\x0a\x02\x08\x00")
            assert [(await client.frame()).serial_no for _ in range(count)] == [serial_no] * count
        await control.ask("no_tricks")
        assert play.sim.faults.tricks == []
        assert await client.accounts() != []
        await control.ask("trick", act="crash", seconds=5)
        await client.send(ProtoId.KEEP_ALIVE, b"")
        with pytest.raises(trio.EndOfChannel):
            await client.frame()
        assert (await control.ask("report"))["connections"][0]["close_reason"] == "crashed on purpose"


async def test_faults_on_connections(autojump_clock: MockClock) -> None:
    async with controlled() as (play, control):
        clients = [await play.client() for _ in range(4)]
        assert (await control.ask("swallow", connection=1))["swallowed"] == 1
        assert (await control.ask("reset", connection=2))["reset"] == 1
        await control.ask("black_hole")
        assert (await control.ask("report"))["faults"]["black_hole"]
        await clients[2].send(ProtoId.KEEP_ALIVE, b"")
        assert await clients[2].drain(5) == []
        await control.ask("black_hole", on=False)
        assert (await clients[3].head(ProtoId.KEEP_ALIVE, b"")).HasField("retType")
        assert (await control.ask("crash", seconds=3))["crashed"] == 3
        with pytest.raises(trio.EndOfChannel):
            await clients[3].frame()


async def test_states_rights_and_limits(autojump_clock: MockClock) -> None:
    async with controlled() as (play, control):
        client = await play.client(recvNotify=True)
        await control.ask("program_status", type=5, text="login failed")
        await control.ask("event", type=4, text="LoginFailed")
        await control.ask("lost_rights", markets=[1])
        await control.ask("kick", seconds=7)
        frames = await client.drain(8)
        assert {frame.proto_id for frame in frames} == {ProtoId.NOTIFY}
        assert len(frames) == 5
        assert (await control.ask("report"))["faults"]["lost_rights"] == [1]
        await control.ask("allowed_quota", subscriptions=50, history=7)
        await control.ask("used_quota", subscriptions=49, history=6)
        assert [frame.proto_id for frame in await client.drain(1)] == [ProtoId.NOTIFY] * 2
        assert play.sim.subscriptions.quota == 50
        await control.ask("kick")
        assert play.sim.faults.kicked
        await control.ask("rates")
        assert play.sim.world.rates_enforced
        await control.ask("rates", on=False)
        assert not play.sim.world.rates_enforced


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"what\n", "JSON"),
        (b"[1]\n", "Expected"),
        (b"{}\n", "known are"),
        (b'{"command": 5}\n', "known are"),
        (b'{"command": "delay", "proto_id": "x", "seconds": 1}\n', "proto_id must be a number"),
        (b'{"command": "quota", "value": true}\n', "value must be a number"),
        (b'{"command": "trick", "act": "explode"}\n', "act must be one of drop, reset"),
        (b'{"command": "lost_rights", "markets": ["HK"]}\n', "QotMarket numbers"),
    ],
)
async def test_bad_commands_are_answered(autojump_clock: MockClock, line: bytes, text: str) -> None:
    async with controlled() as (_, control):
        answer = await control.raw(line)
        assert answer["ok"] is False
        assert text in answer["error"]
        assert (await control.ask("report"))["ok"]


async def test_lines_may_come_in_any_cuts_but_not_too_long(autojump_clock: MockClock) -> None:
    async with controlled() as (_, control):
        for byte in b'\n{"command":':
            await control.stream.send_all(bytes([byte]))
        assert (await control.raw(b'"report"}\n{"command":"orders"}\n'))["ok"]
        assert (await control.line())["orders"] == []
        assert (await control.raw(b"x" * 70_000))["ok"] is False
        with pytest.raises(trio.EndOfChannel):
            await control.line()


async def test_what_it_says_of_itself(autojump_clock: MockClock) -> None:
    async with controlled() as (play, control):
        before = play.sim.world.now
        await control.ask("about", version=1009, clock_ahead_s=-90, update_type=2, must_agree=True)
        await control.ask("about")
        client = await play.client()
        state_request = opend.GetGlobalStateRequest(c2s=opend.GetGlobalStateC2S(userID=0))
        state = (await client.call(ProtoId.GET_GLOBAL_STATE, state_request, opend.GetGlobalStateResponse)).s2c
        user_request = opend.GetUserInfoRequest(c2s=opend.GetUserInfoC2S())
        user = (await client.call(ProtoId.GET_USER_INFO, user_request, opend.GetUserInfoResponse)).s2c
        assert state.serverVer == 1009
        assert state.localTime < before - 80
        assert (user.updateType, user.isNeedAgreeDisclaimer) == (2, True)


def test_the_page_about_the_simulator_names_every_command() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sim.md").read_text(encoding="utf-8")
    table = page[page.index("| command |") :]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.partition(" | ")[0])}
    assert named == set(_COMMANDS)
