"""The 44-byte frame of OpenD's TCP protocol: split, check, build.

Header, little-endian, packed: ``FT`` | proto_id u32 | proto_fmt u8 | proto_ver u8 | serial_no u32 |
body_len u32 | body_sha1 20 bytes | reserved 8 bytes. The digest covers the plaintext body.
"""

from typing import Final, final

from typing_extensions import Buffer

HEADER_LEN: Final = 44

@final
class Frame:
    """One frame as it stood on the wire. Immutable, compared by value; its repr does not show the body."""

    def __init__(self, proto_id: int, proto_fmt: int, serial_no: int, sha1: bytes, body: bytes) -> None:
        """OverflowError for a number that does not fit into its field, ValueError for a ``sha1`` of not 20 bytes."""
    @property
    def proto_id(self) -> int: ...
    @property
    def proto_fmt(self) -> int: ...
    @property
    def serial_no(self) -> int: ...
    @property
    def sha1(self) -> bytes:
        """The 20 bytes of the header, as received."""
    @property
    def body(self) -> bytes:
        """The body as received (ciphertext on an encrypted connection)."""
    def sha1_matches(self) -> bool:
        """True when ``sha1`` is the digest of ``body`` (so: of a plaintext body)."""
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Splitter:
    """Cut a byte stream into frames, for the control plane, the simulator and tests.

    Bytes go in by `feed_untrusted` in any cuts; the frames that came out do not depend on the cuts.
    After an error the splitter is dead: every later call raises the same error.
    Between two calls it holds less than one frame, so less than ``max_body`` + HEADER_LEN bytes.
    """

    def __init__(self, max_body: int) -> None:
        """``max_body``: the largest body_len accepted, in bytes; ValueError when it is not a 32-bit number."""
    def feed_untrusted(self, data: Buffer) -> list[Frame]:
        """Take a chunk, return every frame that is now complete.

        Raises `RemoteProtocolError` for a flag that is not ``FT`` (seen as early as the bytes allow: after one
        wrong byte) and for a body_len over ``max_body`` (checked when the header is complete, before anything
        is buffered for it). Frames before the bad one in the same chunk are returned first; then the error is raised by
        the next call (``feed_untrusted(b"")`` included), and `failure` tells of it at once. proto_ver and reserved are
        not looked at.
        """
    @property
    def failure(self) -> str | None:
        """Why the stream is lost; None while it is not."""
    @property
    def pending(self) -> int:
        """How many bytes of an incomplete frame are held."""

def build_frame(proto_id: int, proto_fmt: int, serial_no: int, body: Buffer, sha1: bytes | None = None) -> bytes:
    """A whole frame. ``sha1`` is the digest of the plaintext when ``body`` is not that plaintext.

    OverflowError for a number that does not fit into its field, ValueError for a ``sha1`` that has not 20 bytes,
    LocalProtocolError for a body of 4 GiB or more.
    """

def body_sha1(data: Buffer) -> bytes:
    """SHA-1, 20 bytes. Always equal to ``hashlib.sha1(data).digest()``."""

def sha1_backend() -> str:
    """Which code computes the digests: ``sha-ni`` or ``hashlib`` (for the banner and the benchmark).

    ``OPENDMUX_SHA1=hashlib`` in the environment keeps the CPU's instructions from being used.
    """

def abi() -> tuple[int, int, dict[int, int], frozenset[int]]:
    """The protocol table this module was built with: largest proto_id, number of protocols, dense index by proto_id,
    dense indexes of the pushes. A test compares it with wire/protocols.py."""
