"""A /proc to plant in a folder: sockets and the programs that hold them."""

from __future__ import annotations

import ipaddress
import os
import struct
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Planted"]

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
LISTEN, ESTABLISHED = 0x0A, 0x01


class Planted:
    """Collects lines; `write` puts them down."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lines: dict[str, list[str]] = {"tcp": [], "tcp6": []}

    def program(self, pid: int, *arguments: str, comm: str = "", inodes: Iterable[int] = ()) -> Path:
        """A process with these sockets; returns its folder."""
        folder = self.root / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in arguments))
        (folder / "comm").write_text(comm + "\n")
        (folder / "fd" / "0").symlink_to("/dev/null")
        for number, inode in enumerate(inodes, 3):
            (folder / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        return folder

    def listen(self, host: str, port: int, *, inode: int, uid: int | None = None) -> None:
        nobody = "::" if ":" in host else "0.0.0.0"
        self._line((host, port), (nobody, 0), LISTEN, inode, uid)

    def connection(
        self, client: tuple[str, int], server: tuple[str, int], *, client_inode: int | None, server_inode: int | None
    ) -> None:
        """Both ends of it, as far as they are on this machine (their inode is not None)."""
        if client_inode is not None:
            self._line(client, server, ESTABLISHED, client_inode)
        if server_inode is not None:
            self._line(server, client, ESTABLISHED, server_inode)

    def write(self) -> None:
        folder = self.root / "net"
        folder.mkdir(exist_ok=True)
        for name, lines in self._lines.items():
            (folder / name).write_text("\n".join([HEAD, *lines]) + "\n")

    def _line(
        self, local: tuple[str, int], remote: tuple[str, int], state: int, inode: int, uid: int | None = None
    ) -> None:
        lines = self._lines["tcp6" if ":" in local[0] else "tcp"]
        queues = "00000000:00000000 00:00000000 00000000"
        user = os.getuid() if uid is None else uid
        lines.append(f"{len(lines):4}: {_end(*local)} {_end(*remote)} {state:02X} {queues} {user:5} 0 {inode} 1 x")


def _end(host: str, port: int) -> str:
    packed = ipaddress.ip_address(host).packed
    words = [struct.unpack(">I", packed[at : at + 4])[0] for at in range(0, len(packed), 4)]
    return "".join(struct.pack("=I", word).hex().upper() for word in words) + f":{port:04X}"
