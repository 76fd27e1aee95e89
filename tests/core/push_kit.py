"""A push of every kind, and who is to get it. Holds no tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opendmux.core import streams
from opendmux.core.ledger_values import SubRequest
from opendmux.core.streams import PushKey, Space
from opendmux.wire.protocols import ProtoId
from tests.core.playbook import Play
from tests.native.wire_format import field, scalar
from tests.runtime.bodies import acc_push, kline_push, order_push, quote_push, response, security, ticker_push

if TYPE_CHECKING:
    from collections.abc import Callable

    from opendmux.core.identity import Session

TENCENT, HSBC, AAPL, ELECTION = (1, "00700"), (1, "00005"), (11, "AAPL"), (101, "ELECTION")
QOT, EVENT_CONTRACT = Space.QOT, Space.EVENT_CONTRACT


def holds(
    play: Play,
    owner: int,
    *securities: tuple[int, str],
    sub_types: tuple[int, ...] = (streams.BASIC,),
    space: Space = QOT,
    rehabs: tuple[int, ...] = (),
    register: bool = True,
) -> Session:
    """A client with a subscription that OpenD has accepted."""
    session = play.router.sessions.get(owner) or play.client(owner)
    request = SubRequest(space, securities, sub_types, register=register, rehab_types=rehabs)
    ledger = play.main.ledger
    for sub in ledger.subscribe(owner, request, None, play.now).send:
        ledger.upstream_reply(sub.call_id, 0, "", play.now)
    return session


def book_push(market: int, code: str, book_type: int | None = None) -> bytes:
    tail = b"" if book_type is None else scalar(9, book_type)
    return response(field(1, security(market, code)) + tail)


def contract_push(*codes: tuple[int, str]) -> bytes:
    return quote_push(*codes)


# -- a route for every push


@dataclass(frozen=True)
class Route:
    """One client is to get the push, another, in the same position but for one thing, is not."""

    body: bytes
    meant: Callable[[Play], Session]
    not_meant: Callable[[Play], Session]
    key: PushKey | None = None


def stream_route(
    body: bytes,
    sub_type: int,
    *,
    space: Space = QOT,
    rehab: int = 0,
    other: int = streams.BROKER,
    conflate: bool = True,
) -> Route:
    what = TENCENT if space is QOT else ELECTION
    rehabs = (rehab,) if rehab else ()
    return Route(
        body,
        lambda play: holds(play, 1, what, sub_types=(sub_type,), space=space, rehabs=rehabs),
        lambda play: holds(play, 2, what, sub_types=(other,), space=space, rehabs=rehabs),
        PushKey(space, *what, sub_type, rehab) if conflate else None,
    )


def client(owner: int) -> Callable[[Play], Session]:
    return lambda play: play.client(owner, recv_notify=True)


def account(owner: int, acc_id: int) -> Callable[[Play], Session]:
    def make(play: Play) -> Session:
        session = play.client(owner)
        play.send(session, 2008, acc_push(acc_id))
        play.answer_all()
        return session

    return make


def asker(play: Play) -> Session:
    session = play.client(1)
    play.answer(play.passes(session, 3260), response(field(1, b"calc")))
    return session


def stranger(play: Play) -> Session:
    return play.session(2)


ROUTES: dict[int, Route] = {
    ProtoId.NOTIFY: Route(response(scalar(1, 3)), client(1), lambda play: play.client(2)),
    ProtoId.TRD_NOTIFY: Route(order_push(10), account(1, 10), account(2, 20)),
    ProtoId.TRD_UPDATE_ORDER: Route(order_push(2**64 - 1), account(1, 2**64 - 1), account(2, 2**63 - 1)),
    ProtoId.TRD_UPDATE_ORDER_FILL: Route(order_push(10), account(1, 10), account(2, 20)),
    ProtoId.QOT_UPDATE_BASIC_QOT: stream_route(quote_push(TENCENT), streams.BASIC),
    ProtoId.QOT_UPDATE_KL: stream_route(kline_push(*TENCENT, kl_type=2, rehab_type=2), streams.KL_DAY, rehab=2),
    ProtoId.QOT_UPDATE_RT: stream_route(ticker_push(*TENCENT), streams.RT),
    ProtoId.QOT_UPDATE_TICKER: stream_route(ticker_push(*TENCENT), streams.TICKER, conflate=False),
    ProtoId.QOT_UPDATE_ORDER_BOOK: stream_route(book_push(*TENCENT), streams.ORDER_BOOK, other=streams.ORDER_BOOK_ODD),
    ProtoId.QOT_UPDATE_BROKER: stream_route(ticker_push(*TENCENT), streams.BROKER, other=streams.BASIC),
    ProtoId.QOT_UPDATE_PRICE_REMINDER: Route(ticker_push(*TENCENT), client(1), stranger),
    ProtoId.QOT_UPDATE_OPTION_EVENT: Route(ticker_push(*TENCENT), client(1), stranger),
    ProtoId.QOT_PUSH_INDICATOR_CALC: Route(response(field(1, b"calc")), asker, lambda play: play.client(2)),
    ProtoId.QOT_UPDATE_EVENT_CONTRACT_ORDER_BOOK: stream_route(
        contract_push(ELECTION), streams.ORDER_BOOK, space=EVENT_CONTRACT, other=streams.TICKER
    ),
    ProtoId.QOT_UPDATE_EVENT_CONTRACT_TICKER: stream_route(
        contract_push(ELECTION), streams.TICKER, space=EVENT_CONTRACT, other=streams.ORDER_BOOK, conflate=False
    ),
    ProtoId.QOT_UPDATE_EVENT_CONTRACT_KLINE: stream_route(
        contract_push(ELECTION), streams.KL_5MIN, space=EVENT_CONTRACT, other=streams.TICKER, conflate=False
    ),
}


def a_world() -> Play:
    """Somebody for every kind of push."""
    play = Play()
    every = tuple(streams.SUB_TYPES[QOT])
    holds(play, 1, TENCENT, sub_types=every)
    holds(play, 1, ELECTION, sub_types=tuple(streams.SUB_TYPES[EVENT_CONTRACT]), space=EVENT_CONTRACT)
    account(2, 10)(play)
    client(3)(play)
    return play


def _json(s2c: dict[str, object]) -> bytes:
    return json.dumps({"retType": 0, "s2c": s2c}).encode()


HK: dict[str, object] = {"market": 1, "code": "00700"}
CONTRACT: dict[str, object] = {"market": 101, "code": "ELECTION"}

JSON_BODIES: dict[int, bytes] = {
    ProtoId.NOTIFY: _json({"type": 3}),
    ProtoId.TRD_NOTIFY: _json({"header": {"trdEnv": 1, "accID": 10, "trdMarket": 1}}),
    ProtoId.TRD_UPDATE_ORDER: _json({"header": {"trdEnv": 1, "accID": 2**64 - 1, "trdMarket": 1}}),
    ProtoId.TRD_UPDATE_ORDER_FILL: _json({"header": {"trdEnv": 1, "accID": "10", "trdMarket": 1}}),
    ProtoId.QOT_UPDATE_BASIC_QOT: _json({"basicQotList": [{"security": HK, "curPrice": 1.5}]}),
    ProtoId.QOT_UPDATE_KL: _json({"rehabType": 2, "klType": 2, "security": HK}),
    ProtoId.QOT_UPDATE_RT: _json({"security": HK}),
    ProtoId.QOT_UPDATE_TICKER: _json({"security": HK}),
    ProtoId.QOT_UPDATE_ORDER_BOOK: _json({"security": HK}),
    ProtoId.QOT_UPDATE_BROKER: _json({"security": HK}),
    ProtoId.QOT_UPDATE_PRICE_REMINDER: _json({"security": HK}),
    ProtoId.QOT_UPDATE_OPTION_EVENT: _json({"message": "soon"}),
    ProtoId.QOT_PUSH_INDICATOR_CALC: _json({"calcId": "calc"}),
    ProtoId.QOT_UPDATE_EVENT_CONTRACT_ORDER_BOOK: _json({"orderBookList": [{"code": CONTRACT}]}),
    ProtoId.QOT_UPDATE_EVENT_CONTRACT_TICKER: _json({"tickerList": [{"code": CONTRACT}]}),
    ProtoId.QOT_UPDATE_EVENT_CONTRACT_KLINE: _json({"klineList": [{"code": CONTRACT}]}),
}
"""The same pushes as OpenD's JSON."""
