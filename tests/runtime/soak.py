"""The pieces of the soak test: the real simulator behind the proxy, clients that do as they please, and the books
that everybody's subscriptions are compared with."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import trio
import trio.testing

from opendmux.config import Config
from opendmux.core.lanes import Lane
from opendmux.core.streams import KL_TYPE_OF_SUB_TYPE, SUB_TYPE_OF_KL_TYPE
from opendmux.runtime.server import Face, Proxy, run_proxy
from opendmux.runtime.station import Reach
from opendmux.sim import SimConfig, Simulator, open_simulator
from opendmux.wire.frame import Frame
from opendmux.wire.messages import decode_untrusted, encode
from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import PUSH_IDS, ProtoId

from . import bodies
from .world import Client, MemoryListener

__all__ = ["JSON_CLIENTS", "PERIOD_S", "Member", "PushedKey", "Soak", "StreamId", "soak"]

PERIOD_S = 4.0
"""Every watched security moves once in so long."""

GRACE_S = 0.5
"""A push that had left before the answer to `unsubscribe` may still come behind it."""

MIN_AGE_S = 60.0
LATE_S = 1.5
"""How long after its 60 s a stream that nobody wants may still be subscribed."""

SECURITIES = [(1, "00700"), (1, "00005"), (1, "09988"), (11, "AAPL"), (11, "TSLA"), (21, "600519"), (91, "BTCUSD")]
BASIC, BOOK, TICKER, RT, KL_DAY, KL_1MIN, BROKER = 1, 2, 4, 5, 6, 11, 14
SUB_TYPES = [BASIC, BOOK, TICKER, RT, KL_DAY, KL_1MIN, BROKER]
RTH, ALL = 1, 3
JSON_CLIENTS = 3
"""So many of the clients take their pushes as JSON."""

KNOWN_REFUSALS = (
    "opendmux is reconnecting",
    "was lost before the answer",
    "other options",
    "is not subscribed on this connection",
    "subscription quota exceeded",
)


class StreamId(NamedTuple):
    """What is subscribed."""

    market: int
    code: str
    sub_type: int


class PushedKey(NamedTuple):
    """What is pushed; ``rehab_type`` 0 where there are no K lines."""

    stream: StreamId
    rehab_type: int


PUSH_MESSAGES: dict[int, type[Any]] = {
    ProtoId.QOT_UPDATE_BASIC_QOT: opend_sim.BasicQotResponse,
    ProtoId.QOT_UPDATE_ORDER_BOOK: opend_sim.OrderBookResponse,
    ProtoId.QOT_UPDATE_TICKER: opend_sim.TickerResponse,
    ProtoId.QOT_UPDATE_RT: opend_sim.RTResponse,
    ProtoId.QOT_UPDATE_BROKER: opend_sim.BrokerResponse,
    ProtoId.QOT_UPDATE_KL: opend_sim.UpdateKLResponse,
    ProtoId.TRD_UPDATE_ORDER: opend_sim.UpdateOrderResponse,
}
SUB_TYPE_OF_PUSH = {
    ProtoId.QOT_UPDATE_ORDER_BOOK: BOOK,
    ProtoId.QOT_UPDATE_TICKER: TICKER,
    ProtoId.QOT_UPDATE_RT: RT,
    ProtoId.QOT_UPDATE_BROKER: BROKER,
}


_READABLE: dict[int, type[Any]] = {
    ProtoId.QOT_SUB: opend.SubRequest,
    ProtoId.QOT_REG_QOT_PUSH: opend.RegQotPushRequest,
    ProtoId.QOT_GET_SUB_INFO: opend.GetSubInfoRequest,
    ProtoId.TRD_SUB_ACC_PUSH: opend.SubAccPushRequest,
    ProtoId.TRD_GET_ACC_LIST: opend.GetAccListRequest,
    ProtoId.TRD_PLACE_ORDER: opend_sim.PlaceOrderRequest,
}


def pushed_keys(frame: Frame) -> list[PushedKey]:
    """What a quote push is about."""
    s2c = decode_untrusted(PUSH_MESSAGES[frame.proto_id], frame.body, frame.proto_fmt).s2c
    if frame.proto_id == ProtoId.QOT_UPDATE_BASIC_QOT:
        return [PushedKey(StreamId(q.security.market, q.security.code, BASIC), 0) for q in s2c.basicQotList]
    security = s2c.security
    if frame.proto_id == ProtoId.QOT_UPDATE_KL:
        sub_type = SUB_TYPE_OF_KL_TYPE[s2c.klType]
        return [PushedKey(StreamId(security.market, security.code, sub_type), s2c.rehabType)]
    return [PushedKey(StreamId(security.market, security.code, SUB_TYPE_OF_PUSH[ProtoId(frame.proto_id)]), 0)]


OWN_LIST = encode(opend.GetSubInfoRequest(c2s=opend.GetSubInfoC2S(isReqAllConn=False)))
"""A 3003 for what the asking client holds."""


def own_list(answer: Frame) -> set[StreamId]:
    """What the answer to `OWN_LIST` names, each stream once."""
    response = decode_untrusted(opend.GetSubInfoResponse, answer.body, answer.proto_fmt)
    (own,) = response.s2c.connSubInfoList
    listed = [StreamId(s.market, s.code, info.subType) for info in own.subInfoList for s in info.securityList]
    assert own.usedQuota == len(listed) == len(set(listed))
    return set(listed)


def keys_of(stream: StreamId, rehab_types: Iterable[int]) -> list[PushedKey]:
    if stream.sub_type not in KL_TYPE_OF_SUB_TYPE:
        return [PushedKey(stream, 0)]
    return [PushedKey(stream, rehab_type) for rehab_type in rehab_types or (1,)]


@dataclass
class Soak:
    """The simulator, the proxy in front of it, and whoever is connected."""

    nursery: trio.Nursery
    sim: Simulator
    proxy: Proxy
    listener: MemoryListener
    up: dict[str, bool]
    subscribed_at: dict[tuple[int, StreamId], float]
    """(connection of the simulator, stream) -> when it was last subscribed there."""
    members: list[Member] = field(default_factory=list)
    checks: int = 0

    @property
    def lanes(self) -> list[Lane]:
        return [lane for lane in self.proxy.hub.router.lanes.all if lane.wanted]

    @property
    def quiet(self) -> bool:
        """The upstream is there and owes no answer."""
        return all(lane.upstream.ready for lane in self.lanes) and not self.proxy.hub.switch.counters().pending

    async def until_quiet(self) -> None:
        """Wait until the upstream is there and every request has been answered."""
        with trio.fail_after(60):
            while True:
                await trio.testing.wait_all_tasks_blocked()
                if self.quiet and not any(member.pending for member in self.members):
                    return
                await trio.sleep(0.05)

    def upstream_of(self, lane: Lane) -> tuple[int, set[StreamId]]:
        """The simulator's side of a lane: number of the connection, and what is subscribed there."""
        assert lane.upstream.identity is not None
        conn_id = lane.upstream.identity.conn_id
        (number,) = (c.number for c in self.sim.connections if c.conn_id == conn_id)
        return number, {
            StreamId(market, code, sub_type) for (market, code), sub_type in self.sim.subscriptions.of(number)
        }

    def check_ledgers(self) -> None:
        """The books are right in themselves; true at any time."""
        for lane in self.lanes:
            lane.ledger.check()

    def check_upstream(self) -> None:
        """Upstream = what clients hold + what waits out its 60 s. Only while it is `quiet`."""
        self.check_ledgers()
        self.checks += 1
        now = trio.current_time()
        held = {stream for member in self.members for stream in member.held}
        wanted: set[StreamId] = set()
        for lane in self.lanes:
            number, subscribed = self.upstream_of(lane)
            booked = {StreamId(*key[1:]) for key in lane.ledger.upstream_streams()}
            assert subscribed == booked, f"{lane}: {subscribed ^ booked}"
            mine = {
                StreamId(market, code, sub_type)
                for owner in lane.ledger.owners_with_subscriptions()
                for sub_type, securities in lane.ledger.subscriptions(owner).items()
                for market, code in securities
            }
            refused = {StreamId(*key[1:]) for key in lane.ledger.refused()}
            assert mine - subscribed <= refused, f"{lane}: {mine - subscribed - refused} is not there"
            for stream in subscribed - mine:
                age = now - self.subscribed_at[number, stream]
                assert age < MIN_AGE_S + LATE_S, f"{lane}: nobody wants {stream}, {age:.1f} s old"
            wanted |= mine
        assert wanted == held, f"{wanted ^ held}"

    def assert_nothing_left(self) -> None:
        """After the last client has gone and everything is old enough."""
        hub = self.proxy.hub
        assert self.sim.subscribed_now() == {}
        assert set(hub.links) == {0}, "lanes that nobody needs"
        assert all(lane.ledger.empty() for lane in hub.router.lanes.all)
        assert not any(lane.waiting for lane in hub.router.lanes.all)
        assert not hub.clients
        assert not hub.router.sessions
        counters = hub.switch.counters()
        assert (counters.pending, counters.outbox_bytes) == (0, 0)


