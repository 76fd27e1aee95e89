"""Between a decision to forward and the sending: OpenD's 30-second windows, and one question asked once.

A request that OpenD counts waits here for its turn, or is refused in time with the moment to come back; identical
reads that are on their way are asked upstream once and answered to all who asked. Requests that OpenD does not count
never come here: the switch passes them on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from opendmux.wire.frame import body_sha1
from opendmux.wire.protocols import RequestAction

from .answers import abandoned, denied, failed, reply, unavailable
from .budget_table import ROWS, Charge, charge_untrusted, priority_untrusted, refusal_text
from .budgets import Action, Budgets, Waits
from .commands import Command, Failure, Forward, Outcome, Request
from .denial import Denial, DenialKind
from .gate import action_of, denial_of
from .lanes import Lanes
from .shareable import OUTDATES, REPEATABLE, InFlight, Key

__all__ = ["JOIN_S", "METERED_IDS", "Again", "Metering"]

ANSWER_S = 0.5
"""Nothing is sent later than this before its owner must have an answer: OpenD needs some time for one."""

JOIN_S = 2.0
"""A shared read ends for all who joined it by the deadline of the first. So nobody joins one that may end later than
his own, nor one that has less than this left: he would be told of a time-out after a moment's wait."""

METERED_IDS = frozenset(ROWS)
"""What the switch must show to core for this."""

Again: TypeAlias = Callable[[Request, int, float], "list[Command]"]
"""What to do about a read that was cut off: request, lane, when its owner must have an answer."""


class _Asker(NamedTuple):
    """Who waits for a read, and until when."""

    request: Request
    until: float


@dataclass(frozen=True, slots=True, eq=False)
class _Ticket:
    """A forward that waits for its window."""

    forward: Forward
    charge: Charge
    give_up_at: float
    """It must not leave later than this."""


