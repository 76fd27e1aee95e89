"""A push as an event: what gRPC and event streams say about it beside its body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from opendmux.errors import RemoteProtocolError
from opendmux.native import Push as NativePush
from opendmux.wire.frame import HEADER_LEN
from opendmux.wire.protocols import PROTOCOLS, ProtoId

from . import streams
from .denial import Denial
from .pushbody import open_untrusted, push_of
from .pushplaces import BOOK_TYPE, KL_SECURITY, KL_TYPE, LISTS, SECURITY, SINGLE
from .tradepush import ACC_ID

__all__ = ["END", "GAP", "PushEvent", "event_of", "words_of_end", "words_of_gap"]

GAP: Final = "gap"
"""The type of an event that stands for others which could not be kept."""
END: Final = "end"
"""The type of what is said last on a stream."""


@dataclass(frozen=True, slots=True)
class PushEvent:
    """One push of OpenD for one stream."""

    proto_id: int
    sec_key: str
    """``1_00700``, market and code; empty where the push is of no security."""
    sub_type: int
    """Qot_Common.SubType; 0 where it has none."""
    body: bytes
    """The whole Response message, protobuf."""
    event_type: str
    """``quote``, ``notify`` or ``trade``; `GAP` on streams that can be resumed."""
    acc_id: int
    """Of a trade push; 0 otherwise."""
    seq: int = 0
    """Its number on a stream that can be resumed; 0 where it has none."""
    gap_from: int = 0
    """Of a gap: the first number that is missing, and in ``gap_to`` the last; both 0 where nobody knows."""
    gap_to: int = 0


def event_of(frame: bytes) -> PushEvent:
    """The event of a whole push frame that has been routed, so that its body is known to be readable."""
    push = push_of(frame)
    security, sub_type, acc_id = None, 0, 0
    event_type = _type_of(push.proto_id)
    try:
        if event_type == "trade":
            acc_id = open_untrusted(push).uint64_untrusted(ACC_ID) or 0
        elif event_type == "quote":
            security, sub_type = _quoted_untrusted(push)
    except RemoteProtocolError:  # a push that goes to everybody is not looked into before
        security = None
    sec_key = "" if security is None else f"{security[0]}_{security[1]}"
    return PushEvent(push.proto_id, sec_key, sub_type, frame[HEADER_LEN:], event_type, acc_id)


def words_of_gap(event: PushEvent) -> dict[str, str | int]:
    """A gap as an object of JSON."""
    return {"event_type": GAP, "gap_from": event.gap_from, "gap_to": event.gap_to}


def words_of_end(why: Denial) -> dict[str, str | int]:
    """Why nothing more comes, likewise."""
    return {"event_type": END, "reason": why.reason, "text": why.text}


def _type_of(proto_id: int) -> str:
    if proto_id == ProtoId.NOTIFY:
        return "notify"
    protocol = PROTOCOLS.get(proto_id)
    return "trade" if protocol is not None and protocol.area == "trade-sub" else "quote"


def _quoted_untrusted(push: NativePush) -> tuple[tuple[int, str] | None, int]:
    """((market, code), sub_type) of a quote push."""
    body, proto_id = open_untrusted(push), push.proto_id
    if proto_id in SINGLE:
        return body.security_untrusted(SECURITY), SINGLE[proto_id]
    if proto_id == ProtoId.QOT_UPDATE_ORDER_BOOK:
        odd = body.int32_untrusted(BOOK_TYPE) == 1
        return body.security_untrusted(SECURITY), streams.ORDER_BOOK_ODD if odd else streams.ORDER_BOOK
    if proto_id == ProtoId.QOT_UPDATE_KL:
        kl_type = body.int32_untrusted(KL_TYPE)
        return body.security_untrusted(KL_SECURITY), streams.SUB_TYPE_OF_KL_TYPE.get(kl_type, 0)
    if proto_id in LISTS:
        _space, sub_type, place, security = LISTS[proto_id]
        items = body.items_untrusted(place, security)
        return (items[0].market, items[0].code) if items else None, sub_type
    if proto_id == ProtoId.QOT_UPDATE_PRICE_REMINDER:
        return body.security_untrusted(SECURITY), 0
    return None, 0
