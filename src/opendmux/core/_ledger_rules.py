"""What an operation may do about a stream, as functions of the two. Nothing is changed here."""

from __future__ import annotations

from enum import Enum
from math import ceil

from ._ledger_records import ABSENT, PRESENT, Call, Operation, Stream
from .ledger_values import Kind
from .streams import Options


class Move(Enum):
    SETTLED = "settled"
    WAIT = "wait"
    """A call in flight decides; look again when it ends."""
    SUBSCRIBE = "subscribe"
    REGISTER = "register"


def look(operation: Operation, stream: Stream, linked: bool, now: float) -> Move | str:
    """The next move of an operation that has pinned ``stream``; a text when it has to be refused."""
    if operation.kind is Kind.REGISTER:
        return _look_to_register(operation, stream, linked)
    options = operation.options_for(stream)
    call = stream.call
    if options is not stream.options and options != stream.options:
        refusal = _conflict(operation, stream, options, now)
        if refusal is not None:
            return refusal
        return Move.SUBSCRIBE if call is None else Move.WAIT
    if call is not None:
        return Move.SETTLED if call.kind is Kind.REGISTER and not operation.missing(stream) else Move.WAIT
    if stream.changer is not None and stream.changer is not operation:
        return f"{stream.key} is being given other options by another client: try again in a moment"
    if stream.state is not PRESENT:
        return Move.SUBSCRIBE
    return Move.REGISTER if operation.missing(stream) else Move.SETTLED


def _look_to_register(operation: Operation, stream: Stream, linked: bool) -> Move:
    # The owner holds the stream. Where it is not upstream now, whatever brings it there asks for all that is needed by
    # then, this included; only a call that is already under way may come without.
    if not linked or not stream.by_rehab:
        return Move.SETTLED
    call = stream.call
    if stream.state is PRESENT:
        if operation.rehabs <= stream.rehabs:
            return Move.SETTLED
        return Move.REGISTER if call is None else Move.WAIT
    return Move.SETTLED if call is None or operation.rehabs <= call.rehabs else Move.WAIT


def _conflict(operation: Operation, stream: Stream, options: Options, now: float) -> str | None:
    """Why the stream can't have these options, which are not its own; None when it can, or may soon."""
    call = stream.call
    if call is not None and call.kind is Kind.SUBSCRIBE and call.options == options:
        return None
    in_use = (
        f"{stream.key} is in use by another client with other options (theirs: {stream.options}; asked: {options}); "
        "one OpenD connection carries one set: ask for the same, or wait until nobody uses theirs"
    )
    if any(holder != operation.owner.ident for holder in stream.holders):
        return in_use
    if call is not None or stream.state is ABSENT:
        return None
    if any(other is not operation for other in stream.pins):
        return in_use
    if stream.holders:
        return None
    # One second more, for the UNSUBSCRIBE itself.
    wait = max(0, ceil(stream.leave_at() - now)) + 1
    return (
        f"{stream.key} is still subscribed at OpenD with other options (there: {stream.options}; asked: {options}); "
        f"nobody uses it, but OpenD gives nothing up before it is 60 s old: try again in {wait} s"
    )


def blames(call: Call, operation: Operation) -> bool:
    """Whether the refusal of ``call`` is a refusal of the operation: it asked for all that the call asked for."""
    if call.kind is Kind.UNSUBSCRIBE or len(call.streams) > len(operation.streams):
        return False
    if call.kind is Kind.REGISTER:
        return all(operation in s.pins and call.rehabs - s.rehabs <= operation.rehabs for s in call.streams)
    return operation.kind is Kind.SUBSCRIBE and all(
        operation in s.pins and operation.options_for(s) == call.options for s in call.streams
    )
