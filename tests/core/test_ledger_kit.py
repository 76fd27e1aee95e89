"""A desk to play the ledger from: keeps the clock, the calls in flight and the answers. Holds no tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from opendmux.core.ledger import Ledger
from opendmux.core.ledger_values import Actions, Done, Dropped, RegRequest, SubRequest, UpstreamSub
from opendmux.core.streams import Options, PushKey, Security, Space

AAPL: Final[Security] = (11, "AAPL")
MSFT: Final[Security] = (11, "MSFT")
TENCENT: Final[Security] = (1, "00700")
BAD: Final[Security] = (1, "BAD")
ELECTION: Final[Security] = (101, "ELECTION")

A, B, C = 1, 2, 3

Sent = tuple[str, set[Security], set[int]]


def brief(calls: Iterable[UpstreamSub]) -> list[Sent]:
    return [(call.kind.value, set(call.securities), set(call.sub_types)) for call in calls]


class Desk:
    """Checks the books after every move."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.now = 1000.0
        self.answers: dict[int, Done] = {}
        self.released: list[PushKey] = []
        self.dropped: list[Dropped] = []
        self._sent: list[UpstreamSub] = []
        self._tokens = 0

    def feed(self, actions: Actions) -> None:
        for done in actions.done:
            assert isinstance(done.token, int)
            assert done.token not in self.answers, "answered twice"
            self.answers[done.token] = done
        self._sent.extend(actions.send)
        self.released.extend(actions.released)
        self.dropped.extend(actions.dropped)
        self.ledger.check()

    def sub(
        self,
        owner: int,
        securities: Iterable[Security],
        sub_types: Iterable[int],
        *,
        register: bool | None = True,
        rehab: tuple[int, ...] = (),
        first_push: bool = True,
        space: Space = Space.QOT,
        subscribe: bool = True,
        unsub_all: bool = False,
        options: Options | None = None,
    ) -> int:
        """Ask for it; returns the token."""
        self._tokens += 1
        request = SubRequest(
            space,
            tuple(securities),
            tuple(sub_types),
            subscribe,
            register,
            rehab,
            first_push,
            unsub_all,
            options or Options(),
        )
        self.feed(self.ledger.subscribe(owner, request, self._tokens, self.now))
        return self._tokens

    def unsub(
        self, owner: int, securities: Iterable[Security], sub_types: Iterable[int], space: Space = Space.QOT
    ) -> int:
        return self.sub(owner, securities, sub_types, register=False, subscribe=False, space=space)

    def unsub_all(self, owner: int, space: Space = Space.QOT) -> int:
        return self.sub(owner, (), (), register=None, subscribe=False, unsub_all=True, space=space)

    def reg(
        self,
        owner: int,
        securities: Iterable[Security],
        sub_types: Iterable[int],
        *,
        register: bool = True,
        rehab: tuple[int, ...] = (),
        first_push: bool = True,
    ) -> int:
        self._tokens += 1
        request = RegRequest(tuple(securities), tuple(sub_types), register, rehab, first_push)
        self.feed(self.ledger.register(owner, request, self._tokens, self.now))
        return self._tokens

    def close(self, owner: int) -> None:
        self.feed(self.ledger.close_owner(owner, self.now))

    def take(self) -> list[UpstreamSub]:
        """What was sent since the last time."""
        sent, self._sent = self._sent, []
        return sent

    def one(self) -> UpstreamSub:
        (call,) = self.take()
        return call

    def ok(self, *calls: UpstreamSub) -> None:
        for call in calls:
            self.feed(self.ledger.upstream_reply(call.call_id, 0, "", self.now))

    def refuse(self, call: UpstreamSub, ret_type: int = -1, ret_msg: str = "no") -> None:
        self.feed(self.ledger.upstream_reply(call.call_id, ret_type, ret_msg, self.now))

    def have(
        self,
        owner: int,
        securities: Iterable[Security],
        sub_types: Iterable[int],
        *,
        options: Options | None = None,
        space: Space = Space.QOT,
    ) -> None:
        """Subscribed, registered and answered."""
        token = self.sub(owner, securities, sub_types, options=options, space=space)
        self.ok(*self.take())
        assert self.answers[token].ret_type == 0

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.feed(self.ledger.due(self.now))

    def lose(self) -> None:
        self.feed(self.ledger.link_lost("the link is down", self.now))

    def replay(self) -> list[UpstreamSub]:
        self.feed(self.ledger.replay(self.now))
        return self.take()

    def said(self, token: int) -> tuple[int, str]:
        return self.answers[token].ret_type, self.answers[token].ret_msg

    def fine(self, token: int) -> bool:
        return self.answers[token].ret_type == 0

    def waits(self, token: int) -> bool:
        return token not in self.answers

    def audience(self, security: Security, sub_type: int, rehab_type: int = 0, space: Space = Space.QOT) -> list[int]:
        return list(self.ledger.audience(space, *security, sub_type, rehab_type))
