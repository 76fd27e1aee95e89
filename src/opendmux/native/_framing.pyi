"""The 44-byte frame of OpenD's TCP protocol: split, check, build.

Header, little-endian, packed: ``FT`` | proto_id u32 | proto_fmt u8 | proto_ver u8 | serial_no u32 |
body_len u32 | body_sha1 20 bytes | reserved 8 bytes. The digest covers the plaintext body.
"""

from typing import Final

from typing_extensions import Buffer

HEADER_LEN: Final = 44

class Frame:
    """One frame as it stood on the wire. Immutable."""

    proto_id: int
    proto_fmt: int
    serial_no: int
    sha1: bytes
    """The 20 bytes of the header, as received."""
    body: bytes
    """The body as received (ciphertext on an encrypted connection)."""
    def __init__(self, proto_id: int, proto_fmt: int, serial_no: int, sha1: bytes, body: bytes) -> None: ...
    def sha1_matches(self) -> bool:
        """True when ``sha1`` is the digest of ``body`` (so: of a plaintext body)."""

class Splitter:
    """Cut a byte stream into frames, for the control plane, the simulator and tests.

    Bytes go in by `feed_untrusted` in any cuts; the frames that came out do not depend on the cuts.
    After an error the splitter is dead: every later call raises the same error.
    Memory held is at most ``max_body`` + HEADER_LEN + one chunk.
    """

    def __init__(self, max_body: int) -> None:
        """``max_body``: the largest body_len accepted, in bytes."""
    def feed_untrusted(self, data: Buffer) -> list[Frame]:
        """Take a chunk, return every frame that is now complete.

        Raises `RemoteProtocolError` for a flag that is not ``FT`` (seen as early as the bytes allow: after one
        wrong byte) and for a body_len over ``max_body`` (checked when the header is complete, before anything
        is buffered for it). Frames before the bad one in the same chunk are returned first; the error is raised by
        the next call (``feed_untrusted(b"")`` included). proto_ver and reserved are not looked at.
        """
    @property
    def pending(self) -> int:
        """How many bytes of an incomplete frame are held."""

def build_frame(proto_id: int, proto_fmt: int, serial_no: int, body: Buffer, sha1: bytes | None = None) -> bytes:
    """A whole frame. ``sha1`` is the digest of the plaintext when ``body`` is not that plaintext."""

def body_sha1(data: Buffer) -> bytes:
    """SHA-1, 20 bytes. Always equal to ``hashlib.sha1(data).digest()``."""

def sha1_backend() -> str:
    """Which code computes the digests: ``sha-ni``, ``hashlib``, ... (for the banner and the benchmark)."""
