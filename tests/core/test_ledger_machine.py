"""Random owners, requests, outcomes, cuts and pauses against a model of OpenD that enforces its own rules.

The model is the truth about upstream: it applies what is answered well, and half of what ends without a verdict. The
clients' side is replayed from the answers alone, in their order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from opendmux.core.ledger import Ledger
from opendmux.core.ledger_values import Actions, Done, Kind, RegRequest, SubRequest, UpstreamSub
from opendmux.core.streams import (
    BASIC,
    KL_1MIN,
    KL_DAY,
    TICKER,
    Options,
    PushKey,
    Space,
    StreamKey,
    is_kline,
    normalise,
)

OWNERS = st.integers(1, 4)
SECURITIES = st.lists(st.sampled_from([(11, "AAPL"), (11, "MSFT"), (1, "00700")]), min_size=1, max_size=3)
SUB_TYPES = st.lists(st.sampled_from([BASIC, TICKER, KL_DAY, KL_1MIN]), min_size=1, max_size=3)
REHABS = st.lists(st.sampled_from([0, 1, 2]), max_size=2)
# Mostly plain, so that conflicts are there without being everything.
OPTIONS = st.sampled_from([Options(), Options(), Options(), Options(session=3), Options(extended_time=True)])
SPACES = st.sampled_from([Space.QOT, Space.QOT, Space.QOT, Space.EVENT_CONTRACT])
ALL_KEYS = [
    StreamKey(space, market, code, sub_type)
    for space in Space
    for market, code in ((11, "AAPL"), (11, "MSFT"), (1, "00700"))
    for sub_type in (BASIC, TICKER, KL_DAY, KL_1MIN)
]

Request = SubRequest | RegRequest


def by_rehab(key: StreamKey) -> bool:
    return key.space is Space.QOT and is_kline(key.sub_type)


def keys_of(request: Request | UpstreamSub) -> list[StreamKey]:
    space = Space.QOT if isinstance(request, RegRequest) else request.space
    return list(dict.fromkeys(StreamKey(space, *sec, sub) for sec in request.securities for sub in request.sub_types))


@dataclass
class Subscribed:
    options: Options
    since: float
    rehabs: set[int]


@dataclass
class OpenD:
    """What OpenD has for the connection. ``doubtful``: the proxy can't know, since that time."""

    rehabs_add_up: bool
    streams: dict[StreamKey, Subscribed] = field(default_factory=dict)
    doubtful: dict[StreamKey, float] = field(default_factory=dict)
    books: dict[StreamKey, Options] = field(default_factory=dict)
    """Options by the latest answers to clients. OpenD has others after a change whose request failed elsewhere."""
    calls: dict[int, UpstreamSub] = field(default_factory=dict)

    def asked(self, call: UpstreamSub, now: float) -> None:
        busy = {key for other in self.calls.values() for key in keys_of(other)}
        assert call.call_id not in self.calls
        for key in keys_of(call):
            assert key not in busy, f"two calls at once about {key}"
            known = self.streams.get(key)
            if call.kind is Kind.SUBSCRIBE:
                assert call.first_push or call.sub_types == (TICKER,)
                if known is not None and key not in self.doubtful and known.options == self.books[key]:
                    assert known.options != call.options, f"{key} subscribed twice"
                assert not by_rehab(key) or call.rehab_types
            else:
                assert known is not None or key in self.doubtful, f"{key} is not subscribed"
            if call.kind is Kind.UNSUBSCRIBE:
                since = max(known.since if known else 0.0, self.doubtful.get(key, 0.0))
                assert now - since >= 60, f"{key} is {now - since} s old"
        self.calls[call.call_id] = call

    def apply(self, call: UpstreamSub, now: float) -> None:
        for key in keys_of(call):
            rehabs = set(call.rehab_types) if by_rehab(key) else {0}
            known = self.streams.get(key)
            if call.kind is Kind.UNSUBSCRIBE:
                del self.streams[key]
            elif call.kind is Kind.REGISTER:
                assert known is not None
                known.rehabs = rehabs | (known.rehabs if self.rehabs_add_up else set())
            else:
                self.streams[key] = Subscribed(call.options, now, rehabs)

    def agrees(self, call: UpstreamSub) -> bool:
        return call.kind is not Kind.UNSUBSCRIBE or all(key in self.streams for key in keys_of(call))


