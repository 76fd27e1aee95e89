"""Reading a push, whichever format it came in: the few fields that decide who gets it.

A `Place` names a field twice: by numbers for protobuf, by names for JSON. Readers raise RemoteProtocolError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from opendmux.errors import RemoteProtocolError
from opendmux.native import Push as NativePush
from opendmux.native import (
    build_frame,
    read_bytes_untrusted,
    read_int32_untrusted,
    read_messages_untrusted,
    read_security_untrusted,
    read_varint_untrusted,
)
from opendmux.wire.frame import HEADER_LEN, PROTO_FMT_AT, ProtoFmt

__all__ = ["Body", "Item", "Place", "open_untrusted", "proto_id_of", "push_of"]


class Place(NamedTuple):
    """Where a field is: numbers and names, outermost first, from the Response on."""

    numbers: bytes
    names: tuple[str, ...]


class Item(NamedTuple):
    """One security's piece of a push that carries several."""

    market: int
    code: str
    raw: bytes


class Body(Protocol):
    """A push that has been opened."""

    def security_untrusted(self, place: Place) -> tuple[int, str]: ...
    def int32_untrusted(self, place: Place) -> int: ...
    def uint64_untrusted(self, place: Place) -> int | None: ...
    def text_untrusted(self, place: Place) -> str: ...
    def numbers_untrusted(self, place: Place, number: Place) -> set[int]:
        """One whole number of each piece of a list; ``number`` is relative to a piece."""

    def items_untrusted(self, place: Place, security: Place) -> list[Item]:
        """The pieces of a list; ``security`` is relative to a piece."""

    def frame_of(self, place: Place, item: Item) -> bytes:
        """A whole frame that carries this piece alone, with the serial of the push it came in."""


def open_untrusted(push: NativePush) -> Body:
    """Raises RemoteProtocolError for a format or a JSON text that can't be read."""
    if push.proto_fmt == ProtoFmt.PROTOBUF:
        return _ProtobufBody(push, memoryview(push.frame)[HEADER_LEN:])
    if push.proto_fmt == ProtoFmt.JSON:
        try:
            return _JsonBody(push, msgspec.json.decode(memoryview(push.frame)[HEADER_LEN:], type=dict[str, object]))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RemoteProtocolError(f"its JSON can't be read: {error}") from error
    raise RemoteProtocolError(f"unknown proto_fmt {push.proto_fmt}")


def proto_id_of(frame: bytes) -> int:
    """Of a whole frame."""
    return int.from_bytes(frame[2:6], "little")


def push_of(frame: bytes) -> NativePush:
    """A whole frame of a push, as the switch hands it out."""
    return NativePush(proto_id_of(frame), frame[PROTO_FMT_AT], frame)


def _serial_no(push: NativePush) -> int:
    return int.from_bytes(push.frame[8:12], "little")


@dataclass(frozen=True, slots=True)
class _ProtobufBody:
    push: NativePush
    body: memoryview

    def security_untrusted(self, place: Place) -> tuple[int, str]:
        return _security_untrusted(self.body, place)

    def int32_untrusted(self, place: Place) -> int:
        return read_int32_untrusted(self.body, place.numbers) or 0

    def uint64_untrusted(self, place: Place) -> int | None:
        return read_varint_untrusted(self.body, place.numbers)

    def text_untrusted(self, place: Place) -> str:
        return _decoded(read_bytes_untrusted(self.body, place.numbers) or b"")

    def numbers_untrusted(self, place: Place, number: Place) -> set[int]:
        pieces = read_messages_untrusted(self.body, place.numbers)
        return {read_varint_untrusted(piece, number.numbers) or 0 for piece in pieces}

    def items_untrusted(self, place: Place, security: Place) -> list[Item]:
        pieces = read_messages_untrusted(self.body, place.numbers)
        return [Item(*_security_untrusted(piece, security), piece) for piece in pieces]

    def frame_of(self, place: Place, item: Item) -> bytes:
        # Response{retType: 0, s2c: {list: [item]}}
        number = place.numbers[-1] << 3 | 2
        s2c = bytes([number]) + _varint(len(item.raw)) + item.raw
        body = b"\x08\x00\x22" + _varint(len(s2c)) + s2c
        return build_frame(self.push.proto_id, ProtoFmt.PROTOBUF, _serial_no(self.push), body)


def _security_untrusted(body: bytes | memoryview, place: Place) -> tuple[int, str]:
    found = read_security_untrusted(body, place.numbers)
    if found is None:
        raise RemoteProtocolError("no security in it")
    return found[0], _decoded(found[1])


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("a text in it is not UTF-8") from error


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@dataclass(frozen=True, slots=True)
class _JsonBody:
    push: NativePush
    body: dict[str, object]

    def security_untrusted(self, place: Place) -> tuple[int, str]:
        return _json_security_untrusted(_find_untrusted(self.body, place))

    def int32_untrusted(self, place: Place) -> int:
        return _whole_untrusted(_find_untrusted(self.body, place)) or 0

    def uint64_untrusted(self, place: Place) -> int | None:
        return _whole_untrusted(_find_untrusted(self.body, place))

    def text_untrusted(self, place: Place) -> str:
        value = _find_untrusted(self.body, place)
        return value if isinstance(value, str) else ""

    def numbers_untrusted(self, place: Place, number: Place) -> set[int]:
        pieces = _find_untrusted(self.body, place)
        found = pieces if isinstance(pieces, list) else []
        return {_whole_untrusted(_find_untrusted(piece, number)) or 0 for piece in found}

    def items_untrusted(self, place: Place, security: Place) -> list[Item]:
        pieces = _find_untrusted(self.body, place)
        if not isinstance(pieces, list):
            return []
        return [
            Item(*_json_security_untrusted(_find_untrusted(piece, security)), msgspec.json.encode(piece))
            for piece in pieces
        ]

    def frame_of(self, place: Place, item: Item) -> bytes:
        s2c = b'{"' + place.names[-1].encode() + b'":[' + item.raw + b"]}"
        body = b'{"retType":0,"s2c":' + s2c + b"}"
        return build_frame(self.push.proto_id, ProtoFmt.JSON, _serial_no(self.push), body)


def _find_untrusted(value: object, place: Place) -> object:
    for name in place.names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _json_security_untrusted(value: object) -> tuple[int, str]:
    if not isinstance(value, dict) or not isinstance(value.get("code"), str):
        raise RemoteProtocolError("no security in it")
    return _whole_untrusted(value.get("market")) or 0, value["code"]


def _whole_untrusted(value: object) -> int | None:
    """A number, or a 64-bit number as text."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError as error:
        raise RemoteProtocolError("a number in it can't be read") from error
