"""The first bytes name the protocol."""

from __future__ import annotations

import pytest

from opendmux.wire.sniff import Kind, sniff


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (b"F", Kind.OPEND),
        (b"FT\x00", Kind.OPEND),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Kind.HTTP2),
        (b"PRI", Kind.HTTP2),
        (b"G", Kind.HTTP1),
        (b"GET / HTTP/1.1\r\n", Kind.HTTP1),
        (b"POST /v1", Kind.HTTP1),
        (b"PUT ", Kind.HTTP1),
        (b"PROPFIND", Kind.HTTP1),
        (b"PO", Kind.HTTP1),
        (b"\x16\x03\x01", Kind.TLS),
        (b"\x00", Kind.OPEND),
        (b"hello", Kind.OPEND),
    ],
)
def test_the_protocol_is_told_by_its_first_bytes(first: bytes, kind: Kind) -> None:
    assert sniff(first) is kind


@pytest.mark.parametrize("first", [b"", b"P", b"PR"])
def test_what_could_be_two_needs_more(first: bytes) -> None:
    assert sniff(first) is None
