"""Pure twin of _scan, written to be read: this is the specification. The contract is in _scan.pyi."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opendmux.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

__all__ = [
    "PATH_MAX",
    "packet_id_untrusted",
    "patch_packet_id_untrusted",
    "read_bytes_untrusted",
    "read_int32_untrusted",
    "read_messages_untrusted",
    "read_security_untrusted",
    "read_varint_untrusted",
    "ret_type_untrusted",
    "set_varint_untrusted",
]

PATH_MAX: Final = 8

_VARINT, _FIXED64, _LEN, _GROUP, _END_GROUP, _FIXED32 = range(6)
"""Wire types; 6 and 7 do not exist."""

_NESTING_MAX: Final = 100
"""Messages and groups inside each other, as every protobuf library limits it."""

_VARINT_LEN_MAX: Final = 10
_SHORT_VARINT_LEN_MAX: Final = 5
"""Of tags and lengths, whose values have 32 bits."""

_U32: Final = 0xFFFF_FFFF
_U64: Final = 0xFFFF_FFFF_FFFF_FFFF

_RET_TYPE_DEFAULT: Final = -400

_PACKET_ID: Final = b"\x01\x01"
"""c2s.packetID"""


@dataclass(slots=True)
class _Span:
    """Bytes not yet looked at: data[start:end]."""

    data: bytes
    start: int
    end: int

    def take(self, count: int) -> int:
        """Move over ``count`` bytes; returns where they start."""
        if self.end - self.start < count:
            raise RemoteProtocolError("a field is cut off")
        taken = self.start
        self.start += count
        return taken

    def varint(self, longest: int) -> int:
        value = 0
        for place in range(longest):
            byte = self.data[self.take(1)]
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return value & _U64
        raise RemoteProtocolError("a varint is too long")

    def short_varint(self) -> int:
        value = self.varint(_SHORT_VARINT_LEN_MAX)
        if value > _U32:
            raise RemoteProtocolError("a tag or length is over 32 bits")
        return value

    def tag(self) -> tuple[int, int]:
        """(field number, wire type)."""
        start = self.start
        tag = self.short_varint()
        if self.start - start != len(_varint(tag)):
            raise RemoteProtocolError("a tag is longer than it needs to be")
        number, wire_type = tag >> 3, tag & 7
        if number == 0 or wire_type > _FIXED32:
            raise RemoteProtocolError("a tag is not valid")
        return number, wire_type


@dataclass(slots=True)
class _Field:
    number: int
    wire_type: int
    value: int
    """Of a varint."""
    start: int
    """Where the value starts; for a length-delimited field: its length."""
    content: int
    """Where the content of a length-delimited field starts."""
    end: int


def _next_field(span: _Span, depth: int) -> _Field:
    """The field at the start of ``span``, which lies ``depth`` messages deep. A group is checked and comes as one."""
    number, wire_type = span.tag()
    start = content = span.start
    value = 0
    if wire_type == _VARINT:
        value = span.varint(_VARINT_LEN_MAX)
    elif wire_type == _FIXED64:
        span.take(8)
    elif wire_type == _FIXED32:
        span.take(4)
    elif wire_type == _LEN:
        content = span.take(span.short_varint())
    elif wire_type == _GROUP:
        _skip_group(span, number, depth + 1)
    return _Field(number, wire_type, value, start, content, span.start)


def _skip_group(span: _Span, group: int, depth: int) -> None:
    if depth > _NESTING_MAX:
        raise RemoteProtocolError("messages are nested too deep")
    while (field := _next_field(span, depth)).wire_type != _END_GROUP:
        pass
    if field.number != group:
        raise RemoteProtocolError("a group is not matched")


def _fields(span: _Span, depth: int) -> Iterator[_Field]:
    """Every field of the message in ``span``."""
    while span.start < span.end:
        field = _next_field(span, depth)
        if field.wire_type == _END_GROUP:
            raise RemoteProtocolError("a group is not matched")
        yield field


def _inside(data: bytes, message: _Field, depth: int) -> Iterator[_Field]:
    """Every field of a message found at ``depth`` - 1."""
    return _fields(_Span(data, message.content, message.end), depth)


def _check_path(path: bytes) -> None:
    if not 1 <= len(path) <= PATH_MAX or 0 in path:
        raise ValueError(f"a path has 1 to {PATH_MAX} field numbers, none of them 0")


def _at(span: _Span, path: bytes, wire_type: int, depth: int = 0) -> Iterator[_Field]:
    """Every field of ``wire_type`` at ``path``, in order, through every occurrence of the messages on the way."""
    for field in _fields(span, depth):
        if field.number != path[depth]:
            continue
        if depth + 1 == len(path):
            if field.wire_type == wire_type:
                yield field
        elif field.wire_type == _LEN:
            yield from _at(_Span(span.data, field.content, field.end), path, wire_type, depth + 1)


def _scan(body: Buffer, path: bytes, wire_type: int) -> tuple[bytes, Iterator[_Field]]:
    _check_path(path)
    data = bytes(memoryview(body))
    return data, _at(_Span(data, 0, len(data)), path, wire_type)


def _int32(value: int) -> int:
    return ((value & _U32) ^ 0x8000_0000) - 0x8000_0000


def read_varint_untrusted(body: Buffer, path: bytes) -> int | None:
    value = None
    _, found = _scan(body, path, _VARINT)
    for field in found:
        value = field.value
    return value


def read_int32_untrusted(body: Buffer, path: bytes) -> int | None:
    value = read_varint_untrusted(body, path)
    return None if value is None else _int32(value)


def read_bytes_untrusted(body: Buffer, path: bytes) -> bytes | None:
    messages = read_messages_untrusted(body, path)
    return messages[-1] if messages else None


def read_messages_untrusted(body: Buffer, path: bytes) -> list[bytes]:
    data, found = _scan(body, path, _LEN)
    return [data[field.content : field.end] for field in found]


def read_security_untrusted(body: Buffer, path: bytes) -> tuple[int, bytes] | None:
    data, found = _scan(body, path, _LEN)
    market, code, present = 0, b"", False
    for message in found:
        present = True
        for field in _inside(data, message, len(path)):
            if field.number == 1 and field.wire_type == _VARINT:
                market = _int32(field.value)
            elif field.number == 2 and field.wire_type == _LEN:
                code = data[field.content : field.end]
    return (market, code) if present else None


def ret_type_untrusted(body: Buffer) -> int:
    value = read_int32_untrusted(body, b"\x01")
    return _RET_TYPE_DEFAULT if value is None else value


def packet_id_untrusted(body: Buffer) -> tuple[int, int] | None:
    data, found = _scan(body, _PACKET_ID, _LEN)
    conn_id, serial_no, present = 0, 0, False
    for message in found:
        present = True
        for field in _inside(data, message, len(_PACKET_ID)):
            if field.wire_type == _VARINT and field.number == 1:
                conn_id = field.value
            elif field.wire_type == _VARINT and field.number == 2:
                serial_no = field.value & _U32
    return (conn_id, serial_no) if present else None


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@dataclass(slots=True)
class _Place:
    """Where a field to be rewritten stands."""

    messages: list[_Field]
    """The messages around it, outermost first."""
    field: _Field | None
    start: int
    """Of the parent's content, as ``end``."""
    end: int


