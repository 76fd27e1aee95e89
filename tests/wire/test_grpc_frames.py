"""Hostile clients, frame by frame."""

from __future__ import annotations

import pytest
from h2.errors import ErrorCodes
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.errors import RemoteProtocolError
from opendmux.wire.grpc import GrpcServer
from opendmux.wire.grpc_frames import FRAME_MAX, PREFACE, FrameCutter, FrameError
from opendmux.wire.grpc_guard import GrpcLimits
from opendmux.wire.grpc_status import OK

from .grpc_kit import Client, Pair, framed, http2_frame

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK = 1


def goodbye(pair: Pair) -> ErrorCodes:
    """The code of the GOAWAY that the server has left."""
    pair.client.receive(pair.server.data_to_send())
    assert pair.server.finished
    return ErrorCodes(int(pair.client.goaways[-1].error_code or 0))


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nXX", b"\0" * 24])
def test_a_wrong_preface(data: bytes) -> None:
    server = GrpcServer(GrpcLimits())
    with pytest.raises(RemoteProtocolError, match="preface"):
        server.receive_untrusted(data, 0)
    assert server.finished
    assert not server.established
    server.receive_untrusted(PREFACE, 0)  # too late
    assert server.data_to_send()
    assert server.data_to_send() == b""


def test_a_long_frame_is_refused_at_its_head() -> None:
    pair = Pair()
    with pytest.raises(RemoteProtocolError, match="16385"):
        pair.raw((FRAME_MAX + 1).to_bytes(3) + bytes([DATA, 0]) + bytes(4))
    assert goodbye(pair) is ErrorCodes.FRAME_SIZE_ERROR


def test_an_endless_header_block() -> None:
    pair = Pair()
    with pytest.raises(RemoteProtocolError, match="header block"):
        pair.raw(http2_frame(HEADERS, 0, 1, bytes(16_000)) + http2_frame(CONTINUATION, 0, 1, bytes(16_000)) * 4)
    assert goodbye(pair) is ErrorCodes.ENHANCE_YOUR_CALM


@pytest.mark.parametrize("kind", [DATA, PING, GOAWAY, SETTINGS, 77])
def test_another_frame_inside_a_header_block(kind: int) -> None:
    pair = Pair()
    with pytest.raises(RemoteProtocolError, match="header block"):
        pair.raw(http2_frame(HEADERS, 0, 1, b"\x82") + http2_frame(kind, 0, 0, bytes(8)))
    assert goodbye(pair) is ErrorCodes.PROTOCOL_ERROR


def test_a_header_list_that_unpacks_over_the_limit() -> None:
    pair = Pair()
    pair.client.open([("x-padding", "a" * 20_000)])
    with pytest.raises(RemoteProtocolError):
        pair.exchange()
    assert goodbye(pair) is ErrorCodes.ENHANCE_YOUR_CALM


def test_rapid_reset() -> None:
    pair = Pair(GrpcLimits(reset_burst=50, resets_per_s=1))
    for _ in range(51):
        pair.client.h2.reset_stream(pair.client.call(b"ask"))
    with pytest.raises(RemoteProtocolError, match="cancelled"):
        pair.exchange()
    assert goodbye(pair) is ErrorCodes.ENHANCE_YOUR_CALM


def test_a_client_that_cancels_slowly_may_go_on() -> None:
    pair = Pair(GrpcLimits(reset_burst=2, resets_per_s=1))
    for _ in range(50):
        pair.now += 1
        pair.client.h2.reset_stream(pair.client.call(b"ask"))
        pair.exchange()
    assert not pair.server.finished


def test_calls_that_make_us_reset_them_count_too() -> None:
    pair = Pair(GrpcLimits(max_streams=1, reset_burst=50, resets_per_s=1))
    pair.client.h2.remote_settings[3] = 1000
    pair.client.h2.remote_settings.acknowledge()
    for _ in range(60):
        pair.client.call(b"ask")
    with pytest.raises(RemoteProtocolError, match="again and again"):
        pair.exchange()
    assert goodbye(pair) is ErrorCodes.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "frame",
    [
        http2_frame(PING, 0, 0, bytes(8)),
        http2_frame(PING, ACK, 0, bytes(8)),
        http2_frame(SETTINGS, ACK, 0),
        http2_frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
        http2_frame(PRIORITY, 0, 1, bytes(5)),
        http2_frame(99, 0, 0, b"unknown"),
    ],
)
def test_frames_that_move_nothing_are_limited(frame: bytes) -> None:
    pair = Pair(GrpcLimits(idle_burst=100, idle_per_s=10))
    pair.raw(frame * 90)
    pair.now += 100
    pair.raw(frame * 90)
    with pytest.raises(RemoteProtocolError, match="move nothing"):
        pair.raw(frame * 20)
    assert goodbye(pair) is ErrorCodes.ENHANCE_YOUR_CALM


