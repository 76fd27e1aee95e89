"""The gate for trade writes of a session with a key: what the key may do is held against what the order says.

The order of the checks: any trade scope, and the one that trdEnv asks for; rate and hours, with the body unread but for
trdEnv and the operation, since nothing may stand in the way of a cancel; then the body; account; market, symbol, side;
the value of the order; the value of the day. The last one reserves, and `sentwrites` knows what becomes of it. Scopes
come before limits, so what a key may not do at all takes nothing from them, and is told as that.

Three things may be unknown: the order that a write names, a price, and the accounts. Each is asked for upstream once
per request, which waits meanwhile, and is judged again by the key its session has then. What stays unknown is refused.

What a refusal costs: the slot of the minute is given back, except where repeating the request would gain something. It
is kept when the account is not the key's (else account numbers could be tried without end), when the body makes no
sense, and when OpenD was asked something for it (else refused orders could use up OpenD's own limits, which all share).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Final

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import RetType
from opendmux.wire.protocols import PACKET_ID_IDS, ProtoId

from .answers import denied, name_of, verdict
from .commands import Ask, Command, Failure, Outcome, Reply, Request, Witness
from .denial import Denial, DenialKind
from .keys import KeyLimits, Scopes
from .knowledge import Knowledge
from .limits import EXACT, Limits, Reservation, amount_text, on_grid
from .orderbook import KnownOrder, order_request
from .orders import Op, OrderFacts, Terms, read_order_untrusted, surely_calming_untrusted
from .packet import is_real_untrusted
from .prices import FRESH_S, STALE_S, snapshot_request
from .roster import Roster
from .sentwrites import SentWrite, SentWrites
from .whitelists import about_orders, about_values, allowed, lacking, paced, permitted, scoped

__all__ = ["HELD_PER_KEY", "HOLD_S", "TradeGate"]

HOLD_S: Final = 3.5
"""A write that waited longer for what the gate must know is refused: the JavaScript SDK gives up after 5 s, one more
may pass in OpenD's window, and an order that leaves after its owner gave up would be a surprise."""
HELD_PER_KEY: Final = 32
"""Writes of one key that may wait at a time; each costs OpenD a question or two."""

TRADE: Final = frozenset({Scopes.TRADE_SIMULATE, Scopes.TRADE_REAL})
COSTS_ITS_SLOT: Final = frozenset({"account", "other"})
"""Reasons of refusals that keep the slot."""

Go = Callable[[float], list[Command]]


@dataclass(slots=True, eq=False)
class _Held:
    """A write on its way through the gate."""

    request: Request
    go: Go
    key_id: str
    slot: float | None
    real: bool
    facts: OrderFacts | None
    """None: the key has no limit that the body matters for."""
    until: float
    wall_offset: float
    asked_accounts: bool = False
    asked_order: bool = False
    asked_price: bool = False
    unanswered: Denial | None = None
    """OpenD was asked and did not tell."""


