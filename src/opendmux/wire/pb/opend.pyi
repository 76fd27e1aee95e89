from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PacketID(_message.Message):
    __slots__ = ("connID", "serialNo")
    CONNID_FIELD_NUMBER: _ClassVar[int]
    SERIALNO_FIELD_NUMBER: _ClassVar[int]
    connID: int
    serialNo: int
    def __init__(self, connID: _Optional[int] = ..., serialNo: _Optional[int] = ...) -> None: ...

class ProgramStatus(_message.Message):
    __slots__ = ("type", "strExtDesc")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STREXTDESC_FIELD_NUMBER: _ClassVar[int]
    type: int
    strExtDesc: str
    def __init__(self, type: _Optional[int] = ..., strExtDesc: _Optional[str] = ...) -> None: ...

class Security(_message.Message):
    __slots__ = ("market", "code")
    MARKET_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    market: int
    code: str
    def __init__(self, market: _Optional[int] = ..., code: _Optional[str] = ...) -> None: ...

class QotHeader(_message.Message):
    __slots__ = ("securityFirm",)
    SECURITYFIRM_FIELD_NUMBER: _ClassVar[int]
    securityFirm: int
    def __init__(self, securityFirm: _Optional[int] = ...) -> None: ...

class TrdHeader(_message.Message):
    __slots__ = ("trdEnv", "accID", "trdMarket", "jpAccType")
    TRDENV_FIELD_NUMBER: _ClassVar[int]
    ACCID_FIELD_NUMBER: _ClassVar[int]
    TRDMARKET_FIELD_NUMBER: _ClassVar[int]
    JPACCTYPE_FIELD_NUMBER: _ClassVar[int]
    trdEnv: int
    accID: int
    trdMarket: int
    jpAccType: int
    def __init__(self, trdEnv: _Optional[int] = ..., accID: _Optional[int] = ..., trdMarket: _Optional[int] = ..., jpAccType: _Optional[int] = ...) -> None: ...

class ResponseHead(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ...) -> None: ...

class InitConnectC2S(_message.Message):
    __slots__ = ("clientVer", "clientID", "recvNotify", "packetEncAlgo", "pushProtoFmt", "programmingLanguage", "aiType")
    CLIENTVER_FIELD_NUMBER: _ClassVar[int]
    CLIENTID_FIELD_NUMBER: _ClassVar[int]
    RECVNOTIFY_FIELD_NUMBER: _ClassVar[int]
    PACKETENCALGO_FIELD_NUMBER: _ClassVar[int]
    PUSHPROTOFMT_FIELD_NUMBER: _ClassVar[int]
    PROGRAMMINGLANGUAGE_FIELD_NUMBER: _ClassVar[int]
    AITYPE_FIELD_NUMBER: _ClassVar[int]
    clientVer: int
    clientID: str
    recvNotify: bool
    packetEncAlgo: int
    pushProtoFmt: int
    programmingLanguage: str
    aiType: int
    def __init__(self, clientVer: _Optional[int] = ..., clientID: _Optional[str] = ..., recvNotify: _Optional[bool] = ..., packetEncAlgo: _Optional[int] = ..., pushProtoFmt: _Optional[int] = ..., programmingLanguage: _Optional[str] = ..., aiType: _Optional[int] = ...) -> None: ...

class InitConnectS2C(_message.Message):
    __slots__ = ("serverVer", "loginUserID", "connID", "connAESKey", "keepAliveInterval", "aesCBCiv", "userAttribution")
    SERVERVER_FIELD_NUMBER: _ClassVar[int]
    LOGINUSERID_FIELD_NUMBER: _ClassVar[int]
    CONNID_FIELD_NUMBER: _ClassVar[int]
    CONNAESKEY_FIELD_NUMBER: _ClassVar[int]
    KEEPALIVEINTERVAL_FIELD_NUMBER: _ClassVar[int]
    AESCBCIV_FIELD_NUMBER: _ClassVar[int]
    USERATTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    serverVer: int
    loginUserID: int
    connID: int
    connAESKey: str
    keepAliveInterval: int
    aesCBCiv: str
    userAttribution: int
    def __init__(self, serverVer: _Optional[int] = ..., loginUserID: _Optional[int] = ..., connID: _Optional[int] = ..., connAESKey: _Optional[str] = ..., keepAliveInterval: _Optional[int] = ..., aesCBCiv: _Optional[str] = ..., userAttribution: _Optional[int] = ...) -> None: ...

class InitConnectRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: InitConnectC2S
    def __init__(self, c2s: _Optional[_Union[InitConnectC2S, _Mapping]] = ...) -> None: ...

class InitConnectResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: InitConnectS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[InitConnectS2C, _Mapping]] = ...) -> None: ...

class InitWebSocketC2S(_message.Message):
    __slots__ = ("IP", "Port", "RSAPrivateKey", "websocketKey", "clientID", "programmingLanguage")
    IP_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    RSAPRIVATEKEY_FIELD_NUMBER: _ClassVar[int]
    WEBSOCKETKEY_FIELD_NUMBER: _ClassVar[int]
    CLIENTID_FIELD_NUMBER: _ClassVar[int]
    PROGRAMMINGLANGUAGE_FIELD_NUMBER: _ClassVar[int]
    IP: str
    Port: int
    RSAPrivateKey: str
    websocketKey: str
    clientID: str
    programmingLanguage: str
    def __init__(self, IP: _Optional[str] = ..., Port: _Optional[int] = ..., RSAPrivateKey: _Optional[str] = ..., websocketKey: _Optional[str] = ..., clientID: _Optional[str] = ..., programmingLanguage: _Optional[str] = ...) -> None: ...

class InitWebSocketS2C(_message.Message):
    __slots__ = ("serverTime", "connID")
    SERVERTIME_FIELD_NUMBER: _ClassVar[int]
    CONNID_FIELD_NUMBER: _ClassVar[int]
    serverTime: int
    connID: int
    def __init__(self, serverTime: _Optional[int] = ..., connID: _Optional[int] = ...) -> None: ...

class InitWebSocketRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: InitWebSocketC2S
    def __init__(self, c2s: _Optional[_Union[InitWebSocketC2S, _Mapping]] = ...) -> None: ...

class InitWebSocketResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: InitWebSocketS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[InitWebSocketS2C, _Mapping]] = ...) -> None: ...

class GetGlobalStateC2S(_message.Message):
    __slots__ = ("userID",)
    USERID_FIELD_NUMBER: _ClassVar[int]
    userID: int
    def __init__(self, userID: _Optional[int] = ...) -> None: ...

