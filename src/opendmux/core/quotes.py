"""Subscription requests (3001, 3002, 3003, 3455): the messages around the ledger."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from opendmux.wire.frame import RetType
from opendmux.wire.messages import decode_untrusted, encode, ret_body, to_client
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .answers import failed, reply, verdict
from .commands import Ask, Command, Failure, Outcome, Request
from .ledger import Ledger
from .pushes import Pushes
from .streams import Actions, Kind, Options, RegRequest, Space, SubRequest, UpstreamSub

__all__ = ["Quotes"]

log = logging.getLogger("opendmux.quotes")


class Quotes:
    """Handlers of subscription requests; each returns what is to be done."""

    def __init__(self, ledger: Ledger, pushes: Pushes) -> None:
        self._ledger = ledger
        self._pushes = pushes

    # -- clients

    def sub(self, request: Request, now: float) -> list[Command]:
        """Qot_Sub: subscribe, unsubscribe, unsubscribe all of this client."""
        c2s = decode_untrusted(opend.SubRequest, request.body, request.proto_fmt).c2s
        wanted = SubRequest(
            space=Space.QOT,
            securities=_securities(c2s.securityList),
            sub_types=tuple(c2s.subTypeList),
            subscribe=c2s.isSubOrUnSub,
            register=c2s.isRegOrUnRegPush if c2s.HasField("isRegOrUnRegPush") else None,
            rehab_types=tuple(c2s.regPushRehabTypeList),
            first_push=c2s.isFirstPush if c2s.HasField("isFirstPush") else True,
            unsub_all=c2s.isUnsubAll,
            options=Options(
                order_book_detail=c2s.isSubOrderBookDetail,
                extended_time=c2s.extendedTime,
                session=c2s.session,
                security_firm=c2s.header.securityFirm,
            ),
        )
        return self._commands(self._ledger.subscribe(request.session.owner, wanted, request, now))

    def sub_event_contract(self, request: Request, now: float) -> list[Command]:
        """Qot_SubEventContract: the same for event contracts, a namespace of its own."""
        c2s = decode_untrusted(opend.SubEventContractRequest, request.body, request.proto_fmt).c2s
        wanted = SubRequest(
            space=Space.EVENT_CONTRACT,
            securities=_securities(c2s.securityList),
            sub_types=tuple(c2s.subTypeList),
            subscribe=c2s.isSubOrUnSub,
            register=c2s.isRegOrUnRegPush if c2s.HasField("isRegOrUnRegPush") else None,
            rehab_types=(),
            first_push=c2s.isFirstPush if c2s.HasField("isFirstPush") else True,
            unsub_all=c2s.isUnsubAll,
            options=Options(security_firm=c2s.header.securityFirm, kline_source=tuple(c2s.klineSource)),
        )
        return self._commands(self._ledger.subscribe(request.session.owner, wanted, request, now))

    def register(self, request: Request, now: float) -> list[Command]:
        """Qot_RegQotPush: which of its subscriptions are pushed to this client."""
        c2s = decode_untrusted(opend.RegQotPushRequest, request.body, request.proto_fmt).c2s
        wanted = RegRequest(
            securities=_securities(c2s.securityList),
            sub_types=tuple(c2s.subTypeList),
            rehab_types=tuple(c2s.rehabTypeList),
            register=c2s.isRegOrUnReg,
            first_push=c2s.isFirstPush if c2s.HasField("isFirstPush") else True,
        )
        return self._commands(self._ledger.register(request.session.owner, wanted, request, now))

    def sub_info(self, request: Request, _now: float) -> list[Command]:
        """Qot_GetSubInfo: the quota is upstream's, the lists are ours.

        With isReqAllConn there is one entry per other client too, as OpenD has one per other connection.
        """
        all_conn = decode_untrusted(opend.GetSubInfoRequest, request.body, request.proto_fmt).c2s.isReqAllConn
        ask = opend.GetSubInfoRequest(c2s=opend.GetSubInfoC2S(isReqAllConn=False))

        def then(outcome: Outcome, _now: float) -> list[Command]:
            if outcome.failure is not None:
                return [failed(request, outcome.failure)]
            ret_type, ret_msg = verdict(outcome)
            if ret_type != RetType.SUCCEED:
                return [reply(request, ret_body(request.proto_fmt, ret_type, ret_msg))]
            response = decode_untrusted(opend.GetSubInfoResponse, outcome.body, outcome.proto_fmt)
            del response.s2c.connSubInfoList[:]
            owner = request.session.owner
            response.s2c.connSubInfoList.append(self._conn_info(owner, own=True))
            if all_conn:
                others = (other for other in self._ledger.owners_with_subscriptions() if other != owner)
                response.s2c.connSubInfoList.extend(self._conn_info(other, own=False) for other in others)
            return [reply(request, to_client(response, request.proto_fmt))]

        return [Ask(ProtoId.QOT_GET_SUB_INFO, encode(ask), then)]

    def _conn_info(self, owner: int, *, own: bool) -> opend.ConnSubInfo:
        held = self._ledger.subscriptions(owner, Space.QOT)
        info = opend.ConnSubInfo(usedQuota=sum(len(securities) for securities in held.values()), isOwnConnData=own)
        for sub_type, securities in held.items():
            info.subInfoList.append(
                opend.SubInfo(
                    subType=sub_type,
                    securityList=[opend.Security(market=market, code=code) for market, code in securities],
                )
            )
        return info

    # -- the link and time

    @property
    def replaying(self) -> bool:
        """Restoring calls are open."""
        return self._ledger.replaying

    def close_owner(self, owner: int, now: float, *, link_ready: bool) -> list[Command]:
        """The owner is gone."""
        commands = self._commands(self._ledger.close_owner(owner, now))
        return commands if link_ready else []

    def link_lost(self, absence: str, now: float) -> list[Command]:
        """Waiting operations end; what clients hold stays wanted."""
        self._pushes.drop_all()
        return self._commands(self._ledger.link_lost(absence, now))

    def replay(self, now: float) -> list[Command]:
        """Ask a new connection for everything that is wanted."""
        return self._commands(self._ledger.replay(now))

    def due(self, now: float) -> list[Command]:
        """Delayed unsubscribes and retries."""
        return self._commands(self._ledger.due(now))

    # -- ledger actions to commands

    def _commands(self, actions: Actions) -> list[Command]:
        commands: list[Command] = [self._ask(sub) for sub in actions.send]
        self._pushes.drop(actions.released)
        for done in actions.done:
            request = done.token
            assert isinstance(request, Request), "the ledger gives back the token it was given"
            commands.append(reply(request, ret_body(request.proto_fmt, done.ret_type, done.ret_msg)))
            commands += self._pushes.first_pushes(request.session.owner, done.first_pushes)
        return commands

    def _ask(self, sub: UpstreamSub) -> Ask:
        def then(outcome: Outcome, now: float) -> list[Command]:
            ret_type, ret_msg = _VERDICT[outcome.failure] if outcome.failure else verdict(outcome)
            if ret_type != RetType.SUCCEED:
                log.warning("OpenD refused to %s: %d %s", sub.kind.value, ret_type, ret_msg)
            return self._commands(self._ledger.upstream_reply(sub.call_id, ret_type, ret_msg, now))

        return Ask(*_message(sub), then)


_VERDICT = {
    Failure.TIMEOUT: (RetType.TIME_OUT, "OpenD did not answer the subscription in time"),
    Failure.LOST: (RetType.DISCONNECT, "the connection to OpenD was lost before the answer"),
    Failure.CORRUPT: (RetType.FAILED, "OpenD's answer was damaged (SHA-1 mismatch)"),
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


def _securities(items: Iterable[opend.Security]) -> tuple[tuple[int, str], ...]:
    return tuple((item.market, item.code) for item in items)
