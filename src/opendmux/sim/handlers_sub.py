"""3001-3003: subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .numbers import SubType
from .pushes import first_push
from .quote_messages import security
from .refusal import Refused
from .routes import Route, Routes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .subscriptions import SubKey
    from .world import Session, World

__all__ = ["ROUTES"]

_SUB_TYPES = frozenset(SubType)
_REHAB_TYPES = frozenset({0, 1, 2})


def sub(world: World, session: Session, c2s: opend.SubC2S) -> None:
    books, now = world.subscriptions, world.elapsed()
    if not c2s.HasField("isSubOrUnSub"):
        raise Refused("isSubOrUnSub must be given")
    if c2s.isUnsubAll:
        if c2s.isSubOrUnSub:
            raise Refused("isUnsubAll and isSubOrUnSub can't both be true")
        books.unsubscribe(session.number, list(books.of(session.number)), now)
        return
    pairs = _pairs(world, c2s.securityList, c2s.subTypeList)
    if not c2s.isSubOrUnSub:
        books.unsubscribe(session.number, pairs, now)
        return
    rehab_types = _rehab_types(c2s.regPushRehabTypeList)
    for (market, _), _ in pairs:
        world.faults.need_right(market)
    books.subscribe(session.number, pairs, now)
    session.security_firm = c2s.header.securityFirm
    if c2s.HasField("isRegOrUnRegPush"):
        _set_push(world, session, pairs, rehab_types, on=c2s.isRegOrUnRegPush, first=_is_first_push(c2s))


def reg_qot_push(world: World, session: Session, c2s: opend.RegQotPushC2S) -> None:
    if not c2s.HasField("isRegOrUnReg"):
        raise Refused("isRegOrUnReg must be given")
    pairs = _pairs(world, c2s.securityList, c2s.subTypeList)
    rehab_types = _rehab_types(c2s.rehabTypeList)
    _set_push(world, session, pairs, rehab_types, on=c2s.isRegOrUnReg, first=_is_first_push(c2s))


def get_sub_info(world: World, session: Session, c2s: opend.GetSubInfoC2S) -> opend.GetSubInfoS2C:
    books = world.subscriptions
    used = books.used(world.elapsed())
    message = opend.GetSubInfoS2C(
        totalUsedQuota=used, remainQuota=max(0, books.quota - used), optionUsedQuota=0, optionRemainQuota=books.quota
    )
    for other in world.sessions.values():
        if other is not session and not c2s.isReqAllConn:
            continue
        mine = books.of(other.number)
        info = message.connSubInfoList.add(
            usedQuota=len(mine), isOwnConnData=other is session, securityFirm=other.security_firm, optionUsedQuota=0
        )
        by_type: dict[int, opend.SubInfo] = {}
        for key, sub_type in mine:
            if sub_type not in by_type:
                by_type[sub_type] = info.subInfoList.add(subType=sub_type)
            by_type[sub_type].securityList.append(security(key))
    return message


def _set_push(
    world: World, session: Session, pairs: list[SubKey], rehab_types: set[int], *, on: bool, first: bool
) -> None:
    if not on:
        world.subscriptions.unregister(session.number, pairs)
        return
    world.subscriptions.register(session.number, pairs, rehab_types)
    if first:
        first_push(world, session.number, pairs)


def _pairs(world: World, securities: Iterable[opend.Security], sub_types: Iterable[int]) -> list[SubKey]:
    """The cross product, each pair once. Raises Refused when a security or a SubType can't be."""
    wanted = list(dict.fromkeys(sub_types))
    for sub_type in wanted:
        if sub_type not in _SUB_TYPES:
            raise Refused(f"unknown SubType {sub_type}")
    keys = list(dict.fromkeys(world.stock(item).security.key for item in securities))
    if not keys or not wanted:
        raise Refused("securityList and subTypeList must not be empty")
    return [(key, sub_type) for key in keys for sub_type in wanted]


def _rehab_types(rehab_types: Iterable[int]) -> set[int]:
    wanted = set(rehab_types)
    if not wanted <= _REHAB_TYPES:
        raise Refused(f"unknown RehabType {min(wanted - _REHAB_TYPES)}")
    return wanted


def _is_first_push(c2s: opend.SubC2S | opend.RegQotPushC2S) -> bool:
    return c2s.isFirstPush if c2s.HasField("isFirstPush") else True


ROUTES: Routes = {
    ProtoId.QOT_SUB: Route(opend.SubRequest, opend.SubResponse, sub),
    ProtoId.QOT_REG_QOT_PUSH: Route(opend.RegQotPushRequest, opend.SubResponse, reg_qot_push),
    ProtoId.QOT_GET_SUB_INFO: Route(opend.GetSubInfoRequest, opend.GetSubInfoResponse, get_sub_info),
}
