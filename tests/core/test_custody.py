"""Orders that may not outlive their key: taken up, let go, named, and kept over a restart."""

from __future__ import annotations

import pytest

from opendmux.core.commands import Failure
from opendmux.core.custody import (
    APART_S,
    SETTLED_S,
    YOUNG_S,
    Account,
    Custody,
    Listed,
    Placed,
    cancel_body,
    dump,
    guarded,
    list_body,
    parse,
)
from opendmux.core.gate import action_of
from opendmux.core.keys import ALL_SCOPES
from opendmux.core.orders import is_calming_untrusted
from opendmux.core.packet import stamp_untrusted
from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.messages import canonical_json, encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PROTOCOLS, RequestAction
from tests.core.key_kit import key, plaintext, ring
from tests.core.playbook import Play
from tests.core.trade_kit import ACC, HK, combo, modify, order, order_list, order_push, place, placed

PLACE, MODIFY, COMBO = 2202, 2205, 2227
ACCOUNT = Account(1, ACC, HK)
CANCELLED_ALL, FILLED_PART, SUBMITTED = 15, 10, 5
WALL = 1000.0
BOT = key(*ALL_SCOPES, key_id="bot", cancel_on_disconnect=5.0)
FREE = key(*ALL_SCOPES, key_id="free")


def one(order_id: int = 7, order_id_ex: str = "X7", wall: float = WALL) -> Placed:
    return Placed("bot", ACCOUNT, order_id, order_id_ex, wall)


def holding(*orders: Placed) -> Custody:
    custody = Custody()
    for each in orders:
        custody.take(each)
    return custody


def test_what_opend_accepts_is_taken_up() -> None:
    custody = Custody()
    custody.accepted_untrusted("bot", (PLACE, 0, place()), (0, placed(7, "X7")), WALL)
    json = canonical_json(opend.PlaceOrderRequest.FromString(place()))
    custody.accepted_untrusted("bot", (PLACE, ProtoFmt.JSON, json), (0, placed(8, "X8")), WALL)
    answer = opend.ComboOrderIdResponse(retType=0)
    answer.s2c.orderIDEx = "C9"
    custody.accepted_untrusted("bot", (COMBO, 0, combo((11, "AAPL", 1, None))), (0, encode(answer)), WALL)
    assert custody.of("bot") == [one(), one(8, "X8"), Placed("bot", Account(1, ACC, 2), 0, "C9", WALL)]
    assert custody.holders() == {"bot": 3}
    assert custody.accounts == {ACC}
    assert custody.version == 3
    with pytest.raises(RemoteProtocolError, match="names no order"):
        custody.accepted_untrusted("bot", (PLACE, 0, place()), (0, placed(0, "")), WALL)


def test_a_modification_that_is_answered_with_another_number() -> None:
    custody = holding(one(), one(8, "X8"))
    for order_id, order_id_ex in ((7, "X7"), (0, "X7"), (7, ""), (0, "")):
        custody.changed_untrusted((MODIFY, 0, modify(order_id=7, price=9)), (0, placed(order_id, order_id_ex)))
    custody.changed_untrusted((MODIFY, 0, modify(order_id_ex="X7")), (0, placed(8, "X8")))
    custody.changed_untrusted((MODIFY, 0, modify(order_id=70)), (0, placed(90, "X90")))
    custody.changed_untrusted((MODIFY, 0, modify(2, order_id=7)), (0, placed(90, "X90")))
    custody.changed_untrusted((MODIFY, 0, modify(acc_id=1, order_id=7)), (0, placed(90, "X90")))
    assert custody.of("bot") == [one(), one(8, "X8")]
    custody.changed_untrusted((MODIFY, 0, modify(order_id_ex="X7")), (0, placed(9, "X9")))
    assert custody.of("bot") == [one(), one(8, "X8"), one(9, "X9")]
    with pytest.raises(RemoteProtocolError):
        custody.changed_untrusted((MODIFY, 0, modify(order_id_ex="X7")), (0, b"\xff"))


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        (SUBMITTED, True),
        (FILLED_PART, True),
        (12, True),
        (11, False),
        (14, False),
        (CANCELLED_ALL, False),
        (21, False),
        (23, False),
    ],
)
def test_a_push_that_says_the_end_lets_it_go(status: int, kept: bool) -> None:
    custody = holding(one(), one(8, "X8"))
    custody.pushed(order_push(order(status=status)), 0)
    assert custody.of("bot") == ([one()] if kept else []) + [one(8, "X8")]
    custody.pushed(order_push(order(8, "X8", status=CANCELLED_ALL), acc_id=ACC + 1), 0)
    custody.pushed(b"\xff", 0)
    assert one(8, "X8") in custody.of("bot"), "another account's, or none at all"


