"""PacketID into trade writes, and whether a write touches real money."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core.packet import is_real_untrusted, stamp_untrusted
from opendmux.errors import RemoteProtocolError
from opendmux.native import packet_id_untrusted
from opendmux.wire.protocols import PACKET_ID_IDS
from tests.native.wire_format import anything, field, scalar
from tests.runtime.bodies import trade_write

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=200)
IDS = sorted(PACKET_ID_IDS)


def in_json(**c2s: Any) -> bytes:
    return json.dumps({"c2s": c2s}).encode()


def write(*, env: bytes, packet_id: bytes = b"") -> bytes:
    return field(1, field(1, packet_id) + field(2, env + scalar(2, 10)) + field(99, b"new"))


@pytest.mark.parametrize("proto_id", IDS)
def test_the_packet_id_is_replaced_and_nothing_else(proto_id: int) -> None:
    body = stamp_untrusted(proto_id, 0, trade_write(1, 2, tail=field(99, b"new")), 2**63 + 5, 2**32 - 1)
    assert packet_id_untrusted(body) == (2**63 + 5, 2**32 - 1)
    assert body == trade_write(2**63 + 5, 2**32 - 1, tail=field(99, b"new"))


@pytest.mark.parametrize("proto_id", IDS)
def test_json_comes_out_in_canonical_form(proto_id: int) -> None:
    body = in_json(packetID={"connID": 5, "serialNo": 6}, header={"trdEnv": 1, "accID": 2**64 - 1, "trdMarket": 1})
    assert json.loads(stamp_untrusted(proto_id, 1, body, 2**63 + 5, 7)) == {
        "c2s": {
            "packetID": {"connID": str(2**63 + 5), "serialNo": 7},
            "header": {"trdEnv": 1, "accID": str(2**64 - 1), "trdMarket": 1},
        }
    }


@pytest.mark.parametrize("proto_id", IDS)
@pytest.mark.parametrize(
    ("body", "proto_fmt"),
    [
        (b"", 0),
        (b"\xff", 0),
        (field(1, b"") * 2, 0),
        (b"{", 1),
        (in_json(more=1), 1),
        (b'{"c2s": {"packetID": {"connID": 1, "connID": 2}}}', 1),
        (trade_write(1, 2), 1),
        (trade_write(1, 2), 2),
    ],
)
def test_what_opend_may_read_in_two_ways_is_refused(proto_id: int, body: bytes, proto_fmt: int) -> None:
    with pytest.raises(RemoteProtocolError):
        stamp_untrusted(proto_id, proto_fmt, body, 1, 2)


@pytest.mark.parametrize("proto_id", IDS)
@pytest.mark.parametrize(
    ("env", "real"),
    [
        (scalar(1, 0), False),
        (scalar(1, 1), True),
        (scalar(1, 7), True),
        (b"", True),
        (scalar(1, 0) + scalar(1, 1), True),
        (scalar(1, 1) + scalar(1, 0), False),
        (scalar(1, 2**32), False),
        (scalar(1, 2**32 + 1), True),
    ],
)
def test_anything_but_simulate_is_real(proto_id: int, env: bytes, real: bool) -> None:
    """As protobuf reads it: the last value counts, in 32 bits."""
    assert is_real_untrusted(proto_id, 0, write(env=env)) is real


@pytest.mark.parametrize("proto_id", IDS)
def test_json_must_say_which_it_is(proto_id: int) -> None:
    for env in (0, 1, 7):
        assert is_real_untrusted(proto_id, 1, in_json(header={"trdEnv": env})) is (env != 0)
    unsaid: list[dict[str, Any]] = [{}, {"header": {}}, {"header": {"trdEnv": None}}]
    for c2s in unsaid:
        with pytest.raises(RemoteProtocolError, match="trdEnv is missing"):
            is_real_untrusted(proto_id, 1, in_json(**c2s))


@DETERMINISTIC
@given(proto_id=st.sampled_from(IDS), body=anything, proto_fmt=st.sampled_from([0, 1]))
def test_any_body_is_stamped_or_refused(proto_id: int, body: bytes, proto_fmt: int) -> None:
    try:
        stamped = stamp_untrusted(proto_id, proto_fmt, body, 7, 9)
        real = is_real_untrusted(proto_id, proto_fmt, body)
    except RemoteProtocolError:
        return
    assert packet_id_untrusted(stamped) == (7, 9)
    assert is_real_untrusted(proto_id, proto_fmt, stamped) is real
