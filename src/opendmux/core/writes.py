"""What moves money: a trade write on its way through the audit's, the freezes' and its key's gate to OpenD and back."""

from __future__ import annotations

import logging
from collections.abc import Callable

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import RetType

from .access import Access
from .answers import denied, name_of, unavailable
from .commands import Command, Outcome, Reply, Request
from .custody import PLACING, Custody, guarded
from .denial import Denial, DenialKind
from .entry import end
from .lanes import Lane
from .orders import surely_calming_untrusted
from .tenancy import ENDED
from .tradegate import TradeGate
from .withdrawals import Withdrawals

__all__ = ["Writes"]

log = logging.getLogger("opendmux.router")


class Writes:
    """Of one router. ``frozen``: why a freeze holds a request up. ``metered``: sends it within OpenD's windows, to be
    answered by the given time."""

    def __init__(
        self,
        access: Access,
        gate: TradeGate,
        *,
        frozen: Callable[[Request], Reply | None],
        metered: Callable[[list[Command], float, float | None], list[Command]],
    ) -> None:
        self.withdrawals = Withdrawals()
        self.custody = Custody()
        """Orders of keys that are watched."""
        self._access = access
        self._gate = gate
        self._frozen = frozen
        self._metered = metered
        self._open: dict[int, Request] = {}
        """Without an answer, by id of the request object, which the entry keeps alive."""

    def admit(self, lane: Lane, request: Request, now: float, wall: float, answer_by: float) -> list[Command]:
        """A trade write passes the gate of its key, and is sent when OpenD has told what the gate must know. However
        long that takes, its client is told how it ended by ``answer_by``."""
        request = self.withdrawals.watched(request)
        if not self._audited(request):
            return [_unaudited(request)]
        if self._access.ended(request.session, wall):  # the review comes only every second
            text = f"{name_of(request.proto_id)} was not sent: {ENDED}"
            return [denied(request, Denial(DenialKind.UNAUTHENTICATED, "invalid", text)), end(request.session, ENDED)]
        ahead = wall - now

        def settled(done: Request, outcome: Outcome, ret_type: int, later: float) -> None:
            self._settled(done, outcome, ret_type, later + ahead)

        def go(later: float) -> list[Command]:
            if not lane.upstream.ready:
                return [unavailable(request, lane.upstream.absence(later))]
            if not self._audited(request):
                return [_unaudited(request)]
            frozen = self._frozen(request)
            if frozen is not None:
                return [frozen]
            self.withdrawals.passes(request)
            return self._metered(lane.trading.write(request, settled), later, answer_by)

        return self._gate.admit(request, now, wall, go)

    def sent(self, request: Request) -> None:
        """It is on its way to OpenD."""
        self._open[id(request)] = request

    def unsent(self, request: Request) -> None:
        """It was let through and was not sent: its session has gone."""
        self._gate.sent.unsent(request)

    def open_of(self, key_id: str | None) -> int:
        """How many of this key, None: of everybody, were sent and have no answer yet."""
        return sum(key_id is None or request.session.freezes_by == key_id for request in self._open.values())

    def _settled(self, request: Request, outcome: Outcome, ret_type: int, wall: float) -> None:
        self._open.pop(id(request), None)
        key = request.session.key
        if ret_type == RetType.SUCCEED:
            asked, answer = (request.proto_id, request.proto_fmt, request.body), (outcome.proto_fmt, outcome.body)
            try:
                if request.proto_id not in PLACING:
                    self.custody.changed_untrusted(asked, answer)
                elif key is not None and guarded(key):
                    self.custody.accepted_untrusted(key.id, asked, answer, wall)
            except RemoteProtocolError as error:
                what = f"{name_of(request.proto_id)} was accepted and its order can't be named, so nobody cancels it"
                log.error("%s: %s: %s", request.session, what, error)
        self._gate.sent.settled(request, ret_type, outcome.body, proto_fmt=outcome.proto_fmt)

    def _audited(self, request: Request) -> bool:
        """Without an audit no trade write, except those that take risk away: a disk that is full must not keep
        anybody from cancelling."""
        return self._access.audit_ok() or surely_calming_untrusted(request.proto_id, request.proto_fmt, request.body)


def _unaudited(request: Request) -> Command:
    text = f"{name_of(request.proto_id)} was not sent: the audit log can't be written"
    return denied(request, Denial(DenialKind.UNAVAILABLE, "audit", text))
