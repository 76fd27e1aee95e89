from . import opend as _opend_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OptionBasicQotExData(_message.Message):
    __slots__ = ("strikePrice", "contractSize", "openInterest", "impliedVolatility", "premium", "delta", "gamma", "vega", "theta", "rho", "netOpenInterest", "expiryDateDistance", "contractNominalValue", "ownerLotMultiplier", "optionAreaType", "contractMultiplier", "contractSizeFloat", "indexOptionType")
    STRIKEPRICE_FIELD_NUMBER: _ClassVar[int]
    CONTRACTSIZE_FIELD_NUMBER: _ClassVar[int]
    OPENINTEREST_FIELD_NUMBER: _ClassVar[int]
    IMPLIEDVOLATILITY_FIELD_NUMBER: _ClassVar[int]
    PREMIUM_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    GAMMA_FIELD_NUMBER: _ClassVar[int]
    VEGA_FIELD_NUMBER: _ClassVar[int]
    THETA_FIELD_NUMBER: _ClassVar[int]
    RHO_FIELD_NUMBER: _ClassVar[int]
    NETOPENINTEREST_FIELD_NUMBER: _ClassVar[int]
    EXPIRYDATEDISTANCE_FIELD_NUMBER: _ClassVar[int]
    CONTRACTNOMINALVALUE_FIELD_NUMBER: _ClassVar[int]
    OWNERLOTMULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    OPTIONAREATYPE_FIELD_NUMBER: _ClassVar[int]
    CONTRACTMULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    CONTRACTSIZEFLOAT_FIELD_NUMBER: _ClassVar[int]
    INDEXOPTIONTYPE_FIELD_NUMBER: _ClassVar[int]
    strikePrice: float
    contractSize: int
    openInterest: int
    impliedVolatility: float
    premium: float
    delta: float
    gamma: float
    vega: float
    theta: float
    rho: float
    netOpenInterest: int
    expiryDateDistance: int
    contractNominalValue: float
    ownerLotMultiplier: float
    optionAreaType: int
    contractMultiplier: float
    contractSizeFloat: float
    indexOptionType: int
    def __init__(self, strikePrice: _Optional[float] = ..., contractSize: _Optional[int] = ..., openInterest: _Optional[int] = ..., impliedVolatility: _Optional[float] = ..., premium: _Optional[float] = ..., delta: _Optional[float] = ..., gamma: _Optional[float] = ..., vega: _Optional[float] = ..., theta: _Optional[float] = ..., rho: _Optional[float] = ..., netOpenInterest: _Optional[int] = ..., expiryDateDistance: _Optional[int] = ..., contractNominalValue: _Optional[float] = ..., ownerLotMultiplier: _Optional[float] = ..., optionAreaType: _Optional[int] = ..., contractMultiplier: _Optional[float] = ..., contractSizeFloat: _Optional[float] = ..., indexOptionType: _Optional[int] = ...) -> None: ...

class FutureBasicQotExData(_message.Message):
    __slots__ = ("lastSettlePrice", "position", "positionChange", "expiryDateDistance")
    LASTSETTLEPRICE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    POSITIONCHANGE_FIELD_NUMBER: _ClassVar[int]
    EXPIRYDATEDISTANCE_FIELD_NUMBER: _ClassVar[int]
    lastSettlePrice: float
    position: int
    positionChange: int
    expiryDateDistance: int
    def __init__(self, lastSettlePrice: _Optional[float] = ..., position: _Optional[int] = ..., positionChange: _Optional[int] = ..., expiryDateDistance: _Optional[int] = ...) -> None: ...

class PreAfterMarketData(_message.Message):
    __slots__ = ("price", "highPrice", "lowPrice", "volume", "turnover", "changeVal", "changeRate", "amplitude")
    PRICE_FIELD_NUMBER: _ClassVar[int]
    HIGHPRICE_FIELD_NUMBER: _ClassVar[int]
    LOWPRICE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    TURNOVER_FIELD_NUMBER: _ClassVar[int]
    CHANGEVAL_FIELD_NUMBER: _ClassVar[int]
    CHANGERATE_FIELD_NUMBER: _ClassVar[int]
    AMPLITUDE_FIELD_NUMBER: _ClassVar[int]
    price: float
    highPrice: float
    lowPrice: float
    volume: int
    turnover: float
    changeVal: float
    changeRate: float
    amplitude: float
    def __init__(self, price: _Optional[float] = ..., highPrice: _Optional[float] = ..., lowPrice: _Optional[float] = ..., volume: _Optional[int] = ..., turnover: _Optional[float] = ..., changeVal: _Optional[float] = ..., changeRate: _Optional[float] = ..., amplitude: _Optional[float] = ...) -> None: ...

class BasicQot(_message.Message):
    __slots__ = ("security", "isSuspended", "listTime", "priceSpread", "updateTime", "highPrice", "openPrice", "lowPrice", "curPrice", "lastClosePrice", "volume", "turnover", "turnoverRate", "amplitude", "darkStatus", "optionExData", "listTimestamp", "updateTimestamp", "preMarket", "afterMarket", "secStatus", "futureExData", "name", "overnight", "hpVolume")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    ISSUSPENDED_FIELD_NUMBER: _ClassVar[int]
    LISTTIME_FIELD_NUMBER: _ClassVar[int]
    PRICESPREAD_FIELD_NUMBER: _ClassVar[int]
    UPDATETIME_FIELD_NUMBER: _ClassVar[int]
    HIGHPRICE_FIELD_NUMBER: _ClassVar[int]
    OPENPRICE_FIELD_NUMBER: _ClassVar[int]
    LOWPRICE_FIELD_NUMBER: _ClassVar[int]
    CURPRICE_FIELD_NUMBER: _ClassVar[int]
    LASTCLOSEPRICE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    TURNOVER_FIELD_NUMBER: _ClassVar[int]
    TURNOVERRATE_FIELD_NUMBER: _ClassVar[int]
    AMPLITUDE_FIELD_NUMBER: _ClassVar[int]
    DARKSTATUS_FIELD_NUMBER: _ClassVar[int]
    OPTIONEXDATA_FIELD_NUMBER: _ClassVar[int]
    LISTTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    UPDATETIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    PREMARKET_FIELD_NUMBER: _ClassVar[int]
    AFTERMARKET_FIELD_NUMBER: _ClassVar[int]
    SECSTATUS_FIELD_NUMBER: _ClassVar[int]
    FUTUREEXDATA_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OVERNIGHT_FIELD_NUMBER: _ClassVar[int]
    HPVOLUME_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    isSuspended: bool
    listTime: str
    priceSpread: float
    updateTime: str
    highPrice: float
    openPrice: float
    lowPrice: float
    curPrice: float
    lastClosePrice: float
    volume: int
    turnover: float
    turnoverRate: float
    amplitude: float
    darkStatus: int
    optionExData: OptionBasicQotExData
    listTimestamp: float
    updateTimestamp: float
    preMarket: PreAfterMarketData
    afterMarket: PreAfterMarketData
    secStatus: int
    futureExData: FutureBasicQotExData
    name: str
    overnight: PreAfterMarketData
    hpVolume: float
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., isSuspended: _Optional[bool] = ..., listTime: _Optional[str] = ..., priceSpread: _Optional[float] = ..., updateTime: _Optional[str] = ..., highPrice: _Optional[float] = ..., openPrice: _Optional[float] = ..., lowPrice: _Optional[float] = ..., curPrice: _Optional[float] = ..., lastClosePrice: _Optional[float] = ..., volume: _Optional[int] = ..., turnover: _Optional[float] = ..., turnoverRate: _Optional[float] = ..., amplitude: _Optional[float] = ..., darkStatus: _Optional[int] = ..., optionExData: _Optional[_Union[OptionBasicQotExData, _Mapping]] = ..., listTimestamp: _Optional[float] = ..., updateTimestamp: _Optional[float] = ..., preMarket: _Optional[_Union[PreAfterMarketData, _Mapping]] = ..., afterMarket: _Optional[_Union[PreAfterMarketData, _Mapping]] = ..., secStatus: _Optional[int] = ..., futureExData: _Optional[_Union[FutureBasicQotExData, _Mapping]] = ..., name: _Optional[str] = ..., overnight: _Optional[_Union[PreAfterMarketData, _Mapping]] = ..., hpVolume: _Optional[float] = ...) -> None: ...

class SecuritiesC2S(_message.Message):
    __slots__ = ("securityList", "header")
    SECURITYLIST_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    securityList: _containers.RepeatedCompositeFieldContainer[_opend_pb2.Security]
    header: _opend_pb2.QotHeader
    def __init__(self, securityList: _Optional[_Iterable[_Union[_opend_pb2.Security, _Mapping]]] = ..., header: _Optional[_Union[_opend_pb2.QotHeader, _Mapping]] = ...) -> None: ...

class SecuritiesRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: SecuritiesC2S
    def __init__(self, c2s: _Optional[_Union[SecuritiesC2S, _Mapping]] = ...) -> None: ...

class BasicQotS2C(_message.Message):
    __slots__ = ("basicQotList",)
    BASICQOTLIST_FIELD_NUMBER: _ClassVar[int]
    basicQotList: _containers.RepeatedCompositeFieldContainer[BasicQot]
    def __init__(self, basicQotList: _Optional[_Iterable[_Union[BasicQot, _Mapping]]] = ...) -> None: ...

class BasicQotResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: BasicQotS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[BasicQotS2C, _Mapping]] = ...) -> None: ...

