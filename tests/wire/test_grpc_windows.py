"""The windows of requests, and the budget for large ones: by themselves and on a connection."""

from __future__ import annotations

import gzip

from opendmux.wire.grpc_engine import CONNECTION_WINDOW
from opendmux.wire.grpc_events import Cancelled, HalfClosed, Message
from opendmux.wire.grpc_guard import GrpcLimits
from opendmux.wire.grpc_message import Assembler
from opendmux.wire.grpc_status import OK, Code
from opendmux.wire.grpc_stream import CallStream
from opendmux.wire.grpc_windows import RequestBudget

from .grpc_kit import Pair, answer, framed


def stream(stream_id: int = 1) -> CallStream:
    return CallStream(stream_id, Assembler(b"identity", 100))


def test_the_budget_is_first_come_first_served() -> None:
    budget = RequestBudget(100)
    a, b, c, d = (stream(n) for n in range(4))
    assert budget.ask(a, 60) == [a]
    assert budget.ask(b, 60) == []
    assert budget.ask(c, 10) == []  # behind b
    assert budget.ask(d, 90) == []
    assert budget.release(b) == [c]  # b has gone away
    assert budget.release(a) == [d]
    assert budget.release(a) == []


def test_one_is_let_in_whatever_its_size() -> None:
    budget = RequestBudget(100)
    a, b = stream(1), stream(2)
    assert budget.ask(a, 1000) == [a]
    assert budget.ask(b, 1) == []
    assert budget.release(a) == [b]


def test_what_was_not_asked_for_is_charged_or_refused() -> None:
    budget = RequestBudget(200_000)
    a, b, c = (stream(n) for n in range(3))
    assert budget.charge(a, 65_535)
    assert a.reserved == 0
    assert budget.charge(a, 1_000_000)  # one, whatever its size
    assert not budget.charge(b, 100_000)
    assert budget.ask(b, 10) == []
    assert budget.release(a) == [b]
    assert budget.charge(b, 100_000)
    assert budget.charge(c, 99_990)
    assert not budget.charge(c, 99_990)
    assert (budget.release(b), budget.release(c)) == ([], [])
    assert budget.ask(a, 200_000) == [a]


def test_a_large_request_opens_its_window_for_itself() -> None:
    pair = Pair()
    body = bytes(3_000_000)
    stream_id = pair.client.call(body)
    assert Message(stream_id, body) in pair.exchange()


def test_a_large_request_with_padding_comes_through() -> None:
    pair = Pair()
    stream_id = pair.client.open()
    data = framed(bytes(100_000))
    while data:
        piece, data = data[:300], data[300:]
        padding = min(200, pair.client.h2.local_flow_control_window(stream_id) - len(piece) - 1)
        pair.client.h2.send_data(stream_id, piece, pad_length=padding if padding >= 0 else None, end_stream=not data)
        pair.exchange()
    assert pair.log[-1] == HalfClosed(stream_id)


def test_large_requests_wait_for_the_budget_and_all_come_through() -> None:
    pair = Pair(GrpcLimits(request_budget_bytes=250_000))
    ids = [pair.client.call(bytes([n]) * 100_000) for n in range(20)]
    told = pair.exchange()
    rounds = 0
    while ready := [event.stream_id for event in told if isinstance(event, Message)]:
        assert len(ready) <= 7  # the budget is of what is missing behind the first window
        for stream_id in ready:
            pair.server.finish(stream_id, OK)
        told = pair.exchange()
        rounds += 1
    assert {pair.client.streams[stream_id].status for stream_id in ids} == {0}
    assert rounds > 2
    assert pair.server._windows.budget._used == 0


def test_what_a_request_unpacks_to_counts() -> None:
    pair = Pair(GrpcLimits(request_bytes=200_000, request_budget_bytes=250_000))
    ids = []
    for _ in range(3):
        ids.append(pair.client.open([("grpc-encoding", "gzip")]))
        pair.client.send(ids[-1], framed(gzip.compress(bytes(100_000)), 1))
        pair.exchange()
    assert [pair.client.streams[stream_id].status for stream_id in ids] == [None, None, Code.RESOURCE_EXHAUSTED]
    answer(pair, ids[0])
    again = pair.client.open([("grpc-encoding", "gzip")])
    pair.client.send(again, framed(gzip.compress(bytes(100_000)), 1))
    assert Message(again, bytes(100_000)) in pair.exchange()


def test_a_budget_is_given_back_by_a_cancelled_call() -> None:
    pair = Pair(GrpcLimits(request_budget_bytes=100_000))
    hog = pair.client.open()
    pair.client.send(hog, framed(bytes(100_000))[:50_000] + b"", end=False)
    waiter = pair.client.call(bytes(100_000))
    assert not any(isinstance(event, Message) for event in pair.exchange())
    pair.client.h2.reset_stream(hog)
    told = pair.exchange()
    assert told[0] == Cancelled(hog)
    assert told[1:] == [Message(waiter, bytes(100_000)), HalfClosed(waiter)]


def test_the_connection_window_is_given_back() -> None:
    pair = Pair()
    for _ in range(2 * CONNECTION_WINDOW // 1_000_000 + 2):
        stream_id = pair.client.call(bytes(1_000_000))
        assert HalfClosed(stream_id) in pair.exchange()
        answer(pair, stream_id)
