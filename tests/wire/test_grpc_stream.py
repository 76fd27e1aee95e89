"""A call's queue, and the budget for large requests."""

from __future__ import annotations

from opendmux.wire.grpc_message import Assembler
from opendmux.wire.grpc_stream import CallStream, RequestBudget

from .grpc_kit import framed


def stream(stream_id: int = 1) -> CallStream:
    return CallStream(stream_id, Assembler(b"identity", 100))


def test_small_messages_share_a_frame_and_large_ones_are_cut() -> None:
    one = stream()
    messages = [b"a" * 10, b"b" * 20_000, b"c"]
    assert sum(one.put(message) for message in messages) == one.queued == 20_011 + 15
    first, second = one.cut(16_384), one.cut(16_384)
    assert first + second == b"".join(map(framed, messages))
    assert (len(first), one.queued, one.queue) == (16_384, 0, type(one.queue)())


def test_discard_says_how_much_it_was() -> None:
    one = stream()
    one.put(b"x" * 100)
    one.cut(50)
    assert (one.discard(), one.queued, one.cut(10)) == (55, 0, b"")


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