class KLine(_message.Message):
    __slots__ = ("time", "isBlank", "highPrice", "openPrice", "lowPrice", "closePrice", "lastClosePrice", "volume", "turnover", "turnoverRate", "pe", "changeRate", "timestamp", "hpVolume")
    TIME_FIELD_NUMBER: _ClassVar[int]
    ISBLANK_FIELD_NUMBER: _ClassVar[int]
    HIGHPRICE_FIELD_NUMBER: _ClassVar[int]
    OPENPRICE_FIELD_NUMBER: _ClassVar[int]
    LOWPRICE_FIELD_NUMBER: _ClassVar[int]
    CLOSEPRICE_FIELD_NUMBER: _ClassVar[int]
    LASTCLOSEPRICE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    TURNOVER_FIELD_NUMBER: _ClassVar[int]
    TURNOVERRATE_FIELD_NUMBER: _ClassVar[int]
    PE_FIELD_NUMBER: _ClassVar[int]
    CHANGERATE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    HPVOLUME_FIELD_NUMBER: _ClassVar[int]
    time: str
    isBlank: bool
    highPrice: float
    openPrice: float
    lowPrice: float
    closePrice: float
    lastClosePrice: float
    volume: int
    turnover: float
    turnoverRate: float
    pe: float
    changeRate: float
    timestamp: float
    hpVolume: float
    def __init__(self, time: _Optional[str] = ..., isBlank: _Optional[bool] = ..., highPrice: _Optional[float] = ..., openPrice: _Optional[float] = ..., lowPrice: _Optional[float] = ..., closePrice: _Optional[float] = ..., lastClosePrice: _Optional[float] = ..., volume: _Optional[int] = ..., turnover: _Optional[float] = ..., turnoverRate: _Optional[float] = ..., pe: _Optional[float] = ..., changeRate: _Optional[float] = ..., timestamp: _Optional[float] = ..., hpVolume: _Optional[float] = ...) -> None: ...

class GetKLC2S(_message.Message):
    __slots__ = ("rehabType", "klType", "security", "reqNum", "header")
    REHABTYPE_FIELD_NUMBER: _ClassVar[int]
    KLTYPE_FIELD_NUMBER: _ClassVar[int]
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    REQNUM_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    rehabType: int
    klType: int
    security: _opend_pb2.Security
    reqNum: int
    header: _opend_pb2.QotHeader
    def __init__(self, rehabType: _Optional[int] = ..., klType: _Optional[int] = ..., security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., reqNum: _Optional[int] = ..., header: _Optional[_Union[_opend_pb2.QotHeader, _Mapping]] = ...) -> None: ...

class GetKLRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetKLC2S
    def __init__(self, c2s: _Optional[_Union[GetKLC2S, _Mapping]] = ...) -> None: ...

class GetKLS2C(_message.Message):
    __slots__ = ("security", "klList", "name")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    KLLIST_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    klList: _containers.RepeatedCompositeFieldContainer[KLine]
    name: str
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., klList: _Optional[_Iterable[_Union[KLine, _Mapping]]] = ..., name: _Optional[str] = ...) -> None: ...

class GetKLResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: GetKLS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[GetKLS2C, _Mapping]] = ...) -> None: ...

class UpdateKLS2C(_message.Message):
    __slots__ = ("rehabType", "klType", "security", "klList", "name")
    REHABTYPE_FIELD_NUMBER: _ClassVar[int]
    KLTYPE_FIELD_NUMBER: _ClassVar[int]
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    KLLIST_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    rehabType: int
    klType: int
    security: _opend_pb2.Security
    klList: _containers.RepeatedCompositeFieldContainer[KLine]
    name: str
    def __init__(self, rehabType: _Optional[int] = ..., klType: _Optional[int] = ..., security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., klList: _Optional[_Iterable[_Union[KLine, _Mapping]]] = ..., name: _Optional[str] = ...) -> None: ...

class UpdateKLResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: UpdateKLS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[UpdateKLS2C, _Mapping]] = ...) -> None: ...

class RequestHistoryKLC2S(_message.Message):
    __slots__ = ("rehabType", "klType", "security", "beginTime", "endTime", "maxAckKLNum", "needKLFieldsFlag", "nextReqKey", "extendedTime", "session", "header")
    REHABTYPE_FIELD_NUMBER: _ClassVar[int]
    KLTYPE_FIELD_NUMBER: _ClassVar[int]
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    BEGINTIME_FIELD_NUMBER: _ClassVar[int]
    ENDTIME_FIELD_NUMBER: _ClassVar[int]
    MAXACKKLNUM_FIELD_NUMBER: _ClassVar[int]
    NEEDKLFIELDSFLAG_FIELD_NUMBER: _ClassVar[int]
    NEXTREQKEY_FIELD_NUMBER: _ClassVar[int]
    EXTENDEDTIME_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    rehabType: int
    klType: int
    security: _opend_pb2.Security
    beginTime: str
    endTime: str
    maxAckKLNum: int
    needKLFieldsFlag: int
    nextReqKey: bytes
    extendedTime: bool
    session: int
    header: _opend_pb2.QotHeader
    def __init__(self, rehabType: _Optional[int] = ..., klType: _Optional[int] = ..., security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., beginTime: _Optional[str] = ..., endTime: _Optional[str] = ..., maxAckKLNum: _Optional[int] = ..., needKLFieldsFlag: _Optional[int] = ..., nextReqKey: _Optional[bytes] = ..., extendedTime: _Optional[bool] = ..., session: _Optional[int] = ..., header: _Optional[_Union[_opend_pb2.QotHeader, _Mapping]] = ...) -> None: ...

class RequestHistoryKLRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: RequestHistoryKLC2S
    def __init__(self, c2s: _Optional[_Union[RequestHistoryKLC2S, _Mapping]] = ...) -> None: ...

class RequestHistoryKLS2C(_message.Message):
    __slots__ = ("security", "klList", "nextReqKey", "name")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    KLLIST_FIELD_NUMBER: _ClassVar[int]
    NEXTREQKEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    klList: _containers.RepeatedCompositeFieldContainer[KLine]
    nextReqKey: bytes
    name: str
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., klList: _Optional[_Iterable[_Union[KLine, _Mapping]]] = ..., nextReqKey: _Optional[bytes] = ..., name: _Optional[str] = ...) -> None: ...

class RequestHistoryKLResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: RequestHistoryKLS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[RequestHistoryKLS2C, _Mapping]] = ...) -> None: ...

class SecurityC2S(_message.Message):
    __slots__ = ("security", "header")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    header: _opend_pb2.QotHeader
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., header: _Optional[_Union[_opend_pb2.QotHeader, _Mapping]] = ...) -> None: ...

class SecurityRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: SecurityC2S
    def __init__(self, c2s: _Optional[_Union[SecurityC2S, _Mapping]] = ...) -> None: ...

class TimeShare(_message.Message):
    __slots__ = ("time", "minute", "isBlank", "price", "lastClosePrice", "avgPrice", "volume", "turnover", "timestamp", "hpVolume")
    TIME_FIELD_NUMBER: _ClassVar[int]
    MINUTE_FIELD_NUMBER: _ClassVar[int]
    ISBLANK_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    LASTCLOSEPRICE_FIELD_NUMBER: _ClassVar[int]
    AVGPRICE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    TURNOVER_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    HPVOLUME_FIELD_NUMBER: _ClassVar[int]
    time: str
    minute: int
    isBlank: bool
    price: float
    lastClosePrice: float
    avgPrice: float
    volume: int
    turnover: float
    timestamp: float
    hpVolume: float
    def __init__(self, time: _Optional[str] = ..., minute: _Optional[int] = ..., isBlank: _Optional[bool] = ..., price: _Optional[float] = ..., lastClosePrice: _Optional[float] = ..., avgPrice: _Optional[float] = ..., volume: _Optional[int] = ..., turnover: _Optional[float] = ..., timestamp: _Optional[float] = ..., hpVolume: _Optional[float] = ...) -> None: ...

class RTS2C(_message.Message):
    __slots__ = ("security", "rtList", "name")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    RTLIST_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    rtList: _containers.RepeatedCompositeFieldContainer[TimeShare]
    name: str
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., rtList: _Optional[_Iterable[_Union[TimeShare, _Mapping]]] = ..., name: _Optional[str] = ...) -> None: ...

class RTResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: RTS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[RTS2C, _Mapping]] = ...) -> None: ...

class GetTickerC2S(_message.Message):
    __slots__ = ("security", "maxRetNum", "header")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    MAXRETNUM_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    maxRetNum: int
    header: _opend_pb2.QotHeader
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., maxRetNum: _Optional[int] = ..., header: _Optional[_Union[_opend_pb2.QotHeader, _Mapping]] = ...) -> None: ...

class GetTickerRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetTickerC2S
    def __init__(self, c2s: _Optional[_Union[GetTickerC2S, _Mapping]] = ...) -> None: ...

class Ticker(_message.Message):
    __slots__ = ("time", "sequence", "dir", "price", "volume", "turnover", "recvTime", "type", "typeSign", "pushDataType", "timestamp", "hpVolume")
    TIME_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DIR_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    TURNOVER_FIELD_NUMBER: _ClassVar[int]
    RECVTIME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TYPESIGN_FIELD_NUMBER: _ClassVar[int]
    PUSHDATATYPE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    HPVOLUME_FIELD_NUMBER: _ClassVar[int]
    time: str
    sequence: int
    dir: int
    price: float
    volume: int
    turnover: float
    recvTime: float
    type: int
    typeSign: int
    pushDataType: int
    timestamp: float
    hpVolume: float
    def __init__(self, time: _Optional[str] = ..., sequence: _Optional[int] = ..., dir: _Optional[int] = ..., price: _Optional[float] = ..., volume: _Optional[int] = ..., turnover: _Optional[float] = ..., recvTime: _Optional[float] = ..., type: _Optional[int] = ..., typeSign: _Optional[int] = ..., pushDataType: _Optional[int] = ..., timestamp: _Optional[float] = ..., hpVolume: _Optional[float] = ...) -> None: ...

class TickerS2C(_message.Message):
    __slots__ = ("security", "tickerList", "name")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    TICKERLIST_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    tickerList: _containers.RepeatedCompositeFieldContainer[Ticker]
    name: str
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., tickerList: _Optional[_Iterable[_Union[Ticker, _Mapping]]] = ..., name: _Optional[str] = ...) -> None: ...

class TickerResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: TickerS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[TickerS2C, _Mapping]] = ...) -> None: ...

