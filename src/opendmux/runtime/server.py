"""The supervision tree. Nesting is the shutdown order: services outlive sessions, sessions outlive listeners.

Start: bind (a port in use is known at once), run the services, wait until the link has been ready once, and only then
listen: until then a connection is refused, which is the one failure that every SDK recovers from. Stop: close the
listeners, let sessions finish what is in flight until the drain deadline, then stop the services, the upstream link
last.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio

from opendmux.config import DEFAULT_PORT, Address, Config, parse_address
from opendmux.errors import ConfigError
from opendmux.native import Push as NativePush

from .broadcast import BATCHES_WAITING, broadcast
from .hub import Hub
from .pump import AVAILABLE, Pump
from .session import TcpSession, serve_tcp
from .upstream import Dial, UpstreamLink

__all__ = ["Proxy", "bind", "dial_tcp", "open_proxy", "run_proxy"]

log = logging.getLogger("opendmux.server")

TICK_S = 0.05
"""How often deadlines are looked at; all of them are seconds long."""

BACKLOG = 1024


class Proxy:
    """A running proxy, as its user sees it."""

    def __init__(self, hub: Hub, link: UpstreamLink) -> None:
        self.hub = hub
        self.link = link
        self.addresses: list[Address] = []
        """Where it listens; filled before anybody can connect."""
        self.listening = trio.Event()
        """Set once: the link was ready and the port accepts clients."""
        self._stop = trio.Event()

    def stop(self) -> None:
        """Begin to drain; the proxy ends within its drain deadline. Harmless when called again."""
        self._stop.set()

    async def stopped(self) -> None:
        """Wait until `stop` is called."""
        await self._stop.wait()


def bind(config: Config) -> list[socket.socket]:
    """Bind, but do not listen. Raises ConfigError in one sentence when an address can't be had."""
    named = [parse_address(text, what="--listen") for text in config.listen]
    wanted = named or [Address("127.0.0.1", DEFAULT_PORT), Address("::1", DEFAULT_PORT)]
    bound: list[socket.socket] = []
    try:
        for address in wanted:
            try:
                bound.append(_bind_one(address))
            except OSError as error:
                # Not every machine has IPv6; by default only 127.0.0.1 is a must.
                if not named and address.host == "::1" and error.errno != errno.EADDRINUSE:
                    continue
                raise ConfigError(_why_not(address, error)) from error
    except BaseException:
        for sock in bound:
            sock.close()
        raise
    return bound


def _bind_one(address: Address) -> socket.socket:
    infos = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, proto, _name, sockaddr = infos[0]
    sock = socket.socket(family, kind, proto)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def _why_not(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {address}: another program uses that port"
    return f"cannot listen on {address}: {error.strerror or error}"


def _listen(bound: Sequence[socket.socket]) -> list[trio.SocketListener]:
    listeners = []
    for sock in bound:
        try:
            sock.listen(BACKLOG)
        except OSError as error:
            raise ConfigError(_why_not(address_of(sock), error)) from error
        listeners.append(trio.SocketListener(trio.socket.from_stdlib_socket(sock)))
    return listeners


def address_of(sock: socket.socket) -> Address:
    """The local address of a bound socket."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def dial_tcp(address: Address) -> Dial:
    """How to reach an OpenD over TCP."""

    async def dial() -> trio.SocketStream:
        return await trio.open_tcp_stream(address.host, address.port)

    return dial


async def _tick(hub: Hub) -> None:
    while True:
        hub.tick()
        await trio.sleep(TICK_S)


async def run_proxy(
    config: Config,
    dial: Dial,
    upstream_name: str,
    *,
    bound: Sequence[socket.socket] | None = None,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]] = (),
    task_status: trio.TaskStatus[Proxy] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `Proxy.stop` is called; ``task_status.started`` gives the `Proxy` before the link is up.

    ``bound``: sockets from `bind` (default: made here). ``listeners``: others, such as memory listeners of tests.
    Raises ConfigError when an address can't be had. Cancellation stops at once, without a drain.
    """
    sockets = bind(config) if bound is None else list(bound)
    hub = Hub(config, upstream_name)
    batches_in, batches_out = trio.open_memory_channel[list[NativePush]](BATCHES_WAITING)
    link = UpstreamLink(hub, dial, batches_in)
    proxy = Proxy(hub, link)
    proxy.addresses = [address_of(sock) for sock in sockets]
    pump = Pump(hub) if AVAILABLE else None
    clients: set[TcpSession] = set()

    async def handle(stream: trio.abc.Stream) -> None:
        await serve_tcp(hub, pump, stream, clients)

    try:
        async with trio.open_nursery() as services:
            services.start_soon(link.run)
            services.start_soon(broadcast, hub, batches_out)
            services.start_soon(_tick, hub)
            if pump is not None:
                services.start_soon(pump.run)
            task_status.started(proxy)
            await _first(link.first_ready.wait, proxy.stopped)
            if link.first_ready.is_set():
                await _accept(proxy, handle, [*_listen(sockets), *listeners], clients, config.timeouts.drain_s)
            services.cancel_scope.cancel(reason="drained")
    finally:
        for sock in sockets:
            sock.close()


async def _first(*waits: Callable[[], Awaitable[object]]) -> None:
    """Wait for whichever comes first."""
    async with trio.open_nursery() as nursery:

        async def one(wait: Callable[[], Awaitable[object]]) -> None:
            await wait()
            nursery.cancel_scope.cancel(reason="the first has come")

        for wait in waits:
            nursery.start_soon(one, wait)


async def _accept(
    proxy: Proxy,
    handle: Callable[[trio.abc.Stream], Awaitable[None]],
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    clients: set[TcpSession],
    drain_s: float,
) -> None:
    async with trio.open_nursery() as sessions:
        async with trio.open_nursery() as accepting:
            await accepting.start(partial(trio.serve_listeners, handle, list(listeners), handler_nursery=sessions))
            proxy.listening.set()
            await proxy.stopped()
            accepting.cancel_scope.cancel(reason="drain")
        log.info("draining %d clients, at most %g s", len(clients), drain_s)
        for client in list(clients):
            client.drain()
        sessions.cancel_scope.deadline = trio.current_time() + drain_s


@asynccontextmanager
async def open_proxy(config: Config, dial: Dial, upstream_name: str) -> AsyncIterator[Proxy]:
    """Run a proxy for the length of the block; see `opendmux.open_proxy`."""
    async with trio.open_nursery() as nursery:
        proxy = await nursery.start(run_proxy, config, dial, upstream_name)
        try:
            yield proxy
        finally:
            proxy.stop()
