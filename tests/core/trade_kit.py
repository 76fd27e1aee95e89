"""Bodies of trade writes and of what OpenD says to them. Holds no tests."""

from __future__ import annotations

from opendmux.wire.messages import encode
from opendmux.wire.pb import opend, opend_sim

ACC = 281_756_478_396_547_854
HK, US = 1, 2
LIMIT, MARKET, STOP = 1, 2, 10
BUY, SELL = 1, 2


def header(env: int = 1, acc_id: int = ACC, trd_market: int = HK) -> opend.TrdHeader:
    return opend.TrdHeader(trdEnv=env, accID=acc_id, trdMarket=trd_market)


def place(
    *,
    code: str = "00700",
    qty: float = 100,
    price: float | None = 10,
    side: int = BUY,
    order_type: int = LIMIT,
    sec_market: int = HK,
    env: int = 1,
    acc_id: int = ACC,
    trd_market: int = HK,
    **more: object,
) -> bytes:
    c2s = opend.PlaceOrderC2S(
        packetID=opend.PacketID(connID=1, serialNo=2),
        header=header(env, acc_id, trd_market),
        trdSide=side,
        orderType=order_type,
        code=code,
        qty=qty,
        **more,  # type: ignore[arg-type]
    )
    if price is not None:
        c2s.price = price
    if sec_market:
        c2s.secMarket = sec_market
    return encode(opend.PlaceOrderRequest(c2s=c2s))


def modify(
    op: int = 1,
    *,
    order_id: int = 0,
    order_id_ex: str = "",
    env: int = 1,
    acc_id: int = ACC,
    trd_market: int = HK,
    **more: object,
) -> bytes:
    c2s = opend.ModifyOrderC2S(
        packetID=opend.PacketID(connID=1, serialNo=2),
        header=header(env, acc_id, trd_market),
        orderID=order_id,
        modifyOrderOp=op,
        **more,  # type: ignore[arg-type]
    )
    if order_id_ex:
        c2s.orderIDEx = order_id_ex
    return encode(opend.ModifyOrderRequest(c2s=c2s))


def reconfirm(order_id: int) -> bytes:
    c2s = opend.ReconfirmOrderC2S(header=header(), orderID=order_id, reconfirmReason=1)
    return encode(opend.ReconfirmOrderRequest(c2s=c2s))


def combo(
    *legs: tuple[int, str, int, float | None], qty: float = 1, price: float | None = None, order_type: int = LIMIT
) -> bytes:
    """``legs``: (QotMarket, code, side, ratio)."""
    c2s = opend.PlaceComboOrderC2S(header=header(trd_market=US), qty=qty, orderType=order_type)
    for market, code, side, ratio in legs:
        leg = c2s.comboLegs.add(security=opend.Security(market=market, code=code), side=side)
        if ratio is not None:
            leg.qtyRatio = ratio
    if price is not None:
        c2s.price = price
    return encode(opend.PlaceComboOrderRequest(c2s=c2s))


def order(
    order_id: int = 7,
    order_id_ex: str = "X7",
    *,
    code: str = "00700",
    qty: float = 100,
    price: float | None = 10,
    side: int = BUY,
    order_type: int = LIMIT,
    status: int = 5,
    sec_market: int = HK,
    trd_market: int = HK,
    **more: object,
) -> opend_sim.Order:
    """As OpenD tells of it, all fields included."""
    message = opend_sim.Order(
        orderID=order_id,
        orderIDEx=order_id_ex,
        trdSide=side,
        orderType=order_type,
        orderStatus=status,
        code=code,
        name="name",
        qty=qty,
        createTime="2026-03-10 10:00:00",
        updateTime="2026-03-10 10:00:00",
        **more,  # type: ignore[arg-type]
    )
    if price is not None:
        message.price = price
    if sec_market:
        message.secMarket = sec_market
    if trd_market:
        message.trdMarket = trd_market
    return message


def order_list(*orders: opend_sim.Order, acc_id: int = ACC) -> bytes:
    s2c = opend_sim.OrderListS2C(header=header(acc_id=acc_id), orderList=orders)
    return encode(opend_sim.OrderListResponse(retType=0, s2c=s2c))


def order_push(one: opend_sim.Order, acc_id: int = ACC) -> bytes:
    s2c = opend_sim.UpdateOrderS2C(header=header(acc_id=acc_id), order=one)
    return encode(opend_sim.UpdateOrderResponse(retType=0, s2c=s2c))


def placed(order_id: int = 7, order_id_ex: str = "X7") -> bytes:
    s2c = opend_sim.PlaceOrderS2C(header=header(), orderID=order_id, orderIDEx=order_id_ex)
    return encode(opend_sim.PlaceOrderResponse(retType=0, s2c=s2c))


def quote_push(price: float, code: str = "00700", market: int = 1) -> bytes:
    quote = opend_sim.BasicQot(security=opend.Security(market=market, code=code), curPrice=price, isSuspended=False)
    return encode(opend_sim.BasicQotResponse(retType=0, s2c=opend_sim.BasicQotS2C(basicQotList=[quote])))


def snapshot(
    price: float, code: str = "00700", market: int = 1, *, kind: int = 3, lot: int = 100, contract: float = 0
) -> opend_sim.Snapshot:
    basic = opend_sim.SnapshotBasicData(
        security=opend.Security(market=market, code=code), type=kind, lotSize=lot, curPrice=price, isSuspend=False
    )
    item = opend_sim.Snapshot(basic=basic)
    if contract:
        item.optionExData.contractSizeFloat = contract
    return item


def snapshots(*items: opend_sim.Snapshot) -> bytes:
    s2c = opend_sim.GetSecuritySnapshotS2C(snapshotList=items)
    return encode(opend_sim.GetSecuritySnapshotResponse(retType=0, s2c=s2c))