class GetOrderBookC2S(_message.Message):
    __slots__ = ("security", "num", "orderBookType", "header")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    NUM_FIELD_NUMBER: _ClassVar[int]
    ORDERBOOKTYPE_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    num: int
    orderBookType: int
    header: _opend_pb2.QotHeader
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., num: _Optional[int] = ..., orderBookType: _Optional[int] = ..., header: _Optional[_Union[_opend_pb2.QotHeader, _Mapping]] = ...) -> None: ...

class GetOrderBookRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetOrderBookC2S
    def __init__(self, c2s: _Optional[_Union[GetOrderBookC2S, _Mapping]] = ...) -> None: ...

class OrderBookDetail(_message.Message):
    __slots__ = ("orderID", "volume")
    ORDERID_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    orderID: int
    volume: int
    def __init__(self, orderID: _Optional[int] = ..., volume: _Optional[int] = ...) -> None: ...

class OrderBookLevel(_message.Message):
    __slots__ = ("price", "volume", "orederCount", "detailList", "hpVolume")
    PRICE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    OREDERCOUNT_FIELD_NUMBER: _ClassVar[int]
    DETAILLIST_FIELD_NUMBER: _ClassVar[int]
    HPVOLUME_FIELD_NUMBER: _ClassVar[int]
    price: float
    volume: int
    orederCount: int
    detailList: _containers.RepeatedCompositeFieldContainer[OrderBookDetail]
    hpVolume: float
    def __init__(self, price: _Optional[float] = ..., volume: _Optional[int] = ..., orederCount: _Optional[int] = ..., detailList: _Optional[_Iterable[_Union[OrderBookDetail, _Mapping]]] = ..., hpVolume: _Optional[float] = ...) -> None: ...

class OrderBookS2C(_message.Message):
    __slots__ = ("security", "orderBookAskList", "orderBookBidList", "svrRecvTimeBid", "svrRecvTimeBidTimestamp", "svrRecvTimeAsk", "svrRecvTimeAskTimestamp", "name", "orderBookType")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    ORDERBOOKASKLIST_FIELD_NUMBER: _ClassVar[int]
    ORDERBOOKBIDLIST_FIELD_NUMBER: _ClassVar[int]
    SVRRECVTIMEBID_FIELD_NUMBER: _ClassVar[int]
    SVRRECVTIMEBIDTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SVRRECVTIMEASK_FIELD_NUMBER: _ClassVar[int]
    SVRRECVTIMEASKTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ORDERBOOKTYPE_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    orderBookAskList: _containers.RepeatedCompositeFieldContainer[OrderBookLevel]
    orderBookBidList: _containers.RepeatedCompositeFieldContainer[OrderBookLevel]
    svrRecvTimeBid: str
    svrRecvTimeBidTimestamp: float
    svrRecvTimeAsk: str
    svrRecvTimeAskTimestamp: float
    name: str
    orderBookType: int
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., orderBookAskList: _Optional[_Iterable[_Union[OrderBookLevel, _Mapping]]] = ..., orderBookBidList: _Optional[_Iterable[_Union[OrderBookLevel, _Mapping]]] = ..., svrRecvTimeBid: _Optional[str] = ..., svrRecvTimeBidTimestamp: _Optional[float] = ..., svrRecvTimeAsk: _Optional[str] = ..., svrRecvTimeAskTimestamp: _Optional[float] = ..., name: _Optional[str] = ..., orderBookType: _Optional[int] = ...) -> None: ...

class OrderBookResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: OrderBookS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[OrderBookS2C, _Mapping]] = ...) -> None: ...

class Broker(_message.Message):
    __slots__ = ("id", "name", "pos", "orderID", "volume")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    POS_FIELD_NUMBER: _ClassVar[int]
    ORDERID_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    id: int
    name: str
    pos: int
    orderID: int
    volume: int
    def __init__(self, id: _Optional[int] = ..., name: _Optional[str] = ..., pos: _Optional[int] = ..., orderID: _Optional[int] = ..., volume: _Optional[int] = ...) -> None: ...

class BrokerS2C(_message.Message):
    __slots__ = ("security", "brokerAskList", "brokerBidList", "name")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    BROKERASKLIST_FIELD_NUMBER: _ClassVar[int]
    BROKERBIDLIST_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    brokerAskList: _containers.RepeatedCompositeFieldContainer[Broker]
    brokerBidList: _containers.RepeatedCompositeFieldContainer[Broker]
    name: str
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., brokerAskList: _Optional[_Iterable[_Union[Broker, _Mapping]]] = ..., brokerBidList: _Optional[_Iterable[_Union[Broker, _Mapping]]] = ..., name: _Optional[str] = ...) -> None: ...

class BrokerResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: BrokerS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[BrokerS2C, _Mapping]] = ...) -> None: ...

class GetStaticInfoC2S(_message.Message):
    __slots__ = ("market", "secType", "securityList", "header")
    MARKET_FIELD_NUMBER: _ClassVar[int]
    SECTYPE_FIELD_NUMBER: _ClassVar[int]
    SECURITYLIST_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    market: int
    secType: int
    securityList: _containers.RepeatedCompositeFieldContainer[_opend_pb2.Security]
    header: _opend_pb2.QotHeader
    def __init__(self, market: _Optional[int] = ..., secType: _Optional[int] = ..., securityList: _Optional[_Iterable[_Union[_opend_pb2.Security, _Mapping]]] = ..., header: _Optional[_Union[_opend_pb2.QotHeader, _Mapping]] = ...) -> None: ...

class GetStaticInfoRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetStaticInfoC2S
    def __init__(self, c2s: _Optional[_Union[GetStaticInfoC2S, _Mapping]] = ...) -> None: ...

class SecurityStaticBasic(_message.Message):
    __slots__ = ("security", "id", "lotSize", "secType", "name", "listTime", "delisting", "listTimestamp", "exchType")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    LOTSIZE_FIELD_NUMBER: _ClassVar[int]
    SECTYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LISTTIME_FIELD_NUMBER: _ClassVar[int]
    DELISTING_FIELD_NUMBER: _ClassVar[int]
    LISTTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    EXCHTYPE_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    id: int
    lotSize: int
    secType: int
    name: str
    listTime: str
    delisting: bool
    listTimestamp: float
    exchType: int
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., id: _Optional[int] = ..., lotSize: _Optional[int] = ..., secType: _Optional[int] = ..., name: _Optional[str] = ..., listTime: _Optional[str] = ..., delisting: _Optional[bool] = ..., listTimestamp: _Optional[float] = ..., exchType: _Optional[int] = ...) -> None: ...

class OptionStaticExData(_message.Message):
    __slots__ = ("type", "owner", "strikeTime", "strikePrice", "suspend", "market", "strikeTimestamp", "indexOptionType")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    STRIKETIME_FIELD_NUMBER: _ClassVar[int]
    STRIKEPRICE_FIELD_NUMBER: _ClassVar[int]
    SUSPEND_FIELD_NUMBER: _ClassVar[int]
    MARKET_FIELD_NUMBER: _ClassVar[int]
    STRIKETIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    INDEXOPTIONTYPE_FIELD_NUMBER: _ClassVar[int]
    type: int
    owner: _opend_pb2.Security
    strikeTime: str
    strikePrice: float
    suspend: bool
    market: str
    strikeTimestamp: float
    indexOptionType: int
    def __init__(self, type: _Optional[int] = ..., owner: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., strikeTime: _Optional[str] = ..., strikePrice: _Optional[float] = ..., suspend: _Optional[bool] = ..., market: _Optional[str] = ..., strikeTimestamp: _Optional[float] = ..., indexOptionType: _Optional[int] = ...) -> None: ...

class FutureStaticExData(_message.Message):
    __slots__ = ("lastTradeTime", "lastTradeTimestamp", "isMainContract")
    LASTTRADETIME_FIELD_NUMBER: _ClassVar[int]
    LASTTRADETIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    ISMAINCONTRACT_FIELD_NUMBER: _ClassVar[int]
    lastTradeTime: str
    lastTradeTimestamp: float
    isMainContract: bool
    def __init__(self, lastTradeTime: _Optional[str] = ..., lastTradeTimestamp: _Optional[float] = ..., isMainContract: _Optional[bool] = ...) -> None: ...

class SecurityStaticInfo(_message.Message):
    __slots__ = ("basic", "optionExData", "futureExData")
    BASIC_FIELD_NUMBER: _ClassVar[int]
    OPTIONEXDATA_FIELD_NUMBER: _ClassVar[int]
    FUTUREEXDATA_FIELD_NUMBER: _ClassVar[int]
    basic: SecurityStaticBasic
    optionExData: OptionStaticExData
    futureExData: FutureStaticExData
    def __init__(self, basic: _Optional[_Union[SecurityStaticBasic, _Mapping]] = ..., optionExData: _Optional[_Union[OptionStaticExData, _Mapping]] = ..., futureExData: _Optional[_Union[FutureStaticExData, _Mapping]] = ...) -> None: ...

class GetStaticInfoS2C(_message.Message):
    __slots__ = ("staticInfoList",)
    STATICINFOLIST_FIELD_NUMBER: _ClassVar[int]
    staticInfoList: _containers.RepeatedCompositeFieldContainer[SecurityStaticInfo]
    def __init__(self, staticInfoList: _Optional[_Iterable[_Union[SecurityStaticInfo, _Mapping]]] = ...) -> None: ...

class GetStaticInfoResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: GetStaticInfoS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[GetStaticInfoS2C, _Mapping]] = ...) -> None: ...

