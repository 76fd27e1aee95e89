"""The kill switch: what each mode lets through, whose freeze counts, what refusals say, and that no write slips past
one, whatever it has waited for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from opendmux.core.commands import Ask, Command, Failure, Forward, Reply
from opendmux.core.denial import DenialKind
from opendmux.core.freezes import Freeze, Freezes, FrozenMode, dump, parse
from opendmux.core.gate import action_of, key_row, open_row
from opendmux.core.keys import ALL_SCOPES, KeyLimits
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.handshake import State
from opendmux.wire.messages import canonical_json
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PROTOCOLS, RequestAction
from tests.core.key_kit import key, plaintext, ring
from tests.core.playbook import OK, Line, Play
from tests.core.trade_kit import combo, modify, order, order_list, place, placed, reconfirm, snapshot, snapshots

READ_ONLY, CANCEL_ONLY = FrozenMode.READ_ONLY, FrozenMode.CANCEL_ONLY
PLACE, MODIFY, COMBO, RECONFIRM, RECONFIRM_2237, UNLOCK, FUNDS = 2202, 2205, 2227, 2209, 2237, 2005, 2101
NORMAL, CANCEL, DISABLE, ENABLE, DELETE = 1, 2, 3, 4, 5
SINCE = 1_767_225_600.0
UNLOCKS = opend.UnlockTradeRequest(c2s=opend.UnlockTradeC2S(unlock=True)).SerializeToString()


def frozen(mode: FrozenMode = READ_ONLY, key_id: str | None = None, **more: Any) -> Freeze:
    return Freeze(key_id, mode, SINCE, "ops", **more)


@pytest.mark.parametrize(
    ("proto_id", "body", "read_only", "cancel_only"),
    [
        (PLACE, place(), True, True),
        (PLACE, place(env=0), True, True),
        (COMBO, combo((11, "AAPL", 1, None)), True, True),
        (RECONFIRM, reconfirm(7), True, True),
        (RECONFIRM_2237, reconfirm(7), True, True),
        (MODIFY, modify(NORMAL, order_id=7), True, True),
        (MODIFY, modify(ENABLE, order_id=7), True, True),
        (MODIFY, modify(9, order_id=7), True, True),
        (MODIFY, b"\xff", True, True),
        (MODIFY, b"", True, True),
        (MODIFY, modify(CANCEL, order_id=7), True, False),
        (MODIFY, modify(CANCEL, forAll=True), True, False),
        (MODIFY, modify(DISABLE, order_id=7), True, False),
        (MODIFY, modify(DELETE, order_id=7), True, False),
        (UNLOCK, UNLOCKS, True, True),
        (FUNDS, b"", False, False),
        (2001, b"", False, False),
        (2008, b"", False, False),
        (3004, b"", False, False),
        (2999, b"", True, True),
        (2000, b"", True, True),
        (3999, b"", False, False),
    ],
)
def test_what_each_mode_stops(proto_id: int, body: bytes, read_only: bool, cancel_only: bool) -> None:
    assert frozen(READ_ONLY).refuses(proto_id, 0, body) is read_only
    assert frozen(CANCEL_ONLY).refuses(proto_id, 0, body) is cancel_only


def test_a_json_body_is_read_as_one() -> None:
    cancel = canonical_json(opend.ModifyOrderRequest.FromString(modify(CANCEL, order_id=7)))
    more = canonical_json(opend.ModifyOrderRequest.FromString(modify(NORMAL, order_id=7)))
    assert not frozen(CANCEL_ONLY).refuses(MODIFY, ProtoFmt.JSON, cancel)
    assert frozen(CANCEL_ONLY).refuses(MODIFY, ProtoFmt.JSON, more)
    assert frozen(CANCEL_ONLY).refuses(MODIFY, ProtoFmt.JSON, cancel[:-1])


def test_the_stricter_counts() -> None:
    freezes = Freezes([frozen(CANCEL_ONLY), frozen(READ_ONLY, "a")])
    assert [freezes.over(who) for who in ("a", "b", None)] == [frozen(READ_ONLY, "a"), *[frozen(CANCEL_ONLY)] * 2]
    freezes.put(frozen(READ_ONLY))
    freezes.put(frozen(CANCEL_ONLY, "a"))
    assert freezes.over("a") == frozen(READ_ONLY)
    freezes.lift(freezes.active()[0])
    assert freezes.over("b") is None
    freezes.put(frozen(CANCEL_ONLY, "b", silent=True))
    assert freezes.over("b") == frozen(CANCEL_ONLY, "b", silent=True)
    assert freezes.active() == [frozen(CANCEL_ONLY, "a"), frozen(CANCEL_ONLY, "b", silent=True)]
    assert freezes.kept() == [frozen(CANCEL_ONLY, "a")]


def test_only_the_one_that_was_meant_is_lifted() -> None:
    old, new = frozen(), frozen()
    freezes = Freezes([old])
    freezes.put(new)
    assert not freezes.lift(old)
    assert freezes.of(None) is new
    assert freezes.lift(new)
    assert not freezes.lift(new)
    assert freezes.active() == []


def test_a_refusal_says_who_since_when_and_how_it_ends() -> None:
    freezes = Freezes([frozen(CANCEL_ONLY, "bot", why="the disk is full")])
    denial = freezes.denial("bot", PLACE, 0, place())
    assert denial is not None
    assert (denial.kind, denial.reason) == (DenialKind.PERMISSION, "frozen")
    assert denial.text == (
        "2202 Trd_PlaceOrder was not sent: trading is frozen (cancel-only) for the key bot since "
        "2026-01-01T00:00:00Z by ops: the disk is full; `opendmux freeze --key bot --mode off` lifts it"
    )
    assert frozen().text().endswith("for everybody since 2026-01-01T00:00:00Z by ops; "
                                    "`opendmux freeze --mode off` lifts it")  # fmt: skip
    assert "a read of it ends this, or `" in frozen(CANCEL_ONLY, "bot", silent=True).text()
    assert freezes.denial("other", PLACE, 0, place()) is None
    assert freezes.denial(None, PLACE, 0, place()) is None


def test_the_row_refuses_all_that_needs_no_look() -> None:
    row = open_row(allow_unknown=True)
    for mode, looked_at in ((READ_ONLY, RequestAction.DENY), (CANCEL_ONLY, RequestAction.INSPECT)):
        narrow = Freezes([frozen(mode)]).narrowed(row, None)
        said = {proto_id: action_of(narrow, proto_id) for proto_id in (PLACE, MODIFY, COMBO, RECONFIRM, UNLOCK, FUNDS)}
        denied = dict.fromkeys((PLACE, COMBO, RECONFIRM, UNLOCK), RequestAction.DENY)
        assert said == {**denied, MODIFY: looked_at, FUNDS: RequestAction.PASS}
        assert action_of(narrow, 2999) is RequestAction.INSPECT, "its number decides"
    assert Freezes().narrowed(row, "a") == row
    assert Freezes([frozen(key_id="a")]).narrowed(row, "b") == row


def test_a_row_is_never_widened() -> None:
    row = key_row(open_row(allow_unknown=False), key("qot:read"))
    narrow = Freezes([frozen(CANCEL_ONLY)]).narrowed(row, "k")
    for protocol in PROTOCOLS.values():
        if action_of(row, protocol.proto_id) is RequestAction.DENY:
            assert action_of(narrow, protocol.proto_id) is RequestAction.DENY
    assert action_of(narrow, 2999) is RequestAction.DENY


def test_what_is_kept_comes_back() -> None:
    freezes = [frozen(), frozen(CANCEL_ONLY, "bot", why="x")]
    assert parse(dump(freezes)) == freezes
    assert parse(dump([])) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'{"version":1}',
        b'{"version":2,"freezes":[]}',
        b'{"version":1,"freezes":[{"key":null,"mode":"off","since":1.0,"by":"x"}]}',
        b'{"version":1,"freezes":[{"mode":"read-only","since":1.0,"by":"x"}]}',
        b'{"version":1,"freezes":[],"more":1}',
        dump([frozen()])[:-4],
        dump([frozen(), frozen(CANCEL_ONLY)]),
        b"\xff\xfe",
    ],
)
def test_what_is_damaged_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  msgspec's own texts
        parse(data)


# -- in the router

BOT = key(*ALL_SCOPES, key_id="bot", allow_unknown=True, limits=KeyLimits(max_order_value=1e9))
FREE = key(*ALL_SCOPES, key_id="free", allow_unknown=True)


def freeze(play: Play, one: Freeze) -> list[Line]:
    play.access.freezes.put(one)
    return play.do(play.router.tenancy.refreeze())


def thaw(play: Play) -> None:
    for one in play.access.freezes.active():
        play.access.freezes.lift(one)
    play.do(play.router.tenancy.refreeze())


def refusal(play: Play) -> str:
    return play.denial().reason


def test_it_holds_from_the_next_frame_on_and_ends_so() -> None:
    play = Play()
    client, newcomer = play.client(1), play.session(2)
    assert freeze(play, frozen()) == [("row", 1)]
    play.send(client, PLACE, place())
    assert refusal(play) == "frozen"
    play.send(client, UNLOCK, UNLOCKS)
    assert refusal(play) == "frozen"
    assert play.send(client, FUNDS, b"")[0][0] == "forward", "reads go on"
    play.send(newcomer, 1001, play_hello())
    play.send(newcomer, PLACE, place())
    assert refusal(play) == "frozen"
    thaw(play)
    assert play.send(client, PLACE, place())[0][0] == "forward"
    assert play.send(newcomer, PLACE, place())[0][0] == "forward"


def play_hello(client_id: str = "test") -> bytes:
    from tests.core.playbook import hello

    return hello(client_id=client_id)


def test_an_order_that_waits_for_a_price_does_not_leave_after_it() -> None:
    play = Play(keyring=ring(BOT))
    client = play.client(1, client_id=plaintext("bot"))
    play.send(client, PLACE, place(price=None, order_type=2))
    assert play.bodies(3203), "the price is asked for"
    freeze(play, frozen())
    (asked,) = play.waiting
    play.answer(asked, snapshots(snapshot(10)))
    assert refusal(play) == "frozen"
    assert not play.waiting


def test_an_order_that_waits_for_a_window_does_not_leave_after_it() -> None:
    play = Play(metered=True)
    client = play.client(1)
    for _ in range(16):
        play.send(client, PLACE, place())
    sent = len(play.waiting)
    freeze(play, frozen(CANCEL_ONLY))
    lines = play.later(1.0) + play.later(31.0)
    assert len(play.waiting) == sent < 16
    assert {line[0] for line in lines} == {"reply"}
    assert play.router.writes.open_of(None) == 0, "nothing was sent as the runtime does it"


def test_a_change_that_waits_for_a_window_does_not_leave_after_it_and_a_cancel_does() -> None:
    play = Play(metered=True)
    client = play.client(1)
    play.send(client, MODIFY, modify(NORMAL, order_id=7, qty=1.0))
    assert play.send(client, MODIFY, modify(NORMAL, order_id=7, qty=2.0)) == [], "OpenD wants a gap"
    assert play.send(client, MODIFY, modify(CANCEL, order_id=7)) == []
    freeze(play, frozen(CANCEL_ONLY))
    lines = play.later(0.05) + play.later(0.05)
    assert [(line[0], line[3]) for line in lines] == [("forward", 4), ("reply", 3)], "the cancel, and a refusal"
    assert refusal(play) == "frozen"


def test_a_cancel_in_the_place_of_a_missing_key_does_not_leave_after_it() -> None:
    play = Play(metered=True)
    client = play.client(1)
    client.own, client.stands_in_for = True, "bot"
    play.send(client, MODIFY, modify(CANCEL, order_id=7))
    play.send(client, MODIFY, modify(CANCEL, order_id=7))
    sent = len(play.waiting)
    freeze(play, frozen(key_id="bot"))
    lines = play.later(0.05)
    assert (len(play.waiting), [line[0] for line in lines]) == (sent, ["reply"])
    assert refusal(play) == "frozen"


def test_an_order_that_waits_for_the_link_does_not_leave_after_it() -> None:
    play = Play(retry_reads=True)
    client = play.client(1, push_proto_fmt=1)
    assert play.send(client, PLACE, canonical_json(opend.PlaceOrderRequest.FromString(place())), proto_fmt=1) == []
    freeze(play, frozen())
    play.up(1)
    assert refusal(play) == "frozen"


def test_a_changed_key_stays_frozen() -> None:
    play = Play(keyring=ring(BOT))
    client = play.client(1, client_id=plaintext("bot"))
    freeze(play, frozen(key_id="bot"))
    play.access.keyring = ring(key(*ALL_SCOPES, key_id="bot"))
    play.review()
    play.send(client, PLACE, place())
    assert refusal(play) == "frozen"
    assert action_of(client.row, PLACE) is RequestAction.DENY


def test_a_key_that_lacks_the_scope_is_told_that() -> None:
    play = Play(keyring=ring(key("qot:read", key_id="quotes")))
    client = play.client(1, client_id=plaintext("quotes"))
    freeze(play, frozen())
    play.send(client, PLACE, place())
    assert refusal(play) == "scope"


def test_a_refused_order_costs_the_key_nothing() -> None:
    paced = key(*ALL_SCOPES, key_id="bot", limits=KeyLimits(max_orders_per_minute=1, max_order_value=1e9))
    play = Play(keyring=ring(paced))
    client = play.client(1, client_id=plaintext("bot"))
    play.send(client, PLACE, place(price=None, order_type=2))
    freeze(play, frozen())
    play.answer(play.waiting[0], snapshots(snapshot(10)))
    assert refusal(play) == "frozen"
    thaw(play)
    assert play.send(client, PLACE, place())[0][0] == "forward"


class _Watched(Play):
    """Asserts that nothing is sent upstream that a freeze in force refuses."""

    def do(self, commands: Iterable[Command]) -> list[Line]:
        seen = list(commands)
        for command in seen:
            if isinstance(command, Forward):
                request = command.request
                its_key = request.session.key
                key_id = None if its_key is None else its_key.id
                freeze = self.access.freezes.over(key_id)
                assert freeze is None or not freeze.refuses(request.proto_id, request.proto_fmt, request.body)
        return super().do(seen)


WRITES: list[tuple[int, bytes]] = [
    (PLACE, place()),
    (PLACE, place(price=None, order_type=2)),
    (PLACE, place(env=0)),
    (MODIFY, modify(NORMAL, order_id=7, price=11.0, qty=1.0)),
    (MODIFY, modify(CANCEL, order_id=7)),
    (MODIFY, modify(CANCEL, forAll=True)),
    (MODIFY, modify(ENABLE, order_id=7)),
    (MODIFY, b"\xff"),
    (COMBO, combo((11, "AAPL", 1, None))),
    (RECONFIRM, reconfirm(7)),
    (UNLOCK, UNLOCKS),
    (2999, b""),
    (FUNDS, b""),
]
ANSWERS = {2202: placed(), 2201: order_list(order()), 3203: snapshots(snapshot(10))}
WHO = st.sampled_from([None, "bot", "free"])


class Frozen(RuleBasedStateMachine):
    """Writes come, wait, are frozen, thawed, cut off and come back in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.play = _Watched(metered=True, allow_unknown=True, keyring=ring(BOT, FREE))
        self.owner = 0
        for key_id in ("bot", "free"):
            self.open(key_id)

    def open(self, key_id: str) -> None:
        self.owner += 1
        self.play.client(self.owner, client_id=plaintext(key_id))

    @rule(key_id=st.sampled_from(["bot", "free"]))
    def come(self, key_id: str) -> None:
        if self.owner < 6:
            self.open(key_id)

    @rule(pick=st.integers(0, 5), write=st.sampled_from(WRITES), times=st.sampled_from([1, 1, 20]))
    def send(self, pick: int, write: tuple[int, bytes], times: int) -> None:
        sessions = [one for one in self.play.router.sessions.values() if one.state is not State.CLOSED]
        if sessions:
            for _ in range(times):
                self.play.send(sessions[pick % len(sessions)], *write)

    @rule(who=WHO, mode=st.sampled_from(list(FrozenMode)), silent=st.booleans())
    def freeze(self, who: str | None, mode: FrozenMode, silent: bool) -> None:
        freeze(self.play, frozen(mode, who, silent=silent and who is not None))

    @rule()
    def thaw(self) -> None:
        thaw(self.play)

    @rule(seconds=st.sampled_from([0.05, 0.5, 3.0, 31.0]))
    def later(self, seconds: float) -> None:
        self.play.later(seconds)

    @precondition(lambda self: self.play.waiting)
    @rule(pick=st.integers(0, 30), failure=st.sampled_from([None, None, Failure.TIMEOUT]))
    def answer(self, pick: int, failure: Failure | None) -> None:
        waiting = self.play.waiting
        sent = waiting[pick % len(waiting)]
        proto_id = sent.proto_id if isinstance(sent, Ask) else sent.request.proto_id
        self.play.answer(sent, ANSWERS.get(proto_id, OK), failure=failure)

    @precondition(lambda self: any(isinstance(sent, Ask) for sent in self.play.waiting))
    @rule(who=WHO, mode=st.sampled_from(list(FrozenMode)))
    def freeze_and_answer_what_orders_wait_for(self, who: str | None, mode: FrozenMode) -> None:
        freeze(self.play, frozen(mode, who))
        for sent in [sent for sent in self.play.waiting if isinstance(sent, Ask)]:
            self.play.answer(sent, ANSWERS.get(sent.proto_id, OK))

    @rule(back=st.booleans())
    def outage(self, back: bool) -> None:
        if 0 in self.play.linked:
            self.play.lose()
        if back:
            self.play.up()

    @rule(value=st.sampled_from([None, 1e9]))
    def reload(self, value: float | None) -> None:
        again = key(*ALL_SCOPES, key_id="bot", allow_unknown=True, limits=KeyLimits(max_order_value=value))
        self.play.access.keyring = ring(again, FREE)
        self.play.review()

    @invariant()
    def the_native_code_passes_nothing_on_that_is_frozen(self) -> None:
        for session in self.play.router.sessions.values():
            if session.ready and session.key is not None and self.play.access.freezes.over(session.key.id):
                assert action_of(session.row, 2999) is not RequestAction.PASS
                for proto_id in (PLACE, COMBO, RECONFIRM, UNLOCK):
                    assert action_of(session.row, proto_id) is RequestAction.DENY

    def teardown(self) -> None:
        thaw(self.play)
        if 0 not in self.play.linked:
            self.play.up()
        self.play.later(31.0)
        client = self.play.client(99, client_id=plaintext("free"))
        lines = self.play.send(client, MODIFY, modify(CANCEL, order_id=7))
        assert lines[0][0] == "forward", "what was thawed trades again"
        assert not any(isinstance(command, Reply) for command in self.play.commands)


TestFrozen = Frozen.TestCase
TestFrozen.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
