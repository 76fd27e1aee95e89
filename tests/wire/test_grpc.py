"""The gRPC server connection against h2 as its client."""

from __future__ import annotations

import gzip

import pytest
from hyperframe.frame import Frame

from opendmux.errors import RemoteProtocolError
from opendmux.wire.grpc import GrpcServer
from opendmux.wire.grpc_engine import CONNECTION_WINDOW
from opendmux.wire.grpc_events import Call, Cancelled, GoAway, HalfClosed, Message, PingAnswered
from opendmux.wire.grpc_guard import GrpcLimits
from opendmux.wire.grpc_status import Code, Status

from .grpc_kit import PATH, Client, Pair, answer, framed


def test_a_unary_call() -> None:
    pair = Pair()
    stream_id = pair.client.call(b"ask", [("authorization", "Bearer fc_x"), ("grpc-timeout", "1500m")])
    call, message, half = pair.exchange()
    assert isinstance(call, Call)
    assert (call.stream_id, call.path, call.timeout_s) == (stream_id, PATH, 1.5)
    assert (b"authorization", b"Bearer fc_x") in call.metadata
    assert (message, half) == (Message(stream_id, b"ask"), HalfClosed(stream_id))
    answer(pair, stream_id)
    seen = pair.client.streams[stream_id]
    assert (seen.messages, seen.status, seen.reset) == ([b"reply"], 0, None)
    assert seen.headers[0][":status"] == "200"
    assert seen.headers[0]["content-type"] == "application/grpc"
    assert seen.headers[-1] == {"grpc-status": "0"}


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_cuts_do_not_matter(size: int) -> None:
    client = Client()
    client.call(b"one" * 100)
    client.call(b"two")
    data = client.h2.data_to_send()
    server = GrpcServer(GrpcLimits())
    for at in range(0, len(data), size):
        server.receive_untrusted(data[at : at + size], 0)
    kinds = [type(event) for event in server.events()]
    assert kinds == [Call, Message, HalfClosed] * 2


def test_no_text_is_made_of_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """h2 would do that for its debug log, which costs time and has keys in it."""

    def told(_frame: Frame) -> str:
        raise AssertionError("a frame is put into words")

    client = Client()
    client.call(b"ask")
    data = client.h2.data_to_send()
    server = GrpcServer(GrpcLimits())
    monkeypatch.setattr(Frame, "__repr__", told)
    server.receive_untrusted(data, 0)
    assert [type(event) for event in server.events()] == [Call, Message, HalfClosed]


def test_an_error_before_any_message_is_one_frame_of_headers() -> None:
    pair = Pair()
    stream_id = pair.client.open()
    pair.exchange()
    pair.server.finish(stream_id, Status(Code.UNAUTHENTICATED, "schlüssel"))
    pair.exchange()
    seen = pair.client.streams[stream_id]
    assert (len(seen.headers), seen.status) == (1, 16)
    assert seen.headers[0][":status"] == "200"
    assert seen.headers[0]["grpc-message"] == "schl%C3%BCssel"
    assert seen.reset == 0  # the request need not go on


def test_blanks_around_a_value_are_not_the_end_of_the_connection() -> None:
    pair = Pair()
    pair.client.h2.config.normalize_outbound_headers = pair.client.h2.config.validate_outbound_headers = False
    pair.client.open([("authorization", "Bearer "), ("other", "\t a b ")])
    [call] = pair.exchange()
    assert isinstance(call, Call)
    assert call.metadata[-2:] == [(b"authorization", b"Bearer"), (b"other", b"a b")]


def test_accept_sends_the_headers_at_once() -> None:
    pair = Pair()
    stream_id = pair.client.call(b"")
    pair.exchange()
    pair.server.accept(stream_id)
    pair.exchange()
    assert len(pair.client.streams[stream_id].headers) == 1
    assert not pair.client.streams[stream_id].ended


def test_a_request_over_the_limit_is_refused_before_it_comes() -> None:
    pair = Pair(GrpcLimits(request_bytes=100_000))
    stream_id = pair.client.call(bytes(100_001))
    told = pair.exchange()
    assert (type(told[0]), told[1:]) == (Call, [Cancelled(stream_id)])
    assert pair.client.streams[stream_id].status == Code.RESOURCE_EXHAUSTED
    assert pair.client.streams[stream_id].reset == 0


def test_gzip() -> None:
    pair = Pair()
    stream_id = pair.client.open([("grpc-encoding", "gzip")])
    pair.client.send(stream_id, framed(gzip.compress(b"ask"), 1))
    assert Message(stream_id, b"ask") in pair.exchange()


@pytest.mark.parametrize(
    ("headers", "code"),
    [([("grpc-encoding", "deflate")], Code.UNIMPLEMENTED), ([("grpc-timeout", "soon")], Code.INVALID_ARGUMENT)],
)
def test_headers_that_make_a_call_impossible(headers: list[tuple[str, str]], code: Code) -> None:
    pair = Pair()
    stream_id = pair.client.call(b"ask", headers)
    assert pair.exchange() == []
    seen = pair.client.streams[stream_id]
    assert seen.status == code
    assert seen.headers[0]["grpc-accept-encoding"] == "identity,gzip"