class SnapshotBasicData(_message.Message):
    __slots__ = ("security", "type", "isSuspend", "listTime", "lotSize", "priceSpread", "updateTime", "highPrice", "openPrice", "lowPrice", "lastClosePrice", "curPrice", "volume", "turnover", "turnoverRate", "listTimestamp", "updateTimestamp", "askPrice", "bidPrice", "askVol", "bidVol", "enableMargin", "mortgageRatio", "longMarginInitialRatio", "enableShortSell", "shortSellRate", "shortAvailableVolume", "shortMarginInitialRatio", "amplitude", "avgPrice", "bidAskRatio", "volumeRatio", "highest52WeeksPrice", "lowest52WeeksPrice", "highestHistoryPrice", "lowestHistoryPrice", "preMarket", "afterMarket", "secStatus", "closePrice5Minute", "name", "overnight", "hpVolume", "hpAskVol", "hpBidVol")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ISSUSPEND_FIELD_NUMBER: _ClassVar[int]
    LISTTIME_FIELD_NUMBER: _ClassVar[int]
    LOTSIZE_FIELD_NUMBER: _ClassVar[int]
    PRICESPREAD_FIELD_NUMBER: _ClassVar[int]
    UPDATETIME_FIELD_NUMBER: _ClassVar[int]
    HIGHPRICE_FIELD_NUMBER: _ClassVar[int]
    OPENPRICE_FIELD_NUMBER: _ClassVar[int]
    LOWPRICE_FIELD_NUMBER: _ClassVar[int]
    LASTCLOSEPRICE_FIELD_NUMBER: _ClassVar[int]
    CURPRICE_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    TURNOVER_FIELD_NUMBER: _ClassVar[int]
    TURNOVERRATE_FIELD_NUMBER: _ClassVar[int]
    LISTTIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    UPDATETIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    ASKPRICE_FIELD_NUMBER: _ClassVar[int]
    BIDPRICE_FIELD_NUMBER: _ClassVar[int]
    ASKVOL_FIELD_NUMBER: _ClassVar[int]
    BIDVOL_FIELD_NUMBER: _ClassVar[int]
    ENABLEMARGIN_FIELD_NUMBER: _ClassVar[int]
    MORTGAGERATIO_FIELD_NUMBER: _ClassVar[int]
    LONGMARGININITIALRATIO_FIELD_NUMBER: _ClassVar[int]
    ENABLESHORTSELL_FIELD_NUMBER: _ClassVar[int]
    SHORTSELLRATE_FIELD_NUMBER: _ClassVar[int]
    SHORTAVAILABLEVOLUME_FIELD_NUMBER: _ClassVar[int]
    SHORTMARGININITIALRATIO_FIELD_NUMBER: _ClassVar[int]
    AMPLITUDE_FIELD_NUMBER: _ClassVar[int]
    AVGPRICE_FIELD_NUMBER: _ClassVar[int]
    BIDASKRATIO_FIELD_NUMBER: _ClassVar[int]
    VOLUMERATIO_FIELD_NUMBER: _ClassVar[int]
    HIGHEST52WEEKSPRICE_FIELD_NUMBER: _ClassVar[int]
    LOWEST52WEEKSPRICE_FIELD_NUMBER: _ClassVar[int]
    HIGHESTHISTORYPRICE_FIELD_NUMBER: _ClassVar[int]
    LOWESTHISTORYPRICE_FIELD_NUMBER: _ClassVar[int]
    PREMARKET_FIELD_NUMBER: _ClassVar[int]
    AFTERMARKET_FIELD_NUMBER: _ClassVar[int]
    SECSTATUS_FIELD_NUMBER: _ClassVar[int]
    CLOSEPRICE5MINUTE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OVERNIGHT_FIELD_NUMBER: _ClassVar[int]
    HPVOLUME_FIELD_NUMBER: _ClassVar[int]
    HPASKVOL_FIELD_NUMBER: _ClassVar[int]
    HPBIDVOL_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    type: int
    isSuspend: bool
    listTime: str
    lotSize: int
    priceSpread: float
    updateTime: str
    highPrice: float
    openPrice: float
    lowPrice: float
    lastClosePrice: float
    curPrice: float
    volume: int
    turnover: float
    turnoverRate: float
    listTimestamp: float
    updateTimestamp: float
    askPrice: float
    bidPrice: float
    askVol: int
    bidVol: int
    enableMargin: bool
    mortgageRatio: float
    longMarginInitialRatio: float
    enableShortSell: bool
    shortSellRate: float
    shortAvailableVolume: int
    shortMarginInitialRatio: float
    amplitude: float
    avgPrice: float
    bidAskRatio: float
    volumeRatio: float
    highest52WeeksPrice: float
    lowest52WeeksPrice: float
    highestHistoryPrice: float
    lowestHistoryPrice: float
    preMarket: PreAfterMarketData
    afterMarket: PreAfterMarketData
    secStatus: int
    closePrice5Minute: float
    name: str
    overnight: PreAfterMarketData
    hpVolume: float
    hpAskVol: float
    hpBidVol: float
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., type: _Optional[int] = ..., isSuspend: _Optional[bool] = ..., listTime: _Optional[str] = ..., lotSize: _Optional[int] = ..., priceSpread: _Optional[float] = ..., updateTime: _Optional[str] = ..., highPrice: _Optional[float] = ..., openPrice: _Optional[float] = ..., lowPrice: _Optional[float] = ..., lastClosePrice: _Optional[float] = ..., curPrice: _Optional[float] = ..., volume: _Optional[int] = ..., turnover: _Optional[float] = ..., turnoverRate: _Optional[float] = ..., listTimestamp: _Optional[float] = ..., updateTimestamp: _Optional[float] = ..., askPrice: _Optional[float] = ..., bidPrice: _Optional[float] = ..., askVol: _Optional[int] = ..., bidVol: _Optional[int] = ..., enableMargin: _Optional[bool] = ..., mortgageRatio: _Optional[float] = ..., longMarginInitialRatio: _Optional[float] = ..., enableShortSell: _Optional[bool] = ..., shortSellRate: _Optional[float] = ..., shortAvailableVolume: _Optional[int] = ..., shortMarginInitialRatio: _Optional[float] = ..., amplitude: _Optional[float] = ..., avgPrice: _Optional[float] = ..., bidAskRatio: _Optional[float] = ..., volumeRatio: _Optional[float] = ..., highest52WeeksPrice: _Optional[float] = ..., lowest52WeeksPrice: _Optional[float] = ..., highestHistoryPrice: _Optional[float] = ..., lowestHistoryPrice: _Optional[float] = ..., preMarket: _Optional[_Union[PreAfterMarketData, _Mapping]] = ..., afterMarket: _Optional[_Union[PreAfterMarketData, _Mapping]] = ..., secStatus: _Optional[int] = ..., closePrice5Minute: _Optional[float] = ..., name: _Optional[str] = ..., overnight: _Optional[_Union[PreAfterMarketData, _Mapping]] = ..., hpVolume: _Optional[float] = ..., hpAskVol: _Optional[float] = ..., hpBidVol: _Optional[float] = ...) -> None: ...

class EquitySnapshotExData(_message.Message):
    __slots__ = ("issuedShares", "issuedMarketVal", "netAsset", "netProfit", "earningsPershare", "outstandingShares", "outstandingMarketVal", "netAssetPershare", "eyRate", "peRate", "pbRate", "peTTMRate", "dividendTTM", "dividendRatioTTM", "dividendLFY", "dividendLFYRatio")
    ISSUEDSHARES_FIELD_NUMBER: _ClassVar[int]
    ISSUEDMARKETVAL_FIELD_NUMBER: _ClassVar[int]
    NETASSET_FIELD_NUMBER: _ClassVar[int]
    NETPROFIT_FIELD_NUMBER: _ClassVar[int]
    EARNINGSPERSHARE_FIELD_NUMBER: _ClassVar[int]
    OUTSTANDINGSHARES_FIELD_NUMBER: _ClassVar[int]
    OUTSTANDINGMARKETVAL_FIELD_NUMBER: _ClassVar[int]
    NETASSETPERSHARE_FIELD_NUMBER: _ClassVar[int]
    EYRATE_FIELD_NUMBER: _ClassVar[int]
    PERATE_FIELD_NUMBER: _ClassVar[int]
    PBRATE_FIELD_NUMBER: _ClassVar[int]
    PETTMRATE_FIELD_NUMBER: _ClassVar[int]
    DIVIDENDTTM_FIELD_NUMBER: _ClassVar[int]
    DIVIDENDRATIOTTM_FIELD_NUMBER: _ClassVar[int]
    DIVIDENDLFY_FIELD_NUMBER: _ClassVar[int]
    DIVIDENDLFYRATIO_FIELD_NUMBER: _ClassVar[int]
    issuedShares: int
    issuedMarketVal: float
    netAsset: float
    netProfit: float
    earningsPershare: float
    outstandingShares: int
    outstandingMarketVal: float
    netAssetPershare: float
    eyRate: float
    peRate: float
    pbRate: float
    peTTMRate: float
    dividendTTM: float
    dividendRatioTTM: float
    dividendLFY: float
    dividendLFYRatio: float
    def __init__(self, issuedShares: _Optional[int] = ..., issuedMarketVal: _Optional[float] = ..., netAsset: _Optional[float] = ..., netProfit: _Optional[float] = ..., earningsPershare: _Optional[float] = ..., outstandingShares: _Optional[int] = ..., outstandingMarketVal: _Optional[float] = ..., netAssetPershare: _Optional[float] = ..., eyRate: _Optional[float] = ..., peRate: _Optional[float] = ..., pbRate: _Optional[float] = ..., peTTMRate: _Optional[float] = ..., dividendTTM: _Optional[float] = ..., dividendRatioTTM: _Optional[float] = ..., dividendLFY: _Optional[float] = ..., dividendLFYRatio: _Optional[float] = ...) -> None: ...

