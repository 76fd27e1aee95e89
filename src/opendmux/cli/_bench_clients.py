"""Connections of `opendmux bench`: made, checked to lead to the stub, and held."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from typing import TYPE_CHECKING, NamedTuple

from opendmux.cli._bench_frames import (
    BASIC_QUOTE,
    HEADER,
    INIT_CONNECT,
    build_frame,
    init_connect_body,
)
from opendmux.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = [
    "Address",
    "BenchError",
    "allow_open_files",
    "load_native",
    "open_client",
    "open_clients",
    "probe",
    "still_open",
]

HANDSHAKE_SECONDS = 20.0
"""As long as the SDK waits for the reply to InitConnect."""


class BenchError(CommandError):
    """The measurement can't take place."""


class Address(NamedTuple):
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """HOST:PORT, an IPv6 host in brackets; ValueError otherwise."""
        host, _, port = text.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{text!r} is not HOST:PORT")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _receive(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        if not chunk:
            raise ConnectionResetError("the connection was closed")
        data += chunk
    return data


def _ask(sock: socket.socket, proto_id: int, serial_no: int, body: bytes) -> bytes:
    """One request, and the body of its reply."""
    sock.sendall(build_frame(proto_id, serial_no, body))
    flag, got_id, _, _, got_serial, length, digest = HEADER.unpack(_receive(sock, HEADER.size))
    if (flag, got_id, got_serial) != (b"FT", proto_id, serial_no) or length > 1 << 24:
        raise ValueError("that is not the reply of an OpenD")
    reply = _receive(sock, length)
    if hashlib.sha1(reply).digest() != digest:
        raise ValueError("the digest of the reply is wrong")
    return reply


def open_client(target: Address, timeout: float = HANDSHAKE_SECONDS) -> socket.socket:
    """A connection that is through with InitConnect. Raises `BenchError`; ``timeout`` (seconds) is for each step."""
    sock = None
    try:
        sock = socket.create_connection(target, timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reply = _ask(sock, INIT_CONNECT, 1, init_connect_body())
        # Whatever writes it, retType is the first field of a reply, and 0 is success.
        if not reply.startswith(b"\x08\x00"):
            raise ValueError("InitConnect was refused")
    except (OSError, ValueError) as error:
        if sock is None:
            raise BenchError(f"cannot reach {target}: {error}") from error
        sock.close()
        raise BenchError(f"{target} did not answer InitConnect as an OpenD does: {error}") from error
    return sock


def probe(sock: socket.socket, target: Address, body: bytes) -> None:
    """Make sure with one request that the load goes to a stub: a real OpenD must not get it. Raises `BenchError`."""
    try:
        echoed = _ask(sock, BASIC_QUOTE, 2, body) == body
    except (OSError, ValueError) as error:
        raise BenchError(f"{target} did not answer request {BASIC_QUOTE}: {error}") from error
    if not echoed:
        raise BenchError(
            f"what answers behind {target} is not the stub of the benchmark; start one with `opendmux bench stub`"
        )


@contextlib.contextmanager
def open_clients(target: Address, count: int) -> Iterator[list[socket.socket]]:
    """``count`` of them, closed at the end of the block. Raises `BenchError`."""
    allow_open_files(count + 64)
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(open_client(target)) for _ in range(count)]


def still_open(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def load_native() -> ModuleType:
    try:
        from opendmux.native import _load
    except ImportError as error:
        raise BenchError(f"this installation has no load generator; it needs POSIX sockets ({error})") from error
    return _load


def allow_open_files(count: int) -> None:
    """Raise the soft limit of open files to ``count``, as far as the hard one lets us."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
