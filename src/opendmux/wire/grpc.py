"""The server's side of a gRPC connection, sans-IO.

Theory of operation. `receive_untrusted` takes what came, `events` says what it means, `data_to_send` gives what is to
be written. HTTP/2 itself (header compression, stream states, settings) is done by h2, fed frame by frame, so that
hostile frames are counted and long ones refused before anything is buffered for them. No caller sees h2: another
engine can take its place here.

What calls may send is in `grpc_windows`, what goes out in `grpc_outflow`. Who produces more than a client reads asks
`room` first, and is told by Writable when to go on.

h2 refuses to go on after a GOAWAY in either direction, where the protocol lets running streams end. Therefore GOAWAY
frames are read and written here and h2 never knows of them.

Not handled here: server push, priorities, trailers of the client (ignored), compression of replies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import h2.events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hpack import HeaderTuple
from hyperframe.frame import DataFrame, GoAwayFrame, RstStreamFrame

from opendmux.errors import RemoteProtocolError

from .grpc_engine import open_engine
from .grpc_events import Call, Cancelled, Event, GoAway, HalfClosed, Message, PingAnswered, Writable
from .grpc_frames import FrameCutter, FrameError
from .grpc_guard import GrpcLimits, Patience
from .grpc_head import Head
from .grpc_message import ENCODINGS, Assembler
from .grpc_outflow import Outflow
from .grpc_status import CallError, Code, Status, trailers
from .grpc_stream import CallStream
from .grpc_windows import RequestWindows

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["GrpcServer"]

TABLE_MAX: Final = 4096
"""Our half of the header compression; a client could allow four gigabytes."""

_MAX_STREAM_ID: Final = 2**31 - 1
_DRAIN_PING: Final = b"drain\0\0\0"
_KEEPALIVE_PING: Final = b"alive\0\0\0"
_HEAD: Final = [
    HeaderTuple(b":status", b"200"),
    HeaderTuple(b"content-type", b"application/grpc"),
    HeaderTuple(b"grpc-accept-encoding", b",".join(ENCODINGS)),
]


class GrpcServer:
    """One connection. Not for use after `receive_untrusted` has raised, but for `data_to_send`."""

    def __init__(self, limits: GrpcLimits) -> None:
        self._limits = limits
        self._h2 = open_engine(limits)
        self._cutter = FrameCutter(limits)
        self._out = Outflow(self._h2, self._cutter, self._end)
        self._windows = RequestWindows(self._h2, limits.request_budget_bytes)
        self._events: list[Event] = []
        self._streams: dict[int, CallStream] = {}
        self._resets = Patience(limits.reset_burst, limits.resets_per_s)
        self._draining = False
        self._last_stream_id: int | None = None
        self._peer_left = False
        self._failed = False
        self.established = False
        """The client has shown that it speaks HTTP/2."""
        self._out.collect()

    # What comes in.

    def receive_untrusted(self, data: Buffer, now: float) -> None:
        """Bytes of the client. Raises RemoteProtocolError; `data_to_send` has the goodbye then, and events that came
        before are still there."""
        if self._failed:
            return
        try:
            for frame in self._cutter.feed_untrusted(data, now):
                self._frame_untrusted(frame, now)
        except FrameError as error:
            raise self._fail(error.code, str(error)) from None
        finally:
            self._out.collect()
        self._tell_writable()

    def events(self) -> list[Event]:
        """What has happened since the last time, in order."""
        events, self._events = self._events, []
        return events

    def _frame_untrusted(self, frame: bytes, now: float) -> None:
        if frame[3] == GoAwayFrame.type:
            if not self._peer_left:
                self._peer_left = True
                self._events.append(GoAway())
            return
        if frame[3] == RstStreamFrame.type and not self._resets.spend(now):
            raise self._fail(ErrorCodes.ENHANCE_YOUR_CALM, "too many calls were cancelled")
        try:
            happened = self._h2.receive_data(frame)
        except ProtocolError as error:
            self._give_up()
            # Only the kind: h2's texts quote headers, and a key may be in one.
            raise RemoteProtocolError(f"HTTP/2: {type(error).__name__}") from error
        for event in happened:
            self._on_h2_untrusted(event, now)
        if frame[3] == DataFrame.type and int.from_bytes(frame[5:9]) not in self._streams:
            self._cutter.moved_nothing_untrusted(now)

    def _on_h2_untrusted(self, event: h2.events.Event, now: float) -> None:
        match event:
            case h2.events.DataReceived():
                self._on_data_untrusted(event)
            case h2.events.RequestReceived():
                self._on_request_untrusted(event, now)
            case h2.events.StreamEnded(stream_id=stream_id):
                self._on_end(stream_id)
            case h2.events.WindowUpdated(stream_id=stream_id):
                if stream_id and (stream := self._streams.get(stream_id)):
                    self._out.line_up(stream)
            case h2.events.StreamReset(stream_id=stream_id):
                if not event.remote_reset and not self._resets.spend(now):
                    raise self._fail(ErrorCodes.ENHANCE_YOUR_CALM, "too many broken calls")
                if stream := self._streams.get(stream_id):
                    self._forget(stream)
                    self._events.append(Cancelled(stream_id))
            case h2.events.RemoteSettingsChanged():
                self.established = True
                if self._h2.encoder.header_table_size > TABLE_MAX:
                    self._h2.encoder.header_table_size = TABLE_MAX
                for stream in self._streams.values():
                    self._out.line_up(stream)
            case h2.events.PingAckReceived(ping_data=ping_data):
                if ping_data == _DRAIN_PING and self._draining and self._last_stream_id is None:
                    self._last_stream_id = self._h2.highest_inbound_stream_id
                    self._out.collect()
                    self._say_goaway(self._last_stream_id, ErrorCodes.NO_ERROR)
                elif ping_data == _KEEPALIVE_PING:
                    self._events.append(PingAnswered())

    def _on_request_untrusted(self, event: h2.events.RequestReceived, now: float) -> None:
        stream_id = event.stream_id
        self._h2.decoder.found_good()
        left = self._last_stream_id is not None and stream_id > self._last_stream_id
        if left or len(self._streams) >= self._limits.max_streams:
            self._h2.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            if not left and not self._resets.spend(now):
                raise self._fail(ErrorCodes.ENHANCE_YOUR_CALM, "too many calls at once, again and again")
            return
        head = Head(event.headers)
        if head.http_status:
            self._h2.send_headers(stream_id, [HeaderTuple(b":status", head.http_status)], end_stream=True)
            if event.stream_ended is None:
                self._h2.reset_stream(stream_id, ErrorCodes.NO_ERROR)
            return
        stream = CallStream(stream_id, Assembler(head.encoding, self._limits.request_bytes))
        stream.half_closed = event.stream_ended is not None
        self._streams[stream_id] = stream
        try:
            timeout_s = head.timeout_untrusted()
        except CallError as error:
            self.finish(stream_id, error.status)
            return
        self._events.append(Call(stream_id, head.path, head.metadata, timeout_s))

    def _on_data_untrusted(self, event: h2.events.DataReceived) -> None:
        self._windows.took(event.flow_controlled_length)
        stream = self._streams.get(event.stream_id)
        if stream is None or stream.status is not None:
            return
        stream.credit -= event.flow_controlled_length
        stream.half_closed = event.stream_ended is not None
        try:
            messages = stream.assembler.feed_untrusted(event.data)
        except CallError as error:
            self._break(stream, error.status)
            return
        for message in messages:
            if stream.assembler.gzip and not self._windows.budget.charge(stream, len(message)):
                text = "too many large requests at once on this connection"
                self._break(stream, Status(Code.RESOURCE_EXHAUSTED, text))
                return
            self._events.append(Message(stream.stream_id, message))
        if not stream.half_closed:
            self._windows.credit(stream)

    def _on_end(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        stream.half_closed = True
        if stream.status is not None:
            return
        if stream.assembler.missing:
            self._break(stream, Status(Code.INTERNAL, "the request ends inside a message"))
        else:
            self._events.append(HalfClosed(stream_id))

    def _break(self, stream: CallStream, status: Status) -> None:
        self._events.append(Cancelled(stream.stream_id))
        self.finish(stream.stream_id, status, discard=True)

    def narrow(self, stream_id: int, request_bytes: int) -> None:
        """This call's messages may have so many bytes only. Nothing happens when the stream is gone."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.assembler.narrow(request_bytes)

    # What goes out.

    def accept(self, stream_id: int) -> None:
        """Send the headers of the answer now, not with the first message."""
        stream = self._streams.get(stream_id)
        if stream is not None and not stream.head_sent:
            stream.head_sent = True
            self._h2.send_headers(stream_id, _HEAD)
            self._out.collect()

    def send_message(self, stream_id: int, message: bytes) -> None:
        """Queue a message. Nothing happens when the stream is gone."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.status is not None:
            return
        self.accept(stream_id)
        self._out.queued_bytes += stream.put(message)
        self._out.line_up(stream)

    def finish(self, stream_id: int, status: Status, *, discard: bool = False) -> None:
        """End a call after what is queued, or instead of it. Nothing happens when the stream is gone."""
        stream = self._streams.get(stream_id)
        if stream is None or (stream.status is not None and not discard):
            return
        stream.status = status
        self._windows.release(stream)
        if discard:
            self._out.discard(stream)
        if stream.queue:
            self._out.line_up(stream)
        else:
            self._end(stream)
            self._out.collect()

    def reset(self, stream_id: int) -> None:
        """Drop a call, without a status."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._forget(stream)
            self._h2.reset_stream(stream_id, ErrorCodes.CANCEL)
            self._out.collect()

    def room(self, stream_id: int) -> int:
        """Bytes that this stream could send now; 0 while something of it is queued. After a 0 there will be Writable,
        unless the stream ends before."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.status is not None:
            return 0
        if not stream.queue:
            window = self._h2.local_flow_control_window(stream_id)
            if window > 0:
                return window
        self._out.wanting[stream_id] = stream
        return 0

    def queued(self, stream_id: int) -> int | None:
        """Bytes of this stream that wait to be sent; None when it is over."""
        stream = self._streams.get(stream_id)
        return None if stream is None else stream.queued

    def finishing(self) -> dict[int, int]:
        """Streams that will end with what is queued, and how many bytes that is."""
        return {stream.stream_id: stream.queued for stream in self._streams.values() if stream.status is not None}

    def ping(self) -> None:
        """Ask for a sign of life: PingAnswered."""
        if not self._failed:
            self._h2.ping(_KEEPALIVE_PING)
            self._out.collect()

    def drain(self) -> None:
        """Tell the client to begin no more calls. Those on their way are taken until it has answered. Idempotent."""
        if not self._draining and not self._failed:
            self._draining = True
            self._say_goaway(_MAX_STREAM_ID, ErrorCodes.NO_ERROR)
            self._h2.ping(_DRAIN_PING)
            self._out.collect()

    @property
    def finished(self) -> bool:
        """No call is open and none will come, or the client broke the protocol."""
        return self._failed or (not self._streams and (self._peer_left or self._last_stream_id is not None))

    @property
    def queued_bytes(self) -> int:
        """Message bytes of all streams that have not been sent."""
        return self._out.queued_bytes

    @property
    def control_bytes(self) -> int:
        """Bytes that wait for `data_to_send`, beside messages. Who sends without reading makes them grow."""
        return len(self._out.ready)

    @property
    def pending(self) -> bool:
        """`data_to_send` may have something."""
        return bool(self._out.ready or self._out.turns)

    def data_to_send(self) -> bytes:
        """What to write now; empty when there is nothing, or no window for it."""
        data = self._out.take()
        if data:
            self._tell_writable()
        return data

    def _end(self, stream: CallStream) -> None:
        """Trailers; with the head in one frame when nothing has been sent (Trailers-Only)."""
        assert stream.status is not None
        headers = trailers(stream.status)
        self._h2.send_headers(stream.stream_id, headers if stream.head_sent else _HEAD + headers, end_stream=True)
        if not stream.half_closed:
            # The client need not go on with a request that is answered already.
            self._h2.reset_stream(stream.stream_id, ErrorCodes.NO_ERROR)
        self._forget(stream)

    def _forget(self, stream: CallStream) -> None:
        del self._streams[stream.stream_id]
        self._out.forget(stream)
        self._windows.release(stream)

    def _tell_writable(self) -> None:
        if self._out.wanting:
            self._events += map(Writable, self._out.writable())

    def _say_goaway(self, last_stream_id: int, code: ErrorCodes, text: str = "") -> None:
        frame = GoAwayFrame(0, last_stream_id=last_stream_id, error_code=code, additional_data=text.encode())
        self._out.ready += frame.serialize()

    def _give_up(self) -> None:
        """From now on nothing is sent but the goodbye; answers that still come find no stream."""
        self._failed = True
        self._streams.clear()
        self._out.give_up()

    def _fail(self, code: ErrorCodes, text: str) -> RemoteProtocolError:
        self._give_up()
        self._out.collect()
        self._say_goaway(self._h2.highest_inbound_stream_id, code, text)
        return RemoteProtocolError(f"HTTP/2: {text}")
