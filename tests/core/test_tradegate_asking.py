"""The gate asks OpenD for what it must know; the write waits meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core.commands import Ask, Failure, Forward, Outcome, Request
from opendmux.core.denial import Denial, DenialKind
from opendmux.core.keys import HoursWindow
from opendmux.core.tradegate import HELD_PER_KEY, HOLD_S
from opendmux.wire.handshake import State
from opendmux.wire.messages import decode_untrusted
from opendmux.wire.pb import opend
from tests.core.gate_kit import LANE, WALL, Desk, key_of, passed, refused
from tests.core.trade_kit import (
    ACC,
    MARKET,
    STOP,
    US,
    combo,
    modify,
    order,
    order_list,
    place,
    placed,
    quote_push,
    reconfirm,
    snapshot,
    snapshots,
)

DETERMINISTIC = settings(derandomize=True, deadline=None)

UNTOLD = "OpenD did not tell what it must be checked against: "
MODIFY = "2205 Trd_ModifyOrder was not sent: "


def list_question(ask: Ask) -> opend.GetOrderListC2S:
    assert (ask.lane, ask.proto_id) == (LANE, 2201)
    return decode_untrusted(opend.GetOrderListRequest, ask.body, 0).c2s


def price_question(ask: Ask, lane: int = LANE) -> list[tuple[int, str]]:
    assert (ask.lane, ask.proto_id) == (lane, 3203)
    c2s = decode_untrusted(opend.SnapshotRequest, ask.body, 0).c2s
    return [(one.market, one.code) for one in c2s.securityList]


# -- orders


@pytest.mark.parametrize(
    ("proto_id", "body", "ids", "ids_ex"),
    [
        (2205, modify(order_id=7, trd_market=US), [7], []),
        (2205, modify(order_id_ex="X7", trd_market=US), [], ["X7"]),
        (2205, modify(order_id=7, order_id_ex="X7", trd_market=US), [], ["X7"]),
        (2209, reconfirm(7), [7], []),
        (2237, reconfirm(7), [7], []),
    ],
)
def test_an_order_that_is_not_known_is_asked_for(proto_id: int, body: bytes, ids: list[int], ids_ex: list[str]) -> None:
    desk = Desk(key_of(max_order_value=1000.0))
    assert desk.send(proto_id, body) is None
    c2s = list_question(desk.asks[0])
    assert (c2s.header.trdEnv, c2s.header.accID, c2s.header.trdMarket) == (1, ACC, US if proto_id == 2205 else 1)
    assert c2s.refreshCache
    assert (list(c2s.filterConditions.idList), list(c2s.filterConditions.orderIDExList)) == (ids, ids_ex)
    request = passed(desk.answer(order_list(order(7, "X7")), 1.0))
    assert desk.sent == [(request, 1.0)]
    assert request.body == body
    assert (desk.asks, desk.gate.next_due()) == ([], None)


def test_the_question_names_the_kind_of_account_in_japan() -> None:
    message = decode_untrusted(opend.ModifyOrderRequest, modify(order_id=7), 0)
    message.c2s.header.jpAccType = 2
    desk = Desk(key_of(allowed_markets=frozenset({"JP"})))
    assert desk.send(2205, message.SerializeToString()) is None
    assert list_question(desk.asks[0]).header.jpAccType == 2


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"max_orders_per_minute": 5},
        {"hours_window": HoursWindow(0, 1440)},
        {"acc_ids": [ACC]},
    ],
)
def test_nobody_asks_for_what_no_limit_needs(limits: dict[str, object]) -> None:
    desk = Desk(key_of(**limits))  # type: ignore[arg-type]
    passed(desk.send(2205, modify(order_id=7)))
    passed(desk.send(2202, place(order_type=MARKET)))
    assert desk.asks == []


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (order_list(), DenialKind.INVALID, f"account {ACC} has no order 7"),
        (order_list(order(8, "X8")), DenialKind.INVALID, f"account {ACC} has no order 7"),
        (order_list(order(7, "X7"), acc_id=ACC + 1), DenialKind.INVALID, f"account {ACC} has no order 7"),
        (
            opend.ResponseHead(retType=-1, retMsg="too often").SerializeToString(),
            DenialKind.UNAVAILABLE,
            UNTOLD + "too often",
        ),
        (b"\xff", DenialKind.UNAVAILABLE, UNTOLD),
        (Failure.TIMEOUT, DenialKind.TIMEOUT, UNTOLD + "no answer (timeout)"),
        (Failure.LOST, DenialKind.UNAVAILABLE, UNTOLD + "no answer (lost)"),
        (Failure.CORRUPT, DenialKind.UNAVAILABLE, UNTOLD + "no answer (corrupt)"),
    ],
)
def test_an_order_that_stays_unknown_is_refused(answer: bytes | Failure, kind: DenialKind, words: str) -> None:
    desk = Desk(key_of(max_order_value=1000.0, max_orders_per_minute=5))
    assert desk.send(2205, modify(order_id=7)) is None
    denial = refused(desk.fail(answer) if isinstance(answer, Failure) else desk.answer(answer))
    assert (denial.kind, denial.reason) == (kind, "other")
    assert denial.text.startswith(MODIFY + words)
    assert desk.orders_left == 4, "OpenD was asked for it"
    assert desk.sent == []


def test_a_lane_that_is_away_is_not_asked() -> None:
    """A client of JSON pushes has a connection of its own, and a group's quotes come from elsewhere: the write could
    go, the question could not, and would be the first thing that the next connection says."""
    desk = Desk(key_of(max_order_value=1000.0), quote_lane=8, away={LANE, 8})
    denial = refused(desk.send(2205, modify(order_id=7)))
    assert (denial.kind, denial.reason) == (DenialKind.UNAVAILABLE, "other")
    assert refused(desk.send(2202, place(order_type=MARKET, price=None))).reason == "per_order"
    desk.knowledge.learn(3005, quote_push(5), 0, 0.0)
    passed(desk.send(2202, place(order_type=MARKET, price=None), 60.0))
    assert desk.asks == []


def test_two_ids_of_two_orders_are_refused() -> None:
    desk = Desk(key_of(allowed_symbols=frozenset({"HK.00700"})))
    body = modify(order_id=7, order_id_ex="X8")
    assert desk.send(2205, body) is None
    denial = refused(desk.answer(order_list(order(7, "X7"), order(8, "X8", code="00005"))))
    assert denial.kind is DenialKind.INVALID


def test_the_answer_is_judged_like_what_was_known() -> None:
    desk = Desk(key_of(allowed_symbols=frozenset({"HK.00005"}), max_orders_per_minute=5))
    assert desk.send(2205, modify(order_id=7)) is None
    assert refused(desk.answer(order_list(order(7, "X7")))).reason == "symbol"
    assert desk.orders_left == 4, "OpenD was asked for it"


# -- prices


@pytest.mark.parametrize(("qty", "reason"), [(10, None), (10.1, "per_order")])
def test_a_market_order_is_worth_the_last_price(qty: float, reason: str | None) -> None:
    desk = Desk(key_of(max_order_value=4000.0))
    assert desk.send(2202, place(order_type=MARKET, qty=qty, price=1)) is None
    assert price_question(desk.asks[0]) == [(1, "00700")]
    result = desk.answer(snapshots(snapshot(400)), 1.0)
    if reason is None:
        passed(result)
    else:
        assert refused(result).text == (
            "2202 Trd_PlaceOrder was not sent: max_order_value 4000: this order is worth 4040"
        )


def test_a_known_price_is_not_asked_for_until_it_is_old() -> None:
    desk = Desk(key_of(max_order_value=4000.0))
    desk.knowledge.learn(3005, quote_push(400), 0, 0.0)
    passed(desk.send(2202, place(order_type=MARKET, qty=10), 30.0))
    assert desk.send(2202, place(order_type=MARKET, qty=10), 30.5) is None
    passed(desk.fail(now=31.0))
    assert desk.send(2202, place(order_type=MARKET, qty=10), 899.5) is None
    assert refused(desk.fail(now=901.0)).reason == "per_order", "too old to say anything"


@pytest.mark.parametrize(
    ("limits", "reason", "name"),
    [
        ({"max_order_value": 4000.0}, "per_order", "max_order_value 4000"),
        ({"max_daily_value": 4000.0}, "daily", "max_daily_value 4000"),
        ({"max_daily_value": 4000.0, "max_order_value": 5.5}, "per_order", "max_order_value 5.5"),
    ],
)
@pytest.mark.parametrize("answer", [snapshots(), snapshots(snapshot(0)), b"\xff", Failure.LOST])
def test_without_a_price_a_value_limit_refuses(
    limits: dict[str, object], reason: str, name: str, answer: bytes | Failure
) -> None:
    desk = Desk(key_of(**limits))  # type: ignore[arg-type]
    assert desk.send(2202, place(order_type=MARKET)) is None
    denial = refused(desk.fail(answer) if isinstance(answer, Failure) else desk.answer(answer))
    words = f"{name}: the price of HK.00700 is not known, nor what it is worth"
    assert denial == Denial(DenialKind.LIMIT, reason, "2202 Trd_PlaceOrder was not sent: " + words)


def test_a_security_without_a_market_is_not_asked_for() -> None:
    denial = refused(Desk(key_of(max_order_value=4000.0)).send(2202, place(order_type=MARKET, sec_market=US)))
    assert denial.reason == "per_order"


def test_a_stop_is_worth_its_trigger_when_that_is_higher() -> None:
    desk = Desk(key_of(max_order_value=4000.0))
    desk.knowledge.learn(3005, quote_push(400), 0, 0.0)
    passed(desk.send(2202, place(order_type=STOP, qty=10, auxPrice=390)))
    assert refused(desk.send(2202, place(order_type=STOP, qty=10, auxPrice=400.1))).reason == "per_order"


def test_an_option_is_worth_all_that_it_is_written_on() -> None:
    desk = Desk(key_of(max_order_value=1000.0))
    body = place(code="AAPL260116C250000", qty=2, price=5, sec_market=US, trd_market=US)
    assert desk.send(2202, body) is None
    assert price_question(desk.asks[0]) == [(11, "AAPL260116C250000")]
    passed(desk.answer(snapshots(snapshot(5, "AAPL260116C250000", 11, kind=8, contract=100))))
    assert refused(desk.send(2202, place(code="AAPL260116C250000", qty=3, price=5, trd_market=US, sec_market=US)))


def test_the_legs_of_a_combo_are_asked_for_at_once() -> None:
    desk = Desk(key_of(max_order_value=40_000.0), quote_lane=9)
    assert desk.send(2227, combo((11, "AAPL", 1, 100.0), (11, "MSFT", 2, 50.0), price=0.01)) is None
    assert price_question(desk.asks[0], 9) == [(11, "AAPL"), (11, "MSFT")]
    passed(desk.answer(snapshots(snapshot(200, "AAPL", 11), snapshot(400, "MSFT", 11))))
    assert refused(desk.send(2227, combo((11, "AAPL", 1, 100.0), (11, "MSFT", 2, 51.0)))).reason == "per_order"


def test_first_the_order_then_its_price() -> None:
    desk = Desk(key_of(max_daily_value=4000.0))
    assert desk.send(2205, modify(order_id=7, qty=110.0)) is None
    assert desk.answer(order_list(order(7, "X7", order_type=MARKET, price=None)), 1.0) is None
    assert price_question(desk.asks[0]) == [(1, "00700")]
    passed(desk.answer(snapshots(snapshot(400)), 2.0))
    assert desk.value_left() == 0, "ten more at 400"


# -- waiting


def waiting(desk: Desk, now: float = 0.0, *, until: float | None = None) -> None:
    assert desk.send(2205, modify(order_id=7), now, until=until) is None


def test_a_write_does_not_wait_until_its_owner_gives_up() -> None:
    desk = Desk(key_of(max_order_value=1000.0))
    waiting(desk, 100.0)
    assert desk.gate.next_due() == 100.0 + HOLD_S
    assert desk.gate.due(103.4) == []
    denial = refused(desk.take(desk.gate.due(103.5)))
    assert denial == Denial(DenialKind.TIMEOUT, "other", MODIFY + "its time was up before it could be checked")
    assert desk.gate.next_due() is None
    assert desk.answer(order_list(order(7, "X7")), 109.0) is None, "answered already"
    assert desk.sent == []
    passed(desk.send(2205, modify(order_id=7), 110.0))


def test_an_answer_at_the_last_moment_is_too_late() -> None:
    desk = Desk(key_of(max_order_value=1000.0))
    waiting(desk)
    assert refused(desk.answer(order_list(order(7, "X7")), 3.5)).kind is DenialKind.TIMEOUT
    waiting(Desk(key_of(max_order_value=1000.0)))
    other = Desk(key_of(max_order_value=1000.0))
    waiting(other)
    passed(other.answer(order_list(order(7, "X7")), 3.499))


def test_its_owner_may_want_an_answer_earlier() -> None:
    desk = Desk(key_of(max_order_value=1000.0))
    waiting(desk, until=3.0)
    assert desk.gate.next_due() == 3.0
    assert desk.asks[0].until == 3.0
    assert refused(desk.answer(order_list(order(7, "X7")), 3.0)).kind is DenialKind.TIMEOUT


def test_nothing_is_sent_for_a_session_that_has_gone() -> None:
    desk = Desk(key_of(max_order_value=1000.0))
    waiting(desk)
    waiting(desk)
    desk.session.state = State.CLOSED
    assert desk.answer(order_list(order(7, "X7")), 1.0) is None
    assert desk.gate.due(9.0) == []
    assert (desk.sent, desk.gate.next_due()) == ([], None)


def test_nothing_is_sent_that_its_caller_has_given_up() -> None:
    desk = Desk(key_of(max_order_value=1000.0))
    given_up: list[bool] = []
    request = Request(desk.session, 2205, 0, 1, modify(order_id=7), given_up=lambda: bool(given_up))
    assert desk.take(desk.gate.admit(request, 0.0, WALL, lambda _now: pytest.fail("it was sent"))) is None
    given_up.append(True)
    denial = refused(desk.answer(order_list(order(7, "X7")), 1.0))
    assert denial == Denial(
        DenialKind.TIMEOUT, "given_up", MODIFY + "while it waited it was given up, or all orders were cancelled"
    )


def test_what_has_waited_is_judged_by_the_key_of_now() -> None:
    desk = Desk(key_of(max_order_value=1000.0, max_orders_per_minute=5))
    assert desk.key is not None
    changes: list[tuple[Callable[[], None], str, int]] = [
        (lambda: setattr(desk.session, "key", None), "other", 4),
        (lambda: setattr(desk.session, "key", replace(key, scopes=frozenset({"trade:simulate"}))), "scope", 4),
        (lambda: setattr(desk.session, "key", replace(key, allowed_acc_ids=frozenset())), "account", 3),
    ]
    key = desk.key
    for change, reason, left in changes:
        desk.session.key = key
        waiting(desk)
        change()
        assert refused(desk.answer(order_list())).reason == reason
        assert desk.orders_left == left


def test_hours_may_end_while_a_write_waits() -> None:
    desk = Desk(key_of(max_order_value=1000.0, hours_window=HoursWindow(12 * 60, 12 * 60 + 1)))
    waiting(desk, 58.0)
    assert refused(desk.answer(order_list(order(7, "X7")), 60.0)).reason == "hours"


def test_a_key_has_a_bound_of_waiting_writes() -> None:
    desk = Desk(key_of(max_order_value=1000.0))
    for _ in range(HELD_PER_KEY):
        waiting(desk)
    denial = refused(desk.send(2205, modify(order_id=7)))
    assert (denial.kind, denial.reason, denial.retry_s) == (DenialKind.LIMIT, "other", 1.0)
    assert denial.text == MODIFY + "32 orders of this key are waiting for OpenD already"
    desk.session.key = key_of("another", max_order_value=1000.0)
    waiting(desk)


def test_asking_costs_a_slot_so_that_nobody_can_do_it_without_end() -> None:
    desk = Desk(key_of(max_order_value=1.0, max_orders_per_minute=2))
    for _ in range(2):
        assert desk.send(2202, place(order_type=MARKET)) is None
        assert refused(desk.answer(snapshots())).reason == "per_order"
    assert refused(desk.send(2202, place(order_type=MARKET))).reason == "rate"


# -- accounts by card number


def account_list(*cards: tuple[int, str]) -> bytes:
    message = opend.GetAccListResponse(retType=0)
    for acc_id, card in cards:
        message.s2c.accList.add(accID=acc_id, cardNum=card, trdEnv=1)
    return message.SerializeToString()


def carded(**limits: object) -> Desk:
    key = replace(key_of(max_orders_per_minute=5, **limits), allowed_card_nums=frozenset({"1001"}))  # type: ignore[arg-type]
    return Desk(key)


@pytest.mark.parametrize(("proto_id", "body"), [(2202, place()), (2205, modify(2, order_id=7))])
def test_card_numbers_are_asked_for_once(proto_id: int, body: bytes) -> None:
    desk = carded()
    assert desk.send(proto_id, body) is None
    assert desk.send(proto_id, body) is None
    assert [ask.proto_id for ask in desk.asks] == [2001]
    assert desk.answer(account_list((ACC, "1001"))) is None
    commands = desk.asks.pop(0).then(Outcome(account_list(), 0), 1.0)
    assert [type(command) for command in commands] == [Forward, Forward]
    passed(desk.send(proto_id, body))


@pytest.mark.parametrize("answer", [account_list((ACC, "1002")), account_list((ACC + 1, "1001")), None])
def test_an_account_without_one_of_the_cards_is_refused(answer: bytes | None) -> None:
    desk = carded()
    assert desk.send(2202, place()) is None
    if answer is None:
        denial = refused(desk.fail(Failure.LOST))
    else:
        assert desk.answer(answer) is None
        denial = refused(desk.answer(account_list()))
    assert (denial.kind, denial.reason) == (DenialKind.PERMISSION, "account")
    assert denial.text.endswith(f"allowed_card_nums: this key may not use account {ACC}")
    assert desk.orders_left == 4


def test_a_cancel_waits_for_the_accounts_beyond_the_bound_and_the_hours() -> None:
    desk = carded(max_order_value=1e6, hours_window=HoursWindow(0, 12 * 60 + 1))
    for _ in range(HELD_PER_KEY + 1):
        assert desk.send(2205, modify(2, order_id=7), 59.0) is None
    assert desk.answer(account_list((ACC, "1001"))) is None
    commands = desk.asks.pop(0).then(Outcome(account_list(), 0), 61.0)
    assert [type(command) for command in commands] == [Forward] * (HELD_PER_KEY + 1)


# -- laws

steps = st.lists(
    st.tuples(
        st.sampled_from(["limit", "market", "modify"]),
        st.integers(1, 60),
        st.floats(0, 20_000),
        st.sampled_from(["ok", "no", "unknown", "unsent", "never"]),
        st.booleans(),
    ),
    max_size=40,
)


@DETERMINISTIC
@given(steps)
def test_no_more_than_the_day_and_the_minute_allow(steps: list[tuple[str, int, float, str, bool]]) -> None:
    """Whatever is asked, refused, lost or never answered: what may have reached OpenD is within the limits, and what
    is counted is what may have reached OpenD."""
    desk = Desk(key_of(max_daily_value=1000.0, max_orders_per_minute=4))
    desk.knowledge.book.learn_list_untrusted(order_list(order(7, "X7", qty=0, price=1)), 0)
    now = 0.0
    used: dict[int, Decimal] = {}
    stamps: list[float] = []
    for number, (kind, qty, pause, fate, answered) in enumerate(steps):
        now += pause
        size = Decimal(qty)
        if kind == "limit":
            result = desk.send(2202, place(qty=qty, price=7), now)
            size *= 7
        elif kind == "market":
            result = desk.send(2202, place(order_type=MARKET, qty=qty), now)
            size *= 7
            if result is None:
                result = desk.answer(snapshots(snapshot(7)), now) if answered else desk.fail(now=now)
        else:
            known = desk.knowledge.book.find(ACC, 7, "X7")
            assert known is not None
            result = desk.send(2205, modify(order_id=7, qty=float(qty)), now)
            size = max(Decimal(0), size - known.terms.qty)
        if not isinstance(result, Request):
            continue
        day = int((WALL + now) // 86_400)
        used.setdefault(day, Decimal(0))
        if fate == "unsent":
            desk.gate.sent.unsent(result)
            continue
        stamps.append(now)
        if fate == "ok":
            desk.settle(result, 0, placed(100 + number, f"P{number}"))
        elif fate == "no":
            desk.settle(result, -1)
        elif fate == "unknown":
            desk.settle(result, -400)
        if fate != "no":
            used[day] += size
        assert used[day] <= 1000
        assert desk.key is not None
        assert desk.limits.headroom(desk.key, now, WALL + now).daily_value == 1000 - used[day]
        assert sum(1 for stamp in stamps if stamp > now - 60) <= 4
    assert desk.gate.next_due() is None


# -- accounts


def acc_list(ret_type: int = 0) -> bytes:
    return opend.GetAccListResponse(retType=ret_type).SerializeToString()


def test_a_callers_first_order_has_the_accounts_read_before_it() -> None:
    """OpenD wants it so on every connection; the SDKs do it themselves."""
    desk = Desk(key_of())
    desk.session.streams = []
    assert desk.send(2202, place()) is None
    assert [ask.proto_id for ask in desk.asks] == [2001]
    assert desk.answer(acc_list()) is None
    assert [ask.proto_id for ask in desk.asks] == [2001], "once for futures"
    passed(desk.answer(acc_list()))
    passed(desk.send(2202, place()))
    desk.gate._roster.link_lost()
    assert desk.send(2202, place()) is None


def test_a_cancel_that_waits_for_the_accounts_has_no_hours() -> None:
    desk = Desk(key_of(hours_window=HoursWindow(0, 1)))
    desk.session.streams = []
    assert desk.send(2205, modify(2, order_id=7)) is None
    desk.answer(acc_list())
    passed(desk.answer(acc_list()))


def test_an_order_goes_even_when_the_accounts_are_not_told() -> None:
    desk = Desk(key_of())
    desk.session.streams = []
    assert desk.send(2202, place()) is None
    passed(desk.answer(acc_list(-1)))


def test_an_order_that_is_refused_anyhow_reads_no_accounts() -> None:
    desk = Desk(key_of(scopes=frozenset({"trade:simulate"})))
    desk.session.streams = []
    assert refused(desk.send(2202, place())).scope == "trade:real"
    assert not desk.asks


def test_a_cancel_of_a_key_without_limits_waits_however_many_do() -> None:
    desk = Desk(key_of())
    desk.session.streams = []
    for _ in range(HELD_PER_KEY):
        assert desk.send(2202, place()) is None
    assert refused(desk.send(2202, place())).kind is DenialKind.LIMIT
    assert desk.send(2205, modify(order_id=7, trd_market=US, op=2)) is None
