"""A push as an event: what gRPC and event streams say about it beside its body."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PushEvent"]


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
    """``quote``, ``notify`` or ``trade``."""
    acc_id: int
    """Of a trade push; 0 otherwise."""
