"""The last word to a client that is closed."""

from __future__ import annotations

import json

import pytest

from opendmux.core.entry import SETTLE_S
from opendmux.core.farewell import CRASHED, DRAINED, farewell
from opendmux.wire.frame import HEADER_LEN, ProtoFmt
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from tests.core.playbook import Play

PROTO_ID_AT, PROTO_FMT_AT = slice(2, 6), 6


def said(frame: bytes | None) -> opend.NotifyS2C:
    assert frame is not None
    assert int.from_bytes(frame[PROTO_ID_AT], "little") == ProtoId.NOTIFY
    return opend.NotifyResponse.FromString(frame[HEADER_LEN:]).s2c


def test_it_is_a_notification_with_a_text_and_no_event() -> None:
    play = Play()
    told = play.client(1, recv_notify=True)
    s2c = said(farewell(told, play.router.lanes, "slow: its outbox is full", play.now))
    assert (s2c.type, s2c.event.eventType) == (1, 0)
    assert s2c.event.desc == "opendmux closes this connection: slow: its outbox is full"


@pytest.mark.parametrize(("reason", "words"), [(DRAINED, "opendmux stops"), (CRASHED, "an error in opendmux")])
def test_reasons_that_are_counted_as_one_word_are_told_as_sentences(reason: str, words: str) -> None:
    play = Play()
    assert words in said(farewell(play.client(1, recv_notify=True), play.router.lanes, reason, play.now)).event.desc


def test_only_who_takes_notifications_is_told() -> None:
    play = Play()
    assert farewell(play.client(1), play.router.lanes, "x", play.now) is None


def test_nobody_is_told_in_the_moment_after_init_connect() -> None:
    play = Play()
    told = play.client(1, recv_notify=True)
    assert farewell(told, play.router.lanes, "x", told.settled_at - SETTLE_S / 2) is None
    assert farewell(told, play.router.lanes, "x", told.settled_at) is not None


def test_a_client_of_json_pushes_is_told_in_json() -> None:
    play = Play()
    told = play.client(1, recv_notify=True)
    told.lane = play.router.lanes.json.index
    frame = farewell(told, play.router.lanes, "x", play.now)
    assert frame is not None
    assert frame[PROTO_FMT_AT] == ProtoFmt.JSON
    assert json.loads(frame[HEADER_LEN:])["s2c"]["event"]["desc"] == "opendmux closes this connection: x"