def test_empty_data_frames_are_limited() -> None:
    pair = Pair(GrpcLimits(idle_burst=100, idle_per_s=10))
    stream_id = pair.client.open()
    pair.exchange()
    with pytest.raises(RemoteProtocolError, match="move nothing"):
        pair.raw(http2_frame(DATA, 0, stream_id) * 200)


def test_changes_of_settings_are_limited() -> None:
    pair = Pair(GrpcLimits(settings_burst=10, settings_per_s=1))
    change = http2_frame(SETTINGS, 0, 0, b"\0\4\0\1\0\0")
    for _ in range(20):
        pair.now += 1
        pair.raw(change)
    with pytest.raises(RemoteProtocolError, match="changes of settings"):
        pair.raw(change * 11)
    assert goodbye(pair) is ErrorCodes.ENHANCE_YOUR_CALM


def test_windows_that_are_used_may_be_opened_again() -> None:
    pair = Pair(GrpcLimits(idle_burst=10, idle_per_s=0))
    update = (1000).to_bytes(4)
    for _ in range(100):
        stream_id = pair.client.call(b"ask")
        pair.exchange()
        pair.server.send_message(stream_id, bytes(1000))
        pair.exchange()
        pair.raw(http2_frame(WINDOW_UPDATE, 0, 0, update) + http2_frame(WINDOW_UPDATE, 0, stream_id, update))
        pair.server.finish(stream_id, OK)
        pair.exchange()
    assert not pair.server.finished


def test_a_window_may_not_be_opened_byte_by_byte() -> None:
    pair = Pair(GrpcLimits(idle_burst=100, idle_per_s=0), window=0)
    stream_id = pair.client.call(b"ask")
    pair.exchange()
    pair.server.send_message(stream_id, bytes(1000))
    one_more = http2_frame(WINDOW_UPDATE, 0, stream_id, (1).to_bytes(4))
    for _ in range(90):
        pair.server.receive_untrusted(one_more, 0)
        assert len(pair.server.data_to_send()) >= 10
    with pytest.raises(RemoteProtocolError, match="move nothing"):
        pair.server.receive_untrusted(one_more * 20, 0)


def test_data_of_a_call_that_is_over_are_limited() -> None:
    pair = Pair(GrpcLimits(idle_burst=100, idle_per_s=0))
    stream_id = pair.client.open()
    pair.exchange()
    pair.server.finish(stream_id, OK)
    data = http2_frame(DATA, 0, stream_id, bytes(100))
    for _ in range(90):
        pair.server.receive_untrusted(data, 0)
    with pytest.raises(RemoteProtocolError, match="move nothing"):
        pair.server.receive_untrusted(data * 20, 0)


def test_a_client_cannot_make_our_header_table_grow() -> None:
    pair = Pair()
    pair.raw(http2_frame(SETTINGS, 0, 0, b"\0\x01\xff\xff\xff\xff"))
    assert pair.server._h2.encoder.header_table_size == 4096


def test_data_over_the_window_ends_the_connection() -> None:
    pair = Pair()
    stream_id = pair.client.open()
    pair.exchange()
    data = http2_frame(DATA, 0, stream_id, (framed(bytes(200_000)))[:16_384])
    # Nothing that the server says about its windows is awaited.
    with pytest.raises(RemoteProtocolError):
        pair.server.receive_untrusted(data * 40, 0)
    assert goodbye(pair) is ErrorCodes.FLOW_CONTROL_ERROR


def test_the_cutter_gives_the_preface_and_whole_frames() -> None:
    cutter = FrameCutter(GrpcLimits())
    ping = http2_frame(PING, 0, 0, bytes(8))
    got: list[bytes] = []
    for byte in PREFACE + ping + ping:
        got += cutter.feed_untrusted(bytes([byte]), 0)
    assert got == [PREFACE, ping, ping]
    with pytest.raises(FrameError):
        list(cutter.feed_untrusted(b"\xff" * 9, 0))


frames = st.builds(
    http2_frame,
    st.integers(0, 12),
    st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x25, 0xFF]),
    st.sampled_from([0, 1, 2, 3, 5, 2**31 - 1, 2**31 + 1]),
    st.one_of(st.binary(max_size=40), st.just(bytes(8)), st.just(b"\x7f\xff\xff\xff")),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(frames, max_size=12), st.binary(max_size=30))
def test_any_frames_are_events_or_one_error(hostile: list[bytes], rest: bytes) -> None:
    client = Client()
    client.call(b"first")
    server = GrpcServer(GrpcLimits())
    server.receive_untrusted(client.h2.data_to_send(), 0)
    try:
        for frame in hostile:
            server.receive_untrusted(frame, 0)
        server.receive_untrusted(rest, 0)
    except RemoteProtocolError:
        assert server.finished
    server.events()
    server.data_to_send()


@given(st.binary(max_size=200))
def test_any_bytes_after_the_preface(data: bytes) -> None:
    server = GrpcServer(GrpcLimits())
    try:
        server.receive_untrusted(PREFACE + data, 0)
    except RemoteProtocolError:
        assert server.finished
