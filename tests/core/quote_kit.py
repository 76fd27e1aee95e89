"""Subscribed clients, and what the proxy asks OpenD about them. Holds no tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opendmux.wire.messages import ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from tests.core.playbook import Line, Play
from tests.runtime.bodies import sub

if TYPE_CHECKING:
    from opendmux.core.identity import Session

TENCENT, HSBC, AAPL = (1, "00700"), (1, "00005"), (11, "AAPL")
NO = ret_body(0, -1, "no quota")


def subscribed(
    play: Play, owner: int, *securities: tuple[int, str], sub_types: tuple[int, ...] = (1,), firm: int = 0
) -> Session:
    session = play.client(owner)
    play.send(session, 3001, sub(securities, sub_types, header=opend.QotHeader(securityFirm=firm)))
    play.answer_all()
    return session


def asked(lines: list[Line]) -> opend.SubC2S:
    ((kind, proto_id, body),) = lines
    assert (kind, proto_id) == ("ask", ProtoId.QOT_SUB)
    assert isinstance(body, bytes)
    return opend.SubRequest.FromString(body).c2s
