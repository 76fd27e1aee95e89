"""Where the admin socket is, for the proxy that makes it and for the commands that look for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["OFF", "SYSTEM", "looked_for", "made_at"]

OFF: Final = "off"
"""In the place of a path: no admin socket."""
SYSTEM: Final = Path("/run/opendmux")
"""What `RuntimeDirectory=opendmux` of a systemd unit makes. Only root can, whoever it then belongs to."""


def _name(port: int) -> str:
    return f"admin-{port}.sock"


def _of_user(environ: Mapping[str, str], temporary: str, uid: int) -> list[Path]:
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    return [*([Path(runtime) / "opendmux"] if runtime else []), Path(temporary) / f"opendmux-{uid}"]


def made_at(port: int, environ: Mapping[str, str], temporary: str, uid: int) -> Path:
    """Where a proxy whose first port this is makes its socket when nothing else is configured."""
    given = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    folder = Path(given) if given else _of_user(environ, temporary, uid)[0]
    return folder / _name(port)


def looked_for(port: int, environ: Mapping[str, str], temporary: str, uid: int) -> list[Path]:
    """Where the socket of a proxy on this port may be, the likeliest place first."""
    return [folder / _name(port) for folder in (*_of_user(environ, temporary, uid), SYSTEM)]
