"""What goes out, against h2 as the client: windows, turns, who is told to go on, and what is dropped."""

from __future__ import annotations

from opendmux.wire.grpc_events import Writable
from opendmux.wire.grpc_status import OK, Code, Status

from .grpc_kit import Pair, answer


def test_a_stream_window_update_moves_a_reply_on() -> None:
    pair = Pair(window=100, connection_window=1_000_000, acknowledge=False)
    stream_id = pair.client.call(b"ask")
    pair.exchange()
    answer(pair, stream_id, bytes(1000))
    seen = pair.client.streams[stream_id]
    assert (len(seen.data), pair.server.queued_bytes) == (100, 905)
    pair.client.h2.increment_flow_control_window(2000, stream_id)
    pair.exchange()
    assert (seen.messages, seen.status, pair.server.queued_bytes) == ([bytes(1000)], 0, 0)


def test_a_connection_window_update_moves_a_reply_on() -> None:
    pair = Pair(window=1_000_000, acknowledge=False)
    stream_id = pair.client.call(b"ask")
    pair.exchange()
    answer(pair, stream_id, bytes(100_000))
    seen = pair.client.streams[stream_id]
    assert len(seen.data) == 65_535
    pair.client.h2.increment_flow_control_window(100_000)
    pair.exchange()
    assert seen.status == 0


def test_new_settings_move_a_reply_on() -> None:
    pair = Pair(window=10, connection_window=1_000_000, acknowledge=False)
    stream_id = pair.client.call(b"ask")
    pair.exchange()
    answer(pair, stream_id, bytes(1000))
    assert len(pair.client.streams[stream_id].data) == 10
    pair.client.h2.update_settings({4: 50_000})
    pair.exchange()
    assert pair.client.streams[stream_id].status == 0


def test_streams_take_turns() -> None:
    pair = Pair(window=1_000_000, connection_window=100_000, acknowledge=False)
    ids = [pair.client.call(b"ask") for _ in range(2)]
    pair.exchange()
    for stream_id in ids:
        pair.server.send_message(stream_id, bytes(200_000))
    pair.exchange()
    a, b = (len(pair.client.streams[stream_id].data) for stream_id in ids)
    assert a + b == 100_000
    assert abs(a - b) <= 16_384


def test_room_is_what_the_windows_leave_and_writable_says_when_there_is_some() -> None:
    pair = Pair(window=100, connection_window=1_000_000, acknowledge=False)
    stream_id = pair.client.call(b"")
    pair.exchange()
    assert pair.server.room(stream_id) == 100
    pair.server.send_message(stream_id, bytes(150))
    assert pair.server.room(stream_id) == 0
    assert pair.exchange() == []
    assert pair.server.queued(stream_id) == 55
    pair.client.h2.increment_flow_control_window(55, stream_id)
    assert pair.exchange() == []
    pair.client.h2.increment_flow_control_window(10, stream_id)
    assert pair.exchange() == [Writable(stream_id)]
    assert pair.server.room(stream_id) == 10
    pair.server.send_message(stream_id, b"")
    assert pair.exchange() == []  # nobody asked


def test_finish_with_discard_drops_what_has_not_gone() -> None:
    pair = Pair(window=100, connection_window=1_000_000, acknowledge=False)
    stream_id = pair.client.call(b"")
    pair.exchange()
    pair.server.send_message(stream_id, bytes(1000))
    pair.exchange()
    pair.server.finish(stream_id, Status(Code.RESOURCE_EXHAUSTED, "too slow"), discard=True)
    pair.exchange()
    assert pair.client.streams[stream_id].status == Code.RESOURCE_EXHAUSTED
    assert pair.server.queued_bytes == 0


def test_reset_drops_a_call() -> None:
    pair = Pair()
    stream_id = pair.client.call(b"")
    pair.exchange()
    pair.server.reset(stream_id)
    pair.exchange()
    assert pair.client.streams[stream_id].reset == 8


def test_who_wants_room_and_ends_before_there_is_some_is_not_told() -> None:
    pair = Pair(window=100, connection_window=1_000_000, acknowledge=False)
    ended, cancelled, waiting = [pair.client.call(b"") for _ in range(3)]
    pair.exchange()
    for stream_id in (ended, cancelled, waiting):
        pair.server.send_message(stream_id, bytes(150))
        assert pair.server.room(stream_id) == 0
    pair.server.finish(ended, OK)
    pair.exchange()
    pair.client.h2.reset_stream(cancelled)
    for stream_id in (ended, waiting):
        pair.client.h2.increment_flow_control_window(1000, stream_id)
    assert [event for event in pair.exchange() if isinstance(event, Writable)] == [Writable(waiting)]
    assert pair.client.streams[ended].status == 0
    assert pair.server.queued_bytes == 0


def test_messages_come_behind_a_reset_of_another_call_in_the_same_turn() -> None:
    pair = Pair()
    gone, here = pair.client.call(b""), pair.client.call(b"")
    pair.exchange()
    for stream_id in (gone, here):
        pair.server.send_message(stream_id, b"reply")
    pair.server.reset(gone)
    assert pair.server.queued_bytes == 10
    pair.exchange()
    assert (pair.client.streams[gone].messages, pair.client.streams[here].messages) == ([], [b"reply"])