class GetGlobalStateS2C(_message.Message):
    __slots__ = ("marketHK", "marketUS", "marketSH", "marketSZ", "marketHKFuture", "qotLogined", "trdLogined", "serverVer", "serverBuildNo", "time", "localTime", "programStatus", "qotSvrIpAddr", "trdSvrIpAddr", "marketUSFuture", "connID", "marketSGFuture", "marketJPFuture", "marketSG", "marketMY", "marketJP")
    MARKETHK_FIELD_NUMBER: _ClassVar[int]
    MARKETUS_FIELD_NUMBER: _ClassVar[int]
    MARKETSH_FIELD_NUMBER: _ClassVar[int]
    MARKETSZ_FIELD_NUMBER: _ClassVar[int]
    MARKETHKFUTURE_FIELD_NUMBER: _ClassVar[int]
    QOTLOGINED_FIELD_NUMBER: _ClassVar[int]
    TRDLOGINED_FIELD_NUMBER: _ClassVar[int]
    SERVERVER_FIELD_NUMBER: _ClassVar[int]
    SERVERBUILDNO_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    LOCALTIME_FIELD_NUMBER: _ClassVar[int]
    PROGRAMSTATUS_FIELD_NUMBER: _ClassVar[int]
    QOTSVRIPADDR_FIELD_NUMBER: _ClassVar[int]
    TRDSVRIPADDR_FIELD_NUMBER: _ClassVar[int]
    MARKETUSFUTURE_FIELD_NUMBER: _ClassVar[int]
    CONNID_FIELD_NUMBER: _ClassVar[int]
    MARKETSGFUTURE_FIELD_NUMBER: _ClassVar[int]
    MARKETJPFUTURE_FIELD_NUMBER: _ClassVar[int]
    MARKETSG_FIELD_NUMBER: _ClassVar[int]
    MARKETMY_FIELD_NUMBER: _ClassVar[int]
    MARKETJP_FIELD_NUMBER: _ClassVar[int]
    marketHK: int
    marketUS: int
    marketSH: int
    marketSZ: int
    marketHKFuture: int
    qotLogined: bool
    trdLogined: bool
    serverVer: int
    serverBuildNo: int
    time: int
    localTime: float
    programStatus: ProgramStatus
    qotSvrIpAddr: str
    trdSvrIpAddr: str
    marketUSFuture: int
    connID: int
    marketSGFuture: int
    marketJPFuture: int
    marketSG: int
    marketMY: int
    marketJP: int
    def __init__(self, marketHK: _Optional[int] = ..., marketUS: _Optional[int] = ..., marketSH: _Optional[int] = ..., marketSZ: _Optional[int] = ..., marketHKFuture: _Optional[int] = ..., qotLogined: _Optional[bool] = ..., trdLogined: _Optional[bool] = ..., serverVer: _Optional[int] = ..., serverBuildNo: _Optional[int] = ..., time: _Optional[int] = ..., localTime: _Optional[float] = ..., programStatus: _Optional[_Union[ProgramStatus, _Mapping]] = ..., qotSvrIpAddr: _Optional[str] = ..., trdSvrIpAddr: _Optional[str] = ..., marketUSFuture: _Optional[int] = ..., connID: _Optional[int] = ..., marketSGFuture: _Optional[int] = ..., marketJPFuture: _Optional[int] = ..., marketSG: _Optional[int] = ..., marketMY: _Optional[int] = ..., marketJP: _Optional[int] = ...) -> None: ...

class GetGlobalStateRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetGlobalStateC2S
    def __init__(self, c2s: _Optional[_Union[GetGlobalStateC2S, _Mapping]] = ...) -> None: ...

class GetGlobalStateResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: GetGlobalStateS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[GetGlobalStateS2C, _Mapping]] = ...) -> None: ...

class NotifyGtwEvent(_message.Message):
    __slots__ = ("eventType", "desc")
    EVENTTYPE_FIELD_NUMBER: _ClassVar[int]
    DESC_FIELD_NUMBER: _ClassVar[int]
    eventType: int
    desc: str
    def __init__(self, eventType: _Optional[int] = ..., desc: _Optional[str] = ...) -> None: ...

class NotifyProgramStatus(_message.Message):
    __slots__ = ("programStatus",)
    PROGRAMSTATUS_FIELD_NUMBER: _ClassVar[int]
    programStatus: ProgramStatus
    def __init__(self, programStatus: _Optional[_Union[ProgramStatus, _Mapping]] = ...) -> None: ...

class NotifyConnectStatus(_message.Message):
    __slots__ = ("qotLogined", "trdLogined")
    QOTLOGINED_FIELD_NUMBER: _ClassVar[int]
    TRDLOGINED_FIELD_NUMBER: _ClassVar[int]
    qotLogined: bool
    trdLogined: bool
    def __init__(self, qotLogined: _Optional[bool] = ..., trdLogined: _Optional[bool] = ...) -> None: ...

class NotifyQotRight(_message.Message):
    __slots__ = ("hkQotRight", "usQotRight", "cnQotRight", "hkOptionQotRight", "hasUSOptionQotRight", "hkFutureQotRight", "usFutureQotRight", "usOptionQotRight", "usIndexQotRight", "usOtcQotRight", "sgFutureQotRight", "jpFutureQotRight", "usCMEFutureQotRight", "usCBOTFutureQotRight", "usNYMEXFutureQotRight", "usCOMEXFutureQotRight", "usCBOEFutureQotRight", "shQotRight", "szQotRight", "ccQotRight", "sgStockQotRight", "myStockQotRight", "jpStockQotRight", "ecQotRight")
    HKQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    CNQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    HKOPTIONQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    HASUSOPTIONQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    HKFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USOPTIONQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USINDEXQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USOTCQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    SGFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    JPFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USCMEFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USCBOTFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USNYMEXFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USCOMEXFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USCBOEFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    SHQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    SZQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    CCQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    SGSTOCKQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    MYSTOCKQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    JPSTOCKQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    ECQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    hkQotRight: int
    usQotRight: int
    cnQotRight: int
    hkOptionQotRight: int
    hasUSOptionQotRight: bool
    hkFutureQotRight: int
    usFutureQotRight: int
    usOptionQotRight: int
    usIndexQotRight: int
    usOtcQotRight: int
    sgFutureQotRight: int
    jpFutureQotRight: int
    usCMEFutureQotRight: int
    usCBOTFutureQotRight: int
    usNYMEXFutureQotRight: int
    usCOMEXFutureQotRight: int
    usCBOEFutureQotRight: int
    shQotRight: int
    szQotRight: int
    ccQotRight: int
    sgStockQotRight: int
    myStockQotRight: int
    jpStockQotRight: int
    ecQotRight: int
    def __init__(self, hkQotRight: _Optional[int] = ..., usQotRight: _Optional[int] = ..., cnQotRight: _Optional[int] = ..., hkOptionQotRight: _Optional[int] = ..., hasUSOptionQotRight: _Optional[bool] = ..., hkFutureQotRight: _Optional[int] = ..., usFutureQotRight: _Optional[int] = ..., usOptionQotRight: _Optional[int] = ..., usIndexQotRight: _Optional[int] = ..., usOtcQotRight: _Optional[int] = ..., sgFutureQotRight: _Optional[int] = ..., jpFutureQotRight: _Optional[int] = ..., usCMEFutureQotRight: _Optional[int] = ..., usCBOTFutureQotRight: _Optional[int] = ..., usNYMEXFutureQotRight: _Optional[int] = ..., usCOMEXFutureQotRight: _Optional[int] = ..., usCBOEFutureQotRight: _Optional[int] = ..., shQotRight: _Optional[int] = ..., szQotRight: _Optional[int] = ..., ccQotRight: _Optional[int] = ..., sgStockQotRight: _Optional[int] = ..., myStockQotRight: _Optional[int] = ..., jpStockQotRight: _Optional[int] = ..., ecQotRight: _Optional[int] = ...) -> None: ...

