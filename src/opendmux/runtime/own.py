"""The proxy's own seat at an OpenD: requests of its own that go the way of a client's, through windows and audit.

It is taken when it is needed and given back afterwards, so that nobody sees a client that is none.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

import trio

from opendmux.core.commands import Outcome, Reply, Request
from opendmux.core.denial import Denial
from opendmux.wire.frame import HEADER_LEN, ProtoFmt

from .hub import Hub

__all__ = ["PROXY", "Seat"]

log = logging.getLogger("opendmux.own")

PROXY: Final = "proxy"
"""The transport of what comes from nowhere."""

TAKE_BYTES: Final = 256 * 1024
MARGIN_S: Final = 2.0
"""The proxy answers every request within ``timeouts.reply_s``; this much later something is wrong."""


class Seat:
    """A client of the hub without a connection. ``name``: what log and audit call it; ``key_id``: in whose place it
    asks."""

    ordered = False

    def __init__(self, hub: Hub, name: str, key_id: str) -> None:
        self._hub = hub
        self._name = name
        self._waiting: dict[int, list[tuple[Outcome, Denial | None]]] = {}
        self._came = trio.Event()
        self._serial = 0
        self.session = hub.open_session(PROXY, PROXY, PROXY, "hold")
        self.session.own, self.session.stands_in_for = True, key_id
        hub.router.tenancy.open_caller(self.session)
        self.session.recv_notify = False
        hub.add(self)

    async def ask(self, proto_id: int, body: bytes) -> tuple[Outcome, Denial | None]:
        """The answer of OpenD, or of the proxy in its place: then with the reason. Cancellation: what was sent is
        sent, its answer is dropped."""
        self._serial += 1
        serial = self._serial
        answers: list[tuple[Outcome, Denial | None]] = []
        self._waiting[serial] = answers
        try:
            request = Request(self.session, proto_id, ProtoFmt.PROTOBUF, serial, body, None, self._name)
            self._hub.call(replace(request, given_up=lambda: serial not in self._waiting))
            with trio.fail_after(self._hub.config.timeouts.reply_s + MARGIN_S):
                while not answers:
                    await self._came.wait()
            return answers[0]
        finally:
            self._waiting.pop(serial, None)

    def _answer(self, serial: int, outcome: Outcome, denial: Denial | None) -> None:
        if serial in self._waiting:
            self._waiting[serial].append((outcome, denial))
        came, self._came = self._came, trio.Event()
        came.set()

    def take_reply(self, reply: Reply) -> bool:
        """See `Client`."""
        self._answer(reply.serial_no, Outcome(reply.body, reply.proto_fmt), reply.denial)
        return True

    def flush(self) -> None:
        """See `Client`. What is in the outbox are replies that the switch passed on by itself."""
        while frames := self._hub.switch.take_frames(self.session.slot, TAKE_BYTES):
            for frame in frames:
                serial = int.from_bytes(frame[8:12], "little")
                self._answer(serial, Outcome(frame[HEADER_LEN:], ProtoFmt.PROTOBUF), None)

    def pause(self) -> None:
        """See `Client`. Nothing is read from a seat."""

    def resume(self) -> None:
        """See `Client`."""

    def end(self, reason: str, *, flush_all: bool) -> None:
        """See `Client`. Nobody ends it but `leave`; a slow one there can't be."""
        del flush_all
        log.warning("%s: asked to end: %s", self.session, reason)

    def leave(self) -> None:
        """It is not needed any more."""
        self._hub.remove(self, "done")