def test_an_order_is_known_by_either_of_its_ids() -> None:
    assert one(7, "").is_it(ACC, 7, "X7")
    assert one(0, "X7").is_it(ACC, 7, "X7")
    assert not one(7, "X7").is_it(ACC, 7, "X8"), "the text counts where both have one"
    assert not one(0, "X7").is_it(ACC, 0, "")
    assert not one(0, "").is_it(ACC, 0, "")


def looked(custody: Custody, told: bytes, now: float = SETTLED_S, since: float = 0.0) -> Listed:
    return custody.listed_untrusted("bot", ACCOUNT, (0, told), WALL, now, since=since)


def test_a_list_tells_what_is_open() -> None:
    new = one(10, "X10", WALL - YOUNG_S + 1)
    elsewhere = Placed("bot", Account(0, 5, HK), 11, "X11", WALL)
    custody = holding(one(7, ""), one(8, "X8"), new, elsewhere)
    custody.take(one(12, "X12"))
    told = order_list(
        order(7, "X7"), order(8, "X8", status=CANCELLED_ALL), order(12, "X12", status=13), order(99, "X99")
    )
    assert looked(custody, told) == Listed([one(7, "X7"), new], 0, []), "X12 is being cancelled"
    assert custody.of("bot") == [one(7, "X7"), new, elsewhere, one(12, "X12")], "named by both ids from now on"
    assert looked(custody, told).still == [one(7, "X7")], "what is too new for the list is told once"
    with pytest.raises(RemoteProtocolError):
        looked(custody, b"\xff")


def test_a_blind_cancel_is_sent_once_under_whatever_name() -> None:
    nameless = one(0, "X10", WALL - 1)
    custody, empty = holding(nameless), order_list()
    assert looked(custody, empty).still == [nameless]
    assert looked(custody, order_list(order(10, "X10"))).still == [one(10, "X10", WALL - 1)]
    assert looked(custody, empty).still == []


def test_what_is_not_in_the_list_is_let_go_when_two_looks_agree() -> None:
    old = one(9, "X9", WALL - YOUNG_S)
    custody, waits, gone = holding(old), Listed([], 1, []), Listed([], 0, [old])
    empty, full = order_list(), order_list(order(9, "X9"))
    assert [looked(custody, empty, now) for now in (0.0, SETTLED_S - 1)] == [waits] * 2, "OpenD has just come"
    assert [looked(custody, empty, SETTLED_S + late) for late in (0, 1, APART_S - 1)] == [waits] * 3
    assert looked(custody, full, 2 * SETTLED_S) == Listed([old], 0, [])
    assert looked(custody, empty, 3 * SETTLED_S) == waits, "it was there in between"
    assert looked(custody, empty, 3 * SETTLED_S + APART_S, since=3 * SETTLED_S + 1) == waits, "a new connection"
    since = 4 * SETTLED_S
    assert looked(custody, empty, since + SETTLED_S, since) == waits, "what the former one has shown does not count"
    assert custody.of("bot") == [old]
    assert looked(custody, empty, since + SETTLED_S + APART_S, since) == gone
    assert custody.of("bot") == []
    assert old.told == f"order X9 of account ...{str(ACC)[-4:]}"