class TradeGate:
    """The gate in front of one OpenD's trade writes.

    ``lane``: where orders are asked for; ``quote_lane``: where prices are, when another OpenD has them. ``limits`` is
    the one of the process; ``knowledge`` and ``roster`` are of this OpenD. Without a roster no card number is
    known. ``ready``: the lane can be asked; it need not be the one that the write goes by.
    """

    def __init__(
        self,
        lane: int,
        limits: Limits,
        knowledge: Knowledge,
        *,
        roster: Roster | None = None,
        quote_lane: int | None = None,
        ready: Callable[[int], bool] = lambda _lane: True,
    ) -> None:
        self.sent = SentWrites(limits, knowledge.book)
        self._lane = lane
        self._quote_lane = lane if quote_lane is None else quote_lane
        self._limits = limits
        self._knowledge = knowledge
        self._roster = Roster(lane, lambda: True) if roster is None else roster
        self._ready = ready
        self._held: dict[int, _Held] = {}
        """By id of the request object, which the entry keeps alive."""

    def admit(self, request: Request, now: float, wall: float, go: Go) -> list[Command]:
        """Let a trade write through by calling ``go``, refuse it, or hold it until OpenD has answered a question.

        ``go`` is called once at most, with the time, and never after the session has gone, after ``request.until`` or
        more than `HOLD_S` from now. A refusal of its own, made at once, is noticed; of every other end the caller must
        tell ``sent``.
        """
        key = request.session.key
        if key is None:
            return go(now)
        if not key.scopes & TRADE:
            return [_refusal(request, lacking(key, f"{Scopes.TRADE_SIMULATE} or {Scopes.TRADE_REAL}"))]
        real = _real(request)
        unscoped = None if isinstance(real, Denial) else scoped(key, real)
        if unscoped is not None:
            return [_refusal(request, unscoped)]
        slot: float | None = None
        if paced(key.limits) and not _calming(request):
            admitted = self._limits.admit(key, now, wall)
            if isinstance(admitted, Denial):
                return [_refusal(request, admitted)]
            slot = admitted
        if isinstance(real, Denial):
            return [_refusal(request, real)]
        facts = None
        try:
            if key.names_accounts or about_orders(key.limits):
                facts = read_order_untrusted(request.proto_id, request.proto_fmt, request.body)
        except RemoteProtocolError as error:
            return [_refusal(request, Denial(DenialKind.INVALID, "other", str(error)))]
        until = now + HOLD_S if request.until is None else min(request.until, now + HOLD_S)
        held = _Held(request, go, key.id, slot, real, facts, until, wall - now)
        return self._judge(held, now) if now < until else self._refuse(held, _late())

    def refusal(self, request: Request) -> Reply | None:
        """Why a write that was let through, and has waited for OpenD's windows since, may not be sent after all: its
        key was changed meanwhile. Of its limits only the lists are looked at again, for the rest has been counted."""
        key = request.session.key
        if key is None or request.proto_id not in PACKET_ID_IDS:
            return None
        real = is_real_untrusted(request.proto_id, request.proto_fmt, request.body)
        denial = permitted(key, real, None, None)
        terms = self.sent.terms_of(request)
        if denial is None and terms is not None:
            denial = allowed(key.limits, terms)
        return None if denial is None else _refusal(request, denial)

    def next_due(self) -> float | None:
        """When `due` has something to refuse."""
        return min((held.until for held in self._held.values()), default=None)

    def due(self, now: float) -> list[Command]:
        """Refusals for what has waited too long for OpenD's answer."""
        late = [held for held in self._held.values() if held.until <= now]
        commands: list[Command] = []
        for held in late:
            del self._held[id(held.request)]
            if held.request.session.ready:
                commands += self._refuse(held, _late())
        return commands

    # -- the checks

    def _judge(self, held: _Held, now: float) -> list[Command]:
        key = held.request.session.key
        if key is None:
            return self._refuse(held, Denial(DenialKind.UNAUTHENTICATED, "other", "its key is not valid any more"))
        if key.allowed_card_nums is not None and not self._roster.known and not held.asked_accounts:
            return self._ask_for_accounts(held, now)
        denial = permitted(key, held.real, held.facts, self._roster.allowed(key))
        if denial is not None:
            return self._refuse(held, denial)
        if held.request.session.streams is not None and not self._roster.known and not held.asked_accounts:
            # OpenD takes no order on a connection that has not read the accounts. SDKs read them before every order;
            # callers do not, and need not be allowed to.
            return self._ask_for_accounts(held, now)
        facts = held.facts
        if facts is None or facts.calming or not about_orders(key.limits):
            return self._let_go(held, None, None, now)
        order: KnownOrder | None = None
        terms = facts.terms
        if terms is None:
            if facts.for_all or not (facts.order_id or facts.order_id_ex):
                text = "forAll is for cancels alone" if facts.for_all else "it names no order"
                return self._refuse(held, Denial(DenialKind.INVALID, "other", text))
            order = self._knowledge.book.find(facts.acc_id, facts.order_id, facts.order_id_ex)
            if order is None:
                return self._ask_for_order(held, facts, now)
            terms = order.terms if facts.change is None else order.terms.changed(facts.change)
        denial = allowed(key.limits, terms)
        if denial is not None:
            return self._refuse(held, denial)
        if not about_values(key.limits):
            return self._let_go(held, None, order, now)
        max_age_s = STALE_S if held.asked_price else FRESH_S
        value = self._knowledge.prices.value_of(terms, now, max_age_s)
        if value is None:
            return self._ask_for_price(held, key.limits, terms, now)
        added = value
        if facts.op is Op.NORMAL and order is not None:
            before = self._knowledge.prices.value_of(order.terms, now, max_age_s) or Decimal(0)
            added = max(Decimal(0), EXACT.subtract(on_grid(value), on_grid(before)))
        # An order that does not grow may stay as large as it is.
        denial = self._limits.over_order_value(key, value) if added else None
        if denial is not None:
            return self._refuse(held, denial)
        reserved = self._limits.reserve(key, added, now + held.wall_offset)
        if isinstance(reserved, Denial):
            return self._refuse(held, reserved)
        return self._let_go(held, reserved, order, now)

    def _let_go(
        self, held: _Held, reservation: Reservation | None, order: KnownOrder | None, now: float
    ) -> list[Command]:
        request, facts = held.request, held.facts
        teaches = facts is not None and (facts.terms is not None or facts.change is not None)
        if held.slot is None and reservation is None and not teaches:
            return held.go(now)
        self.sent.add(SentWrite(request, held.key_id, held.slot, reservation, facts, order))
        try:
            commands = held.go(now)
        except Exception:
            self.sent.unsent(request)
            raise
        if any(_answers(command, request) for command in commands):
            self.sent.unsent(request)
        return commands

    def _refuse(self, held: _Held, denial: Denial) -> list[Command]:
        costs = denial.reason in COSTS_ITS_SLOT or held.asked_order or held.asked_price
        if held.slot is not None and (denial.reason == "scope" or not costs):
            self._limits.give_slot_back(held.key_id, held.slot)
        return [_refusal(held.request, denial)]

    # -- questions to OpenD

    def _ask_for_accounts(self, held: _Held, now: float) -> list[Command]:
        held.asked_accounts = True
        return self._hold(held, lambda: self._roster.when_known(partial(self._resume, held), now))

    def _ask_for_order(self, held: _Held, facts: OrderFacts, now: float) -> list[Command]:
        which = facts.order_id_ex or str(facts.order_id)
        if held.asked_order:
            return self._refuse(
                held,
                held.unanswered or Denial(DenialKind.INVALID, "other", f"account {facts.acc_id} has no order {which}"),
            )
        held.asked_order = True
        return self._ask(held, self._lane, ProtoId.TRD_GET_ORDER_LIST, order_request(facts), now)

    def _ask_for_price(self, held: _Held, limits: KeyLimits, terms: Terms, now: float) -> list[Command]:
        missing = self._knowledge.prices.missing(terms, now, STALE_S if held.asked_price else FRESH_S)
        if not held.asked_price and missing:
            held.asked_price = True
            body = snapshot_request(missing)
            return self._ask(held, self._quote_lane, ProtoId.QOT_GET_SECURITY_SNAPSHOT, body, now)
        name, most = "max_order_value", limits.max_order_value
        if most is None:
            name, most = "max_daily_value", limits.max_daily_value
        symbols = ", ".join(dict.fromkeys(leg.security.symbol for leg in terms.legs))
        text = f"{name} {amount_text(Decimal(repr(most)))}: the price of {symbols} is not known, nor what it is worth"
        reason = "per_order" if name == "max_order_value" else "daily"
        return self._refuse(held, Denial(DenialKind.LIMIT, reason, text))

    def _ask(self, held: _Held, lane: int, proto_id: int, body: bytes, now: float) -> list[Command]:
        if not self._ready(lane):
            held.unanswered = Denial(
                DenialKind.UNAVAILABLE, "other", "OpenD is away and can't tell what it must be checked against"
            )
            return self._judge(held, now)

        def then(outcome: Outcome, now: float) -> list[Command]:
            if outcome.failure is None:
                self._knowledge.learn(proto_id, outcome.body, outcome.proto_fmt, now)
            held.unanswered = _unanswered(outcome)
            return self._resume(held, now)

        return self._hold(held, lambda: [Ask(lane, proto_id, body, then, until=held.until)])

    def _hold(self, held: _Held, ask: Callable[[], list[Command]]) -> list[Command]:
        waiting = sum(other.key_id == held.key_id for other in self._held.values())
        if waiting >= HELD_PER_KEY and not _calming(held.request):
            text = f"{HELD_PER_KEY} orders of this key are waiting for OpenD already"
            return self._refuse(held, Denial(DenialKind.LIMIT, "other", text, retry_s=1.0))
        self._held[id(held.request)] = held
        return ask()

    def _resume(self, held: _Held, now: float) -> list[Command]:
        """OpenD has answered, or will not."""
        if self._held.pop(id(held.request), None) is not held or not held.request.session.ready:
            return []
        if now >= held.until:
            return self._refuse(held, _late())
        if held.request.given_up():
            text = "while it waited it was given up, or all orders were cancelled"
            return self._refuse(held, Denial(DenialKind.TIMEOUT, "given_up", text))
        key = held.request.session.key
        closed = (
            None if key is None or _calming(held.request) else self._limits.out_of_hours(key, now + held.wall_offset)
        )
        return self._judge(held, now) if closed is None else self._refuse(held, closed)