class NotifyAPILevel(_message.Message):
    __slots__ = ("apiLevel",)
    APILEVEL_FIELD_NUMBER: _ClassVar[int]
    apiLevel: str
    def __init__(self, apiLevel: _Optional[str] = ...) -> None: ...

class NotifyAPIQuota(_message.Message):
    __slots__ = ("subQuota", "historyKLQuota")
    SUBQUOTA_FIELD_NUMBER: _ClassVar[int]
    HISTORYKLQUOTA_FIELD_NUMBER: _ClassVar[int]
    subQuota: int
    historyKLQuota: int
    def __init__(self, subQuota: _Optional[int] = ..., historyKLQuota: _Optional[int] = ...) -> None: ...

class NotifyUsedQuota(_message.Message):
    __slots__ = ("usedSubQuota", "usedKLineQuota")
    USEDSUBQUOTA_FIELD_NUMBER: _ClassVar[int]
    USEDKLINEQUOTA_FIELD_NUMBER: _ClassVar[int]
    usedSubQuota: int
    usedKLineQuota: int
    def __init__(self, usedSubQuota: _Optional[int] = ..., usedKLineQuota: _Optional[int] = ...) -> None: ...

class NotifyS2C(_message.Message):
    __slots__ = ("type", "event", "programStatus", "connectStatus", "qotRight", "apiLevel", "apiQuota", "usedQuota")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    PROGRAMSTATUS_FIELD_NUMBER: _ClassVar[int]
    CONNECTSTATUS_FIELD_NUMBER: _ClassVar[int]
    QOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    APILEVEL_FIELD_NUMBER: _ClassVar[int]
    APIQUOTA_FIELD_NUMBER: _ClassVar[int]
    USEDQUOTA_FIELD_NUMBER: _ClassVar[int]
    type: int
    event: NotifyGtwEvent
    programStatus: NotifyProgramStatus
    connectStatus: NotifyConnectStatus
    qotRight: NotifyQotRight
    apiLevel: NotifyAPILevel
    apiQuota: NotifyAPIQuota
    usedQuota: NotifyUsedQuota
    def __init__(self, type: _Optional[int] = ..., event: _Optional[_Union[NotifyGtwEvent, _Mapping]] = ..., programStatus: _Optional[_Union[NotifyProgramStatus, _Mapping]] = ..., connectStatus: _Optional[_Union[NotifyConnectStatus, _Mapping]] = ..., qotRight: _Optional[_Union[NotifyQotRight, _Mapping]] = ..., apiLevel: _Optional[_Union[NotifyAPILevel, _Mapping]] = ..., apiQuota: _Optional[_Union[NotifyAPIQuota, _Mapping]] = ..., usedQuota: _Optional[_Union[NotifyUsedQuota, _Mapping]] = ...) -> None: ...

class NotifyResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: NotifyS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[NotifyS2C, _Mapping]] = ...) -> None: ...

class KeepAliveC2S(_message.Message):
    __slots__ = ("time",)
    TIME_FIELD_NUMBER: _ClassVar[int]
    time: int
    def __init__(self, time: _Optional[int] = ...) -> None: ...

class KeepAliveS2C(_message.Message):
    __slots__ = ("time",)
    TIME_FIELD_NUMBER: _ClassVar[int]
    time: int
    def __init__(self, time: _Optional[int] = ...) -> None: ...

class KeepAliveRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: KeepAliveC2S
    def __init__(self, c2s: _Optional[_Union[KeepAliveC2S, _Mapping]] = ...) -> None: ...

class KeepAliveResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: KeepAliveS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[KeepAliveS2C, _Mapping]] = ...) -> None: ...

class GetUserInfoC2S(_message.Message):
    __slots__ = ("flag",)
    FLAG_FIELD_NUMBER: _ClassVar[int]
    flag: int
    def __init__(self, flag: _Optional[int] = ...) -> None: ...

class GetUserInfoRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetUserInfoC2S
    def __init__(self, c2s: _Optional[_Union[GetUserInfoC2S, _Mapping]] = ...) -> None: ...