def test_what_is_no_grpc_gets_an_http_status() -> None:
    pair = Pair()
    page = pair.client.open(method="GET", end=True)
    form = pair.client.open([("content-type", "application/grpc-web")])
    assert pair.exchange() == []
    assert pair.client.streams[page].headers == [{":status": "405"}]
    assert pair.client.streams[form].headers == [{":status": "415"}]
    assert pair.client.streams[form].reset == 0


def test_a_request_that_ends_inside_a_message() -> None:
    pair = Pair()
    stream_id = pair.client.open()
    pair.client.send(stream_id, framed(b"whole")[:-1])
    assert pair.exchange()[1:] == [Cancelled(stream_id)]
    assert pair.client.streams[stream_id].status == Code.INTERNAL


def test_a_call_without_a_message_half_closes() -> None:
    pair = Pair()
    stream_id = pair.client.open(end=True)
    assert pair.exchange()[1:] == [HalfClosed(stream_id)]


def test_a_cancelled_call_is_forgotten_and_late_answers_harm_nobody() -> None:
    pair = Pair()
    stream_id = pair.client.call(b"ask")
    pair.exchange()
    pair.client.h2.reset_stream(stream_id, 8)
    assert pair.exchange() == [Cancelled(stream_id)]
    answer(pair, stream_id)
    pair.server.reset(stream_id)
    pair.server.accept(stream_id)
    assert pair.server.room(stream_id) == 0
    assert pair.server.queued(stream_id) is None
    assert pair.client.streams[stream_id].headers == []


def test_more_calls_than_allowed_are_refused_one_by_one() -> None:
    pair = Pair(GrpcLimits(max_streams=2))
    pair.client.h2.remote_settings[3] = 100  # a client that does not care
    pair.client.h2.remote_settings.acknowledge()
    ids = [pair.client.call(b"ask") for _ in range(3)]
    pair.exchange()
    assert [pair.client.streams[stream_id].reset for stream_id in ids] == [None, None, 7]
    answer(pair, ids[0])
    fourth = pair.client.call(b"ask")
    pair.exchange()
    answer(pair, fourth)
    assert pair.client.streams[fourth].status == 0


def test_drain_lets_running_calls_end_and_refuses_later_ones() -> None:
    pair = Pair()
    running = pair.client.call(b"ask")
    pair.exchange()
    pair.server.drain()
    pair.server.drain()
    raced = pair.client.call(b"ask")  # on its way when the GOAWAY comes
    told = pair.exchange()
    assert any(isinstance(event, Call) and event.stream_id == raced for event in told)
    late = pair.client.call(b"ask")
    assert pair.exchange() == []
    assert pair.client.streams[late].reset == 7
    assert [event.last_stream_id for event in pair.client.goaways] == [2**31 - 1, raced]
    assert not pair.server.finished
    for stream_id in (running, raced):
        answer(pair, stream_id)
        assert pair.client.streams[stream_id].status == 0
    assert pair.server.finished


def test_a_clients_goaway_lets_its_calls_end() -> None:
    pair = Pair()
    stream_id = pair.client.call(b"ask")
    pair.exchange()
    goaway = b"\0\0\x08\x07\0\0\0\0\0" + bytes(8)
    assert pair.raw(goaway + goaway) == [GoAway()]
    assert not pair.server.finished
    answer(pair, stream_id)
    assert pair.client.streams[stream_id].status == 0
    assert pair.server.finished


def test_after_a_broken_protocol_nothing_is_done_any_more() -> None:
    pair = Pair()
    stream_id = pair.client.call(b"ask")
    pair.exchange()
    with pytest.raises(RemoteProtocolError) as caught:
        pair.raw(b"\0\0\x05\x01\x04\0\0\0\x03" + b"\x00\x01:\x01x")
    assert str(caught.value) in ("HTTP/2: ProtocolError", "HTTP/2: HPACKError")  # and no header in it
    pair.server.ping()
    pair.server.drain()
    pair.server.reset(stream_id)
    answer(pair, stream_id)
    assert pair.client.streams[stream_id].headers == []
    assert (pair.server.queued_bytes, pair.server.finished, len(pair.client.goaways)) == (0, True, 1)


def test_pings_are_answered_and_asked() -> None:
    pair = Pair()
    pair.client.h2.ping(b"12345678")
    pair.exchange()
    assert pair.client.pings == [b"12345678"]
    pair.server.ping()
    assert pair.exchange() == [PingAnswered()]


def test_the_limits_are_told_to_the_client() -> None:
    pair = Pair()
    assert pair.client.h2.remote_settings.max_concurrent_streams == 1000
    assert pair.client.h2.remote_settings.max_header_list_size == 16 * 1024
    assert pair.client.h2.outbound_flow_control_window == CONNECTION_WINDOW
    assert pair.server.established


def test_closed_streams_are_forgotten() -> None:
    pair = Pair()
    for _ in range(1000):
        stream_id = pair.client.call(b"ask")
        pair.exchange()
        answer(pair, stream_id)
    assert len(pair.server._streams) == 0
    assert len(pair.server._h2.streams) <= 64
