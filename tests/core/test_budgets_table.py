"""The table of limits against the facts it was made from, and how a request finds its row."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.core.budget_table import (
    LIMITS,
    ROWS,
    USER,
    Charge,
    Counts,
    Priority,
    Scope,
    charge_untrusted,
    priority_untrusted,
    refusal_text,
)
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.protocols import PROTOCOLS
from tests.native.wire_format import field, scalar

ACC_ID = 281756478396547854

PER_ACCOUNT = {
    2202: 15,
    2205: 20,
    2227: 15,
    2101: 10,
    2102: 10,
    2201: 10,
    2211: 10,
    2111: 10,
    2221: 10,
    2222: 10,
    2225: 10,
    2226: 20,
}
"""proto_id: requests per 30 s, as the list of protocols says."""

PER_USER = {
    2005: 10,
    3103: 60,
    3105: 60,
    3203: 60,
    3204: 10,
    3205: 10,
    3206: 10,
    3207: 10,
    3208: 10,
    3209: 10,
    3210: 60,
    3211: 30,
    3212: 30,
    3213: 10,
    3214: 10,
    3215: 10,
    3217: 10,
    3218: 30,
    3219: 30,
    3220: 60,
    3221: 10,
    3222: 10,
    3223: 10,
    3262: 10,
    3263: 10,
}

WRITES = (2202, 2205, 2227)
REFRESH_FIELDS = {2101: 2, 2102: 5, 2201: 4, 2211: 3}
HISTORY_KL, REFERENCE, MODIFY = 3103, 3206, 2205


def request(*fields: bytes) -> bytes:
    return field(1, b"".join(fields))


def header(acc_id: int = ACC_ID) -> bytes:
    return scalar(1, 1) + scalar(2, acc_id) + scalar(3, 1)


def account_body(proto_id: int, *fields: bytes, acc_id: int = ACC_ID) -> bytes:
    if proto_id in WRITES:
        return request(field(1, scalar(1, 7) + scalar(2, 8)), field(2, header(acc_id)), *fields)
    return request(field(1, header(acc_id)), *fields)


def json_body(**c2s: Any) -> bytes:
    return json.dumps({"c2s": c2s}, indent=1).encode()


def charge(proto_id: int, body: bytes) -> Charge | None:
    return charge_untrusted(proto_id, ProtoFmt.PROTOBUF, body)


def json_charge(proto_id: int, body: bytes) -> Charge | None:
    return charge_untrusted(proto_id, ProtoFmt.JSON, body)


# -- the rows


def test_every_limited_call_has_its_row_and_no_other_has_one() -> None:
    assert {p: row.limit.count for p, row in ROWS.items() if row.limit.scope is Scope.ACCOUNT} == PER_ACCOUNT
    assert {p: row.limit.count for p, row in ROWS.items() if row.limit.scope is Scope.USER} == PER_USER
    assert all(PROTOCOLS[proto_id].kind == "request" for proto_id in ROWS)


def test_the_window_is_30_seconds_everywhere() -> None:
    assert {limit.window_s for limit in LIMITS.values()} == {30.0}


def test_only_orders_keep_a_distance() -> None:
    assert {p: row.limit.min_gap_s for p, row in ROWS.items() if row.limit.min_gap_s} == {
        2202: 0.02,
        2227: 0.02,
        2205: 0.04,
    }


def test_only_combo_orders_share_a_budget() -> None:
    assert ROWS[2227].limit is ROWS[2202].limit
    assert len(LIMITS) == len(ROWS) - 1
    assert all(LIMITS[row.limit.name] is row.limit for row in ROWS.values())
    assert all(row.limit.proto_id == proto_id for proto_id, row in ROWS.items() if proto_id != 2227)


def test_conditions() -> None:
    conditions = {p: row.counts for p, row in ROWS.items() if row.counts is not Counts.ALWAYS}
    assert conditions == {
        **dict.fromkeys(REFRESH_FIELDS, Counts.REFRESH),
        HISTORY_KL: Counts.FIRST_PAGE,
        REFERENCE: Counts.NOT_WARRANTS,
    }


def test_every_row_says_where_it_comes_from() -> None:
    assert all("[doc" in row.source or "[3p]" in row.source for row in ROWS.values())


# -- the charge of a request


@pytest.mark.parametrize("proto_id", sorted(set(PER_ACCOUNT) - set(REFRESH_FIELDS)))
def test_account_calls_count_under_their_account(proto_id: int) -> None:
    expected = Charge(ROWS[proto_id].limit.name, ACC_ID)
    assert charge(proto_id, account_body(proto_id)) == expected
    assert json_charge(proto_id, json_body(header={"trdEnv": 1, "accID": str(ACC_ID), "trdMarket": 1})) == expected
    assert json_charge(proto_id, json_body(header={"accID": ACC_ID})) == expected


def test_a_combo_order_counts_as_an_order() -> None:
    assert charge(2227, account_body(2227)) == charge(2202, account_body(2202)) == Charge("Trd_PlaceOrder", ACC_ID)


def test_every_account_number_of_64_bits_is_read() -> None:
    assert charge(2202, account_body(2202, acc_id=2**64 - 1)) == Charge("Trd_PlaceOrder", 2**64 - 1)
    assert json_charge(2111, json_body(header={"accID": str(2**64 - 1)})) == Charge("Trd_GetMaxTrdQtys", 2**64 - 1)


@pytest.mark.parametrize(("proto_id", "number"), REFRESH_FIELDS.items())
def test_a_trade_read_counts_only_when_it_refreshes(proto_id: int, number: int) -> None:
    expected = Charge(PROTOCOLS[proto_id].name, ACC_ID)
    who: dict[str, object] = {"header": {"accID": str(ACC_ID)}}
    assert charge(proto_id, account_body(proto_id)) is None
    assert charge(proto_id, account_body(proto_id, scalar(number, 0))) is None
    assert charge(proto_id, account_body(proto_id, scalar(number, 1))) == expected
    assert charge(proto_id, account_body(proto_id, scalar(number, 1), scalar(number, 0))) is None, "the last one counts"
    assert json_charge(proto_id, json_body(**who)) is None
    assert json_charge(proto_id, json_body(**who, refreshCache=False)) is None
    assert json_charge(proto_id, json_body(**who, refreshCache=True)) == expected


def test_history_candles_count_on_the_first_page_only() -> None:
    expected = Charge("Qot_RequestHistoryKL", USER)
    assert charge(HISTORY_KL, request(scalar(1, 1))) == expected
    assert charge(HISTORY_KL, request(scalar(1, 1), field(8, b""))) == expected
    assert charge(HISTORY_KL, request(scalar(1, 1), field(8, b"\x00page"))) is None
    assert json_charge(HISTORY_KL, json_body(rehabType=1)) == expected
    assert json_charge(HISTORY_KL, json_body(nextReqKey="")) == expected
    assert json_charge(HISTORY_KL, json_body(nextReqKey=base64.b64encode(b"\x00page").decode())) is None


def test_warrants_of_a_stock_are_free() -> None:
    expected = Charge("Qot_GetReference", USER)
    assert charge(REFERENCE, request(scalar(2, 1))) is None
    assert charge(REFERENCE, request(scalar(2, 2))) == expected
    assert charge(REFERENCE, request()) == expected
    assert json_charge(REFERENCE, json_body(referenceType=1)) is None
    assert json_charge(REFERENCE, json_body(referenceType=2)) == expected


@pytest.mark.parametrize("proto_id", sorted(set(PER_USER) - {HISTORY_KL, REFERENCE}))
def test_user_calls_count_whatever_they_say(proto_id: int) -> None:
    expected = Charge(PROTOCOLS[proto_id].name, USER)
    assert charge(proto_id, b"") == charge(proto_id, b"\xff") == json_charge(proto_id, b"{}") == expected


@pytest.mark.parametrize("proto_id", [1002, 2001, 2112, 2223, 3001, 3004, 3014, 3104, 3202, 3260, 9999])
def test_calls_without_a_row_are_free(proto_id: int) -> None:
    assert charge(proto_id, b"") is None


@pytest.mark.parametrize("proto_id", sorted(ROWS))
@pytest.mark.parametrize(
    ("proto_fmt", "body"),
    [
        (ProtoFmt.PROTOBUF, b"\x0a\x05\x0a"),
        (ProtoFmt.JSON, b""),
        (ProtoFmt.JSON, b"\xff"),
        (ProtoFmt.JSON, b"[]"),
        (ProtoFmt.JSON, b'{"c2s": 5}'),
        (ProtoFmt.JSON, b'{"c2s": {"header": {"accID": "x"}, "nextReqKey": 1, "refreshCache": 7}}'),
        (ProtoFmt.JSON, b'{"x":' * 5000),
        (2, b""),
    ],
)
def test_what_cant_be_read_counts_under_the_user(proto_id: int, proto_fmt: int, body: bytes) -> None:
    assert charge_untrusted(proto_id, proto_fmt, body) == Charge(ROWS[proto_id].limit.name, USER)


@pytest.mark.parametrize("body", [request(), request(field(2, b"")), account_body(2202, acc_id=0)])
def test_an_account_call_without_account_counts_under_the_user(body: bytes) -> None:
    assert charge(2202, body) == Charge("Trd_PlaceOrder", USER)


def test_a_json_account_call_without_account_counts_under_the_user() -> None:
    bodies: list[dict[str, object]] = [{}, {"header": None}, {"header": {}}, {"header": {"accID": None}}]
    for c2s in bodies:
        assert json_charge(2111, json_body(**c2s)) == Charge("Trd_GetMaxTrdQtys", USER)


@given(proto_id=st.sampled_from(sorted(PROTOCOLS)), proto_fmt=st.integers(0, 2), body=st.binary(max_size=60))
def test_any_body_gives_an_answer(proto_id: int, proto_fmt: int, body: bytes) -> None:
    found = charge_untrusted(proto_id, proto_fmt, body)
    assert found is None or found.budget in LIMITS
    assert priority_untrusted(proto_id, proto_fmt, body) in Priority


# -- priority


@pytest.mark.parametrize(
    ("op", "for_all", "priority"),
    [
        (1, None, Priority.MODIFY),
        (2, None, Priority.CANCEL),
        (3, None, Priority.CANCEL),
        (4, None, Priority.MODIFY),
        (5, None, Priority.MODIFY),
        (2, True, Priority.CANCEL),
        (0, True, Priority.CANCEL),
        (1, False, Priority.MODIFY),
        (None, None, Priority.MODIFY),
    ],
)
def test_a_modification_goes_by_what_it_does(op: int | None, for_all: bool | None, priority: Priority) -> None:
    fields = [scalar(4, op)] if op is not None else []
    fields += [scalar(5, for_all)] if for_all is not None else []
    c2s = {"modifyOrderOp": op, "forAll": for_all}
    said = {name: value for name, value in c2s.items() if value is not None}
    assert priority_untrusted(MODIFY, ProtoFmt.PROTOBUF, account_body(MODIFY, *fields)) is priority
    assert priority_untrusted(MODIFY, ProtoFmt.JSON, json_body(**said)) is priority


def test_priorities_of_the_other_calls() -> None:
    by_priority: dict[Priority, set[int]] = {}
    for proto_id in PROTOCOLS:
        by_priority.setdefault(priority_untrusted(proto_id, ProtoFmt.PROTOBUF, b""), set()).add(proto_id)
    assert by_priority.pop(Priority.QUERY) >= {2001, 2005, 2101, 3004, 3103}
    assert by_priority == {Priority.MODIFY: {MODIFY}, Priority.PLACE: {2202, 2227, 2209, 2237}}
    assert sorted(Priority) == [Priority.CANCEL, Priority.MODIFY, Priority.PLACE, Priority.QUERY]


def test_a_modification_that_cant_be_read_jumps_no_queue() -> None:
    for proto_fmt, body in ((ProtoFmt.PROTOBUF, b"\x0a\x05\x0a"), (ProtoFmt.JSON, b"{"), (7, b"")):
        assert priority_untrusted(MODIFY, proto_fmt, body) is Priority.MODIFY


# -- words


def test_refusal_text() -> None:
    assert refusal_text(2202, 7.2) == (
        "OpenD allows 15 of 2202 Trd_PlaceOrder per 30 s and account; try again in 7.2 s; nothing was sent"
    )
    assert refusal_text(2227, 7.21) == (
        "OpenD allows 15 of 2202 Trd_PlaceOrder per 30 s and account, 2227 Trd_PlaceComboOrder included; "
        "try again in 7.3 s; nothing was sent"
    )
    assert refusal_text(3103, 0.0) == (
        "OpenD allows 60 of 3103 Qot_RequestHistoryKL per 30 s and user; try again in 0.1 s; nothing was sent"
    )
