"""Status, trailers, timeouts."""

from __future__ import annotations

import base64
from urllib.parse import unquote

import pytest
from google.protobuf import descriptor_pool
from hpack import NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from opendmux.wire.grpc_status import OK, CallError, Code, Status, percent_encode, timeout_untrusted, trailers
from opendmux.wire.pb import grpc_status


def test_an_ok_is_one_header() -> None:
    assert trailers(OK) == [(b"grpc-status", b"0")]


def test_a_refusal_says_who_why_and_when() -> None:
    status = Status(Code.RESOURCE_EXHAUSTED, "50% höher", "rate", (("limit", "5"),), 1.25)
    headers = {header[0]: header[1] for header in trailers(status)}
    assert headers[b"grpc-status"] == b"8"
    assert headers[b"grpc-message"] == b"50%25 h%C3%B6her"
    assert headers[b"grpc-retry-pushback-ms"] == b"1250"
    raw = headers[b"grpc-status-details-bin"]
    assert not raw.endswith(b"=")
    whole = grpc_status.Status.FromString(base64.b64decode(raw + b"=" * (-len(raw) % 4)))
    assert (whole.code, whole.message) == (8, "50% höher")
    assert [d.type_url for d in whole.details] == [
        "type.googleapis.com/google.rpc.ErrorInfo",
        "type.googleapis.com/google.rpc.RetryInfo",
    ]
    info = grpc_status.ErrorInfo.FromString(whole.details[0].value)
    assert (info.reason, info.domain, dict(info.metadata)) == ("RATE", "opendmux", {"limit": "5"})
    delay = grpc_status.RetryInfo.FromString(whole.details[1].value).retry_delay
    assert (delay.seconds, delay.nanos) == (1, 250_000_000)


def test_a_text_stays_out_of_the_header_table_and_is_bounded() -> None:
    headers = trailers(Status(Code.INTERNAL, "x" * 5000))
    assert isinstance(headers[1], NeverIndexedHeaderTuple)
    assert len(headers[1][1]) == 1024


def test_the_messages_stay_out_of_the_default_pool() -> None:
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("opendmux.rpc.Status")


@given(st.text(max_size=300))
def test_percent_encoding_is_printable_and_comes_back(text: str) -> None:
    encoded = percent_encode(text)
    assert all(0x20 <= byte <= 0x7E for byte in encoded)
    assert unquote(encoded.decode()) == text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"1H", 3600), (b"2M", 120), (b"10S", 10), (b"99999999m", 99999.999), (b"5u", 5e-6), (b"7n", 7e-9), (b"0S", 0)],
)
def test_timeouts(value: bytes, seconds: float) -> None:
    assert timeout_untrusted(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [b"", b"S", b"1", b"123456789S", b"-1S", b"1.5S", b" 1S", b"1s", b"\xd9\xa1S"])
def test_no_timeouts(value: bytes) -> None:
    with pytest.raises(CallError) as caught:
        timeout_untrusted(value)
    assert caught.value.status.code is Code.INVALID_ARGUMENT
