"""OpenD's market numbers in words."""

from __future__ import annotations

import pytest

from opendmux.core.securities import Security, security_of, security_of_leg, security_told, side_of


@pytest.mark.parametrize(
    ("trd_market", "sec_market", "code", "symbol"),
    [
        (1, 1, "00700", "HK.00700"),
        (1, 0, "00700", "HK.00700"),
        (2, 2, "AAPL", "US.AAPL"),
        (2, 0, "AAPL", "US.AAPL"),
        (4, 31, "600519", "SH.600519"),
        (4, 32, "000001", "SZ.000001"),
        (3, 0, "600519", "SH.600519"),
        (3, 0, "688001", "SH.688001"),
        (3, 0, "510300", "SH.510300"),
        (4, 0, "000001", "SZ.000001"),
        (4, 0, "300750", "SZ.300750"),
        (4, 0, "159915", "SZ.159915"),
        (4, 0, "830001", ".830001"),
        (4, 0, "6005190", ".6005190"),
        (5, 1, "HSImain", "HK.HSImain"),
        (5, 2, "ESmain", "US.ESmain"),
        (5, 0, "HSImain", ".HSImain"),
        (10, 0, "HSImain", "HK.HSImain"),
        (11, 0, "ESmain", "US.ESmain"),
        (12, 0, "CNmain", "SG.CNmain"),
        (13, 0, "NKmain", "JP.NKmain"),
        (6, 41, "D05", "SG.D05"),
        (15, 51, "7203", "JP.7203"),
        (111, 71, "1155", "MY.1155"),
        (8, 61, "BHP", "AU.BHP"),
        (112, 81, "RY", "CA.RY"),
        (7, 101, "BTCUSD", "CC.BTCUSD"),
        (17, 111, "X", "EC.X"),
        (1, 2, "AAPL", ".AAPL"),
        (2, 1, "00700", ".00700"),
        (1, 99, "00700", ".00700"),
        (99, 1, "00700", ".00700"),
        (0, 0, "00700", ".00700"),
        (1, 0, "US.AAPL", "HK.US.AAPL"),
    ],
)
def test_the_security_of_an_order(trd_market: int, sec_market: int, code: str, symbol: str) -> None:
    security = security_of(trd_market, sec_market, code)
    assert security.symbol == symbol
    assert security.futures is (trd_market in {5, 10, 11, 12, 13})


def test_what_opend_tells_is_believed() -> None:
    assert security_told(1, 2, "AAPL").symbol == "US.AAPL"
    assert security_told(1, 0, "00700").symbol == "HK.00700"
    assert security_told(1, 77, "00700").symbol == ".00700"
    assert security_told(5, 1, "HSImain").futures


def test_legs_are_named_as_quotes_are() -> None:
    assert security_of_leg(11, "AAPL", 2) == Security("US", "AAPL")
    assert security_of_leg(2, "HSImain", 5) == Security("HK", "HSImain", futures=True)
    assert security_of_leg(1, "00700", 2).market == ""
    assert security_of_leg(99, "X", 2).market == ""


def test_futures_of_hong_kong_have_a_second_name() -> None:
    future = Security("HK", "HSImain", futures=True)
    assert (future.markets, future.symbols) == (("HK", "HK_FUTURE"), ("HK.HSImain", "HK_FUTURE.HSImain"))
    assert (Security("HK", "00700").markets, Security("HK", "00700").symbols) == (("HK",), ("HK.00700",))
    assert (Security("", "00700").markets, Security("", "00700").symbols) == ((), ())


def test_quotes_know_a_security_by_another_number() -> None:
    assert Security("US", "AAPL").quoted == (11, "AAPL")
    assert Security("", "AAPL").quoted is None


@pytest.mark.parametrize(
    ("security", "contract"),
    [
        (Security("HK", "00700"), False),
        (Security("US", "AAPL"), False),
        (Security("US", "BRK.B"), False),
        (Security("SH", "600519"), False),
        (Security("JP", "130A"), False),
        (Security("US", "AAPL260116C250000"), True),
        (Security("HK", "TCH260330C500000"), True),
        (Security("JP", "NK260330P38000"), True),
        (Security("HK", "HSImain"), True),
        (Security("US", "ES2606"), True),
        (Security("HK", "700"), True),
        (Security("HK", "\uff10\uff10\uff17\uff10\uff10"), True),
        (Security("SH", "10004567"), True),
        (Security("", "00700"), False),
        (Security("SG", "CNmain", futures=True), True),
    ],
)
def test_what_may_be_a_contract_is_asked_for_its_size(security: Security, contract: bool) -> None:
    assert security.may_be_contract is contract


def test_sides() -> None:
    assert [side_of(number) for number in range(6)] == ["", "BUY", "SELL", "SELL_SHORT", "BUY_BACK", ""]
