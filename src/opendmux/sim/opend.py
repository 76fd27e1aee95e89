"""The simulator: streams in, streams out, one market."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
from trio import socket

from opendmux.wire.cipher import RsaKey
from opendmux.wire.protocols import ProtoId

from .config import SimConfig
from .connection import GOODBYE_S, Connection, Gate, reset_stream
from .console import serve_console_stream
from .encryption import Encryption
from .feed import Feed
from .outage import Outage
from .record import ConnectionRecord, Record, RequestRecord, Violation
from .status import event_notice, quota_notice, rights_notice, used_notice
from .world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from google.protobuf.message import Message

    from opendmux.wire.frame import Frame

    from .broker import Broker, Order
    from .faults import Faults
    from .subscriptions import SubKey, Subscriptions

__all__ = ["Simulator", "open_simulator"]

log = logging.getLogger("opendmux.sim")

_MOVES_THE_WATCH = frozenset({ProtoId.QOT_SUB, ProtoId.TRD_PLACE_ORDER, ProtoId.TRD_MODIFY_ORDER})


class Simulator:
    """One simulated OpenD. Made by `open_simulator`; everything here must be called from its Trio run."""

    def __init__(self, config: SimConfig, nursery: trio.Nursery, rsa_key: RsaKey | None = None) -> None:
        start = trio.current_time()
        self.world = World(config, lambda: trio.current_time() - start)
        self._nursery = nursery
        self._rsa_key = rsa_key
        self._gate = Gate()
        self._connections: dict[int, Connection] = {}
        self._outage = Outage()
        self._kicks = 0
        self._feed = Feed(self.world, self._gate, self.flush)
        self.operations: deque[str] = deque(maxlen=1000)
        """Names of the commands that came to the console, the latest last."""

    # -- ways in

    async def serve(
        self,
        listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
        task_status: trio.TaskStatus[list[trio.abc.Listener[trio.abc.Stream]]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept connections until cancelled. The connections live on in the simulator's own nursery."""
        await self.serve_as(self.serve_stream, listeners, task_status=task_status)

    async def serve_as(
        self,
        handler: Callable[[trio.abc.Stream], Awaitable[None]],
        listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
        task_status: trio.TaskStatus[list[trio.abc.Listener[trio.abc.Stream]]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept connections of any kind until cancelled; they live on in the simulator's own nursery.

        During a `crash` sockets are closed, so that nobody can connect, and opened again on the same address; other
        listeners go on accepting, and what they accept is reset.
        """
        await self._outage.serve(handler, listeners, self._nursery, task_status)

    async def connect(self) -> trio.SocketStream:
        """A new connection without a port: one end of a socket pair whose other end is served here."""
        ours, theirs = socket.socketpair()
        self._nursery.start_soon(self.serve_stream, trio.SocketStream(theirs))
        await trio.lowlevel.checkpoint()
        return trio.SocketStream(ours)

    async def connect_console(self) -> trio.SocketStream:
        """The same to the operation console."""
        ours, theirs = socket.socketpair()
        self._nursery.start_soon(serve_console_stream, self, trio.SocketStream(theirs))
        await trio.lowlevel.checkpoint()
        return trio.SocketStream(ours)

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Be OpenD on one stream until it ends. Over the connection limit it is closed at once."""
        world = self.world
        if self._outage.lasts:
            await reset_stream(stream)
            return
        session = world.open_session()
        if len(self._connections) >= world.config.max_connections:
            text = f"connection limit of {world.config.max_connections} reached"
            world.record.violations.append(Violation(session.number, "connections", 0, 0, text))
            world.close_session(session, text)
            await trio.aclose_forcefully(stream)
            return
        key, max_body = self._rsa_key, world.config.max_body_bytes
        encryption = Encryption(key, max_body, session) if key is not None else None
        connection = Connection(stream, session, world, self._gate, self._after_frame, self.crash, encryption)
        self._connections[session.number] = connection
        try:
            await connection.run()
        except* Exception:
            log.exception("connection %d of the simulator crashed", session.number)
            connection.end_reason = "crashed"
        finally:
            del self._connections[session.number]
            world.close_session(session, connection.end_reason or "shut down")

    # -- what a test asks

    @property
    def config(self) -> SimConfig:
        return self.world.config

    @property
    def record(self) -> Record:
        """Connections, requests and violations so far."""
        return self.world.record

    @property
    def requests(self) -> list[RequestRecord]:
        return list(self.world.record.requests)

    @property
    def violations(self) -> list[Violation]:
        return list(self.world.record.violations)

    @property
    def connections(self) -> list[ConnectionRecord]:
        """The open connections."""
        return [session.record for session in self.world.sessions.values()]

    @property
    def broker(self) -> Broker:
        return self.world.broker

    @property
    def orders(self) -> list[Order]:
        return list(self.world.broker.orders.values())

    @property
    def subscriptions(self) -> Subscriptions:
        """The books; ``quota`` and ``min_age_s`` may be changed at any time."""
        return self.world.subscriptions

    def subscribed_now(self) -> dict[SubKey, list[int]]:
        """(security, SubType) -> numbers of the connections that hold it."""
        holders: dict[SubKey, list[int]] = {}
        for number in self.world.sessions:
            for pair in self.world.subscriptions.of(number):
                holders.setdefault(pair, []).append(number)
        return holders

    @property
    def faults(self) -> Faults:
        return self.world.faults

    # -- what a test does

    def drop(self, number: int | None = None) -> int:
        """End one connection or all of them, at a frame boundary. Returns how many."""
        chosen = self._chosen(number)
        for connection in chosen:
            connection.end("dropped")
        return len(chosen)

    def reset(self, number: int | None = None) -> int:
        """End one connection or all of them at once, on TCP with a reset. Returns how many."""
        chosen = self._chosen(number)
        for connection in chosen:
            connection.reset("reset")
        return len(chosen)

    def swallow(self, number: int | None = None) -> int:
        """From now on one connection, or all there are, are read and nothing else. Returns how many.

        ``faults.black_hole`` does it to new connections too.
        """
        chosen = self._chosen(number)
        for connection in chosen:
            connection.swallow()
        return len(chosen)

    def crash(self, seconds: float = 0.0) -> int:
        """As if the process died and came back after so long: connections are reset, and nobody can connect.

        Trade is locked afterwards. The market and the orders live on: they are not OpenD's. Returns how many
        connections there were.
        """
        self._outage.begin(seconds)
        self.world.unlocked = False
        chosen = self._chosen(None)
        for connection in chosen:
            connection.reset("crashed on purpose")
        return len(chosen)

    def stall(self) -> None:
        """Nothing is read, answered or pushed until `resume`."""
        self._gate.close()

    def resume(self) -> None:
        self._gate.open()

    @property
    def stalled(self) -> bool:
        return self._gate.closed

    def notify_connect_status(self, *, qot_logined: bool, trd_logined: bool) -> None:
        """OpenD's own logins are so from now on; every connection with recvNotify is told."""
        status = self.world.status
        status.qot_logined, status.trd_logined = qot_logined, trd_logined
        self._notify(status.connect_notice())

    def set_program_status(self, program: int, description: str = "") -> None:
        """A ProgramStatusType, 10 is ready. Everybody is told, and GetGlobalState shows it."""
        status = self.world.status
        status.program, status.description = program, description
        self._notify(status.program_notice())

    def notify_event(self, event_type: int, description: str = "") -> None:
        """Tell everybody of a GtwEventType, for example 11: a code from the phone is needed."""
        self._notify(event_notice(event_type, description))

    def set_quota(self, subscriptions: int, history: int) -> None:
        """So much may be used from now on; everybody is told, and GetUserInfo says it."""
        self.subscriptions.quota = subscriptions
        self.world.status.history_quota = history
        self._notify(quota_notice(subscriptions, history))

    def notify_used_quota(self, subscriptions: int, history: int) -> None:
        """Tell everybody that so much is used, whatever the books say; the quota of historical candles stays so."""
        self.world.status.history_used = history
        self._notify(used_notice(subscriptions, history))

    def set_lost_rights(self, markets: Iterable[int]) -> None:
        """These QotMarkets, and no others, can't be subscribed from now on; what is subscribed stays."""
        self.faults.lost_rights = set(markets)
        self._notify(rights_notice(self.faults))

    def kick(self, seconds: float | None = None) -> None:
        """Another terminal takes the quote right: no pushes, no new subscriptions, for so long; None = for good.

        0 gives it back at once. Everybody is told of both.
        """
        self._kicks += 1
        self.faults.kicked = seconds is None or seconds > 0
        self._notify(rights_notice(self.faults))
        if seconds:
            self._nursery.start_soon(self._give_back, self._kicks, seconds)

    # -- inside

    def _chosen(self, number: int | None) -> list[Connection]:
        if number is None:
            return list(self._connections.values())
        return [self._connections[number]] if number in self._connections else []

    def _notify(self, message: Message) -> None:
        self.world.notify(message)
        self.flush()

    async def _give_back(self, kick: int, seconds: float) -> None:
        await trio.sleep(seconds)
        if kick == self._kicks:
            self.kick(0)

    def _after_frame(self, frame: Frame) -> None:
        self.flush()
        if frame.proto_id in _MOVES_THE_WATCH:
            self._feed.look()

    def flush(self) -> None:
        """Send what the world wants to be sent."""
        batches: dict[int, list[bytes]] = {}
        for number, frame in self.world.outgoing:
            batches.setdefault(number, []).append(frame)
        self.world.outgoing.clear()
        for number, frames in batches.items():
            connection = self._connections.get(number)
            if connection is None:
                continue
            if self.faults.tricks:
                for frame in frames:
                    connection.push(frame)
            else:
                connection.offer(b"".join(frames))


@asynccontextmanager
async def open_simulator(config: SimConfig | None = None) -> AsyncIterator[Simulator]:
    """A running simulator. Leaving the block ends all its connections, after at most a second for what is queued.

    What the block raises comes out as it is. Raises ConfigError for an RSA key file that can't be used.
    """
    config = config or SimConfig()
    rsa_key = RsaKey.load(config.rsa_private_key) if config.rsa_private_key else None
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        simulator = Simulator(config, nursery, rsa_key)
        async with trio.open_nursery() as market:
            market.start_soon(simulator._feed.run)
            try:
                yield simulator
            except Exception as error:  # noqa: BLE001 - raised again below, where no nursery wraps it
                failure = error
            market.cancel_scope.cancel()
        for connection in simulator._connections.values():
            connection.end("shut down")
        nursery.cancel_scope.deadline = trio.current_time() + GOODBYE_S
    if failure is not None:
        raise failure
