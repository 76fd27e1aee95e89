"""A plain client of OpenD for a few questions: one blocking connection, one question at a time, each with a deadline.

The proxy's own link is a supervised thing of many lanes; this one is to fail early and to say how. It reads only:
`Call.ask` takes the three ids in `QUESTIONS` and no other.
"""

from __future__ import annotations

import enum
import errno
import os
import socket
import time
from typing import Final, Self

from opendmux.config import Address
from opendmux.errors import RemoteProtocolError
from opendmux.wire import handshake
from opendmux.wire.cipher import RsaKey
from opendmux.wire.frame import Frame, ProtoFmt, Splitter, build_frame
from opendmux.wire.protocols import ProtoId
from opendmux.wire.secure import ClientSide

__all__ = ["ANSWER_S", "Call", "CallError", "Trouble"]

CONNECT_S: Final = 5.0
ANSWER_S: Final = 5.0
"""For each answer; a healthy OpenD takes milliseconds."""
BODY_MAX: Final = 1024 * 1024
"""Bytes of an answer; the largest that is asked for, the subscriptions of all connections, has some kilobytes."""
READ_BYTES: Final = 64 * 1024
FIRST_BYTES: Final = 256
"""How much is kept of what is no frame."""
QUESTIONS: Final = frozenset(
    {ProtoId.GET_GLOBAL_STATE, ProtoId.KEEP_ALIVE, ProtoId.GET_USER_INFO, ProtoId.QOT_GET_SUB_INFO}
)


class Trouble(enum.Enum):
    """How far it came."""

    NO_NAME = "the name can't be resolved"
    UNREACHABLE = "no way there"
    NO_CONNECT = "no answer to TCP connect"
    REFUSED = "refused"
    CLOSED = "closed before an answer"
    SILENT = "no answer"
    STRANGE = "not OpenD's protocol"
    UNREADABLE = "an answer that can't be read"
    DECLINED = "InitConnect was refused"


class CallError(Exception):
    """The question could not be asked, or was not answered."""

    def __init__(self, trouble: Trouble, text: str = "", first: bytes = b"") -> None:
        super().__init__(text or trouble.value)
        self.trouble = trouble
        self.text = text
        """More about it; chosen by the peer where it refused."""
        self.first = first
        """The first bytes that came, where they are no frame."""


class Call:
    """A connection after InitConnect. Leaving the block closes it."""

    def __init__(self, address: Address, rsa_key: RsaKey | None = None) -> None:
        """Connects and greets. Raises CallError."""
        self.notices: list[bytes] = []
        """Bodies of the Notify frames that came meanwhile."""
        self.greeting_s = 0.0
        """How long InitConnect took."""
        self._side = ClientSide(rsa_key, BODY_MAX) if rsa_key is not None else None
        self._splitter = Splitter(BODY_MAX)
        self._serial = 0
        self._first = b""
        self._socket = _connect(address)
        try:
            self.identity = self._greet(encrypt=rsa_key is not None)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def ask(self, proto_id: ProtoId, body: bytes) -> bytes:
        """The body of the answer. Raises CallError."""
        assert proto_id in QUESTIONS, "a doctor only looks"
        return self._exchange(proto_id, body)

    def _greet(self, *, encrypt: bool) -> handshake.Identity:
        begun = time.monotonic()
        body = self._exchange(ProtoId.INIT_CONNECT, handshake.init_request(encrypt=encrypt))
        self.greeting_s = time.monotonic() - begun
        try:
            ret_type, ret_msg, identity = handshake.identity_untrusted(body)
        except RemoteProtocolError as error:
            raise CallError(Trouble.UNREADABLE, str(error)) from error
        if ret_type != 0:
            raise CallError(Trouble.DECLINED, ret_msg or str(ret_type))
        return identity

    def _exchange(self, proto_id: ProtoId, body: bytes) -> bytes:
        self._serial += 1
        frame = build_frame(proto_id, ProtoFmt.PROTOBUF, self._serial, body)
        deadline = time.monotonic() + ANSWER_S
        try:
            self._socket.settimeout(ANSWER_S)
            self._socket.sendall(self._side.seal(frame) if self._side is not None else frame)
            while True:
                for answer in self._take(deadline):
                    if answer.proto_id == ProtoId.NOTIFY:
                        self.notices.append(answer.body)
                    elif (answer.proto_id, answer.serial_no) == (proto_id, self._serial):
                        return answer.body
        except TimeoutError:
            raise CallError(Trouble.SILENT) from None
        except RemoteProtocolError as error:
            trouble = Trouble.UNREADABLE if self._first.startswith(b"FT") else Trouble.STRANGE
            raise CallError(trouble, str(error), self._first) from error
        except OSError as error:  # a reset is one
            raise CallError(Trouble.CLOSED, _said(error)) from None

    def _take(self, deadline: float) -> list[Frame]:
        """The frames that have come; waits for bytes. Raises TimeoutError, OSError, RemoteProtocolError, CallError."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        data = self._socket.recv(READ_BYTES)
        if not data:
            raise CallError(Trouble.CLOSED)
        self._first += data[: FIRST_BYTES - len(self._first)]
        plain = data if self._side is None else self._side.receive_untrusted(data)
        if self._side is not None and self._side.failure is not None:
            raise RemoteProtocolError(self._side.failure)
        frames = self._splitter.feed_untrusted(plain)
        if self._splitter.failure is not None:
            raise RemoteProtocolError(self._splitter.failure)
        if any(not frame.sha1_matches() for frame in frames):
            raise RemoteProtocolError("the body of an answer does not match its digest: it is encrypted or damaged")
        return frames


def _connect(address: Address) -> socket.socket:
    try:
        return socket.create_connection((address.host, address.port), timeout=CONNECT_S)
    except TimeoutError:
        raise CallError(Trouble.NO_CONNECT) from None
    except socket.gaierror as error:
        raise CallError(Trouble.NO_NAME, error.strerror or "") from None
    except ConnectionRefusedError:
        raise CallError(Trouble.REFUSED) from None
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that can't be one
        if isinstance(error, OSError) and error.errno == errno.ETIMEDOUT:
            raise CallError(Trouble.NO_CONNECT) from None
        raise CallError(Trouble.UNREACHABLE, _said(error)) from None


def _said(error: Exception) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
