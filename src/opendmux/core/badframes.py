"""Frames of a client that are no requests: damaged, too large, in no known format, or more than memory has room for."""

from __future__ import annotations

import logging

from opendmux.native import BAD_MAGIC, BAD_SHA1, NO_ROOM, TOO_LARGE, ClientEvent
from opendmux.wire.frame import ProtoFmt

from .answers import NO_ROOM_TEXT, denied, name_of, refused
from .commands import Command, Request
from .denial import Denial, DenialKind
from .entry import end
from .identity import Session

__all__ = ["KNOWN_FMTS", "answer_to_bad"]

log = logging.getLogger("opendmux.router")

KNOWN_FMTS = (ProtoFmt.PROTOBUF, ProtoFmt.JSON)


def answer_to_bad(session: Session, event: ClientEvent) -> list[Command]:
    """What the client is told, and whether its connection ends. ``event``: any but a `FRAME` of one of `KNOWN_FMTS`."""
    if event.kind == BAD_MAGIC:
        return [end(session, "not the OpenD protocol: the frame does not start with FT")]
    # An answer in a format that the SDK does not know would block its connection.
    answer_fmt = event.proto_fmt if event.proto_fmt in KNOWN_FMTS else ProtoFmt.PROTOBUF
    request = Request(session, event.proto_id, answer_fmt, event.serial_no, event.body)
    if event.kind == TOO_LARGE:
        when = "" if session.ready else " before InitConnect"
        text = f"the body is longer than this proxy accepts{when}"
        return [refused(request, text), end(session, "frame too large")]
    if event.kind == NO_ROOM:
        busy = Denial(DenialKind.LIMIT, "memory", NO_ROOM_TEXT)
        return [*([denied(request, busy)] if event.proto_id else []), end(session, NO_ROOM_TEXT)]
    if event.kind == BAD_SHA1:
        if not session.ready:
            # Most likely RSA: an error reply could not be read by such a client, and would end it for good.
            return [end(session, "InitConnect is damaged, or encrypted and no rsa_private_key is configured")]
        log.warning("%s: SHA-1 mismatch in %s, refused", session, name_of(event.proto_id))
        return [refused(request, f"{name_of(event.proto_id)} was not sent: the SHA-1 of its body is wrong")]
    if not session.ready:
        return [end(session, f"unknown proto_fmt {event.proto_fmt} before InitConnect")]
    return [refused(request, f"unknown proto_fmt {event.proto_fmt}")]
