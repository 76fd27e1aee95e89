"""Where the switch, the router and the sessions meet: bytes in, commands executed, bytes out.

Everything here is synchronous and runs in one thread, so a chunk is dealt with completely before the next one: its
frames are passed on or decided, commands are executed, and what can be written without waiting has been written. Only
sockets that would block are left to a session's writer or the link's.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable

import trio

from opendmux.config import Config, OnOutage
from opendmux.core.answers import name_of
from opendmux.core.budgets import Waits
from opendmux.core.commands import (
    Ask,
    Close,
    CloseLane,
    Command,
    Failure,
    Forward,
    OpenLane,
    Outcome,
    Push,
    Reply,
    Request,
    Then,
    UseRow,
    Witness,
)
from opendmux.core.gate import HANDSHAKE_ROW, TRADE_LINK, inspecting, open_row, with_trade_link
from opendmux.core.identity import Session
from opendmux.core.metering import METERED_IDS
from opendmux.core.packet import stamp_untrusted
from opendmux.core.router import Policy, Router
from opendmux.native import (
    EVENT,
    NATIVE,
    OVERFLOW,
    REPLY_BAD_SHA1,
    STREAM_LOST,
    Entry,
    LinkEvent,
    Switch,
)
from opendmux.native import Push as NativePush
from opendmux.wire.cipher import RANDOM_BYTES, RsaKey
from opendmux.wire.frame import RetType

from .ports import Client, LinkPort
from .silence import Silence
from .work import Work

__all__ = ["Hub", "now_ns"]

log = logging.getLogger("opendmux.hub")
audit = logging.getLogger("opendmux.audit")


REASONS_KEPT = 64


def now_ns() -> int:
    """Trio's clock in nanoseconds, the unit of the switch; a mock clock works as well."""
    return int(trio.current_time() * 1_000_000_000)