class OptionSnapshotExData(_message.Message):
    __slots__ = ("type", "owner", "strikeTime", "strikePrice", "contractSize", "openInterest", "impliedVolatility", "premium", "delta", "gamma", "vega", "theta", "rho", "strikeTimestamp", "indexOptionType", "netOpenInterest", "expiryDateDistance", "contractNominalValue", "ownerLotMultiplier", "optionAreaType", "contractMultiplier", "contractSizeFloat")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    STRIKETIME_FIELD_NUMBER: _ClassVar[int]
    STRIKEPRICE_FIELD_NUMBER: _ClassVar[int]
    CONTRACTSIZE_FIELD_NUMBER: _ClassVar[int]
    OPENINTEREST_FIELD_NUMBER: _ClassVar[int]
    IMPLIEDVOLATILITY_FIELD_NUMBER: _ClassVar[int]
    PREMIUM_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    GAMMA_FIELD_NUMBER: _ClassVar[int]
    VEGA_FIELD_NUMBER: _ClassVar[int]
    THETA_FIELD_NUMBER: _ClassVar[int]
    RHO_FIELD_NUMBER: _ClassVar[int]
    STRIKETIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    INDEXOPTIONTYPE_FIELD_NUMBER: _ClassVar[int]
    NETOPENINTEREST_FIELD_NUMBER: _ClassVar[int]
    EXPIRYDATEDISTANCE_FIELD_NUMBER: _ClassVar[int]
    CONTRACTNOMINALVALUE_FIELD_NUMBER: _ClassVar[int]
    OWNERLOTMULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    OPTIONAREATYPE_FIELD_NUMBER: _ClassVar[int]
    CONTRACTMULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    CONTRACTSIZEFLOAT_FIELD_NUMBER: _ClassVar[int]
    type: int
    owner: _opend_pb2.Security
    strikeTime: str
    strikePrice: float
    contractSize: int
    openInterest: int
    impliedVolatility: float
    premium: float
    delta: float
    gamma: float
    vega: float
    theta: float
    rho: float
    strikeTimestamp: float
    indexOptionType: int
    netOpenInterest: int
    expiryDateDistance: int
    contractNominalValue: float
    ownerLotMultiplier: float
    optionAreaType: int
    contractMultiplier: float
    contractSizeFloat: float
    def __init__(self, type: _Optional[int] = ..., owner: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., strikeTime: _Optional[str] = ..., strikePrice: _Optional[float] = ..., contractSize: _Optional[int] = ..., openInterest: _Optional[int] = ..., impliedVolatility: _Optional[float] = ..., premium: _Optional[float] = ..., delta: _Optional[float] = ..., gamma: _Optional[float] = ..., vega: _Optional[float] = ..., theta: _Optional[float] = ..., rho: _Optional[float] = ..., strikeTimestamp: _Optional[float] = ..., indexOptionType: _Optional[int] = ..., netOpenInterest: _Optional[int] = ..., expiryDateDistance: _Optional[int] = ..., contractNominalValue: _Optional[float] = ..., ownerLotMultiplier: _Optional[float] = ..., optionAreaType: _Optional[int] = ..., contractMultiplier: _Optional[float] = ..., contractSizeFloat: _Optional[float] = ...) -> None: ...

class IndexSnapshotExData(_message.Message):
    __slots__ = ("raiseCount", "fallCount", "equalCount")
    RAISECOUNT_FIELD_NUMBER: _ClassVar[int]
    FALLCOUNT_FIELD_NUMBER: _ClassVar[int]
    EQUALCOUNT_FIELD_NUMBER: _ClassVar[int]
    raiseCount: int
    fallCount: int
    equalCount: int
    def __init__(self, raiseCount: _Optional[int] = ..., fallCount: _Optional[int] = ..., equalCount: _Optional[int] = ...) -> None: ...

class FutureSnapshotExData(_message.Message):
    __slots__ = ("lastSettlePrice", "position", "positionChange", "lastTradeTime", "lastTradeTimestamp", "isMainContract")
    LASTSETTLEPRICE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    POSITIONCHANGE_FIELD_NUMBER: _ClassVar[int]
    LASTTRADETIME_FIELD_NUMBER: _ClassVar[int]
    LASTTRADETIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    ISMAINCONTRACT_FIELD_NUMBER: _ClassVar[int]
    lastSettlePrice: float
    position: int
    positionChange: int
    lastTradeTime: str
    lastTradeTimestamp: float
    isMainContract: bool
    def __init__(self, lastSettlePrice: _Optional[float] = ..., position: _Optional[int] = ..., positionChange: _Optional[int] = ..., lastTradeTime: _Optional[str] = ..., lastTradeTimestamp: _Optional[float] = ..., isMainContract: _Optional[bool] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("basic", "equityExData", "optionExData", "indexExData", "futureExData")
    BASIC_FIELD_NUMBER: _ClassVar[int]
    EQUITYEXDATA_FIELD_NUMBER: _ClassVar[int]
    OPTIONEXDATA_FIELD_NUMBER: _ClassVar[int]
    INDEXEXDATA_FIELD_NUMBER: _ClassVar[int]
    FUTUREEXDATA_FIELD_NUMBER: _ClassVar[int]
    basic: SnapshotBasicData
    equityExData: EquitySnapshotExData
    optionExData: OptionSnapshotExData
    indexExData: IndexSnapshotExData
    futureExData: FutureSnapshotExData
    def __init__(self, basic: _Optional[_Union[SnapshotBasicData, _Mapping]] = ..., equityExData: _Optional[_Union[EquitySnapshotExData, _Mapping]] = ..., optionExData: _Optional[_Union[OptionSnapshotExData, _Mapping]] = ..., indexExData: _Optional[_Union[IndexSnapshotExData, _Mapping]] = ..., futureExData: _Optional[_Union[FutureSnapshotExData, _Mapping]] = ...) -> None: ...

class GetSecuritySnapshotS2C(_message.Message):
    __slots__ = ("snapshotList",)
    SNAPSHOTLIST_FIELD_NUMBER: _ClassVar[int]
    snapshotList: _containers.RepeatedCompositeFieldContainer[Snapshot]
    def __init__(self, snapshotList: _Optional[_Iterable[_Union[Snapshot, _Mapping]]] = ...) -> None: ...

class GetSecuritySnapshotResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: GetSecuritySnapshotS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[GetSecuritySnapshotS2C, _Mapping]] = ...) -> None: ...

class RequestTradeDateC2S(_message.Message):
    __slots__ = ("market", "beginTime", "endTime", "security", "header")
    MARKET_FIELD_NUMBER: _ClassVar[int]
    BEGINTIME_FIELD_NUMBER: _ClassVar[int]
    ENDTIME_FIELD_NUMBER: _ClassVar[int]
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    market: int
    beginTime: str
    endTime: str
    security: _opend_pb2.Security
    header: _opend_pb2.QotHeader
    def __init__(self, market: _Optional[int] = ..., beginTime: _Optional[str] = ..., endTime: _Optional[str] = ..., security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., header: _Optional[_Union[_opend_pb2.QotHeader, _Mapping]] = ...) -> None: ...

class RequestTradeDateRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: RequestTradeDateC2S
    def __init__(self, c2s: _Optional[_Union[RequestTradeDateC2S, _Mapping]] = ...) -> None: ...

class TradeDate(_message.Message):
    __slots__ = ("time", "timestamp", "tradeDateType")
    TIME_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TRADEDATETYPE_FIELD_NUMBER: _ClassVar[int]
    time: str
    timestamp: float
    tradeDateType: int
    def __init__(self, time: _Optional[str] = ..., timestamp: _Optional[float] = ..., tradeDateType: _Optional[int] = ...) -> None: ...

class RequestTradeDateS2C(_message.Message):
    __slots__ = ("tradeDateList",)
    TRADEDATELIST_FIELD_NUMBER: _ClassVar[int]
    tradeDateList: _containers.RepeatedCompositeFieldContainer[TradeDate]
    def __init__(self, tradeDateList: _Optional[_Iterable[_Union[TradeDate, _Mapping]]] = ...) -> None: ...

class RequestTradeDateResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: RequestTradeDateS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[RequestTradeDateS2C, _Mapping]] = ...) -> None: ...

class MarketInfo(_message.Message):
    __slots__ = ("security", "name", "marketState")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MARKETSTATE_FIELD_NUMBER: _ClassVar[int]
    security: _opend_pb2.Security
    name: str
    marketState: int
    def __init__(self, security: _Optional[_Union[_opend_pb2.Security, _Mapping]] = ..., name: _Optional[str] = ..., marketState: _Optional[int] = ...) -> None: ...

class GetMarketStateS2C(_message.Message):
    __slots__ = ("marketInfoList",)
    MARKETINFOLIST_FIELD_NUMBER: _ClassVar[int]
    marketInfoList: _containers.RepeatedCompositeFieldContainer[MarketInfo]
    def __init__(self, marketInfoList: _Optional[_Iterable[_Union[MarketInfo, _Mapping]]] = ...) -> None: ...

class GetMarketStateResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: GetMarketStateS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[GetMarketStateS2C, _Mapping]] = ...) -> None: ...

class PacketIDC2S(_message.Message):
    __slots__ = ("packetID",)
    PACKETID_FIELD_NUMBER: _ClassVar[int]
    packetID: _opend_pb2.PacketID
    def __init__(self, packetID: _Optional[_Union[_opend_pb2.PacketID, _Mapping]] = ...) -> None: ...

class PacketIDRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: PacketIDC2S
    def __init__(self, c2s: _Optional[_Union[PacketIDC2S, _Mapping]] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("trdSide", "orderType", "orderStatus", "orderID", "orderIDEx", "code", "name", "qty", "price", "createTime", "updateTime", "fillQty", "fillAvgPrice", "lastErrMsg", "secMarket", "createTimestamp", "updateTimestamp", "remark", "timeInForce", "fillOutsideRTH", "auxPrice", "trailType", "trailValue", "trailSpread", "currency", "trdMarket", "session", "jpAccType", "expireTime", "orderAmount")
    TRDSIDE_FIELD_NUMBER: _ClassVar[int]
    ORDERTYPE_FIELD_NUMBER: _ClassVar[int]
    ORDERSTATUS_FIELD_NUMBER: _ClassVar[int]
    ORDERID_FIELD_NUMBER: _ClassVar[int]
    ORDERIDEX_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    QTY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    CREATETIME_FIELD_NUMBER: _ClassVar[int]
    UPDATETIME_FIELD_NUMBER: _ClassVar[int]
    FILLQTY_FIELD_NUMBER: _ClassVar[int]
    FILLAVGPRICE_FIELD_NUMBER: _ClassVar[int]
    LASTERRMSG_FIELD_NUMBER: _ClassVar[int]
    SECMARKET_FIELD_NUMBER: _ClassVar[int]
    CREATETIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    UPDATETIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    REMARK_FIELD_NUMBER: _ClassVar[int]
    TIMEINFORCE_FIELD_NUMBER: _ClassVar[int]
    FILLOUTSIDERTH_FIELD_NUMBER: _ClassVar[int]
    AUXPRICE_FIELD_NUMBER: _ClassVar[int]
    TRAILTYPE_FIELD_NUMBER: _ClassVar[int]
    TRAILVALUE_FIELD_NUMBER: _ClassVar[int]
    TRAILSPREAD_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TRDMARKET_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    JPACCTYPE_FIELD_NUMBER: _ClassVar[int]
    EXPIRETIME_FIELD_NUMBER: _ClassVar[int]
    ORDERAMOUNT_FIELD_NUMBER: _ClassVar[int]
    trdSide: int
    orderType: int
    orderStatus: int
    orderID: int
    orderIDEx: str
    code: str
    name: str
    qty: float
    price: float
    createTime: str
    updateTime: str
    fillQty: float
    fillAvgPrice: float
    lastErrMsg: str
    secMarket: int
    createTimestamp: float
    updateTimestamp: float
    remark: str
    timeInForce: int
    fillOutsideRTH: bool
    auxPrice: float
    trailType: int
    trailValue: float
    trailSpread: float
    currency: int
    trdMarket: int
    session: int
    jpAccType: int
    expireTime: str
    orderAmount: float
    def __init__(self, trdSide: _Optional[int] = ..., orderType: _Optional[int] = ..., orderStatus: _Optional[int] = ..., orderID: _Optional[int] = ..., orderIDEx: _Optional[str] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., qty: _Optional[float] = ..., price: _Optional[float] = ..., createTime: _Optional[str] = ..., updateTime: _Optional[str] = ..., fillQty: _Optional[float] = ..., fillAvgPrice: _Optional[float] = ..., lastErrMsg: _Optional[str] = ..., secMarket: _Optional[int] = ..., createTimestamp: _Optional[float] = ..., updateTimestamp: _Optional[float] = ..., remark: _Optional[str] = ..., timeInForce: _Optional[int] = ..., fillOutsideRTH: _Optional[bool] = ..., auxPrice: _Optional[float] = ..., trailType: _Optional[int] = ..., trailValue: _Optional[float] = ..., trailSpread: _Optional[float] = ..., currency: _Optional[int] = ..., trdMarket: _Optional[int] = ..., session: _Optional[int] = ..., jpAccType: _Optional[int] = ..., expireTime: _Optional[str] = ..., orderAmount: _Optional[float] = ...) -> None: ...

class OrderFill(_message.Message):
    __slots__ = ("trdSide", "fillID", "fillIDEx", "orderID", "orderIDEx", "code", "name", "qty", "price", "createTime", "counterBrokerID", "counterBrokerName", "secMarket", "createTimestamp", "updateTimestamp", "status", "trdMarket")
    TRDSIDE_FIELD_NUMBER: _ClassVar[int]
    FILLID_FIELD_NUMBER: _ClassVar[int]
    FILLIDEX_FIELD_NUMBER: _ClassVar[int]
    ORDERID_FIELD_NUMBER: _ClassVar[int]
    ORDERIDEX_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    QTY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    CREATETIME_FIELD_NUMBER: _ClassVar[int]
    COUNTERBROKERID_FIELD_NUMBER: _ClassVar[int]
    COUNTERBROKERNAME_FIELD_NUMBER: _ClassVar[int]
    SECMARKET_FIELD_NUMBER: _ClassVar[int]
    CREATETIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    UPDATETIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TRDMARKET_FIELD_NUMBER: _ClassVar[int]
    trdSide: int
    fillID: int
    fillIDEx: str
    orderID: int
    orderIDEx: str
    code: str
    name: str
    qty: float
    price: float
    createTime: str
    counterBrokerID: int
    counterBrokerName: str
    secMarket: int
    createTimestamp: float
    updateTimestamp: float
    status: int
    trdMarket: int
    def __init__(self, trdSide: _Optional[int] = ..., fillID: _Optional[int] = ..., fillIDEx: _Optional[str] = ..., orderID: _Optional[int] = ..., orderIDEx: _Optional[str] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., qty: _Optional[float] = ..., price: _Optional[float] = ..., createTime: _Optional[str] = ..., counterBrokerID: _Optional[int] = ..., counterBrokerName: _Optional[str] = ..., secMarket: _Optional[int] = ..., createTimestamp: _Optional[float] = ..., updateTimestamp: _Optional[float] = ..., status: _Optional[int] = ..., trdMarket: _Optional[int] = ...) -> None: ...

class PlaceOrderC2S(_message.Message):
    __slots__ = ("packetID", "header", "trdSide", "orderType", "code", "qty", "price", "adjustPrice", "adjustSideAndLimit", "secMarket", "remark", "timeInForce", "fillOutsideRTH", "auxPrice", "trailType", "trailValue", "trailSpread", "session", "positionID", "expireTime", "amount", "predSide")
    PACKETID_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    TRDSIDE_FIELD_NUMBER: _ClassVar[int]
    ORDERTYPE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    QTY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    ADJUSTPRICE_FIELD_NUMBER: _ClassVar[int]
    ADJUSTSIDEANDLIMIT_FIELD_NUMBER: _ClassVar[int]
    SECMARKET_FIELD_NUMBER: _ClassVar[int]
    REMARK_FIELD_NUMBER: _ClassVar[int]
    TIMEINFORCE_FIELD_NUMBER: _ClassVar[int]
    FILLOUTSIDERTH_FIELD_NUMBER: _ClassVar[int]
    AUXPRICE_FIELD_NUMBER: _ClassVar[int]
    TRAILTYPE_FIELD_NUMBER: _ClassVar[int]
    TRAILVALUE_FIELD_NUMBER: _ClassVar[int]
    TRAILSPREAD_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    POSITIONID_FIELD_NUMBER: _ClassVar[int]
    EXPIRETIME_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PREDSIDE_FIELD_NUMBER: _ClassVar[int]
    packetID: _opend_pb2.PacketID
    header: _opend_pb2.TrdHeader
    trdSide: int
    orderType: int
    code: str
    qty: float
    price: float
    adjustPrice: bool
    adjustSideAndLimit: float
    secMarket: int
    remark: str
    timeInForce: int
    fillOutsideRTH: bool
    auxPrice: float
    trailType: int
    trailValue: float
    trailSpread: float
    session: int
    positionID: int
    expireTime: str
    amount: float
    predSide: int
    def __init__(self, packetID: _Optional[_Union[_opend_pb2.PacketID, _Mapping]] = ..., header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., trdSide: _Optional[int] = ..., orderType: _Optional[int] = ..., code: _Optional[str] = ..., qty: _Optional[float] = ..., price: _Optional[float] = ..., adjustPrice: _Optional[bool] = ..., adjustSideAndLimit: _Optional[float] = ..., secMarket: _Optional[int] = ..., remark: _Optional[str] = ..., timeInForce: _Optional[int] = ..., fillOutsideRTH: _Optional[bool] = ..., auxPrice: _Optional[float] = ..., trailType: _Optional[int] = ..., trailValue: _Optional[float] = ..., trailSpread: _Optional[float] = ..., session: _Optional[int] = ..., positionID: _Optional[int] = ..., expireTime: _Optional[str] = ..., amount: _Optional[float] = ..., predSide: _Optional[int] = ...) -> None: ...

class PlaceOrderRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: PlaceOrderC2S
    def __init__(self, c2s: _Optional[_Union[PlaceOrderC2S, _Mapping]] = ...) -> None: ...

class PlaceOrderS2C(_message.Message):
    __slots__ = ("header", "orderID", "orderIDEx")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDERID_FIELD_NUMBER: _ClassVar[int]
    ORDERIDEX_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    orderID: int
    orderIDEx: str
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., orderID: _Optional[int] = ..., orderIDEx: _Optional[str] = ...) -> None: ...

class PlaceOrderResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: PlaceOrderS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[PlaceOrderS2C, _Mapping]] = ...) -> None: ...

class ModifyOrderC2S(_message.Message):
    __slots__ = ("packetID", "header", "orderID", "modifyOrderOp", "forAll", "trdMarket", "qty", "price", "adjustPrice", "adjustSideAndLimit", "auxPrice", "trailType", "trailValue", "trailSpread", "orderIDEx")
    PACKETID_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDERID_FIELD_NUMBER: _ClassVar[int]
    MODIFYORDEROP_FIELD_NUMBER: _ClassVar[int]
    FORALL_FIELD_NUMBER: _ClassVar[int]
    TRDMARKET_FIELD_NUMBER: _ClassVar[int]
    QTY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    ADJUSTPRICE_FIELD_NUMBER: _ClassVar[int]
    ADJUSTSIDEANDLIMIT_FIELD_NUMBER: _ClassVar[int]
    AUXPRICE_FIELD_NUMBER: _ClassVar[int]
    TRAILTYPE_FIELD_NUMBER: _ClassVar[int]
    TRAILVALUE_FIELD_NUMBER: _ClassVar[int]
    TRAILSPREAD_FIELD_NUMBER: _ClassVar[int]
    ORDERIDEX_FIELD_NUMBER: _ClassVar[int]
    packetID: _opend_pb2.PacketID
    header: _opend_pb2.TrdHeader
    orderID: int
    modifyOrderOp: int
    forAll: bool
    trdMarket: int
    qty: float
    price: float
    adjustPrice: bool
    adjustSideAndLimit: float
    auxPrice: float
    trailType: int
    trailValue: float
    trailSpread: float
    orderIDEx: str
    def __init__(self, packetID: _Optional[_Union[_opend_pb2.PacketID, _Mapping]] = ..., header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., orderID: _Optional[int] = ..., modifyOrderOp: _Optional[int] = ..., forAll: _Optional[bool] = ..., trdMarket: _Optional[int] = ..., qty: _Optional[float] = ..., price: _Optional[float] = ..., adjustPrice: _Optional[bool] = ..., adjustSideAndLimit: _Optional[float] = ..., auxPrice: _Optional[float] = ..., trailType: _Optional[int] = ..., trailValue: _Optional[float] = ..., trailSpread: _Optional[float] = ..., orderIDEx: _Optional[str] = ...) -> None: ...

class ModifyOrderRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: ModifyOrderC2S
    def __init__(self, c2s: _Optional[_Union[ModifyOrderC2S, _Mapping]] = ...) -> None: ...

class ModifyOrderS2C(_message.Message):
    __slots__ = ("header", "orderID", "orderIDEx")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDERID_FIELD_NUMBER: _ClassVar[int]
    ORDERIDEX_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    orderID: int
    orderIDEx: str
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., orderID: _Optional[int] = ..., orderIDEx: _Optional[str] = ...) -> None: ...

class ModifyOrderResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: ModifyOrderS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[ModifyOrderS2C, _Mapping]] = ...) -> None: ...

class UpdateOrderS2C(_message.Message):
    __slots__ = ("header", "order")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    order: Order
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., order: _Optional[_Union[Order, _Mapping]] = ...) -> None: ...

class UpdateOrderResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: UpdateOrderS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[UpdateOrderS2C, _Mapping]] = ...) -> None: ...

class UpdateOrderFillS2C(_message.Message):
    __slots__ = ("header", "orderFill")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDERFILL_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    orderFill: OrderFill
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., orderFill: _Optional[_Union[OrderFill, _Mapping]] = ...) -> None: ...

class UpdateOrderFillResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: UpdateOrderFillS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[UpdateOrderFillS2C, _Mapping]] = ...) -> None: ...

class TrdFilterConditions(_message.Message):
    __slots__ = ("codeList", "idList", "beginTime", "endTime", "orderIDExList", "filterMarket")
    CODELIST_FIELD_NUMBER: _ClassVar[int]
    IDLIST_FIELD_NUMBER: _ClassVar[int]
    BEGINTIME_FIELD_NUMBER: _ClassVar[int]
    ENDTIME_FIELD_NUMBER: _ClassVar[int]
    ORDERIDEXLIST_FIELD_NUMBER: _ClassVar[int]
    FILTERMARKET_FIELD_NUMBER: _ClassVar[int]
    codeList: _containers.RepeatedScalarFieldContainer[str]
    idList: _containers.RepeatedScalarFieldContainer[int]
    beginTime: str
    endTime: str
    orderIDExList: _containers.RepeatedScalarFieldContainer[str]
    filterMarket: int
    def __init__(self, codeList: _Optional[_Iterable[str]] = ..., idList: _Optional[_Iterable[int]] = ..., beginTime: _Optional[str] = ..., endTime: _Optional[str] = ..., orderIDExList: _Optional[_Iterable[str]] = ..., filterMarket: _Optional[int] = ...) -> None: ...

class OrderListC2S(_message.Message):
    __slots__ = ("header", "filterConditions", "filterStatusList", "refreshCache")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FILTERCONDITIONS_FIELD_NUMBER: _ClassVar[int]
    FILTERSTATUSLIST_FIELD_NUMBER: _ClassVar[int]
    REFRESHCACHE_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    filterConditions: TrdFilterConditions
    filterStatusList: _containers.RepeatedScalarFieldContainer[int]
    refreshCache: bool
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., filterConditions: _Optional[_Union[TrdFilterConditions, _Mapping]] = ..., filterStatusList: _Optional[_Iterable[int]] = ..., refreshCache: _Optional[bool] = ...) -> None: ...

class OrderListRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: OrderListC2S
    def __init__(self, c2s: _Optional[_Union[OrderListC2S, _Mapping]] = ...) -> None: ...

class OrderListS2C(_message.Message):
    __slots__ = ("header", "orderList")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDERLIST_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    orderList: _containers.RepeatedCompositeFieldContainer[Order]
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., orderList: _Optional[_Iterable[_Union[Order, _Mapping]]] = ...) -> None: ...

class OrderListResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: OrderListS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[OrderListS2C, _Mapping]] = ...) -> None: ...

class OrderFillListC2S(_message.Message):
    __slots__ = ("header", "filterConditions", "refreshCache")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FILTERCONDITIONS_FIELD_NUMBER: _ClassVar[int]
    REFRESHCACHE_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    filterConditions: TrdFilterConditions
    refreshCache: bool
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., filterConditions: _Optional[_Union[TrdFilterConditions, _Mapping]] = ..., refreshCache: _Optional[bool] = ...) -> None: ...

class OrderFillListRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: OrderFillListC2S
    def __init__(self, c2s: _Optional[_Union[OrderFillListC2S, _Mapping]] = ...) -> None: ...

class OrderFillListS2C(_message.Message):
    __slots__ = ("header", "orderFillList")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDERFILLLIST_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    orderFillList: _containers.RepeatedCompositeFieldContainer[OrderFill]
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., orderFillList: _Optional[_Iterable[_Union[OrderFill, _Mapping]]] = ...) -> None: ...

class OrderFillListResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: OrderFillListS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[OrderFillListS2C, _Mapping]] = ...) -> None: ...

class GetFundsC2S(_message.Message):
    __slots__ = ("header", "refreshCache", "currency", "assetCategory")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    REFRESHCACHE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ASSETCATEGORY_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    refreshCache: bool
    currency: int
    assetCategory: int
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., refreshCache: _Optional[bool] = ..., currency: _Optional[int] = ..., assetCategory: _Optional[int] = ...) -> None: ...

class GetFundsRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetFundsC2S
    def __init__(self, c2s: _Optional[_Union[GetFundsC2S, _Mapping]] = ...) -> None: ...

class AccCashInfo(_message.Message):
    __slots__ = ("currency", "cash", "availableBalance", "netCashPower")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    CASH_FIELD_NUMBER: _ClassVar[int]
    AVAILABLEBALANCE_FIELD_NUMBER: _ClassVar[int]
    NETCASHPOWER_FIELD_NUMBER: _ClassVar[int]
    currency: int
    cash: float
    availableBalance: float
    netCashPower: float
    def __init__(self, currency: _Optional[int] = ..., cash: _Optional[float] = ..., availableBalance: _Optional[float] = ..., netCashPower: _Optional[float] = ...) -> None: ...

class AccMarketInfo(_message.Message):
    __slots__ = ("trdMarket", "assets")
    TRDMARKET_FIELD_NUMBER: _ClassVar[int]
    ASSETS_FIELD_NUMBER: _ClassVar[int]
    trdMarket: int
    assets: float
    def __init__(self, trdMarket: _Optional[int] = ..., assets: _Optional[float] = ...) -> None: ...

class Funds(_message.Message):
    __slots__ = ("power", "totalAssets", "cash", "marketVal", "frozenCash", "debtCash", "avlWithdrawalCash", "currency", "availableFunds", "unrealizedPL", "realizedPL", "riskLevel", "initialMargin", "maintenanceMargin", "cashInfoList", "maxPowerShort", "netCashPower", "longMv", "shortMv", "pendingAsset", "maxWithdrawal", "riskStatus", "marginCallMargin", "securitiesAssets", "fundAssets", "bondAssets", "marketInfoList")
    POWER_FIELD_NUMBER: _ClassVar[int]
    TOTALASSETS_FIELD_NUMBER: _ClassVar[int]
    CASH_FIELD_NUMBER: _ClassVar[int]
    MARKETVAL_FIELD_NUMBER: _ClassVar[int]
    FROZENCASH_FIELD_NUMBER: _ClassVar[int]
    DEBTCASH_FIELD_NUMBER: _ClassVar[int]
    AVLWITHDRAWALCASH_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AVAILABLEFUNDS_FIELD_NUMBER: _ClassVar[int]
    UNREALIZEDPL_FIELD_NUMBER: _ClassVar[int]
    REALIZEDPL_FIELD_NUMBER: _ClassVar[int]
    RISKLEVEL_FIELD_NUMBER: _ClassVar[int]
    INITIALMARGIN_FIELD_NUMBER: _ClassVar[int]
    MAINTENANCEMARGIN_FIELD_NUMBER: _ClassVar[int]
    CASHINFOLIST_FIELD_NUMBER: _ClassVar[int]
    MAXPOWERSHORT_FIELD_NUMBER: _ClassVar[int]
    NETCASHPOWER_FIELD_NUMBER: _ClassVar[int]
    LONGMV_FIELD_NUMBER: _ClassVar[int]
    SHORTMV_FIELD_NUMBER: _ClassVar[int]
    PENDINGASSET_FIELD_NUMBER: _ClassVar[int]
    MAXWITHDRAWAL_FIELD_NUMBER: _ClassVar[int]
    RISKSTATUS_FIELD_NUMBER: _ClassVar[int]
    MARGINCALLMARGIN_FIELD_NUMBER: _ClassVar[int]
    SECURITIESASSETS_FIELD_NUMBER: _ClassVar[int]
    FUNDASSETS_FIELD_NUMBER: _ClassVar[int]
    BONDASSETS_FIELD_NUMBER: _ClassVar[int]
    MARKETINFOLIST_FIELD_NUMBER: _ClassVar[int]
    power: float
    totalAssets: float
    cash: float
    marketVal: float
    frozenCash: float
    debtCash: float
    avlWithdrawalCash: float
    currency: int
    availableFunds: float
    unrealizedPL: float
    realizedPL: float
    riskLevel: int
    initialMargin: float
    maintenanceMargin: float
    cashInfoList: _containers.RepeatedCompositeFieldContainer[AccCashInfo]
    maxPowerShort: float
    netCashPower: float
    longMv: float
    shortMv: float
    pendingAsset: float
    maxWithdrawal: float
    riskStatus: int
    marginCallMargin: float
    securitiesAssets: float
    fundAssets: float
    bondAssets: float
    marketInfoList: _containers.RepeatedCompositeFieldContainer[AccMarketInfo]
    def __init__(self, power: _Optional[float] = ..., totalAssets: _Optional[float] = ..., cash: _Optional[float] = ..., marketVal: _Optional[float] = ..., frozenCash: _Optional[float] = ..., debtCash: _Optional[float] = ..., avlWithdrawalCash: _Optional[float] = ..., currency: _Optional[int] = ..., availableFunds: _Optional[float] = ..., unrealizedPL: _Optional[float] = ..., realizedPL: _Optional[float] = ..., riskLevel: _Optional[int] = ..., initialMargin: _Optional[float] = ..., maintenanceMargin: _Optional[float] = ..., cashInfoList: _Optional[_Iterable[_Union[AccCashInfo, _Mapping]]] = ..., maxPowerShort: _Optional[float] = ..., netCashPower: _Optional[float] = ..., longMv: _Optional[float] = ..., shortMv: _Optional[float] = ..., pendingAsset: _Optional[float] = ..., maxWithdrawal: _Optional[float] = ..., riskStatus: _Optional[int] = ..., marginCallMargin: _Optional[float] = ..., securitiesAssets: _Optional[float] = ..., fundAssets: _Optional[float] = ..., bondAssets: _Optional[float] = ..., marketInfoList: _Optional[_Iterable[_Union[AccMarketInfo, _Mapping]]] = ...) -> None: ...

