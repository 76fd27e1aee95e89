"""The admin socket of a running proxy, as the commands find and use it; see `runtime.admin`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import http.client

__all__ = ["find_socket", "local_connection"]


def find_socket(port: int) -> Path | None:
    """The admin socket of a proxy of this machine whose first port this is; None: there is none for us."""
    import stat
    import tempfile

    from opendmux.config.admin_place import SYSTEM, looked_for

    if not hasattr(os, "getuid"):
        return None
    uid = os.getuid()
    for place in looked_for(port, os.environ, tempfile.gettempdir(), uid):
        try:
            folder, found = place.parent.lstat(), place.lstat()
        except OSError:
            continue
        # What others made could pretend to have carried out an order, and read the password in it. Root too looks where
        # everybody may have made something.
        if place.parent != SYSTEM and not _is_ours_alone(folder, uid):
            continue
        if stat.S_ISSOCK(found.st_mode) and (found.st_uid in (0, uid) or uid == 0) and os.access(place, os.W_OK):
            return place
    return None


def _is_ours_alone(folder: os.stat_result, uid: int) -> bool:
    """Nobody else can put anything into it, or something else in its place."""
    import stat

    return stat.S_ISDIR(folder.st_mode) and folder.st_uid in (0, uid) and not folder.st_mode & 0o022


def local_connection(place: Path, timeout_s: float) -> http.client.HTTPConnection:
    """An HTTP connection by a Unix domain socket."""
    import http.client
    import socket

    class Local(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(str(place))

    return Local("localhost", timeout=timeout_s)
