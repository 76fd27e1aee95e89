"""Audit lines: what they say, in which order, and what never gets in."""

from __future__ import annotations

import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.core.audit import (
    GENESIS,
    TEXT_MAX,
    AuditEvent,
    args_hash_of,
    hash_of_line,
    line_of,
    order_summary_untrusted,
    timestamp_of,
    torn_hash_of,
)
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.messages import canonical_json, encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

WALL = 1_795_253_400.000125
PLAINTEXT = "fc_" + "0123456789abcdef" * 4
EVENT = AuditEvent(
    "grpc",
    "127.0.0.1:5",
    "bot",
    "proto_id=2202",
    "success",
    scope="trade:simulate",
    args_hash=args_hash_of(b"body"),
    order={"code": "00700", "qty": 100.0},
    upstream_serial=7,
)


def test_a_line_has_its_keys_in_the_fixed_order() -> None:
    line = line_of(EVENT, 3, WALL, "ab" * 32)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    said = json.loads(line)
    assert list(said) == [
        *("timestamp", "seq", "iface", "peer", "key_id", "endpoint", "outcome", "reason", "scope"),
        *("args_hash", "order", "upstream_serial", "prev", "hash"),
    ]
    assert said["seq"] == 3
    assert said["prev"] == "ab" * 32
    assert said["order"] == {"code": "00700", "qty": 100.0}
    assert said["args_hash"] == hashlib.sha256(b"body").hexdigest()[:16]


def test_the_time_is_rfc_3339_with_microseconds() -> None:
    assert timestamp_of(0.0) == "1970-01-01T00:00:00.000000Z"
    assert timestamp_of(1_700_000_000.000125) == "2023-11-14T22:13:20.000125Z"


def test_the_hash_is_that_of_the_line_without_it() -> None:
    line = line_of(EVENT, 1, WALL, GENESIS)
    hashed, _, rest = line.partition(b',"hash":"')
    assert rest == hashlib.sha256(hashed).hexdigest().encode() + b'"}\n'
    assert hash_of_line(line) == hashlib.sha256(hashed).hexdigest()
    assert hash_of_line(line_of(EVENT, 1, WALL, hash_of_line(line) or "")) != hash_of_line(line)


@pytest.mark.parametrize("spoilt", [b"", b"\n", b"x" * 200 + b'"}\n', b'{"hash":"' + b"0" * 64 + b'"}\n'])
def test_what_is_no_line_has_no_hash(spoilt: bytes) -> None:
    assert hash_of_line(spoilt) is None


@pytest.mark.parametrize("where", ["iface", "peer", "key_id", "endpoint", "reason", "scope", "args_hash", "code"])
def test_a_key_never_gets_in(where: str) -> None:
    texts = dict.fromkeys(("iface", "peer", "key_id", "endpoint", "reason", "scope", "args_hash"), "x")
    order: dict[str, int | float | str | list[str]] = {"code": "x", "legs": ["x"]}
    if where == "code":
        order = {"code": f"a{PLAINTEXT}", "legs": [PLAINTEXT.upper().replace("FC_", "fc_")]}
    else:
        texts[where] = f"a {PLAINTEXT} b"
    event = AuditEvent(**texts, outcome="reject", order=order)  # type: ignore[arg-type]
    line = line_of(event, 1, WALL, GENESIS)
    assert b"0123456789" not in line.partition(b',"prev"')[0].partition(b'"seq"')[2]
    assert b"fc_<masked>" in line


@given(st.text(), st.floats(), st.text())
def test_any_text_and_number_make_one_line(reason: str, price: float, code: str) -> None:
    event = AuditEvent("tcp", "p", "k", "e", "failure", reason=reason, order={"price": price, "code": code})
    line = line_of(event, 1, WALL, GENESIS)
    assert line.count(b"\n") == 1
    said = json.loads(line)
    assert len(said["reason"]) <= TEXT_MAX + len("fc_<masked>")
    assert hash_of_line(line) is not None
    if math.isfinite(price):
        assert said["order"]["price"] == price


def test_lone_surrogates_do_not_stop_the_log() -> None:
    line = line_of(AuditEvent("tcp", "p", "k", "e", "failure", reason="a\ud800b"), 1, WALL, GENESIS)
    assert json.loads(line)["reason"] == "a?b"


