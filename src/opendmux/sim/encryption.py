"""The encrypted side of one connection of an OpenD that has an RSA key: bytes of the peer in, plaintext frames out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendmux.errors import RemoteProtocolError
from opendmux.wire.cipher import EncAlgo, RsaKey, conn_secrets
from opendmux.wire.frame import Splitter
from opendmux.wire.protocols import ProtoId
from opendmux.wire.secure import ServerSide

if TYPE_CHECKING:
    from .world import Session

__all__ = ["Encryption", "EncryptionError"]


class EncryptionError(RemoteProtocolError):
    """The client does not encrypt, or not with our key."""


class Encryption:
    """Settles ``session.secrets`` as soon as InitConnect says how the client wants to be talked to."""

    def __init__(self, rsa_key: RsaKey, max_body: int, session: Session) -> None:
        self._side = ServerSide(rsa_key, max_body)
        self._session = session
        # What the adapter gives out looks the same for a plain InitConnect and for one by RSA that asks for plain
        # traffic; the wire tells them apart.
        self._wire: Splitter | None = Splitter(max_body)

    def open_untrusted(self, chunk: bytes) -> bytes:
        """Plaintext frames. Raises EncryptionError for an InitConnect that is plain or made with another key,
        RemoteProtocolError for bytes that are no frames."""
        if self._wire is not None:
            for frame in self._wire.feed_untrusted(chunk):
                if frame.proto_id == ProtoId.INIT_CONNECT and frame.sha1_matches():
                    raise EncryptionError("InitConnect came without encryption, and this OpenD has an RSA key")
        waits = self._wire is not None
        try:
            frames = self._side.receive_untrusted(chunk)
        except RemoteProtocolError as error:
            raise EncryptionError(str(error)) if waits else error from None
        if waits and self._side.asked is not None:
            self._wire = None
            frames += self._settle(self._side.asked)
        return frames

    def seal(self, frames: bytes) -> bytes:
        """Whole plaintext frames as they go onto the wire."""
        return self._side.seal(frames)

    def _settle(self, asked: EncAlgo) -> bytes:
        """Choose the key; returns the frames that waited for it."""
        if asked is EncAlgo.NONE:
            return b""
        secrets = self._session.secrets = conn_secrets(asked, self._session.random)
        self._side.use(asked, secrets.aes_key, secrets.aes_cbc_iv)
        return self._side.receive_untrusted(b"")
