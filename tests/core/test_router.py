"""The router, played: handshake, refusals, the pass-through and what comes back."""

from __future__ import annotations

import json
from unittest.mock import ANY

import pytest

from opendmux.core.commands import Failure, Forward, Outcome, Witness
from opendmux.core.gate import HANDSHAKE_ROW, open_row
from opendmux.native import BAD_MAGIC, BAD_SHA1, FRAME, NO_ROOM, TOO_LARGE, ClientEvent
from opendmux.wire.frame import RetType
from opendmux.wire.handshake import State
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PACKET_ID_IDS, PROTOCOLS, PUSH_IDS, ProtoId, RequestAction
from tests.core.playbook import IDENTITY, OK, Play, hello
from tests.native.wire_format import field, scalar
from tests.runtime.bodies import trade_write

# -- InitConnect and KeepAlive


def test_a_client_arrives() -> None:
    play = Play()
    session = play.session(1)
    assert session.row == HANDSHAKE_ROW
    assert not session.ready
    lines = play.send(session, 1001, hello(recv_notify=True, client_id="me"))
    assert lines == [("reply", 1, 1001, play.serial, 0, ""), ("row", 1)], "the row counts from the reply on"
    reply = opend.InitConnectResponse.FromString(getattr(play.commands[0], "body", b""))
    # No IV: nothing is encrypted.
    assert reply.s2c == opend.InitConnectS2C(
        serverVer=1009, loginUserID=77, connID=session.conn_id, connAESKey="A" * 16, keepAliveInterval=10
    )
    assert session.conn_id != IDENTITY.conn_id
    assert session.row == open_row(allow_unknown=False)
    assert (session.ready, session.client_id, session.recv_notify) == (True, "me", True)


def test_a_client_can_not_write_log_lines_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    play = Play()
    c2s = opend.InitConnectC2S(clientID="a\n2026 INFO all is well", programmingLanguage="b\nso they say")
    with caplog.at_level("DEBUG"):
        play.send(play.session(1), 1001, encode(opend.InitConnectRequest(c2s=c2s)))
    (record,) = caplog.records
    assert "\n" not in record.getMessage()


def test_a_json_client_arrives() -> None:
    play = Play()
    body = json.dumps({"c2s": {"clientVer": 300, "clientID": "me", "packetEncAlgo": -1}}).encode()
    ((_, _, _, _, text), row) = play.send(play.session(1), 1001, body, proto_fmt=1)
    assert json.loads(str(text))["s2c"]["connID"] == 2**62 + 1
    assert row == ("row", 1)


def test_init_connect_again_gets_the_same_answer_and_changes_nothing() -> None:
    play = Play()
    session = play.client(1)
    first = getattr(play.commands[0], "body", None)
    other = hello(recv_notify=True, client_id="other", push_proto_fmt=1)
    assert play.send(session, 1001, other) == [("reply", 1, 1001, play.serial, 0, "")]
    assert getattr(play.commands[0], "body", b"") == first
    assert (session.ready, session.client_id, session.recv_notify, session.lane) == (True, "test", False, 0)


def test_keep_alive_is_answered_here_even_while_the_link_is_down() -> None:
    play = Play(ready=False)
    session = play.client(1)
    play.router.wall_offset = 1_700_000_000 - play.now
    assert play.send(session, 1004, field(1, scalar(1, 5))) == [("reply", 1, 1004, play.serial, 0, "")]
    assert getattr(play.commands[0], "body", b"") == scalar(1, 0) + field(4, scalar(1, 1_700_000_000))
    play.send(session, 1004, b"", proto_fmt=1)
    assert json.loads(getattr(play.commands[0], "body", b""))["s2c"] == {"time": 1_700_000_000}


@pytest.mark.parametrize("proto_id", [1002, 1004, 2001, 2202, 3001, 3005, 9999])
def test_nothing_comes_before_init_connect(proto_id: int) -> None:
    play = Play()
    session = play.session(1)
    assert play.send(session, proto_id) == [
        ("reply", 1, proto_id, play.serial, -1, "InitConnect (1001) must be the first request"),
        ("close", 1, ANY),
    ]
    assert play.send(session, 1001, hello()) == [], "nothing after it"
    assert play.waiting == []


