"""What a client may send when: the state table of InitConnect and KeepAlive, and their bodies.

Every transition is in `TRANSITIONS`; the bodies are built here so that no other file knows their fields.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .cipher import ConnSecrets, EncAlgo
from .messages import decode_untrusted, encode, to_client
from .pb import opend
from .protocols import ProtoId

__all__ = [
    "KEEP_ALIVE_INTERVAL_S",
    "Act",
    "ClientHello",
    "Identity",
    "Input",
    "State",
    "classify",
    "client_hello_untrusted",
    "identity_untrusted",
    "init_reply",
    "init_request",
    "keep_alive_reply",
    "keep_alive_request",
    "step",
]

KEEP_ALIVE_INTERVAL_S = 10
"""Announced to every client. The Python SDK sends KeepAlive every 8 s then, and closes after 33 s without any byte
from us."""


NAME_SHOWN = 80
"""Characters that are kept of what a client calls itself: it stands in every log line about it. A key, which may stand
in its place, has 67."""


class State(enum.Enum):
    """A client connection."""

    NEW = "new"
    """Nothing but InitConnect may come."""
    READY = "ready"
    CLOSED = "closed"


class Input(enum.Enum):
    """A frame, as far as this table cares."""

    INIT = "InitConnect"
    KEEP_ALIVE = "KeepAlive"
    OTHER = "other"


class Act(enum.Enum):
    """What the frame calls for."""

    ANSWER_INIT = "answer InitConnect"
    ANSWER_KEEP_ALIVE = "answer KeepAlive"
    HANDLE = "handle"
    REFUSE = "refuse and close"
    IGNORE = "ignore"


TRANSITIONS: dict[tuple[State, Input], tuple[State, Act]] = {
    (State.NEW, Input.INIT): (State.READY, Act.ANSWER_INIT),
    (State.NEW, Input.KEEP_ALIVE): (State.CLOSED, Act.REFUSE),
    (State.NEW, Input.OTHER): (State.CLOSED, Act.REFUSE),
    # OpenD's reaction to a second InitConnect is not documented; the same answer again does no harm.
    (State.READY, Input.INIT): (State.READY, Act.ANSWER_INIT),
    (State.READY, Input.KEEP_ALIVE): (State.READY, Act.ANSWER_KEEP_ALIVE),
    (State.READY, Input.OTHER): (State.READY, Act.HANDLE),
    (State.CLOSED, Input.INIT): (State.CLOSED, Act.IGNORE),
    (State.CLOSED, Input.KEEP_ALIVE): (State.CLOSED, Act.IGNORE),
    (State.CLOSED, Input.OTHER): (State.CLOSED, Act.IGNORE),
}


def classify(proto_id: int) -> Input:
    """The table's input for a frame of this id."""
    if proto_id == ProtoId.INIT_CONNECT:
        return Input.INIT
    return Input.KEEP_ALIVE if proto_id == ProtoId.KEEP_ALIVE else Input.OTHER


def step(state: State, proto_id: int) -> tuple[State, Act]:
    """The next state and what to do."""
    return TRANSITIONS[state, classify(proto_id)]


@dataclass(frozen=True, slots=True)
class Identity:
    """What upstream said about itself in its InitConnect reply; the rest of that reply stays between us and it."""

    server_ver: int
    login_user_id: int
    user_attribution: int | None
    conn_id: int
    """The upstream connID: for PacketID only, never shown to a client."""
    keep_alive_interval_s: int


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client said in InitConnect."""

    client_ver: int
    client_id: str = field(repr=False)
    """It may be a key."""
    recv_notify: bool
    packet_enc_algo: int
    push_proto_fmt: int
    language: str


def client_hello_untrusted(body: bytes, proto_fmt: int) -> ClientHello:
    """Read a client's InitConnect."""
    c2s = decode_untrusted(opend.InitConnectRequest, body, proto_fmt).c2s
    return ClientHello(
        client_ver=c2s.clientVer,
        client_id=c2s.clientID[:NAME_SHOWN],
        recv_notify=c2s.recvNotify,
        packet_enc_algo=c2s.packetEncAlgo if c2s.HasField("packetEncAlgo") else -1,
        push_proto_fmt=c2s.pushProtoFmt,
        language=c2s.programmingLanguage[:NAME_SHOWN],
    )


def init_reply(identity: Identity, *, conn_id: int, secrets: ConnSecrets, proto_fmt: int) -> bytes:
    """The answer to a client: upstream's version and user, the client's own ``conn_id`` and ``secrets``."""
    s2c = opend.InitConnectS2C(
        serverVer=identity.server_ver,
        loginUserID=identity.login_user_id,
        connID=conn_id,
        connAESKey=secrets.aes_key,
        keepAliveInterval=KEEP_ALIVE_INTERVAL_S,
    )
    if secrets.aes_cbc_iv is not None:
        s2c.aesCBCiv = secrets.aes_cbc_iv
    if identity.user_attribution is not None:
        s2c.userAttribution = identity.user_attribution
    return to_client(opend.InitConnectResponse(retType=0, s2c=s2c), proto_fmt)


def init_request(*, recv_notify: bool = True, push_proto_fmt: int = 0, encrypt: bool = False) -> bytes:
    """Our own InitConnect towards upstream; with ``encrypt`` it asks for AES-CBC."""
    c2s = opend.InitConnectC2S(
        clientVer=300,
        clientID="opendmux",
        recvNotify=recv_notify,
        packetEncAlgo=EncAlgo.AES_CBC if encrypt else EncAlgo.NONE,
        pushProtoFmt=push_proto_fmt,
        programmingLanguage="Python",
    )
    return encode(opend.InitConnectRequest(c2s=c2s))


def identity_untrusted(body: bytes) -> tuple[int, str, Identity]:
    """Read upstream's answer: (retType, retMsg, identity); the identity means something only with retType 0."""
    response = decode_untrusted(opend.InitConnectResponse, body, 0)
    s2c = response.s2c
    identity = Identity(
        server_ver=s2c.serverVer,
        login_user_id=s2c.loginUserID,
        user_attribution=s2c.userAttribution if s2c.HasField("userAttribution") else None,
        conn_id=s2c.connID,
        keep_alive_interval_s=s2c.keepAliveInterval,
    )
    return response.retType, response.retMsg, identity


def keep_alive_request(wall_time: int) -> bytes:
    """Our own KeepAlive; ``wall_time`` in UTC seconds."""
    return encode(opend.KeepAliveRequest(c2s=opend.KeepAliveC2S(time=wall_time)))


def keep_alive_reply(wall_time: int, proto_fmt: int) -> bytes:
    """The answer to a client's KeepAlive."""
    return to_client(opend.KeepAliveResponse(retType=0, s2c=opend.KeepAliveS2C(time=wall_time)), proto_fmt)
