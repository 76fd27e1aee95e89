"""The scanner against the protobuf library: the same bytes refused, the same values read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings

from opendmux.errors import RemoteProtocolError
from tests.native.wire_format import (
    END_GROUP,
    FIXED32,
    FIXED64,
    GROUP,
    LEN,
    VARINT,
    F,
    anything,
    body_and_path,
    chain,
    field,
    group,
    messages,
    nested,
    node,
    scalar,
    tag,
    value_in,
    varint,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.native.conftest import Impl

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=200)

STRICTER = {"a tag is longer than it needs to be", "a tag is not valid"}
"""What the scanner alone refuses: long tags, and a field number of 0 inside an unknown group."""

PATHS = [b"\x01", b"\x02", b"\x01\x02", b"\x01\x01\x02", b"\x02\x01", b"\xc8", b"\x01\xc8"]


def parsed(cls: Any, body: bytes) -> Any:
    try:
        return cls.FromString(body)
    except DecodeError:
        return None


def outcome(read: Callable[[bytes, bytes], Any], body: bytes, path: bytes) -> tuple[Any, str | None]:
    """(value, None), or (None, the refusal)."""
    try:
        return read(body, path), None
    except RemoteProtocolError as error:
        return None, str(error)


def compare(read: Callable[[bytes, bytes], Any], body: bytes, path: bytes, leaf_type: int, *, stricter: bool) -> None:
    message = parsed(chain(path, leaf_type), body)
    value, refusal = outcome(read, body, path)
    if refusal is not None:
        assert message is None or (stricter and refusal in STRICTER)
    else:
        assert message is not None, "accepted what the library refuses"
        assert value == value_in(message, path)


READERS = [
    ("read_varint_untrusted", F.TYPE_UINT64),
    ("read_int32_untrusted", F.TYPE_INT32),
    ("read_bytes_untrusted", F.TYPE_BYTES),
]


@DETERMINISTIC
@given(case=body_and_path(PATHS, whole=True))
def test_well_formed_bodies(impl: Impl, case: tuple[bytes, bytes]) -> None:
    body, path = case
    for reader, leaf_type in READERS:
        compare(getattr(impl.scan, reader), body, path, leaf_type, stricter=False)


@DETERMINISTIC
@given(case=body_and_path(PATHS))
def test_any_bytes(impl: Impl, case: tuple[bytes, bytes]) -> None:
    body, path = case
    for reader, leaf_type in READERS:
        compare(getattr(impl.scan, reader), body, path, leaf_type, stricter=True)


@DETERMINISTIC
@given(case=body_and_path(PATHS))
def test_repeated_items(impl: Impl, case: tuple[bytes, bytes]) -> None:
    body, path = case
    message = parsed(chain(path, F.TYPE_BYTES, repeated=True), body)
    items, refusal = outcome(impl.scan.read_messages_untrusted, body, path)
    if refusal is not None:
        assert message is None or refusal in STRICTER
        return
    assert message is not None
    for _ in path[1:]:
        message = message.f
    assert items == list(message.f)


@DETERMINISTIC
@given(body=anything)
def test_whatever_the_full_schema_reads(impl: Impl, body: bytes) -> None:
    """With every field known to the library, sub-messages off the path included."""
    message = parsed(node(), body)
    if message is None:
        return
    inner = message.node
    expected = {
        ("read_varint_untrusted", b"\x02"): message.u64 if message.HasField("u64") else None,
        ("read_varint_untrusted", b"\x01\xc8"): inner.far if inner.HasField("far") else None,
        ("read_int32_untrusted", b"\x01\x03"): inner.i32 if inner.HasField("i32") else None,
        ("read_bytes_untrusted", b"\x04"): message.text if message.HasField("text") else None,
        ("read_messages_untrusted", b"\x01\x05"): list(inner.item),
        ("read_security_untrusted", b"\x06"): security(message),
        ("read_security_untrusted", b"\x01\x01\x06"): security(inner.node),
    }
    for (reader, path), value in expected.items():
        read, refusal = outcome(getattr(impl.scan, reader), body, path)
        assert read == value if refusal is None else refusal in STRICTER


def security(message: Any) -> tuple[int, bytes] | None:
    return (message.security.market, message.security.code) if message.HasField("security") else None


@DETERMINISTIC
@given(first=messages, second=messages)
def test_occurrences_are_merged(impl: Impl, first: bytes, second: bytes) -> None:
    body = field(1, first) + scalar(9, 1) + field(1, second)
    merged = node().FromString(first + second) if parsed(node(), first + second) else None
    if merged is None:
        return
    assert impl.scan.read_varint_untrusted(body, b"\x01\x02") == (merged.u64 if merged.HasField("u64") else None)
    assert impl.scan.read_security_untrusted(body, b"\x01\x06") == security(merged)
    assert impl.scan.read_messages_untrusted(body, b"\x01\x05") == list(merged.item)


ODD = {
    "empty": b"",
    "cut tag": b"\x88",
    "cut varint": tag(2, VARINT) + b"\x80",
    "missing varint": tag(2, VARINT),
    "cut fixed32": tag(2, FIXED32) + bytes(3),
    "cut fixed64": tag(2, FIXED64) + bytes(7),
    "cut length": tag(2, LEN) + b"\x80",
    "missing length": tag(2, LEN),
    "cut content": tag(2, LEN) + b"\x02x",
    "huge length": tag(2, LEN) + varint(2**31),
    "largest length": tag(2, LEN) + varint(2**32 - 1),
    "length over 32 bits": tag(2, LEN) + b"\x81\x80\x80\x80\x10x",
    "long length": tag(2, LEN) + varint(1, 5) + b"x",
    "longer length": tag(2, LEN) + varint(1, 6) + b"x",
    "10-byte varint": tag(2, VARINT) + varint(1, 10),
    "10-byte varint, high bits": tag(2, VARINT) + b"\xff" * 9 + b"\x7f",
    "11-byte varint": tag(2, VARINT) + varint(1, 11),
    "32-bit truncation": scalar(2, 2**32 + 5),
    "minus one": scalar(2, -1),
    "least int32": scalar(2, -(2**31)),
    "field 0": b"\x00\x01",
    "field 0, length": b"\x02\x00",
    "largest field": tag(2**29 - 1, VARINT) + b"\x05",
    "tag over 32 bits": b"\xf8\xff\xff\xff\x1f\x05",
    "6-byte tag": b"\x90\x80\x80\x80\x80\x00\x05",
    "wire type 6": b"\x16\x01",
    "wire type 7": b"\x17\x01",
    "group": group(2, scalar(2, 5)),
    "group in group": group(2, group(3, group(2))) + scalar(2, 7),
    "open group": tag(2, GROUP),
    "open inner group": tag(2, GROUP) + tag(3, GROUP) + tag(2, END_GROUP) + tag(3, END_GROUP),
    "end group": tag(2, END_GROUP),
    "end group in message": field(1, tag(2, END_GROUP)),
    "group over the end of a message": field(1, tag(2, GROUP)) + tag(2, END_GROUP),
    "wrong wire types": field(2, b"x") + tag(2, FIXED32) + bytes(4) + tag(2, FIXED64) + bytes(8),
    "wrong wire type last": scalar(2, 5) + field(2, b"x"),
    "path through a scalar": scalar(1, 5) + field(1, scalar(2, 6)),
    "path through a group": group(1, scalar(2, 6)),
    "duplicates": scalar(2, 5) + scalar(2, 6),
    "merged": field(1, scalar(2, 5)) + field(1, scalar(3, 6)) + field(1, b""),
    "bad message on the path": field(1, b"\x88"),
    "100 groups": tag(3, GROUP) * 100 + tag(3, END_GROUP) * 100,
    "101 groups": tag(3, GROUP) * 101 + tag(3, END_GROUP) * 101,
    "99 groups in a message": field(1, tag(3, GROUP) * 99 + tag(3, END_GROUP) * 99),
    "100 groups in a message": field(1, tag(3, GROUP) * 100 + tag(3, END_GROUP) * 100),
    "200 messages off the path": nested(200, number=3),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_bodies(impl: Impl, name: str) -> None:
    for path in PATHS:
        for reader, leaf_type in READERS:
            compare(getattr(impl.scan, reader), ODD[name], path, leaf_type, stricter=False)


@pytest.mark.parametrize("name", ["2-byte tag", "field 0 in a group"])
def test_stricter_than_the_library(impl: Impl, name: str) -> None:
    body = {"2-byte tag": b"\x90\x00\x05", "field 0 in a group": group(3, b"\x00\x01")}[name]
    assert parsed(chain(b"\x02", F.TYPE_UINT64), body) is not None
    with pytest.raises(RemoteProtocolError) as caught:
        impl.scan.read_varint_untrusted(body, b"\x02")
    assert str(caught.value) in STRICTER


def test_laxer_than_the_library(impl: Impl) -> None:
    """Sub-messages off the path are not looked into, strings may be any bytes."""
    body = field(1, b"\x88") + scalar(2, 5) + field(4, b"\xff")
    assert parsed(node(), body) is None
    assert impl.scan.read_varint_untrusted(body, b"\x02") == 5
    assert impl.scan.read_bytes_untrusted(body, b"\x04") == b"\xff"
