"""What a port speaks that does not speak OpenD's protocol: told by its first bytes, or by asking it."""

from __future__ import annotations

import enum
import socket
import ssl
from typing import Final

from opendmux.config import Address

__all__ = ["Speech", "overhear_untrusted", "try_out"]

WAIT_S: Final = 2.0
"""For each try."""
ANSWER_BYTES: Final = 4096
ALERT, HANDSHAKE = 0x15, 0x16
"""TLS record types."""
LIVEZ: Final = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
UPGRADE: Final = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: b3BlbmRtdXggZG9jdG9yIQ==\r\n\r\n"
)


class Speech(enum.Enum):
    """What it is, as a sentence needs it."""

    NOTHING = "nothing that is known"
    OPENDMUX = "opendmux"
    WEBSOCKET = "WebSocket"
    HTTP = "HTTP"
    TLS = "TLS"
    SSH = "SSH"
    OTHER = "another protocol"


def overhear_untrusted(first: bytes) -> Speech:
    """By what it said."""
    if not first:
        return Speech.NOTHING
    if first.startswith(b"HTTP/"):
        head = first.lower()
        if b'"alive"' in head:
            return Speech.OPENDMUX
        upgraded = b" 101 " in head[:16] or b"sec-websocket-" in head or b"upgrade: websocket" in head
        return Speech.WEBSOCKET if upgraded else Speech.HTTP
    if first[0] in (ALERT, HANDSHAKE) and (len(first) < 2 or first[1] == 3):
        return Speech.TLS
    return Speech.SSH if first.startswith(b"SSH-") else Speech.OTHER


def try_out(address: Address) -> Speech:
    """Ask it in HTTP, for a WebSocket, in TLS, each on a connection of its own. Nothing is changed by that."""
    heard = overhear_untrusted(_ask(address, LIVEZ))
    if heard is Speech.HTTP and overhear_untrusted(_ask(address, UPGRADE)) is Speech.WEBSOCKET:
        return Speech.WEBSOCKET
    if heard is Speech.NOTHING and _takes_tls(address):
        return Speech.TLS
    return heard


def _ask(address: Address, request: bytes) -> bytes:
    said = b""
    try:
        with socket.create_connection((address.host, address.port), timeout=WAIT_S) as sock:
            sock.sendall(request)
            while len(said) < ANSWER_BYTES and (data := sock.recv(ANSWER_BYTES)):
                said += data
                if b" 101 " in said[:16]:  # it stays open
                    break
    except OSError:
        pass
    return said


def _takes_tls(address: Address) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # who it is does not matter: nothing is said to it
    try:
        with (
            socket.create_connection((address.host, address.port), timeout=WAIT_S) as sock,
            context.wrap_socket(sock, server_hostname=None),
        ):
            return True
    except (OSError, ValueError):
        return False
