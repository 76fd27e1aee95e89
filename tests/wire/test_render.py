"""Protobuf answers shown as JSON, in full or not at all."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.wire.frame import ProtoFmt
from opendmux.wire.messages import encode, to_client
from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import PROTOCOLS, ProtoId
from opendmux.wire.render import RESPONSES, from_json_untrusted, to_json_untrusted

ORDER = opend_sim.UpdateOrderResponse(
    retType=0,
    s2c=opend_sim.UpdateOrderS2C(
        header=opend.TrdHeader(trdEnv=1, accID=281756478396547854, trdMarket=1),
        order=opend_sim.Order(orderID=2**64 - 1, code="00700", qty=100.0, price=1.1),
    ),
)


def test_an_order_push() -> None:
    said = to_json_untrusted(ProtoId.TRD_UPDATE_ORDER, encode(ORDER))
    assert said is not None
    assert said["retType"] == 0
    assert said["s2c"]["header"] == {"trdEnv": 1, "accID": "281756478396547854", "trdMarket": 1}
    assert said["s2c"]["order"] == {"orderID": str(2**64 - 1), "code": "00700", "qty": 100.0, "price": 1.1}


@pytest.mark.parametrize(
    "body",
    [
        encode(ORDER) + b"\xf8\x07\x01",  # field 127
        encode(opend_sim.UpdateOrderResponse(retType=0)) + b"\x22\x03\xf8\x07\x01",  # the same in s2c
        b"\xff",
    ],
)
def test_what_is_not_known_in_full_is_not_shown(body: bytes) -> None:
    assert to_json_untrusted(ProtoId.TRD_UPDATE_ORDER, body) is None


def test_unknown_fields_in_a_list() -> None:
    body = encode(opend_sim.BasicQotResponse(retType=0, s2c=opend_sim.BasicQotS2C(basicQotList=[opend_sim.BasicQot()])))
    assert to_json_untrusted(ProtoId.QOT_GET_BASIC_QOT, body) is not None
    strange = b"\x08\x00\x22\x05\x0a\x03\xf8\x07\x01"
    assert to_json_untrusted(ProtoId.QOT_GET_BASIC_QOT, strange) is None


def test_protocols_that_are_not_known_here() -> None:
    assert to_json_untrusted(9999, b"\x08\x00") is None
    assert from_json_untrusted(9999, b'{"retType":0}') is None


@pytest.mark.parametrize("proto_id", sorted(RESPONSES))
def test_there_and_back(proto_id: int) -> None:
    assert proto_id in PROTOCOLS
    message = RESPONSES[proto_id]()
    message.ParseFromString(b"\x08\x00")
    body = to_client(message, ProtoFmt.JSON)
    assert msgspec.json.decode(body) == to_json_untrusted(proto_id, encode(message)) == {"retType": 0}
    assert from_json_untrusted(proto_id, body) == encode(message)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"retType":0,"strange":1}', b'{"retType":"x"}'])
def test_json_that_is_not_known_in_full(body: bytes) -> None:
    assert from_json_untrusted(ProtoId.QOT_SUB, body) is None


@given(st.sampled_from(sorted(RESPONSES)), st.binary(max_size=100))
def test_any_bytes(proto_id: int, body: bytes) -> None:
    to_json_untrusted(proto_id, body)
    from_json_untrusted(proto_id, body)