@asynccontextmanager
async def soak(sim_config: SimConfig, config: Config | None = None) -> AsyncIterator[Soak]:
    """A simulator with a proxy in front of it, both on memory streams."""
    listener, up = MemoryListener(), {"up": True}
    async with open_simulator(sim_config) as sim, trio.open_nursery() as nursery:

        async def dial() -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            if not up["up"]:
                raise ConnectionRefusedError(111, "Connection refused")
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(sim.serve_stream, theirs)
            return ours

        async def run(task_status: trio.TaskStatus[Proxy]) -> None:
            settings = config or Config()
            face = Face(Reach("opend.test:11111", dial), settings, settings.on_outage, listeners=[listener])
            await run_proxy([face], drain_s=1.0, task_status=task_status)

        subscribed_at: dict[tuple[int, StreamId], float] = {}
        subscribe = sim.subscriptions.subscribe

        def note(connection: int, pairs: list[Any], now: float) -> None:
            subscribe(connection, pairs, now)
            for (market, code), sub_type in pairs:
                subscribed_at[connection, StreamId(market, code, sub_type)] = trio.current_time()

        sim.subscriptions.subscribe = note  # type: ignore[method-assign]
        proxy = await nursery.start(run)
        await proxy.listening.wait()
        yield Soak(nursery, sim, proxy, listener, up, subscribed_at)
        nursery.cancel_scope.cancel(reason="test is over")