def _real(request: Request) -> bool | Denial:
    """Whether it touches real money; a body that does not tell is refused, at the price of a slot."""
    try:
        return is_real_untrusted(request.proto_id, request.proto_fmt, request.body)
    except RemoteProtocolError as error:
        return Denial(DenialKind.INVALID, "other", str(error))


def _calming(request: Request) -> bool:
    """What can't be read is refused later, at the price of a slot."""
    return surely_calming_untrusted(request.proto_id, request.proto_fmt, request.body)


def _late() -> Denial:
    return Denial(DenialKind.TIMEOUT, "other", "its time was up before it could be checked")


def _unanswered(outcome: Outcome) -> Denial | None:
    ret_type, ret_msg = verdict(outcome)
    if ret_type == RetType.SUCCEED:
        return None
    kind = DenialKind.TIMEOUT if outcome.failure is Failure.TIMEOUT else DenialKind.UNAVAILABLE
    return Denial(kind, "other", f"OpenD did not tell what it must be checked against: {ret_msg}")


def _refusal(request: Request, denial: Denial) -> Reply:
    text = f"{name_of(request.proto_id)} was not sent: {denial.text}"
    return denied(request, replace(denial, text=text))


def _answers(command: Command, request: Request) -> bool:
    if isinstance(command, Witness):
        return command.reply is not None and _answers(command.reply, request)
    return (
        isinstance(command, Reply)
        and command.session is request.session
        and command.serial_no == request.serial_no
        and command.proto_id == request.proto_id
    )