def _locate(data: bytes, path: bytes, wire_type: int) -> _Place:
    """Find the one field at ``path``; refuse what a reader could see in two ways."""
    messages: list[_Field] = []
    start, end = 0, len(data)
    for depth, number in enumerate(path):
        is_leaf = depth + 1 == len(path)
        wanted = wire_type if is_leaf else _LEN
        found = [
            field
            for field in _fields(_Span(data, start, end), depth)
            if field.number == number and field.wire_type == wanted
        ]
        if len(found) > 1:
            raise RemoteProtocolError("a field to be rewritten occurs twice")
        if is_leaf:
            break
        if not found:
            raise RemoteProtocolError("the message around a field to be rewritten is missing")
        messages += found
        start, end = found[0].content, found[0].end
    return _Place(messages, found[0] if found else None, start, end)


def _splice(data: bytes, messages: list[_Field], start: int, end: int, new: bytes) -> bytes:
    """``data`` with data[start:end], which lies inside of ``messages``, replaced and their lengths rewritten."""
    growth = len(new) - (end - start)
    lengths: list[bytes] = []
    for message in reversed(messages):
        length = _varint(message.end - message.content + growth)
        growth += len(length) - (message.content - message.start)
        lengths.insert(0, length)
    out = bytearray()
    copied = 0
    for message, length in zip(messages, lengths, strict=True):
        out += data[copied : message.start] + length
        copied = message.content
    out += data[copied:start] + new + data[end:]
    return bytes(out)


def set_varint_untrusted(body: Buffer, path: bytes, value: int) -> bytes:
    _check_path(path)
    if not -(2**63) <= value <= _U64:
        raise OverflowError(f"{value} does not fit into 64 bits")
    data = bytes(memoryview(body))
    new = _varint(value & _U64)
    place = _locate(data, path, _VARINT)
    if place.field is None:
        return _splice(data, place.messages, place.end, place.end, _varint(path[-1] << 3 | _VARINT) + new)
    return _splice(data, place.messages, place.field.start, place.field.end, new)


def patch_packet_id_untrusted(body: Buffer, conn_id: int, serial_no: int) -> bytes:
    for value, largest in ((conn_id, _U64), (serial_no, _U32)):
        if not 0 <= value <= largest:
            raise OverflowError(f"{value} does not fit into its field")
    data = bytes(memoryview(body))
    content = _varint(1 << 3 | _VARINT) + _varint(conn_id) + _varint(2 << 3 | _VARINT) + _varint(serial_no)
    new = _varint(len(content)) + content
    place = _locate(data, _PACKET_ID, _LEN)
    if place.field is None:
        return _splice(data, place.messages, place.start, place.start, _varint(_PACKET_ID[-1] << 3 | _LEN) + new)
    for _ in _inside(data, place.field, len(_PACKET_ID)):
        pass  # what protobuf would refuse is refused although it goes away
    return _splice(data, place.messages, place.field.start, place.field.end, new)
