"""Where the switch, the router and the sessions meet: bytes in, commands executed, bytes out.

Everything here is synchronous and runs in one thread, so a chunk is dealt with completely before the next one: its
frames are passed on or decided, commands are executed, and what can be written without waiting has been written. Only
sockets that would block are left to a session's writer or the link's.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import trio

from opendmux.config import Config, OnOutage
from opendmux.core.answers import name_of
from opendmux.core.commands import (
    Command,
    Failure,
    Outcome,
    Request,
    Then,
)
from opendmux.core.farewell import CRASHED
from opendmux.core.gate import HANDSHAKE_ROW
from opendmux.core.identity import Session
from opendmux.native import (
    OVERFLOW,
    REPLY_BAD_SHA1,
    STREAM_LOST,
    Entry,
    LinkEvent,
)
from opendmux.native import Push as NativePush
from opendmux.wire.cipher import RANDOM_BYTES, RsaKey
from opendmux.wire.handshake import State

from .carrier import Carrier, now_ns
from .house import House
from .ports import Client
from .silence import Silence
from .work import Work

if TYPE_CHECKING:
    from .pump import Pump

__all__ = ["Hub", "now_ns"]

log = logging.getLogger("opendmux.hub")


REASONS_KEPT = 64


class Hub(Carrier):
    """The shared state of one OpenD, or of one group of OpenDs. A lane's number is the switch's link number."""

    def __init__(
        self,
        config: Config,
        upstream_name: str,
        *,
        trade_name: str | None = None,
        rsa_key: RsaKey | None = None,
        house: House | None = None,
    ) -> None:
        super().__init__(config, upstream_name, trade_name, house or House())
        self.rsa_key = rsa_key
        """For clients that encrypt; None: they are disconnected."""
        self.pump: Pump | None = None
        """Reads plain sockets, where the system can do that; None: whoever has one reads it himself."""
        self.calls = 0
        """Requests of callers, which do not come as frames."""
        self.torn = 0
        """Connections that had to be closed in the middle of a frame."""
        self.bad_pushes = 0
        """Pushes of upstream whose SHA-1 was wrong."""
        self.ended: dict[str, int] = {}
        """Sessions by the reason of their end."""
        self._silence: Silence[Client] = Silence(
            config.limits.silent_per_address, lambda client: client.session.state is State.NEW
        )
        self._newcomers: deque[tuple[float, Client]] = deque()
        """Who has said something, but not yet who it is; by the time that it has for that."""
        self._next_owner = 1
        self._together = False
        self.resumed = trio.Event()
        """Set but for the time of a pause: nobody connects to OpenD before."""
        self.resumed.set()
        self.on_tick: list[Callable[[float], None]] = []
        """What else is looked at with the deadlines."""

    # -- sessions

    @property
    def sessions_begun(self) -> int:
        """Since the start, those that have ended included."""
        return self._next_owner - 1

    def open_session(self, peer: str, peer_host: str, transport: str, on_outage: OnOutage) -> Session:
        """A slot and an identity for a new client; the caller then registers it with `add`."""
        slot = self.switch.open_slot(
            HANDSHAKE_ROW,
            timeout_ns=self._reply_timeout_ns,
            max_in_flight=self.config.limits.in_flight,
            outbox_limit=self.config.limits.outbox_bytes,
        )
        self.switch.set_max_body(slot, self.handshake_body)
        session = Session(
            owner=self._next_owner,
            slot=slot,
            generation=self.switch.generation(slot),
            peer=peer,
            peer_host=peer_host,
            transport=transport,
            conn_id=secrets.randbits(62) | 1 << 62,
            random=secrets.token_bytes(RANDOM_BYTES),
            row=HANDSHAKE_ROW,
            on_outage=on_outage,
            since=trio.current_time(),
        )
        self._next_owner += 1
        self.router.open_session(session)
        return session

    def add(self, client: Client) -> None:
        """From now on the client gets bytes; at the cap of silent connections of its address the oldest of them
        goes."""
        self.clients[client.session.slot] = client
        self.work[client.session.slot] = Work(self.config.limits.in_flight)
        silent = client.session.state is State.NEW
        if silent:
            self._newcomers.append((trio.current_time() + self.config.timeouts.handshake_s, client))
        oldest = self._silence.add(client.session.peer_host, client) if silent else None
        if oldest is not None:
            oldest.end("too many connections of this address without InitConnect", flush_all=True)

    def remove(self, client: Client, reason: str) -> None:
        """The client's connection is over."""
        session = client.session
        commands = self.router.close_session(session, trio.current_time())
        del self.clients[session.slot], self.work[session.slot]
        self._silence.remove(session.peer_host, client)
        self.switch.close_slot(session.slot)
        # Reasons may carry figures, so they are not all kept apart for ever.
        kept = reason if reason in self.ended or len(self.ended) < REASONS_KEPT else "other"
        self.ended[kept] = self.ended.get(kept, 0) + 1
        log.info("%s: closed, %s", session, reason)
        self.run(commands)

    # -- callers

    def wall(self) -> float:
        """UTC seconds."""
        return trio.current_time() + self.router.wall_offset

    def open_stream_slot(self, stream: Client) -> int:
        """A slot for pushes alone."""
        slot = self.switch.open_slot(
            HANDSHAKE_ROW, timeout_ns=1, max_in_flight=1, outbox_limit=self.config.limits.outbox_bytes
        )
        self.clients[slot] = stream
        return slot

    def close_stream_slot(self, slot: int) -> None:
        """Its stream has ended; what was queued for it is dropped."""
        self.clients.pop(slot).session.past_pushes += self.switch.slot_figures(slot).pushes_out
        self.switch.close_slot(slot)

    def call(self, request: Request) -> None:
        """A caller's request. Its answer goes to the session's client."""
        request.session.calls += 1
        self.calls += 1
        self.run(self.router.call(request, trio.current_time()))

    def run(self, commands: Iterable[Command]) -> None:
        """Carry out what core decided outside of a round of reading."""
        self.execute(commands)
        self.resume_paused()
        if not self._together:
            self.flush_links()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is run inside leaves by one write per link, when the block ends. Nothing inside may wait."""
        self._together = True
        try:
            yield
        finally:
            self._together = False
            self.flush_links()

    # -- client -> upstream

    def feed(self, client: Client, data: bytes | bytearray | memoryview, at_ns: int) -> None:
        """A chunk from a client. The links are not flushed: the caller does that once per round."""
        slot = client.session.slot
        events = self.switch.feed_untrusted(slot, data, at_ns)
        work = self.work[slot]
        if events is not None:
            work.backlog.extend(events)
            self._work_off(client, work)
        if work.backlog or self.switch.paused(slot):
            client.pause()

    def _work_off(self, client: Client, work: Work) -> None:
        if work.running:
            return
        work.running = True
        try:
            while (event := work.next()) is not None:
                self.execute(self.router.client_event(client.session, event, trio.current_time()))
        finally:
            work.running = False

    def idle(self, session: Session) -> bool:
        """No request of this client is open, and none of its replies is held back."""
        switch, slot = self.switch, session.slot
        return switch.in_flight(slot) == switch.held(slot) == 0 and self.work[slot].idle

    def resume_paused(self) -> None:
        """Go on with clients that need not wait any longer."""
        behind, self._behind = self._behind, {}
        for client in behind.values():
            if self._alive(client.session) is client:
                client.resume()
        for slot in self.switch.take_resumed():
            waiting = self.clients.get(slot)
            if waiting is not None:
                waiting.resume()

    def go_on(self, client: Client) -> bool:
        """Work off what waits in core's queue; False when some of it still has to wait."""
        work = self.work[client.session.slot]
        self._work_off(client, work)
        return not work.backlog

    # -- upstream -> clients

    def flush_links(self) -> None:
        """Write what waits for upstream, as far as that goes without waiting."""
        for link in self.links.values():
            link.flush()

    def link_chunk(self, lane: int, data: bytes | bytearray | memoryview, at_ns: int) -> list[NativePush]:
        """A chunk from upstream; returns its pushes, which are the broadcaster's."""
        batch = self.switch.link_feed_untrusted(lane, data, at_ns)
        for event in batch.events:
            self._link_event(lane, event, at_ns / 1e9)
        for slot in batch.dirty:
            client = self.clients.get(slot)
            if client is not None:
                client.flush()
        if batch.bad_pushes:
            self.bad_pushes += batch.bad_pushes
            log.warning("%d pushes from OpenD with a wrong SHA-1 were dropped", batch.bad_pushes)
        self.resume_paused()
        return batch.pushes

    def _link_event(self, lane: int, event: LinkEvent, now: float) -> None:
        entry = event.entry
        if entry is None:
            if event.kind == STREAM_LOST and lane in self.links:
                self.links[lane].damaged()
            return
        if event.kind == OVERFLOW:
            self._overflow(entry.slot)
            return
        failure = Failure.CORRUPT if event.kind == REPLY_BAD_SHA1 else None
        asked_at = entry.start_ns / 1e9
        self._settle(entry, Outcome(event.body, event.proto_fmt, failure, entry.upstream_serial, asked_at), now)

    def _settle(self, entry: Entry, outcome: Outcome, now: float) -> None:
        """Act on how a request ended. A crash ends the client that asked; over a request of our own, the connection
        it went by, for nobody knows what OpenD has then. All others go on."""
        try:
            self.execute(self._finish(entry, outcome, now))
        except Exception:
            log.exception("a crash over the end of %s; the others go on", name_of(entry.proto_id))
            client = self.clients.get(entry.slot)
            if client is not None and client.session.generation == entry.generation:
                client.end(CRASHED, flush_all=False)
            elif entry.slot < 0 and entry.link in self.links:
                self.links[entry.link].drop("a bug, see above")

    def _finish(self, entry: Entry, outcome: Outcome, now: float) -> list[Command]:
        if entry.token is not None:
            then: Then = entry.token  # type: ignore[assignment]
            return then(outcome, now)
        request = self._request_of(entry)
        return self.router.passed_reply(entry.link, request, outcome, now) if request else []

    def _request_of(self, entry: Entry) -> Request | None:
        client = self.clients.get(entry.slot)
        if client is None or client.session.generation != entry.generation:
            return None
        return Request(client.session, entry.proto_id, entry.proto_fmt, entry.serial_no, b"")

    def link_gone(self, lane: int) -> None:
        """The lane's connection ended: everything that waited for it gets its answer."""
        entries = self.switch.reset_link(lane)
        pending = [(entry.token, self._request_of(entry)) for entry in entries]
        self.execute(self.router.links.lost(lane, pending, trio.current_time()))  # type: ignore[arg-type]
        self.resume_paused()
        self._notify_settled()

    # -- time

    def tick(self) -> None:
        """Expire what upstream did not answer, and let core do what is due."""
        at_ns = now_ns()
        now = at_ns / 1e9
        self.router.wall_offset = time.time() - now
        for entry in self.switch.expire(at_ns):
            self._settle(entry, Outcome(b"", 0, Failure.TIMEOUT, entry.upstream_serial), now)
        self.execute(self.router.tick(now))
        while self._newcomers and self._newcomers[0][0] <= now:
            _due, client = self._newcomers.popleft()
            if self._alive(client.session) is client and client.session.state is State.NEW:
                client.end("no InitConnect in time after its first byte", flush_all=True)
        for tidy in self.on_tick:
            tidy(now)
        self.resume_paused()
        self.flush_links()
