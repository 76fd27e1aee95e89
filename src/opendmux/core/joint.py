"""One client request that falls into parts, one per lane and shape: answered once, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from opendmux.wire.frame import RetType

from ._ledger_products import products
from .answers import refused, succeeded
from .commands import Command, Push, Request
from .lanes import Lane
from .ledger_values import RegRequest, SubRequest
from .streams import Space, StreamKey

__all__ = ["NOBODY", "Joint", "Part"]


@dataclass(slots=True, eq=False)
class Joint:
    """One client request that has fallen into parts; answered when the last of them has ended."""

    request: Request
    gather: Callable[[float], list[Command]] = lambda _now: []
    """What a success brings besides."""
    open: int = 0
    failure: tuple[int, str] | None = None
    pushes: list[Push] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    def part(self, lane: Lane, keys: Sequence[StreamKey] = ()) -> Part:
        """A further part; ``keys``: what it may change, as far as a refusal has to take that back."""
        owner, ledger = self.request.session.owner, lane.ledger
        held = [key for key in keys if ledger.holds(owner, key)]
        before = {key: ledger.registered(owner, key) for key in held}
        part = Part(self, lane, tuple(key for key in keys if key not in before), before)
        self.parts.append(part)
        self.open += 1
        return part

    def closed(self, now: float) -> list[Command]:
        """The answer, and what a refusal takes back."""
        if self.failure is None:
            return [succeeded(self.request), *self.pushes, *self.gather(now)]
        ret_type, ret_msg = self.failure
        commands: list[Command] = [refused(self.request, ret_msg, ret_type)]
        owner = self.request.session.owner
        for part in self.parts:
            for securities, sub_types in products([key for key in part.added if part.lane.ledger.holds(owner, key)]):
                undo = SubRequest(part.added[0].space, securities, sub_types, subscribe=False)
                commands += part.lane.quotes.subscribe(owner, undo, NOBODY, now)
            for key, before in part.before.items():
                commands += _register_as(before, part.lane, owner, key, now)
        return commands


def _register_as(before: frozenset[int], lane: Lane, owner: int, key: StreamKey, now: float) -> list[Command]:
    """Give the owner exactly these rehab types of a stream again, which it has held all the time."""
    after = lane.ledger.registered(owner, key)
    if key.space is not Space.QOT or not lane.ledger.holds(owner, key):
        return []
    commands: list[Command] = []
    for rehab_types, register in ((after - before, False), (before - after, True)):
        if rehab_types:
            back = RegRequest(
                ((key.market, key.code),), (key.sub_type,), register, tuple(rehab_types), first_push=False
            )
            commands += lane.quotes.register(owner, back, NOBODY, now)
    return commands


@dataclass(slots=True, eq=False)
class Part:
    """What one lane does for a request: one ledger operation, or several."""

    joint: Joint
    lane: Lane
    added: tuple[StreamKey, ...]
    """The streams the client would newly hold by it."""
    before: Mapping[StreamKey, frozenset[int]]
    """What the client has registered of those it holds already."""

    def expect(self, operations: int) -> None:
        """It ends after so many operations (1 unless said otherwise)."""
        self.joint.open += operations - 1

    def ended(self, ret_type: int, ret_msg: str, first_pushes: Sequence[Push], now: float) -> list[Command]:
        """See `Ticket`."""
        joint = self.joint
        joint.open -= 1
        if ret_type == RetType.SUCCEED:
            joint.pushes += first_pushes
        elif joint.failure is None:
            joint.failure = (ret_type, ret_msg)
        return [] if joint.open else joint.closed(now)


class _Nobody:
    """The ticket of an operation whose end interests nobody."""

    def ended(self, _ret_type: int, _ret_msg: str, _pushes: Sequence[Push], _now: float) -> list[Command]:
        return []


NOBODY = _Nobody()
