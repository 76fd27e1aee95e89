"""Request and push bodies for the runtime tests."""

from __future__ import annotations

from collections.abc import Iterable

from opendmux.wire.messages import encode
from opendmux.wire.pb import opend

Security = tuple[int, str]


def sub(
    securities: Iterable[Security],
    sub_types: Iterable[int],
    *,
    subscribe: bool = True,
    register: bool | None = True,
    first_push: bool = True,
    **options: object,
) -> bytes:
    c2s = opend.SubC2S(
        securityList=[opend.Security(market=market, code=code) for market, code in securities],
        subTypeList=list(sub_types),
        isSubOrUnSub=subscribe,
        isFirstPush=first_push,
        **options,  # type: ignore[arg-type]
    )
    if register is not None:
        c2s.isRegOrUnRegPush = register
    return encode(opend.SubRequest(c2s=c2s))


def unsub_all() -> bytes:
    return encode(opend.SubRequest(c2s=opend.SubC2S(isSubOrUnSub=False, isUnsubAll=True)))


def acc_push(*acc_ids: int) -> bytes:
    return encode(opend.SubAccPushRequest(c2s=opend.SubAccPushC2S(accIDList=acc_ids)))


def sub_info(*, all_conn: bool) -> bytes:
    return encode(opend.GetSubInfoRequest(c2s=opend.GetSubInfoC2S(isReqAllConn=all_conn)))


def response(s2c: bytes) -> bytes:
    """Response{retType 0, s2c}."""
    return b"\x08\x00" + _field(4, s2c)


def security(market: int, code: str) -> bytes:
    return encode(opend.Security(market=market, code=code))


def quote_push(*securities: Security) -> bytes:
    """Qot_UpdateBasicQot; each item carries a marker field behind its security."""
    return response(b"".join(_field(1, _field(1, security(*s)) + _field(99, s[1].encode())) for s in securities))


def ticker_push(market: int, code: str, mark: bytes = b"") -> bytes:
    return response(_field(1, security(market, code)) + _field(99, mark))


def kline_push(market: int, code: str, *, kl_type: int, rehab_type: int) -> bytes:
    return response(bytes([0x08, rehab_type, 0x10, kl_type]) + _field(3, security(market, code)))


def order_push(acc_id: int) -> bytes:
    header = encode(opend.TrdHeader(trdEnv=1, accID=acc_id, trdMarket=1))
    return response(_field(1, header) + _field(2, b""))


def trade_push(
    proto_id: int,
    acc_id: int,
    code: str,
    *,
    trd_market: int = 1,
    sec_market: int = 0,
    legs: Iterable[Security] = (),
) -> bytes:
    """An order (2208), a fill (2218) or a notice (2207) as OpenD pushes it."""
    header = encode(opend.TrdHeader(trdEnv=1, accID=acc_id, trdMarket=trd_market))
    what = _field(6, code.encode()) if code else b""
    if sec_market:
        what += bytes([(15 if proto_id == 2208 else 13) << 3, sec_market])
    what += b"".join(_field(32, _field(1, security(*leg))) for leg in legs)
    return response(_field(1, header) + (_field(2, what) if proto_id != 2207 else b"\x10\x01"))


def account_read(acc_id: int, *, header_number: int = 1) -> bytes:
    """C2S with a header, as all reads of an account begin."""
    return _field(1, _field(header_number, encode(opend.TrdHeader(trdEnv=1, accID=acc_id, trdMarket=1))))


def acc_list(*accounts: tuple[int, str]) -> bytes:
    """The answer to Trd_GetAccList: (accID, cardNum) each."""
    listed = [opend.TrdAcc(trdEnv=1, accID=acc_id, cardNum=card) for acc_id, card in accounts]
    return encode(opend.GetAccListResponse(retType=0, s2c=opend.GetAccListS2C(accList=listed)))


def trade_write(conn_id: int, serial_no: int, *, acc_id: int = 1, tail: bytes = b"\x18\x01") -> bytes:
    """A C2S with packetID, header and more fields behind."""
    packet_id = encode(opend.PacketID(connID=conn_id, serialNo=serial_no))
    header = encode(opend.TrdHeader(trdEnv=1, accID=acc_id, trdMarket=1))
    return _field(1, _field(1, packet_id) + _field(2, header) + tail)


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])