@pytest.mark.parametrize("enc", [0, 1, 2])
def test_what_came_in_the_clear_is_answered_in_the_clear(enc: int) -> None:
    """Whatever it asks for: with is_encrypt the SDK would have sent it by RSA."""
    play = Play()
    assert play.send(play.session(1), 1001, hello(enc=enc)) == [("reply", 1, 1001, play.serial, 0, ""), ("row", 1)]
    assert not opend.InitConnectResponse.FromString(getattr(play.commands[0], "body", b"")).s2c.HasField("aesCBCiv")


@pytest.mark.parametrize(
    ("body", "proto_fmt", "reason"),
    [
        (b"\xff", 0, "InitConnect can't be read"),
        (b"{", 1, "InitConnect can't be read"),
    ],
)
def test_an_init_connect_that_can_not_be_served_is_closed_without_a_word(
    body: bytes, proto_fmt: int, reason: str
) -> None:
    """An error reply that leaves the connection open kills an SDK context for good."""
    play = Play()
    session = play.session(1)
    ((kind, owner, said),) = play.send(session, 1001, body, proto_fmt=proto_fmt)
    assert (kind, owner) == ("close", 1)
    assert reason in str(said)
    assert not session.ready


@pytest.mark.parametrize(
    ("proto_id", "body", "kind"),
    [
        (1001, b"\xff", FRAME),
        (1001, hello(), BAD_SHA1),
        (1001, b"", TOO_LARGE),
        (1001, b"", NO_ROOM),
        (0, b"", BAD_MAGIC),
        (3004, b"", FRAME),
    ],
)
def test_frames_behind_the_one_that_ends_a_session_are_not_looked_at(proto_id: int, body: bytes, kind: int) -> None:
    """They come in the same chunk, so the socket is read no more but they are here."""
    play = Play()
    session = play.session(1)
    assert play.send(session, proto_id, body, kind=kind)[-1][0] == "close"
    for then, more in ((1001, hello()), (2202, trade_write(1, 2)), (3004, b"")):
        assert play.send(session, then, more) == []
    assert play.waiting == []
    assert play.push(ProtoId.QOT_UPDATE_PRICE_REMINDER, b"") == []


def test_before_upstream_was_ever_reached_there_is_nothing_to_say() -> None:
    play = Play(ready=False)
    play.main.upstream.identity = None
    assert play.send(play.session(1), 1001, hello()) == [("close", 1, "OpenD has not been reached yet")]


def test_init_connect_is_answered_from_memory_while_the_link_is_down() -> None:
    play = Play(ready=False)
    assert play.send(play.session(1), 1001, hello()) == [("reply", 1, 1001, play.serial, 0, ""), ("row", 1)]


# -- the policy row


@pytest.mark.parametrize("proto_id", sorted(PUSH_IDS))
def test_a_push_can_not_be_requested(proto_id: int) -> None:
    play = Play(allow_unknown=True)
    ((_, _, _, _, ret_type, text),) = play.send(play.client(1), proto_id)
    assert ret_type == -1
    assert "is a push" in str(text)


@pytest.mark.parametrize("proto_id", [0, 1000, 3999, 2**32 - 1])
def test_unknown_ids_by_policy(proto_id: int) -> None:
    play = Play(allow_unknown=False)
    assert play.send(play.client(1), proto_id, b"anything") == [
        ("reply", 1, proto_id, play.serial, -1, f"proto_id {proto_id} is not known here and was not sent")
    ]
    play = Play(allow_unknown=True)
    assert play.send(play.client(1), proto_id, b"anything") == [("forward", 1, proto_id, play.serial, False)]


PASSED = [each.proto_id for each in PROTOCOLS.values() if each.request is RequestAction.PASS]
INSPECTED = [each.proto_id for each in PROTOCOLS.values() if each.request is RequestAction.INSPECT]


