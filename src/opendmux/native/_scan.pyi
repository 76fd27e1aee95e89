"""Read and patch single fields of protobuf bodies without building messages.

A decision must never rest on another value than OpenD reads, so the readers follow protobuf's own rules: the last
occurrence of a scalar wins, repeated occurrences of a sub-message are merged (a path is followed through all of
them), unknown fields and groups are skipped, a field with the wrong wire type for the path is skipped as unknown.
A path is ``bytes``, one byte per field number, outermost first (``b"\\x01\\x02"`` = field 2 inside field 1), 1 to
PATH_MAX long; ValueError for another one.
Every function raises `RemoteProtocolError` on bytes that the protobuf library would refuse (truncated, a varint over
10 bytes, a tag or length over 5 bytes or 32 bits, a field number of 0, wire types 6 and 7, an unmatched group, nesting
over 100).

Stricter than the library: a tag that is not in its shortest form, which implementations read differently, and a field
number of 0 inside an unknown group are refused. Laxer: sub-messages off the path are skipped without looking inside,
and strings are not checked to be UTF-8. Not known here, because nothing in OpenD's messages that we look at needs it:
a oneof (a later member clears an earlier one), a closed enum (an undefined number counts as absent), zigzag and
packed fields.
"""

from typing import Final

from typing_extensions import Buffer

PATH_MAX: Final = 8

def read_varint_untrusted(body: Buffer, path: bytes) -> int | None:
    """The value as an unsigned 64-bit integer; None when absent. (int32 -1 reads as 2**64 - 1.)"""

def read_int32_untrusted(body: Buffer, path: bytes) -> int | None:
    """The value truncated to a signed 32-bit integer, as protobuf reads an int32 or an enum."""

def read_bytes_untrusted(body: Buffer, path: bytes) -> bytes | None:
    """The last length-delimited value at ``path``. For a leaf that is a string or bytes field, not a message."""

def read_messages_untrusted(body: Buffer, path: bytes) -> list[bytes]:
    """Every length-delimited value at ``path`` in order: the items of a repeated message field.

    The items themselves are not looked into.
    """

def read_security_untrusted(body: Buffer, path: bytes) -> tuple[int, bytes] | None:
    """The Qot_Common.Security at ``path`` as (market, code); None when absent. Missing parts are 0 and b""."""

def ret_type_untrusted(body: Buffer) -> int:
    """retType of a Response: field 1, -400 when absent (its proto2 default)."""

def set_varint_untrusted(body: Buffer, path: bytes, value: int) -> bytes:
    """The body with the scalar at ``path`` set; everything else stays byte for byte, unknown fields included.

    Lengths of the enclosing messages are rewritten. When the leaf is absent it is appended to its parent; the parent
    must be there. Refuses (RemoteProtocolError) a body without the parent, and one in which the leaf or a message on
    the path occurs twice. ``value``: -2**63 to 2**64 - 1, a negative one becomes the 10 bytes protobuf writes for it;
    OverflowError for another one.
    """

def packet_id_untrusted(body: Buffer) -> tuple[int, int] | None:
    """(connID, serialNo) of the Common.PacketID at c2s.packetID (path 1, 1); None when absent. Missing parts are 0."""

def patch_packet_id_untrusted(body: Buffer, conn_id: int, serial_no: int) -> bytes:
    """The body with c2s.packetID replaced by {connID, serialNo}; the rest stays byte for byte.

    An absent packetID is put in front of the other fields of c2s. Refuses (RemoteProtocolError) a body without
    c2s, and one in which c2s or packetID occurs twice: which one OpenD would read is not ours to guess.
    ``conn_id`` has 64 bits, ``serial_no`` 32; OverflowError for more.
    """
