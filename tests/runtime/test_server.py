"""Start, stop, and what a crash of one session does to the others."""

from __future__ import annotations

import contextlib
import logging
import socket
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config, Limits, Timeouts
from opendmux.errors import ConfigError
from opendmux.runtime.binding import bind
from opendmux.runtime.server import Face, run_proxy
from opendmux.runtime.station import Reach
from opendmux.wire.messages import ret_body
from opendmux.wire.pb import futu
from opendmux.wire.protocols import ProtoId
from tests.core.trade_kit import place
from tests.wire.grpc_kit import Client as GrpcClient

from .world import QUIET, OpenD, world

BASIC_QOT = 3004


def test_a_port_in_use_is_one_clear_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: another program uses that port"):
            bind([f"127.0.0.1:{port}"])


@pytest.mark.parametrize("text", ["33333", "localhost:", "1.2.3.4:99999", "::1:33333", "host:port"])
def test_a_bad_address_is_one_clear_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="--listen"):
        bind([text])


def test_bound_sockets_do_not_listen_yet() -> None:
    (sock,) = bind(["127.0.0.1:0"])
    with sock, socket.socket() as client:
        assert client.connect_ex(sock.getsockname()) != 0


async def test_stop_drains_requests_in_flight(autojump_clock: MockClock) -> None:
    async with world() as w:
        idle, busy = await w.client(), await w.client()
        await busy.request(BASIC_QOT, b"\x0a\x00")
        request = await w.opend.requests.receive()
        w.proxy.stop()
        with pytest.raises(trio.EndOfChannel):
            await idle.receive()
        await busy.request(BASIC_QOT, b"\x0a\x00")  # comes too late, is not sent
        await trio.sleep(1)
        await w.opend.reply(request, ret_body(0, 0))
        assert (await busy.receive()).body == ret_body(0, 0)
        with pytest.raises(trio.EndOfChannel):
            await busy.receive()
        assert len(w.opend.log) == 1


async def test_settings_that_change_while_it_runs(autojump_clock: MockClock) -> None:
    async with world(Config(coalesce=False, budgets=False)) as w:
        before = await w.client()
        now = Config(coalesce=False, budgets=False, limits=Limits(in_flight=1), audit_reads=True, watch=QUIET)
        w.proxy.apply(now)
        after = await w.client()
        for _ in range(3):
            await before.request(BASIC_QOT, b"\x0a\x00")
            await after.request(BASIC_QOT, b"\x0a\x00")
        await trio.sleep(1)
        assert len(w.opend.log) == 3 + 1, "one request of the new client, all of the old one"
        assert w.proxy.house.audit_reads
        assert w.proxy.link._timeouts is now.timeouts


async def test_the_drain_has_a_deadline(autojump_clock: MockClock) -> None:
    async with world(Config(timeouts=Timeouts(drain_s=3))) as w:
        client = await w.client()
        await client.request(BASIC_QOT, b"\x0a\x00")
        await w.opend.requests.receive()
        started = trio.current_time()
        w.proxy.stop()
        with pytest.raises(trio.EndOfChannel):
            await client.receive()
        assert trio.current_time() - started == pytest.approx(3, abs=0.2)


async def test_a_caller_is_told_before_the_drain_ends_that_nobody_knows_of_its_order(
    autojump_clock: MockClock,
) -> None:
    """A lost connection would be UNAVAILABLE, which gRPC clients may send again by themselves."""
    async with world(Config(timeouts=Timeouts(drain_s=3))) as w:
        stream, _ = await w.listener.connect()
        client = GrpcClient()
        message = futu.FutuRequest(proto_id=ProtoId.TRD_PLACE_ORDER, body=place(env=0)).SerializeToString()
        seen = client.streams[client.call(message)]
        await stream.send_all(client.h2.data_to_send())
        await w.opend.requests.receive()
        w.proxy.stop()
        while not seen.headers or "grpc-status" not in seen.headers[-1]:
            data = bytes(await stream.receive_some())
            assert data, "the connection was cut"
            client.receive(data)
            with contextlib.suppress(trio.BrokenResourceError):
                await stream.send_all(client.h2.data_to_send())
        assert seen.headers[-1]["grpc-status"] == "0"
        (reply,) = [futu.FutuResponse.FromString(message) for message in seen.messages]
        assert reply.ret_type == -400
        assert "outcome unknown" in reply.ret_msg


@pytest.mark.parametrize("steps", range(8))
@pytest.mark.parametrize("connects_first", [True, False])
async def test_who_is_accepted_in_the_moment_of_the_drain_is_closed_too(
    connects_first: bool, steps: int, autojump_clock: MockClock
) -> None:
    async with world(Config(timeouts=Timeouts(drain_s=3))) as w:
        started = trio.current_time()
        if not connects_first:
            w.proxy.stop()
        for _ in range(0 if connects_first else steps):
            await trio.lowlevel.checkpoint()
        try:
            client, far_end = await w.listener.connect()
        except trio.ClosedResourceError:
            return  # nobody listens any more
        if connects_first:
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            w.proxy.stop()
        await trio.testing.wait_all_tasks_blocked()
        if not w.proxy.hub.ended:  # nobody has taken it; a kernel would reset it
            await far_end.aclose()
        assert await client.receive_some() == b""
        assert trio.current_time() - started < 1


async def test_a_crash_stays_in_its_session(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w:
        victim, other = await w.client(), await w.client()

        async def explode() -> None:
            raise RuntimeError("a bug")

        victim.far_end.send_stream.send_all_hook = explode
        with caplog.at_level(logging.CRITICAL, "opendmux.session"):
            await victim.request(9999, b"")
            assert await victim.read_to_the_end() == 1
        await other.request(BASIC_QOT, b"\x0a\x00")
        assert (await w.opend.requests.receive()).proto_id == BASIC_QOT


async def test_a_thousand_clients_share_one_upstream_connection(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[BASIC_QOT] = lambda _frame: ret_body(0, 0)
        clients = [await w.client() for _ in range(1000)]
        for client in clients:
            await client.request(BASIC_QOT, b"\x0a\x00")
        for client in clients:
            assert (await client.receive()).serial_no == client.serial_no
        assert w.opend.connections == 1


async def test_a_cancelled_proxy_leaves_no_socket_open(caplog: pytest.LogCaptureFixture) -> None:
    """Everything ends at once, in any order."""
    with caplog.at_level(logging.ERROR):
        async with trio.open_nursery() as nursery:
            opend = OpenD(nursery)
            face = Face(Reach("opend.test:11111", opend.dial), Config(), bound=bind(["127.0.0.1:0"]))
            proxy = await nursery.start(partial(run_proxy, [face], drain_s=1.0))
            await proxy.listening.wait()
            clients = [await trio.open_tcp_stream("127.0.0.1", proxy.addresses[0].port) for _ in range(20)]
            for client in clients:
                await client.send_all(b"F")
            while len(proxy.hub.clients) < len(clients):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel(reason="at once")
    assert proxy.hub.clients == {}
    for client in clients:
        with contextlib.suppress(trio.BrokenResourceError):  # reset, which is an end as well
            assert await client.receive_some() == b""
        await client.aclose()
    assert caplog.records == []
