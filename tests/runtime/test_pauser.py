"""A pause while it runs: answers are waited for, nobody connects meanwhile, and clients go on afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config
from opendmux.runtime.house import House
from opendmux.runtime.operator import NoOpendError
from opendmux.runtime.pauser import DRAIN_S, Pauser
from opendmux.wire.messages import decode_untrusted, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from tests.core.trade_kit import place

from .bodies import acc_push, sub
from .http_kit import Browser
from .test_admin import ask, proxy
from .world import OK, Client, MemoryListener, World, world

QUOTE, PLACE, TENCENT = 3004, 2202, (1, "00700")


def head(body: bytes) -> opend.ResponseHead:
    return decode_untrusted(opend.ResponseHead, body, 0)


def pauser(w: World) -> Pauser:
    return w.proxy.pauser


async def pause(w: World, for_s: float | None = None) -> None:
    await pauser(w).pause(None, for_s, by="ops", peer="p", asker="ops")


async def resume(w: World) -> None:
    await pauser(w).resume(None, by="ops", peer="p", asker="ops")


async def holder(w: World) -> Client:
    """A client with a subscription and account pushes."""
    w.opend.answers.update(dict.fromkeys((3001, 2008, 2001, 1002), lambda _frame: OK))
    client = await w.client(recv_notify=True)
    await client.call(ProtoId.QOT_SUB, sub([TENCENT], [1]))
    await client.call(ProtoId.TRD_SUB_ACC_PUSH, acc_push(10))
    return client


@pytest.mark.parametrize("on_outage", ["hold", "close"])
async def test_clients_stay_and_everything_is_restored(autojump_clock: MockClock, on_outage: str) -> None:
    async with world(Config(on_outage=on_outage)) as w:  # type: ignore[arg-type]
        client = await holder(w)
        await pause(w)
        assert w.opend.connections == 1
        assert "is paused for maintenance since" in w.proxy.readiness().reasons[0]
        (told,) = w.proxy.house.conditions.active()
        assert (told.kind, told.blocks) == ("paused", True)
        answer = head((await client.call(QUOTE, b"")).body)
        assert (answer.retType, "resume with `opendmux resume`; this request" in answer.retMsg) == (-200, True)
        newcomer = await w.client()
        assert head((await newcomer.call(QUOTE, b"")).body).retType == -200
        w.opend.up = False  # it is restarted meanwhile
        await trio.sleep(300)
        assert w.opend.connections == 1, "nobody tries to connect"
        w.opend.up = True
        await resume(w)
        await trio.sleep(1)
        assert w.opend.connections == 2
        assert [len(w.opend.sent_by(1, proto_id)) for proto_id in (3001, 2008)] == [1, 1]
        w.opend.answers[QUOTE] = lambda _frame: ret_body(0, 0, "fine")
        for one in (client, newcomer):
            assert head((await one.call(QUOTE, b"")).body).retMsg == "fine"
        assert w.proxy.readiness().ready
        assert w.proxy.house.conditions.active() == []


async def test_what_was_sent_is_waited_for(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        serial = await client.request(PLACE, place())
        sent = await w.opend.requests.receive()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pause, w)
            await trio.sleep(2)
            assert head((await client.call(PLACE, place())).body).retType == -200, "new ones are refused at once"
            nursery.start_soon(resume, w)
            await trio.sleep(2)
            assert w.opend.connections == 1, "an end that comes too early waits for them too"
            await w.opend.reply(sent, OK)
            frame = await client.receive()
            assert (frame.serial_no, head(frame.body).retType) == (serial, 0)
        await trio.sleep(2)
        assert w.opend.connections == 2
        assert w.opend.bodies(PLACE) == [sent.body], "nothing is sent twice"


async def test_but_not_for_ever(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await client.request(PLACE, place())
        await w.opend.requests.receive()
        before = trio.current_time()
        await pause(w)
        assert trio.current_time() - before == pytest.approx(DRAIN_S, abs=0.1)
        assert "outcome unknown" in head((await client.receive()).body).retMsg
        assert [one.unanswered for one in pauser(w).show()] == [1]


async def test_it_ends_by_itself_and_its_end_can_be_set_anew(autojump_clock: MockClock) -> None:
    async with world() as w:
        pauser(w).wall = trio.current_time
        await pause(w, 60)
        await trio.sleep(30)
        (first,) = pauser(w).show()
        await pause(w, 100)
        (second,) = pauser(w).show()
        assert (second.pause.since, second.pause.by) == (first.pause.since, "ops")
        await trio.sleep(90)
        assert w.opend.connections == 1
        await trio.sleep(12)
        assert w.opend.connections == 2
        assert pauser(w).show() == []
        await resume(w)
        await trio.sleep(2)
        assert w.opend.connections == 2, "an end without a pause does nothing"


@pytest.mark.parametrize("seconds", [0.0, 0.3, 2.0])
async def test_in_an_outage_the_attempts_end_too(autojump_clock: MockClock, seconds: float) -> None:
    async with world() as w:
        w.opend.up = False
        await w.opend.drop()
        await trio.sleep(seconds)
        await pause(w)
        w.opend.up = True
        await trio.sleep(100)
        assert w.opend.connections == 1
        await resume(w)
        await trio.sleep(1)
        assert w.opend.connections == 2


async def test_a_link_that_is_just_being_restored_does_not_come_up_in_it(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await holder(w)
        del w.opend.answers[3001]
        await w.opend.drop()
        await trio.sleep(2)
        assert w.opend.connections == 2, "the subscriptions are being restored"
        await pause(w)
        for frame in w.opend.log[-2:]:
            with pytest.raises(trio.BrokenResourceError):
                await w.opend.reply(frame, OK)
        await trio.sleep(60)
        assert head((await client.call(QUOTE, b"")).body).retType == -200
        assert w.opend.connections == 2


async def test_an_opend_that_is_not_there_is_said(autojump_clock: MockClock) -> None:
    async with world() as w:
        for which in (0, 2, -1, "", "opend.text:11111"):
            with pytest.raises(NoOpendError, match="no OpenD is called"):
                await pauser(w).pause(which, None, by="ops", peer="p", asker="ops")
        assert pauser(w).show() == []
        await pauser(w).pause(1, None, by="ops", peer="p", asker="ops")
        assert [one.number for one in pauser(w).show()] == [1]


async def order(listener: MemoryListener, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    ours, _theirs = await listener.connect()
    answer = await Browser(ours).get(path, method="POST", host="localhost", body=body)
    return answer.status, json.loads(answer.body)


async def test_over_the_admin_socket_before_opend_was_ever_reached(autojump_clock: MockClock) -> None:
    listener = MemoryListener()
    async with proxy(House(), listener) as running:
        status, answer = await order(listener, "/v1/pause", b'{"for_s": 600}')
        (paused,) = answer["paused"]
        assert (status, paused["opend"], paused["name"], paused["unanswered"]) == (200, 1, "192.0.2.1:11111", 0)
        assert "by <admin-socket>, admin socket" in paused["text"]
        assert (await ask(listener, "/readyz"))[0] == 503
        assert json.loads((await ask(listener, "/v1/status"))[1])["opends"][0]["paused"]["until"] == paused["until"]
        assert json.loads((await ask(listener, "/v1/pause"))[1]) == answer
        for bad in (b'{"for_s": 0}', b'{"for_s": -1}', b'{"for_s": 1e300}', b'{"opend": 1.5}', b'{"x": 1}'):
            assert (await order(listener, "/v1/pause", bad))[0] == 400
        assert (await order(listener, "/v1/resume", b'{"opend": 7}'))[0] == 404
        assert (await order(listener, "/v1/resume", b'{"opend": "192.0.2.1:1"}'))[0] == 404
        for which in (b'"1"', b'"192.0.2.1:11111"', b"1"):
            assert (await order(listener, "/v1/pause", b'{"opend": %b}' % which))[1]["paused"][0]["opend"] == 1
            assert (await order(listener, "/v1/resume", b'{"opend": %b}' % which))[1] == {"paused": []}
        await order(listener, "/v1/pause", b"")
        assert (await order(listener, "/v1/resume", b""))[1] == {"paused": []}
        assert running.hub.resumed.is_set()