class GetUserInfoS2C(_message.Message):
    __slots__ = ("nickName", "avatarUrl", "apiLevel", "hkQotRight", "usQotRight", "cnQotRight", "isNeedAgreeDisclaimer", "userID", "updateType", "webKey", "hkOptionQotRight", "hasUSOptionQotRight", "hkFutureQotRight", "subQuota", "historyKLQuota", "usFutureQotRight", "usOptionQotRight", "webJumpUrlHead", "userAttribution", "updateWhatsNew", "usIndexQotRight", "usOtcQotRight", "usCMEFutureQotRight", "usCBOTFutureQotRight", "usNYMEXFutureQotRight", "usCOMEXFutureQotRight", "usCBOEFutureQotRight", "sgFutureQotRight", "jpFutureQotRight", "isAppNNOrMM", "shQotRight", "szQotRight", "extra", "ccQotRight", "sgStockQotRight", "myStockQotRight", "jpStockQotRight", "ecQotRight")
    NICKNAME_FIELD_NUMBER: _ClassVar[int]
    AVATARURL_FIELD_NUMBER: _ClassVar[int]
    APILEVEL_FIELD_NUMBER: _ClassVar[int]
    HKQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    CNQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    ISNEEDAGREEDISCLAIMER_FIELD_NUMBER: _ClassVar[int]
    USERID_FIELD_NUMBER: _ClassVar[int]
    UPDATETYPE_FIELD_NUMBER: _ClassVar[int]
    WEBKEY_FIELD_NUMBER: _ClassVar[int]
    HKOPTIONQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    HASUSOPTIONQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    HKFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    SUBQUOTA_FIELD_NUMBER: _ClassVar[int]
    HISTORYKLQUOTA_FIELD_NUMBER: _ClassVar[int]
    USFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USOPTIONQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    WEBJUMPURLHEAD_FIELD_NUMBER: _ClassVar[int]
    USERATTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    UPDATEWHATSNEW_FIELD_NUMBER: _ClassVar[int]
    USINDEXQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USOTCQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USCMEFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USCBOTFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USNYMEXFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USCOMEXFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    USCBOEFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    SGFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    JPFUTUREQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    ISAPPNNORMM_FIELD_NUMBER: _ClassVar[int]
    SHQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    SZQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    CCQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    SGSTOCKQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    MYSTOCKQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    JPSTOCKQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    ECQOTRIGHT_FIELD_NUMBER: _ClassVar[int]
    nickName: str
    avatarUrl: str
    apiLevel: str
    hkQotRight: int
    usQotRight: int
    cnQotRight: int
    isNeedAgreeDisclaimer: bool
    userID: int
    updateType: int
    webKey: str
    hkOptionQotRight: int
    hasUSOptionQotRight: bool
    hkFutureQotRight: int
    subQuota: int
    historyKLQuota: int
    usFutureQotRight: int
    usOptionQotRight: int
    webJumpUrlHead: str
    userAttribution: int
    updateWhatsNew: str
    usIndexQotRight: int
    usOtcQotRight: int
    usCMEFutureQotRight: int
    usCBOTFutureQotRight: int
    usNYMEXFutureQotRight: int
    usCOMEXFutureQotRight: int
    usCBOEFutureQotRight: int
    sgFutureQotRight: int
    jpFutureQotRight: int
    isAppNNOrMM: bool
    shQotRight: int
    szQotRight: int
    extra: int
    ccQotRight: int
    sgStockQotRight: int
    myStockQotRight: int
    jpStockQotRight: int
    ecQotRight: int
    def __init__(self, nickName: _Optional[str] = ..., avatarUrl: _Optional[str] = ..., apiLevel: _Optional[str] = ..., hkQotRight: _Optional[int] = ..., usQotRight: _Optional[int] = ..., cnQotRight: _Optional[int] = ..., isNeedAgreeDisclaimer: _Optional[bool] = ..., userID: _Optional[int] = ..., updateType: _Optional[int] = ..., webKey: _Optional[str] = ..., hkOptionQotRight: _Optional[int] = ..., hasUSOptionQotRight: _Optional[bool] = ..., hkFutureQotRight: _Optional[int] = ..., subQuota: _Optional[int] = ..., historyKLQuota: _Optional[int] = ..., usFutureQotRight: _Optional[int] = ..., usOptionQotRight: _Optional[int] = ..., webJumpUrlHead: _Optional[str] = ..., userAttribution: _Optional[int] = ..., updateWhatsNew: _Optional[str] = ..., usIndexQotRight: _Optional[int] = ..., usOtcQotRight: _Optional[int] = ..., usCMEFutureQotRight: _Optional[int] = ..., usCBOTFutureQotRight: _Optional[int] = ..., usNYMEXFutureQotRight: _Optional[int] = ..., usCOMEXFutureQotRight: _Optional[int] = ..., usCBOEFutureQotRight: _Optional[int] = ..., sgFutureQotRight: _Optional[int] = ..., jpFutureQotRight: _Optional[int] = ..., isAppNNOrMM: _Optional[bool] = ..., shQotRight: _Optional[int] = ..., szQotRight: _Optional[int] = ..., extra: _Optional[int] = ..., ccQotRight: _Optional[int] = ..., sgStockQotRight: _Optional[int] = ..., myStockQotRight: _Optional[int] = ..., jpStockQotRight: _Optional[int] = ..., ecQotRight: _Optional[int] = ...) -> None: ...

class GetUserInfoResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: GetUserInfoS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[GetUserInfoS2C, _Mapping]] = ...) -> None: ...

class VerificationC2S(_message.Message):
    __slots__ = ("type", "op", "code")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    OP_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    type: int
    op: int
    code: str
    def __init__(self, type: _Optional[int] = ..., op: _Optional[int] = ..., code: _Optional[str] = ...) -> None: ...

class VerificationS2C(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerificationRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: VerificationC2S
    def __init__(self, c2s: _Optional[_Union[VerificationC2S, _Mapping]] = ...) -> None: ...

class VerificationResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: VerificationS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[VerificationS2C, _Mapping]] = ...) -> None: ...

class TrdAcc(_message.Message):
    __slots__ = ("trdEnv", "accID", "trdMarketAuthList", "accType", "cardNum", "securityFirm", "simAccType", "uniCardNum", "accStatus", "accRole", "jpAccType", "competitionAccName")
    TRDENV_FIELD_NUMBER: _ClassVar[int]
    ACCID_FIELD_NUMBER: _ClassVar[int]
    TRDMARKETAUTHLIST_FIELD_NUMBER: _ClassVar[int]
    ACCTYPE_FIELD_NUMBER: _ClassVar[int]
    CARDNUM_FIELD_NUMBER: _ClassVar[int]
    SECURITYFIRM_FIELD_NUMBER: _ClassVar[int]
    SIMACCTYPE_FIELD_NUMBER: _ClassVar[int]
    UNICARDNUM_FIELD_NUMBER: _ClassVar[int]
    ACCSTATUS_FIELD_NUMBER: _ClassVar[int]
    ACCROLE_FIELD_NUMBER: _ClassVar[int]
    JPACCTYPE_FIELD_NUMBER: _ClassVar[int]
    COMPETITIONACCNAME_FIELD_NUMBER: _ClassVar[int]
    trdEnv: int
    accID: int
    trdMarketAuthList: _containers.RepeatedScalarFieldContainer[int]
    accType: int
    cardNum: str
    securityFirm: int
    simAccType: int
    uniCardNum: str
    accStatus: int
    accRole: int
    jpAccType: _containers.RepeatedScalarFieldContainer[int]
    competitionAccName: str
    def __init__(self, trdEnv: _Optional[int] = ..., accID: _Optional[int] = ..., trdMarketAuthList: _Optional[_Iterable[int]] = ..., accType: _Optional[int] = ..., cardNum: _Optional[str] = ..., securityFirm: _Optional[int] = ..., simAccType: _Optional[int] = ..., uniCardNum: _Optional[str] = ..., accStatus: _Optional[int] = ..., accRole: _Optional[int] = ..., jpAccType: _Optional[_Iterable[int]] = ..., competitionAccName: _Optional[str] = ...) -> None: ...

class GetAccListC2S(_message.Message):
    __slots__ = ("userID", "trdCategory", "needGeneralSecAccount")
    USERID_FIELD_NUMBER: _ClassVar[int]
    TRDCATEGORY_FIELD_NUMBER: _ClassVar[int]
    NEEDGENERALSECACCOUNT_FIELD_NUMBER: _ClassVar[int]
    userID: int
    trdCategory: int
    needGeneralSecAccount: bool
    def __init__(self, userID: _Optional[int] = ..., trdCategory: _Optional[int] = ..., needGeneralSecAccount: _Optional[bool] = ...) -> None: ...

class GetAccListS2C(_message.Message):
    __slots__ = ("accList",)
    ACCLIST_FIELD_NUMBER: _ClassVar[int]
    accList: _containers.RepeatedCompositeFieldContainer[TrdAcc]
    def __init__(self, accList: _Optional[_Iterable[_Union[TrdAcc, _Mapping]]] = ...) -> None: ...

class GetAccListRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetAccListC2S
    def __init__(self, c2s: _Optional[_Union[GetAccListC2S, _Mapping]] = ...) -> None: ...

class GetAccListResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: GetAccListS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[GetAccListS2C, _Mapping]] = ...) -> None: ...

