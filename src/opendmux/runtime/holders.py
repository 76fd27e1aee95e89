"""Which programs hold which TCP ports of this machine, read out of Linux's /proc.

It shows the sockets of this network namespace only: those of other containers are not seen. Which process a socket
belongs to is known for one's own processes, or to root; of others the user is known. Elsewhere than on Linux nothing
is read, and `command_for` says what a person can run instead. Only the beginning of a command line is ever shown:
what follows may hold a password.
"""

from __future__ import annotations

import ipaddress
import os
import re
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from opendmux.config import Address
from opendmux.wording import printable

__all__ = ["PROC", "Program", "Sockets", "TcpSocket", "command_for", "holder_of"]

PROC: Final = Path("/proc")
LISTEN: Final = 0x0A
ESTABLISHED: Final = 0x01
NAME_SHOWN: Final = 60
"""Characters of a program's name."""
SOCKET_LINK: Final = re.compile(r"socket:\[(\d+)\]")
PYTHON_FLAGS: Final = frozenset({"-u", "-B", "-I", "-E", "-s", "-O", "-OO", "-q"})
"""Options before the script or ``-m`` that say nothing of who it is."""
PYTHON: Final = re.compile(r"(?i)(python|pypy)[\d.]*(\.exe)?$")


class TcpSocket(NamedTuple):
    """One line of /proc/net/tcp or tcp6."""

    local: Address
    remote: Address
    state: int
    uid: int
    inode: int


class Program(NamedTuple):
    """A process, as far as it may be read."""

    pid: int
    name: str
    """What a person knows it by: ``FutuOpenD``, ``python -m opendmux``, ``bot.py``."""
    arguments: tuple[str, ...] = ()
    """The whole command line. It may hold passwords and must not be shown."""

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


class Sockets:
    """The TCP sockets of this machine at one moment. Blocks for as long as /proc takes, milliseconds as a rule."""

    def __init__(self, root: Path = PROC) -> None:
        self._root = root
        self.known = False
        """/proc could be read."""
        self.all: list[TcpSocket] = []
        for name in ("tcp", "tcp6"):
            try:
                lines = (root / "net" / name).read_text(encoding="ascii", errors="replace").splitlines()
            except OSError:
                continue
            self.known = True
            self.all += [found for line in lines[1:] if (found := _socket(line)) is not None]

    def listening(self, port: int | None = None) -> list[TcpSocket]:
        """Who listens on that port, or on any, on whatever address."""
        return [sock for sock in self.all if sock.state == LISTEN and port in (None, sock.local.port)]

    def connected_to(self, port: int) -> list[TcpSocket]:
        """The server's ends of the connections that are established to that port of this machine."""
        return [sock for sock in self.all if sock.state == ESTABLISHED and sock.local.port == port]

    def clients_of(self, port: int) -> list[TcpSocket]:
        """The clients' ends of connections to that port, as far as the clients run on this machine too."""
        servers = {(sock.remote, sock.local) for sock in self.connected_to(port)}
        return [sock for sock in self.all if sock.state == ESTABLISHED and (sock.local, sock.remote) in servers]

    def holders(self, sockets: Iterable[TcpSocket]) -> Mapping[int, Program]:
        """inode -> process, for those that may be read."""
        wanted = {sock.inode for sock in sockets if sock.inode}
        found: dict[int, Program] = {}
        for pid in _pids(self._root) if wanted else ():
            for inode in _inodes(self._root / str(pid) / "fd") & (wanted - found.keys()):
                found[inode] = program_of(pid, self._root)
            if len(found) == len(wanted):
                break
        return found

    def describe(self, sock: TcpSocket) -> str:
        """The process of a socket, or its user where no more is to be seen."""
        program = self.holders([sock]).get(sock.inode)
        return f"a program of the user {_user(sock.uid)}" if program is None else str(program)

    def programs(self) -> list[Program]:
        """Every process whose command line may be read."""
        return [program_of(pid, self._root) for pid in _pids(self._root)]


def holder_of(address: Address, root: Path = PROC) -> str:
    """Who listens where this address can't be bound, such as ``FutuOpenD (pid 4242)``; empty when it can't be seen."""
    sockets = Sockets(root)
    listening = sockets.listening(address.port)
    for sock in [sock for sock in listening if _collides(sock.local.host, address.host)] or listening:
        return sockets.describe(sock)
    return ""


def command_for(port: int, platform: str = sys.platform) -> str:
    """What shows the program behind a port, for a person to run."""
    if platform == "win32":
        return f"netstat -ano | findstr :{port}"
    return f"lsof -nP -iTCP:{port} -sTCP:LISTEN" if platform == "darwin" else f"ss -ltnp 'sport = :{port}'"


def program_of(pid: int, root: Path = PROC) -> Program:
    """The process with that pid, which may be gone already."""
    try:
        words = (root / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        words = []
    arguments = tuple(words[:-1] if words and not words[-1] else words)
    return Program(pid, _name(arguments) or _comm(root, pid), arguments)


def _name(arguments: Sequence[str]) -> str:
    if not arguments or not arguments[0]:
        return ""
    program = os.path.basename(arguments[0])
    if PYTHON.match(program):
        following = [word for word in arguments[1:5] if word not in PYTHON_FLAGS]
        if following[:1] == ["-m"] and len(following) > 1:
            program = f"{program} -m {following[1]}"
        elif following and not following[0].startswith("-"):
            program = os.path.basename(following[0])
    return printable(program)[:NAME_SHOWN]


def _comm(root: Path, pid: int) -> str:
    try:
        text = (root / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        text = ""
    return printable(text)[:NAME_SHOWN] or "a program"


def _pids(root: Path) -> list[int]:
    try:
        names = os.listdir(root)
    except OSError:
        return []
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _inodes(folder: Path) -> set[int]:
    """Of the sockets that a process has open; empty where it may not be seen."""
    found: set[int] = set()
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        try:
            link = SOCKET_LINK.fullmatch(os.readlink(folder / name))
        except OSError:
            continue
        if link is not None:
            found.add(int(link[1]))
    return found


def _socket(line: str) -> TcpSocket | None:
    fields = line.split()
    try:
        local, remote = _address(fields[1]), _address(fields[2])
        return TcpSocket(local, remote, int(fields[3], 16), int(fields[7]), int(fields[9]))
    except (IndexError, ValueError, struct.error):
        return None


def _address(text: str) -> Address:
    """``0100007F:2B67``: 32-bit words in the machine's own order. An IPv4 address within IPv6 is taken out of it."""
    host, _colon, port = text.partition(":")
    packed = b"".join(struct.pack(">I", *struct.unpack("=I", word)) for word in _words(bytes.fromhex(host)))
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return Address(str(mapped or address), int(port, 16))


def _words(data: bytes) -> list[bytes]:
    return [data[at : at + 4] for at in range(0, len(data), 4)]


def _collides(listening: str, wanted: str) -> bool:
    """Both can't be had at once."""
    return listening == wanted or listening in ("0.0.0.0", "::") or wanted in ("0.0.0.0", "::")  # noqa: S104 - compared


def _user(uid: int) -> str:
    if sys.platform != "win32":
        import pwd

        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            pass
    return str(uid)
