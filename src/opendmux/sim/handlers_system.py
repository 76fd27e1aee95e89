"""1001-1006: connection, state, keep-alive, user, verification codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .numbers import QotMarket
from .refusal import Refused
from .routes import Route, Routes
from .status import READY, fill_rights
from .venues import VENUES
from .verification import VerificationType

if TYPE_CHECKING:
    from .world import Session, World

__all__ = ["ROUTES"]

_HONG_KONG = 6
"""UserAttribution"""
_REQUEST, _INPUT_AND_LOGIN = 1, 2
"""VerificationOp"""


def init_connect(world: World, session: Session, c2s: opend.InitConnectC2S) -> opend.InitConnectS2C:
    if session.initialized:
        raise Refused("InitConnect was sent before on this connection")
    if not (c2s.HasField("clientVer") and c2s.HasField("clientID")):
        raise Refused("clientVer and clientID must be given")
    if c2s.pushProtoFmt not in {0, 1}:
        raise Refused(f"unknown pushProtoFmt {c2s.pushProtoFmt}")
    session.initialized = True
    session.recv_notify = c2s.recvNotify
    session.push_fmt = c2s.pushProtoFmt
    session.record.client_id = c2s.clientID
    session.record.push_proto_fmt = c2s.pushProtoFmt
    return opend.InitConnectS2C(
        serverVer=world.server_ver,
        loginUserID=world.config.login_user_id,
        connID=session.conn_id,
        connAESKey=session.secrets.aes_key,
        keepAliveInterval=world.config.keep_alive_interval_s,
        aesCBCiv=session.secrets.aes_cbc_iv,  # None leaves the field out
        userAttribution=_HONG_KONG,
    )


def get_global_state(world: World, session: Session, c2s: opend.GetGlobalStateC2S) -> opend.GetGlobalStateS2C:
    del c2s
    stock, future = VENUES[QotMarket.HK].state, VENUES[QotMarket.HK_FUTURE].state
    return opend.GetGlobalStateS2C(
        marketHK=stock,
        marketUS=stock,
        marketSH=stock,
        marketSZ=stock,
        marketHKFuture=future,
        marketUSFuture=future,
        marketSGFuture=future,
        marketJPFuture=future,
        marketSG=stock,
        marketMY=stock,
        marketJP=stock,
        qotLogined=world.status.qot_logined and world.status.program == READY,
        trdLogined=world.status.trd_logined and world.status.program == READY,
        serverVer=world.server_ver,
        serverBuildNo=world.config.server_build_no,
        time=int(world.now + world.status.clock_ahead_s),
        localTime=world.now + world.status.clock_ahead_s,
        programStatus=world.status.program_status(),
        connID=session.conn_id,
    )


def keep_alive(world: World, session: Session, c2s: opend.KeepAliveC2S) -> opend.KeepAliveS2C:
    del session, c2s
    return opend.KeepAliveS2C(time=int(world.now))


def get_user_info(world: World, session: Session, c2s: opend.GetUserInfoC2S) -> opend.GetUserInfoS2C:
    del session, c2s  # every flag is answered with everything
    info = opend.GetUserInfoS2C(
        nickName="Simulated user",
        avatarUrl="",
        apiLevel="",
        isNeedAgreeDisclaimer=world.status.must_agree,
        userID=world.config.login_user_id,
        updateType=world.status.update_type,
        webKey="",
        subQuota=world.subscriptions.quota,
        historyKLQuota=world.history_quota(),
        userAttribution=_HONG_KONG,
        isAppNNOrMM=True,
    )
    fill_rights(info, world.faults)
    return info


def verification(world: World, session: Session, c2s: opend.VerificationC2S) -> None:
    del session
    if c2s.type not in set(VerificationType) or c2s.op not in {_REQUEST, _INPUT_AND_LOGIN}:
        raise Refused(f"unknown type {c2s.type} or op {c2s.op}")
    kind = VerificationType(c2s.type)
    if c2s.op == _REQUEST:
        world.verification.request(world, kind)
    else:
        world.verification.enter(world, kind, c2s.code)


ROUTES: Routes = {
    ProtoId.INIT_CONNECT: Route(opend.InitConnectRequest, opend.InitConnectResponse, init_connect),
    ProtoId.GET_GLOBAL_STATE: Route(opend.GetGlobalStateRequest, opend.GetGlobalStateResponse, get_global_state),
    ProtoId.VERIFICATION: Route(opend.VerificationRequest, opend.VerificationResponse, verification),
    ProtoId.KEEP_ALIVE: Route(opend.KeepAliveRequest, opend.KeepAliveResponse, keep_alive),
    ProtoId.GET_USER_INFO: Route(opend.GetUserInfoRequest, opend.GetUserInfoResponse, get_user_info),
}
