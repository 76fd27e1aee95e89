"""The gRPC face on a memory stream: requests, status, deadlines, streams, drain."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from opendmux.core.commands import Request
from opendmux.core.denial import Denial, DenialKind
from opendmux.core.events import PushEvent
from opendmux.core.identity import Session
from opendmux.runtime.backend import Answer
from opendmux.runtime.transports._grpc_call import Kind, OpenCall
from opendmux.runtime.transports.grpc import GrpcLimits, serve_grpc
from opendmux.wire.grpc_events import Call
from opendmux.wire.grpc_status import Code
from opendmux.wire.handshake import client_hello_untrusted
from opendmux.wire.messages import encode
from opendmux.wire.pb import futu, opend
from opendmux.wire.pb import grpc_health as health
from opendmux.wire.pb import grpc_reflection as reflection
from tests.wire.grpc_kit import Client, framed

from .grpc_kit import KEY, NO_KEY, OK_BODY, FakeBackend, quote
from .grpc_world import BEARER, PUSH, events, reason, replies, world

SLOW = Denial(DenialKind.LIMIT, "slow", "the stream was too slow")
DRAINING = Denial(DenialKind.UNAVAILABLE, "drain", "going away")


async def test_a_request_and_its_answer(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.backend.answers = lambda asked: asked.answer(Answer(-1, "没有权限", b"\x08\xff"))
        seen = await w.ask(3004, OK_BODY, BEARER)
        (reply,) = replies(seen)
        assert (reply.ret_type, reply.ret_msg, reply.proto_id, reply.body) == (-1, "没有权限", 3004, b"\x08\xff")
        assert seen.status == Code.OK  # what OpenD refuses is an answer
        (caller,) = w.backend.callers
        assert (caller.asked[0].proto_id, caller.asked[0].body, caller.asked[0].until) == (3004, OK_BODY, None)
        assert not caller.asked[0].dropped


async def test_an_answer_may_come_later_and_out_of_order(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.backend.answers = None
        first, second = await w.ask(3004), await w.ask(3006)
        for asked in reversed(w.backend.callers[0].asked):
            asked.answer(Answer(0, "", OK_BODY))
        await w.settle()
        assert [replies(seen)[0].proto_id for seen in (first, second)] == [3004, 3006]


async def test_keys_are_never_logged(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with world() as w:
        await w.ask(headers=BEARER)
        await w.ask(headers=[("authorization", "Bearer fc_wrong")])
        await w.stream.send_all(b"\xff" * 20)
        await w.settle()
    assert "fc_" not in caplog.text
    assert "closed" in caplog.text


def test_what_holds_a_key_does_not_show_it() -> None:
    """Sooner or later somebody logs one of them."""
    session = Session(1, 1, 1, "peer", "peer", "tcp", 5, b"", b"")
    body = encode(opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=1, clientID="fc_00")))
    for holder in (
        Call(1, "/", [(b"authorization", b"Bearer fc_00")], None),
        OpenCall(1, Kind.REQUEST, None, ("fc_00", True), None, 0.0),
        client_hello_untrusted(body, 0),
        Request(session, 1001, 0, 1, body),
    ):
        assert "fc_00" not in repr(holder)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (DenialKind.UNAUTHENTICATED, Code.UNAUTHENTICATED),
        (DenialKind.PERMISSION, Code.PERMISSION_DENIED),
        (DenialKind.LIMIT, Code.RESOURCE_EXHAUSTED),
        (DenialKind.INVALID, Code.INVALID_ARGUMENT),
        (DenialKind.UNAVAILABLE, Code.UNAVAILABLE),
        (DenialKind.TIMEOUT, Code.DEADLINE_EXCEEDED),
    ],
)
async def test_a_denial_is_a_status(autojump_clock: MockClock, kind: DenialKind, code: Code) -> None:
    async with world() as w:
        denial = Denial(kind, "why-not", "because", "trade:real", 2.5)
        w.backend.answers = lambda asked: asked.answer(Answer(-1, "because", OK_BODY, denial))
        seen = await w.ask()
        assert (seen.status, seen.messages, reason(seen)) == (code, [], "WHY_NOT")
        assert seen.headers[-1]["grpc-message"] == "because"
        assert seen.headers[-1]["grpc-retry-pushback-ms"] == "2500"


@pytest.mark.parametrize(("proto_id", "body"), [(0, b""), (3005, b""), (2208, b""), (3004, b"\xff"), (3004, b"\n\5")])
async def test_requests_that_make_no_sense(autojump_clock: MockClock, proto_id: int, body: bytes) -> None:
    async with world() as w:
        assert (await w.ask(proto_id, body)).status == Code.INVALID_ARGUMENT
        assert w.backend.asked == 0


async def test_messages_that_are_none(autojump_clock: MockClock) -> None:
    async with world() as w:
        for path in ("/futu.service.FutuOpenD/Request", PUSH, "/grpc.health.v1.Health/Check"):
            assert (await w.call(path, b"\xff")).status == Code.INVALID_ARGUMENT
        none = w.client.open(end=True)
        two = w.client.open()
        w.client.send(two, framed(b"") * 2)
        await w.settle()
        for stream_id in (none, two):
            assert w.client.streams[stream_id].status == Code.INVALID_ARGUMENT


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("path", [PUSH, "/grpc.health.v1.Health/Check", Kind.REFLECT.value])
async def test_only_a_request_of_opend_may_be_large(autojump_clock: MockClock, path: str, early: bool) -> None:
    """Nobody has shown a key for most of the others."""
    async with world() as w:
        stream_id = w.client.open(BEARER, path=path)
        if not early:
            await w.settle()
        w.client.send(stream_id, framed(b"x" * 100_000), end=False)
        await w.settle()
        seen = w.client.streams[stream_id]
        assert seen.headers[-1]["grpc-status"] == str(int(Code.RESOURCE_EXHAUSTED))
        assert "over the limit of 65536" in seen.headers[-1]["grpc-message"]


async def test_an_unknown_method(autojump_clock: MockClock) -> None:
    async with world() as w:
        seen = await w.call("/futu.service.FutuOpenD/Nothing")
        assert seen.status == Code.UNIMPLEMENTED
        assert w.backend.admitted == []


async def test_the_clients_deadline_is_ours(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.backend.answers = None
        start = trio.current_time()
        seen = await w.ask(headers=[("grpc-timeout", "5S")])
        (asked,) = w.backend.callers[0].asked
        assert asked.until == start + 5
        await trio.sleep(4.9)
        await w.settle()
        assert not seen.ended
        await trio.sleep(0.2)
        await w.settle()
        assert (seen.status, asked.dropped) == (Code.DEADLINE_EXCEEDED, True)
        asked.answer(Answer(0, "", OK_BODY))  # too late, and of no effect
        await w.settle()
        assert seen.messages == []


async def test_an_earlier_deadline_is_seen_behind_a_later_one(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.backend.answers = None
        later = await w.ask(headers=[("grpc-timeout", "50S")])
        sooner = await w.ask(headers=[("grpc-timeout", "1S")])
        await trio.sleep(2)
        await w.settle()
        assert (sooner.status, later.ended) == (Code.DEADLINE_EXCEEDED, False)


async def test_a_deadline_is_kept_behind_those_of_calls_that_are_over(autojump_clock: MockClock) -> None:
    async with world() as w:
        for _ in range(3):
            assert (await w.ask(headers=[("grpc-timeout", "5S")])).status == 0
            await w.wait(3)
        w.backend.answers = None
        hangs = await w.ask(headers=[("grpc-timeout", "7S")])
        await w.wait(6.5)
        assert not hangs.ended
        await w.wait(1)
        assert hangs.status == Code.DEADLINE_EXCEEDED


async def test_a_request_must_be_sent_in_time(autojump_clock: MockClock) -> None:
    async with world() as w:
        seen = w.client.streams[w.client.open()]
        await w.settle()
        await trio.sleep(59)
        await w.settle()
        assert not seen.ended
        await trio.sleep(2)
        await w.settle()
        assert seen.status == Code.DEADLINE_EXCEEDED


async def test_a_cancelled_call_is_freed(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.backend.answers = None
        await w.ask()
        w.client.h2.reset_stream(1, 8)
        await w.settle()
        assert w.backend.callers[0].asked[0].dropped


async def test_a_client_that_goes_frees_everything(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.backend.answers = None
        await w.ask()
        _, push = await w.subscribe()
        await w.stream.aclose()
        await w.over.wait()
        (caller,) = w.backend.callers
        assert (caller.asked[0].dropped, push.closed, caller.detached) == (True, True, 1)


async def test_three_megabytes_both_ways(autojump_clock: MockClock) -> None:
    async with world() as w:
        body = b"\x12" + b"\xc0\x8d\xb7\x01" + bytes(3_000_000)
        assert replies(await w.ask(3004, body))[0].body == body


async def test_a_reply_over_the_limit(autojump_clock: MockClock) -> None:
    async with world(limits=GrpcLimits(reply_bytes=1000)) as w:
        w.backend.answers = lambda asked: asked.answer(Answer(0, "", bytes(1000)))
        seen = await w.ask()
        assert (seen.status, seen.messages) == (Code.RESOURCE_EXHAUSTED, [])


async def test_replies_that_nobody_reads_are_bounded_and_dropped(autojump_clock: MockClock) -> None:
    async with world(limits=GrpcLimits(queue_bytes=300_000), acknowledge=False) as w:
        w.backend.answers = lambda asked: asked.answer(Answer(0, "", bytes(100_000)))
        seen = [await w.ask() for _ in range(5)]
        assert [one.status for one in seen] == [None, None, None, Code.RESOURCE_EXHAUSTED, Code.RESOURCE_EXHAUSTED]
        await w.wait(121)
        assert [one.reset for one in seen] == [8, 8, 8, None, None]


async def test_pushes(autojump_clock: MockClock) -> None:
    async with world() as w:
        seen, push = await w.subscribe(BEARER)
        assert len(seen.headers) == 1  # at once, before any push
        push.put(quote("00700", 7))
        push.put(PushEvent(2208, "1_00700", 0, b"order", "trade", 2**63 + 1))
        push.put(PushEvent(1003, "", 0, b"notify", "notify", 0))
        await w.settle()
        one, two, three = events(seen)
        assert (one.proto_id, one.sec_key, one.sub_type, one.event_type, one.acc_id) == (3005, "1_00700", 1, "quote", 0)
        assert (two.proto_id, two.body, two.event_type, two.acc_id) == (2208, b"order", "trade", 2**63 + 1)
        assert (three.proto_id, three.sec_key, three.event_type) == (1003, "", "notify")


async def test_a_slow_reader_makes_the_outbox_conflate(autojump_clock: MockClock) -> None:
    async with world(acknowledge=False) as w:
        seen, push = await w.subscribe()
        for value in range(2000):
            push.put(quote("00700", value, 1000))
            await w.settle()
        assert push.conflated > 1900
        assert push.taken < 100
        w.client.h2.increment_flow_control_window(1_000_000)
        w.client.h2.increment_flow_control_window(1_000_000, 1)
        await w.settle()
        values = [int.from_bytes(event.body[:8]) for event in events(seen)]
        assert values == sorted(values)
        assert values[-1] == 1999
        assert len(seen.data) < 200_000


@pytest.mark.parametrize(
    ("denial", "code"),
    [(SLOW, Code.RESOURCE_EXHAUSTED), (NO_KEY, Code.UNAUTHENTICATED), (DRAINING, Code.UNAVAILABLE)],
)
async def test_a_stream_ends_with_its_reason_after_what_was_queued(
    autojump_clock: MockClock, denial: Denial, code: Code
) -> None:
    async with world() as w:
        seen, push = await w.subscribe()
        push.put(quote("00700", 1))
        push.put(quote("00005", 1))
        push.end(denial)
        await w.settle()
        assert (len(seen.messages), seen.status, push.closed) == (2, code, True)


async def test_a_stream_that_is_not_read_ends_all_the_same(autojump_clock: MockClock) -> None:
    async with world(acknowledge=False) as w:
        seen, push = await w.subscribe()
        for value in range(100):
            push.put(PushEvent(2208, "", 0, bytes(1000), "trade", value))
        await w.settle()
        push.end(SLOW)
        await w.settle()
        assert not seen.ended
        await trio.sleep(5.1)
        await w.settle()
        assert (seen.status, push.closed) == (Code.RESOURCE_EXHAUSTED, True)


async def test_a_refused_stream(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.backend.no_stream = Denial(DenialKind.PERMISSION, "scope", "qot:read or acc:read is needed", "qot:read")
        seen = await w.call(PUSH)
        assert (seen.status, len(seen.headers)) == (Code.PERMISSION_DENIED, 1)


async def test_a_cancelled_stream_is_closed(autojump_clock: MockClock) -> None:
    async with world() as w:
        _, push = await w.subscribe()
        w.client.h2.reset_stream(1, 8)
        await w.settle()
        assert push.closed
        push.put(quote("00700", 1))
        assert (await w.ask()).status == Code.OK


async def test_a_streams_deadline(autojump_clock: MockClock) -> None:
    async with world() as w:
        seen, push = await w.subscribe([("grpc-timeout", "100S")])
        await w.wait(101)
        assert (seen.status, push.closed) == (Code.DEADLINE_EXCEEDED, True)


async def test_drain(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.backend.answers = None
        seen = await w.ask()
        stream, push = await w.subscribe()
        watch = await w.call("/grpc.health.v1.Health/Watch")
        push.put(quote("00700", 1))
        await w.settle()
        w.draining.set()
        await w.settle()
        assert (stream.status, push.closed, watch.status) == (Code.UNAVAILABLE, True, Code.UNAVAILABLE)
        assert [event.error_code for event in w.client.goaways] == [0, 0]
        assert not w.over.is_set()
        w.backend.callers[0].asked[0].answer(Answer(0, "", OK_BODY))
        await w.settle()
        assert (seen.status, replies(seen)[0].body) == (Code.OK, OK_BODY)
        await trio.sleep(2)
        assert w.over.is_set()


async def test_drain_does_not_wait_for_a_stream_that_is_not_read(autojump_clock: MockClock) -> None:
    async with world(acknowledge=False) as w:
        seen, push = await w.subscribe()
        for value in range(100):
            push.put(PushEvent(2208, "", 0, bytes(1000), "trade", value))
        await w.settle()
        w.draining.set()
        await w.settle()
        assert not seen.ended
        await trio.sleep(5.1)
        await w.settle()
        assert seen.status == Code.UNAVAILABLE
        await trio.sleep(2)
        assert w.over.is_set()


async def test_health(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.backend.keys = {}
        for service in ("", "futu.service.FutuOpenD"):
            asked = health.HealthCheckRequest(service=service).SerializeToString()
            for serving, status in ((True, 1), (False, 2)):
                w.serving = serving
                seen = await w.call("/grpc.health.v1.Health/Check", asked)
                assert seen.status == Code.OK
                assert health.HealthCheckResponse.FromString(seen.messages[0]).status == status
        asked = health.HealthCheckRequest(service="x").SerializeToString()
        assert (await w.call("/grpc.health.v1.Health/Check", asked)).status == Code.NOT_FOUND


async def test_a_health_watch_tells_changes(autojump_clock: MockClock) -> None:
    async with world() as w:
        seen = await w.call("/grpc.health.v1.Health/Watch")
        asked = health.HealthCheckRequest(service="x").SerializeToString()
        unknown = await w.call("/grpc.health.v1.Health/Watch", asked)
        for serving in (True, False, False, True):
            w.serving = serving
            await trio.sleep(1.1)
            await w.settle()
        told = [health.HealthCheckResponse.FromString(message).status for message in seen.messages]
        assert told == [1, 2, 1]
        assert [health.HealthCheckResponse.FromString(message).status for message in unknown.messages] == [3]
        assert not unknown.ended


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection(autojump_clock: MockClock, version: str) -> None:
    async with world() as w:
        path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        stream_id = w.client.open(path=path)
        seen = w.client.streams[stream_id]
        for request in ({"list_services": ""}, {"file_by_filename": "futu.proto"}):
            asked = reflection.ServerReflectionRequest(**request).SerializeToString()  # type: ignore[arg-type]
            w.client.send(stream_id, framed(asked), end=False)
            await w.settle()
        w.client.h2.end_stream(stream_id)
        await w.settle()
        listed, file = [reflection.ServerReflectionResponse.FromString(message) for message in seen.messages]
        assert listed.list_services_response.service[0].name == "futu.service.FutuOpenD"
        assert len(file.file_descriptor_response.file_descriptor_proto) == 1
        assert seen.status == Code.OK
        assert (await w.call(path, b"\xff")).status == Code.INVALID_ARGUMENT


async def test_reflection_that_is_not_read_is_bounded(autojump_clock: MockClock) -> None:
    async with world(acknowledge=False) as w:
        stream_id = w.client.open(path="/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        asked = reflection.ServerReflectionRequest(file_by_filename="futu.proto").SerializeToString()
        w.client.send(stream_id, framed(asked) * 2000, end=False)
        await w.settle()
        w.client.h2.increment_flow_control_window(2**30, stream_id)
        w.client.h2.increment_flow_control_window(2**30)
        await w.settle()
        assert w.client.streams[stream_id].status == Code.RESOURCE_EXHAUSTED


async def test_a_silent_connection_is_pinged_and_then_closed(autojump_clock: MockClock) -> None:
    async with world() as w:
        for _ in range(5):
            await trio.sleep(61)
            await w.settle()
        assert not w.over.is_set()
        w.paused = True
        await trio.sleep(60 + 20 + 2)
        assert w.over.is_set()


async def test_a_client_that_never_speaks(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_serve_plain, theirs, b"PRI * HTTP/2.0\r\n")
        await trio.sleep(9)
        await ours.send_all(b"\r\n")
        start = trio.current_time()
        while await ours.receive_some():
            pass
        assert trio.current_time() - start <= 1
        await ours.aclose()


async def _serve_plain(stream: trio.abc.Stream, first: bytes) -> None:
    await serve_grpc(stream, first, FakeBackend(), peer="127.0.0.1:5", local=True)


async def test_what_was_read_already_is_the_beginning(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    client = Client()
    client.call(futu.FutuRequest(proto_id=3004, body=OK_BODY).SerializeToString())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_serve_plain, theirs, client.h2.data_to_send())
        while not client.streams[1].ended:
            client.receive(bytes(await ours.receive_some()))
        assert replies(client.streams[1])[0].body == OK_BODY
        await ours.aclose()


async def test_a_protocol_error_says_goodbye(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.stream.send_all(b"\xff" * 9)
        await w.settle()
        assert w.client.goaways[0].error_code == 6
        await trio.sleep(2)
        assert w.over.is_set()


async def test_a_client_that_takes_nothing_is_closed(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with world() as w:
        w.server_stream.send_stream.send_all_hook = trio.sleep_forever
        w.client.h2.ping(bytes(8))
        await w.settle()
        await trio.sleep(61)
        assert w.over.is_set()
        assert "takes nothing" in caplog.text


async def test_who_sends_without_reading_is_not_read_any_more(autojump_clock: MockClock) -> None:
    async with world(limits=GrpcLimits(idle_burst=10**9)) as w:
        w.server_stream.send_stream.send_all_hook = trio.sleep_forever
        reads = 0

        async def count() -> None:
            nonlocal reads
            reads += 1

        w.server_stream.receive_stream.receive_some_hook = count
        pings = b"\0\0\x08\x06\0\0\0\0\0" + bytes(8)
        for _ in range(200):
            await w.stream.send_all(pings * 1000)
            await wait_all_tasks_blocked()
        assert reads < 30
        await trio.sleep(61)
        assert w.over.is_set()


async def test_others_have_their_turn_while_a_message_comes_in_crumbs(autojump_clock: MockClock) -> None:
    turns = 0
    worked_off = trio.Event()

    async def other() -> None:
        nonlocal turns
        while not worked_off.is_set():
            turns += 1
            await trio.lowlevel.checkpoint()

    async def reads_again() -> None:
        worked_off.set()

    async with world() as w, trio.open_nursery() as nursery:
        w.client.open()
        await w.settle()
        w.server_stream.receive_stream.receive_some_hook = reads_again
        nursery.start_soon(other)
        crumbs = b"".join(b"\0\0\1\0\0\0\0\0\1%c" % byte for byte in framed(bytes(8000))[:6000])
        await w.stream.send_all(crumbs)
        await worked_off.wait()
        assert turns > 10, "60 kB are fifteen pieces"


async def test_a_crash_is_contained(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    def crash(asked: object) -> None:
        raise RuntimeError("a bug")

    async with world() as w:
        w.backend.answers = crash
        await w.ask(headers=BEARER)
        await w.over.wait()
        assert "an error of ours" in caplog.text
        assert KEY not in caplog.text


async def test_many_calls_at_once(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.backend.answers = None
        seen = [await w.ask(settle=n == 999) for n in range(1000)]
        for asked in w.backend.callers[0].asked:
            asked.answer(Answer(0, "", asked.body))
        await w.settle()
        assert {one.status for one in seen} == {Code.OK}


# -- streams that can be resumed


async def test_who_does_not_ask_for_numbers_sees_none(autojump_clock: MockClock) -> None:
    async with world() as w:
        seen, stream = await w.subscribe()
        assert w.backend.callers[-1].resumed == [None]
        stream.put(quote("00700", 1))
        await w.settle()
        (event,) = events(seen)
        assert {field.number for field, _ in event.ListFields()} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("resume_from", [0, 1_700_000_000_250_000, 2**64 - 1])
async def test_numbers_and_gaps_go_over_the_wire(resume_from: int, autojump_clock: MockClock) -> None:
    async with world() as w:
        message = futu.SubscribePushRequest(resume_from=resume_from).SerializeToString()
        seen = await w.call(PUSH, message)
        caller = w.backend.callers[-1]
        assert caller.resumed == [resume_from]
        caller.streams[-1].put(replace(quote("00700", 1), seq=7))
        caller.streams[-1].put(PushEvent(0, "", 0, b"", "gap", 0, 11, 8, 11))
        await w.settle()
        one, gap = events(seen)
        assert (one.seq, one.gap_from, one.gap_to) == (7, 0, 0)
        assert (gap.event_type, gap.seq, gap.gap_from, gap.gap_to) == ("gap", 11, 8, 11)