class UnlockTradeC2S(_message.Message):
    __slots__ = ("unlock", "pwdMD5", "securityFirm")
    UNLOCK_FIELD_NUMBER: _ClassVar[int]
    PWDMD5_FIELD_NUMBER: _ClassVar[int]
    SECURITYFIRM_FIELD_NUMBER: _ClassVar[int]
    unlock: bool
    pwdMD5: str
    securityFirm: int
    def __init__(self, unlock: _Optional[bool] = ..., pwdMD5: _Optional[str] = ..., securityFirm: _Optional[int] = ...) -> None: ...

class UnlockTradeRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: UnlockTradeC2S
    def __init__(self, c2s: _Optional[_Union[UnlockTradeC2S, _Mapping]] = ...) -> None: ...

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UnlockTradeResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: Empty
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[Empty, _Mapping]] = ...) -> None: ...

class SubAccPushC2S(_message.Message):
    __slots__ = ("accIDList",)
    ACCIDLIST_FIELD_NUMBER: _ClassVar[int]
    accIDList: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, accIDList: _Optional[_Iterable[int]] = ...) -> None: ...

class SubAccPushRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: SubAccPushC2S
    def __init__(self, c2s: _Optional[_Union[SubAccPushC2S, _Mapping]] = ...) -> None: ...

class SubAccPushResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: Empty
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[Empty, _Mapping]] = ...) -> None: ...

class SubC2S(_message.Message):
    __slots__ = ("securityList", "subTypeList", "isSubOrUnSub", "isRegOrUnRegPush", "regPushRehabTypeList", "isFirstPush", "isUnsubAll", "isSubOrderBookDetail", "extendedTime", "session", "header")
    SECURITYLIST_FIELD_NUMBER: _ClassVar[int]
    SUBTYPELIST_FIELD_NUMBER: _ClassVar[int]
    ISSUBORUNSUB_FIELD_NUMBER: _ClassVar[int]
    ISREGORUNREGPUSH_FIELD_NUMBER: _ClassVar[int]
    REGPUSHREHABTYPELIST_FIELD_NUMBER: _ClassVar[int]
    ISFIRSTPUSH_FIELD_NUMBER: _ClassVar[int]
    ISUNSUBALL_FIELD_NUMBER: _ClassVar[int]
    ISSUBORDERBOOKDETAIL_FIELD_NUMBER: _ClassVar[int]
    EXTENDEDTIME_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    securityList: _containers.RepeatedCompositeFieldContainer[Security]
    subTypeList: _containers.RepeatedScalarFieldContainer[int]
    isSubOrUnSub: bool
    isRegOrUnRegPush: bool
    regPushRehabTypeList: _containers.RepeatedScalarFieldContainer[int]
    isFirstPush: bool
    isUnsubAll: bool
    isSubOrderBookDetail: bool
    extendedTime: bool
    session: int
    header: QotHeader
    def __init__(self, securityList: _Optional[_Iterable[_Union[Security, _Mapping]]] = ..., subTypeList: _Optional[_Iterable[int]] = ..., isSubOrUnSub: _Optional[bool] = ..., isRegOrUnRegPush: _Optional[bool] = ..., regPushRehabTypeList: _Optional[_Iterable[int]] = ..., isFirstPush: _Optional[bool] = ..., isUnsubAll: _Optional[bool] = ..., isSubOrderBookDetail: _Optional[bool] = ..., extendedTime: _Optional[bool] = ..., session: _Optional[int] = ..., header: _Optional[_Union[QotHeader, _Mapping]] = ...) -> None: ...

class SubRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: SubC2S
    def __init__(self, c2s: _Optional[_Union[SubC2S, _Mapping]] = ...) -> None: ...

class SubEventContractC2S(_message.Message):
    __slots__ = ("securityList", "subTypeList", "isSubOrUnSub", "isRegOrUnRegPush", "isFirstPush", "isUnsubAll", "klineSource", "header")
    SECURITYLIST_FIELD_NUMBER: _ClassVar[int]
    SUBTYPELIST_FIELD_NUMBER: _ClassVar[int]
    ISSUBORUNSUB_FIELD_NUMBER: _ClassVar[int]
    ISREGORUNREGPUSH_FIELD_NUMBER: _ClassVar[int]
    ISFIRSTPUSH_FIELD_NUMBER: _ClassVar[int]
    ISUNSUBALL_FIELD_NUMBER: _ClassVar[int]
    KLINESOURCE_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    securityList: _containers.RepeatedCompositeFieldContainer[Security]
    subTypeList: _containers.RepeatedScalarFieldContainer[int]
    isSubOrUnSub: bool
    isRegOrUnRegPush: bool
    isFirstPush: bool
    isUnsubAll: bool
    klineSource: _containers.RepeatedScalarFieldContainer[int]
    header: QotHeader
    def __init__(self, securityList: _Optional[_Iterable[_Union[Security, _Mapping]]] = ..., subTypeList: _Optional[_Iterable[int]] = ..., isSubOrUnSub: _Optional[bool] = ..., isRegOrUnRegPush: _Optional[bool] = ..., isFirstPush: _Optional[bool] = ..., isUnsubAll: _Optional[bool] = ..., klineSource: _Optional[_Iterable[int]] = ..., header: _Optional[_Union[QotHeader, _Mapping]] = ...) -> None: ...

class SubEventContractRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: SubEventContractC2S
    def __init__(self, c2s: _Optional[_Union[SubEventContractC2S, _Mapping]] = ...) -> None: ...

class SubResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: Empty
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[Empty, _Mapping]] = ...) -> None: ...

class RegQotPushC2S(_message.Message):
    __slots__ = ("securityList", "subTypeList", "rehabTypeList", "isRegOrUnReg", "isFirstPush", "header")
    SECURITYLIST_FIELD_NUMBER: _ClassVar[int]
    SUBTYPELIST_FIELD_NUMBER: _ClassVar[int]
    REHABTYPELIST_FIELD_NUMBER: _ClassVar[int]
    ISREGORUNREG_FIELD_NUMBER: _ClassVar[int]
    ISFIRSTPUSH_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    securityList: _containers.RepeatedCompositeFieldContainer[Security]
    subTypeList: _containers.RepeatedScalarFieldContainer[int]
    rehabTypeList: _containers.RepeatedScalarFieldContainer[int]
    isRegOrUnReg: bool
    isFirstPush: bool
    header: QotHeader
    def __init__(self, securityList: _Optional[_Iterable[_Union[Security, _Mapping]]] = ..., subTypeList: _Optional[_Iterable[int]] = ..., rehabTypeList: _Optional[_Iterable[int]] = ..., isRegOrUnReg: _Optional[bool] = ..., isFirstPush: _Optional[bool] = ..., header: _Optional[_Union[QotHeader, _Mapping]] = ...) -> None: ...

class RegQotPushRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: RegQotPushC2S
    def __init__(self, c2s: _Optional[_Union[RegQotPushC2S, _Mapping]] = ...) -> None: ...

class HistoryQuotaC2S(_message.Message):
    __slots__ = ("bGetDetail",)
    BGETDETAIL_FIELD_NUMBER: _ClassVar[int]
    bGetDetail: bool
    def __init__(self, bGetDetail: _Optional[bool] = ...) -> None: ...

class HistoryQuotaRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: HistoryQuotaC2S
    def __init__(self, c2s: _Optional[_Union[HistoryQuotaC2S, _Mapping]] = ...) -> None: ...

class HistoryQuotaS2C(_message.Message):
    __slots__ = ("usedQuota", "remainQuota")
    USEDQUOTA_FIELD_NUMBER: _ClassVar[int]
    REMAINQUOTA_FIELD_NUMBER: _ClassVar[int]
    usedQuota: int
    remainQuota: int
    def __init__(self, usedQuota: _Optional[int] = ..., remainQuota: _Optional[int] = ...) -> None: ...

class HistoryQuotaResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: HistoryQuotaS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[HistoryQuotaS2C, _Mapping]] = ...) -> None: ...

class SubInfo(_message.Message):
    __slots__ = ("subType", "securityList")
    SUBTYPE_FIELD_NUMBER: _ClassVar[int]
    SECURITYLIST_FIELD_NUMBER: _ClassVar[int]
    subType: int
    securityList: _containers.RepeatedCompositeFieldContainer[Security]
    def __init__(self, subType: _Optional[int] = ..., securityList: _Optional[_Iterable[_Union[Security, _Mapping]]] = ...) -> None: ...

class ConnSubInfo(_message.Message):
    __slots__ = ("subInfoList", "usedQuota", "isOwnConnData", "securityFirm", "optionUsedQuota")
    SUBINFOLIST_FIELD_NUMBER: _ClassVar[int]
    USEDQUOTA_FIELD_NUMBER: _ClassVar[int]
    ISOWNCONNDATA_FIELD_NUMBER: _ClassVar[int]
    SECURITYFIRM_FIELD_NUMBER: _ClassVar[int]
    OPTIONUSEDQUOTA_FIELD_NUMBER: _ClassVar[int]
    subInfoList: _containers.RepeatedCompositeFieldContainer[SubInfo]
    usedQuota: int
    isOwnConnData: bool
    securityFirm: int
    optionUsedQuota: int
    def __init__(self, subInfoList: _Optional[_Iterable[_Union[SubInfo, _Mapping]]] = ..., usedQuota: _Optional[int] = ..., isOwnConnData: _Optional[bool] = ..., securityFirm: _Optional[int] = ..., optionUsedQuota: _Optional[int] = ...) -> None: ...

class GetSubInfoC2S(_message.Message):
    __slots__ = ("isReqAllConn", "header")
    ISREQALLCONN_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    isReqAllConn: bool
    header: QotHeader
    def __init__(self, isReqAllConn: _Optional[bool] = ..., header: _Optional[_Union[QotHeader, _Mapping]] = ...) -> None: ...

class GetSubInfoRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetSubInfoC2S
    def __init__(self, c2s: _Optional[_Union[GetSubInfoC2S, _Mapping]] = ...) -> None: ...

class GetSubInfoS2C(_message.Message):
    __slots__ = ("connSubInfoList", "totalUsedQuota", "remainQuota", "optionUsedQuota", "optionRemainQuota")
    CONNSUBINFOLIST_FIELD_NUMBER: _ClassVar[int]
    TOTALUSEDQUOTA_FIELD_NUMBER: _ClassVar[int]
    REMAINQUOTA_FIELD_NUMBER: _ClassVar[int]
    OPTIONUSEDQUOTA_FIELD_NUMBER: _ClassVar[int]
    OPTIONREMAINQUOTA_FIELD_NUMBER: _ClassVar[int]
    connSubInfoList: _containers.RepeatedCompositeFieldContainer[ConnSubInfo]
    totalUsedQuota: int
    remainQuota: int
    optionUsedQuota: int
    optionRemainQuota: int
    def __init__(self, connSubInfoList: _Optional[_Iterable[_Union[ConnSubInfo, _Mapping]]] = ..., totalUsedQuota: _Optional[int] = ..., remainQuota: _Optional[int] = ..., optionUsedQuota: _Optional[int] = ..., optionRemainQuota: _Optional[int] = ...) -> None: ...

class GetSubInfoResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: GetSubInfoS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[GetSubInfoS2C, _Mapping]] = ...) -> None: ...

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
    packetID: PacketID
    header: TrdHeader
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
    def __init__(self, packetID: _Optional[_Union[PacketID, _Mapping]] = ..., header: _Optional[_Union[TrdHeader, _Mapping]] = ..., trdSide: _Optional[int] = ..., orderType: _Optional[int] = ..., code: _Optional[str] = ..., qty: _Optional[float] = ..., price: _Optional[float] = ..., adjustPrice: _Optional[bool] = ..., adjustSideAndLimit: _Optional[float] = ..., secMarket: _Optional[int] = ..., remark: _Optional[str] = ..., timeInForce: _Optional[int] = ..., fillOutsideRTH: _Optional[bool] = ..., auxPrice: _Optional[float] = ..., trailType: _Optional[int] = ..., trailValue: _Optional[float] = ..., trailSpread: _Optional[float] = ..., session: _Optional[int] = ..., positionID: _Optional[int] = ..., expireTime: _Optional[str] = ..., amount: _Optional[float] = ..., predSide: _Optional[int] = ...) -> None: ...

class PlaceOrderRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: PlaceOrderC2S
    def __init__(self, c2s: _Optional[_Union[PlaceOrderC2S, _Mapping]] = ...) -> None: ...

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
    packetID: PacketID
    header: TrdHeader
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
    def __init__(self, packetID: _Optional[_Union[PacketID, _Mapping]] = ..., header: _Optional[_Union[TrdHeader, _Mapping]] = ..., orderID: _Optional[int] = ..., modifyOrderOp: _Optional[int] = ..., forAll: _Optional[bool] = ..., trdMarket: _Optional[int] = ..., qty: _Optional[float] = ..., price: _Optional[float] = ..., adjustPrice: _Optional[bool] = ..., adjustSideAndLimit: _Optional[float] = ..., auxPrice: _Optional[float] = ..., trailType: _Optional[int] = ..., trailValue: _Optional[float] = ..., trailSpread: _Optional[float] = ..., orderIDEx: _Optional[str] = ...) -> None: ...

class ModifyOrderRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: ModifyOrderC2S
    def __init__(self, c2s: _Optional[_Union[ModifyOrderC2S, _Mapping]] = ...) -> None: ...

class ComboLeg(_message.Message):
    __slots__ = ("security", "side", "qtyRatio", "positionID", "predSide")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    QTYRATIO_FIELD_NUMBER: _ClassVar[int]
    POSITIONID_FIELD_NUMBER: _ClassVar[int]
    PREDSIDE_FIELD_NUMBER: _ClassVar[int]
    security: Security
    side: int
    qtyRatio: float
    positionID: int
    predSide: int
    def __init__(self, security: _Optional[_Union[Security, _Mapping]] = ..., side: _Optional[int] = ..., qtyRatio: _Optional[float] = ..., positionID: _Optional[int] = ..., predSide: _Optional[int] = ...) -> None: ...

