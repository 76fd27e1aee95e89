"""OpenD's limits on operation commands, over processes and ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.core.operation_rates import COUNTERS_MAX, MARGIN_S, OperationRates, counter_of
from opendmux.core.operations import OPERATIONS, OperationError

PHONE, ENTER, RELOGIN, HELP = (
    OPERATIONS[name] for name in ("req_phone_verify_code", "input_phone_verify_code", "relogin", "help")
)
HERE = [counter_of("127.0.0.1", 22222)]


def test_one_code_a_minute() -> None:
    rates = OperationRates()
    rates.book(HERE, PHONE, 1000.0)
    with pytest.raises(OperationError, match="at most 1 in 60 s, and it must wait 31 s more"):
        rates.book(HERE, PHONE, 1030.0)
    rates.book(HERE, PHONE, 1000.0 + 60 + MARGIN_S)


def test_ten_tries_and_then_one_for_each_that_grows_old() -> None:
    rates = OperationRates()
    for second in range(10):
        rates.book(HERE, ENTER, 1000.0 + second)
    assert rates.wait_s(HERE, ENTER, 1010.0) == 51.0
    rates.book(HERE, ENTER, 1061.0)
    with pytest.raises(OperationError):
        rates.book(HERE, ENTER, 1061.0)


def test_what_has_no_limit_is_not_counted() -> None:
    rates = OperationRates()
    for _ in range(100):
        rates.book(HERE, HELP, 0.0)
    assert rates.dump() == b"{}"


def test_counts_outlive_the_process_and_are_shared() -> None:
    first, second = OperationRates(), OperationRates()
    first.book([*HERE, "opend 11111"], PHONE, 1000.0)
    second.load(first.dump())
    for counters in (HERE, ["opend 11111"]):
        with pytest.raises(OperationError):
            second.book(counters, PHONE, 1001.0)
    second.book(["another 11111"], PHONE, 1001.0)


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{", b'{"a": {"ping": ["x"]}}', b"\xff"])
def test_what_cannot_be_read_counts_nothing(content: bytes | None) -> None:
    rates = OperationRates()
    rates.load(content)
    rates.book(HERE, PHONE, 1000.0)


def test_a_command_of_another_version_is_passed_over() -> None:
    rates = OperationRates()
    rates.load(b'{"127.0.0.1 22222": {"dance": [1.0], "help": [1.0], "ping": [3, 2.0]}}')
    assert rates.dump() == b'{"127.0.0.1 22222":{"ping":[2.0,3.0]}}'


def test_a_clock_that_was_set_back_costs_one_window() -> None:
    rates = OperationRates()
    rates.book(HERE, PHONE, 1e9)
    assert rates.wait_s(HERE, PHONE, 1000.0) == 60 + MARGIN_S


def test_the_memory_is_bounded() -> None:
    rates = OperationRates()
    for number in range(2 * COUNTERS_MAX):
        rates.book([f"host {number}"], PHONE, 1000.0)
    other = OperationRates()
    other.load(rates.dump())
    assert rates.dump() == other.dump()
    assert rates.dump().count(b"req_phone") == COUNTERS_MAX


def test_one_machine_has_one_name() -> None:
    assert {counter_of(host, 1) for host in ("localhost", "127.0.0.1", "::1", "LOCALHOST", "127.1.2.3")} == {
        "127.0.0.1 1"
    }
    assert counter_of("Box", 1) == counter_of("box", 1) != counter_of("box", 2)


@given(st.lists(st.floats(0.0, 500.0), max_size=80), st.booleans())
def test_never_over_the_limit(pauses: list[float], restarts: bool) -> None:
    rates, now, sent = OperationRates(), 1000.0, []
    for pause in pauses:
        now += pause / 10
        if restarts:
            content, rates = rates.dump(), OperationRates()
            rates.load(content)
        try:
            rates.book(HERE, ENTER, now)
        except OperationError:
            assert rates.wait_s(HERE, ENTER, now) > 0
        else:
            sent.append(now)
    assert all(sum(moment <= other <= moment + 60 for other in sent) <= 10 for moment in sent)


def test_what_was_not_sent_after_all_does_not_count() -> None:
    rates = OperationRates()
    rates.book([*HERE, "api"], PHONE, 1000.0)
    rates.give_back([*HERE, "api"], PHONE)
    assert rates.dump() == b"{}"
    rates.book(HERE, PHONE, 1001.0)
    rates.give_back(["nobody"], PHONE)
    with pytest.raises(OperationError):
        rates.book(HERE, PHONE, 1002.0)
