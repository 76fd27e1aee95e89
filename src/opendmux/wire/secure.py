"""Encrypted connections for code that knows only plaintext frames: adapters between it and a byte stream.

Theory of operation. Bytes from the peer go through `receive_untrusted`, bytes for the peer through `seal`. A frame
changes in two places, its body and body_len; bodySHA1 covers the plaintext on both sides of the adapter, and the rest
of the header is nobody's business here.

InitConnect decides. A 1001 whose body has the right digest is plain. Any other is RSA, and counts only when the digest
of what comes out is right, since a wrong key yields random bytes and no error. Afterwards a connection is plain for
good (`plain_from_now_on`: the adapter can be taken away; what it held comes out of the same call), or every frame but
InitConnect is AES.

Not handled here: that InitConnect comes first and is answered (`handshake`), and who may connect without encryption.
SHA-1 in a clear header and AES without a MAC keep readers out, not somebody who can change the stream.
"""

from __future__ import annotations

import abc
import struct
from typing import TYPE_CHECKING, Final, final

from opendmux.errors import LocalProtocolError, RemoteProtocolError

from .cipher import PADDING_MAX, RSA_PIECES_MAX, EncAlgo, PacketCipher, RsaKey, pick_algo_untrusted
from .frame import HEADER_LEN, ProtoFmt, RetType, body_sha1
from .messages import decode_untrusted
from .pb import opend
from .protocols import ProtoId

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["ClientSide", "ServerSide"]

_MAGIC: Final = b"FT"
_BODY_LEN_AT: Final = 12
_SHA1_AT: Final = 16
_SHA1_END: Final = 36
_FIELDS: Final = struct.Struct("<2xIB5xI")
"""proto_id, proto_fmt, body_len."""
_BODY_LEN: Final = struct.Struct("<I")
_INIT: Final = int(ProtoId.INIT_CONNECT)


class _Side(abc.ABC):
    """Both directions of one connection."""

    def __init__(self, rsa_key: RsaKey | None, max_body: int) -> None:
        """``max_body``: the largest plaintext body accepted, in bytes."""
        self._rsa = rsa_key
        self._set_limit(max_body)
        self._asked: EncAlgo | None = None
        self._cipher: PacketCipher | None = None
        self._plain = False
        self._failure: str | None = None
        self.no_frame = False
        """What came was no frame: this is what `failure` tells of."""
        self._held = bytearray()

    def _set_limit(self, max_body: int) -> None:
        self._max_body = max_body
        self._wire_max = max_body + PADDING_MAX
        if self._rsa is not None:
            self._wire_max = max(self._wire_max, RSA_PIECES_MAX * self._rsa.piece_len)

    @property
    def plain_from_now_on(self) -> bool:
        """Neither direction needs the adapter any more; it holds nothing then, and passes all bytes as they are."""
        return self._plain

    @property
    def failure(self) -> str | None:
        """Why the stream is lost; None while it is not."""
        return self._failure

    @property
    def pending(self) -> int:
        """How many bytes are held."""
        return len(self._held)

    def receive_untrusted(self, data: Buffer) -> bytes:
        """Take a chunk of the stream, return every frame that is now complete, in plaintext. The cuts do not matter.

        A frame that can't be decrypted comes out with a body that does not match its bodySHA1. Raises
        RemoteProtocolError for a flag that is not ``FT``, for a body over the limit (checked before anything is
        buffered for it) and for an InitConnect that can't be read. Frames before the bad one are returned first; then
        the error is raised by the next call (``b""`` included), and `failure` tells of it at once. From then on
        nothing is held; before, never more than one frame of the largest size between two calls.
        """
        if self._failure is not None:
            raise RemoteProtocolError(self._failure)
        if self._plain:
            return bytes(data)
        self._held += memoryview(data)
        out: list[bytes] = []
        at = 0
        try:
            while not self._plain and self._may_open() and (end := self._frame_end_untrusted(at)):
                self._open_frame_untrusted(at, end, out)
                at = end
            if self._plain:
                out.append(bytes(self._held[at:]))
                at = len(self._held)
            elif len(self._held) - at > HEADER_LEN + self._wire_max:
                raise RemoteProtocolError("too much was sent before the answer to InitConnect")
        except RemoteProtocolError as error:
            self._failure = str(error)
            self._held.clear()
            if not out:
                raise
        else:
            del self._held[:at]
        return b"".join(out)

    def seal(self, frames: bytes) -> bytes:
        """Whole plaintext frames as they go onto the wire.

        Raises LocalProtocolError for anything else, and for a frame that there is no key for yet.
        """
        if not self._seals():
            return frames
        out: list[bytes] = []
        at = 0
        while at < len(frames):
            if not frames.startswith(_MAGIC, at) or len(frames) - at < HEADER_LEN:
                raise LocalProtocolError("only whole frames can be sealed")
            proto_id, _, body_len = _FIELDS.unpack_from(frames, at)
            body_at = at + HEADER_LEN
            end = body_at + body_len
            if end > len(frames):
                raise LocalProtocolError(f"only whole frames can be sealed, and one of proto_id {proto_id} is cut")
            body = frames[body_at:end]
            if proto_id == _INIT:
                sealed = self._seal_init(body)
            elif self._cipher is not None:
                sealed = self._cipher.encrypt(body)
            else:
                raise LocalProtocolError(f"proto_id {proto_id} can't be sent before the connection has a key")
            out += _with_body(frames[at:body_at], sealed)
            at = end
        return b"".join(out)

    def _frame_end_untrusted(self, at: int) -> int:
        """Where the frame that starts at ``at`` ends; 0 while it is not complete."""
        held = self._held
        if not _MAGIC.startswith(held[at : at + len(_MAGIC)]):
            self.no_frame = True
            raise RemoteProtocolError("a frame does not start with FT")
        if len(held) - at < HEADER_LEN:
            return 0
        proto_id, _, body_len = _FIELDS.unpack_from(held, at)
        if body_len > self._wire_max:
            raise _too_large(proto_id, body_len, self._wire_max)
        end = at + HEADER_LEN + body_len
        return end if end <= len(held) else 0

    def _open_frame_untrusted(self, at: int, end: int, out: list[bytes]) -> None:
        header = bytes(self._held[at : at + HEADER_LEN])
        body = bytes(self._held[at + HEADER_LEN : end])
        proto_id, proto_fmt, _ = _FIELDS.unpack_from(header)
        sha1 = header[_SHA1_AT:_SHA1_END]
        if proto_id == _INIT:
            body = self._open_init_untrusted(proto_fmt, sha1, body)
        elif self._cipher is not None:
            body = self._open_body_untrusted(self._cipher, sha1, body)
        if len(body) > self._max_body:
            raise _too_large(proto_id, len(body), self._max_body)
        out += _with_body(header, body)

    @abc.abstractmethod
    def _may_open(self) -> bool:
        """False while the key for the next frame is not known."""

    @abc.abstractmethod
    def _open_init_untrusted(self, proto_fmt: int, sha1: bytes, body: bytes) -> bytes:
        """The plaintext of a 1001."""

    @abc.abstractmethod
    def _open_body_untrusted(self, cipher: PacketCipher, sha1: bytes, body: bytes) -> bytes:
        """The plaintext of any other frame, or `_unreadable`."""

    @abc.abstractmethod
    def _seals(self) -> bool:
        """False while frames leave as they are."""

    @abc.abstractmethod
    def _seal_init(self, body: bytes) -> bytes:
        """A 1001 as it goes onto the wire."""


