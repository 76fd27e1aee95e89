"""The operation console of the simulator, and the same by the protocol Verification."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from opendmux.sim import Simulator, serve_console
from opendmux.sim.console import CONSOLE_LIMITS, answer_line_untrusted, serve_console_stream
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .kit import BASIC, TENCENT, Client, playing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trio.testing import MockClock

NEED_PHONE, NEED_PICTURE, READY = 4, 3, 10


@asynccontextmanager
async def console(simulator: Simulator) -> AsyncIterator[trio.abc.Stream]:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_console_stream, simulator, theirs)
        yield ours
        nursery.cancel_scope.cancel()


async def said(stream: trio.abc.Stream) -> bytes:
    """Whatever comes until half a second of silence, as OpenD's sample reads."""
    found = b""
    with trio.CancelScope(deadline=trio.current_time() + 0.5) as patience:
        while chunk := await stream.receive_some():
            found += chunk
            patience.deadline = trio.current_time() + 0.5
    return found


def ask(simulator: Simulator, *words: str) -> str:
    return answer_line_untrusted(simulator, " ".join(words).encode())


async def test_a_line_ends_in_cr_lf_and_the_answer_is_gb2312(autojump_clock: MockClock) -> None:
    async with playing() as play, console(play.sim) as stream:
        await stream.send_all(b"pi")
        await stream.send_all(b"ng\r\n")
        assert await said(stream) == "delay to the access point 接入点延迟: 23 ms\r\n".encode("gb2312")
        await stream.send_all(b"ping\nexit\n")
        assert await said(stream) == b""
        await stream.send_all(b"ping\r\nping\r\n")
        assert (await said(stream)).count(b"\r\n") == 2
        assert list(play.sim.operations) == ["ping"] * 3


async def test_a_line_without_an_end_is_not_kept_for_ever(autojump_clock: MockClock) -> None:
    async with playing() as play, console(play.sim) as stream:
        await stream.send_all(b"x" * 5000)
        assert await stream.receive_some() == b""


async def test_every_limit_is_kept(autojump_clock: MockClock) -> None:
    async with playing() as play:
        for name, (count, window_s) in CONSOLE_LIMITS.items():
            for _ in range(count):
                assert "too often" not in ask(play.sim, name)
            assert "too often" in ask(play.sim, name), name
            await trio.sleep(window_s)
            assert "too often" not in ask(play.sim, name), name


async def test_the_code_from_the_phone_finishes_the_login(autojump_clock: MockClock) -> None:
    async with playing() as play:
        assert "no verification code is needed" in ask(play.sim, "req_phone_verify_code")
        await trio.sleep(60)
        client = await play.client(recvNotify=True)
        play.sim.set_program_status(NEED_PHONE)
        assert "requested" in ask(play.sim, "input_phone_verify_code", "-code=123456")
        assert "sent" in ask(play.sim, "req_phone_verify_code")
        assert "wrong" in ask(play.sim, "input_phone_verify_code", "-code=654321")
        assert "no verification code is needed" in ask(play.sim, "input_pic_verify_code", "-code=123456")
        assert play.sim.world.status.program == NEED_PHONE
        assert "logged in" in ask(play.sim, "input_phone_verify_code", "-code=123456")
        assert play.sim.world.status.program == READY
        told = [await client.push(ProtoId.NOTIFY, opend.NotifyResponse) for _ in range(2)]
        assert [one.s2c.programStatus.programStatus.type for one in told] == [NEED_PHONE, READY]


async def verify(client: Client, kind: int, op: int, code: str | None = None) -> opend.VerificationResponse:
    c2s = opend.VerificationC2S(type=kind, op=op, code=code)
    request = opend.VerificationRequest(c2s=c2s)
    return await client.call(ProtoId.VERIFICATION, request, opend.VerificationResponse)


async def test_the_protocol_verification_does_the_same(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client(recvNotify=True)
        assert (await verify(client, 1, 1)).retType == -1
        play.sim.set_program_status(NEED_PICTURE)
        assert (await verify(client, 3, 1)).retMsg.startswith("unknown type")
        assert (await verify(client, 1, 1)).retType == 0
        assert "wrong" in (await verify(client, 1, 2, "no")).retMsg
        assert (await verify(client, 1, 2, "123456")).retType == 0
        assert play.sim.world.status.program == READY


async def test_the_quote_right_comes_back(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client(recvNotify=True)
        play.sim.kick()
        play.sim.faults.right_is_kept = True
        ask(play.sim, "request_highest_quote_right")
        assert play.sim.faults.kicked
        play.sim.faults.right_is_kept = False
        ask(play.sim, "request_highest_quote_right")
        assert not play.sim.faults.kicked
        told = [await client.push(ProtoId.NOTIFY, opend.NotifyResponse) for _ in range(2)]
        assert [one.s2c.qotRight.hkQotRight for one in told] == [1, 3]


async def test_relogin(autojump_clock: MockClock) -> None:
    async with playing() as play:
        play.sim.notify_connect_status(qot_logined=False, trd_logined=False)
        play.sim.set_program_status(5)
        assert "wrong" in ask(play.sim, "relogin", "-login_pwd=no")
        assert not play.sim.world.status.qot_logined
        assert "again" in ask(play.sim, "relogin", "-login_pwd_md5=e10adc3949ba59abbe56e057f20f883e")
        assert (play.sim.world.status.qot_logined, play.sim.world.status.program) == (True, READY)
        assert "again" in ask(play.sim, "relogin", "-login_pwd=123456")


async def test_connections_are_shown_and_closed(autojump_clock: MockClock) -> None:
    async with playing() as play:
        first, second = await play.client(clientID="one"), await play.client(clientID="two")
        await first.subscribe([TENCENT], [BASIC])
        shown = ask(play.sim, "show_sub_info").split("\n")
        assert shown[1:] == [
            f"conn_id {first.conn_id} one",
            "  HK.00700 SubType 1",
            f"conn_id {second.conn_id} two",
        ]
        assert "HK.00700" not in ask(play.sim, "show_sub_info", f"-conn_id={second.conn_id}")
        assert "no connection" in ask(play.sim, "close_api_conn", "-conn_id=7")
        ask(play.sim, "close_api_conn", f"-conn_id={first.conn_id}")
        with pytest.raises(trio.EndOfChannel):
            await first.frame()
        await trio.testing.wait_all_tasks_blocked()
        assert ask(play.sim, "close_api_conn").endswith(": 1")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("dance", "unknown command"),
        ("help -cmd=dance", "unknown command"),
        ("help -cmd=relogin", "relogin [-login_pwd=...] [-login_pwd_md5=...]"),
        ("help", "show_sub_info"),
        ("ping -x=1", "unknown parameter"),
        ("ping x", "unknown parameter"),
        ("show_sub_info -sub_info_path=/tmp/x", "writes no files"),
        ("show_delay_report", "sr2cs"),
        ("show_delay_report -push_count_type=all", "unknown push_count_type"),
        ("update", "newest"),
    ],
)
async def test_what_is_said(autojump_clock: MockClock, line: str, text: str) -> None:
    async with playing() as play:
        assert text in ask(play.sim, line)


async def test_exit_ends_the_listening_too() -> None:
    async with playing() as play, trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        await nursery.start(serve_console, play.sim, listeners)
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(b"exit\r\n")
            assert "退出".encode("gb2312") in await stream.receive_some()
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", port)
        nursery.cancel_scope.cancel()