class GetFundsS2C(_message.Message):
    __slots__ = ("header", "funds")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FUNDS_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    funds: Funds
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., funds: _Optional[_Union[Funds, _Mapping]] = ...) -> None: ...

class GetFundsResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: GetFundsS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[GetFundsS2C, _Mapping]] = ...) -> None: ...

class GetPositionListC2S(_message.Message):
    __slots__ = ("header", "filterConditions", "filterPLRatioMin", "filterPLRatioMax", "refreshCache", "assetCategory", "currency", "optionStrategyView")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FILTERCONDITIONS_FIELD_NUMBER: _ClassVar[int]
    FILTERPLRATIOMIN_FIELD_NUMBER: _ClassVar[int]
    FILTERPLRATIOMAX_FIELD_NUMBER: _ClassVar[int]
    REFRESHCACHE_FIELD_NUMBER: _ClassVar[int]
    ASSETCATEGORY_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    OPTIONSTRATEGYVIEW_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    filterConditions: TrdFilterConditions
    filterPLRatioMin: float
    filterPLRatioMax: float
    refreshCache: bool
    assetCategory: int
    currency: int
    optionStrategyView: bool
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., filterConditions: _Optional[_Union[TrdFilterConditions, _Mapping]] = ..., filterPLRatioMin: _Optional[float] = ..., filterPLRatioMax: _Optional[float] = ..., refreshCache: _Optional[bool] = ..., assetCategory: _Optional[int] = ..., currency: _Optional[int] = ..., optionStrategyView: _Optional[bool] = ...) -> None: ...

class GetPositionListRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetPositionListC2S
    def __init__(self, c2s: _Optional[_Union[GetPositionListC2S, _Mapping]] = ...) -> None: ...

class Position(_message.Message):
    __slots__ = ("positionID", "positionSide", "code", "name", "qty", "canSellQty", "price", "costPrice", "val", "plVal", "plRatio", "secMarket", "td_plVal", "td_trdVal", "td_buyVal", "td_buyQty", "td_sellVal", "td_sellQty", "unrealizedPL", "realizedPL", "currency", "trdMarket", "dilutedCostPrice", "averageCostPrice", "averagePlRatio", "accID")
    POSITIONID_FIELD_NUMBER: _ClassVar[int]
    POSITIONSIDE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    QTY_FIELD_NUMBER: _ClassVar[int]
    CANSELLQTY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    COSTPRICE_FIELD_NUMBER: _ClassVar[int]
    VAL_FIELD_NUMBER: _ClassVar[int]
    PLVAL_FIELD_NUMBER: _ClassVar[int]
    PLRATIO_FIELD_NUMBER: _ClassVar[int]
    SECMARKET_FIELD_NUMBER: _ClassVar[int]
    TD_PLVAL_FIELD_NUMBER: _ClassVar[int]
    TD_TRDVAL_FIELD_NUMBER: _ClassVar[int]
    TD_BUYVAL_FIELD_NUMBER: _ClassVar[int]
    TD_BUYQTY_FIELD_NUMBER: _ClassVar[int]
    TD_SELLVAL_FIELD_NUMBER: _ClassVar[int]
    TD_SELLQTY_FIELD_NUMBER: _ClassVar[int]
    UNREALIZEDPL_FIELD_NUMBER: _ClassVar[int]
    REALIZEDPL_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TRDMARKET_FIELD_NUMBER: _ClassVar[int]
    DILUTEDCOSTPRICE_FIELD_NUMBER: _ClassVar[int]
    AVERAGECOSTPRICE_FIELD_NUMBER: _ClassVar[int]
    AVERAGEPLRATIO_FIELD_NUMBER: _ClassVar[int]
    ACCID_FIELD_NUMBER: _ClassVar[int]
    positionID: int
    positionSide: int
    code: str
    name: str
    qty: float
    canSellQty: float
    price: float
    costPrice: float
    val: float
    plVal: float
    plRatio: float
    secMarket: int
    td_plVal: float
    td_trdVal: float
    td_buyVal: float
    td_buyQty: float
    td_sellVal: float
    td_sellQty: float
    unrealizedPL: float
    realizedPL: float
    currency: int
    trdMarket: int
    dilutedCostPrice: float
    averageCostPrice: float
    averagePlRatio: float
    accID: int
    def __init__(self, positionID: _Optional[int] = ..., positionSide: _Optional[int] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., qty: _Optional[float] = ..., canSellQty: _Optional[float] = ..., price: _Optional[float] = ..., costPrice: _Optional[float] = ..., val: _Optional[float] = ..., plVal: _Optional[float] = ..., plRatio: _Optional[float] = ..., secMarket: _Optional[int] = ..., td_plVal: _Optional[float] = ..., td_trdVal: _Optional[float] = ..., td_buyVal: _Optional[float] = ..., td_buyQty: _Optional[float] = ..., td_sellVal: _Optional[float] = ..., td_sellQty: _Optional[float] = ..., unrealizedPL: _Optional[float] = ..., realizedPL: _Optional[float] = ..., currency: _Optional[int] = ..., trdMarket: _Optional[int] = ..., dilutedCostPrice: _Optional[float] = ..., averageCostPrice: _Optional[float] = ..., averagePlRatio: _Optional[float] = ..., accID: _Optional[int] = ...) -> None: ...

class GetPositionListS2C(_message.Message):
    __slots__ = ("header", "positionList")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    POSITIONLIST_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    positionList: _containers.RepeatedCompositeFieldContainer[Position]
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., positionList: _Optional[_Iterable[_Union[Position, _Mapping]]] = ...) -> None: ...

class GetPositionListResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: GetPositionListS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[GetPositionListS2C, _Mapping]] = ...) -> None: ...

class GetMaxTrdQtysC2S(_message.Message):
    __slots__ = ("header", "orderType", "code", "price", "orderID", "adjustPrice", "adjustSideAndLimit", "secMarket", "orderIDEx", "session", "positionID")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDERTYPE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    ORDERID_FIELD_NUMBER: _ClassVar[int]
    ADJUSTPRICE_FIELD_NUMBER: _ClassVar[int]
    ADJUSTSIDEANDLIMIT_FIELD_NUMBER: _ClassVar[int]
    SECMARKET_FIELD_NUMBER: _ClassVar[int]
    ORDERIDEX_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    POSITIONID_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    orderType: int
    code: str
    price: float
    orderID: int
    adjustPrice: bool
    adjustSideAndLimit: float
    secMarket: int
    orderIDEx: str
    session: int
    positionID: int
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., orderType: _Optional[int] = ..., code: _Optional[str] = ..., price: _Optional[float] = ..., orderID: _Optional[int] = ..., adjustPrice: _Optional[bool] = ..., adjustSideAndLimit: _Optional[float] = ..., secMarket: _Optional[int] = ..., orderIDEx: _Optional[str] = ..., session: _Optional[int] = ..., positionID: _Optional[int] = ...) -> None: ...

class GetMaxTrdQtysRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetMaxTrdQtysC2S
    def __init__(self, c2s: _Optional[_Union[GetMaxTrdQtysC2S, _Mapping]] = ...) -> None: ...

class MaxTrdQtys(_message.Message):
    __slots__ = ("maxCashBuy", "maxCashAndMarginBuy", "maxPositionSell", "maxSellShort", "maxBuyBack", "longRequiredIM", "shortRequiredIM", "session")
    MAXCASHBUY_FIELD_NUMBER: _ClassVar[int]
    MAXCASHANDMARGINBUY_FIELD_NUMBER: _ClassVar[int]
    MAXPOSITIONSELL_FIELD_NUMBER: _ClassVar[int]
    MAXSELLSHORT_FIELD_NUMBER: _ClassVar[int]
    MAXBUYBACK_FIELD_NUMBER: _ClassVar[int]
    LONGREQUIREDIM_FIELD_NUMBER: _ClassVar[int]
    SHORTREQUIREDIM_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    maxCashBuy: float
    maxCashAndMarginBuy: float
    maxPositionSell: float
    maxSellShort: float
    maxBuyBack: float
    longRequiredIM: float
    shortRequiredIM: float
    session: int
    def __init__(self, maxCashBuy: _Optional[float] = ..., maxCashAndMarginBuy: _Optional[float] = ..., maxPositionSell: _Optional[float] = ..., maxSellShort: _Optional[float] = ..., maxBuyBack: _Optional[float] = ..., longRequiredIM: _Optional[float] = ..., shortRequiredIM: _Optional[float] = ..., session: _Optional[int] = ...) -> None: ...

class GetMaxTrdQtysS2C(_message.Message):
    __slots__ = ("header", "maxTrdQtys")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    MAXTRDQTYS_FIELD_NUMBER: _ClassVar[int]
    header: _opend_pb2.TrdHeader
    maxTrdQtys: MaxTrdQtys
    def __init__(self, header: _Optional[_Union[_opend_pb2.TrdHeader, _Mapping]] = ..., maxTrdQtys: _Optional[_Union[MaxTrdQtys, _Mapping]] = ...) -> None: ...

class GetMaxTrdQtysResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: GetMaxTrdQtysS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[GetMaxTrdQtysS2C, _Mapping]] = ...) -> None: ...