@final
class ServerSide(_Side):
    """Between a client and a session. ``rsa_key`` None: only plain clients can be served.

    After an encrypted InitConnect the owner calls `use`; until then later frames wait inside (none should come). On
    an encrypted connection plaintext requests are accepted too: the Python SDK packs some while it is not connected.
    """

    def __init__(self, rsa_key: RsaKey | None, max_body: int, first_body: int | None = None) -> None:
        """``max_body``: the largest plaintext body accepted, in bytes; ``first_body``: the same until `use`, when
        anybody may be at the other end."""
        super().__init__(rsa_key, max_body if first_body is None else first_body)
        self._body_later = max_body

    @property
    def asked(self) -> EncAlgo | None:
        """What the client expects; None before InitConnect. NONE after a plain InitConnect, whatever it asks for."""
        return self._asked

    def use(self, algo: EncAlgo, key16: str, iv16: str | None) -> None:
        """What the InitConnect reply will say (`conn_secrets`), once, before anything behind that reply is sealed.

        Frames that waited come out of the next ``receive_untrusted(b"")``. LocalProtocolError before InitConnect, for
        a second call, and when it is encryption where the client expects none or the reverse; ValueError for a key or
        IV that has not 16 bytes.
        """
        if self._asked is None or self._cipher is not None:
            raise LocalProtocolError("the key of a connection is set once, after its InitConnect")
        if (algo is EncAlgo.NONE) is not (self._asked is EncAlgo.NONE):
            raise LocalProtocolError(f"the client expects {self._asked.name}, not {algo.name}")
        self._set_limit(self._body_later)
        if algo is not EncAlgo.NONE:
            self._cipher = PacketCipher(algo, key16, iv16)

    def _may_open(self) -> bool:
        return self._asked is None or self._cipher is not None

    def _open_init_untrusted(self, proto_fmt: int, sha1: bytes, body: bytes) -> bytes:
        if body_sha1(body) == sha1:
            if self._asked is None:
                self._settle(EncAlgo.NONE)
            return body
        if self._asked is None:
            plain, asked = self._decrypt_init_untrusted(proto_fmt, sha1, body)
            self._settle(asked)
            return plain
        try:
            return self._decrypt_init_untrusted(proto_fmt, sha1, body)[0]
        except RemoteProtocolError:
            return _unreadable(sha1)

    def _decrypt_init_untrusted(self, proto_fmt: int, sha1: bytes, body: bytes) -> tuple[bytes, EncAlgo]:
        plain = _by_rsa_untrusted(self._rsa, sha1, body, "InitConnect", "the client")
        return plain, _asked_untrusted(plain, proto_fmt)

    def _settle(self, asked: EncAlgo) -> None:
        self._asked = asked
        self._plain = asked is EncAlgo.NONE

    def _open_body_untrusted(self, cipher: PacketCipher, sha1: bytes, body: bytes) -> bytes:
        try:
            plain = cipher.decrypt_untrusted(body)
        except RemoteProtocolError:
            plain = None
        if plain is not None and body_sha1(plain) == sha1:
            return plain
        return body if body_sha1(body) == sha1 else _unreadable(sha1)

    def _seals(self) -> bool:
        return self._asked is not None and not self._plain

    def _seal_init(self, body: bytes) -> bytes:
        assert self._rsa is not None, "encryption was asked for by RSA"
        return self._rsa.encrypt(body)


