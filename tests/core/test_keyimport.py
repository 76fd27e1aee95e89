"""What a file of keys means here and at the other gateway."""

from __future__ import annotations

import msgspec
import pytest

from opendmux.core.keyimport import differences
from opendmux.core.keyrecord import LimitsRecord, Record
from opendmux.core.keys import ALL_SCOPES


def record(*, scopes: list[str] | None = None, **fields: object) -> Record:
    raw = {"id": "bot", "hash": "a" * 64, "scopes": ["acc:read", "admin"] if scopes is None else scopes, **fields}
    return msgspec.convert(raw, Record)


def test_a_key_that_means_the_same() -> None:
    assert differences([record(), record(limits={"allowed_markets": ["HK"], "max_orders_per_minute": 5})]) == []


@pytest.mark.parametrize("field", ["allowed_markets", "allowed_symbols", "allowed_trd_sides"])
def test_an_empty_list_of_a_limit(field: str) -> None:
    found = differences([record(limits={field: []})])[0]
    assert (found.key_id, found.field, found.there, found.looser) == ("bot", field, "[]: no limit", False)
    assert found.here.startswith("[]: no ")


def test_an_empty_list_of_accounts_or_machines() -> None:
    assert [one.field for one in differences([record(allowed_acc_ids=[], allowed_card_nums=[])])] == [
        "allowed_acc_ids",
        "allowed_card_nums",
    ]
    assert differences([record(allowed_machines=[])]) == [], "frozen in both"
    assert [one.field for one in differences([record(allowed_machines=["x"])])] == ["allowed_machines"]


def test_hours_without_a_zone_are_of_the_machine() -> None:
    window = LimitsRecord(hours_window="09:30-16:00")
    assert [one.field for one in differences([Record(id="a", hash="", scopes=["admin"], limits=window)])] == [
        "hours_window"
    ]
    with_zone = Record(id="a", hash="", scopes=["admin"], limits=window, tz="UTC")
    assert [(one.field, one.there) for one in differences([with_zone])] == [("tz", "unknown to it")]


def test_values_and_changes_of_orders() -> None:
    texts = [one.here for one in differences([record(limits={"max_daily_value": 5, "allowed_trd_sides": ["BUY"]})])]
    assert texts == [
        "counted over restarts; a refused order gives its value back",
        "checked when an order is changed as well; cancelling is never limited",
        "a market order counts at the last known price, and is refused without one",
    ]


def test_scopes() -> None:
    assert differences([record(scopes=list(ALL_SCOPES), allow_unknown=True)])[0].field == "allow_unknown"
    trader = differences([record(scopes=["trade:real", "admin"])])
    assert [one.looser for one in trader] == [True, False]
    strict = differences([record(scopes=["trade:real", "admin"], strict_unlock=True)])
    assert [one.field for one in strict] == ["scopes", "strict_unlock"]
    reader = differences([record(scopes=["qot:read"])])
    assert [one.here for one in reader] == [
        "changing watch lists, price reminders and option alerts (3214, 3220, 3309) needs qot:write",
        "1006, 1008 and 1009 need admin",
    ]
