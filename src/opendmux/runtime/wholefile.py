"""Small files that are written whole or not at all: a reader sees the old one or the new one, never a half."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["write_whole"]

_MODE: Final = 0o600


def write_whole(target: Path, data: bytes) -> None:
    """Write beside it, rename over it; on disk when this returns. Readable by its owner alone, who stays who he was as
    far as we may say so; a new one is the folder's owner's, for root may write for a service. Raises OSError; the file
    is untouched then. Blocks for as long as the disk does."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # 0600 from the start
    try:
        with os.fdopen(descriptor, "wb") as file:
            if sys.platform != "win32":
                os.fchmod(descriptor, _MODE)
                with contextlib.suppress(OSError):  # nothing to keep, or not ours to give away
                    owner = (target if target.exists() else target.parent).stat()
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if sys.platform != "win32":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # without it a power cut could bring the old name back
        finally:
            os.close(folder)
