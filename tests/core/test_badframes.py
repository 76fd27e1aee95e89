"""Frames that are no requests, played: what the client is told, and whether its connection ends."""

from __future__ import annotations

import pytest

from opendmux.core.commands import Reply
from opendmux.core.denial import Denial, DenialKind
from opendmux.native import BAD_MAGIC, BAD_SHA1, FRAME, NO_ROOM, TOO_LARGE
from tests.core.playbook import Play, hello


@pytest.mark.parametrize("arrived", [False, True])
def test_bad_magic(arrived: bool) -> None:
    play = Play()
    session = play.client(1) if arrived else play.session(1)
    assert play.send(session, 0, kind=BAD_MAGIC) == [
        ("close", 1, "not the OpenD protocol: the frame does not start with FT")
    ]


@pytest.mark.parametrize("arrived", [False, True])
@pytest.mark.parametrize("proto_id", [1001, 3001, 9999])
def test_too_large(proto_id: int, arrived: bool) -> None:
    play = Play()
    session = play.client(1) if arrived else play.session(1)
    when = "" if arrived else " before InitConnect"
    assert play.send(session, proto_id, kind=TOO_LARGE) == [
        ("reply", 1, proto_id, play.serial, -1, f"the body is longer than this proxy accepts{when}"),
        ("close", 1, "frame too large"),
    ]


@pytest.mark.parametrize("arrived", [False, True])
def test_no_room(arrived: bool) -> None:
    play = Play()
    session = play.client(1) if arrived else play.session(1)
    text = "busy: the proxy's memory for requests is used up"
    assert play.send(session, 3001, kind=NO_ROOM) == [("reply", 1, 3001, play.serial, -1, text), ("close", 1, text)]
    assert isinstance(play.commands[0], Reply)
    assert play.commands[0].denial == Denial(DenialKind.LIMIT, "memory", text)


def test_no_room_where_the_request_is_not_known_yet() -> None:
    play = Play()
    ((kind, owner, said),) = play.send(play.client(1), 0, kind=NO_ROOM)
    assert (kind, owner) == ("close", 1)
    assert "busy" in str(said)


@pytest.mark.parametrize("proto_id", [1001, 1004, 3001])
def test_bad_sha1_before_init_connect_is_most_likely_encryption(proto_id: int) -> None:
    play = Play()
    ((kind, owner, reason),) = play.send(play.session(1), proto_id, hello(), kind=BAD_SHA1)
    assert (kind, owner) == ("close", 1)
    assert "encrypted" in str(reason)


@pytest.mark.parametrize("proto_id", [1001, 1004, 2202, 3001, 9999])
def test_bad_sha1_is_refused_and_costs_nothing_else(proto_id: int) -> None:
    play = Play()
    session = play.client(1)
    ((kind, _, _, serial_no, ret_type, text),) = play.send(session, proto_id, hello(), kind=BAD_SHA1)
    assert (kind, serial_no, ret_type) == ("reply", play.serial, -1)
    assert "SHA-1" in str(text)
    assert "was not sent" in str(text)
    assert session.ready
    assert play.waiting == []


@pytest.mark.parametrize("proto_id", [1001, 1004, 3001, 3004])
@pytest.mark.parametrize("proto_fmt", [2, 255])
@pytest.mark.parametrize(
    ("kind", "words"),
    [(FRAME, "unknown proto_fmt"), (BAD_SHA1, "SHA-1"), (TOO_LARGE, "longer than this proxy accepts")],
)
def test_a_frame_of_no_known_format_is_answered_in_protobuf(
    kind: int, words: str, proto_fmt: int, proto_id: int
) -> None:
    """Nobody could read a reply in that format; and a format the SDK does not know blocks its connection."""
    play = Play()
    ((*_, serial_no, ret_type, text), *_) = play.send(play.client(1), proto_id, proto_fmt=proto_fmt, kind=kind)
    assert (serial_no, ret_type) == (play.serial, -1)
    assert words in str(text)
    assert getattr(play.commands[0], "proto_fmt", None) == 0
    assert play.waiting == []


def test_an_init_connect_of_no_known_format_is_closed_without_a_word() -> None:
    play = Play()
    assert play.send(play.session(1), 1001, hello(), proto_fmt=2) == [
        ("close", 1, "unknown proto_fmt 2 before InitConnect")
    ]
