"""InitConnect: who comes in, and what nobody gets to see."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from opendmux.core.commands import Close, Reply, Witness
from opendmux.core.denial import DenialKind
from opendmux.core.gate import action_of
from opendmux.core.keys import ALL_SCOPES, Scopes
from opendmux.wire.handshake import State
from opendmux.wire.protocols import RequestAction
from tests.core.key_kit import MACHINE, key, plaintext, ring
from tests.core.playbook import Play, hello
from tests.core.trade_kit import place
from tests.runtime.bodies import sub

READER = key(Scopes.QOT_READ, key_id="reader")
BOSS = key(*ALL_SCOPES, key_id="boss")


def test_a_key_as_client_id() -> None:
    play = Play(keyring=ring(READER, BOSS))
    session = play.client(1, client_id=plaintext("reader"))
    assert session.key is READER
    assert session.ready
    assert action_of(session.row, 3004) is RequestAction.PASS
    assert action_of(session.row, 2202) is RequestAction.DENY


@pytest.mark.parametrize(
    "client_id",
    [
        "",
        "my program",
        "fc_",
        "fc_" + "0" * 64,
        plaintext("reader") + "0",
        plaintext("reader")[:-1],
        " " + plaintext("reader"),
        "Bearer " + plaintext("reader"),
        plaintext("reader").upper(),
        plaintext("reader")[3:],
    ],
)
@pytest.mark.parametrize("bound_to", [None, "boss"])
def test_all_others_are_told_why_and_closed(client_id: str, bound_to: str | None) -> None:
    play = Play(keyring=ring(READER, BOSS))
    session = play.session(1, bound_to=bound_to)
    shows_none = client_id in ("", "my program")
    play.send(session, 1001, hello(client_id=client_id))
    if bound_to and shows_none:
        assert session.key is BOSS
        return
    kinds = [type(command) for command in play.commands]
    assert kinds == [Reply, Close]
    assert play.denial().kind is DenialKind.UNAUTHENTICATED
    assert play.denial().reason == ("missing" if shows_none else "invalid")
    assert session.state is State.CLOSED
    assert session.key is None
    assert play.send(session, 3004) == [], "it is deaf"
    assert play.send(session, 1001, hello(client_id=plaintext("boss"))) == [], "there is no second try"


def test_a_second_init_connect_changes_nothing() -> None:
    play = Play(keyring=ring(READER, BOSS))
    session = play.client(1, client_id=plaintext("reader"))
    row = session.row
    (line,) = play.send(session, 1001, hello(client_id=plaintext("boss"), push_proto_fmt=1, recv_notify=True))
    assert line[4] == 0
    assert (session.key, session.row, session.lane, session.recv_notify) == (READER, row, 0, False)


@pytest.mark.parametrize("local", [False, True])
def test_machines(local: bool) -> None:
    play = Play(keyring=ring(replace(READER, allowed_machines=frozenset({MACHINE}))))
    session = play.session(1, local=local)
    play.send(session, 1001, hello(client_id=plaintext("reader")))
    assert session.ready is local
    if not local:
        assert play.denial().reason == "machine"


@pytest.mark.parametrize(
    "shown",
    [
        plaintext("reader"),
        plaintext("nobody"),
        plaintext("reader").upper(),
        " " + plaintext("reader"),
        "Bearer " + plaintext("reader"),
        "my key " + plaintext("reader"),
    ],
)
@pytest.mark.parametrize("keys", [True, False])
def test_nothing_of_a_key_is_shown(shown: str, keys: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    play = Play(keyring=ring(READER) if keys else None)
    session = play.session(1)
    play.send(session, 1001, hello(client_id=shown))
    said = [str(session), repr(session), caplog.text, *(repr(c.denial) for c in play.commands if isinstance(c, Reply))]
    said += [c.note for c in play.commands if isinstance(c, Witness)]
    said += [c.reason for c in play.commands if isinstance(c, Close)]
    said += [repr(c.body) for c in play.commands if isinstance(c, Reply)]
    assert shown.lower()[-64:] not in "".join(said).lower()
    play.send(session, 1006)
    assert shown.lower()[-64:] not in caplog.text.lower()


def test_a_plain_client_id_is_shown() -> None:
    play = Play()
    assert "'kfc_fan'" in str(play.client(1, client_id="kfc_fan"))


# -- a caller's InitConnect


@pytest.mark.parametrize("reached", [True, False])
@pytest.mark.parametrize("body", [hello(), hello(client_id=plaintext("boss")), b"", b"\xff"])
def test_a_caller_s_init_connect_is_answered_here_and_ends_nobody(reached: bool, body: bytes) -> None:
    play = Play(keyring=ring(READER, BOSS))
    if not reached:
        play.main.upstream.identity = None
    caller = play.caller(1, READER)
    row = caller.row
    play.call(caller, 1001, body)
    assert not play.waiting
    (answer,) = play.commands
    assert isinstance(answer, Reply)
    if not reached:
        assert play.denial().kind is DenialKind.UNAVAILABLE
    elif body == b"\xff":
        assert play.denial().kind is DenialKind.INVALID
    else:
        assert answer.denial is None
    assert caller.ready
    assert (caller.key, caller.row) == (READER, row)


def test_a_caller_s_keep_alive_is_answered_here() -> None:
    play = Play()
    (line,) = play.call(play.caller(1, READER), 1004)
    assert line[4] == 0


def test_a_caller_s_patience_is_bounded() -> None:
    play = Play()
    caller = play.caller(1, READER)
    (command,) = [play.call(caller, 3004, until=play.now + 3600.0) and play.commands[0]]
    assert getattr(command, "until", None) == play.now + 11.0
    play.call(caller, 3006, until=play.now + 2.0)
    assert getattr(play.commands[0], "until", None) == play.now + 2.0


# -- keys that change


def test_a_key_that_ends() -> None:
    play = Play(keyring=ring(replace(READER, expires_at=1010.0)))
    session = play.client(1, client_id=plaintext("reader"))
    assert play.later(1.0) == []
    play.now = 1009.9
    assert play.later(0.05) == []
    assert play.later(1.1)[-1][:2] == ("close", 1)
    assert play.send(session, 3004) == []


def test_an_order_finds_the_end_of_its_key_at_once() -> None:
    """Reads go on until the next review; an order does not."""
    play = Play(keyring=ring(replace(BOSS, expires_at=1000.5)))
    session = play.client(1, client_id=plaintext("boss"))
    play.now = 1000.4
    assert play.later(0.05) == []
    play.now = 1000.5
    lines = play.send(session, 2202, place())
    assert lines[-1][:2] == ("close", 1)
    (answer,) = [command for command in play.commands if isinstance(command, Reply)]
    assert answer.denial is not None
    assert answer.denial.kind is DenialKind.UNAUTHENTICATED
    assert play.send(session, 2202, place()) == []


def test_a_key_that_is_frozen_by_a_reload() -> None:
    play = Play(keyring=ring(READER))
    play.client(1, client_id=plaintext("reader"))
    play.access.keyring = ring(replace(READER, allowed_machines=frozenset()))
    assert play.review()[-1][:2] == ("close", 1)


def test_sessions_of_a_bound_port_follow_its_key() -> None:
    play = Play(keyring=ring(READER))
    session = play.session(1, bound_to="reader")
    play.send(session, 1001, hello())
    wider = replace(READER, scopes=frozenset(ALL_SCOPES))
    play.access.keyring = ring(wider)
    assert ("row", 1) in play.review()
    assert session.key is wider
    assert action_of(session.row, 1006) is RequestAction.PASS
    play.access.keyring = ring()
    assert play.review()[-1][:2] == ("close", 1)


def test_when_keys_come_everybody_must_show_one() -> None:
    play = Play()
    play.client(1)
    play.access.keyring = ring(READER)
    assert play.review()[-1][:2] == ("close", 1)


def test_a_changed_key_keeps_what_core_must_see_of_its_streams() -> None:
    play = Play(keyring=ring(BOSS))
    first = play.client(1, client_id=plaintext("boss"))
    second = play.client(2, client_id=plaintext("boss"))
    play.send(first, 3001, sub([(11, "AAPL")], [6], extendedTime=True))
    play.answer_all()
    play.send(second, 3001, sub([(11, "AAPL")], [6], session=3))
    (extra,) = play.opened - {0}
    play.up(extra)
    play.answer_all()
    assert action_of(second.row, 3006) is RequestAction.INSPECT
    play.access.keyring = ring(replace(BOSS, note="new"))
    play.review()
    assert action_of(second.row, 3006) is RequestAction.INSPECT


@pytest.mark.parametrize("revoked", [True, False])
def test_what_waits_for_the_link_is_gated_when_it_goes_on(revoked: bool) -> None:
    play = Play(keyring=ring(BOSS))
    session = play.session(1)
    play.send(session, 1001, hello(client_id=plaintext("boss"), push_proto_fmt=1))
    play.now += 1.0
    assert play.send(session, 2005, b'{"c2s":{"unlock":true}}', proto_fmt=1) == [], "its lane is being made"
    play.access.keyring = ring() if revoked else ring(replace(BOSS, scopes=READER.scopes))
    play.review()
    play.up(1)
    assert not play.waiting
    if not revoked:
        assert play.denial().scope == Scopes.TRADE_UNLOCK
