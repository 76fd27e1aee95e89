"""Callers over gRPC and HTTP, without their wire: requests, streams, and how keys end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
import trio

from opendmux.config import Config, Limits
from opendmux.core.denial import Denial, DenialKind
from opendmux.core.keys import ALL_SCOPES, Key, Scopes
from opendmux.runtime.backend import Answer, Caller, PushStream
from opendmux.runtime.callers import GRACE_S, Callers
from opendmux.runtime.pushstreams import STREAMS_MAX
from opendmux.wire.messages import ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PROTOCOLS, PUSH_IDS, ProtoId
from tests.core.key_kit import key, plaintext, ring
from tests.core.playbook import hello
from tests.runtime.bodies import acc_list, acc_push, account_read, quote_push, sub, ticker_push, trade_push, trade_write
from tests.runtime.world import OK, Client, World, world

if TYPE_CHECKING:
    from trio.testing import MockClock

ALL = key(*ALL_SCOPES, key_id="all")
QUOTES = key(Scopes.QOT_READ, key_id="quotes")
ACCOUNT = key(Scopes.ACC_READ, key_id="account")
TENCENT = (1, "00700")
ORDER = ProtoId.TRD_UPDATE_ORDER


@dataclass
class Desk:
    """Callers of a running proxy."""

    world: World
    callers: Callers
    answers: list[Answer] = field(default_factory=list)

    def use(self, *keys: Key) -> None:
        """The keys file has been read again."""
        self.world.proxy.house.access.keyring = ring(*keys)
        hub = self.world.proxy.hub
        hub.run(hub.router.tenancy.review(trio.current_time(), hub.wall()))

    def admit(self, its_key: Key, *, local: bool = True) -> Caller:
        caller = self.callers.admit(plaintext(its_key.id), iface="grpc", peer="p", local=local)
        assert not isinstance(caller, Denial), caller
        return caller

    def ask(self, caller: Caller, proto_id: int, body: bytes = b"", *, until: float | None = None) -> list[Answer]:
        """The answers that have come, and those that will."""
        got: list[Answer] = []
        caller.request(proto_id, body, until=until, answer=got.append)
        return got

    async def answered(self, caller: Caller, proto_id: int, body: bytes = b"") -> Answer:
        got = self.ask(caller, proto_id, body)
        await trio.sleep(0.1)
        (answer,) = got
        return answer

    def stream(self, caller: Caller) -> PushStream:
        stream = caller.open_stream()
        assert not isinstance(stream, Denial), stream
        return stream


@asynccontextmanager
async def desk(*keys: Key, config: Config | None = None) -> AsyncIterator[Desk]:
    async with world(config) as running:
        running.proxy.house.access.keyring = ring(*keys) if keys else None
        callers = Callers(running.proxy.hub, running.proxy.house.access)
        running.proxy.hub.on_tick.append(callers.tidy)
        yield Desk(running, callers)


def denial_of(answer: Answer) -> tuple[DenialKind, str]:
    assert answer.denial is not None
    assert answer.ret_type != 0
    assert opend.ResponseHead.FromString(answer.body).retMsg == answer.ret_msg, "a whole Response that says so"
    return answer.denial.kind, answer.denial.reason


async def test_a_request_is_answered_by_way_of_the_switch(autojump_clock: MockClock) -> None:
    async with desk(ALL) as at:
        body = ret_body(0, 0, "fine")
        at.world.opend.answers[1005] = lambda _frame: body
        assert await at.answered(at.admit(ALL), 1005) == Answer(0, "fine", body)


async def test_requests_together_leave_by_one_write(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk(ALL) as at:
        at.world.opend.answers[1005] = lambda _frame: OK
        caller, link = at.admit(ALL), at.world.proxy.hub.links[0]
        writes: list[None] = []
        flush = link.flush

        def counted() -> None:
            writes.append(None)
            flush()

        monkeypatch.setattr(link, "flush", counted)
        with at.callers.together():
            first, second = at.ask(caller, 1005), at.ask(caller, 1005)
            assert not writes
        assert len(writes) == 1
        await trio.sleep(0.1)
        assert [len(first), len(second)] == [1, 1]
        writes.clear()
        at.ask(caller, 1005)
        assert len(writes) == 1


@pytest.mark.parametrize("proto_id", [1002, 3004])
async def test_a_request_is_answered_by_way_of_core(autojump_clock: MockClock, proto_id: int) -> None:
    async with desk(ALL) as at:
        at.world.opend.answers[proto_id] = lambda _frame: OK
        answer = await at.answered(at.admit(ALL), proto_id)
        assert (answer.ret_type, answer.denial) == (0, None)


@pytest.mark.parametrize("proto_id", [1001, 1004])
async def test_what_belongs_to_a_connection_is_answered_here(autojump_clock: MockClock, proto_id: int) -> None:
    async with desk(ALL) as at:
        answer = await at.answered(at.admit(ALL), proto_id, hello() if proto_id == 1001 else b"")
        assert (answer.ret_type, answer.denial) == (0, None)
        assert not at.world.opend.log


async def test_a_business_failure_is_an_ordinary_answer(autojump_clock: MockClock) -> None:
    async with desk(ALL) as at:
        at.world.opend.answers[3004] = lambda _frame: ret_body(0, -1, "no right")
        answer = await at.answered(at.admit(ALL), 3004)
        assert (answer.ret_type, answer.ret_msg, answer.denial) == (-1, "no right", None)


async def test_without_the_scope_nothing_reaches_opend(autojump_clock: MockClock) -> None:
    """Every protocol, as a caller and as a client of OpenD's own protocol, with a key that may do nothing."""
    nothing = key(key_id="nothing")
    async with desk(nothing) as at:
        caller, client = at.admit(nothing), await at.world.connect()
        await client.call(1001, hello(client_id=plaintext("nothing")))
        for proto_id in [*PROTOCOLS, 0, 9999]:
            protocol = PROTOCOLS.get(proto_id)
            if protocol is not None and protocol.scope == "none" and proto_id not in PUSH_IDS:
                continue
            kind, _reason = denial_of(await at.answered(caller, proto_id))
            assert kind is (DenialKind.INVALID if proto_id in PUSH_IDS else DenialKind.PERMISSION)
            reply = opend.ResponseHead.FromString((await client.call(proto_id, b"")).body)
            assert reply.retType == -1
        assert not at.world.opend.log


