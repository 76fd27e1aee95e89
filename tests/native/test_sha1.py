"""The digest equals hashlib's, whatever code computes it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.native.conftest import Impl

VECTORS = {
    b"": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    b"abc": "a9993e364706816aba3e25717850c26c9cd0d89d",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
    b"a" * 1_000_000: "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
}
LENGTHS = [*range(301), 1000, 4095, 4096, 16384]


def pattern(length: int) -> bytes:
    return bytes(i * 131 + length & 0xFF for i in range(length))


@pytest.mark.parametrize("message", VECTORS, ids=lambda message: f"{len(message)} bytes")
def test_vectors(impl: Impl, message: bytes) -> None:
    assert impl.framing.body_sha1(message).hex() == VECTORS[message]


def test_every_length_around_the_blocks(impl: Impl) -> None:
    for length in LENGTHS:
        data = pattern(length)
        assert impl.framing.body_sha1(data) == hashlib.sha1(data).digest(), length


@settings(derandomize=True, deadline=None)
@given(data=st.binary(max_size=2000), start=st.integers(0, 70))
def test_equals_hashlib(impl: Impl, data: bytes, start: int) -> None:
    """At any alignment."""
    assert impl.framing.body_sha1(memoryview(data)[start:]) == hashlib.sha1(data[start:]).digest()


def test_backend_without_the_instructions() -> None:
    """The other code path of the compiled module, which machines without SHA instructions take."""
    program = (
        "import hashlib, opendmux.native._framing as f\n"
        "assert f.sha1_backend() == 'hashlib'\n"
        f"for n in {LENGTHS}:\n"
        "    data = bytes(n)\n"
        "    assert f.body_sha1(data) == hashlib.sha1(data).digest()\n"
        "assert f.Frame(1, 0, 0, hashlib.sha1(b'x').digest(), b'x').sha1_matches()\n"
    )
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "OPENDMUX_SHA1": "hashlib"}, check=True)


def test_backend_has_a_name(impl: Impl) -> None:
    assert impl.framing.sha1_backend() in {"sha-ni", "hashlib"}
