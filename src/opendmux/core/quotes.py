"""One lane's subscriptions: the messages around its ledger.

The ledger decides; here its `UpstreamSub`s become requests and its answers reach whoever asked, a `Ticket` of
`opendmux.core.subscriptions`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import RetType
from opendmux.wire.messages import decode_untrusted, encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .answers import verdict
from .commands import Ask, Command, Failure, Outcome, Push
from .ledger import Ledger
from .ledger_values import Actions, Dropped, Kind, RegRequest, SubRequest, UpstreamSub
from .pushes import Pushes
from .streams import Space

__all__ = ["Quotes", "Ticket"]

log = logging.getLogger("opendmux.quotes")


class Ticket(Protocol):
    """Who waits for the end of a ledger operation."""

    def ended(self, ret_type: int, ret_msg: str, first_pushes: Sequence[Push], now: float) -> list[Command]:
        """Called once."""


@dataclass(frozen=True, slots=True)
class _Asker:
    owner: int
    ticket: Ticket


class Quotes:
    """Subscriptions on one lane; every method returns what is to be done."""

    def __init__(self, lane: int, ledger: Ledger, pushes: Pushes) -> None:
        self._lane = lane
        self._ledger = ledger
        self._doubting = False
        """OpenD is being asked whether it is logged in."""
        self._pushes = pushes

    def subscribe(self, owner: int, wanted: SubRequest, ticket: Ticket, now: float) -> list[Command]:
        """Subscribe or unsubscribe; the ticket ends now or after upstream's answer."""
        return self._commands(self._ledger.subscribe(owner, wanted, _Asker(owner, ticket), now), now)

    def register(self, owner: int, wanted: RegRequest, ticket: Ticket, now: float) -> list[Command]:
        """Register or unregister for pushes."""
        return self._commands(self._ledger.register(owner, wanted, _Asker(owner, ticket), now), now)

    def close_owner(self, owner: int, now: float) -> list[Command]:
        """The owner is gone. What that sets off is sent whatever the link is: the ledger asks nothing while there is no
        connection, and during a restore it counts on the answer to what it has asked."""
        return self._commands(self._ledger.close_owner(owner, now), now)

    # -- the link and time

    @property
    def replaying(self) -> bool:
        """Restoring calls are open."""
        return self._ledger.replaying

    def link_lost(self, absence: str, now: float) -> list[Command]:
        """Waiting operations end; what clients hold stays wanted."""
        self._pushes.drop_all()
        return self._commands(self._ledger.link_lost(absence, now), now)

    def replay(self, now: float) -> list[Command]:
        """Ask a new connection for everything that is wanted."""
        return self._commands(self._ledger.replay(now), now)

    def due(self, now: float) -> list[Command]:
        """Delayed unsubscribes and retries."""
        at = self._ledger.next_due()
        return [] if at is None or at > now else self._commands(self._ledger.due(now), now)

    # -- ledger actions to commands

    def _commands(self, actions: Actions, now: float) -> list[Command]:
        commands: list[Command] = [self._ask(sub) for sub in actions.send]
        self._pushes.drop(actions.released)
        for done in actions.done:
            asker = done.token
            assert isinstance(asker, _Asker), "the ledger gives back the token it was given"
            first = self._pushes.first_pushes(asker.owner, done.first_pushes)
            commands += asker.ticket.ended(done.ret_type, done.ret_msg, first, now)
        return commands

    def _ask(self, sub: UpstreamSub) -> Ask:
        def then(outcome: Outcome, now: float) -> list[Command]:
            ret_type, ret_msg = _NO_ANSWER[outcome.failure] if outcome.failure else verdict(outcome)
            if ret_type != RetType.SUCCEED:
                log.warning("OpenD refused to %s: %d %s", sub.kind.value, ret_type, ret_msg)
            return self._commands(self._ledger.upstream_reply(sub.call_id, ret_type, ret_msg, now), now) + self._doubt()

        return Ask(self._lane, *_message(sub), then)

    # -- what OpenD does not take any more

    def _doubt(self) -> list[Command]:
        """OpenD refuses what clients hold. It does so too while it is not logged in: that is asked first."""
        if self._doubting or not self._ledger.hopeless():
            return []
        self._doubting = True

        def then(outcome: Outcome, now: float) -> list[Command]:
            self._doubting = False
            return self._give_up(now) if _is_logged_in(outcome) else []

        ask = opend.GetGlobalStateRequest(c2s=opend.GetGlobalStateC2S(userID=0))
        return [Ask(self._lane, ProtoId.GET_GLOBAL_STATE, encode(ask), then)]

    def _give_up(self, now: float) -> list[Command]:
        """Who believes to be subscribed is told that he is not."""
        actions = self._ledger.give_up(now)
        lost: dict[int, list[Dropped]] = {}
        for dropped in actions.dropped:
            lost.setdefault(dropped.owner, []).append(dropped)
        commands = self._commands(actions, now)
        for owner, what in lost.items():
            text = _loss(what)
            log.warning("client #%d: %s", owner, text, extra={"conn": owner})
            event = opend.NotifyGtwEvent(eventType=GTW_EVENT_NONE, desc=text)
            commands += self._pushes.notify([owner], opend.NotifyS2C(type=GTW_EVENT, event=event), now)
        return commands