@pytest.mark.parametrize("proto_id", PASSED)
def test_a_frame_that_came_with_init_connect_is_passed_on_by_core(proto_id: int) -> None:
    """The switch had the handshake's row then; the body goes on unread."""
    play = Play()
    session = play.client(1)
    assert play.send(session, proto_id, b"\xff\x00 any") == [("forward", 1, proto_id, play.serial, False)]
    (forward,) = play.waiting
    assert isinstance(forward, Forward)
    assert forward.request.body == b"\xff\x00 any"
    ((kind, *_),) = play.answer()
    assert kind == "reply"


@pytest.mark.parametrize("proto_id", INSPECTED)
def test_whatever_core_must_see_it_looks_at(proto_id: int) -> None:
    """A body nobody can read is not forwarded: no INSPECT id is without its inspector."""
    play = Play()
    ((_, _, _, _, ret_type, text),) = play.send(play.client(1), proto_id, b"\xff")
    assert ret_type == RetType.FAILED
    assert "was not sent" in str(text)


def test_every_packet_id_is_rewritten() -> None:
    assert set(INSPECTED) >= PACKET_ID_IDS


@pytest.mark.parametrize(
    "proto_id", [each.proto_id for each in PROTOCOLS.values() if each.request is RequestAction.LOCAL]
)
def test_what_is_answered_here_never_goes_upstream(proto_id: int) -> None:
    play = Play()
    play.send(play.client(1), proto_id, hello())
    assert play.answered[1, play.serial] == 1
    assert play.waiting == []


# -- replies


def test_a_reply_of_an_event_cell_goes_back_untouched_when_there_is_nothing_to_edit() -> None:
    play = Play()
    passed = play.passes(play.client(1), ProtoId.TRD_GET_ACC_LIST)
    body = scalar(1, 0) + field(4, field(1, scalar(2, 10))) + field(99, b"new")
    assert play.answer(passed, body) == [("reply", 1, 2001, play.serial, 0, "")]
    assert getattr(play.commands[0], "body", b"") == body


def test_the_reply_has_the_format_it_came_in() -> None:
    play = Play()
    passed = play.passes(play.client(1), ProtoId.TRD_GET_ACC_LIST, proto_fmt=1)
    play.answer(passed, b'{"retType":0}', proto_fmt=1)
    assert getattr(play.commands[0], "proto_fmt", None) == 1


@pytest.mark.parametrize(
    ("failure", "ret_type"), [(Failure.TIMEOUT, -100), (Failure.LOST, -200), (Failure.CORRUPT, -1)]
)
def test_no_reply_to_a_read(failure: Failure, ret_type: int) -> None:
    play = Play()
    ((_, _, _, serial_no, said, _),) = play.answer(play.passes(play.client(1), 3004), failure=failure)
    assert (serial_no, said) == (play.serial, ret_type)


@pytest.mark.parametrize("failure", Failure)
def test_no_reply_to_a_write(failure: Failure) -> None:
    play = Play()
    ((*_, ret_type, text),) = play.answer(play.passes(play.client(1), 3220), failure=failure)
    assert ret_type == -400
    assert str(text).startswith("outcome unknown")


# -- the end of a session


def test_a_closed_session_is_deaf() -> None:
    play = Play()
    session = play.client(1)
    assert play.close(session) == []
    for kind in (FRAME, BAD_MAGIC, BAD_SHA1, TOO_LARGE):
        assert play.router.client_event(session, ClientEvent(kind, 0, 3004, 0, 9, b""), play.now) == []
    assert play.close(session) == [], "closing twice is harmless"
    assert session.state is State.CLOSED
    assert play.router.sessions == {}


def test_a_reply_that_comes_after_its_client_is_no_error() -> None:
    play = Play()
    session = play.client(1)
    play.send(session, 2005, field(1, scalar(1, 1)))
    (forward,) = play.waiting
    assert isinstance(forward, Forward)
    play.close(session)
    assert forward.then is not None
    (witness,) = forward.then(Outcome(OK, 0), play.now)
    assert isinstance(witness, Witness)
    assert witness.reply is not None
    assert witness.reply.session is session, "the runtime knows that it is gone"
