"""How a client request runs: in line, pinned to its streams, until it has all it needs or one refusal.

The theory is at the head of `opendmux.core.ledger`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from opendmux.wire.frame import RetType

from ._ledger_audiences import Audiences
from ._ledger_records import PRESENT, Call, Operation, Owner, Stream
from ._ledger_rules import Move, blames, look
from ._ledger_upstream import Upstream, broker_only
from .ledger_values import Actions, Done, Dropped, Kind
from .streams import PushKey, StreamKey


class Operations:
    """The owners and their unanswered requests. Every public method leaves nothing undone but the sweep."""

    def __init__(self, upstream: Upstream, audiences: Audiences) -> None:
        self.owners: dict[int, Owner] = {}
        self.down_text = ""
        """Why the link is down."""
        self._upstream = upstream
        self._audiences = audiences
        self._ready: deque[Operation] = deque()

    def owner(self, ident: int) -> Owner:
        record = self.owners.get(ident)
        if record is None:
            record = self.owners[ident] = Owner(ident)
        return record

    def enter(self, operation: Operation, now: float, out: Actions) -> None:
        """Take a new request."""
        record = operation.owner
        record.operations[operation] = None
        for key in operation.keys if record.last else ():
            earlier = record.last.get(key)
            if earlier is not None:
                earlier.followers.append(operation)
                operation.blocked += 1
        if operation.blocked:
            self._line_up(operation)
        else:
            self._ready.append(operation)
        self._run(now, out)

    def called(self, call: Call, ret_type: int, ret_msg: str, now: float, out: Actions) -> None:
        """A call has ended, and its streams know: whoever is open on one of them looks again."""
        concerned = dict.fromkeys(
            operation for stream in call.streams for operation in stream.pins if stream in operation.open
        )
        # Judged before anything moves: an operation that ends changes what the others see.
        refused = {operation for operation in concerned if ret_type != RetType.SUCCEED and blames(call, operation)}
        for operation in concerned:
            if operation in refused:
                self._end(operation, ret_type, ret_msg, out)
            else:
                self._ready.append(operation)
        self._run(now, out)

    def link_lost(self, ret_msg: str, now: float, out: Actions) -> None:
        self.down_text = ret_msg
        for owner in list(self.owners.values()):
            for operation in list(owner.operations):
                if operation.streams:
                    self._end(operation, RetType.DISCONNECT, ret_msg, out)
        self._run(now, out)

    def close(self, owner: Owner, now: float, out: Actions) -> None:
        """End the owner's requests and drop what it holds."""
        for operation in list(owner.operations):
            self._end(operation, RetType.DISCONNECT, "the client has gone", out)
        for key in list(owner.held):
            self._let_go(owner, key)
        self.owners.pop(owner.ident, None)
        self._run(now, out)

    def give_up(self, keys: Iterable[StreamKey], out: Actions) -> None:
        """Take these streams from whoever holds them; what an operation or a call is about stays for now."""
        for key in keys:
            stream = self._upstream.streams[key]
            if stream.pins or stream.call is not None:
                continue
            for owner in [self.owners[ident] for ident in stream.holders]:
                self._let_go(owner, key)
                out.dropped.append(Dropped(owner.ident, key, stream.refusal))
                if not owner.operations and not owner.held:
                    del self.owners[owner.ident]

    def _run(self, now: float, out: Actions) -> None:
        while self._ready:
            operation = self._ready.popleft()
            if not operation.ended:
                self._advance(operation, now, out)

    def _line_up(self, operation: Operation) -> None:
        if not operation.lined_up:
            operation.lined_up = True
            operation.owner.last.update(dict.fromkeys(operation.keys, operation))

    def _advance(self, operation: Operation, now: float, out: Actions) -> None:
        owner = operation.owner
        if operation.kind is Kind.UNSUBSCRIBE:
            for key in operation.keys:
                self._let_go(owner, key)
            self._end(operation, RetType.SUCCEED, "", out)
        elif operation.kind is Kind.REGISTER and not operation.register:
            for stream in [owner.held[key] for key in operation.keys if key in owner.held]:
                for rehab_type in operation.rehabs_for(stream):
                    self._audiences.strike(stream, rehab_type, owner.ident)
            self._end(operation, RetType.SUCCEED, "", out)
        elif operation.kind is Kind.SUBSCRIBE and not self._upstream.linked:
            self._end(operation, RetType.DISCONNECT, self.down_text, out)
        else:
            refusal = self._begin(operation) or self._pursue(operation, now, out)
            if refusal is not None:
                self._end(operation, RetType.FAILED, refusal, out)

    def _begin(self, operation: Operation) -> str | None:
        """Pin the streams, the first time. A text when one that must be held is not."""
        if operation.streams:
            return None
        known = self._upstream.streams
        for key in operation.keys:
            if operation.kind is Kind.REGISTER:
                if key not in operation.owner.held:
                    return f"{key} is not subscribed on this connection: subscribe before registering for its pushes"
                stream = known[key]
            else:
                found = known.get(key)
                stream = Stream(key, operation.options[key[1], key[3]]) if found is None else found
                known[key] = stream
            stream.pins[operation] = None
            operation.streams.append(stream)
        operation.open = dict.fromkeys(operation.streams)
        return None

    def _pursue(self, operation: Operation, now: float, out: Actions) -> str | None:
        """Make the next move about each open stream; nothing is sent when one of them refuses."""
        settled: list[Stream] = []
        asked: list[Stream] = []
        lacking: list[Stream] = []
        for stream in operation.open:
            move = look(operation, stream, self._upstream.linked, now)
            if move is Move.SETTLED:
                settled.append(stream)
            elif move is Move.SUBSCRIBE:
                asked.append(stream)
            elif move is Move.REGISTER:
                lacking.append(stream)
            elif move is not Move.WAIT:
                return move
        for stream in settled:
            del operation.open[stream]
        for stream in asked:
            if stream.holders and stream.options != operation.options_for(stream):
                stream.changer = operation
        self._upstream.send(
            Kind.SUBSCRIBE,
            [(stream, operation.options_for(stream), _rehabs_to_ask(operation, stream)) for stream in asked],
            out,
        )
        # All of them, not just the new one: it is not known whether OpenD adds to its list or replaces it.
        self._upstream.send(
            Kind.REGISTER,
            [(stream, broker_only(stream.options), stream.rehabs | operation.rehabs) for stream in lacking],
            out,
        )
        if operation.open:
            self._line_up(operation)
        else:
            self._commit(operation, out)
        return None

    def _commit(self, operation: Operation, out: Actions) -> None:
        owner = operation.owner
        pushes: list[PushKey] = []
        for stream in operation.streams:
            if operation.kind is Kind.SUBSCRIBE:
                stream.holders[owner.ident] = None
                owner.held[stream.key] = stream
                if stream.changer is operation:
                    stream.changer = stream.former = None
            for rehab_type in operation.rehabs_for(stream) if operation.register is not None else ():
                if not operation.register:
                    self._audiences.strike(stream, rehab_type, owner.ident)
                elif self._audiences.enrol(stream, rehab_type, owner.ident) and operation.first_push:
                    pushes.append(PushKey(*stream.key, rehab_type))
        self._end(operation, RetType.SUCCEED, "", out, tuple(pushes))

    def _end(
        self, operation: Operation, ret_type: int, ret_msg: str, out: Actions, first_pushes: tuple[PushKey, ...] = ()
    ) -> None:
        operation.ended = True
        owner = operation.owner
        for stream in operation.streams:
            del stream.pins[operation]
            if stream.changer is operation:
                stream.restore()
            self._upstream.touch(stream)
        if operation.lined_up:
            for key in operation.keys:
                if owner.last.get(key) is operation:
                    del owner.last[key]
        for follower in operation.followers:
            follower.blocked -= 1
            if not follower.blocked:
                self._ready.append(follower)
        del owner.operations[operation]
        if not owner.operations and not owner.held:
            self.owners.pop(owner.ident, None)
        out.done.append(Done(operation.token, ret_type, ret_msg, first_pushes))

    def _let_go(self, owner: Owner, key: StreamKey) -> None:
        stream = owner.held.pop(key, None)
        if stream is None:
            return
        del stream.holders[owner.ident]
        for rehab_type in list(stream.registered):
            self._audiences.strike(stream, rehab_type, owner.ident)
        self._upstream.touch(stream)


def _rehabs_to_ask(operation: Operation, stream: Stream) -> frozenset[int]:
    """For a SUBSCRIBE: what the operation wants, and what others must not lose by it."""
    if not stream.holders:
        return operation.rehabs
    rehabs = operation.rehabs | stream.needed_rehabs()
    return rehabs | stream.rehabs if stream.state is PRESENT else rehabs
