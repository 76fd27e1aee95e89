"""The messages by which clients subscribe (3001, 3455) and register for pushes (3002), read into values.

What is named twice counts once. A body that can't be read is a `RemoteProtocolError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.messages import decode_untrusted, numbered_untrusted
from opendmux.wire.pb import opend

from .ledger_values import RegRequest, SubRequest, refusal_of
from .streams import Options, Security, Space

__all__ = [
    "STREAMS_MAX",
    "brings_pushes",
    "read_event_contract_untrusted",
    "read_registration_untrusted",
    "read_subscription_untrusted",
    "too_large_or_unsound",
]

STREAMS_MAX: Final = 10_000
"""Streams (securities x sub types) in one request: five times OpenD's largest quota. A list is short on the wire, their
product is not, and everybody waits while it is looked at."""

KLINE_SOURCES: Final[Mapping[str, int]] = {"EC_KlineSource_None": 0, "EC_KlineSource_OrderBookYes": 1}
"""EC_KlineSource, the one enum field among these requests: in JSON it may come by name."""


def read_subscription_untrusted(body: bytes, proto_fmt: int) -> SubRequest:
    """Qot_Sub."""
    c2s = decode_untrusted(opend.SubRequest, body, proto_fmt).c2s
    _check_required_untrusted(c2s)
    return SubRequest(
        space=Space.QOT,
        securities=_securities(c2s.securityList),
        sub_types=tuple(dict.fromkeys(c2s.subTypeList)),
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


def read_event_contract_untrusted(body: bytes, proto_fmt: int) -> SubRequest:
    """Qot_SubEventContract."""
    if proto_fmt == ProtoFmt.JSON:
        body = numbered_untrusted(body, ("c2s", "klineSource"), KLINE_SOURCES)
    c2s = decode_untrusted(opend.SubEventContractRequest, body, proto_fmt).c2s
    _check_required_untrusted(c2s)
    return SubRequest(
        space=Space.EVENT_CONTRACT,
        securities=_securities(c2s.securityList),
        sub_types=tuple(dict.fromkeys(c2s.subTypeList)),
        subscribe=c2s.isSubOrUnSub,
        register=c2s.isRegOrUnRegPush if c2s.HasField("isRegOrUnRegPush") else None,
        first_push=c2s.isFirstPush if c2s.HasField("isFirstPush") else True,
        unsub_all=c2s.isUnsubAll,
        options=Options(security_firm=c2s.header.securityFirm, kline_source=tuple(c2s.klineSource)),
    )


def read_registration_untrusted(body: bytes, proto_fmt: int) -> RegRequest:
    """Qot_RegQotPush."""
    c2s = decode_untrusted(opend.RegQotPushRequest, body, proto_fmt).c2s
    if not c2s.HasField("isRegOrUnReg"):
        raise RemoteProtocolError("isRegOrUnReg is missing")
    return RegRequest(
        securities=_securities(c2s.securityList),
        sub_types=tuple(dict.fromkeys(c2s.subTypeList)),
        rehab_types=tuple(c2s.rehabTypeList),
        register=c2s.isRegOrUnReg,
        first_push=c2s.isFirstPush if c2s.HasField("isFirstPush") else True,
    )


def too_large_or_unsound(wanted: SubRequest | RegRequest) -> str | None:
    """Why it goes no further: a text that names the field; None for a sound request."""
    named = len(wanted.securities) * len(wanted.sub_types)
    if named > STREAMS_MAX and not (isinstance(wanted, SubRequest) and wanted.unsub_all):
        return f"securityList and subTypeList name {named} streams, which is over {STREAMS_MAX}"
    return refusal_of(wanted)


def brings_pushes(wanted: SubRequest | RegRequest) -> bool:
    """It asks for pushes to come. A subscription alone brings none: who only polls does not register."""
    if isinstance(wanted, RegRequest):
        return wanted.register
    return wanted.subscribe and not wanted.unsub_all and wanted.register is True


def _check_required_untrusted(c2s: opend.SubC2S | opend.SubEventContractC2S) -> None:
    # Read as false it would unsubscribe what the client perhaps meant to subscribe.
    if not c2s.HasField("isSubOrUnSub") and not c2s.isUnsubAll:
        raise RemoteProtocolError("isSubOrUnSub is missing")


def _securities(items: Iterable[opend.Security]) -> tuple[Security, ...]:
    return tuple(dict.fromkeys((item.market, item.code) for item in items))
