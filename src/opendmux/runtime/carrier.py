"""How core's commands are carried out: into outboxes and links, without waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio

from opendmux.config import Config
from opendmux.core.budgets import Waits
from opendmux.core.commands import (
    Ask,
    Close,
    CloseLane,
    Command,
    Forward,
    Missed,
    OpenLane,
    Push,
    Reply,
    Then,
    UseRow,
    Witness,
)
from opendmux.core.gate import TRADE_LINK, inspecting, open_row, with_trade_link
from opendmux.core.identity import Session
from opendmux.core.metering import METERED_IDS
from opendmux.core.packet import stamp_untrusted
from opendmux.core.router import Policy, Router
from opendmux.core.shareable import REPEATABLE
from opendmux.native import (
    EVENT,
    NATIVE,
    Switch,
    build_frame,
)

from .house import House
from .notary import Notary
from .ports import Client, LinkPort
from .work import Work

__all__ = ["Carrier", "now_ns"]


def now_ns() -> int:
    """Trio's clock in nanoseconds, the unit of the switch; a mock clock works as well."""
    return int(trio.current_time() * 1_000_000_000)


class Carrier:
    """The state that commands act on: the switch, who is connected, and the links. Decides nothing."""

    def __init__(self, config: Config, upstream_name: str, trade_name: str | None, house: House) -> None:
        limits = config.limits
        self.config = config
        self.house = house
        self.notary = Notary(house, upstream_name)
        self.switch = Switch(
            max_client_body=limits.client_body_bytes,
            client_body_total=limits.client_body_total_bytes,
            max_upstream_body=limits.upstream_body_bytes,
            link_high_water=limits.link_high_water_bytes,
            outbox_high_water=limits.outbox_high_water_bytes,
            outbox_total=limits.outbox_total_bytes,
        )
        row = open_row(allow_unknown=config.allow_unknown)
        if config.budgets or config.coalesce:
            row = inspecting(row, METERED_IDS)
        if config.retry_reads:
            row = inspecting(row, REPEATABLE)
        policy = Policy(
            open_row=row if trade_name is None else with_trade_link(row),
            park_s=config.timeouts.park_s,
            budgets=config.budgets,
            coalesce=config.coalesce,
            retry_reads=config.retry_reads,
            reply_s=config.timeouts.reply_s,
            waits=Waits(config.timeouts.read_wait_s, config.timeouts.write_wait_s),
            unlock=config.unlock,
            extra_lanes=config.limits.extra_lanes,
        )
        self.router = Router(upstream_name, policy, trade_address=trade_name, access=house.access, limits=house.limits)
        for lane in self.router.lanes.all:
            number = self.switch.open_link()
            assert number == lane.index, "lanes and links are numbered alike"
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
        self.handshake_body = min(limits.handshake_body_bytes, limits.client_body_bytes)
        """Largest body of a client that is not ready, in bytes."""
        self._reply_timeout_ns = int(config.timeouts.reply_s * 1e9)
        self._waiting = trio.lowlevel.ParkingLot()

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
                    self.ask(command.lane, command.proto_id, command.body, command.then, command.until)
                case Push():
                    self.push((command,))
                case Missed():
                    command.session.missed()
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
        if command.denial is not None:
            self.notary.denied(command)
        client = self._alive(command.session)
        if client is None:
            return
        self._answered(client, command.proto_id, command.serial_no)
        if client.take_reply(command):
            return
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
            self.router.writes.unsent(request)
            return
        if command.then is None:
            self._answered(client, request.proto_id, request.serial_no)  # the switch counts it now
        body, serial, at_ns = request.body, 0, now_ns()
        if command.with_packet_id:
            identity = self.router.lanes[command.lane].upstream.identity
            assert identity is not None, "a lane that is ready has an identity"
            serial = self.switch.reserve_serial(command.lane)
            body = stamp_untrusted(request.proto_id, request.proto_fmt, body, identity.conn_id, serial)
        sent_as = self.switch.submit(
            command.lane,
            session.slot,
            request.serial_no,
            request.proto_id,
            request.proto_fmt,
            body,
            reply=NATIVE if command.then is None else EVENT,
            token=command.then,
            timeout_ns=self._timeout_ns(command.until, at_ns),
            now_ns=at_ns,
            upstream_serial=serial,
        )
        if command.with_packet_id:
            self.router.writes.sent(request)
        self.notary.sent(command, sent_as)

    def ask(self, lane: int, proto_id: int, body: bytes, then: Then, until: float | None = None) -> None:
        """Send a request of the proxy's own; ``then`` gets its outcome. The link is flushed by the caller's round."""
        at_ns = now_ns()
        timeout_ns = self._timeout_ns(until, at_ns)
        self.switch.submit(lane, -1, 0, proto_id, 0, body, reply=EVENT, token=then, timeout_ns=timeout_ns, now_ns=at_ns)

    def _timeout_ns(self, until: float | None, at_ns: int) -> int:
        return self._reply_timeout_ns if until is None else max(1, int(until * 1e9) - at_ns)

    def _use_row(self, session: Session) -> None:
        if self._alive(session) is None:
            return
        self.switch.set_link(session.slot, 0, session.lane)
        self.switch.set_link(session.slot, TRADE_LINK, self.router.lanes.trade_of(session).index)
        self.switch.set_row(session.slot, session.row)
        if session.ready:
            self.switch.set_max_body(session.slot, self.config.limits.client_body_bytes)

    def witness(self, command: Witness) -> None:
        """Put something down for the audit; its reply waits for that."""
        self.notary.witness(command, self._reply, self._hold)

    def _hold(self, reply: Reply) -> Callable[[], None]:
        client = self._alive(reply.session)
        if client is None or not client.ordered:
            return lambda: self._reply(reply)
        slot = reply.session.slot
        ticket = self.switch.hold(slot)

        def leave() -> None:
            if self._alive(reply.session) is not client:
                return
            self._answered(client, reply.proto_id, reply.serial_no)
            frame = build_frame(reply.proto_id, reply.proto_fmt, reply.serial_no, reply.body)
            if self.switch.release(slot, ticket, frame):
                client.flush()

        return leave

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
