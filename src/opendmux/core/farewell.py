"""Why a client of OpenD's TCP protocol is closed, told to it in a Notify: the protocol has no other word for that.

Only who takes notifications (``recvNotify``, which the SDKs set) gets one, and not in the moment after its InitConnect
when the Python SDK ignores pushes. The SDKs hand it to the program's handler and do nothing by themselves. WebSocket,
gRPC and HTTP have words of their own for this.
"""

from __future__ import annotations

from typing import Final

from opendmux.wire.frame import RetType, build_frame
from opendmux.wire.messages import to_client
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .identity import Session
from .lanes import Lanes
from .quotes import GTW_EVENT, GTW_EVENT_NONE

__all__ = ["CRASHED", "DRAINED", "farewell"]

DRAINED: Final = "drained"
CRASHED: Final = "crashed"
"""Reasons as they are counted; a client gets a sentence for them."""

SENTENCES: Final = {
    DRAINED: "opendmux stops; connect again when it is back",
    CRASHED: "an error in opendmux, which its log tells",
}


def farewell(session: Session, lanes: Lanes, reason: str, now: float) -> bytes | None:
    """The last frame for this client, in the format of its pushes; None for one that would not take it."""
    if not session.recv_notify or not 0 < session.settled_at <= now:
        return None
    text = f"opendmux closes this connection: {SENTENCES.get(reason, reason)}"
    event = opend.NotifyGtwEvent(eventType=GTW_EVENT_NONE, desc=text)
    message = opend.NotifyResponse(retType=RetType.SUCCEED, s2c=opend.NotifyS2C(type=GTW_EVENT, event=event))
    push_fmt = lanes[session.lane].push_fmt
    return build_frame(ProtoId.NOTIFY, push_fmt, 0, to_client(message, push_fmt))
