"""The upstream link: one connection to OpenD, kept up for ever. Every lane has its own.

A loop around one connection: dial, InitConnect, restore what clients hold (`Links.connected`), ready,
KeepAlive; any failure ends the connection's nursery, everything that waited is answered (`Hub.link_gone`), and after
a back-off with jitter it starts again. The reader never waits for a client: replies go to outboxes without waiting,
pushes to the broadcaster.
"""

from __future__ import annotations

import enum
import logging
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial

import trio

from opendmux.config import Timeouts
from opendmux.core.commands import Command, Outcome
from opendmux.core.lanes import Lane, LaneKind
from opendmux.errors import RemoteProtocolError
from opendmux.wire import handshake
from opendmux.wire.cipher import RsaKey
from opendmux.wire.protocols import ProtoId
from opendmux.wire.secure import ClientSide
from opendmux.wording import version_text

from .broadcast import Batch
from .hub import Hub, now_ns
from .inlet import READ_BYTES, read_socket
from .outlet import Outlet, raw_socket

__all__ = ["Dial", "LinkState", "UpstreamLink"]

log = logging.getLogger("opendmux.upstream")

Dial = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens a connection to upstream; raises OSError when it can't."""

MUTE_INTERVALS = 3
"""No byte from upstream for so many KeepAlive intervals, its KeepAlive replies included: the connection is dead."""

SERIAL_LIMIT = 0xF000_0000
"""Serial numbers must grow and have 32 bits: a connection that gets here is replaced by a new one."""

REPEAT_LOG_S = 30.0
"""An unchanged reason for being down is logged again after so long."""


class LinkState(enum.Enum):
    """Ready depends on InitConnect and the replay alone, not on OpenD's own logins."""

    DOWN = "down"
    CONNECTING = "connecting"
    READY = "ready"