def test_a_cancel_says_what_the_order_said() -> None:
    placed_in_japan = Placed("bot", Account(0, 5, 8, 3), 7, "X7", WALL)
    c2s = opend.ModifyOrderRequest.FromString(cancel_body(placed_in_japan)).c2s
    assert (c2s.header.trdEnv, c2s.header.accID, c2s.header.trdMarket, c2s.header.jpAccType) == (0, 5, 8, 3)
    assert (c2s.orderID, c2s.orderIDEx, c2s.modifyOrderOp, c2s.forAll) == (7, "X7", 2, False)
    assert is_calming_untrusted(MODIFY, 0, cancel_body(one()))
    stamped = opend.ModifyOrderRequest.FromString(stamp_untrusted(MODIFY, 0, cancel_body(one()), 5, 6)).c2s
    assert (stamped.packetID.connID, stamped.packetID.serialNo) == (5, 6)
    asked = opend.GetOrderListRequest.FromString(list_body(ACCOUNT)).c2s
    assert (asked.header.accID, asked.refreshCache, asked.HasField("filterConditions")) == (ACC, True, False)


def test_what_is_kept_comes_back() -> None:
    there = {"a:1": [one(), Placed("b", Account(0, 5, 8, 3), 0, "X", 2.0)], "b:1": [one(8, "X8")]}
    assert parse(dump(there)) == there
    for bad in (b"", b"{}", b'{"version":2,"orders":[]}', dump(there)[:-4]):
        with pytest.raises(ValueError):  # noqa: PT011  msgspec's own texts
            parse(bad)


def test_let_go_and_forgotten() -> None:
    custody = holding(one(), one(8, "X8"))
    custody.let_go(one())
    custody.let_go(one())
    assert custody.of("bot") == [one(8, "X8")]
    custody.forget("bot")
    custody.forget("bot")
    assert (custody.holders(), custody.all()) == ({}, [])
    assert not guarded(None)
    assert [guarded(each) for each in (BOT, FREE, key(key_id="d", dead_man_s=1.0))] == [True, False, True]


# -- in the router


def test_the_router_takes_up_what_it_should() -> None:
    play = Play(keyring=ring(BOT, FREE))
    bot, free = play.client(1, client_id=plaintext("bot")), play.client(2, client_id=plaintext("free"))
    custody = play.router.writes.custody
    play.send(free, PLACE, place())
    play.answer(body=placed(1, "X1"))
    play.send(bot, PLACE, place())
    play.answer(body=opend.ResponseHead(retType=-1, retMsg="no").SerializeToString())
    play.send(bot, PLACE, place())
    play.answer(failure=Failure.TIMEOUT)
    play.send(bot, MODIFY, modify(2, order_id=9))
    play.answer(body=placed(9, "X9"))
    assert custody.holders() == {}
    play.send(bot, PLACE, place())
    play.close(bot)
    play.answer(body=placed(7, "X7"))
    assert [each.order_id_ex for each in custody.of("bot")] == ["X7"], "its client had gone by then"
    play.push(2208, order_push(order(status=11)))
    assert custody.holders() == {}


def test_every_request_of_a_watched_key_is_shown_to_core() -> None:
    play = Play(keyring=ring(BOT, FREE), allow_unknown=True)
    heard: list[tuple[str, int]] = []

    def hear(key_id: str, proto_id: int, _now: float) -> bool:
        heard.append((key_id, proto_id))
        return False

    play.access.heard = hear
    bot, free = play.client(1, client_id=plaintext("bot")), play.client(2, client_id=plaintext("free"))
    assert not [each for each in PROTOCOLS if action_of(bot.row, each) is RequestAction.PASS]
    assert action_of(free.row, 3004) is RequestAction.PASS
    play.send(bot, 3004)
    play.send(free, 3004)
    play.send(bot, 1004)
    assert heard == [("bot", 3004)], "KeepAlive is no request of the program"
