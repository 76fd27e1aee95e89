"""The calls of one gRPC connection: which method, until when, and what is answered.

Nothing here waits. Events of the connection come in by `GrpcCalls.on_event`, answers by callbacks, time by `expire`;
what goes out is queued in the `GrpcServer`, and ``wake`` tells the writer. A `Request` costs no task; a `SubscribePush`
stream has one, which does nothing but listen for wake-ups.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from functools import partial
from typing import Final

import trio
from google.protobuf.message import DecodeError

from opendmux.core.denial import Denial, DenialKind
from opendmux.runtime.backend import Answer, Caller, PushStream
from opendmux.wire.grpc import GrpcServer
from opendmux.wire.grpc_events import Call, Cancelled, Event, HalfClosed, Message, Writable
from opendmux.wire.grpc_guard import GrpcLimits
from opendmux.wire.grpc_reflection import SERVICES, reflect_untrusted
from opendmux.wire.grpc_status import OK, CallError, Code, Status
from opendmux.wire.pb import futu
from opendmux.wire.pb import grpc_health as health
from opendmux.wire.protocols import PUSH_IDS

from ._grpc_call import KINDS, REFLECTION, GrpcTimes, Kind, OpenCall
from ._grpc_callers import Callers, Shown
from ._grpc_text import (
    GOING,
    LATE,
    SLOW_REQUEST,
    encode_push,
    invalid,
    status_of,
    well_formed_untrusted,
)

__all__ = ["GrpcCalls"]

TAKE_BYTES: Final = 64 * 1024
"""Of pushes at a time, so that one fast stream does not fill the queue in front of the others."""
REPLIES_WAITING_MAX: Final = 1024 * 1024
"""Bytes of reflection answers that may wait for a client which asks without reading."""


class GrpcCalls:
    """See above. ``listen``: starts a task that runs the function. ``recheck``: `next_due` is earlier than it was."""

    def __init__(
        self,
        server: GrpcServer,
        callers: Callers,
        *,
        serving: Callable[[], bool],
        limits: GrpcLimits,
        times: GrpcTimes,
        wake: Callable[[], None],
        recheck: Callable[[], None],
        listen: Callable[..., None],
    ) -> None:
        self._server = server
        self._callers = callers
        self._serving = serving
        self._limits = limits
        self._times = times
        self._wake = wake
        self._recheck = recheck
        self._listen = listen
        self._calls: dict[int, OpenCall] = {}
        self._draining = False
        self._next_due = math.inf

    def on_event(self, event: Event, now: float) -> None:
        """One event of the connection."""
        match event:
            case Call():
                self._on_call(event, now)
            case Message(stream_id=stream_id, data=data):
                if call := self._calls.get(stream_id):
                    self._on_message(call, data)
            case HalfClosed(stream_id=stream_id):
                if call := self._calls.get(stream_id):
                    self._on_half_closed(call, now)
            case Writable(stream_id=stream_id):
                call = self._calls.get(stream_id)
                if call is not None and call.push is not None:
                    self._pump(call)
            case Cancelled(stream_id=stream_id):
                if call := self._calls.get(stream_id):
                    self._free(call)

    def drain(self) -> None:
        """Streams end; requests that run go on."""
        self._draining = True
        self._server.drain()
        for call in list(self._calls.values()):
            if call.kind is not Kind.REQUEST:
                self._end_stream(call, GOING)
        self._wake()

    def close(self) -> None:
        """The connection is gone."""
        for call in list(self._calls.values()):
            self._free(call)
        self._callers.close()

    # Deadlines.

    @property
    def next_due(self) -> float:
        """When `expire` is to be called, in Trio's time: then or later something is due. A call that came in one piece
        does not need its deadline any more; the moment stays, so that the next call need not move it again."""
        return self._next_due

    def expire(self, now: float) -> None:
        """End what is late."""
        for call in [call for call in self._calls.values() if call.due <= now]:
            if call.overtaking is not None:
                status = call.overtaking
            elif call.until is not None and now >= call.until:
                status = LATE
            elif call.asked:
                self._watch(call, now)
                continue
            else:
                status = SLOW_REQUEST
            self._server.finish(call.stream_id, status, discard=True)
            self._free(call)
        self._next_due = min((call.due for call in self._calls.values()), default=math.inf)
        self._wake()

    def _set_due(self, call: OpenCall, due: float) -> None:
        call.due = due
        if due < self._next_due:
            self._next_due = due
            self._recheck()

    # Calls.

    def _on_call(self, event: Call, now: float) -> None:
        kind = KINDS.get(event.path)
        if kind is None:
            refusal = Status(Code.UNIMPLEMENTED, f"there is no method {event.path}", "method")
            self._server.finish(event.stream_id, refusal)
            return
        caller: Caller | None = None
        shown: Shown = None, False
        if kind is Kind.REQUEST or kind is Kind.PUSH:
            found = self._callers.find_untrusted(event.metadata)
            if isinstance(found, Status):
                self._server.finish(event.stream_id, found)
                return
            caller, shown = found
        if self._draining and kind is not Kind.REQUEST:
            self._server.finish(event.stream_id, GOING)
            return
        if kind is not Kind.REQUEST:
            self._server.narrow(event.stream_id, self._limits.small_request_bytes)
        until = None if event.timeout_s is None else now + event.timeout_s
        due = now + self._times.request_s
        call = OpenCall(event.stream_id, kind, caller, shown, until, math.inf)
        self._calls[event.stream_id] = call
        self._set_due(call, due if until is None else min(until, due))

    def _on_message(self, call: OpenCall, data: bytes) -> None:
        if call.kind in REFLECTION:
            call.due = math.inf
            call.asked = True
            self._reflect(call, data)
        elif call.message is not None:
            self._finish(call, Status(Code.INVALID_ARGUMENT, "this method takes one message"))
        else:
            call.message = data

    def _on_half_closed(self, call: OpenCall, now: float) -> None:
        if call.kind in REFLECTION:
            self._finish(call, OK)
        elif call.message is None:
            self._finish(call, Status(Code.INVALID_ARGUMENT, "this method takes one message, and none came"))
        else:
            data, call.message, call.asked = call.message, b"", True
            call.due = math.inf if call.until is None else call.until
            match call.kind:
                case Kind.REQUEST:
                    self._request(call, data)
                case Kind.PUSH:
                    self._subscribe(call, data)
                case _:
                    self._health(call, data, now)

    def _finish(self, call: OpenCall, status: Status) -> None:
        self._server.finish(call.stream_id, status)
        self._free(call)
        self._wake()

    def _free(self, call: OpenCall) -> None:
        if self._calls.pop(call.stream_id, None) is None:
            return
        if call.scope is not None:
            call.scope.cancel(reason="the stream is over")
        if call.drop is not None:
            call.drop()

    # Request.

    def _request(self, call: OpenCall, data: bytes) -> None:
        assert call.caller is not None
        try:
            request = futu.FutuRequest.FromString(data)
        except DecodeError:
            self._finish(call, invalid("the message is no FutuRequest"))
            return
        proto_id, body = request.proto_id, request.body
        if proto_id == 0:
            self._finish(call, invalid("proto_id is missing"))
        elif proto_id in PUSH_IDS:
            self._finish(call, invalid(f"proto_id {proto_id} is a push: it can't be asked for, SubscribePush has it"))
        elif not well_formed_untrusted(body):
            self._finish(call, invalid("the body is no protobuf message"))
        else:
            drop = call.caller.request(proto_id, body, until=call.until, answer=partial(self._answer, call, proto_id))
            if call.stream_id in self._calls:
                call.drop = drop

    def _answer(self, call: OpenCall, proto_id: int, answer: Answer) -> None:
        if self._calls.get(call.stream_id) is not call:
            return
        call.drop = None  # there is nothing to free any more
        if call.until is not None and trio.current_time() >= call.until:
            status = LATE
        elif answer.denial is not None:
            status = status_of(answer.denial)
            self._reconsider(call, answer.denial)
        else:
            status = self._reply(call, proto_id, answer)
        self._finish(call, status)

    def _reply(self, call: OpenCall, proto_id: int, answer: Answer) -> Status:
        reply = futu.FutuResponse(
            ret_type=answer.ret_type, ret_msg=answer.ret_msg, proto_id=proto_id, body=answer.body
        ).SerializeToString()
        if len(reply) > self._limits.reply_bytes:
            text = f"the reply of {len(reply)} bytes is over the limit of {self._limits.reply_bytes}"
            return Status(Code.RESOURCE_EXHAUSTED, text, "reply_size")
        if self._server.queued_bytes and self._server.queued_bytes + len(reply) > self._limits.queue_bytes:
            return Status(Code.RESOURCE_EXHAUSTED, "too many replies wait to be read on this connection", "unread")
        self._server.send_message(call.stream_id, reply)
        return OK

    def _reconsider(self, call: OpenCall, denial: Denial) -> None:
        """A key that is not good any more is looked up again at its next call."""
        if denial.kind is DenialKind.UNAUTHENTICATED and call.caller is not None:
            self._callers.forget(call.shown, call.caller)

    # SubscribePush.

    def _subscribe(self, call: OpenCall, data: bytes) -> None:
        assert call.caller is not None
        try:
            wanted = futu.SubscribePushRequest.FromString(data)
        except DecodeError:
            self._finish(call, invalid("the message is no SubscribePushRequest"))
            return
        push = call.caller.open_stream(resume_from=wanted.resume_from if wanted.HasField("resume_from") else None)
        if isinstance(push, Denial):
            self._reconsider(call, push)
            self._finish(call, status_of(push))
            return
        call.push = push
        call.drop = push.close
        call.scope = trio.CancelScope()
        self._server.accept(call.stream_id)
        self._listen(self._hear, call, push, call.scope)
        self._pump(call)

    async def _hear(self, call: OpenCall, push: PushStream, scope: trio.CancelScope) -> None:
        with scope, contextlib.suppress(trio.ClosedResourceError):
            async for _ in push.wakeups:
                self._pump(call)
            self._pump(call)

    def _pump(self, call: OpenCall) -> None:
        """Take what the client's windows have room for; the rest stays in the stream's outbox, where it conflates."""
        push = call.push
        if push is None or call.stream_id not in self._calls:
            return
        ended = push.ended
        room = self._server.room(call.stream_id)
        if room > 0:
            events = push.take(min(room, TAKE_BYTES))
            for event in events:
                self._server.send_message(call.stream_id, encode_push(event))
            if events:
                self._server.room(call.stream_id)  # so that there will be a Writable
            elif ended is not None:
                self._reconsider(call, ended)
                self._finish(call, status_of(ended))
                return
        if ended is not None and call.overtaking is None:
            call.overtaking = status_of(ended)
            self._set_due(call, min(call.due, trio.current_time() + self._times.goodbye_s))
        self._wake()

    def _end_stream(self, call: OpenCall, status: Status) -> None:
        """Finish after what is queued, or when that takes too long."""
        self._server.finish(call.stream_id, status)
        if self._server.queued(call.stream_id) is None:
            self._free(call)
            return
        if call.push is not None:
            call.push.close()
            call.push = call.drop = None
        call.overtaking = status
        self._set_due(call, trio.current_time() + self._times.goodbye_s)

    # Health and reflection.

    def _health(self, call: OpenCall, data: bytes, now: float) -> None:
        try:
            service = health.HealthCheckRequest.FromString(data).service
        except DecodeError:
            self._finish(call, invalid("the message is no HealthCheckRequest"))
            return
        known = not service or service in SERVICES
        if call.kind is Kind.WATCH:
            if known:
                self._watch(call, now)
            else:
                self._tell(call, health.HealthCheckResponse.SERVICE_UNKNOWN)
        elif known:
            self._tell(call, self._health_now())
            self._finish(call, OK)
        else:
            self._finish(call, Status(Code.NOT_FOUND, f"there is no service {service}"))

    def _health_now(self) -> health.HealthCheckResponse.ServingStatus:
        return health.HealthCheckResponse.SERVING if self._serving() else health.HealthCheckResponse.NOT_SERVING

    def _watch(self, call: OpenCall, now: float) -> None:
        status = self._health_now()
        # Nothing is queued for a client that does not read; it gets the newest state when it does.
        if status != call.watched and not self._server.queued(call.stream_id):
            self._tell(call, status)
        due = now + self._times.health_s
        self._set_due(call, due if call.until is None else min(due, call.until))

    def _tell(self, call: OpenCall, status: health.HealthCheckResponse.ServingStatus) -> None:
        call.watched = status
        self._server.send_message(call.stream_id, health.HealthCheckResponse(status=status).SerializeToString())
        self._wake()

    def _reflect(self, call: OpenCall, data: bytes) -> None:
        try:
            self._server.send_message(call.stream_id, reflect_untrusted(data))
        except CallError as error:
            self._finish(call, error.status)
            return
        if (self._server.queued(call.stream_id) or 0) > REPLIES_WAITING_MAX:
            self._finish(call, Status(Code.RESOURCE_EXHAUSTED, "too many answers wait to be read"))
