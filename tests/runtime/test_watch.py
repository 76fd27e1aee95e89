"""A running proxy asks OpenD how it is, and shows what is wrong with it."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config, WatchConfig
from opendmux.core import conditions, snapshot
from opendmux.core.conditions import Kind
from opendmux.runtime.readiness import Readiness, readiness_of
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .bodies import sub
from .test_status import look, status_of
from .world import OK, World, world

STATE, USER, SUBS = ProtoId.GET_GLOBAL_STATE, ProtoId.GET_USER_INFO, ProtoId.QOT_GET_SUB_INFO


def state(*, quote: bool = True, program: int = 10) -> bytes:
    s2c = opend.GetGlobalStateS2C(qotLogined=quote, trdLogined=True, marketHK=3)
    s2c.programStatus.type = program
    return encode(opend.GetGlobalStateResponse(retType=0, s2c=s2c))


def answers(w: World) -> None:
    """OpenD is well, and has much."""
    w.opend.answers[STATE] = lambda _frame: state()
    user = opend.GetUserInfoS2C(hkQotRight=3, subQuota=100, historyKLQuota=30)
    w.opend.answers[USER] = lambda _frame: encode(opend.GetUserInfoResponse(retType=0, s2c=user))
    quota = opend.GetSubInfoS2C(totalUsedQuota=3, remainQuota=97)
    w.opend.answers[SUBS] = lambda _frame: encode(opend.GetSubInfoResponse(retType=0, s2c=quota))


async def notify(w: World, **fields: object) -> None:
    s2c = opend.NotifyS2C(**fields)  # type: ignore[arg-type]
    await w.opend.push(ProtoId.NOTIFY, encode(opend.NotifyResponse(retType=0, s2c=s2c)))
    await trio.sleep(0.2)


def ready(w: World) -> Readiness:
    active = w.proxy.house.conditions.active()
    return readiness_of(w.proxy.stations, now=trio.current_time(), wall=0.0, conditions=active)


async def test_while_it_logs_in_it_is_not_ready(autojump_clock: MockClock) -> None:
    async with world(up=False, asks=True) as w:
        answers(w)
        w.opend.up = True
        await w.proxy.listening.wait()
        assert ready(w).ready
        w.opend.answers[STATE] = lambda _frame: state(quote=False, program=2)
        await notify(w, type=2, programStatus={"programStatus": {"type": 2}})
        await trio.sleep(5)
        assert ready(w).conditions == [], "it passes by itself"
        assert ready(w).reasons == ["OpenD at opend.test:11111 is starting, and is not logged in yet"]
        await trio.sleep(60)
        assert len(ready(w).reasons) == 1, "it takes long: that is said once"
        w.opend.answers[STATE] = lambda _frame: state()
        await notify(w, type=2, programStatus={"programStatus": {"type": 10}})
        await trio.sleep(5)
        assert ready(w).ready


async def test_nothing_is_unknown_for_long(autojump_clock: MockClock) -> None:
    async with world(up=False, asks=True) as w:
        answers(w)
        w.opend.up = True
        await w.proxy.listening.wait()
        await trio.sleep(1)
        (one,) = look(status_of(w)).opends
        assert (one.quote_login, one.trade_login, one.program) == (True, True, "ready")
        assert (one.quota_used, one.quota_left, one.history_quota) == (3, 97, 30)
        said_at, first = dt.datetime.fromisoformat(one.quota_at or ""), one.quota_at
        assert 0 < (dt.datetime.fromisoformat(look(status_of(w)).time) - said_at).total_seconds() < 2
        assert one.rights == {"HK stocks": "LV2"}
        await trio.sleep(600)
        asked = [len(w.opend.bodies(proto_id)) for proto_id in (STATE, USER, SUBS)]
        assert asked == [21, 3, 3]
        assert look(status_of(w)).opends[0].quota_at != first, "of the latest answer"


async def test_it_is_ready_when_opend_has_said_how_it_is(autojump_clock: MockClock) -> None:
    async with world(up=False, asks=True) as w:
        answers(w)
        w.opend.up = True
        await w.proxy.listening.wait()
        assert (ready(w).ready, ready(w).opends[0].quote_login) == (True, True), "from the first client on"
        del w.opend.answers[STATE]
        await w.opend.drop()
        main = w.proxy.hub.router.lanes.main.upstream
        while not main.ready:
            await trio.sleep(0.01)
        assert ready(w).reasons == ["OpenD at opend.test:11111 has just been reached, and has not said yet how it is"]
        await trio.sleep(30)
        assert (ready(w).ready, ready(w).opends[0].quote_login) == (True, None), "it did not answer in time"


async def test_an_opend_that_does_not_say_how_it_is_is_served_all_the_same(autojump_clock: MockClock) -> None:
    async with world(up=False, asks=True) as w:
        w.opend.up = True
        while not w.opend.bodies(STATE):
            await trio.sleep(0.01)
        assert not w.proxy.listening.is_set()
        await trio.sleep(1.5)
        assert w.proxy.listening.is_set()
        assert not ready(w).ready
        w.opend.answers[STATE] = lambda _frame: ret_body(0, -1, "no")
        await w.opend.drop()
        await trio.sleep(10)
        assert ready(w).ready, "it has refused to tell"


async def test_clients_do_not_notice(autojump_clock: MockClock) -> None:
    async with world(up=False, asks=True) as w:
        w.opend.up = True
        await w.proxy.listening.wait()
        client = await w.client(recv_notify=True)
        assert await client.nothing_comes(100), "OpenD answers none of the questions, and nobody is told"
        assert len(w.opend.bodies(STATE)) >= 3, "it is asked again when the last question has timed out"
        assert ready(w).ready


async def test_a_code_is_needed(autojump_clock: MockClock) -> None:
    async with world() as w:
        status = opend.ProgramStatus(type=4, strExtDesc="sent to 138****0000")
        await notify(w, type=2, programStatus=opend.NotifyProgramStatus(programStatus=status))
        found = ready(w)
        assert not found.ready
        (reason,) = found.reasons
        assert reason.startswith("OpenD at opend.test:11111 waits for the code that was sent to the phone")
        assert reason.endswith('OpenD says: "sent to 138****0000".')
        (told,) = found.conditions
        assert (told.kind, told.active, told.blocks) == ("code_needed", True, True)
        assert "opendmux opend input_phone_verify_code -code=123456" in told.next_step
        status_page = status_of(w)
        assert look(status_page).conditions[0].kind == "code_needed"
        status = opend.ProgramStatus(type=10)
        await notify(w, type=2, programStatus=opend.NotifyProgramStatus(programStatus=status))
        assert ready(w).ready
        assert look(status_page).conditions == [], "what is wrong is never an old text"


async def test_an_answer_that_was_on_its_way_when_a_notice_came_does_not_end_what_that_began(
    autojump_clock: MockClock,
) -> None:
    async with world(up=False, asks=True) as w:
        answers(w)
        w.opend.up = True
        await w.proxy.listening.wait()
        del w.opend.answers[STATE]
        asked = len(w.opend.bodies(STATE))
        while len(w.opend.bodies(STATE)) == asked:
            await trio.sleep(0.1)
        await notify(w, type=1, event=opend.NotifyGtwEvent(eventType=7, desc=""))
        question = [frame for frame in w.opend.log if frame.proto_id == STATE][-1]
        answers(w)
        await w.opend.reply(question, state())
        await trio.sleep(1)
        assert [told.kind for told in ready(w).conditions] == ["kicked"]
        await trio.sleep(2)
        assert ready(w).conditions == [], "it was asked again soon"


async def test_a_login_that_is_lost_is_a_reason(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[ProtoId.QOT_SUB] = lambda _frame: OK
        client = await w.client()
        await client.call(ProtoId.QOT_SUB, sub([(1, "00700")], [1]))
        connect = opend.NotifyConnectStatus(qotLogined=False, trdLogined=True)
        await notify(w, type=3, connectStatus=connect)
        found = ready(w)
        assert not found.ready
        assert found.reasons == ["OpenD at opend.test:11111 has lost its login for quotes: prices do not move."]
        assert [(told.kind, told.subject, told.blocks) for told in found.conditions] == [("login_lost", "quote", True)]
        whole = look(status_of(w))
        assert [one.stale_reason for one in whole.subscriptions] == ["OpenD has lost its login for quotes"]
        assert (whole.subscriptions[0].stale, whole.opends[0].stale) == (True, 1)
        text = w.proxy.stations[0].watch.feed.count_stale(trio.current_time())
        assert text == {"login": 1}


async def test_single_events_stay_for_a_while(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "RECENT_S", 60.0)  # an hour of everything else that happens takes long
    async with world() as w:
        await notify(w, type=1, event=opend.NotifyGtwEvent(eventType=14, desc=""))
        (told,) = look(status_of(w)).conditions
        assert (told.kind, told.active, told.times) == ("program", False, 1)
        assert told.conclusion.startswith("The trade password of the account")
        assert ready(w).conditions == []
        await trio.sleep(55)
        assert [one.kind for one in look(status_of(w)).conditions] == ["program"]
        await trio.sleep(10)
        assert look(status_of(w)).conditions == []


async def test_an_order_of_which_nobody_knows(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        c2s = opend.PlaceOrderC2S(
            packetID=opend.PacketID(connID=client.conn_id, serialNo=1),
            header=opend.TrdHeader(trdEnv=0, accID=123456, trdMarket=1),
            trdSide=1,
            orderType=1,
            code="00700",
            qty=100,
            price=1.05,
        )
        await client.request(ProtoId.TRD_PLACE_ORDER, encode(opend.PlaceOrderRequest(c2s=c2s)))
        await trio.sleep(1)
        await w.opend.drop()
        await trio.sleep(1)
        (told,) = w.proxy.house.conditions.recent(trio.current_time())
        assert (told.kind, told.opend, told.single) == (Kind.OUTCOME_UNKNOWN, "opend.test:11111", True)
        assert told.subject.startswith("#1 tcp")
        assert told.figures == (
            "2202 Trd_PlaceOrder: the connection was lost before the answer. The order: account ...3456, env simulate, "
            "market HK, code 00700, side BUY, order type NORMAL, qty 100, price 1.05."
        )


async def test_an_outage_begins_and_is_over(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.up = False
        await w.opend.drop()
        await trio.sleep(5)
        (told,) = w.proxy.house.conditions.active()
        assert (told.kind, told.subject) == (Kind.UPSTREAM_DOWN, "opend.test:11111")
        assert told.figures == "Reason: Connection refused."
        assert len(ready(w).reasons) == 1, "it is said once"
        w.opend.up = True
        await trio.sleep(30)
        assert w.proxy.house.conditions.active() == []


async def test_settings_change_while_it_runs(autojump_clock: MockClock) -> None:
    async with world() as w:
        await trio.sleep(60)
        assert w.opend.bodies(STATE) == []
        w.proxy.apply(msgspec.structs.replace(Config(), watch=WatchConfig(ask_s=10)))
        await trio.sleep(25)
        assert len(w.opend.bodies(STATE)) >= 2


def test_the_json_of_the_probe_is_that_of_the_status() -> None:
    fields = {field.name for field in msgspec.structs.fields(snapshot.Condition)}
    assert fields >= {"kind", "opend", "subject", "since", "conclusion", "figures", "next_step"}