GTW_EVENT, GTW_EVENT_NONE = 1, 0
"""Notify.NotifyType GtwEvent with Notify.GtwEventType None: the one notification with a free text. The SDKs hand the
text to the program's handler and do nothing by themselves."""

NAMED = 20
"""Streams that a notification names; of more it tells the number."""


def _loss(what: Sequence[Dropped]) -> str:
    names = ", ".join(str(dropped.key) for dropped in what[:NAMED])
    more = f" and {len(what) - NAMED} more" if len(what) > NAMED else ""
    reasons = "; ".join(dict.fromkeys(dropped.ret_msg or "without a reason" for dropped in what[:NAMED]))
    return (
        f"these subscriptions are over, OpenD refused to restore them after a reconnect: {names}{more} ({reasons}). "
        "Subscribe again to have them"
    )


def _is_logged_in(outcome: Outcome) -> bool:
    if outcome.failure is not None:
        return False
    try:
        response = decode_untrusted(opend.GetGlobalStateResponse, outcome.body, outcome.proto_fmt)
    except RemoteProtocolError as error:
        log.warning("whether OpenD is logged in can't be read: %s", error)
        return False
    return response.retType == RetType.SUCCEED and response.s2c.qotLogined


_NO_ANSWER = {
    Failure.TIMEOUT: (RetType.TIME_OUT, "OpenD did not answer the subscription in time"),
    Failure.LOST: (RetType.DISCONNECT, "the connection to OpenD was lost before the answer"),
    Failure.CORRUPT: (RetType.UNKNOWN, "OpenD's answer was damaged (SHA-1 mismatch)"),
}


def _message(sub: UpstreamSub) -> tuple[int, bytes]:
    """The request that carries one `UpstreamSub`."""
    securities = [opend.Security(market=market, code=code) for market, code in sub.securities]
    subscribe = sub.kind is Kind.SUBSCRIBE
    header = opend.QotHeader(securityFirm=sub.options.security_firm) if sub.options.security_firm else None
    if sub.kind is Kind.REGISTER:
        register = opend.RegQotPushC2S(
            securityList=securities,
            subTypeList=sub.sub_types,
            rehabTypeList=sub.rehab_types,
            isRegOrUnReg=True,
            isFirstPush=sub.first_push,
            header=header,
        )
        return ProtoId.QOT_REG_QOT_PUSH, encode(opend.RegQotPushRequest(c2s=register))
    if sub.space is Space.EVENT_CONTRACT:
        contract = opend.SubEventContractC2S(
            securityList=securities,
            subTypeList=sub.sub_types,
            isSubOrUnSub=subscribe,
            isRegOrUnRegPush=subscribe,
            klineSource=sub.options.kline_source,
            header=header,
        )
        if subscribe:
            contract.isFirstPush = sub.first_push
        return ProtoId.QOT_SUB_EVENT_CONTRACT, encode(opend.SubEventContractRequest(c2s=contract))
    c2s = opend.SubC2S(
        securityList=securities,
        subTypeList=sub.sub_types,
        isSubOrUnSub=subscribe,
        isRegOrUnRegPush=subscribe,
        regPushRehabTypeList=sub.rehab_types,
        header=header,
    )
    if subscribe:
        c2s.isFirstPush = sub.first_push
        if sub.options.order_book_detail:
            c2s.isSubOrderBookDetail = True
        if sub.options.extended_time:
            c2s.extendedTime = True
        if sub.options.session:
            c2s.session = sub.options.session
    return ProtoId.QOT_SUB, encode(opend.SubRequest(c2s=c2s))
