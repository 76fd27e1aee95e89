"""The gate for trade writes: every refusal with its words, what each costs, and the order of the checks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opendmux.core.commands import Command, Reply, Request, Witness
from opendmux.core.denial import Denial, DenialKind
from opendmux.core.keys import HoursWindow
from opendmux.core.markets import covered_markets
from opendmux.wire.messages import canonical_json, decode_untrusted
from opendmux.wire.pb import opend
from tests.core.gate_kit import WALL, Desk, key_of, passed, refused
from tests.core.trade_kit import (
    ACC,
    MARKET,
    SELL,
    US,
    combo,
    modify,
    order,
    order_push,
    place,
    placed,
    reconfirm,
)

PERMISSION, LIMIT, INVALID = DenialKind.PERMISSION, DenialKind.LIMIT, DenialKind.INVALID
PLACE = "2202 Trd_PlaceOrder was not sent: "
NO_SIMULATE = frozenset({"trade:real"})


@pytest.mark.parametrize(
    ("limits", "body", "denial"),
    [
        (
            {"max_orders_per_minute": 0},
            place(),
            Denial(LIMIT, "rate", "max_orders_per_minute 0 is used up: this key may not send orders"),
        ),
        (
            {"hours_window": HoursWindow(13 * 60, 14 * 60)},
            place(),
            Denial(
                LIMIT,
                "hours",
                "hours_window 13:00-14:00: it is 12:00 UTC, orders are allowed again in 1 h 0 min",
                retry_s=3600.0,
            ),
        ),
        (
            {"scopes": frozenset({"acc:read"})},
            place(),
            Denial(
                PERMISSION,
                "scope",
                "this key lacks trade:simulate or trade:real",
                scope="trade:simulate or trade:real",
            ),
        ),
        (
            {"scopes": NO_SIMULATE},
            place(env=0),
            Denial(PERMISSION, "scope", "this key lacks trade:simulate", scope="trade:simulate"),
        ),
        (
            {"scopes": frozenset({"trade:simulate"})},
            place(env=1),
            Denial(PERMISSION, "scope", "this key lacks trade:real", scope="trade:real"),
        ),
        (
            {"scopes": frozenset({"trade:simulate"})},
            place(env=7),
            Denial(PERMISSION, "scope", "this key lacks trade:real", scope="trade:real"),
        ),
        (
            {"acc_ids": [ACC + 1]},
            place(),
            Denial(PERMISSION, "account", f"allowed_acc_ids: this key may not use account {ACC}"),
        ),
        (
            {"acc_ids": []},
            place(),
            Denial(PERMISSION, "account", f"allowed_acc_ids: this key may not use account {ACC}"),
        ),
        (
            {"allowed_markets": frozenset({"US", "CN"})},
            place(),
            Denial(PERMISSION, "market", "allowed_markets is CN, US; this order is for HK"),
        ),
        (
            {"allowed_markets": frozenset()},
            place(),
            Denial(PERMISSION, "market", "allowed_markets is empty; this order is for HK"),
        ),
        (
            {"allowed_markets": frozenset({"HK"})},
            place(sec_market=US),
            Denial(PERMISSION, "market", "allowed_markets is HK; this order is for an unknown market"),
        ),
        (
            {"allowed_symbols": frozenset({f"HK.0000{i}" for i in range(7)})},
            place(),
            Denial(
                PERMISSION,
                "symbol",
                "allowed_symbols is HK.00000, HK.00001, HK.00002, HK.00003, HK.00004 and 2 more; "
                "this order is for HK.00700",
            ),
        ),
        (
            {"allowed_symbols": frozenset({"HK.00700", ".00700"})},
            place(sec_market=US),
            Denial(
                PERMISSION,
                "symbol",
                "allowed_symbols is .00700, HK.00700; this order is for 00700 of an unknown market",
            ),
        ),
        (
            {"allowed_trd_sides": frozenset({"BUY"})},
            place(side=SELL),
            Denial(PERMISSION, "side", "allowed_trd_sides is BUY; this order is for SELL"),
        ),
        (
            {"allowed_trd_sides": frozenset({"BUY"})},
            place(side=9),
            Denial(PERMISSION, "side", "allowed_trd_sides is BUY; this order is for an unknown side"),
        ),
        (
            {"max_order_value": 999.99},
            place(),
            Denial(LIMIT, "per_order", "max_order_value 999.99: this order is worth 1000"),
        ),
        (
            {"max_daily_value": 999.99},
            place(),
            Denial(
                LIMIT,
                "daily",
                "max_daily_value 999.99: 0 is used today, 999.99 is left, this order adds 1000",
            ),
        ),
        (
            {"max_order_value": 1000.0},
            place(qty=float("nan")),
            Denial(INVALID, "other", "qty is nan"),
        ),
        (
            {"max_order_value": 1000.0},
            place(price=-1.0),
            Denial(INVALID, "other", "price is -1.0"),
        ),
    ],
)
def test_every_refusal_in_its_words(limits: dict[str, object], body: bytes, denial: Denial) -> None:
    for proto_fmt in (0, 1):
        if proto_fmt == 1:
            body = canonical_json(decode_untrusted(opend.PlaceOrderRequest, body, 0))
        desk = Desk(key_of(**limits))  # type: ignore[arg-type]
        assert desk.send(2202, body, proto_fmt=proto_fmt) == replace(denial, text=PLACE + denial.text)
        assert (desk.sent, desk.asks, desk.gate.next_due()) == ([], [], None)


@pytest.mark.parametrize(
    ("limits", "body"),
    [
        ({}, place()),
        ({"acc_ids": [ACC]}, place()),
        ({"allowed_markets": frozenset({"HK"})}, place()),
        ({"allowed_markets": covered_markets(["CN"])}, place(code="600519", sec_market=31, trd_market=4)),
        ({"allowed_markets": covered_markets(["HKCC"])}, place(code="600519", sec_market=31, trd_market=4)),
        ({"allowed_markets": frozenset({"SH"})}, place(code="600519", sec_market=31, trd_market=4)),
        ({"allowed_symbols": frozenset({"HK.00700"})}, place()),
        ({"allowed_symbols": frozenset({"HK_FUTURE.HSImain"})}, place(code="HSImain", trd_market=5)),
        ({"allowed_trd_sides": frozenset({"SELL"})}, place(side=SELL)),
        ({"max_order_value": 0.3}, place(qty=3, price=0.1)),
        ({"max_daily_value": 0.3}, place(qty=3, price=0.1)),
        ({"max_orders_per_minute": 1}, place()),
        ({"hours_window": HoursWindow(12 * 60, 12 * 60 + 1)}, place()),
        ({"scopes": frozenset({"trade:simulate"})}, place(env=0)),
    ],
)
def test_what_is_just_allowed_passes(limits: dict[str, object], body: bytes) -> None:
    desk = Desk(key_of(**limits))  # type: ignore[arg-type]
    request = passed(desk.send(2202, body))
    assert desk.sent == [(request, 0.0)]
    assert request.body == body


def test_a_session_without_a_key_is_not_looked_at() -> None:
    assert passed(Desk(None).send(2202, b"\xff"))


def test_a_key_without_limits_leaves_nothing_behind() -> None:
    desk = Desk(key_of())
    request = passed(desk.send(2202, place(qty=float("nan"), order_type=MARKET)))
    passed(desk.send(2205, modify(order_id=7)))
    desk.settle(request, 0, placed())
    assert (len(desk.knowledge.book), desk.asks, desk.limits.changes()) == (0, [], [])


def test_the_sixth_order_of_a_minute() -> None:
    desk = Desk(key_of(max_orders_per_minute=5))
    for i in range(5):
        passed(desk.send(2202, place(), float(i)))
    denial = refused(desk.send(2202, place(), 48.0))
    assert denial.text == PLACE + "max_orders_per_minute 5 is used up; next order in 12 s"
    assert denial.retry_s == 12.0
    passed(desk.send(2202, place(), 60.0))


def test_one_allowance_for_all_gates() -> None:
    first = Desk(key_of(max_orders_per_minute=1, max_daily_value=1000.0))
    second = Desk(first.key, limits=first.limits)
    passed(first.send(2202, place()))
    assert refused(second.send(2202, place())).reason == "rate"
    assert refused(second.send(2202, place(), 61.0)).reason == "daily"


def test_the_checks_have_an_order() -> None:
    """Each step takes one reason away; the next one shows."""
    bad = place(env=1, acc_id=1, code="00005", side=SELL, qty=1e6)
    key = key_of(
        scopes=frozenset({"acc:read"}),
        acc_ids=[2],
        max_orders_per_minute=0,
        hours_window=HoursWindow(0, 1),
        allowed_markets=frozenset(),
        allowed_symbols=frozenset(),
        allowed_trd_sides=frozenset(),
        max_order_value=1.0,
        max_daily_value=1.0,
    )
    steps: list[tuple[str, dict[str, object]]] = [
        ("scope", {"scopes": frozenset({"trade:simulate"})}),
        ("scope", {"scopes": frozenset({"trade:real"})}),
        ("rate", {"max_orders_per_minute": 99}),
        ("hours", {"hours_window": None}),
        ("account", {"allowed_acc_ids": frozenset({1})}),
        ("market", {"allowed_markets": None}),
        ("symbol", {"allowed_symbols": None}),
        ("side", {"allowed_trd_sides": None}),
        ("per_order", {"max_order_value": None}),
        ("daily", {"max_daily_value": None}),
    ]
    for reason, cure in steps:
        assert refused(Desk(key).send(2202, bad)).reason == reason
        for name, value in cure.items():
            if name in {"scopes", "allowed_acc_ids"}:
                key = replace(key, **{name: value})  # type: ignore[arg-type]
            else:
                key = replace(key, limits=replace(key.limits, **{name: value}))  # type: ignore[arg-type]
    passed(Desk(key).send(2202, bad))


@pytest.mark.parametrize(
    ("key", "body", "left"),
    [
        (key_of(max_orders_per_minute=5, scopes=NO_SIMULATE), place(env=0), 5),
        (key_of(max_orders_per_minute=5, allowed_markets=frozenset()), place(), 5),
        (key_of(max_orders_per_minute=5, allowed_symbols=frozenset()), place(), 5),
        (key_of(max_orders_per_minute=5, allowed_trd_sides=frozenset()), place(), 5),
        (key_of(max_orders_per_minute=5, max_order_value=1.0), place(), 5),
        (key_of(max_orders_per_minute=5, max_daily_value=1.0), place(), 5),
        (key_of(max_orders_per_minute=5, acc_ids=[1]), place(), 4),
        (key_of(max_orders_per_minute=5), b"\xff", 4),
        (key_of(max_orders_per_minute=5, max_order_value=1.0), place(qty=-1), 4),
        (key_of(max_orders_per_minute=5), place(), 4),
    ],
)
def test_what_a_refusal_costs(key: object, body: bytes, left: int) -> None:
    desk = Desk(key)  # type: ignore[arg-type]
    desk.send(2202, body)
    assert desk.orders_left == left


@pytest.mark.parametrize("proto_fmt", [0, 1])
def test_what_the_scopes_do_not_cover_is_told_as_that_and_takes_nothing_from_a_limit(proto_fmt: int) -> None:
    desk = Desk(key_of(scopes=frozenset({"trade:simulate"}), max_orders_per_minute=1))
    real, simulated = place(env=1), place(env=0)
    if proto_fmt == 1:
        real, simulated = (canonical_json(decode_untrusted(opend.PlaceOrderRequest, b, 0)) for b in (real, simulated))
    assert refused(desk.send(2202, real, proto_fmt=proto_fmt)).reason == "scope"
    assert desk.orders_left == 1
    passed(desk.send(2202, simulated, proto_fmt=proto_fmt))
    assert refused(desk.send(2202, real, proto_fmt=proto_fmt)).reason == "scope", "with the minute used up as well"
    assert refused(desk.send(2202, simulated, proto_fmt=proto_fmt)).reason == "rate"


# -- cancels


@pytest.mark.parametrize("op", [2, 3, 5])
@pytest.mark.parametrize("proto_fmt", [0, 1])
def test_nothing_stands_in_the_way_of_a_cancel(op: int, proto_fmt: int) -> None:
    desk = Desk(
        key_of(
            max_orders_per_minute=0,
            hours_window=HoursWindow(0, 1),
            allowed_markets=frozenset(),
            allowed_symbols=frozenset(),
            allowed_trd_sides=frozenset(),
            max_order_value=0.0,
            max_daily_value=0.0,
        )
    )
    for body in (modify(op, order_id=7), modify(op, order_id_ex="X7"), modify(op, forAll=True)):
        sent = body if proto_fmt == 0 else canonical_json(decode_untrusted(opend.ModifyOrderRequest, body, 0))
        passed(desk.send(2205, sent, proto_fmt=proto_fmt))
    assert (desk.asks, desk.orders_left) == ([], 0)


def test_a_cancel_needs_its_scope_and_its_account_all_the_same() -> None:
    assert refused(Desk(key_of(scopes=NO_SIMULATE)).send(2205, modify(2, order_id=7, env=0))).reason == "scope"
    assert refused(Desk(key_of(acc_ids=[1])).send(2205, modify(2, order_id=7))).reason == "account"


@pytest.mark.parametrize("proto_fmt", [0, 1])
def test_what_can_not_be_read_is_no_cancel(proto_fmt: int) -> None:
    desk = Desk(key_of(max_orders_per_minute=5))
    assert refused(desk.send(2205, b"\xff", proto_fmt=proto_fmt)).kind is INVALID
    assert desk.orders_left == 4


def test_a_cancel_of_another_call_is_none() -> None:
    assert refused(Desk(key_of(max_orders_per_minute=0)).send(2202, modify(2, order_id=7))).reason == "rate"


# -- values


@pytest.mark.parametrize("witnessed", [False, True])
def test_a_refusal_behind_the_gate_is_noticed(witnessed: bool) -> None:
    desk = Desk(key_of(max_daily_value=2500.0, max_orders_per_minute=5))
    request = Request(desk.session, 2202, 0, 1, place())

    def go(_now: float) -> list[Command]:
        answer = Reply(desk.session, 2202, 0, 1, b"")
        return [Witness(request, "reject", reply=answer)] if witnessed else [answer]

    assert len(desk.gate.admit(request, 0.0, WALL, go)) == 1
    assert (desk.orders_left, desk.value_left()) == (5, 2500)


def test_a_crash_behind_the_gate_leaks_nothing() -> None:
    desk = Desk(key_of(max_daily_value=2500.0))

    def go(_now: float) -> list[object]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        desk.gate.admit(Request(desk.session, 2202, 0, 1, place()), 0.0, WALL, go)  # type: ignore[arg-type]
    assert desk.value_left() == 2500


# -- orders that exist


def desk_with_order(**limits: object) -> Desk:
    desk = Desk(key_of(**limits))  # type: ignore[arg-type]
    desk.knowledge.learn(2208, order_push(order(7, "X7", qty=100, price=10)), 0, 0.0)
    return desk


def test_a_modification_counts_what_it_adds() -> None:
    desk = desk_with_order(max_daily_value=1000.0)
    first = passed(desk.send(2205, modify(order_id=7, qty=150.0, price=12.0)))
    assert desk.value_left() == 200
    desk.settle(first)
    desk.settle(passed(desk.send(2205, modify(order_id=7, qty=100.0))))
    assert desk.value_left() == 200, "less is not given back"
    desk.settle(passed(desk.send(2205, modify(order_id=7, price=14.0))))
    assert desk.value_left() == 0
    passed(desk.send(2205, modify(order_id=7, price=14.0)))
    assert refused(desk.send(2205, modify(order_id=7, price=14.01))).reason == "daily"


def test_a_modification_that_opend_refused_changes_nothing() -> None:
    desk = desk_with_order(max_daily_value=1000.0)
    desk.settle(passed(desk.send(2205, modify(order_id=7, qty=200.0))), -1)
    assert desk.value_left() == 1000
    passed(desk.send(2205, modify(order_id=7, qty=200.0)))
    assert desk.value_left() == 0


def test_an_order_can_not_grow_over_the_limit_of_one_order_in_steps() -> None:
    desk = desk_with_order(max_order_value=1500.0)
    desk.settle(passed(desk.send(2205, modify(order_id=7, qty=150.0))))
    assert refused(desk.send(2205, modify(order_id=7, qty=151.0))).text == (
        "2205 Trd_ModifyOrder was not sent: max_order_value 1500: this order is worth 1510"
    )


def test_an_order_that_is_too_large_may_shrink() -> None:
    desk = desk_with_order(max_order_value=500.0)
    passed(desk.send(2205, modify(order_id=7, qty=90.0)))
    assert refused(desk.send(2205, modify(order_id=7, qty=101.0))).reason == "per_order"


@pytest.mark.parametrize(
    ("proto_id", "body"), [(2205, modify(4, order_id=7)), (2209, reconfirm(7)), (2237, reconfirm(7))]
)
def test_what_brings_an_order_to_life_counts_it_whole(proto_id: int, body: bytes) -> None:
    desk = desk_with_order(max_daily_value=1500.0)
    request = passed(desk.send(proto_id, body))
    assert desk.value_left() == 500
    desk.settle(request)
    assert refused(desk.send(proto_id, body)).reason == "daily"


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"allowed_markets": frozenset({"US"})}, "market"),
        ({"allowed_symbols": frozenset({"HK.00005"})}, "symbol"),
        ({"allowed_trd_sides": frozenset({"SELL"})}, "side"),
    ],
)
def test_lists_hold_for_the_order_that_is_meant(limits: dict[str, object], reason: str) -> None:
    for proto_id, body in [(2205, modify(order_id=7)), (2205, modify(4, order_id_ex="X7")), (2237, reconfirm(7))]:
        assert refused(desk_with_order(**limits).send(proto_id, body)).reason == reason


def test_every_leg_of_a_combo_is_looked_at() -> None:
    body = combo((11, "AAPL", 1, 1.0), (11, "MSFT", 2, 1.0))
    assert refused(Desk(key_of(allowed_symbols=frozenset({"US.AAPL"}))).send(2227, body)).reason == "symbol"
    assert refused(Desk(key_of(allowed_trd_sides=frozenset({"BUY"}))).send(2227, body)).reason == "side"
    passed(Desk(key_of(allowed_symbols=frozenset({"US.AAPL", "US.MSFT"}))).send(2227, body))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (modify(1, forAll=True), "forAll is for cancels alone"),
        (modify(4, forAll=True, order_id=7), "forAll is for cancels alone"),
        (modify(1), "it names no order"),
        (modify(6, order_id=7), "modifyOrderOp 6 does not exist"),
    ],
)
def test_modifications_that_make_no_sense(body: bytes, words: str) -> None:
    denial = refused(Desk(key_of(max_order_value=1.0)).send(2205, body))
    assert (denial.kind, denial.reason) == (INVALID, "other")
    assert denial.text.endswith(words)


def test_a_write_that_comes_too_late_is_not_let_out() -> None:
    denial = refused(Desk(key_of()).send(2202, place(), 5.0, until=5.0))
    assert (denial.kind, denial.reason) == (DenialKind.TIMEOUT, "other")
    passed(Desk(key_of()).send(2202, place(), 5.0, until=5.1))