async def test_a_client_with_a_wrong_key_is_told_and_closed(autojump_clock: MockClock) -> None:
    async with desk(ALL) as at:
        for client_id in ("somebody", plaintext("nobody")):
            client: Client = await at.world.connect()
            reply = opend.ResponseHead.FromString((await client.call(1001, hello(client_id=client_id))).body)
            assert reply.retType == -1
            assert "fc_" + "0" not in reply.retMsg
            assert await client.read_to_the_end() == 0


@pytest.mark.parametrize("bearer", [None, "", "fc_nobody", plaintext("nobody")])
async def test_who_has_no_key_gets_nothing(autojump_clock: MockClock, bearer: str | None) -> None:
    async with desk(ALL) as at:
        denial = at.callers.admit(bearer, iface="grpc", peer="p", local=True)
        assert isinstance(denial, Denial)
        assert denial.kind is DenialKind.UNAUTHENTICATED
        label = "<missing>" if bearer is None else "<invalid>"
        assert at.world.proxy.house.access.tally.auth_events["grpc", "reject", label] == 1


async def test_without_keys_callers_read_and_simulate(autojump_clock: MockClock) -> None:
    async with desk() as at:
        caller = at.callers.admit(None, iface="http", peer="p", local=True)
        assert not isinstance(caller, Denial)
        assert caller.key_id == "anonymous"
        at.world.opend.answers[3004] = lambda _frame: OK
        assert (await at.answered(caller, 3004)).denial is None
        assert denial_of(await at.answered(caller, 1008)) == (DenialKind.PERMISSION, "scope")
        assert denial_of(await at.answered(caller, 2202, trade_write(0, 0))) == (DenialKind.PERMISSION, "scope")
        at.use(ALL)
        assert denial_of(await at.answered(caller, 3004))[0] is DenialKind.UNAUTHENTICATED


# -- time


async def test_opend_says_nothing(autojump_clock: MockClock) -> None:
    async with desk(ALL) as at:
        caller = at.admit(ALL)
        usual = at.ask(caller, 3004)
        soon = at.ask(caller, 3006, until=trio.current_time() + 2.0)
        late = at.ask(caller, 1005, until=trio.current_time() + 3600.0)
        await trio.sleep(3.0)
        assert not usual
        assert denial_of(soon[0])[0] is DenialKind.TIMEOUT
        await trio.sleep(10.0)
        assert denial_of(usual[0])[0] is DenialKind.TIMEOUT
        assert denial_of(late[0])[0] is DenialKind.TIMEOUT, "no client keeps a request open for as long as it likes"