class PlaceComboOrderC2S(_message.Message):
    __slots__ = ("packetID", "header", "comboLegs", "qty", "price", "orderType", "timeInForce", "expireTime", "remark", "quoteID")
    PACKETID_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    COMBOLEGS_FIELD_NUMBER: _ClassVar[int]
    QTY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    ORDERTYPE_FIELD_NUMBER: _ClassVar[int]
    TIMEINFORCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRETIME_FIELD_NUMBER: _ClassVar[int]
    REMARK_FIELD_NUMBER: _ClassVar[int]
    QUOTEID_FIELD_NUMBER: _ClassVar[int]
    packetID: PacketID
    header: TrdHeader
    comboLegs: _containers.RepeatedCompositeFieldContainer[ComboLeg]
    qty: float
    price: float
    orderType: int
    timeInForce: int
    expireTime: str
    remark: str
    quoteID: str
    def __init__(self, packetID: _Optional[_Union[PacketID, _Mapping]] = ..., header: _Optional[_Union[TrdHeader, _Mapping]] = ..., comboLegs: _Optional[_Iterable[_Union[ComboLeg, _Mapping]]] = ..., qty: _Optional[float] = ..., price: _Optional[float] = ..., orderType: _Optional[int] = ..., timeInForce: _Optional[int] = ..., expireTime: _Optional[str] = ..., remark: _Optional[str] = ..., quoteID: _Optional[str] = ...) -> None: ...

class PlaceComboOrderRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: PlaceComboOrderC2S
    def __init__(self, c2s: _Optional[_Union[PlaceComboOrderC2S, _Mapping]] = ...) -> None: ...

class ReconfirmOrderC2S(_message.Message):
    __slots__ = ("packetID", "header", "orderID", "reconfirmReason")
    PACKETID_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDERID_FIELD_NUMBER: _ClassVar[int]
    RECONFIRMREASON_FIELD_NUMBER: _ClassVar[int]
    packetID: PacketID
    header: TrdHeader
    orderID: int
    reconfirmReason: int
    def __init__(self, packetID: _Optional[_Union[PacketID, _Mapping]] = ..., header: _Optional[_Union[TrdHeader, _Mapping]] = ..., orderID: _Optional[int] = ..., reconfirmReason: _Optional[int] = ...) -> None: ...

class ReconfirmOrderRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: ReconfirmOrderC2S
    def __init__(self, c2s: _Optional[_Union[ReconfirmOrderC2S, _Mapping]] = ...) -> None: ...

class GetBasicQotC2S(_message.Message):
    __slots__ = ("securityList", "header")
    SECURITYLIST_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    securityList: _containers.RepeatedCompositeFieldContainer[Security]
    header: QotHeader
    def __init__(self, securityList: _Optional[_Iterable[_Union[Security, _Mapping]]] = ..., header: _Optional[_Union[QotHeader, _Mapping]] = ...) -> None: ...

class GetBasicQotRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetBasicQotC2S
    def __init__(self, c2s: _Optional[_Union[GetBasicQotC2S, _Mapping]] = ...) -> None: ...

class GetKLC2S(_message.Message):
    __slots__ = ("rehabType", "klType", "security", "reqNum", "header")
    REHABTYPE_FIELD_NUMBER: _ClassVar[int]
    KLTYPE_FIELD_NUMBER: _ClassVar[int]
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    REQNUM_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    rehabType: int
    klType: int
    security: Security
    reqNum: int
    header: QotHeader
    def __init__(self, rehabType: _Optional[int] = ..., klType: _Optional[int] = ..., security: _Optional[_Union[Security, _Mapping]] = ..., reqNum: _Optional[int] = ..., header: _Optional[_Union[QotHeader, _Mapping]] = ...) -> None: ...

class GetKLRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetKLC2S
    def __init__(self, c2s: _Optional[_Union[GetKLC2S, _Mapping]] = ...) -> None: ...

class GetOrderBookC2S(_message.Message):
    __slots__ = ("security", "num", "orderBookType", "header")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    NUM_FIELD_NUMBER: _ClassVar[int]
    ORDERBOOKTYPE_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    security: Security
    num: int
    orderBookType: int
    header: QotHeader
    def __init__(self, security: _Optional[_Union[Security, _Mapping]] = ..., num: _Optional[int] = ..., orderBookType: _Optional[int] = ..., header: _Optional[_Union[QotHeader, _Mapping]] = ...) -> None: ...

class GetOrderBookRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetOrderBookC2S
    def __init__(self, c2s: _Optional[_Union[GetOrderBookC2S, _Mapping]] = ...) -> None: ...

class GetOneC2S(_message.Message):
    __slots__ = ("security", "maxRetNum", "header")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    MAXRETNUM_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    security: Security
    maxRetNum: int
    header: QotHeader
    def __init__(self, security: _Optional[_Union[Security, _Mapping]] = ..., maxRetNum: _Optional[int] = ..., header: _Optional[_Union[QotHeader, _Mapping]] = ...) -> None: ...

class GetOneRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetOneC2S
    def __init__(self, c2s: _Optional[_Union[GetOneC2S, _Mapping]] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("trdSide", "orderType", "orderStatus", "orderID", "orderIDEx", "code", "qty", "price", "secMarket", "auxPrice", "trdMarket", "comboLegs")
    TRDSIDE_FIELD_NUMBER: _ClassVar[int]
    ORDERTYPE_FIELD_NUMBER: _ClassVar[int]
    ORDERSTATUS_FIELD_NUMBER: _ClassVar[int]
    ORDERID_FIELD_NUMBER: _ClassVar[int]
    ORDERIDEX_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    QTY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    SECMARKET_FIELD_NUMBER: _ClassVar[int]
    AUXPRICE_FIELD_NUMBER: _ClassVar[int]
    TRDMARKET_FIELD_NUMBER: _ClassVar[int]
    COMBOLEGS_FIELD_NUMBER: _ClassVar[int]
    trdSide: int
    orderType: int
    orderStatus: int
    orderID: int
    orderIDEx: str
    code: str
    qty: float
    price: float
    secMarket: int
    auxPrice: float
    trdMarket: int
    comboLegs: _containers.RepeatedCompositeFieldContainer[ComboLeg]
    def __init__(self, trdSide: _Optional[int] = ..., orderType: _Optional[int] = ..., orderStatus: _Optional[int] = ..., orderID: _Optional[int] = ..., orderIDEx: _Optional[str] = ..., code: _Optional[str] = ..., qty: _Optional[float] = ..., price: _Optional[float] = ..., secMarket: _Optional[int] = ..., auxPrice: _Optional[float] = ..., trdMarket: _Optional[int] = ..., comboLegs: _Optional[_Iterable[_Union[ComboLeg, _Mapping]]] = ...) -> None: ...

class TrdFilterConditions(_message.Message):
    __slots__ = ("idList", "orderIDExList")
    IDLIST_FIELD_NUMBER: _ClassVar[int]
    ORDERIDEXLIST_FIELD_NUMBER: _ClassVar[int]
    idList: _containers.RepeatedScalarFieldContainer[int]
    orderIDExList: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, idList: _Optional[_Iterable[int]] = ..., orderIDExList: _Optional[_Iterable[str]] = ...) -> None: ...

