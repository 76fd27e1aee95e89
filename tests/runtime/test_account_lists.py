"""Account lists (2008) of several clients that change at the same moment: OpenD ends up with the union."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from opendmux.wire.messages import ret_body
from opendmux.wire.pb import opend

from . import bodies
from .world import OK, World, world


def told(w: World) -> list[set[int]]:
    return [set(opend.SubAccPushRequest.FromString(body).c2s.accIDList) for body in w.opend.bodies(2008)]


async def test_a_list_that_comes_while_a_leaver_is_still_being_told(autojump_clock: MockClock) -> None:
    """What OpenD has confirmed is out of date as soon as something else is on its way."""
    async with world() as w:
        w.opend.answers[2008] = lambda _frame: OK
        leaver, stayer = await w.client(), await w.client()
        await leaver.call(2008, bodies.acc_push(1))
        del w.opend.answers[2008]
        await trio.aclose_forcefully(leaver.stream)
        gone = await w.opend.requests.receive()
        await stayer.request(2008, bodies.acc_push(1))
        with trio.fail_after(5):
            again = await w.opend.requests.receive()
        await w.opend.reply(gone, OK)
        await w.opend.reply(again, OK)
        assert (await stayer.receive()).body == OK
        assert told(w) == [{1}, set(), {1}]
        # Now that nothing is on its way, the same list costs no call.
        assert (await stayer.call(2008, bodies.acc_push(1))).body == OK
        assert len(told(w)) == 3


async def test_after_a_time_out_nobody_knows_and_opend_is_told_again(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[2008] = lambda _frame: OK
        a, b = await w.client(), await w.client()
        await a.call(2008, bodies.acc_push(1))
        del w.opend.answers[2008]
        late = opend.ResponseHead.FromString((await a.call(2008, bodies.acc_push(2))).body)
        assert late.retType == -100
        w.opend.answers[2008] = lambda frame: ret_body(frame.proto_fmt, 0)
        await b.call(2008, bodies.acc_push(1))
        assert told(w) == [{1}, {2}, {1, 2}], "what a asked for stays wanted"