class Metering:
    """The windows and the shared reads of one OpenD, over all its lanes.

    ``reply_s``: how long a client's request may take in all, waiting included. ``again``: what becomes of a read that
    was cut off, the first time; None: it is answered so. ``refusal``: looks once more at a request that has waited,
    beyond its session's row. ``unsent``: told of every request that waited here and was not sent in the end.
    """

    def __init__(
        self,
        lanes: Lanes,
        *,
        budgets: bool,
        coalesce: bool,
        reply_s: float,
        waits: Waits,
        again: Again | None = None,
        refusal: Callable[[Request], Command | None] = lambda _request: None,
        unsent: Callable[[Request], None] = lambda _request: None,
    ) -> None:
        self.budgets = Budgets()
        self.in_flight = InFlight()
        self._lanes = lanes
        self._budgets_on = budgets
        self._coalesce_on = coalesce
        self._reply_s = reply_s
        self._waits = waits
        self._again = again
        self._refusal = refusal
        self._unsent = unsent
        self._groups: dict[int, list[_Asker]] = {}
        """By number of a shared read: who waits for it, the first asker in front."""
        self._next_group = 1

    @property
    def on(self) -> bool:
        """Anything to do at all."""
        return self._budgets_on or self._coalesce_on or self._again is not None

    # -- on the way up

    def pass_on(self, forward: Forward, now: float, give_up_at: float = math.inf) -> list[Command]:
        """Send it, let it wait, join it to another, or refuse it. ``give_up_at``: it must not leave later, where it
        has waited already."""
        request = forward.request
        forward = self._fencing(forward)
        joined = self._join(forward, now)
        if joined is not None:
            return joined
        charge = charge_untrusted(request.proto_id, request.proto_fmt, request.body) if self._budgets_on else None
        if charge is None:
            return [self._watched(forward, now)]
        until = self._until(forward, now)
        # Who is in a hurry may go at once, but not wait.
        give_up_at = min(give_up_at, self._waits.give_up_at(request.proto_id, now), max(now, until - ANSWER_S))
        ticket = _Ticket(replace(forward, until=until), charge, give_up_at)
        verdict = self.budgets.admit(
            charge,
            request.session.owner,
            ticket,
            priority_untrusted(request.proto_id, request.proto_fmt, request.body),
            give_up_at,
            now,
        )
        if verdict.action is Action.GO:
            return [self._watched(forward, now)]
        if verdict.action is Action.REFUSE:
            return [self._over_budget(request, verdict.retry_after_s)]
        return []

    def next_due(self) -> float | None:
        """When `due` has something to do, for those who want to be on time; None for nothing."""
        return self.budgets.next_due()

    def due(self, now: float) -> list[Command]:
        """What may leave now, and what has waited in vain."""
        at = self.budgets.next_due()
        if at is None or at > now:
            return []
        commands: list[Command] = []
        for ticket, verdict in self.budgets.due(now):
            assert isinstance(ticket, _Ticket), "only tickets of ours go in"
            request = ticket.forward.request
            if verdict.action is not Action.GO:
                commands.append(self._over_budget(request, verdict.retry_after_s))
            else:
                commands += self._leave(ticket, now)
        return commands

    def _over_budget(self, request: Request, retry_s: float) -> Command:
        self._unsent(request)
        text = refusal_text(request.proto_id, retry_s)
        return denied(request, Denial(DenialKind.LIMIT, "budget", text, retry_s=retry_s))

    def _leave(self, ticket: _Ticket, now: float) -> list[Command]:
        """Its turn has come; what has changed since it came is looked at again."""
        request, lane = ticket.forward.request, self._lanes[ticket.forward.lane]
        if not request.session.ready:
            self.budgets.refund(ticket.charge, now)
            self._unsent(request)
            return []
        refusal = abandoned(request) if request.given_up() else self._gated(request)
        if refusal is None and not lane.upstream.ready:
            refusal = unavailable(request, lane.upstream.absence(now))
        if refusal is not None:
            self.budgets.refund(ticket.charge, now)
            self._unsent(request)
            return [refusal]
        joined = self._join(ticket.forward, now)
        if joined is not None:
            self.budgets.refund(ticket.charge, now)
            return joined
        return [self._watched(ticket.forward, now)]

    def _gated(self, request: Request) -> Command | None:
        refusal = self._refusal(request)
        if refusal is None and action_of(request.session.row, request.proto_id) is RequestAction.DENY:
            return denied(request, denial_of(request.session.key, request.proto_id))
        return refusal

    # -- reads on their way

    def _until(self, forward: Forward, now: float) -> float:
        return now + self._reply_s if forward.until is None else forward.until

    def _join(self, forward: Forward, now: float) -> list[Command] | None:
        """None: nobody has asked this, or too long ago, or may be answered too late; it goes by itself."""
        key = self._key(forward)
        group = self.in_flight.find(key) if key is not None else None
        if group is None:
            return None
        askers, until = self._groups[group], self._until(forward, now)
        if not now + JOIN_S <= askers[0].until <= until:
            return None
        self.in_flight.shared += 1
        askers.append(_Asker(forward.request, until))
        return []

    def _key(self, forward: Forward) -> Key | None:
        request = forward.request
        if not self._coalesce_on or forward.then is not None:
            return None
        digest = body_sha1(request.body)
        return self.in_flight.key(forward.lane, request.proto_id, request.proto_fmt, None, digest)

    def _watched(self, forward: Forward, now: float) -> Forward:
        """The forward with the continuation that serves whoever joins it, and that asks again when it is cut off;
        itself when neither may be."""
        request, key = forward.request, self._key(forward)
        again = self._again if forward.then is None and request.proto_id in REPEATABLE else None
        if key is None and again is None:
            return forward
        askers = [_Asker(request, self._until(forward, now))]
        group, self._next_group = self._next_group, self._next_group + 1
        if key is not None:
            self.in_flight.add(key, group)
            self._groups[group] = askers

        def then(outcome: Outcome, _now: float) -> list[Command]:
            self.in_flight.done(forward.lane, group)
            self._groups.pop(group, None)
            commands: list[Command] = []
            for asker, until in askers:
                if outcome.failure is None:
                    commands.append(reply(asker, outcome.body, outcome.proto_fmt))
                elif outcome.failure is Failure.LOST and again is not None and not asker.repeated:
                    commands += again(asker, forward.lane, until)
                else:
                    commands.append(failed(asker, outcome.failure))
            return commands

        return replace(forward, then=then)

    def _fencing(self, forward: Forward) -> Forward:
        """After the reply of a write, reads asked for before it are not joined any more: they may not know of it."""
        request, then = forward.request, forward.then
        if request.proto_id not in OUTDATES:
            return forward

        def fenced(outcome: Outcome, now: float) -> list[Command]:
            self.in_flight.fence(request.proto_id)
            if then is not None:
                return then(outcome, now)
            if outcome.failure is not None:
                return [failed(request, outcome.failure)]
            return [reply(request, outcome.body, outcome.proto_fmt)]

        return replace(forward, then=fenced)

    def fence(self, proto_id: int) -> None:
        """A reply or push of this id goes out: reads asked for before it are not joined any more."""
        self.in_flight.fence(proto_id)

    # -- ends

    def close_owner(self, owner: int) -> None:
        """The client is gone: nothing of it leaves any more."""
        for ticket in self.budgets.cancel_owner(owner):
            assert isinstance(ticket, _Ticket), "only tickets of ours go in"
            self._unsent(ticket.forward.request)

    def pause(self, now: float) -> list[Command]:
        """Nobody may send any more: what waited is refused."""
        commands: list[Command] = []
        for ticket in self.budgets.drop_waiting():
            assert isinstance(ticket, _Ticket), "only tickets of ours go in"
            request = ticket.forward.request
            self._unsent(request)
            if request.session.ready:
                commands.append(unavailable(request, self._lanes[ticket.forward.lane].upstream.absence(now)))
        return commands

    def link_lost(self, lane_index: int, now: float) -> list[Command]:
        """What waited for this lane is refused; the windows stay, for OpenD keeps them too."""
        commands: list[Command] = []
        self.in_flight.link_lost(lane_index)
        absence = self._lanes[lane_index].upstream.absence(now)
        for ticket in self.budgets.drop_waiting():
            assert isinstance(ticket, _Ticket), "only tickets of ours go in"
            request = ticket.forward.request
            if not request.session.ready:
                self._unsent(request)
                continue
            if ticket.forward.lane == lane_index:
                self._unsent(request)
                commands.append(unavailable(request, absence))
            elif (refusal := self._gated(request)) is not None:
                self._unsent(request)
                commands.append(refusal)
            else:
                commands += self.pass_on(ticket.forward, now, ticket.give_up_at)
        return commands

    def counts(self) -> Mapping[str, int]:
        """For metrics: how many waited, were refused, and were saved by sharing."""
        counters = self.budgets.counters.values()
        return {
            "waited": sum(counter.waited for counter in counters),
            "refused": sum(counter.refused for counter in counters),
            "shared": self.in_flight.shared,
        }
