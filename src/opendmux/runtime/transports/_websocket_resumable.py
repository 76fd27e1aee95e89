"""WebSocket: FT frames for a program that goes on where its connection broke off.

Theory of operation. Such a connection is no session of its own, but one of its key's, like those over gRPC and HTTP
(`runtime/callers.py`): subscriptions and recent pushes are the key's, and are found again by the next connection. It
asks as a caller does; the answers wait in a slot of its own. Its pushes wait nowhere: it reads the ring of its key at
its own pace, so a slow reader is spared what was replaced, and told what is gone.

Requests may come in messages that are cut anywhere, and several in one. Each answer is a binary message with the
client's serial number; each push is one, with its number in the reserved bytes of the header. A gap, and the end, are
text messages of JSON: there is nothing in OpenD's protocol that they could be mistaken for.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from opendmux.core.access import Admitted
from opendmux.core.answers import name_of
from opendmux.core.denial import Denial, DenialKind
from opendmux.core.entry import LOOKS_LIKE_KEY
from opendmux.core.events import GAP, PushEvent, words_of_end, words_of_gap
from opendmux.errors import RemoteProtocolError
from opendmux.runtime.backend import Answer, PushStream
from opendmux.runtime.callers import Handle, cut_off
from opendmux.runtime.hub import Hub
from opendmux.runtime.ports import Guest
from opendmux.wire.frame import HEADER_LEN, Frame, ProtoFmt, RetType, Splitter
from opendmux.wire.handshake import client_hello_untrusted
from opendmux.wire.messages import ret_body
from opendmux.wire.protocols import ProtoId
from opendmux.wire.websocket import SIGN, numbered_push
from opendmux.wire.websocket_guard import CloseCode

from ._websocket_line import TAKE_BYTES, Line

__all__ = ["ResumableConnection"]

log = logging.getLogger("opendmux.websocket")

FORMATS: Final = (ProtoFmt.PROTOBUF, ProtoFmt.JSON)
NO_JSON_TEXT: Final = (
    "pushes that can be resumed are protobuf: ask with pushProtoFmt 0, or connect without resume_from for JSON"
)
OTHER_KEY_TEXT: Final = (
    "a connection with resume_from has the key of its handshake: leave the key out of the client id, or give that one"
)


class ResumableConnection(Line):
    """A connection of ``caller``, whose ``pushes`` it reads; both are given back at its end. ``first``: its request for
    the upgrade and what came behind it."""

    ordered = True

    def __init__(
        self,
        hub: Hub,
        stream: trio.abc.Stream,
        first: bytes,
        caller: Handle,
        pushes: PushStream,
        guest: Guest,
        *,
        local: bool,
    ) -> None:
        body_bytes = hub.config.limits.client_body_bytes
        super().__init__(hub, stream, first, caller.session, hub.open_stream_slot(self), body_bytes)
        self._caller = caller
        self._pushes = pushes
        self._peer = guest.peer
        self._local = local
        self._splitter = Splitter(body_bytes)
        self._begun = False
        self._frames: deque[Frame] = deque()
        """Whole requests whose turn has not come."""
        self._unanswered: dict[int, tuple[Frame, Callable[[], None]]] = {}
        """Requests, in order, and what to call when nobody wants the answer any more."""
        self._asked = 0
        self._freed, self._room = trio.open_memory_channel[None](1)

    # -- the hub's side

    def pause(self) -> None:
        """See `Client`. Nothing is read for its slot."""

    def resume(self) -> None:
        """See `Client`: its outbox has room again."""
        with contextlib.suppress(trio.WouldBlock, trio.BrokenResourceError):
            self._freed.send_nowait(None)

    # -- see `Line`

    def _enter(self) -> None:
        log.info("%s: %s reads its pushes", self.session, self._peer)
        self.flush()  # there may be something since it was here last

    def _leave(self, reason: str) -> None:
        for _, forget in self._unanswered.values():
            forget()
        self._unanswered.clear()
        self._pushes.close()
        self._caller.detach()
        self._hub.close_stream_slot(self._slot)
        log.info("%s: %s closed, %s", self.session, self._peer, reason)

    def _helpers(self) -> Sequence[Callable[[], Awaitable[None]]]:
        return self._follow, self._go_on

    async def _follow(self) -> None:
        async for _ in self._pushes.wakeups:
            self.flush()

    async def _go_on(self) -> None:
        async for _ in self._room:
            self._work_off()

    def _stop_reading(self) -> None:
        self._frames.clear()
        self._parts_bytes = 0
        super()._stop_reading()

    @property
    def _held_back(self) -> bool:
        return bool(self._frames) or self._full

    @property
    def _full(self) -> bool:
        """No more requests for the present. One whose key has ended must not ask as somebody else."""
        too_many = len(self._unanswered) >= self._hub.config.limits.in_flight
        return too_many or self._pushes.ended is not None or self._hub.switch.paused(self._slot)

    @property
    def _idle(self) -> bool:
        return not self._unanswered

    # -- requests

    def _work_off(self) -> None:
        with self._hub.together():
            self._guarded(self._ask_more)
            super()._work_off()

    def _message_untrusted(self, message: bytes) -> None:
        if not self._begun and message.startswith(SIGN):
            raise RemoteProtocolError("ft-v1.0 can't be resumed: connect without resume_from, or speak FT frames")
        self._begun = True
        for frame in self._splitter.feed_untrusted(message):
            self._frames.append(frame)
            self._parts_bytes += HEADER_LEN + len(frame.body)
        self._half_bytes = self._splitter.pending
        self._ask_more()

    def _ask_more(self) -> None:
        while self._frames and not self._full and not self._reason:
            frame = self._frames.popleft()
            self._parts_bytes -= HEADER_LEN + len(frame.body)
            self._ask_untrusted(frame)
        if not self._frames and self._splitter.failure is not None:
            raise RemoteProtocolError(self._splitter.failure)

    def _ask_untrusted(self, frame: Frame) -> None:
        refusal = self._refusal_untrusted(frame)
        if refusal:
            proto_fmt = frame.proto_fmt if frame.proto_fmt in FORMATS else ProtoFmt.PROTOBUF
            self._put(frame, proto_fmt, ret_body(proto_fmt, RetType.FAILED, refusal))
            return
        self._asked = number = self._asked + 1
        self._unanswered[number] = frame, _nothing
        answer = partial(self._answered, number, frame)
        forget = self._caller.request(frame.proto_id, frame.body, until=None, answer=answer, proto_fmt=frame.proto_fmt)
        if number in self._unanswered:
            self._unanswered[number] = frame, forget

    def _refusal_untrusted(self, frame: Frame) -> str:
        """Why a request is answered here; empty: it is not."""
        if frame.proto_fmt not in FORMATS:
            return f"unknown proto_fmt {frame.proto_fmt}"
        if not frame.sha1_matches():
            return f"{name_of(frame.proto_id)} was not sent: the SHA-1 of its body is wrong"
        if frame.proto_id != ProtoId.INIT_CONNECT:
            return ""
        try:
            hello = client_hello_untrusted(frame.body, frame.proto_fmt)
        except RemoteProtocolError:
            return ""  # core says what is wrong with it
        if hello.push_proto_fmt == ProtoFmt.JSON:
            return NO_JSON_TEXT
        return OTHER_KEY_TEXT if LOOKS_LIKE_KEY.search(hello.client_id) and not self._is_ours(hello.client_id) else ""

    def _is_ours(self, plaintext: str) -> bool:
        wall = self._hub.wall()
        shown = self._hub.house.access.admit(plaintext, iface="ws", local=self._local, wall=wall, caller=True)
        return isinstance(shown, Admitted) and shown.key is not None and shown.key.id == self._caller.key_id

    def _answered(self, number: int, frame: Frame, answer: Answer) -> None:
        del self._unanswered[number]
        self._say(frame, answer)
        self.resume()

    def _say(self, frame: Frame, answer: Answer) -> None:
        proto_fmt, body = answer.proto_fmt, answer.body
        if answer.denial is not None and proto_fmt != frame.proto_fmt:
            proto_fmt, body = frame.proto_fmt, ret_body(frame.proto_fmt, answer.ret_type, answer.ret_msg)
        self._put(frame, proto_fmt, body)

    def _cut_off(self, why: Denial) -> None:
        for frame, forget in self._unanswered.values():
            forget()
            self._say(frame, cut_off(frame.proto_id, frame.proto_fmt, why))
        self._unanswered.clear()

    def _put(self, frame: Frame, proto_fmt: int, body: bytes) -> None:
        if not self._hub.switch.reply(self._slot, frame.proto_id, proto_fmt, frame.serial_no, body):
            self.end("slow: its outbox is full", flush_all=False)
        self.flush()

    # -- what is sent

    async def _drained(self, ws: WebSocketConnection) -> bool:
        try:
            while True:
                ended = self._pushes.ended  # before the last look at what there is
                if ended is not None and not self._draining:
                    self._cut_off(ended)
                sent = await self._send_frames(ws)
                events = [] if self._reason else self._pushes.take(TAKE_BYTES)
                for event in events:
                    await self._wire.room()
                    await ws.send_message(_message_of(event))
                if not sent and not events:
                    break
            if ended is not None and not self._reason and not (self._draining and self._unanswered):
                await self._wire.room()
                await ws.send_message(msgspec.json.encode(words_of_end(ended)).decode())
                leaving = ended.kind is DenialKind.UNAVAILABLE and self._draining
                self._end_with(CloseCode.GOING_AWAY if leaving else CloseCode.POLICY, ended.text)
        except ConnectionClosed:
            return False
        return True


def _message_of(event: PushEvent) -> bytes | str:
    if event.event_type == GAP:
        return msgspec.json.encode({**words_of_gap(event), "seq": event.seq}).decode()
    return numbered_push(event.proto_id, event.body, event.seq)


def _nothing() -> None:
    pass