async def test_the_link_is_lost(autojump_clock: MockClock) -> None:
    async with desk(ALL) as at:
        caller = at.admit(ALL)
        read, write = at.ask(caller, 1005), at.ask(caller, 3214)
        await trio.sleep(0.1)
        at.world.opend.up = False
        await at.world.opend.drop()
        await trio.sleep(0.1)
        assert denial_of(read[0])[0] is DenialKind.UNAVAILABLE
        assert (write[0].ret_type, write[0].denial) == (-400, None), "nobody may be invited to send it twice"
        assert denial_of(await at.answered(caller, 3214))[0] is DenialKind.UNAVAILABLE, "this one was not sent"


async def test_requests_in_flight_are_bounded_forgotten_ones_too(autojump_clock: MockClock) -> None:
    async with desk(ALL, config=Config(limits=Limits(in_flight=3))) as at:
        caller = at.admit(ALL)
        forgotten: list[Answer] = []
        for _ in range(3):
            caller.request(1005, b"", until=None, answer=forgotten.append)()
        assert denial_of(await at.answered(caller, 1005)) == (DenialKind.LIMIT, "in_flight")
        assert not at.callers.busy, "nobody waits for them"
        for _ in range(3):
            await at.world.opend.reply(await at.world.opend.requests.receive(), OK)
        await trio.sleep(0.1)
        assert not forgotten
        got = at.ask(caller, 1005)
        await trio.sleep(0.1)
        assert not got
        assert at.callers.busy


async def test_an_order_that_its_caller_gave_up_does_not_leave_its_queue(autojump_clock: MockClock) -> None:
    """The connection is gone, the key's session is not: nobody would ever hear of that order."""
    async with desk(ALL) as at:
        caller, opend = at.admit(ALL), at.world.opend
        opend.answers[2202] = lambda _frame: OK
        opend.answers[2001] = lambda _frame: acc_list((1, "C"))
        order = trade_write(1, 2)
        # The whole window is used up; its first place comes back after half a second.
        at.ask(caller, 2202, order)
        await trio.sleep(29.5)
        for _ in range(14):
            at.ask(caller, 2202, order)
            await trio.sleep(0.03)
        answers: list[Answer] = []
        drop = caller.request(2202, order, until=None, answer=answers.append)
        drop()
        await trio.sleep(0.5)
        assert (answers, len(opend.bodies(2202)), at.callers.busy) == ([], 15, False)
        assert (await at.answered(caller, 2202, order)).denial is None, "its place was given back"
        assert len(opend.bodies(2202)) == 16


# -- keys that end


async def test_a_revoked_key_ends_what_is_open(autojump_clock: MockClock) -> None:
    async with desk(ALL, QUOTES) as at:
        caller, other = at.admit(ALL), at.admit(QUOTES)
        at.world.opend.answers[2001] = lambda _frame: acc_list((10, "C"))
        at.world.opend.answers[2008] = lambda _frame: OK
        stream, others = at.stream(caller), at.stream(other)
        read, write = at.ask(caller, 1005), at.ask(caller, 3214)
        await trio.sleep(0.1)
        at.use(QUOTES)
        assert denial_of(read[0])[0] is DenialKind.UNAUTHENTICATED
        assert (write[0].ret_type, write[0].denial) == (-400, None)
        assert stream.ended is not None
        assert stream.ended.kind is DenialKind.UNAUTHENTICATED
        assert others.ended is None
        assert denial_of(await at.answered(caller, 1005))[0] is DenialKind.UNAUTHENTICATED
        assert isinstance(caller.open_stream(), Denial)
        await trio.sleep(0.1)
        assert at.world.opend.bodies(2008)[-1] == acc_push(), "its accounts were let go"
        at.use(ALL, QUOTES)
        at.world.opend.answers[1005] = lambda _frame: OK
        assert (await at.answered(caller, 1005)).denial is None, "it is good again"


