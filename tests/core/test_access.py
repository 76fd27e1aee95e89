"""Who is let in, and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opendmux.core.access import ANONYMOUS, Access, Admitted
from opendmux.core.denial import Denial, DenialKind
from opendmux.core.keys import ALL_SCOPES, Keyring, Scopes, digest_of
from tests.core.key_kit import MACHINE, key, plaintext, ring
from tests.core.playbook import Play

READER = key(Scopes.QOT_READ, key_id="reader")
IFACES = ["tcp", "grpc", "http"]


def admit(
    access: Access,
    shown: str | None,
    *,
    iface: str = "grpc",
    local: bool = False,
    wall: float = 0.0,
    bound: str | None = None,
) -> Admitted | Denial:
    return access.admit(shown, iface=iface, local=local, wall=wall, bound_to=bound)


def refused(answer: Admitted | Denial) -> tuple[DenialKind, str]:
    assert isinstance(answer, Denial)
    return answer.kind, answer.reason


# -- no keys file


def test_which_keys_there_are() -> None:
    access = Access(ring(key(key_id="bot"), key(key_id="old", expires_at=100.0)))
    assert [access.knows(key_id, 99.0) for key_id in ("bot", "old", "nobody")] == [True, True, False]
    assert [access.knows(key_id, 100.0) for key_id in ("bot", "old")] == [True, False]
    assert not Access().knows("bot", 0.0)


def test_without_keys_the_sdk_gets_what_opend_gives() -> None:
    assert admit(Access(), None, iface="tcp") == Admitted(None)


@pytest.mark.parametrize("client_id", ["", "fc_mine", "anything"])
def test_without_keys_a_client_id_of_the_sdk_is_just_a_name(client_id: str) -> None:
    assert admit(Access(), client_id, iface="tcp") == Admitted(None)


@pytest.mark.parametrize("iface", ["grpc", "http"])
def test_without_keys_other_callers_may_read_and_simulate(iface: str) -> None:
    admitted = admit(Access(), None, iface=iface)
    assert admitted == Admitted(ANONYMOUS)
    assert ANONYMOUS.scopes == {"qot:read", "acc:read", "trade:simulate"}


@pytest.mark.parametrize(
    ("proto_id", "scope"),
    [(2202, "trade:real"), (2005, "trade:unlock or trade:real"), (3214, "qot:write")],
)
def test_who_can_have_no_key_is_not_sent_for_a_better_one(proto_id: int, scope: str) -> None:
    """No key is good here, so the sentence is about the keys file, or the option that does without."""
    play = Play()
    play.call(play.caller(1, ANONYMOUS), proto_id)  # an order without trdEnv counts as real
    denial = play.denial()
    assert (denial.kind, denial.reason) == (DenialKind.PERMISSION, "scope")
    assert denial.text.endswith(
        f" was not sent: it needs {scope}, and this proxy has no keys file: make one with `opendmux keys add`, or "
        "start it with --insecure-allow-trading"
    )


@pytest.mark.parametrize("local", [True, False])
def test_without_keys_callers_over_websocket_are_anonymous(local: bool) -> None:
    admitted = Access().admit(None, iface="ws", local=local, wall=0.0, caller=True)
    assert admitted == Admitted(ANONYMOUS)
    assert Access().admit(None, iface="ws", local=True, wall=0.0) == Admitted(None), (
        "OpenD's own way is as open as OpenD"
    )


def test_real_trading_without_keys_has_to_be_asked_for() -> None:
    admitted = admit(Access(insecure_allow_trading=True), None)
    assert isinstance(admitted, Admitted)
    assert admitted.key is not None
    assert admitted.key.scopes == frozenset(ALL_SCOPES)


@pytest.mark.parametrize("shown", ["", "fc_", plaintext("reader")])
def test_a_key_where_there_are_none_is_not_taken_for_none(shown: str) -> None:
    assert refused(admit(Access(), shown)) == (DenialKind.UNAUTHENTICATED, "invalid")


@pytest.mark.parametrize("iface", IFACES)
def test_a_port_bound_to_a_key_is_closed_while_there_are_no_keys(iface: str) -> None:
    assert refused(admit(Access(), None, iface=iface, bound="reader")) == (DenialKind.UNAUTHENTICATED, "invalid")


# -- with a keys file


@pytest.mark.parametrize("iface", IFACES)
def test_a_key_of_the_file_is_let_in_everywhere(iface: str) -> None:
    shown = plaintext("reader")
    assert admit(Access(ring(READER)), shown, iface=iface) == Admitted(READER, digest_of(shown))


@pytest.mark.parametrize("iface", IFACES)
@pytest.mark.parametrize("keyring", [ring(READER), Keyring()], ids=["keys", "no keys in it"])
def test_nobody_is_anonymous_any_more(iface: str, keyring: Keyring) -> None:
    for insecure in (False, True):
        access = Access(keyring, insecure_allow_trading=insecure)
        denial = admit(access, None, iface=iface)
        assert refused(denial) == (DenialKind.UNAUTHENTICATED, "missing")
        assert isinstance(denial, Denial)
        assert {"tcp": "set_client_info", "grpc": "metadata", "http": "header"}[iface] in denial.text


@pytest.mark.parametrize("iface", IFACES)
@pytest.mark.parametrize(
    "shown", ["", "fc_", "fc_" + "0" * 64, plaintext("reader").upper(), plaintext("reader") + " ", "\udcff"]
)
@pytest.mark.parametrize("bound", [None, "reader"])
def test_a_wrong_key_never_falls_back_to_anything(iface: str, shown: str, bound: str | None) -> None:
    denial = admit(Access(ring(READER)), shown, iface=iface, bound=bound)
    assert refused(denial) == (DenialKind.UNAUTHENTICATED, "invalid")


def test_a_bound_port_needs_no_key() -> None:
    access = Access(ring(READER, key(Scopes.ADMIN, key_id="boss")))
    assert admit(access, None, iface="tcp", bound="reader") == Admitted(READER)
    shown = admit(access, plaintext("boss"), iface="tcp", bound="reader")
    assert isinstance(shown, Admitted)
    assert shown.key is not None
    assert shown.key.id == "boss"


def test_a_bound_port_whose_key_is_gone_is_closed() -> None:
    access = Access(ring(replace(READER, expires_at=100.0)))
    assert refused(admit(access, None, bound="nobody"))[1] == "invalid"
    assert isinstance(admit(access, None, bound="reader", wall=99.9), Admitted)
    assert refused(admit(access, None, bound="reader", wall=100.0))[1] == "invalid"


def test_an_expired_key_is_as_unknown_as_any() -> None:
    access = Access(ring(replace(READER, expires_at=100.0)))
    shown = plaintext("reader")
    assert isinstance(admit(access, shown, wall=99.9), Admitted)
    late, wrong = admit(access, shown, wall=100.0), admit(access, "fc_x", wall=100.0)
    assert refused(late) == (DenialKind.UNAUTHENTICATED, "invalid")
    assert late == wrong, "nobody learns that the key was good once"


def test_nothing_of_a_key_is_shown() -> None:
    shown = plaintext("reader")
    admitted = admit(Access(ring(READER)), shown)
    denial = admit(Access(ring()), shown)
    for text in (repr(admitted), repr(denial), repr(ring(READER))):
        assert shown[3:] not in text
        assert digest_of(shown).hex() not in text
        assert repr(digest_of(shown)) not in text


# -- machines


@pytest.mark.parametrize(
    ("machines", "local", "may"),
    [
        (None, False, True),
        ({MACHINE}, True, True),
        ({"other", MACHINE}, True, True),
        ({MACHINE}, False, False),
        ({"other"}, True, False),
        (set(), True, False),
    ],
)
def test_machines(machines: set[str] | None, local: bool, may: bool) -> None:
    bound = replace(READER, allowed_machines=None if machines is None else frozenset(machines))
    answer = admit(Access(ring(bound), machine_id=MACHINE), plaintext("reader"), local=local)
    if may:
        assert isinstance(answer, Admitted)
    else:
        assert refused(answer) == (DenialKind.PERMISSION, "machine")


def test_a_machine_without_an_id_is_no_machine() -> None:
    bound = replace(READER, allowed_machines=frozenset({""}))
    assert refused(admit(Access(ring(bound)), plaintext("reader"), local=True))[1] == "machine"


# -- later


def test_a_caller_s_key_as_it_is_now() -> None:
    access = Access(ring(READER))
    admitted = admit(access, plaintext("reader"))
    assert isinstance(admitted, Admitted)
    wider = replace(READER, scopes=frozenset({Scopes.QOT_READ, Scopes.ADMIN}))
    access.keyring = ring(wider)
    assert access.current(admitted, 0.0) is wider
    access.keyring = ring(wider, until=50.0)
    assert access.current(admitted, 49.0) is wider
    assert access.current(admitted, 50.0) is None
    access.keyring = ring(key(Scopes.ADMIN, key_id="other"))
    assert access.current(admitted, 0.0) is None


def test_a_plaintext_that_leads_to_another_key_now_has_ended() -> None:
    access = Access(ring(READER))
    admitted = admit(access, plaintext("reader"))
    assert isinstance(admitted, Admitted)
    access.keyring = Keyring.of([(READER, digest_of("new"), None), (key("admin", key_id="b"), admitted.digest, None)])
    assert access.current(admitted, 0.0) is None


def test_who_shows_no_key_has_the_one_that_stands_for_it_as_it_is_now() -> None:
    access = Access(ring(READER))
    admitted = admit(access, None, bound="reader")
    assert isinstance(admitted, Admitted)
    assert access.current(admitted, 0.0) is READER
    short = replace(READER, expires_at=50.0)
    access.keyring = ring(short)
    assert (access.current(admitted, 49.0), access.current(admitted, 50.0)) == (short, None)
    access.keyring = ring(key(Scopes.ADMIN, key_id="other"))
    assert access.current(admitted, 0.0) is None


def test_the_anonymous_end_when_keys_come() -> None:
    access = Access()
    admitted = admit(access, None)
    assert isinstance(admitted, Admitted)
    assert access.current(admitted, 0.0) is ANONYMOUS
    access.keyring = ring(key(*ALL_SCOPES, key_id="anonymous"))
    assert access.current(admitted, 0.0) is None


def test_sessions_of_all_kinds_when_keys_change() -> None:
    play = Play(keyring=ring(READER))
    shown = play.client(1, client_id=plaintext("reader"))
    caller = play.caller(2, READER)
    access = play.access
    assert not access.ended(shown, 0.0)
    assert not access.ended(caller, 0.0)
    access.keyring = ring(replace(READER, allowed_machines=frozenset()))
    assert access.ended(shown, 0.0), "frozen"
    assert not access.ended(caller, 0.0), "each of its connections is looked at by itself"
    access.keyring = ring()
    assert access.ended(shown, 0.0)
    assert access.ended(caller, 0.0)


def test_sessions_without_a_key_end_when_keys_come() -> None:
    play = Play()
    free, caller = play.client(1), play.caller(2, ANONYMOUS)
    assert not play.access.ended(free, 0.0)
    assert not play.access.ended(caller, 0.0)
    play.access.keyring = ring(key(*ALL_SCOPES, key_id="anonymous"))
    assert play.access.ended(free, 0.0)
    assert play.access.ended(caller, 0.0)


def test_a_key_that_is_named_by_a_certificate_is_looked_up_again() -> None:
    access = Access(ring(replace(READER, expires_at=50.0)))
    admitted = admit(access, None, bound="reader")
    assert isinstance(admitted, Admitted)
    assert access.current(admitted, 49.0) is admitted.key
    assert access.current(admitted, 50.0) is None
    wider = replace(READER, scopes=frozenset(ALL_SCOPES))
    access.keyring = ring(wider)
    assert access.current(admitted, 60.0) is wider
    access.keyring = Keyring.of([])
    assert access.current(admitted, 60.0) is None


def test_who_was_admitted_is_judged_again_by_the_keys_of_now() -> None:
    bot, other = key(Scopes.QOT_READ, key_id="bot"), key(Scopes.ADMIN, key_id="other")
    access = Access(ring(bot, other), machine_id="here")
    admitted = access.admit(plaintext("bot"), iface="ws", local=True, wall=0.0)
    assert isinstance(admitted, Admitted)
    assert access.renewed(admitted, local=True, wall=0.0) == admitted
    narrower = replace(bot, scopes=frozenset())
    access.keyring = ring(narrower)
    assert access.renewed(admitted, local=True, wall=0.0) == replace(admitted, key=narrower)
    for ring_now, kind in (
        (ring(other), DenialKind.UNAUTHENTICATED),
        (ring(replace(bot, allowed_machines=frozenset())), DenialKind.PERMISSION),
        (ring(replace(bot, expires_at=5.0)), DenialKind.UNAUTHENTICATED),
    ):
        access.keyring = ring_now
        denied = access.renewed(admitted, local=True, wall=5.0)
        assert isinstance(denied, Denial)
        assert denied.kind is kind


def test_who_needed_no_key_needs_one_when_there_are_keys() -> None:
    access = Access()
    admitted = access.admit(None, iface="ws", local=True, wall=0.0)
    assert isinstance(admitted, Admitted)
    assert access.renewed(admitted, local=True, wall=0.0) == admitted
    access.keyring = ring(key(Scopes.QOT_READ))
    assert isinstance(access.renewed(admitted, local=True, wall=0.0), Denial)
