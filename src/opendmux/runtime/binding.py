"""Sockets to listen on, and ways to dial an upstream."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence

import trio

from opendmux.config import DEFAULT_PORT, Address, parse_address
from opendmux.errors import ConfigError

from .holders import command_for, holder_of
from .upstream import Dial

__all__ = ["address_of", "bind", "dial_group", "dial_tcp", "listen", "meets", "why_not"]

log = logging.getLogger("opendmux.server")

BACKLOG = 1024


def bind(texts: Sequence[str]) -> list[socket.socket]:
    """Bind, but do not listen. Raises ConfigError in one sentence when an address can't be had.

    No address means the default: 127.0.0.1 and, where the machine has it, ::1, on port 33333.
    """
    wanted = [parse_address(text, what="--listen") for text in texts]
    default = not wanted
    if default:
        wanted = [Address("127.0.0.1", DEFAULT_PORT), Address("::1", DEFAULT_PORT)]
    bound: list[socket.socket] = []
    try:
        for address in wanted:
            try:
                bound.append(_bind_one(address))
            except OSError as error:
                if default and address.host == "::1" and error.errno != errno.EADDRINUSE:
                    continue
                raise ConfigError(why_not(address, error)) from error
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


def why_not(address: Address, error: OSError, option: str = "--listen") -> str:
    """Why it can't be listened on, and what to do, in one sentence."""
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(address)
        named = f", {holder}: end it" if holder else f" (`{command_for(address.port)}` shows which): end it"
        return f"cannot listen on {address}: another program uses that port{named}, or give another port by {option}"
    return f"cannot listen on {address}: {error.strerror or error}"


def listen(bound: Sequence[socket.socket]) -> list[trio.SocketListener]:
    """Start to accept. Raises ConfigError when somebody else listens there by now."""
    listeners = []
    for sock in bound:
        try:
            sock.listen(BACKLOG)
        except OSError as error:
            raise ConfigError(why_not(address_of(sock), error)) from error
        listeners.append(trio.SocketListener(trio.socket.from_stdlib_socket(sock)))
    return listeners


def address_of(sock: socket.socket) -> Address:
    """The local address of a bound socket."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def meets(dialled: Address, bound: Address) -> bool:
    """Whether dialling the one is certain to reach the other, which is a bound socket's. Names other than ``localhost``
    are not looked up."""
    if dialled.port != bound.port:
        return False
    try:
        listening = ipaddress.ip_address(bound.host)
        if dialled.host.lower() == "localhost":
            return listening.is_loopback or listening.is_unspecified
        target = ipaddress.ip_address(dialled.host)
    except ValueError:
        return False
    if target.is_unspecified:  # the system takes that for loopback
        target = ipaddress.ip_address("127.0.0.1" if target.version == 4 else "::1")
    if listening.is_unspecified:
        return target.version == listening.version and target.is_loopback
    return target == listening


def dial_tcp(address: Address) -> Dial:
    """How to reach one OpenD."""

    async def dial() -> trio.SocketStream:
        return await trio.open_tcp_stream(address.host, address.port)

    return dial


def dial_group(members: Sequence[tuple[str, Dial]], connected: Callable[[str], None] | None = None) -> Dial:
    """How to reach a group: the first member that answers, beginning behind the one that was used last.

    So a connection that ends, a member that accepts TCP and refuses InitConnect, or one that does not answer until
    the caller's deadline, brings the next one. Each lane needs one of its own. ``connected`` is told which it was.
    """
    following = 0

    async def dial() -> trio.abc.Stream:
        nonlocal following
        problem: OSError = ConnectionError("the group is empty")
        order = [(following + step) % len(members) for step in range(len(members))]
        for index in order:
            name, member = members[index]
            following = (index + 1) % len(members)
            try:
                stream = await member()
            except OSError as error:
                problem = error
                continue
            log.info("quotes come from %s", name)
            if connected is not None:
                connected(name)
            return stream
        raise problem

    return dial
