"""A pause in core: nobody is cut off, everybody is told, nothing is sent, and afterwards it is as after an outage."""

from __future__ import annotations

import pytest

from opendmux.core.pauses import Pause
from opendmux.wire.pb import opend
from tests.core.playbook import PARK_S, Line, Play
from tests.core.trade_kit import modify, place
from tests.runtime.bodies import acc_push, sub

TENCENT = (1, "00700")
PLACE, MODIFY, SUB, PUSHES, QUOTE = 2202, 2205, 3001, 2008, 3004
PAUSE = Pause(1_767_225_600.0, "ops")
SAID = (
    "OpenD at opend.test:11111 is paused for maintenance since 2026-01-01T00:00:00Z by ops, "
    "resume with `opendmux resume`"
)


def pause(play: Play, one: Pause = PAUSE) -> list[Line]:
    return play.do(play.router.links.pause(one, play.now))


def test_it_says_how_it_ends() -> None:
    assert PAUSE.text() in SAID
    assert Pause(0.0, "ops", 60.0).text().endswith("`opendmux resume`, or by itself at 1970-01-01T00:01:00Z")


@pytest.mark.parametrize("on_outage", ["hold", "close"])
def test_everybody_stays_and_is_told(on_outage: str) -> None:
    play = Play()
    client = play.client(1, recv_notify=True)
    client.on_outage = on_outage
    lines = pause(play)
    assert [line[0] for line in lines] == ["push"]
    told = opend.NotifyResponse.FromString(lines[0][2]).s2c  # type: ignore[arg-type]
    assert (told.type, told.connectStatus.qotLogined) == (3, False)
    assert play.send(client, QUOTE) == [("reply", 1, QUOTE, 2, -200, f"{SAID}; this request was not sent")]
    newcomer = play.client(2)
    assert newcomer.ready
    assert play.send(newcomer, PLACE, place())[0][4] == -200
    assert pause(play, Pause(0.0, "ops", 60.0)) == [], "only its end is new"
    assert not play.closed


def test_what_was_sent_before_gets_its_answer() -> None:
    play = Play()
    client = play.client(1)
    play.send(client, PLACE, place())
    play.passes(client, QUOTE)
    pause(play)
    assert [line[4] for line in play.answer_all() if line[0] == "reply"] == [0, 0]
    assert play.lose() == [], "nobody is told twice"


def test_what_waits_inside_is_refused() -> None:
    play = Play(metered=True)
    client = play.client(1)
    play.send(client, MODIFY, modify(1, order_id=7, qty=1.0))
    assert play.send(client, MODIFY, modify(1, order_id=7, qty=2.0)) == [], "it waits for a gap"
    lines = pause(play)
    assert [line[:4] for line in lines] == [("reply", 1, MODIFY, 3)]
    assert play.denial().reason == "upstream"
    assert play.later(1.0) == []
    assert len(play.waiting) == 1


def test_restore_calls_wait_and_are_refused_when_it_lasts() -> None:
    play = Play()
    play.client(1)
    pause(play)
    play.lose()
    play.later(1.0)
    newcomer = play.client(2)
    play.later(1.0)
    assert play.send(newcomer, SUB, sub([TENCENT], [1])) == []
    assert play.send(newcomer, PUSHES, acc_push(10)) == []
    lines = play.later(PARK_S)
    assert [(line[0], line[4]) for line in lines] == [("reply", -200)] * 2
    assert not play.closed, "nobody knows how long it takes, so nobody is sent away"
    assert play.send(newcomer, SUB, sub([TENCENT], [1])) == []
    play.router.links.resume()
    lines = play.up()
    assert ("reply", 2, SUB) not in [line[:3] for line in lines]
    assert SUB in [line[1] for line in lines if line[0] == "ask"]


def test_afterwards_it_is_as_after_an_outage() -> None:
    play = Play()
    client = play.client(1, recv_notify=True)
    play.send(client, SUB, sub([TENCENT], [1]))
    play.send(client, PUSHES, acc_push(10))
    play.answer_all()
    pause(play)
    play.lose()
    play.later(5.0)
    play.router.links.resume()
    assert play.main.upstream.absence(play.now).endswith("away for 5 s; opendmux is reconnecting")
    lines = play.up()
    assert [line[1] for line in lines if line[0] == "ask"] == [SUB, PUSHES, 2001, 1002]
    assert play.send(client, QUOTE)[0][0] == "forward"
