"""The account list, read for clients that stayed over an outage: without it OpenD takes no order of theirs.

The rest of tenancy is in test_entry.py, test_visibility.py and test_accountgate.py.
"""

from __future__ import annotations

import pytest

from opendmux.core.commands import Failure
from opendmux.core.roster import AGAIN_S
from opendmux.wire.messages import ret_body
from opendmux.wire.pb import opend
from tests.core.key_kit import key
from tests.core.playbook import Line, Play
from tests.runtime.bodies import acc_list, acc_push, sub, trade_write

LIST, PUSHES, ORDER, FUNDS, QUOTE = 2001, 2008, 2202, 2101, 3004
NO = ret_body(0, -1, "not logged in yet")


def names(lines: list[Line]) -> list[tuple[object, ...]]:
    """What was sent, without its body: by itself, or for whom; and on which lane."""
    return [
        (line[1], *line[3:]) if line[0] == "ask" else (line[2], f"of {line[1]}", *line[5:])
        for line in lines
        if line[0] in ("ask", "forward")
    ]


def trader(*, what: int = LIST, metered: bool = False, retry_reads: bool = False) -> Play:
    """One client that trades, or reads as those do who may trade, and an outage."""
    play = Play(metered=metered, retry_reads=retry_reads)
    client = play.client(1, recv_notify=True)
    if what == LIST:
        play.answer(play.passes(client, LIST), acc_list((10, "A")))
    else:
        play.send(client, what, {PUSHES: acc_push(10), ORDER: trade_write(1, 2)}.get(what, b""))
        play.answer()
    play.lose()
    return play


@pytest.mark.parametrize("metered", [True, False])
@pytest.mark.parametrize("what", [LIST, PUSHES, ORDER])
def test_the_list_is_read_again_for_who_has_shown_that_he_may_trade(what: int, metered: bool) -> None:
    play = trader(what=what, metered=metered)
    restored = [(PUSHES,)] if what == PUSHES else []
    assert names(play.up()) == [*restored, (LIST,), (1002,)]
    asked, _state = play.waiting
    assert names(play.answer(asked, acc_list((10, "A")))) == [(LIST,)], "the futures accounts, which nobody is told"
    categories = [opend.GetAccListRequest.FromString(body).c2s.trdCategory for body in play.bodies(LIST)]
    assert categories == [2]


def test_what_waited_goes_after_it() -> None:
    play = Play(metered=True, retry_reads=True)
    old, new = play.client(1), 2
    play.answer(play.passes(old, LIST), acc_list((10, "A")))
    play.send(old, 3203, b"\x0a\x00")
    play.lose()
    parked = play.client(new)
    play.send(parked, LIST)
    play.send(parked, PUSHES, acc_push(10))
    assert names(play.up()) == [(LIST,), (3203, "of 1"), (LIST, "of 2"), (PUSHES,)]


def test_an_order_right_after_the_outage_goes_after_it() -> None:
    play = trader()
    lines = play.up() + play.send(play.router.sessions[1], ORDER, trade_write(1, 2))
    assert names(lines) == [(LIST,), (1002,), (ORDER, "of 1")]


@pytest.mark.parametrize("what", [QUOTE, FUNDS])
def test_nothing_is_read_for_who_can_not_have_read_it(what: int) -> None:
    play = trader(what=what)
    assert (LIST,) not in names(play.up())


def test_nothing_is_read_for_who_has_gone() -> None:
    play = trader()
    play.close(play.router.sessions[1])
    assert names(play.up()) == []


def test_who_comes_later_reads_it_himself() -> None:
    play = Play(ready=False)
    session = play.client(1)
    play.send(session, LIST)
    assert names(play.up()) == [(LIST, "of 1")]


def test_after_each_outage_it_is_read_again() -> None:
    play = trader()
    for _ in range(2):
        assert (LIST,) in names(play.up())
        play.answer_all()
        play.lose()


@pytest.mark.parametrize("failure", [None, *Failure])
def test_a_list_that_does_not_come_changes_nothing_and_is_asked_for_later(failure: Failure | None) -> None:
    play = trader()
    play.up()
    assert play.answer(play.waiting[0], NO, failure=failure) == [], "nobody is told"
    play.answer_all()
    session = play.router.sessions[1]
    assert session.ready
    assert names(play.send(session, ORDER, trade_write(1, 2))) == [(ORDER, "of 1")]
    play.answer_all()
    assert names(play.later(AGAIN_S - 0.1)) == []
    assert names(play.later(0.1)) == [(LIST,)]
    play.answer_all()
    assert play.later(1000.0) == [], "OpenD has told it"


def test_it_is_not_asked_for_again_once_nobody_needs_it() -> None:
    play = trader()
    play.up()
    play.answer(play.waiting[0], NO)
    play.answer_all()
    play.close(play.router.sessions[1])
    assert play.later(1000.0) == []


def test_a_list_cut_off_by_the_next_outage_is_read_after_that() -> None:
    play = trader()
    play.up()
    play.lose()
    assert names(play.later(1000.0)) == [], "there is no link"
    assert (LIST,) in names(play.up())


def test_streams_that_need_the_list_share_the_question() -> None:
    account = key("acc:read", "trade:real")
    play = Play()
    caller = play.caller(2, account, streams=1)
    play.answer(play.waiting[0], acc_list((10, "A")))
    play.answer_all()
    play.call(caller, LIST)
    play.answer(play.waiting[0], acc_list((10, "A")))
    play.lose()
    assert names(play.up()).count((LIST,)) == 1
    play.answer_all()
    assert play.router.roster.known


@pytest.mark.parametrize("trade_address", [None, "trade.test:11111"])
def test_each_trade_lane_is_introduced_by_its_own_clients(trade_address: str | None) -> None:
    """JSON clients trade by a connection of their own, on which nobody else's list counts."""
    play = Play(trade_address=trade_address)
    main, in_json = (0, 1) if trade_address is None else (2, 3)
    if main:
        play.up(main)
    plain, json_client = play.client(1), play.client(2, push_proto_fmt=1)
    for lane in {1, in_json}:
        assert names(play.up(lane)) == []
    play.send(json_client, ORDER, trade_write(1, 2))
    play.answer_all()
    for lane in {0, 1, main, in_json}:
        play.lose(lane)
    for lane in {0, 1, main, in_json} - {in_json}:
        assert names(play.up(lane)) == [], "its clients only look at quotes"
    assert names(play.up(in_json)) == [(LIST, in_json)]
    play.answer_all()
    play.send(plain, ORDER, trade_write(1, 2))
    play.answer_all()
    play.lose(main)
    assert names(play.up(main)) == [(LIST, *([main] if main else []))]


def test_a_lane_for_other_options_is_not_asked() -> None:
    play = Play()
    for owner, session in ((1, 1), (2, 3)):
        client = play.client(owner)
        play.send(client, 3001, sub([(11, "AAPL")], [11], session=session))
        if owner == 1:
            play.answer_all()
    play.up(2)
    play.answer_all()
    play.send(play.router.sessions[2], ORDER, trade_write(1, 2))
    play.answer_all()
    play.lose(2)
    assert names(play.up(2)) == [(3001, 2)]
