"""The admin socket: this machine's way to give orders to a running proxy, without a key.

A Unix domain socket that only the user who runs the proxy (and root) can open, which the system sees to. It speaks HTTP
like the port, so there is one table of routes and one way to answer; whoever gets in has every scope. It is there
before OpenD has been reached, when the port still refuses clients, and while the proxy drains.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from opendmux.core.denial import Denial
from opendmux.core.keys import ALL_SCOPES, Key
from opendmux.errors import ConfigError

from .readiness import Readiness
from .transports.http import Route, Site, serve_http

__all__ = ["ADMIN", "AdminSite", "admin_listener", "serve_admin"]

log = logging.getLogger("opendmux.admin")

ADMIN: Final = Key("<admin-socket>", frozenset(ALL_SCOPES))
"""Who comes by the socket; no key of a file can be called so."""
BACKLOG: Final = 16
PATH_BYTES: Final = 103
"""The longest name of a socket on macOS; Linux takes 107."""


@dataclass(slots=True)
class AdminSite:
    """The proxy as the HTTP face sees it on the admin socket; see `transports.http.Site`."""

    inner: Site
    names: Collection[str] = ()
    open_locally: bool = True
    keyed: bool = True
    """So that a request is somebody's: the administrator's."""

    def metrics(self) -> bytes:
        """See `Site`."""
        return self.inner.metrics()

    def readiness(self) -> Readiness:
        """See `Site`."""
        return self.inner.readiness()

    def admit(self, bearer: str | None, *, peer: str, local: bool, certified: str | None = None) -> Key | Denial:  # noqa: ARG002
        """See `Site`. The system has let the peer in; a key that is shown besides is not looked at."""
        return ADMIN

    def judge(self, bearer: str | None, *, local: bool, certified: str | None = None) -> Key | Denial:  # noqa: ARG002
        """See `Site`."""
        return ADMIN


async def serve_admin(
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]], site: Site, routes: Mapping[str, Route]
) -> None:
    """Answer until cancelled, which cuts off what is being asked."""
    inside = AdminSite(site)

    async def serve(stream: trio.abc.Stream) -> None:
        await serve_http(stream, b"", inside, peer=_peer_of(stream), local=True, own_host="localhost", routes=routes)

    await trio.serve_listeners(serve, list(listeners))


def _peer_of(stream: trio.abc.Stream) -> str:
    """Which process asks, where the system tells."""
    if isinstance(stream, trio.SocketStream) and hasattr(socket, "SO_PEERCRED"):
        with contextlib.suppress(OSError):
            size = struct.calcsize("3i")
            pid, uid, _gid = struct.unpack("3i", stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
            return f"pid {pid} of uid {uid}"
    return "admin socket"


@contextmanager
def admin_listener(path: Path, *, asked_for: bool) -> Iterator[list[trio.SocketListener]]:
    """The socket for the length of the block; nobody but its owner can open it.

    ``asked_for``: its place was configured. Raises ConfigError then when it can't be made; otherwise a warning says so
    and there is none. An old one that nobody serves is replaced.
    """
    try:
        sock, made = _bound(path, asked_for=asked_for)
    except ConfigError as error:
        if asked_for:
            raise
        log.warning(
            "there is no admin socket: %s; `opendmux freeze` and the like need a key with the scope admin", error
        )
        yield []
        return
    try:
        yield [trio.SocketListener(trio.socket.from_stdlib_socket(sock))]
    finally:
        sock.close()
        with contextlib.suppress(OSError):
            if path.lstat().st_ino == made:  # another proxy may have made one by now
                path.unlink()


def _bound(path: Path, *, asked_for: bool) -> tuple[socket.socket, int]:
    """The listening socket and the inode of its name."""
    if not hasattr(socket, "AF_UNIX"):
        raise ConfigError("this system has no Unix domain sockets")
    if len(os.fsencode(path)) > PATH_BYTES:
        raise ConfigError(f"admin_socket {path}: a name for a socket must not be over {PATH_BYTES} bytes")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not asked_for:
            _make_folder(path.parent)
        _clear(path)
        before = os.umask(0o177)  # there is no moment in which others could open it
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        sock.listen(BACKLOG)
        return sock, path.lstat().st_ino
    except ConfigError:
        sock.close()
        raise
    except OSError as error:
        sock.close()
        raise ConfigError(f"admin_socket {path}: {error.strerror or error}") from error


def _make_folder(folder: Path) -> None:
    """Somebody else may have made it first, where all users may write."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ConfigError(f"admin_socket {folder}: the folder belongs to others, or others may write there")


def _clear(path: Path) -> None:
    """Take away what a proxy left that was killed."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(f"admin_socket {path}: there is something else at that place")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.setblocking(False)
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass
    raise ConfigError(f"admin_socket {path}: another opendmux serves it")
