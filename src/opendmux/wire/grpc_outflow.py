"""What goes out over one gRPC connection, and in which order.

Messages wait in a queue per stream. Frames are made of them only in `Outflow.take`, round robin, and only as the
windows allow; a queue that stands behind a window moves again on a WINDOW_UPDATE of the stream or of the connection
and on new SETTINGS. Headers, resets, settings and acknowledgements do not wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from .grpc_engine import Engine
from .grpc_frames import FrameCutter
from .grpc_stream import CallStream

__all__ = ["Outflow"]

CHUNK: Final = 128 * 1024
"""About so much is handed to the writer at a time."""
QUANTUM: Final = 16_384
"""One stream's turn."""
CRUMB: Final = 1024
"""A window that is smaller is no good reason to be opened again and again."""


class Outflow:
    """Of one connection. ``end``: called for a stream whose queue has become empty and that has a status."""

    def __init__(self, engine: Engine, cutter: FrameCutter, end: Callable[[CallStream], None]) -> None:
        self.ready = bytearray()
        """May be written."""
        self.turns: deque[CallStream] = deque()
        """Streams with a queue, in order; also some that are over by now, whose queues are empty."""
        self.wanting: dict[int, CallStream] = {}
        """Streams that want to know when there is room."""
        self.queued_bytes = 0
        """Message bytes of all streams that have not been sent."""
        self._engine = engine
        self._cutter = cutter
        self._end = end

    def collect(self) -> None:
        """Take over what the engine has to say."""
        self.ready += self._engine.data_to_send()

    def take(self) -> bytes:
        """What to write now; empty when there is nothing, or no window for it."""
        self._fill()
        data = bytes(self.ready)
        self.ready.clear()
        return data

    def line_up(self, stream: CallStream) -> None:
        """It has something in its queue, or its window may have grown. Harmless when called again."""
        if stream.queue and not stream.in_turn:
            stream.in_turn = True
            self.turns.append(stream)

    def discard(self, stream: CallStream) -> None:
        """Drop what the stream has in its queue: it ends."""
        self.queued_bytes -= stream.discard()

    def forget(self, stream: CallStream) -> None:
        """The stream is over."""
        self.wanting.pop(stream.stream_id, None)
        self.discard(stream)

    def writable(self) -> list[int]:
        """Those of ``wanting`` that have room now, in order; each is named once."""
        if self._engine.outbound_flow_control_window <= 0:
            return []
        found = [
            stream_id
            for stream_id in sorted(self.wanting)
            if not self.wanting[stream_id].queue and self._engine.local_flow_control_window(stream_id) > 0
        ]
        return [stream_id for stream_id in found if self.wanting.pop(stream_id).status is None]

    def give_up(self) -> None:
        """No message is sent any more; what is ``ready`` still is."""
        self.turns.clear()
        self.wanting.clear()
        self.queued_bytes = 0

    def _fill(self) -> None:
        engine, turns = self._engine, self.turns
        while turns and len(self.ready) < CHUNK and engine.outbound_flow_control_window > 0:
            stream = turns.popleft()
            stream.in_turn = False
            if not stream.queue:
                continue
            window = engine.local_flow_control_window(stream.stream_id)
            if window > 0:
                data = stream.cut(min(window, engine.max_outbound_frame_size, QUANTUM))
                self.queued_bytes -= len(data)
                engine.send_data(stream.stream_id, data)
                if not stream.queue or len(data) >= CRUMB:
                    self._cutter.expect_updates()
                if stream.queue:
                    self.line_up(stream)
                elif stream.status is not None:
                    self._end(stream)
                self.collect()
