"""A trade gate with one session, played by hand. Holds no tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from opendmux.core.commands import Ask, Command, Failure, Forward, Outcome, Reply, Request
from opendmux.core.denial import Denial
from opendmux.core.identity import Session
from opendmux.core.keys import Key, KeyLimits
from opendmux.core.knowledge import Knowledge
from opendmux.core.limits import Limits
from opendmux.core.tradegate import TradeGate
from opendmux.wire.handshake import State
from opendmux.wire.messages import ret_body

LANE: Final = 3
WALL: Final = datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()
ALL_TRADE: Final = frozenset({"trade:real", "trade:simulate"})


def key_of(
    name: str = "bot",
    *,
    scopes: frozenset[str] = ALL_TRADE,
    acc_ids: Sequence[int] | None = None,
    tz: str | None = "UTC",
    **limits: object,
) -> Key:
    allowed = None if acc_ids is None else frozenset(acc_ids)
    return Key(name, scopes, KeyLimits(**limits), allowed_acc_ids=allowed, tz=tz)  # type: ignore[arg-type]


@dataclass
class Desk:
    """``now`` 0 is `WALL`."""

    key: Key | None
    limits: Limits = field(default_factory=Limits)
    knowledge: Knowledge = field(default_factory=Knowledge)
    quote_lane: int | None = None
    away: set[int] = field(default_factory=set)
    """Lanes that can't be asked."""
    asks: list[Ask] = field(default_factory=list)
    sent: list[tuple[Request, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate = TradeGate(
            LANE,
            self.limits,
            self.knowledge,
            quote_lane=self.quote_lane,
            ready=lambda lane: lane not in self.away,
        )
        self.session = Session(1, 1, 1, "127.0.0.1:1", "127.0.0.1", "tcp", 5, b"", b"", state=State.READY, key=self.key)
        self._serial = 0

    def send(
        self, proto_id: int, body: bytes, now: float = 0.0, *, proto_fmt: int = 0, until: float | None = None
    ) -> Denial | Request | None:
        """The refusal, the request that was sent, or None while it waits."""
        self._serial += 1
        request = Request(self.session, proto_id, proto_fmt, self._serial, body, until)

        def go(later: float) -> list[Command]:
            self.sent.append((request, later))
            return [Forward(request, None, LANE, with_packet_id=True)]

        return self.take(self.gate.admit(request, now, WALL + now, go))

    def take(self, commands: Sequence[Command]) -> Denial | Request | None:
        result: Denial | Request | None = None
        for command in commands:
            assert result is None
            if isinstance(command, Ask):
                self.asks.append(command)
            elif isinstance(command, Forward):
                result = command.request
            else:
                assert isinstance(command, Reply)
                result = command.denial
        return result

    def answer(self, body: bytes, now: float = 0.0) -> Denial | Request | None:
        """OpenD answers the oldest question."""
        return self.take(self.asks.pop(0).then(Outcome(body, 0), now))

    def fail(self, failure: Failure = Failure.TIMEOUT, now: float = 0.0) -> Denial | Request | None:
        return self.take(self.asks.pop(0).then(Outcome(b"", 0, failure), now))

    def settle(self, request: object, ret_type: int = 0, body: bytes | None = None) -> None:
        assert isinstance(request, Request)
        answer = ret_body(request.proto_fmt, ret_type) if body is None else body
        self.gate.sent.settled(request, ret_type, answer)

    @property
    def orders_left(self) -> int | None:
        assert self.key is not None
        return self.limits.headroom(self.key, 0.0, WALL).orders

    def value_left(self) -> object:
        assert self.key is not None
        return self.limits.headroom(self.key, 0.0, WALL).daily_value


def refused(result: object) -> Denial:
    assert isinstance(result, Denial), result
    return result


def passed(result: object) -> Request:
    assert isinstance(result, Request), result
    return result