class Hub:
    """The shared state of one OpenD, or of one group of OpenDs. A lane's number is the switch's link number."""

    def __init__(
        self, config: Config, upstream_name: str, *, trade_name: str | None = None, rsa_key: RsaKey | None = None
    ) -> None:
        limits = config.limits
        self.config = config
        self.switch = Switch(
            max_client_body=limits.client_body_bytes,
            max_upstream_body=limits.upstream_body_bytes,
            link_high_water=limits.link_high_water_bytes,
            outbox_high_water=limits.outbox_high_water_bytes,
            outbox_total=limits.outbox_total_bytes,
        )
        row = open_row(allow_unknown=config.allow_unknown)
        if config.budgets or config.coalesce:
            row = inspecting(row, METERED_IDS)
        policy = Policy(
            open_row=row if trade_name is None else with_trade_link(row),
            park_s=config.timeouts.park_s,
            budgets=config.budgets,
            coalesce=config.coalesce,
            reply_s=config.timeouts.reply_s,
            waits=Waits(config.timeouts.read_wait_s, config.timeouts.write_wait_s),
            unlock=config.unlock,
            extra_lanes=config.limits.extra_lanes,
        )
        self.router = Router(upstream_name, policy, trade_address=trade_name)
        for lane in self.router.lanes.all:
            number = self.switch.open_link()
            assert number == lane.index, "lanes and links are numbered alike"
        self.rsa_key = rsa_key
        """For clients that encrypt; None: they are disconnected."""
        self.clients: dict[int, Client] = {}
        """By slot."""
        self.work: dict[int, Work] = {}
        """By slot: what core has taken from a client."""
        self._behind: dict[int, Client] = {}
        """By slot: clients whose backlog may have a next one."""
        self.links: dict[int, LinkPort] = {}
        """By lane: the links that are kept up."""
        self.open_lane: Callable[[int], None] = lambda _lane: None
        """Set by the server: start the task that keeps a lane's link."""
        self.close_lane: Callable[[int], None] = lambda _lane: None
        """Set by the server: end that task."""
        self.torn = 0
        """Connections that had to be closed in the middle of a frame."""
        self.ended: dict[str, int] = {}
        """Sessions by the reason of their end."""
        self._silence = Silence(limits.silent_per_address)
        self._reply_timeout_ns = int(config.timeouts.reply_s * 1e9)
        self._next_owner = 1
        self._waiting = trio.lowlevel.ParkingLot()

    # -- sessions

    def open_session(self, peer: str, peer_host: str, transport: str, on_outage: OnOutage) -> Session:
        """A slot and an identity for a new client; the caller then registers it with `add`."""
        slot = self.switch.open_slot(
            HANDSHAKE_ROW,
            timeout_ns=self._reply_timeout_ns,
            max_in_flight=self.config.limits.in_flight,
            outbox_limit=self.config.limits.outbox_bytes,
        )
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
        )
        self._next_owner += 1
        self.router.open_session(session)
        return session

    def add(self, client: Client) -> None:
        """From now on the client gets bytes; at the cap of silent connections of its address the oldest of them
        goes."""
        self.clients[client.session.slot] = client
        self.work[client.session.slot] = Work(self.config.limits.in_flight)
        oldest = self._silence.add(client)
        if oldest is not None:
            oldest.end("too many connections of this address without InitConnect", flush_all=True)

    def remove(self, client: Client, reason: str) -> None:
        """The client's connection is over."""
        session = client.session
        commands = self.router.close_session(session, trio.current_time())
        del self.clients[session.slot], self.work[session.slot]
        self._silence.remove(client)
        self.switch.close_slot(session.slot)
        # Reasons may carry figures, so they are not all kept apart for ever.
        kept = reason if reason in self.ended or len(self.ended) < REASONS_KEPT else "other"
        self.ended[kept] = self.ended.get(kept, 0) + 1
        log.info("%s: closed, %s", session, reason)
        self.execute(commands)
        self.resume_paused()
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
        """No request of this client is open."""
        return self.switch.in_flight(session.slot) == 0 and self.work[session.slot].idle

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
            log.warning("%d pushes from OpenD with a wrong SHA-1 were dropped", batch.bad_pushes)
        self.resume_paused()
        return batch.pushes

    def _link_event(self, lane: int, event: LinkEvent, now: float) -> None:
        entry = event.entry
        if entry is None:
            if event.kind == STREAM_LOST and lane in self.links:
                self.links[lane].drop("OpenD's stream is damaged: bad magic or a body over the limit")
            return
        if event.kind == OVERFLOW:
            self._overflow(entry.slot)
            return
        failure = Failure.CORRUPT if event.kind == REPLY_BAD_SHA1 else None
        self._settle(entry, Outcome(event.body, event.proto_fmt, failure), now)

    def _settle(self, entry: Entry, outcome: Outcome, now: float) -> None:
        """Act on how a request ended. A crash ends the client that asked; over a request of our own, the connection
        it went by, for nobody knows what OpenD has then. All others go on."""
        try:
            self.execute(self._finish(entry, outcome, now))
        except Exception:
            log.exception("a crash over the end of %s; the others go on", name_of(entry.proto_id))
            client = self.clients.get(entry.slot)
            if client is not None and client.session.generation == entry.generation:
                client.end("crashed", flush_all=False)
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
        self.execute(self.router.link_lost(lane, pending, trio.current_time()))  # type: ignore[arg-type]
        self.resume_paused()
        self._notify_settled()

    # -- time

    def tick(self) -> None:
        """Expire what upstream did not answer, and let core do what is due."""
        at_ns = now_ns()
        now = at_ns / 1e9
        self.router.wall_offset = time.time() - now
        timeout = Outcome(b"", 0, Failure.TIMEOUT)
        for entry in self.switch.expire(at_ns):
            self._settle(entry, timeout, now)
        self.execute(self.router.tick(now))
        self.resume_paused()
        self.flush_links()

    # -- commands

    def execute(self, commands: Iterable[Command]) -> None:
        """Carry out what core decided, in order."""
        for command in commands:
            match command:
                case Reply():
                    self._reply(command)
                case Forward():
                    self._forward(command)
                case Ask():
                    self.ask(command.lane, command.proto_id, command.body, command.then)
                case Push():
                    self.push((command,))
                case UseRow():
                    self._use_row(command.session)
                case Witness():
                    self.witness(command)
                case OpenLane():
                    self.open_lane(command.lane)
                case CloseLane():
                    self.switch.set_link_ready(command.lane, False)
                    self.close_lane(command.lane)
                case Close():
                    self._close(command)
        self._notify_settled()

    def _reply(self, command: Reply) -> None:
        client = self._alive(command.session)
        if client is None:
            return
        self._answered(client, command.proto_id, command.serial_no)
        if self.switch.reply(
            command.session.slot, command.proto_id, command.proto_fmt, command.serial_no, command.body
        ):
            client.flush()
        else:
            self._overflow(command.session.slot)

    def _answered(self, client: Client, proto_id: int, serial_no: int) -> None:
        slot = client.session.slot
        work = self.work[slot]
        work.done(proto_id, serial_no)
        if work.backlog and not work.running:
            self._behind[slot] = client

    def _forward(self, command: Forward) -> None:
        request = command.request
        session = request.session
        client = self._alive(session)
        if client is None:
            return
        if command.then is None:
            self._answered(client, request.proto_id, request.serial_no)  # the switch counts it now
        body, serial, at_ns = request.body, 0, now_ns()
        if command.with_packet_id:
            identity = self.router.lanes[command.lane].upstream.identity
            assert identity is not None, "a lane that is ready has an identity"
            serial = self.switch.reserve_serial(command.lane)
            body = stamp_untrusted(request.proto_id, request.proto_fmt, body, identity.conn_id, serial)
        self.switch.submit(
            command.lane,
            session.slot,
            request.serial_no,
            request.proto_id,
            request.proto_fmt,
            body,
            reply=NATIVE if command.then is None else EVENT,
            token=command.then,
            timeout_ns=self._reply_timeout_ns if command.until is None else int(command.until * 1e9) - at_ns,
            now_ns=at_ns,
            upstream_serial=serial,
        )

    def ask(self, lane: int, proto_id: int, body: bytes, then: Then) -> None:
        """Send a request of the proxy's own; ``then`` gets its outcome. The link is flushed by the caller's round."""
        timeout_ns = self._reply_timeout_ns
        self.switch.submit(
            lane, -1, 0, proto_id, 0, body, reply=EVENT, token=then, timeout_ns=timeout_ns, now_ns=now_ns()
        )

    def _use_row(self, session: Session) -> None:
        if self._alive(session) is None:
            return
        self.switch.set_link(session.slot, 0, session.lane)
        self.switch.set_link(session.slot, TRADE_LINK, self.router.lanes.trade.index)
        self.switch.set_row(session.slot, session.row)

    def witness(self, command: Witness) -> None:
        """The audit's hook: how a trade write ended. An unknown outcome is a warning."""
        level = logging.WARNING if command.ret_type == RetType.UNKNOWN else logging.INFO
        request = command.request
        audit.log(
            level, "%s: %s retType %d %s", request.session, name_of(request.proto_id), command.ret_type, command.note
        )

    def push(self, commands: Iterable[Push]) -> None:
        """Fan pushes out. Never waits: a client that can't take more is ended, the others don't notice."""
        dirty: set[int] = set()
        for command in commands:
            sendable, overflowed = self.switch.fan_out(command.slots, command.frame, command.key)
            dirty.update(sendable)
            for slot in overflowed:
                self._overflow(slot)
        for slot in dirty:
            client = self.clients.get(slot)
            if client is not None:
                client.flush()

    def _close(self, command: Close) -> None:
        client = self._alive(command.session)
        if client is not None:
            client.end(command.reason, flush_all=True)

    def _overflow(self, slot: int) -> None:
        client = self.clients.get(slot)
        if client is not None:
            client.end("slow: its outbox is full", flush_all=False)

    def _alive(self, session: Session) -> Client | None:
        client = self.clients.get(session.slot)
        return client if client is not None and client.session is session else None

    # -- waiting for core

    def _notify_settled(self) -> None:
        self._waiting.unpark_all()

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until ``done()`` holds; looked at again after every batch of commands. Cancellation: nothing is
        changed."""
        while not done():
            await self._waiting.park()