def test_a_scrap_has_the_same_hash_completed_or_not() -> None:
    assert torn_hash_of(b'{"times') == torn_hash_of(b'{"times\n')


# -- orders


def place() -> opend.PlaceOrderRequest:
    return opend.PlaceOrderRequest(
        c2s=opend.PlaceOrderC2S(
            packetID=opend.PacketID(connID=1, serialNo=2),
            header=opend.TrdHeader(trdEnv=0, accID=281756478396547854, trdMarket=1),
            trdSide=1,
            orderType=1,
            code="00700",
            qty=100,
            price=350.2,
            remark="secret words",
        )
    )


PLACED = {
    "acc_id": 281756478396547854,
    "env": "simulate",
    "market": "HK",
    "code": "00700",
    "side": "BUY",
    "order_type": "NORMAL",
    "qty": 100.0,
    "price": 350.2,
}


def test_an_order_in_either_format() -> None:
    assert order_summary_untrusted(ProtoId.TRD_PLACE_ORDER, ProtoFmt.PROTOBUF, encode(place())) == PLACED
    assert order_summary_untrusted(ProtoId.TRD_PLACE_ORDER, ProtoFmt.JSON, canonical_json(place())) == PLACED


def test_only_what_is_there_is_said_and_unknown_numbers_stay() -> None:
    message = opend.PlaceOrderRequest(c2s=opend.PlaceOrderC2S(header=opend.TrdHeader(trdEnv=1), trdSide=77))
    summary = order_summary_untrusted(ProtoId.TRD_PLACE_ORDER, 0, encode(message))
    assert summary == {"env": "real", "side": 77}


def test_a_change_and_a_cancellation() -> None:
    header = opend.TrdHeader(trdEnv=1, accID=5, trdMarket=2)
    by_text = opend.ModifyOrderC2S(header=header, orderID=0, orderIDEx="FA12", modifyOrderOp=2, qty=0, price=0)
    summary = order_summary_untrusted(ProtoId.TRD_MODIFY_ORDER, 0, encode(opend.ModifyOrderRequest(c2s=by_text)))
    assert summary["order_id"] == "FA12"
    assert summary["op"] == "CANCEL"
    by_number = opend.ModifyOrderC2S(header=header, orderID=12345678901234567890, modifyOrderOp=1, forAll=True)
    summary = order_summary_untrusted(ProtoId.TRD_MODIFY_ORDER, 0, encode(opend.ModifyOrderRequest(c2s=by_number)))
    assert summary["order_id"] == "12345678901234567890"
    assert summary["for_all"] is True


def test_a_combo_names_its_legs() -> None:
    legs = [opend.ComboLeg(security=opend.Security(market=1, code=f"L{n}"), side=1 + n % 5) for n in range(40)]
    message = opend.PlaceComboOrderRequest(c2s=opend.PlaceComboOrderC2S(comboLegs=legs, qty=2, price=1.5, orderType=2))
    summary = order_summary_untrusted(ProtoId.TRD_PLACE_COMBO_ORDER, 0, encode(message))
    assert summary["code"] == [f"L{n}" for n in range(16)]
    assert summary["side"][:5] == ["BUY", "SELL", "SELL_SHORT", "BUY_BACK", "5"]  # type: ignore[index]
    assert summary["order_type"] == "MARKET"


@pytest.mark.parametrize("proto_id", [ProtoId.TRD_RECONFIRM_ORDER_2209, ProtoId.TRD_RECONFIRM_ORDER_2237])
def test_a_reconfirmation(proto_id: int) -> None:
    body = encode(opend.ReconfirmOrderRequest(c2s=opend.ReconfirmOrderC2S(orderID=9)))
    assert order_summary_untrusted(proto_id, 0, body) == {"order_id": "9", "op": "RECONFIRM"}


@given(st.sampled_from([2202, 2205, 2209, 2227, 2237, 2201, 3001, 0]), st.integers(0, 5), st.binary(max_size=200))
def test_whatever_comes_it_never_raises(proto_id: int, proto_fmt: int, body: bytes) -> None:
    summary = order_summary_untrusted(proto_id, proto_fmt, body)
    line_of(AuditEvent("tcp", "p", "k", "e", "reject", order=summary), 1, WALL, GENESIS)
