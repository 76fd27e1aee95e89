"""Replies in which core must change or note something, by proto_id. All others go back untouched."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from opendmux.errors import RemoteProtocolError
from opendmux.native import read_bytes_untrusted, read_varint_untrusted, set_varint_untrusted
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.protocols import ProtoId

from .answers import failed, reply
from .commands import Command, Failure, Outcome, Request, Then
from .identity import Session
from .lanes import Lane
from .pushes import Pushes

__all__ = ["EDITORS", "Editor", "editor_of"]

Editor = Callable[[Pushes, Session, Outcome], bytes]

STATE_CONN_ID = bytes([4, 16])
"""GetGlobalState.Response: s2c.connID."""
CALC_ID = bytes([4, 1])
"""Qot_RequestIndicatorCalc.Response: s2c.calcId."""


def _global_state(_pushes: Pushes, session: Session, outcome: Outcome) -> bytes:
    """GetGlobalState names the asking connection: the client must read its own connID, not upstream's."""
    if outcome.proto_fmt == ProtoFmt.JSON:
        state = _json_untrusted(outcome.body)
        s2c = state.get("s2c")
        if isinstance(s2c, dict) and "connID" in s2c:
            s2c["connID"] = session.conn_id
        return msgspec.json.encode(state)
    if read_varint_untrusted(outcome.body, STATE_CONN_ID) is None:
        return outcome.body
    return set_varint_untrusted(outcome.body, STATE_CONN_ID, session.conn_id)


def _indicator_calc(pushes: Pushes, session: Session, outcome: Outcome) -> bytes:
    """The result of 3260 comes as push 3261 with this calcId, for the asker alone."""
    if outcome.proto_fmt == ProtoFmt.JSON:
        s2c = _json_untrusted(outcome.body).get("s2c")
        text = s2c.get("calcId") if isinstance(s2c, dict) else None
        calc_id = text if isinstance(text, str) else ""
    else:
        calc_id = (read_bytes_untrusted(outcome.body, CALC_ID) or b"").decode(errors="replace")
    if calc_id:
        pushes.expect_calculation(calc_id, session.owner)
    return outcome.body


def _json_untrusted(body: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"OpenD's JSON body can't be read: {error}") from error


EDITORS: dict[int, Editor] = {
    ProtoId.GET_GLOBAL_STATE: _global_state,
    ProtoId.QOT_REQUEST_INDICATOR_CALC: _indicator_calc,
}


def editor_of(lane: Lane, request: Request) -> Then | None:
    """What is done with the reply to a request that was passed on; None: nothing of this."""
    editor = EDITORS.get(request.proto_id)
    if editor is None:
        return None

    def then(outcome: Outcome, _now: float) -> list[Command]:
        if outcome.failure is not None:
            return [failed(request, outcome.failure)]
        if request.proto_id == ProtoId.GET_GLOBAL_STATE:
            lane.upstream.told(outcome.body, outcome.proto_fmt, outcome.asked_at)
        try:
            body = editor(lane.pushes, request.session, outcome)
        except RemoteProtocolError:
            return [failed(request, Failure.CORRUPT)]
        return [reply(request, body, outcome.proto_fmt)]

    return then