@final
class ClientSide(_Side):
    """Between our link and OpenD. ``rsa_key`` None: only an OpenD without encryption can be talked to.

    packetEncAlgo is read out of our own InitConnect (protobuf), the key out of its reply; a reply that refuses
    (retType not 0) changes nothing. OpenD's plaintext frames on an encrypted connection count as unreadable.
    """

    def _may_open(self) -> bool:
        return True

    def _open_init_untrusted(self, proto_fmt: int, sha1: bytes, body: bytes) -> bytes:
        if self._cipher is not None:
            return _unreadable(sha1)
        encrypted = body_sha1(body) != sha1
        plain = _by_rsa_untrusted(self._rsa, sha1, body, "the InitConnect reply", "OpenD") if encrypted else body
        response = decode_untrusted(opend.InitConnectResponse, plain, proto_fmt)
        if response.retType != RetType.SUCCEED:
            return plain
        if self._rsa is None or self._asked is EncAlgo.NONE:
            self._plain = True
        elif not encrypted:
            raise RemoteProtocolError("OpenD answered InitConnect without the encryption it was asked for")
        else:
            self._cipher = _cipher_of_reply_untrusted(response.s2c)
        return plain

    def _open_body_untrusted(self, cipher: PacketCipher, sha1: bytes, body: bytes) -> bytes:
        try:
            return cipher.decrypt_untrusted(body)
        except RemoteProtocolError:
            return _unreadable(sha1)

    def _seals(self) -> bool:
        return not self._plain

    def _seal_init(self, body: bytes) -> bytes:
        if self._rsa is None:
            return body
        try:
            self._asked = _asked_untrusted(body, ProtoFmt.PROTOBUF)
        except RemoteProtocolError as error:
            raise LocalProtocolError(f"our own InitConnect: {error}") from error
        return self._rsa.encrypt(body)


def _asked_untrusted(body: bytes, proto_fmt: int) -> EncAlgo:
    """What an InitConnect that goes by RSA asks for."""
    c2s = decode_untrusted(opend.InitConnectRequest, body, proto_fmt).c2s
    return pick_algo_untrusted(c2s.packetEncAlgo if c2s.HasField("packetEncAlgo") else None, rsa=True)


def _cipher_of_reply_untrusted(s2c: opend.InitConnectS2C) -> PacketCipher:
    """By the form of aesCBCiv, as the SDKs do, whatever was asked for."""
    algo = EncAlgo.FTAES_ECB
    if s2c.HasField("aesCBCiv"):
        algo = EncAlgo.AES_CBC if s2c.aesCBCiv else EncAlgo.AES_ECB
    try:
        return PacketCipher(algo, s2c.connAESKey, s2c.aesCBCiv)
    except ValueError as error:
        raise RemoteProtocolError(f"the InitConnect reply: {error}") from None


def _by_rsa_untrusted(rsa: RsaKey | None, sha1: bytes, body: bytes, what: str, who: str) -> bytes:
    if rsa is None:
        raise RemoteProtocolError(f"{what} is encrypted or damaged, and no RSA key is configured here")
    try:
        plain = rsa.decrypt_untrusted(body)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"{what}: {error}; does {who} use our RSA key?") from error
    if body_sha1(plain) != sha1:
        raise RemoteProtocolError(f"{what} can't be read with our RSA key of {rsa.bits} bits; does {who} use the same?")
    return plain


def _too_large(proto_id: int, size: int, limit: int) -> RemoteProtocolError:
    return RemoteProtocolError(f"a body of {size} bytes of proto_id {proto_id} is over the limit of {limit}")


def _with_body(header: bytes, body: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """The pieces of the frame with another body."""
    return header[:_BODY_LEN_AT], _BODY_LEN.pack(len(body)), header[_SHA1_AT:], body


_NOTHING: Final = b""
_NOTHING_SHA1: Final = body_sha1(_NOTHING)


def _unreadable(sha1: bytes) -> bytes:
    """A short body that does not have this digest: the frame gets the answer of any damaged one."""
    return b"\0" if sha1 == _NOTHING_SHA1 else _NOTHING