class LedgerMachine(RuleBasedStateMachine):
    @initialize(rehabs_add_up=st.booleans())
    def start(self, rehabs_add_up: bool) -> None:
        self.ledger = Ledger()
        self.opend = OpenD(rehabs_add_up)
        self.now = 0.0
        self.linked = True
        self.asked: dict[int, tuple[int, Request]] = {}
        self.meant: dict[int, set[StreamKey]] = {}
        self.tokens = 0
        self.held: dict[int, dict[StreamKey, set[int]]] = {}

    # -- what happens ------------------------------------------------------------------------------------------------

    def feed(self, actions: Actions) -> None:
        for done in actions.done:
            assert isinstance(done.token, int)
            self.answered(done, self.meant.pop(done.token), *self.asked.pop(done.token))
        for call in actions.send:
            assert self.linked
            self.opend.asked(call, self.now)

    def ask(self, owner: int, request: Request) -> None:
        self.tokens += 1
        meant = set(keys_of(request))
        if isinstance(request, SubRequest) and request.unsub_all:
            # What the owner has, or has asked for, at this moment; not what it asks for later.
            earlier = [keys_of(other) for who, other in self.asked.values() if who == owner]
            everything = {*self.held.get(owner, ()), *(key for keys in earlier for key in keys)}
            meant = {key for key in everything if key.space is request.space}
        self.meant[self.tokens] = meant
        self.asked[self.tokens] = (owner, request)
        if isinstance(request, SubRequest):
            self.feed(self.ledger.subscribe(owner, request, self.tokens, self.now))
        else:
            self.feed(self.ledger.register(owner, request, self.tokens, self.now))

    @rule(
        owner=OWNERS, space=SPACES, securities=SECURITIES, sub_types=SUB_TYPES, options=OPTIONS,
        register=st.sampled_from([True, True, None, False]), rehabs=REHABS, first_push=st.booleans(),
    )  # fmt: skip
    def subscribe(
        self,
        owner: int,
        space: Space,
        securities: list[tuple[int, str]],
        sub_types: list[int],
        options: Options,
        register: bool | None,
        rehabs: list[int],
        first_push: bool,
    ) -> None:
        request = SubRequest(
            space, tuple(securities), tuple(sub_types), True, register, tuple(rehabs), first_push, options=options
        )
        self.ask(owner, request)

    @rule(owner=OWNERS, space=SPACES, securities=SECURITIES, sub_types=st.sampled_from([[BASIC], [TICKER, KL_DAY]]))
    def unsubscribe(self, owner: int, space: Space, securities: list[tuple[int, str]], sub_types: list[int]) -> None:
        self.ask(owner, SubRequest(space, tuple(securities), tuple(sub_types), subscribe=False, register=False))

    @rule(owner=OWNERS, space=SPACES, rarely=st.sampled_from([False] * 3 + [True]))
    def unsubscribe_all(self, owner: int, space: Space, rarely: bool) -> None:
        if not rarely:
            return
        self.ask(owner, SubRequest(space, subscribe=False, unsub_all=True))

    @rule(
        owner=OWNERS, securities=SECURITIES, sub_types=SUB_TYPES, register=st.booleans(), rehabs=REHABS,
        first_push=st.booleans(),
    )  # fmt: skip
    def register(
        self,
        owner: int,
        securities: list[tuple[int, str]],
        sub_types: list[int],
        register: bool,
        rehabs: list[int],
        first_push: bool,
    ) -> None:
        self.ask(owner, RegRequest(tuple(securities), tuple(sub_types), register, tuple(rehabs), first_push))

    @rule(owner=OWNERS, rarely=st.sampled_from([False] * 3 + [True]))
    def close(self, owner: int, rarely: bool) -> None:
        if not rarely:
            return
        self.feed(self.ledger.close_owner(owner, self.now))
        self.held.pop(owner, None)
        assert all(other != owner for other, _ in self.asked.values())

    @precondition(lambda self: self.opend.calls)
    @rule(pick=st.integers(0, 99), outcome=st.sampled_from(["ok", "ok", "ok", "no", "lost", "lost but done"]))
    def answer(self, pick: int, outcome: str) -> None:
        self.reply(sorted(self.opend.calls)[pick % len(self.opend.calls)], outcome)

    @precondition(lambda self: self.opend.calls)
    @rule()
    def answer_all_well(self) -> None:
        for call_id in list(self.opend.calls):
            self.reply(call_id, "ok")

    def reply(self, call_id: int, outcome: str) -> None:
        call = self.opend.calls.pop(call_id)
        doubted = any(key in self.opend.doubtful for key in keys_of(call))
        if outcome == "ok" and not self.opend.agrees(call):
            outcome = "no"
        if outcome == "no" and call.kind is Kind.UNSUBSCRIBE and doubted and self.opend.agrees(call):
            # The ledger gives up on such a stream after some refusals, which OpenD would have no reason for.
            outcome = "ok"
        if outcome in ("ok", "lost but done") and self.opend.agrees(call):
            self.opend.apply(call, self.now)
            for key in keys_of(call) if call.kind is Kind.SUBSCRIBE else ():
                if not any(key in held for held in self.held.values()):
                    self.opend.books[key] = call.options
        ret_type = {"ok": 0, "no": -1}.get(outcome, -100)
        if call.kind is not Kind.REGISTER:
            for key in keys_of(call):
                if ret_type == 0:
                    self.opend.doubtful.pop(key, None)
                elif ret_type == -100:
                    old = self.opend.doubtful.get(key, 0.0)
                    self.opend.doubtful[key] = self.now if call.kind is Kind.SUBSCRIBE else old
        self.feed(self.ledger.upstream_reply(call_id, ret_type, outcome, self.now))
        for key in set(self.opend.doubtful) - set(self.ledger.upstream_streams()):
            assert key not in self.opend.streams, f"{key} was forgotten"
            del self.opend.doubtful[key]

    @rule(seconds=st.sampled_from([0.5, 5, 30, 61, 200]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.feed(self.ledger.due(self.now))

    @precondition(lambda self: self.linked)
    @rule()
    def wait_until_due(self) -> None:
        due = self.ledger.next_due()
        if due is not None:
            self.now = max(self.now, due)
            self.feed(self.ledger.due(self.now))
            again = self.ledger.next_due()
            assert again is None or again > self.now

    @precondition(lambda self: self.linked)
    @rule(rarely=st.sampled_from([False] * 7 + [True]))
    def lose(self, rarely: bool) -> None:
        if not rarely:
            return
        self.linked = False
        late = list(self.opend.calls)
        self.opend = OpenD(self.opend.rehabs_add_up, books=self.opend.books)
        self.feed(self.ledger.link_lost("down", self.now))
        for call_id in late:
            self.feed(self.ledger.upstream_reply(call_id, 0, "", self.now))
        assert not self.asked

    @precondition(lambda self: self.linked and any(self.held.values()))
    @rule(rarely=st.sampled_from([False] * 3 + [True]), rounds=st.integers(1, 4))
    def come_back_to_refusals(self, rarely: bool, rounds: int) -> None:
        if not rarely:
            return
        self.lose(True)
        self.replay()
        for _ in range(rounds):
            self.wait_until_due()
            for call_id in list(self.opend.calls):
                self.reply(call_id, "no")
        self.give_up()

    @precondition(lambda self: self.linked)
    @rule()
    def give_up(self) -> None:
        hopeless, refused = set(self.ledger.hopeless()), self.ledger.refused()
        assert hopeless <= refused.keys()
        actions = self.ledger.give_up(self.now)
        for dropped in actions.dropped:
            assert dropped.key in hopeless
            assert dropped.ret_msg == refused[dropped.key]
            del self.held[dropped.owner][dropped.key]
        self.feed(actions)

    @precondition(lambda self: not self.linked)
    @rule()
    def replay(self) -> None:
        self.linked = True
        self.feed(self.ledger.replay(self.now))
        assert self.ledger.replaying == bool(self.opend.calls)

    # -- what it means -----------------------------------------------------------------------------------------------

    def answered(self, done: Done, meant: set[StreamKey], owner: int, request: Request) -> None:
        """Replay the request on the clients' side."""
        held = self.held.setdefault(owner, {})
        new: set[PushKey] = set()
        if isinstance(request, SubRequest) and not request.subscribe:
            assert done.ret_type in (0, -200)
            for key in meant if done.ret_type == 0 else ():
                held.pop(key, None)
        elif done.ret_type == 0:
            for key in meant:
                rehabs = set(request.rehab_types) or {1} if by_rehab(key) else {0}
                if isinstance(request, SubRequest):
                    held.setdefault(key, set())
                    truth = self.opend.streams[key]
                    assert truth.options == normalise(key.space, key.market, key.sub_type, request.options)
                    assert key not in self.opend.doubtful
                    self.opend.books[key] = truth.options
                if request.register:
                    new |= {PushKey(*key, rehab_type) for rehab_type in rehabs - held[key]}
                    held[key] |= rehabs
                elif request.register is not None and key in held:
                    held[key] -= rehabs
        if done.ret_type == 0 and not isinstance(request, SubRequest):
            assert not request.register or meant <= held.keys()
        assert set(done.first_pushes) == (new if request.first_push else set())

    @invariant()
    def books_are_right(self) -> None:
        self.ledger.check()
        if not self.opend.calls:
            assert not self.asked, "somebody waits for nothing"
        for owner in range(1, 5):
            held = self.held.get(owner, {})
            told = self.ledger.subscriptions(owner)
            flat = {(sec, sub) for sub, securities in told.items() for sec in securities}
            assert flat == {((key.market, key.code), key.sub_type) for key in held}
            assert self.ledger.used_quota(owner) == len(held)
        assert set(self.ledger.owners_with_subscriptions()) == {owner for owner, held in self.held.items() if held}

    @invariant()
    def pushes_reach_who_registered(self) -> None:
        for key in ALL_KEYS:
            for rehab_type in (0, 1, 2):
                owners = {owner for owner, held in self.held.items() if rehab_type in held.get(key, ())}
                audience = self.ledger.audience(*key, rehab_type)
                assert len(audience) == len(set(audience))
                assert set(audience) == owners
        for market, code in ((11, "AAPL"), (1, "00700")):
            klines = [StreamKey(Space.EVENT_CONTRACT, market, code, sub) for sub in (KL_DAY, KL_1MIN)]
            owners = {owner for owner, held in self.held.items() for key in klines if held.get(key)}
            assert set(self.ledger.audience_any_kline(market, code)) == owners

    @invariant()
    def upstream_is_what_is_wanted(self) -> None:
        known = set(self.ledger.upstream_streams())
        assert set(self.opend.streams) <= known
        assert known <= set(self.opend.streams) | set(self.opend.doubtful)
        if not self.linked:
            return
        busy = {key for call in self.opend.calls.values() for key in keys_of(call)}
        unsettled = busy.union(self.ledger.refused())
        changing = {key for meant in self.meant.values() for key in meant}
        for held in self.held.values():
            for key in held.keys() - unsettled:
                assert held[key] <= self.opend.streams[key].rehabs
                assert key in changing or self.opend.streams[key].options == self.opend.books[key]
        if set(self.ledger.refused()) - busy:
            assert self.ledger.next_due() is not None

    def teardown(self) -> None:
        if not self.linked:
            self.replay()
        for owner in range(1, 5):
            self.close(owner, True)
        for _ in range(200):
            for call_id in list(self.opend.calls):
                self.reply(call_id, "ok")
            due = self.ledger.next_due()
            if due is None and not self.opend.calls:
                break
            if due is not None:
                self.now = max(self.now, due)
                self.feed(self.ledger.due(self.now))
        assert not self.opend.streams
        assert not self.ledger.upstream_streams()
        assert not self.asked
        self.ledger.check()


LedgerMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True, database=None
)
TestLedgerMachine = LedgerMachine.TestCase