async def test_a_rotated_plaintext_ends_by_itself(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        hub = at.world.proxy.hub
        hub.tick()
        old = at.admit(QUOTES)
        stream = at.stream(old)
        at.world.proxy.house.access.keyring = ring(QUOTES, until=hub.wall() + 5.0)
        await trio.sleep(3.0)
        assert stream.ended is None
        at.world.proxy.house.access.keyring = ring(QUOTES, until=hub.wall())
        await trio.sleep(2.0)
        assert stream.ended is not None
        assert stream.ended.kind is DenialKind.UNAUTHENTICATED
        assert denial_of(await at.answered(old, 3004))[0] is DenialKind.UNAUTHENTICATED


async def test_a_stream_whose_key_lost_its_scopes_ends(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        stream = at.stream(at.admit(QUOTES))
        at.use(replace(QUOTES, scopes=frozenset({Scopes.ADMIN})))
        await trio.sleep(2.0)
        assert stream.ended is not None
        assert stream.ended.kind is DenialKind.PERMISSION


async def test_who_comes_with_a_certificate_has_its_key(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        at.world.opend.answers[1005] = lambda _frame: OK
        caller = at.callers.admit(None, iface="grpc", peer="p", local=True, certified="quotes")
        assert not isinstance(caller, Denial)
        assert (await at.answered(caller, 1005)).denial is None
        at.use(ALL)
        assert denial_of(await at.answered(caller, 1005))[0] is DenialKind.UNAUTHENTICATED


async def test_a_frozen_key(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = at.admit(QUOTES)
        stream = at.stream(caller)
        at.use(replace(QUOTES, allowed_machines=frozenset()))
        assert denial_of(await at.answered(caller, 3004)) == (DenialKind.PERMISSION, "machine")
        await trio.sleep(2.0)
        assert stream.ended is not None


async def test_a_connection_that_gave_its_key_back(autojump_clock: MockClock) -> None:
    async with desk(ALL) as at:
        caller = at.admit(ALL)
        caller.detach()
        caller.detach()
        assert denial_of(await at.answered(caller, 1005))[0] is DenialKind.UNAUTHENTICATED


# -- streams


async def subscribed(at: Desk, caller: Caller, sub_type: int = 1) -> None:
    at.world.opend.answers[3001] = lambda _frame: OK
    assert (await at.answered(caller, 3001, sub([TENCENT], [sub_type]))).ret_type == 0


async def test_two_streams_of_one_key_get_the_same(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        one, two = at.admit(QUOTES), at.admit(QUOTES)
        streams = [at.stream(one), at.stream(two)]
        await subscribed(at, one)
        await at.world.opend.push(3005, quote_push(TENCENT))
        for stream in streams:
            await stream.wakeups.receive()
            (event,) = stream.take(1 << 20)
            assert (event.sec_key, event.sub_type, event.event_type) == ("1_00700", 1, "quote")
            assert stream.take(1 << 20) == []
        streams[0].close()
        streams[0].close()
        await at.world.opend.push(3005, quote_push(TENCENT))
        await streams[1].wakeups.receive()
        assert len(streams[1].take(1 << 20)) == 1
        assert streams[0].take(1 << 20) == []


async def test_a_late_stream_is_greeted(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = at.admit(QUOTES)
        await subscribed(at, caller)
        await at.world.opend.push(3005, quote_push(TENCENT))
        await trio.sleep(0.1)
        (event,) = at.stream(caller).take(1 << 20)
        assert event.sec_key == "1_00700"


async def test_quotes_are_conflated_in_a_slow_stream_and_ticks_are_not(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = at.admit(QUOTES)
        stream = at.stream(caller)
        await subscribed(at, caller)
        await subscribed(at, caller, 4)
        for number in range(5):
            await at.world.opend.push(3005, quote_push(TENCENT))
            await at.world.opend.push(3011, ticker_push(*TENCENT, mark=bytes([number])))
            await trio.sleep(0.1)
        events = stream.take(1 << 20)
        assert [event.proto_id for event in events].count(3005) == 1
        ticks = [event.body for event in events if event.proto_id == 3011]
        assert ticks == [ticker_push(*TENCENT, mark=bytes([number])) for number in range(5)]


async def test_a_stream_that_is_too_slow_ends(autojump_clock: MockClock) -> None:
    async with desk(QUOTES, config=Config(limits=Limits(outbox_bytes=65536))) as at:
        caller = at.admit(QUOTES)
        slow, other = at.stream(caller), at.stream(caller)
        await subscribed(at, caller, 4)
        for _ in range(40):
            await at.world.opend.push(3011, ticker_push(*TENCENT, mark=bytes(4000)))
            await trio.sleep(0.1)
            other.take(1 << 20)
        assert slow.ended is not None
        assert (slow.ended.kind, slow.ended.reason) == (DenialKind.LIMIT, "slow")
        assert other.ended is None
        before = len(slow.take(1 << 20))
        assert 0 < before < 40
        await at.world.opend.push(3011, ticker_push(*TENCENT, mark=b"news"))
        await trio.sleep(0.1)
        assert slow.take(1 << 20) == [], "after a gap nothing comes"
        assert len(other.take(1 << 20)) == 1


async def test_the_number_of_streams_is_bounded(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = at.admit(QUOTES)
        streams = [at.stream(caller) for _ in range(STREAMS_MAX)]
        denial = caller.open_stream()
        assert isinstance(denial, Denial)
        assert denial.kind is DenialKind.LIMIT
        streams[0].close()
        at.stream(caller)


async def test_a_stream_needs_a_scope(autojump_clock: MockClock) -> None:
    trader = key(Scopes.TRADE_REAL, key_id="trader")
    async with desk(trader) as at:
        denial = at.admit(trader).open_stream()
        assert isinstance(denial, Denial)
        assert (denial.kind, denial.scope) == (DenialKind.PERMISSION, Scopes.QOT_READ)


async def test_an_account_stream_needs_no_request_of_its_own(autojump_clock: MockClock) -> None:
    limited = key(Scopes.ACC_READ, key_id="limited", allowed_acc_ids=frozenset({20}))
    async with desk(ACCOUNT, QUOTES, limited) as at:
        opend_double = at.world.opend
        lists = iter([acc_list((10, "A"), (20, "B")), acc_list()])
        opend_double.answers[2001] = lambda _frame: next(lists)
        opend_double.answers[2008] = lambda _frame: OK
        account, quotes, few = at.stream(at.admit(ACCOUNT)), at.stream(at.admit(QUOTES)), at.stream(at.admit(limited))
        await trio.sleep(0.1)
        assert opend_double.bodies(2008)[-1] == acc_push(10, 20)
        for acc_id in (10, 20):
            await opend_double.push(ORDER, trade_push(ORDER, acc_id, "00700"))
        await trio.sleep(0.1)
        assert [event.acc_id for event in account.take(1 << 20)] == [10, 20]
        assert [event.acc_id for event in few.take(1 << 20)] == [20]
        assert quotes.take(1 << 20) == []
        counted = at.world.proxy.house.access.tally.filtered_pushes
        assert counted[Scopes.ACC_READ, "quotes"] == 2
        assert counted[Scopes.ACC_READ, "limited"] == 1
        assert counted[Scopes.ACC_READ, "account"] == 0
        account.close()
        await trio.sleep(0.1)
        assert opend_double.bodies(2008)[-1] == acc_push(20)


# -- the end


async def test_what_nobody_uses_is_let_go_after_a_grace(autojump_clock: MockClock) -> None:
    async with desk(QUOTES) as at:
        caller = at.admit(QUOTES)
        stream = at.stream(caller)
        await subscribed(at, caller)
        caller.detach()
        await trio.sleep(GRACE_S + 65.0)
        assert len(at.world.opend.bodies(3001)) == 1
        stream.close()
        await trio.sleep(GRACE_S - 5.0)
        again = at.admit(QUOTES)
        await trio.sleep(GRACE_S + 65.0)
        assert len(at.world.opend.bodies(3001)) == 1, "it came back in time"
        again.detach()
        await trio.sleep(GRACE_S + 65.0)
        assert len(at.world.opend.bodies(3001)) == 2
        assert not opend.SubRequest.FromString(at.world.opend.bodies(3001)[1]).c2s.isSubOrUnSub
        assert not at.world.proxy.hub.router.sessions


async def test_drain(autojump_clock: MockClock) -> None:
    async with desk(ALL) as at:
        caller = at.admit(ALL)
        stream = at.stream(caller)
        got = at.ask(caller, 1005)
        await trio.sleep(0.1)
        at.callers.drain()
        assert stream.ended is not None
        assert stream.ended.reason == "drain"
        denial = at.callers.admit(plaintext("all"), iface="grpc", peer="p", local=True)
        assert isinstance(denial, Denial)
        assert denial.kind is DenialKind.UNAVAILABLE
        assert at.callers.busy
        frames = at.world.opend.requests
        while (frame := await frames.receive()).proto_id != 1005:
            pass
        await at.world.opend.reply(frame, OK)
        await trio.sleep(0.1)
        assert got[0].denial is None
        at.callers.close()
        assert denial_of(await at.answered(caller, 1005))[0] is DenialKind.UNAVAILABLE


async def test_a_limited_caller_reaches_no_other_account(autojump_clock: MockClock) -> None:
    limited = key(*ALL_SCOPES, key_id="limited", allowed_acc_ids=frozenset({20}))
    async with desk(limited) as at:
        caller = at.admit(limited)
        assert denial_of(await at.answered(caller, 2101, account_read(10))) == (DenialKind.PERMISSION, "account")
        at.world.opend.answers[2001] = lambda _frame: acc_list((10, "A"), (20, "B"))
        listed = opend.GetAccListResponse.FromString((await at.answered(caller, 2001)).body)
        assert [account.accID for account in listed.s2c.accList] == [20]
        assert not at.world.opend.bodies(2101)
