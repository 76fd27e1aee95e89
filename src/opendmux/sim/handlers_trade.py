"""2001, 2005, 2008 and the writes 2202, 2205; the writes that are not simulated are refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import ProtoId

from .accounts import SEC_MARKET, Account
from .broker import NewOrder, Order
from .numbers import ModifyOrderOp, QotMarket, TrdEnv, TrdMarket
from .refusal import Refused
from .routes import Route, Routes
from .trade_messages import acc

if TYPE_CHECKING:
    from .securities import SecKey
    from .world import Session, World

__all__ = ["ROUTES", "account_of", "find_order", "key_of"]

_SECURITY_CATEGORY = 1
_QOT_MARKETS = {sec_market: market for market, sec_market in SEC_MARKET.items()}


def get_acc_list(world: World, session: Session, c2s: opend.GetAccListC2S) -> opend.GetAccListS2C:
    session.acc_list_seen = True
    if c2s.trdCategory not in {0, _SECURITY_CATEGORY}:
        return opend.GetAccListS2C()
    accounts = world.broker.accounts.values()
    return opend.GetAccListS2C(
        accList=[acc(account) for account in accounts if c2s.needGeneralSecAccount or not account.universal]
    )


def unlock_trade(world: World, session: Session, c2s: opend.UnlockTradeC2S) -> None:
    del session
    if c2s.unlock and c2s.pwdMD5.lower() != world.config.unlock_pwd_md5:
        raise Refused("unlock failed: wrong trade password")
    world.unlocked = c2s.unlock


def sub_acc_push(world: World, session: Session, c2s: opend.SubAccPushC2S) -> None:
    for acc_id in c2s.accIDList:
        if acc_id not in world.broker.accounts:
            raise Refused(f"unknown account {acc_id}")
    session.acc_push = frozenset(c2s.accIDList)


def place_order(world: World, session: Session, c2s: opend_sim.PlaceOrderC2S) -> opend_sim.PlaceOrderS2C:
    account = account_of(world, c2s.header)
    _may_write(world, session, account)
    new = NewOrder(
        key=key_of(c2s.secMarket, c2s.header.trdMarket, c2s.code),
        side=c2s.trdSide,
        order_type=c2s.orderType,
        qty=c2s.qty,
        price=c2s.price,
        adjust=c2s.adjustSideAndLimit if c2s.adjustPrice else None,
        remark=c2s.remark,
        time_in_force=c2s.timeInForce,
        fill_outside_rth=c2s.fillOutsideRTH,
        session=c2s.session,
    )
    order = world.broker.place(account, new, world.now)
    world.publish_trades()
    return opend_sim.PlaceOrderS2C(header=c2s.header, orderID=order.order_id, orderIDEx=order.order_id_ex)


def modify_order(world: World, session: Session, c2s: opend_sim.ModifyOrderC2S) -> opend_sim.ModifyOrderS2C:
    account = account_of(world, c2s.header)
    _may_write(world, session, account)
    if c2s.forAll:
        _cancel_all(world, account, c2s)
        return opend_sim.ModifyOrderS2C(header=c2s.header, orderID=0)
    order = find_order(world, account, c2s.orderID, c2s.orderIDEx)
    if order is None:
        raise Refused(f"account {account.acc_id} has no order {c2s.orderIDEx or c2s.orderID}")
    if c2s.modifyOrderOp == ModifyOrderOp.CANCEL:
        world.broker.cancel(account, order, world.now)
    elif c2s.modifyOrderOp == ModifyOrderOp.NORMAL:
        adjust = c2s.adjustSideAndLimit if c2s.adjustPrice else None
        world.broker.modify(account, order, c2s.qty, c2s.price, adjust, world.now)
    else:
        raise Refused(f"modifyOrderOp {c2s.modifyOrderOp} is not simulated: 1 modifies, 2 cancels")
    world.publish_trades()
    return opend_sim.ModifyOrderS2C(header=c2s.header, orderID=order.order_id, orderIDEx=order.order_id_ex)


def not_simulated(world: World, session: Session, c2s: opend_sim.PacketIDC2S) -> None:
    del world, session, c2s
    raise Refused("this kind of order is not simulated")


def account_of(world: World, header: opend.TrdHeader) -> Account:
    """The account a request is about. Raises Refused when there is none or it is of the other environment."""
    account = world.broker.accounts.get(header.accID)
    if account is None:
        raise Refused(f"unknown account {header.accID}")
    if account.trd_env != header.trdEnv:
        raise Refused(f"account {header.accID} is not of trdEnv {header.trdEnv}")
    return account


def key_of(sec_market: int, trd_market: int, code: str) -> SecKey:
    """The security an order is about: from TrdSecMarket, or from the header's TrdMarket when that is missing."""
    if sec_market in _QOT_MARKETS:
        return _QOT_MARKETS[sec_market], code
    if sec_market:
        raise Refused(f"unknown secMarket {sec_market}")
    if trd_market == TrdMarket.HK:
        return QotMarket.HK, code
    if trd_market == TrdMarket.US:
        return QotMarket.US, code
    if trd_market in {TrdMarket.CN, TrdMarket.HKCC}:
        return (QotMarket.SH if code.startswith("6") else QotMarket.SZ), code
    raise Refused(f"secMarket is missing and trdMarket {trd_market} does not tell it")


