"""The scanner's contract by example, and the two implementations against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.errors import RemoteProtocolError
from tests.native.wire_format import body_and_path, field, group, messages, node, scalar, varint

if TYPE_CHECKING:
    from tests.native.conftest import Impl

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=200)

PATHS = [b"\x01", b"\x06", b"\x01\x01", b"\x01\x02", b"\x01\xc8", b"\x01\x01\x06", b"\x01\x01\x01\x03"]
u64 = st.integers(0, 2**64 - 1)


def test_ret_type(impl: Impl) -> None:
    assert impl.scan.ret_type_untrusted(scalar(1, 0) + field(2, b"ok")) == 0
    assert impl.scan.ret_type_untrusted(scalar(1, -1)) == -1
    assert impl.scan.ret_type_untrusted(b"") == -400
    assert impl.scan.ret_type_untrusted(field(1, b"x")) == -400


def test_security(impl: Impl) -> None:
    read = impl.scan.read_security_untrusted
    assert read(field(1, field(1, scalar(1, 11) + field(2, b"AAPL"))), b"\x01\x01") == (11, b"AAPL")
    assert read(field(1, field(1, b"")), b"\x01\x01") == (0, b"")
    assert read(field(1, b""), b"\x01\x01") is None
    assert read(field(3, scalar(1, 1)) + field(3, field(2, b"00700")), b"\x03") == (1, b"00700")
    with pytest.raises(RemoteProtocolError):
        read(field(3, b"\x08"), b"\x03")


def test_packet_id(impl: Impl) -> None:
    read = impl.scan.packet_id_untrusted
    assert read(field(1, field(1, scalar(1, 2**63 + 5) + scalar(2, 9)) + scalar(2, 1))) == (2**63 + 5, 9)
    assert read(field(1, field(1, scalar(1, 4)) + field(1, scalar(2, 2**32 + 6)))) == (4, 6)
    assert read(field(1, scalar(2, 1))) is None
    assert read(b"") is None


def test_bodies_may_be_any_contiguous_buffer(impl: Impl) -> None:
    body = scalar(1, 5)
    for data in (bytearray(body), memoryview(body)):
        assert impl.scan.read_varint_untrusted(data, b"\x01") == 5
    for wrong in ("text", 5, None):
        with pytest.raises(TypeError):
            impl.scan.ret_type_untrusted(wrong)


@pytest.mark.parametrize("path", [b"", b"\x00", b"\x01\x00", bytes([1]) * 9])
def test_bad_paths(impl: Impl, path: bytes) -> None:
    for reader in ("read_varint", "read_int32", "read_bytes", "read_messages", "read_security"):
        with pytest.raises(ValueError, match="1 to 8 field numbers"):
            getattr(impl.scan, f"{reader}_untrusted")(b"", path)
    with pytest.raises(ValueError, match="1 to 8 field numbers"):
        impl.scan.set_varint_untrusted(b"", path, 1)


def test_longest_path(impl: Impl) -> None:
    assert impl.scan.PATH_MAX == 8
    body = scalar(9, 77)
    for _ in range(7):
        body = field(1, body)
    path = b"\x01" * 7 + b"\x09"
    assert impl.scan.read_varint_untrusted(body, path) == 77
    patched = impl.scan.set_varint_untrusted(body, path, 2**60)
    assert impl.scan.read_varint_untrusted(patched, path) == 2**60


# -- set_varint


def test_set_existing(impl: Impl) -> None:
    body = scalar(7, 1) + field(1, scalar(2, 5) + field(9, b"kept")) + group(8) + scalar(7, 2)
    patched = scalar(7, 1) + field(1, scalar(2, 300) + field(9, b"kept")) + group(8) + scalar(7, 2)
    assert impl.scan.set_varint_untrusted(body, b"\x01\x02", 300) == patched
    assert impl.scan.set_varint_untrusted(patched, b"\x01\x02", 5) == body


def test_set_absent_leaf_is_appended_to_its_parent(impl: Impl) -> None:
    body = field(1, scalar(3, 1)) + scalar(4, 1)
    assert impl.scan.set_varint_untrusted(body, b"\x01\xc8", 6) == field(1, scalar(3, 1) + scalar(200, 6)) + scalar(
        4, 1
    )
    assert impl.scan.set_varint_untrusted(b"", b"\x05", 6) == scalar(5, 6)


def test_set_negative(impl: Impl) -> None:
    patched = impl.scan.set_varint_untrusted(scalar(3, 1), b"\x03", -1)
    assert patched == scalar(3, -1)
    assert node().FromString(patched).i32 == -1


@pytest.mark.parametrize("value", [-(2**63) - 1, 2**64])
def test_set_out_of_range(impl: Impl, value: int) -> None:
    with pytest.raises(OverflowError):
        impl.scan.set_varint_untrusted(b"", b"\x01", value)


def test_lengths_grow_over_their_own_size(impl: Impl) -> None:
    """Both enclosing lengths go from one byte to two."""
    body = field(1, field(1, field(4, bytes(118)) + scalar(2, 1)))
    assert impl.scan.set_varint_untrusted(body, b"\x01\x01\x02", 2**63) == field(
        1, field(1, field(4, bytes(118)) + scalar(2, 2**63))
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "is missing"),
        (scalar(1, 5), "is missing"),
        (field(1, b"") + field(1, b""), "occurs twice"),
        (field(1, scalar(2, 1) + scalar(2, 1)), "occurs twice"),
        (field(1, scalar(2, 1)) + b"\x88", "cut off"),
        (field(1, scalar(2, 1) + b"\x88"), "cut off"),
    ],
)
def test_set_refuses(impl: Impl, body: bytes, text: str) -> None:
    with pytest.raises(RemoteProtocolError, match=text):
        impl.scan.set_varint_untrusted(body, b"\x01\x02", 9)


@DETERMINISTIC
@given(before=messages, inner=messages, after=messages, old=u64, new=u64)
def test_set_changes_nothing_else(impl: Impl, before: bytes, inner: bytes, after: bytes, old: int, new: int) -> None:
    """Setting the old value again gives the old bytes; the library reads the new value and nothing else differs."""
    body = before + field(1, inner + scalar(2, old) + inner) + after
    try:
        patched = impl.scan.set_varint_untrusted(body, b"\x01\x02", new)
    except RemoteProtocolError as error:
        assert "occurs twice" in str(error)  # noqa: PT017
        return
    assert patched == before + field(1, inner + scalar(2, new) + inner) + after
    assert impl.scan.set_varint_untrusted(patched, b"\x01\x02", old) == body


@DETERMINISTIC
@given(data=st.data(), new=st.integers(-(2**31), 2**31 - 1))
def test_library_reads_what_was_set(impl: Impl, data: st.DataObject, new: int) -> None:
    message = data.draw(node_messages())
    body = message.SerializeToString() + field(99, b"unknown")
    message.node.i32 = new
    patched = impl.scan.set_varint_untrusted(body, b"\x01\x03", new)
    assert node().FromString(patched) == node().FromString(message.SerializeToString() + field(99, b"unknown"))
    assert patched.endswith(field(99, b"unknown"))


@st.composite
def node_messages(draw: st.DrawFn) -> Any:
    """As a library would write them, with a node inside."""
    message = node()()
    for part in (message, message.node):
        part.SetInParent()
        if draw(st.booleans()):
            part.u64 = draw(u64)
        if draw(st.booleans()):
            part.i32 = draw(st.integers(-(2**31), 2**31 - 1))
        if draw(st.booleans()):
            part.text = draw(st.binary(max_size=200))
        part.item.extend(draw(st.lists(st.binary(max_size=5), max_size=3)))
        if draw(st.booleans()):
            part.security.market = draw(st.integers(0, 100))
            part.security.code = draw(st.binary(max_size=8))
    return message


# -- patch_packet_id


def order(packet_id: bytes, rest: bytes = b"") -> bytes:
    return field(1, packet_id + scalar(2, 1) + rest) + scalar(15, 3)


def packet(conn_id: int, serial_no: int) -> bytes:
    return field(1, scalar(1, conn_id) + scalar(2, serial_no))


@DETERMINISTIC
@given(
    old=st.none() | st.tuples(u64, st.integers(0, 2**32 - 1)),
    conn_id=u64,
    serial_no=st.integers(0, 2**32 - 1),
    rest=st.binary(max_size=200),
)
def test_patch_packet_id(impl: Impl, old: tuple[int, int] | None, conn_id: int, serial_no: int, rest: bytes) -> None:
    body = order(packet(*old) if old else b"", field(4, rest))
    patched = impl.scan.patch_packet_id_untrusted(body, conn_id, serial_no)
    assert patched == order(packet(conn_id, serial_no), field(4, rest))
    assert impl.scan.packet_id_untrusted(patched) == (conn_id, serial_no)


def test_packet_id_anywhere_in_c2s(impl: Impl) -> None:
    body = field(1, scalar(2, 1) + packet(5, 6) + scalar(3, 1))
    patched = field(1, scalar(2, 1) + packet(7, 8) + scalar(3, 1))
    assert impl.scan.patch_packet_id_untrusted(body, 7, 8) == patched


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "is missing"),
        (order(b"") + order(b""), "occurs twice"),
        (order(packet(1, 2) + packet(1, 2)), "occurs twice"),
        (order(field(1, b"\x08")), "cut off"),
        (order(packet(1, 2), b"\x07"), "a tag is not valid"),
    ],
)
def test_patch_refuses(impl: Impl, body: bytes, text: str) -> None:
    with pytest.raises(RemoteProtocolError, match=text):
        impl.scan.patch_packet_id_untrusted(body, 1, 2)


@pytest.mark.parametrize("values", [(2**64, 0), (-1, 0), (0, 2**32), (0, -1)])
def test_patch_out_of_range(impl: Impl, values: tuple[int, int]) -> None:
    with pytest.raises(OverflowError):
        impl.scan.patch_packet_id_untrusted(order(b""), *values)


# -- the two implementations


def outcome(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except RemoteProtocolError as error:
        return str(error)


@settings(DETERMINISTIC, max_examples=400)
@given(case=body_and_path(PATHS), value=u64)
def test_implementations_agree(both: tuple[Impl, Impl], case: tuple[bytes, bytes], value: int) -> None:
    """Same value or same refusal, for every function, on any bytes."""
    body, path = case
    calls: list[tuple[Any, ...]] = [
        ("read_varint_untrusted", body, path),
        ("read_int32_untrusted", body, path),
        ("read_bytes_untrusted", body, path),
        ("read_messages_untrusted", body, path),
        ("read_security_untrusted", body, path),
        ("ret_type_untrusted", body),
        ("set_varint_untrusted", body, path, value),
        ("packet_id_untrusted", body),
        ("patch_packet_id_untrusted", body, value, value & 2**32 - 1),
    ]
    for name, *arguments in calls:
        pure, native = (outcome(getattr(impl.scan, name), *arguments) for impl in both)
        assert pure == native, name


def test_long_lengths_become_short_ones(impl: Impl) -> None:
    """Lengths around a patch are written anew, in their shortest form."""
    inner = scalar(2, 5)
    body = b"\x0a" + varint(len(inner), 5) + inner
    assert impl.scan.set_varint_untrusted(body, b"\x01\x02", 6) == field(1, scalar(2, 6))
