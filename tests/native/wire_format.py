"""Protobuf bytes for the scanner's tests: fields by hand, message classes made on the spot, hypothesis strategies."""

from __future__ import annotations

import functools
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import strategies as st

VARINT, FIXED64, LEN, GROUP, END_GROUP, FIXED32 = range(6)

F = descriptor_pb2.FieldDescriptorProto


def varint(value: int, length: int = 1) -> bytes:
    """``value`` in at least ``length`` bytes: longer than needed is allowed by the format."""
    out = bytearray()
    while value >= 0x80 or len(out) + 1 < length:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def scalar(number: int, value: int) -> bytes:
    return tag(number, VARINT) + varint(value & 2**64 - 1)


def field(number: int, content: bytes) -> bytes:
    return tag(number, LEN) + varint(len(content)) + content


def group(number: int, content: bytes = b"") -> bytes:
    return tag(number, GROUP) + content + tag(number, END_GROUP)


def nested(levels: int, innermost: bytes = b"", number: int = 1) -> bytes:
    body = innermost
    for _ in range(levels):
        body = field(number, body)
    return body


def message_class(name: str, file: descriptor_pb2.FileDescriptorProto) -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{name}"))


def add(
    message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: Any, *, of: str = "", repeated: bool = False
) -> None:
    label = F.LABEL_REPEATED if repeated else F.LABEL_OPTIONAL
    message.field.add(name=name, number=number, label=label, type=kind, type_name=of or None)


@functools.cache
def chain(path: bytes, leaf_type: int, *, repeated: bool = False) -> Any:
    """A message that knows nothing but the field at ``path``: what the library skips is what the scanner skips."""
    file = descriptor_pb2.FileDescriptorProto(name="chain.proto", package="chain")
    for depth, number in enumerate(path):
        message = file.message_type.add(name=f"Level{depth}")
        if depth + 1 < len(path):
            add(message, "f", number, F.TYPE_MESSAGE, of=f".chain.Level{depth + 1}")
        else:
            add(message, "f", number, leaf_type, repeated=repeated)
    return message_class("Level0", file)


def value_in(message: Any, path: bytes) -> Any:
    """What the library reads at the end of a `chain`; None when absent."""
    for _ in path[1:]:
        if not message.HasField("f"):
            return None
        message = message.f
    return message.f if message.HasField("f") else None


@functools.cache
def node() -> Any:
    """A message with everything the scanner can be asked for, and itself inside."""
    file = descriptor_pb2.FileDescriptorProto(name="node.proto", package="node")
    security = file.message_type.add(name="Security")
    add(security, "market", 1, F.TYPE_INT32)
    add(security, "code", 2, F.TYPE_BYTES)
    message = file.message_type.add(name="Node")
    add(message, "node", 1, F.TYPE_MESSAGE, of=".node.Node")
    add(message, "u64", 2, F.TYPE_UINT64)
    add(message, "i32", 3, F.TYPE_INT32)
    add(message, "text", 4, F.TYPE_BYTES)
    add(message, "item", 5, F.TYPE_BYTES, repeated=True)
    add(message, "security", 6, F.TYPE_MESSAGE, of=".node.Security")
    add(message, "price", 7, F.TYPE_DOUBLE)
    add(message, "far", 200, F.TYPE_UINT64)
    return message_class("Node", file)


numbers = st.integers(1, 7) | st.sampled_from([15, 16, 200, 2**29 - 1])
u64 = st.integers(0, 2**64 - 1) | st.integers(0, 300)
contents = st.binary(max_size=8)


def _compound(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    message = st.lists(inner, max_size=4).map(b"".join)
    return st.builds(field, numbers, message) | st.builds(group, numbers, message)


def _long_scalar(number: int, value: int, length: int) -> bytes:
    return tag(number, VARINT) + varint(value, length)


def _long_field(number: int, content: bytes, length: int) -> bytes:
    return tag(number, LEN) + varint(len(content), length) + content


fields = st.recursive(
    st.builds(scalar, numbers, u64)
    | st.builds(_long_scalar, numbers, u64, st.integers(1, 10))
    | st.builds(lambda number, value: tag(number, FIXED64) + value, numbers, st.binary(min_size=8, max_size=8))
    | st.builds(lambda number, value: tag(number, FIXED32) + value, numbers, st.binary(min_size=4, max_size=4))
    | st.builds(field, numbers, contents)
    | st.builds(_long_field, numbers, contents, st.integers(1, 5)),
    _compound,
    max_leaves=12,
)
messages = st.lists(fields, max_size=6).map(b"".join)
"""Well-formed bytes; lengths, values and order as odd as the format allows, sub-messages off the path of any kind."""


def aimed(path: bytes) -> st.SearchStrategy[bytes]:
    """Well-formed bytes that mostly have something at ``path``, once or more often, amid other fields."""
    number = path[0]
    if len(path) == 1:
        hit = st.builds(_long_scalar, st.just(number), u64, st.integers(1, 10)) | st.builds(
            field, st.just(number), contents
        )
    else:
        hit = st.builds(field, st.just(number), aimed(path[1:]))
    return st.lists(hit | hit | fields, max_size=4).map(b"".join)


tags = st.builds(tag, st.integers(1, 3), st.integers(0, 7))


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Well-formed bytes with a few places cut, changed or added."""
    body = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        cut = draw(st.integers(0, 2))
        body[at : at + cut] = draw(st.binary(max_size=2) | tags)
    return bytes(body)


anything = messages | damaged(messages) | st.binary(max_size=40)


def body_and_path(paths: list[bytes], *, whole: bool = False) -> st.SearchStrategy[tuple[bytes, bytes]]:
    """A body aimed at a path, and that path; ``whole``: well-formed."""

    def bodies(path: bytes) -> st.SearchStrategy[tuple[bytes, bytes]]:
        body = aimed(path) if whole else aimed(path) | damaged(aimed(path)) | anything
        return st.tuples(body, st.just(path))

    return st.sampled_from(paths).flatmap(bodies)