class GetOrderListC2S(_message.Message):
    __slots__ = ("header", "filterConditions", "refreshCache")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    FILTERCONDITIONS_FIELD_NUMBER: _ClassVar[int]
    REFRESHCACHE_FIELD_NUMBER: _ClassVar[int]
    header: TrdHeader
    filterConditions: TrdFilterConditions
    refreshCache: bool
    def __init__(self, header: _Optional[_Union[TrdHeader, _Mapping]] = ..., filterConditions: _Optional[_Union[TrdFilterConditions, _Mapping]] = ..., refreshCache: _Optional[bool] = ...) -> None: ...

class GetOrderListRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: GetOrderListC2S
    def __init__(self, c2s: _Optional[_Union[GetOrderListC2S, _Mapping]] = ...) -> None: ...

class GetOrderListS2C(_message.Message):
    __slots__ = ("header", "orderList")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDERLIST_FIELD_NUMBER: _ClassVar[int]
    header: TrdHeader
    orderList: _containers.RepeatedCompositeFieldContainer[Order]
    def __init__(self, header: _Optional[_Union[TrdHeader, _Mapping]] = ..., orderList: _Optional[_Iterable[_Union[Order, _Mapping]]] = ...) -> None: ...

class GetOrderListResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: GetOrderListS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[GetOrderListS2C, _Mapping]] = ...) -> None: ...

class UpdateOrderS2C(_message.Message):
    __slots__ = ("header", "order")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    header: TrdHeader
    order: Order
    def __init__(self, header: _Optional[_Union[TrdHeader, _Mapping]] = ..., order: _Optional[_Union[Order, _Mapping]] = ...) -> None: ...

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

class OrderIdS2C(_message.Message):
    __slots__ = ("header", "orderID", "orderIDEx")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDERID_FIELD_NUMBER: _ClassVar[int]
    ORDERIDEX_FIELD_NUMBER: _ClassVar[int]
    header: TrdHeader
    orderID: int
    orderIDEx: str
    def __init__(self, header: _Optional[_Union[TrdHeader, _Mapping]] = ..., orderID: _Optional[int] = ..., orderIDEx: _Optional[str] = ...) -> None: ...

class OrderIdResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: OrderIdS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[OrderIdS2C, _Mapping]] = ...) -> None: ...

class ComboOrderIdS2C(_message.Message):
    __slots__ = ("header", "orderIDEx")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ORDERIDEX_FIELD_NUMBER: _ClassVar[int]
    header: TrdHeader
    orderIDEx: str
    def __init__(self, header: _Optional[_Union[TrdHeader, _Mapping]] = ..., orderIDEx: _Optional[str] = ...) -> None: ...

class ComboOrderIdResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: ComboOrderIdS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[ComboOrderIdS2C, _Mapping]] = ...) -> None: ...

class BasicPrice(_message.Message):
    __slots__ = ("security", "curPrice")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    CURPRICE_FIELD_NUMBER: _ClassVar[int]
    security: Security
    curPrice: float
    def __init__(self, security: _Optional[_Union[Security, _Mapping]] = ..., curPrice: _Optional[float] = ...) -> None: ...

class BasicPriceS2C(_message.Message):
    __slots__ = ("basicQotList",)
    BASICQOTLIST_FIELD_NUMBER: _ClassVar[int]
    basicQotList: _containers.RepeatedCompositeFieldContainer[BasicPrice]
    def __init__(self, basicQotList: _Optional[_Iterable[_Union[BasicPrice, _Mapping]]] = ...) -> None: ...

class BasicPriceResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: BasicPriceS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[BasicPriceS2C, _Mapping]] = ...) -> None: ...

class SnapshotC2S(_message.Message):
    __slots__ = ("securityList", "header")
    SECURITYLIST_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    securityList: _containers.RepeatedCompositeFieldContainer[Security]
    header: QotHeader
    def __init__(self, securityList: _Optional[_Iterable[_Union[Security, _Mapping]]] = ..., header: _Optional[_Union[QotHeader, _Mapping]] = ...) -> None: ...

class SnapshotRequest(_message.Message):
    __slots__ = ("c2s",)
    C2S_FIELD_NUMBER: _ClassVar[int]
    c2s: SnapshotC2S
    def __init__(self, c2s: _Optional[_Union[SnapshotC2S, _Mapping]] = ...) -> None: ...

class SnapshotPrice(_message.Message):
    __slots__ = ("security", "type", "lotSize", "curPrice")
    SECURITY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    LOTSIZE_FIELD_NUMBER: _ClassVar[int]
    CURPRICE_FIELD_NUMBER: _ClassVar[int]
    security: Security
    type: int
    lotSize: int
    curPrice: float
    def __init__(self, security: _Optional[_Union[Security, _Mapping]] = ..., type: _Optional[int] = ..., lotSize: _Optional[int] = ..., curPrice: _Optional[float] = ...) -> None: ...

class SnapshotContract(_message.Message):
    __slots__ = ("contractSize", "contractMultiplier", "contractSizeFloat")
    CONTRACTSIZE_FIELD_NUMBER: _ClassVar[int]
    CONTRACTMULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    CONTRACTSIZEFLOAT_FIELD_NUMBER: _ClassVar[int]
    contractSize: int
    contractMultiplier: float
    contractSizeFloat: float
    def __init__(self, contractSize: _Optional[int] = ..., contractMultiplier: _Optional[float] = ..., contractSizeFloat: _Optional[float] = ...) -> None: ...

class SnapshotItem(_message.Message):
    __slots__ = ("basic", "optionExData")
    BASIC_FIELD_NUMBER: _ClassVar[int]
    OPTIONEXDATA_FIELD_NUMBER: _ClassVar[int]
    basic: SnapshotPrice
    optionExData: SnapshotContract
    def __init__(self, basic: _Optional[_Union[SnapshotPrice, _Mapping]] = ..., optionExData: _Optional[_Union[SnapshotContract, _Mapping]] = ...) -> None: ...

class SnapshotS2C(_message.Message):
    __slots__ = ("snapshotList",)
    SNAPSHOTLIST_FIELD_NUMBER: _ClassVar[int]
    snapshotList: _containers.RepeatedCompositeFieldContainer[SnapshotItem]
    def __init__(self, snapshotList: _Optional[_Iterable[_Union[SnapshotItem, _Mapping]]] = ...) -> None: ...

class SnapshotResponse(_message.Message):
    __slots__ = ("retType", "retMsg", "errCode", "s2c")
    RETTYPE_FIELD_NUMBER: _ClassVar[int]
    RETMSG_FIELD_NUMBER: _ClassVar[int]
    ERRCODE_FIELD_NUMBER: _ClassVar[int]
    S2C_FIELD_NUMBER: _ClassVar[int]
    retType: int
    retMsg: str
    errCode: int
    s2c: SnapshotS2C
    def __init__(self, retType: _Optional[int] = ..., retMsg: _Optional[str] = ..., errCode: _Optional[int] = ..., s2c: _Optional[_Union[SnapshotS2C, _Mapping]] = ...) -> None: ...