def find_order(world: World, account: Account, order_id: int, order_id_ex: str) -> Order | None:
    """An order of the account by either of its names; the text id wins."""
    if order_id_ex:
        order = world.broker.orders.get(order_id_ex)
        return order if order is not None and order.acc_id == account.acc_id else None
    mine = (order for order in world.broker.orders.values() if order.acc_id == account.acc_id)
    return next((order for order in mine if order.order_id == order_id), None)


def _may_write(world: World, session: Session, account: Account) -> None:
    if not session.acc_list_seen:
        raise Refused("the account list (2001) must be read before the first order of a connection")
    if account.trd_env == TrdEnv.REAL and not world.unlocked:
        raise Refused("trade is locked: unlock it (2005) first")


def _cancel_all(world: World, account: Account, c2s: opend_sim.ModifyOrderC2S) -> None:
    if account.trd_env == TrdEnv.SIMULATE:
        raise Refused("paper accounts can't cancel all orders at once")
    if c2s.modifyOrderOp != ModifyOrderOp.CANCEL:
        raise Refused("only a cancel can be for all orders")
    world.broker.cancel_all(account, c2s.trdMarket, world.now)
    world.publish_trades()


_NOT_SIMULATED = Route(opend_sim.PacketIDRequest, opend.SubResponse, not_simulated)

ROUTES: Routes = {
    ProtoId.TRD_GET_ACC_LIST: Route(opend.GetAccListRequest, opend.GetAccListResponse, get_acc_list),
    ProtoId.TRD_UNLOCK_TRADE: Route(opend.UnlockTradeRequest, opend.UnlockTradeResponse, unlock_trade),
    ProtoId.TRD_SUB_ACC_PUSH: Route(opend.SubAccPushRequest, opend.SubAccPushResponse, sub_acc_push),
    ProtoId.TRD_PLACE_ORDER: Route(opend_sim.PlaceOrderRequest, opend_sim.PlaceOrderResponse, place_order),
    ProtoId.TRD_MODIFY_ORDER: Route(opend_sim.ModifyOrderRequest, opend_sim.ModifyOrderResponse, modify_order),
    ProtoId.TRD_PLACE_COMBO_ORDER: _NOT_SIMULATED,
    ProtoId.TRD_RECONFIRM_ORDER_2237: _NOT_SIMULATED,
    ProtoId.TRD_RECONFIRM_ORDER_2209: _NOT_SIMULATED,
}