class Member:
    """One client of the crowd, with a model of what it must hold and what it must be pushed."""

    def __init__(self, soak: Soak, number: int, seed: int) -> None:
        self.soak = soak
        self.number = number
        self.json = number < JSON_CLIENTS
        self.dice = random.Random(f"{seed} {number}")
        self.held: set[StreamId] = set()
        self.pushed: set[PushedKey] = set()
        self.got: set[PushedKey] = set()
        """Pushes since somebody cleared it."""
        self.accounts: frozenset[int] = frozenset()
        self.orders: set[int] = set()
        """Order ids of pushes."""
        self.pending: dict[int, tuple[int, Callable[[], None], trio.Event]] = {}
        self.answered = 0
        self.refusals: dict[str, int] = {}
        self._asked: set[PushedKey] = set()
        """What requests that are not answered yet register: a part of them may take effect before the answer."""
        self._left: dict[PushedKey, float] = {}
        self._client: Client | None = None
        self._ended = trio.Event()
        self._answers: deque[int] = deque([0, 0], maxlen=2)
        """Serials of the latest answers."""
        self._diary: deque[str] = deque(maxlen=30)
        self._last: Frame | None = None
        """The newest answer."""

    def __repr__(self) -> str:
        return f"<member {self.number}>"

    def story(self) -> str:
        """What it asked and was told lately, for the message of a failure."""
        return f"{self}, which holds {sorted(self.held)}:\n" + "\n".join(self._diary)

    def _write_down(self, text: str) -> None:
        self._diary.append(f"  {trio.current_time():.2f} {text}")

    # -- the connection

    async def connect(self) -> None:
        client = Client(*await self.soak.listener.connect())
        await client.init(recv_notify=True, push_proto_fmt=int(self.json))
        self._client, self._ended = client, trio.Event()
        self._write_down("connected")
        self.soak.nursery.start_soon(self._read, client, self._ended)

    async def leave(self) -> None:
        """Disconnect; what is open gets no answer any more."""
        client, self._client = self._client, None
        if client is None:
            return
        self.held.clear()
        self.pushed.clear()
        self.accounts = frozenset()
        await trio.aclose_forcefully(client.stream)
        await self._ended.wait()
        for _proto_id, _done, event in self.pending.values():
            event.set()
        self.pending.clear()
        self._left.clear()
        self._asked.clear()

    async def _read(self, client: Client, ended: trio.Event) -> None:
        try:
            while True:
                self._frame(await client.receive())
        except (trio.EndOfChannel, trio.ClosedResourceError, trio.BrokenResourceError):
            assert self._client is not client, f"{self} was disconnected by the proxy"
        finally:
            ended.set()

    def _frame(self, frame: Frame) -> None:
        if self._client is None:
            return
        if frame.proto_id == ProtoId.NOTIFY:
            s2c = decode_untrusted(opend.NotifyResponse, frame.body, frame.proto_fmt).s2c
            if "these subscriptions are over" in s2c.event.desc:
                self._write_down(s2c.event.desc)
                self.soak.nursery.start_soon(self._learn_what_is_left)
            return
        if frame.proto_id in PUSH_IDS:
            self._push(frame)
            return
        proto_id, succeeded, event = self.pending.pop(frame.serial_no)
        assert proto_id == frame.proto_id
        self.answered += 1
        self._answers.append(frame.serial_no)
        self._last = frame
        head = opend.ResponseHead.FromString(frame.body)
        self._write_down(f"<- {frame.serial_no} {head.retType} {head.retMsg}")
        if head.retType == 0:
            succeeded()
        else:
            self._refused(head.retMsg)
        event.set()
        if not self.pending:
            self._left.update(dict.fromkeys(self._asked - self.pushed, trio.current_time()))
            self._asked.clear()
        self.soak.check_ledgers()

    def _refused(self, text: str) -> None:
        known = [words for words in KNOWN_REFUSALS if words in text]
        assert known, text
        self.refusals[known[0]] = self.refusals.get(known[0], 0) + 1

    def _push(self, frame: Frame) -> None:
        assert frame.proto_fmt == int(self.json)
        if frame.proto_id == ProtoId.TRD_UPDATE_ORDER:
            s2c = decode_untrusted(opend_sim.UpdateOrderResponse, frame.body, frame.proto_fmt).s2c
            assert s2c.header.accID in self.accounts
            self.orders.add(s2c.order.orderID)
            return
        now = trio.current_time()
        for key in pushed_keys(frame):
            allowed = key in self.pushed or key in self._asked or now - self._left.get(key, -GRACE_S) < GRACE_S
            assert allowed, f"was pushed {key}: {self.story()}"
            self.got.add(key)

    # -- requests

    async def call(self, proto_id: int, body: bytes, succeeded: Callable[[], None] = lambda: None) -> None:
        """Send and wait for the answer; ``succeeded`` is called for retType 0."""
        await (await self.send(proto_id, body, succeeded)).wait()

    async def send(self, proto_id: int, body: bytes, succeeded: Callable[[], None] = lambda: None) -> trio.Event:
        """Send; the event is set with the answer."""
        assert self._client is not None
        event = trio.Event()
        self.pending[self._client.serial_no + 1] = (proto_id, succeeded, event)
        message = _READABLE[proto_id].FromString(body)
        self._write_down(f"-> {self._client.serial_no + 1} {proto_id} {str(message).split()}")
        await self._client.request(proto_id, body)
        return event

    async def ask(self, proto_id: int, body: bytes) -> Frame:
        """Send, and return the answer, which must be a success."""
        await self.call(proto_id, body)
        assert self._last is not None
        return self._last

    async def _learn_what_is_left(self) -> None:
        """As a program would that is told of a loss: it asks."""

        def answered() -> None:
            assert self._last is not None
            left = own_list(self._last)
            assert left <= self.held
            self._unsubscribed(self.held - left)

        if self._client is not None:
            await self.call(ProtoId.QOT_GET_SUB_INFO, OWN_LIST, answered)

    def _subscribed(self, streams: list[StreamId], register: bool | None, rehab_types: list[int]) -> None:
        self.held.update(streams)
        if register is not None:
            self._registered(streams, register, rehab_types)

    def _registered(self, streams: Iterable[StreamId], register: bool, rehab_types: list[int]) -> None:
        for key in [key for stream in streams for key in keys_of(stream, rehab_types)]:
            if register:
                self.pushed.add(key)
            elif key in self.pushed:
                self.pushed.remove(key)
                self._left[key] = trio.current_time()

    def _unsubscribed(self, streams: Iterable[StreamId]) -> None:
        gone = set(streams)
        self.held -= gone
        self._registered(gone, False, [0, 1, 2])

    # -- what it does of its own accord

    async def act(self) -> None:
        """One random deed, finished when it is answered."""
        dice = self.dice.random()
        if dice < 0.50:
            await (await self._subscribe()).wait()
        elif dice < 0.62:
            await (await self._unsubscribe()).wait()
        elif dice < 0.66:
            await self.call(ProtoId.QOT_SUB, bodies.unsub_all(), lambda: self._unsubscribed(list(self.held)))
        elif dice < 0.80:
            await self._register()
        elif dice < 0.86:
            first = await self._subscribe()
            second = await self._unsubscribe()
            await first.wait()
            await second.wait()
            if self._answers[0] > self._answers[1]:
                # A request that needs several lanes can be overtaken; nobody can say what is held now.
                await self.call(ProtoId.QOT_SUB, bodies.unsub_all(), lambda: self._unsubscribed(list(self.held)))
        elif dice < 0.90:
            await self._subscribe()
            await self.leave()
        elif dice < 0.95:
            await self.leave()
        else:
            await self.watch_accounts()
        if self._client is None:
            await trio.sleep(self.dice.choice([0.0, 0.1, 1.0, 3.0]))
            await self.connect()

    def _some(self) -> tuple[list[tuple[int, str]], list[int], list[StreamId]]:
        securities = self.dice.sample(SECURITIES, self.dice.choice([1, 1, 2, 3]))
        sub_types = self.dice.sample(SUB_TYPES, self.dice.choice([1, 1, 2, 3]))
        return securities, sub_types, [StreamId(*s, sub_type) for s in securities for sub_type in sub_types]

    async def _subscribe(self) -> trio.Event:
        securities, sub_types, streams = self._some()
        register = self.dice.choice([True, True, True, False, None])
        rehab_types = self.dice.choice([[], [], [1], [0, 1], [2]])
        options: dict[str, Any] = {}
        if self.dice.random() < 0.2:
            options = self.dice.choice([{"session": RTH}, {"session": ALL}, {"isSubOrderBookDetail": True}])
        body = bodies.sub(
            securities,
            sub_types,
            register=register,
            first_push=self.dice.random() < 0.7,
            regPushRehabTypeList=rehab_types,
            **options,
        )
        if register:
            self._asked.update(key for stream in streams for key in keys_of(stream, rehab_types))
        return await self.send(ProtoId.QOT_SUB, body, lambda: self._subscribed(streams, register, rehab_types))

    async def _unsubscribe(self) -> trio.Event:
        if self.held and self.dice.random() < 0.8:
            stream = self.dice.choice(sorted(self.held))
            securities, sub_types, streams = [stream[:2]], [stream.sub_type], [stream]
        else:
            securities, sub_types, streams = self._some()
        body = bodies.sub(securities, sub_types, subscribe=False)
        return await self.send(ProtoId.QOT_SUB, body, lambda: self._unsubscribed(streams))

    async def _register(self) -> None:
        streams = [self.dice.choice(sorted(self.held)) if self.held else StreamId(1, "00700", KL_DAY)]
        if self.dice.random() < 0.3:
            streams.append(StreamId(*self.dice.choice(SECURITIES), streams[0].sub_type))
        register, rehab_types = self.dice.random() < 0.6, self.dice.choice([[], [1], [0, 1], [2]])
        c2s = opend.RegQotPushC2S(
            securityList=[opend.Security(market=stream.market, code=stream.code) for stream in streams],
            subTypeList=[streams[0].sub_type],
            rehabTypeList=rehab_types,
            isRegOrUnReg=register,
        )
        await self.call(
            ProtoId.QOT_REG_QOT_PUSH,
            encode(opend.RegQotPushRequest(c2s=c2s)),
            lambda: self._registered([stream for stream in streams if stream in self.held], register, rehab_types),
        )

    # -- trading

    async def watch_accounts(self, accounts: Iterable[int] | None = None) -> None:
        """2008 with some of the accounts, or with these."""
        known = sorted(self.soak.sim.broker.accounts)
        chosen = frozenset(
            self.dice.sample(known, self.dice.randrange(len(known) + 1)) if accounts is None else accounts
        )

        took: list[frozenset[int]] = []
        before, self.accounts = self.accounts, self.accounts | chosen
        body = bodies.acc_push(*chosen)
        await self.call(ProtoId.TRD_SUB_ACC_PUSH, body, lambda: took.append(chosen))
        self.accounts = took[0] if took else before

    async def place_order(self) -> int | None:
        """As the SDK does: the account list first. Returns the account, None when the order was refused."""
        acc_id = next(a.acc_id for a in self.soak.sim.broker.accounts.values() if a.trd_env == 0)
        await self.call(ProtoId.TRD_GET_ACC_LIST, encode(opend.GetAccListRequest(c2s=opend.GetAccListC2S(userID=0))))
        assert self._client is not None
        c2s = opend_sim.PlaceOrderC2S(
            packetID=opend.PacketID(connID=self._client.conn_id, serialNo=self._client.serial_no + 1),
            header=opend.TrdHeader(trdEnv=0, accID=acc_id, trdMarket=1),
            trdSide=1,
            orderType=1,
            code="00700",
            qty=100,
            price=1.0,
            secMarket=1,
        )
        placed: list[int] = []
        await self.call(
            ProtoId.TRD_PLACE_ORDER, encode(opend_sim.PlaceOrderRequest(c2s=c2s)), lambda: placed.append(acc_id)
        )
        return placed[0] if placed else None
