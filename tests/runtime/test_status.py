"""The snapshot: what is there, who holds it, how fast it goes; and ending a client."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from opendmux.config import Config
from opendmux.core import snapshot
from opendmux.core.access import Access
from opendmux.core.denial import Denial
from opendmux.core.rejects import Cause
from opendmux.native import LATENCY_BUCKETS_S
from opendmux.runtime.callers import Callers
from opendmux.runtime.house import House
from opendmux.runtime.metrics import AuditState, KeyRoom
from opendmux.runtime.readiness import readiness_of
from opendmux.runtime.status import FRESH_S, SUBSCRIPTIONS_MAX, Status
from opendmux.runtime.status_parts import CLIENTS_MAX
from opendmux.wire.frame import build_frame
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .world import OK, Client, World, world

WALL = 1_700_000_000.0


def status_of(w: World, house: House | None = None) -> Status:
    def readiness() -> object:
        return readiness_of(w.proxy.stations, now=trio.current_time(), wall=WALL)

    return Status(
        lambda: w.proxy.stations,
        house or w.proxy.house,
        "1.2.3",
        readiness,  # type: ignore[arg-type]
        rooms=lambda: [KeyRoom("bot", "rate", 4.0)],
        audit=lambda: AuditState(healthy=True, written=7, queued=1, lost=0),
        wall=lambda: WALL,
    )


def look(status: Status) -> snapshot.Snapshot:
    """What a reader of the JSON gets."""
    return msgspec.json.decode(status.text(trio.current_time()), type=snapshot.Snapshot, strict=True)


async def subscribe(client: Client, *codes: str, sub: bool = True, register: bool = True) -> None:
    c2s = opend.SubC2S(
        securityList=[opend.Security(market=1, code=code) for code in codes],
        subTypeList=[1],
        isSubOrUnSub=sub,
        isRegOrUnRegPush=register,
    )
    await client.call(ProtoId.QOT_SUB, encode(opend.SubRequest(c2s=c2s)))


async def test_an_idle_proxy(autojump_clock: MockClock) -> None:
    async with world() as w:
        found = look(status_of(w))
        assert (found.opendmux, found.ready, found.reasons, found.simulated, found.keys) == (
            "1.2.3",
            True,
            [],
            False,
            False,
        )
        assert found.time == "2023-11-14T22:13:20.000000Z"
        assert [*found.clients, *found.subscriptions, *found.rejects] == []
        assert found.limits == [snapshot.Limit(key_id="bot", limit="rate", left=4.0)]
        assert found.audit == snapshot.Audit(healthy=True, written=7, queued=1, lost=0)
        (one,) = found.opends
        assert (one.number, one.name, one.state, one.absence) == (1, "opend.test:11111", "ready", "")
        assert (one.version, one.quote_login, one.quota_used) == (1009, None, None)
        assert [lane.name for lane in one.lanes] == ["main"]
        assert one.protocols == []


async def test_clients_and_what_they_hold(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[ProtoId.QOT_SUB] = lambda _frame: OK
        status = status_of(w)
        first, second = await w.client("alice"), await w.client("bob")
        await subscribe(first, "00700", "09988")
        await subscribe(second, "00700", register=False)
        await trio.sleep(10)
        found = look(status)
        assert [(c.id, c.client_id, c.state, c.subscriptions) for c in found.clients] == [
            ("1", "alice", "ready", 2),
            ("2", "bob", "ready", 1),
        ]
        assert all(c.transport == "tcp" and c.key_id is None and c.requests == 2 for c in found.clients)
        assert [(s.security, s.name, s.holders, s.registered, s.state) for s in found.subscriptions] == [
            ("HK.00700", "Basic", 2, 1, "subscribed"),
            ("HK.09988", "Basic", 1, 1, "subscribed"),
        ]
        assert found.subscriptions[0].age_s == pytest.approx(10, abs=1)
        assert found.opends[0].subscriptions == 2
        assert found.opends[0].clients == 2


async def test_a_stream_that_waits_out_its_minute(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[ProtoId.QOT_SUB] = lambda _frame: OK
        client = await w.client()
        await subscribe(client, "00700")
        await trio.sleep(20)
        await subscribe(client, "00700", sub=False)
        (one,) = look(status_of(w)).subscriptions
        assert (one.state, one.holders, one.registered) == ("leaving", 0, 0)
        assert one.leaves_in_s == pytest.approx(41, abs=1)
        await trio.sleep(45)
        assert look(status_of(w)).subscriptions == []


async def test_a_stream_that_opend_has_not_answered_yet(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        c2s = opend.SubC2S(securityList=[opend.Security(market=11, code="AAPL")], subTypeList=[4], isSubOrUnSub=True)
        await client.request(ProtoId.QOT_SUB, encode(opend.SubRequest(c2s=c2s)))
        await wait_all_tasks_blocked()
        (one,) = look(status_of(w)).subscriptions
        assert (one.security, one.name, one.state, one.age_s) == ("US.AAPL", "Ticker", "asking", None)


async def test_a_connection_that_has_said_nothing(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.connect()
        await client.stream.send_all(b"FT")
        await trio.sleep(1)
        assert [c.state for c in look(status_of(w)).clients] == ["new"]


async def test_opend_is_away(autojump_clock: MockClock) -> None:
    async with world() as w:
        status = status_of(w)
        w.opend.up = False
        await w.opend.drop()
        await trio.sleep(5)
        found = look(status)
        assert not found.ready
        assert "opendmux is reconnecting" in found.reasons[0]
        assert found.opends[0].state == "down"
        assert found.opends[0].absence == found.reasons[0]
        assert found.opends[0].version == 1009
        w.opend.up = True
        await trio.sleep(30)
        found = look(status)
        assert found.ready
        assert found.opends[0].reconnects == 1


async def test_requests_by_kind(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[ProtoId.QOT_GET_BROKER] = lambda _frame: OK
        status = status_of(w)
        client = await w.client()
        for _ in range(3):
            await client.call(ProtoId.QOT_GET_BROKER, b"")
        status.sampler.take(0.0)
        (one,) = look(status).opends[0].protocols
        assert (one.proto_id, one.name, one.answered, one.lately) == (3014, "Qot_GetBroker", 3, 0)
        assert (one.per_s, one.mean_ms, one.p50_ms, one.p99_ms) == (0.0, None, None, None)
        await client.call(ProtoId.QOT_GET_BROKER, b"")
        status.sampler.take(4.0)
        (one,) = look(status).opends[0].protocols
        assert (one.answered, one.lately, one.per_s) == (4, 1, 0.25)
        assert one.p50_ms == one.p99_ms == pytest.approx(LATENCY_BUCKETS_S[0] * 1e3)
        assert look(status).opends[0].history.requests == [0.2]


async def test_callers_and_their_streams(autojump_clock: MockClock) -> None:
    async with world() as w:
        callers = Callers(w.proxy.hub, Access())
        caller = callers.admit(None, iface="grpc", peer="p", local=True)
        assert not isinstance(caller, Denial)
        stream = caller.open_stream()
        assert not isinstance(stream, Denial)
        caller.request(ProtoId.QOT_GET_BROKER, b"", until=None, answer=lambda _answer: None)
        status = status_of(w)
        slot = w.proxy.hub.router.sessions[1].push_slots[0]
        notify = build_frame(ProtoId.NOTIFY, 0, 0, b"")
        w.proxy.hub.switch.fan_out([slot], notify, None)
        (one,) = look(status).clients
        assert (one.transport, one.key_id, one.state) == ("grpc", "anonymous", "ready")
        assert (one.requests, one.pushes, one.outbox_bytes) == (1, 1, len(notify))
        stream.close()
        status.sampler.take(1.0)
        (one,) = look(status).clients
        assert (one.pushes, one.outbox_bytes) == (1, 0), "what a stream was given is not forgotten with it"
        callers.close()


async def test_what_was_turned_away(autojump_clock: MockClock) -> None:
    async with world() as w:
        house = w.proxy.house
        house.rejects.add(Cause("tcp", "p:1", "bot", "<b>x</b>", 2202, "limit", "rate"), "too many", WALL)
        house.rejects.add(Cause("http", "p", "<missing>", "", 0, "unauthenticated", "missing"), "a key is needed", WALL)
        second, first = look(status_of(w)).rejects
        assert (first.name, first.client_id, first.count, first.text) == ("Trd_PlaceOrder", "<b>x</b>", 1, "too many")
        assert (second.name, second.proto_id, second.key_id) == ("", 0, "<missing>")


async def test_a_refused_request_is_on_the_list(autojump_clock: MockClock) -> None:
    async with world(Config(allow_unknown=False)) as w:
        client = await w.client("odd")
        for _ in range(2):
            await client.call(60_000, b"")
        (one,) = look(status_of(w)).rejects
        assert (one.client_id, one.proto_id, one.count, one.transport) == ("odd", 60_000, 2, "tcp")
        assert one.text


async def test_the_text_is_kept_for_a_second(autojump_clock: MockClock) -> None:
    async with world() as w:
        status = status_of(w)
        text = status.text(trio.current_time())
        await w.client()
        assert status.text(trio.current_time()) is text
        status.sampler.take(trio.current_time())
        assert len(look(status).clients) == 1
        text = status.text(trio.current_time())
        await trio.sleep(FRESH_S)
        assert status.text(trio.current_time()) is not text


async def test_long_lists_are_cut_and_counted(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opendmux.runtime.status.CLIENTS_MAX", 1)
    monkeypatch.setattr("opendmux.runtime.status.SUBSCRIPTIONS_MAX", 2)
    async with world() as w:
        w.opend.answers[ProtoId.QOT_SUB] = lambda _frame: OK
        client, _other = await w.client(), await w.client()
        await subscribe(client, "1", "2", "3")
        found = look(status_of(w))
        assert (len(found.clients), found.clients_left_out) == (1, 1)
        assert (len(found.subscriptions), found.subscriptions_left_out) == (2, 1)
        assert found.opends[0].clients == 2
    assert CLIENTS_MAX >= 1000
    assert SUBSCRIPTIONS_MAX >= 1000


async def test_ending_a_client(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w:
        status = status_of(w)
        first, second = await w.client("one"), await w.client("two")
        assert status.end_client("1", peer="127.0.0.1:9", key=None)
        with pytest.raises(trio.EndOfChannel):
            await first.receive()
        assert [c.id for c in look(status).clients] == ["2"]
        await second.call(ProtoId.KEEP_ALIVE, encode(opend.KeepAliveRequest(c2s=opend.KeepAliveC2S(time=1))))
        assert not status.end_client("1", peer="p", key=None)
    assert "was closed by" in caplog.text


@pytest.mark.parametrize("client_id", ["", "0", "2", "1.1.1", "2.1", "-1", "1.", "x", "1 ", "\u0661", "9" * 30])
async def test_nobody_to_end(autojump_clock: MockClock, client_id: str) -> None:
    async with world() as w:
        client = await w.client()
        assert not status_of(w).end_client(client_id, peer="p", key=None)
        assert await client.nothing_comes(0.1)


async def test_a_thousand_clients_cost_milliseconds(autojump_clock: MockClock) -> None:
    async with world() as w:
        hub = w.proxy.hub

        class Nobody:
            ordered = True

            def __init__(self) -> None:
                self.session = hub.open_session("127.0.0.1:1", "127.0.0.1", "tcp", "hold")

            def flush(self) -> None: ...
            def take_reply(self, _reply: object) -> bool:
                return False

            def pause(self) -> None: ...
            def resume(self) -> None: ...
            def end(self, reason: str, *, flush_all: bool) -> None: ...

        for _ in range(1000):
            hub.add(Nobody())
        status = status_of(w)
        took = []
        for second in range(5):
            begun = time.perf_counter()
            status.sampler.take(float(second))
            text = status.text(trio.current_time())
            took.append(time.perf_counter() - begun)
        assert len(json.loads(text)["clients"]) == 1000
        # Some 5 ms on an idle machine; the bound only catches another order of magnitude.
        assert min(took) < 0.1
        hub.clients.clear()