class UpstreamLink:
    """The link of one lane. ``pushes`` is the broadcaster's channel; it is closed when `run` ends."""

    def __init__(
        self,
        hub: Hub,
        lane: Lane,
        dial: Dial,
        pushes: trio.MemorySendChannel[Batch],
        rsa_key: RsaKey | None = None,
    ) -> None:
        self.state = LinkState.DOWN
        self.connects = 0
        """Connections that became ready."""
        self.first_ready = trio.Event()
        self.number = lane.index
        self._hub = hub
        self._lane = lane
        self._dial = dial
        self._pushes = pushes
        self._rsa_key = rsa_key
        self._secure: ClientSide | None = None
        self._greeted = False
        """This connection's InitConnect has been answered."""
        self._last_rx = 0.0
        self._logged: tuple[str, float] = ("", 0.0)
        self._outlet: Outlet | None = None
        self._drop: Callable[[str], None] | None = None
        self._attempt = trio.CancelScope()

    @property
    def _timeouts(self) -> Timeouts:
        """As they are now: a reload may change them."""
        return self._hub.config.timeouts

    @property
    def _name(self) -> str:
        """What logs call it: OpenD's address, with the lane where it is not the usual one."""
        lane = "" if self._lane.kind is LaneKind.MAIN else f" ({self._lane})"
        return f"OpenD at {self._lane.upstream.address}{lane}"

    @property
    def _reason(self) -> str:
        """Why it is down; core sees it too."""
        return self._lane.upstream.reason

    @_reason.setter
    def _reason(self, reason: str) -> None:
        self._lane.upstream.reason = reason

    def flush(self) -> None:
        """See `LinkPort`."""
        if self._outlet is not None:
            self._outlet.flush()

    def drop(self, reason: str) -> None:
        """See `LinkPort`."""
        if self._drop is not None:
            self._drop(reason)

    def damaged(self) -> None:
        """See `LinkPort`."""
        if self._greeted:
            self.drop("OpenD's stream is damaged: bad magic or a body over the limit")
        else:
            self.drop(
                f"what listens at {self._lane.upstream.address} is not OpenD's API port (its first bytes are no "
                "frame): check --upstream"
            )

    def let_go(self) -> None:
        """See `LinkPort`."""
        self._attempt.cancel(reason="a pause")

    async def run(self) -> None:
        """Keep the link up until cancelled."""
        self._lane.upstream.down_since = trio.current_time()
        self._hub.links[self.number] = self
        async with self._pushes:
            try:
                await self._keep_up()
            finally:
                del self._hub.links[self.number]

    async def _keep_up(self) -> None:
        failures = 0
        while True:
            await self._hub.resumed.wait()
            with trio.CancelScope() as self._attempt:
                failures = await self._try(failures)
            if self._attempt.cancelled_caught:
                self.state = LinkState.DOWN
                failures = 0

    async def _try(self, failures: int) -> int:
        """One connection, from its beginning to the end of the wait for the next; returns how many have failed in a
        row."""
        self.state = LinkState.CONNECTING
        stream = await self._connect()
        if stream is not None:
            connects = self.connects
            await self._connection(stream)
            if self.connects > connects:
                failures = 0
        self.state = LinkState.DOWN
        delay = min(self._timeouts.backoff_max_s, self._timeouts.backoff_first_s * 2**failures)
        self._say_down()
        await trio.sleep(delay * random.uniform(0.75, 1.25))
        return min(failures + 1, 16)

    def _say_down(self) -> None:
        reason, at = self._logged
        now = trio.current_time()
        if reason != self._reason or now - at >= REPEAT_LOG_S:
            self._logged = (self._reason, now)
            waiting = "reconnecting" if self.connects else "waiting for it; until then clients are refused"
            log.warning("%s: %s; %s", self._name, self._reason, waiting)

    async def _connect(self) -> trio.abc.Stream | None:
        try:
            with trio.fail_after(self._timeouts.connect_s):
                return await self._dial()
        except trio.TooSlowError:
            self._reason = f"no answer to TCP connect for {self._timeouts.connect_s:g} s"
        except OSError as error:
            self._reason = _plain(error)
        return None

    # -- one connection

    async def _connection(self, stream: trio.abc.Stream) -> None:
        hub = self._hub
        self._secure = ClientSide(self._rsa_key, hub.config.limits.upstream_body_bytes) if self._rsa_key else None
        sock = raw_socket(stream) if self._secure is None else None
        outlet = Outlet(
            sock,
            stream if sock is None else None,
            peek=partial(hub.switch.link_out, self.number),
            sent=partial(hub.switch.link_sent, self.number),
            take=self._take,
        )
        self._last_rx = trio.current_time()
        self._reason = ""
        self._greeted = False
        try:
            async with trio.open_nursery() as nursery:

                def drop(reason: str) -> None:
                    self._reason = reason
                    nursery.cancel_scope.cancel(reason=reason)

                self._drop, self._outlet = drop, outlet
                nursery.start_soon(self._read, sock, stream, drop)
                nursery.start_soon(self._write, outlet, drop)
                await self._live(drop)
        except* Exception:  # a crash during cancellation comes mixed with Cancelled
            log.exception("%s: the link crashed; taking a new connection", self._lane)
            self._reason = "a bug, see above"
        finally:
            self._drop = self._outlet = None
            was_ready = self.state is LinkState.READY
            self.state = LinkState.DOWN
            hub.link_gone(self.number)
            if was_ready and self._reason:
                log.warning("%s: link lost: %s; reconnecting", self._name, self._reason)
                self._logged = (self._reason, trio.current_time())  # said already
            if sock is not None:
                sock.close()
            else:
                await trio.aclose_forcefully(stream)

    async def _live(self, drop: Callable[[str], None]) -> None:
        """Handshake, replay, ready, KeepAlive until the connection is dropped."""
        hub = self._hub
        try:
            identity = await self._init()
        except (RemoteProtocolError, trio.TooSlowError) as error:
            drop(self._perhaps_key(str(error) or f"no answer to InitConnect for {self._timeouts.connect_s:g} s"))
            return
        hub.execute(hub.router.links.connected(self.number, identity, trio.current_time()))
        self.flush()
        with trio.move_on_after(self._timeouts.replay_s) as replay:
            await hub.until(lambda: not hub.router.links.replaying(self.number))
        if replay.cancelled_caught:
            drop(f"restoring the subscriptions took over {self._timeouts.replay_s:g} s")
            return
        if not hub.resumed.is_set():
            drop("")  # a pause has begun in this very moment
            return
        self.state = LinkState.READY
        if self.connects:
            self._lane.upstream.reconnects += 1
        self.connects += 1
        hub.switch.set_link_ready(self.number, True)
        log.info("%s is ready, version %s", self._name, version_text(identity.server_ver))
        hub.execute(hub.router.links.up(self.number, trio.current_time()))
        self.flush()
        self.first_ready.set()
        await self._keep_alive(identity.keep_alive_interval_s, drop)

    async def _init(self) -> handshake.Identity:
        outcomes: list[Outcome] = []

        def then(outcome: Outcome, _now: float) -> list[Command]:
            outcomes.append(outcome)
            self._greeted = outcome.failure is None
            return []

        with trio.fail_after(self._timeouts.connect_s):
            request = handshake.init_request(
                recv_notify=self._lane.kind is not LaneKind.EXTRA,
                push_proto_fmt=self._lane.push_fmt,
                encrypt=self._rsa_key is not None,
            )
            self._hub.ask(self.number, ProtoId.INIT_CONNECT, request, then)
            self.flush()
            await self._hub.until(lambda: bool(outcomes))
        outcome = outcomes[0]
        if outcome.failure is not None:
            raise RemoteProtocolError(f"InitConnect: {outcome.failure.value}")
        ret_type, ret_msg, identity = handshake.identity_untrusted(outcome.body)
        if ret_type != 0:
            raise RemoteProtocolError(f"InitConnect was refused: {ret_msg or ret_type}")
        return identity

    async def _keep_alive(self, interval_s: int, drop: Callable[[str], None]) -> None:
        interval = max(1, interval_s)
        while True:
            await trio.sleep(interval * 0.8)
            silent = trio.current_time() - self._last_rx
            if silent >= interval * MUTE_INTERVALS:
                drop(f"no byte for {silent:.0f} s, KeepAlive included")
            elif self._hub.switch.link_serial(self.number) > SERIAL_LIMIT:
                drop("serial numbers are used up; taking a new connection")
            else:
                wall = int(time.time())
                body = handshake.keep_alive_request(wall)
                self._hub.ask(self.number, ProtoId.KEEP_ALIVE, body, lambda _outcome, _now: [])
                self.flush()

    def _take(self) -> bytes:
        data = bytes(self._hub.switch.link_out(self.number))
        self._hub.switch.link_sent(self.number, len(data))
        return self._secure.seal(data) if self._secure is not None and data else data

    async def _write(self, outlet: Outlet, drop: Callable[[str], None]) -> None:
        try:
            async for _ in outlet.wakeups:
                await outlet.drain(self._timeouts.write_stall_s)
        except trio.TooSlowError:
            drop(f"OpenD took no byte for {self._timeouts.write_stall_s:g} s")
        except trio.BrokenResourceError:
            drop("the connection was reset")

    async def _read(
        self, sock: socket.socket | None, stream: trio.abc.ReceiveStream, drop: Callable[[str], None]
    ) -> None:
        try:
            if sock is not None:
                await read_socket(self._hub.pump, sock, self._take_in, self._hub.flush_links, self._pushes)
            else:
                while data := await stream.receive_some(READ_BYTES):
                    await self._chunk(data if self._secure is None else self._secure.receive_untrusted(data))
                    if self._secure is not None and self._secure.failure is not None:
                        raise RemoteProtocolError(self._secure.failure)
        except (trio.BrokenResourceError, OSError) as error:
            drop(self._perhaps_key(f"the connection broke: {_plain(error)}"))
        except RemoteProtocolError as error:
            if self._secure is not None and self._secure.no_frame:
                self.damaged()
            else:
                drop(self._perhaps_key(str(error)))
        else:
            drop(self._perhaps_key("OpenD closed the connection"))

    def _perhaps_key(self, reason: str) -> str:
        """The reason of an end, with what is to be looked at when InitConnect was not answered: OpenD names no
        reason."""
        if self._greeted:
            return reason
        if self._rsa_key is not None:
            return f"{reason} before InitConnect was answered: the configured RSA key may not be OpenD's"
        return f"{reason} before InitConnect was answered: OpenD may want encryption, which needs its RSA key"

    async def _chunk(self, data: bytes | bytearray | memoryview) -> None:
        batch = self._take_in(data, now_ns())
        self._hub.flush_links()
        if batch is not None:
            await self._pushes.send(batch)

    def _take_in(self, data: bytes | bytearray | memoryview, at_ns: int) -> Batch | None:
        self._last_rx = at_ns / 1e9
        pushes = self._hub.link_chunk(self.number, data, at_ns)
        return (self.number, pushes) if pushes else None


def _plain(error: BaseException) -> str:
    """The reason without errno and class name: ``Connection refused``."""
    while not (isinstance(error, OSError) and error.errno):
        # Trio tries every address of a name and wraps what went wrong with each.
        inner = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__
        if inner is None:
            return str(error) or type(error).__name__
        error = inner
    if isinstance(error, socket.gaierror):
        return f"its name can't be resolved: {error.strerror}"
    return os.strerror(error.errno)
