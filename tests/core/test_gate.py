"""Policy rows: what they say to every protocol."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from opendmux.core.commands import Ask, Forward, Reply
from opendmux.core.denial import DenialKind
from opendmux.core.gate import HANDSHAKE_ROW, action_of, denial_of, key_row, may_send_unknown, missing_scope, open_row
from opendmux.core.keys import ALL_SCOPES, Key, Scopes
from opendmux.wire.protocols import BASE_ROW, N_PROTOCOLS, PROTOCOLS, PUSH_IDS, Protocol, RequestAction
from tests.core.key_kit import plaintext, ring
from tests.core.playbook import Play
from tests.core.playbook import line as line_of

UNKNOWN_IDS = [0, 1, 1000, 2206, 3999, 2**32 - 1]


def test_rows_have_a_cell_for_every_protocol_and_one_for_the_unknown() -> None:
    assert (
        len(HANDSHAKE_ROW) == len(open_row(allow_unknown=False)) == len(open_row(allow_unknown=True)) == N_PROTOCOLS + 1
    )


@pytest.mark.parametrize("proto_id", [*PROTOCOLS, *UNKNOWN_IDS])
def test_until_init_connect_core_sees_everything(proto_id: int) -> None:
    assert action_of(HANDSHAKE_ROW, proto_id) is RequestAction.LOCAL


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: str(protocol.proto_id))
@pytest.mark.parametrize("allow_unknown", [False, True])
def test_the_open_row_is_the_table(protocol: Protocol, allow_unknown: bool) -> None:
    row = open_row(allow_unknown=allow_unknown)
    assert action_of(row, protocol.proto_id) is protocol.request
    assert row[protocol.index] == BASE_ROW[protocol.index], "the reply's action as well"


@pytest.mark.parametrize("proto_id", UNKNOWN_IDS)
def test_unknown_ids(proto_id: int) -> None:
    assert action_of(open_row(allow_unknown=False), proto_id) is RequestAction.DENY
    assert action_of(open_row(allow_unknown=True), proto_id) is RequestAction.PASS


@pytest.mark.parametrize("allow_unknown", [False, True])
def test_a_push_is_never_a_request(allow_unknown: bool) -> None:
    row = open_row(allow_unknown=allow_unknown)
    assert {action_of(row, proto_id) for proto_id in PUSH_IDS} == {RequestAction.DENY}


# -- keys


SCOPE_SETS = [frozenset(some) for count in range(8) for some in combinations(ALL_SCOPES, count)]
TRADE = {Scopes.TRADE_SIMULATE, Scopes.TRADE_REAL}
ADMIN_IDS = {1006, 1008, 1009}
QOT_WRITES = {3214, 3220, 3309}
ACC_READS = {2001, 2008, 2101, 2102, 2111, 2112, 2201, 2211, 2221, 2222, 2223, 2225, 2226}
TRADES = {2202, 2205, 2209, 2227, 2237}


def needed(proto_id: int) -> set[str]:
    """Any of these scopes will do; none: nobody needs one. Written down from what was promised, not from the table."""
    if proto_id in ADMIN_IDS:
        return {Scopes.ADMIN}
    if proto_id // 1000 == 1 and proto_id in PROTOCOLS:
        return set()
    if proto_id in QOT_WRITES:
        return {Scopes.QOT_WRITE}
    if proto_id // 1000 == 3 and proto_id in PROTOCOLS:
        return {Scopes.QOT_READ}
    if proto_id in ACC_READS:
        return {Scopes.ACC_READ}
    if proto_id in TRADES:
        return TRADE
    if proto_id == 2005:
        return {Scopes.TRADE_UNLOCK, Scopes.TRADE_REAL}
    return {Scopes.TRADE_REAL}


def check_refused(play: Play, key: Key, proto_id: int) -> None:
    """Nothing of it has left, and the answer says why."""
    assert not play.waiting, proto_id
    assert not [command for command in play.commands if isinstance(command, Forward | Ask)]
    denial = play.denial()
    if proto_id in PUSH_IDS:
        assert (denial.kind, denial.reason) == (DenialKind.INVALID, "push_id")
    else:
        assert denial.kind is DenialKind.PERMISSION
        assert denial.reason == ("scope" if proto_id in PROTOCOLS else "unknown")
        lacks = not (key.scopes & needed(proto_id)) and (proto_id in PROTOCOLS or key.allow_unknown)
        assert (denial.scope in needed(proto_id)) if lacks else denial.scope == ""
        assert denial.scope in denial.text or denial.reason == "unknown"


def check_refused_as_real(play: Play) -> None:
    assert not play.waiting
    denial = play.denial()
    assert (denial.kind, denial.reason, denial.scope) == (DenialKind.PERMISSION, "scope", Scopes.TRADE_REAL)


@pytest.mark.parametrize("scopes", SCOPE_SETS, ids=lambda scopes: "+".join(sorted(scopes)) or "none")
def test_without_the_scope_nothing_reaches_opend(scopes: frozenset[str]) -> None:
    play_key = Key("k", scopes)
    play = Play(keyring=ring(play_key), metered=bool(len(scopes) % 2))
    client = play.client(1, client_id=plaintext("k"))
    caller = play.caller(2, play_key)
    for proto_id in [*PROTOCOLS, *UNKNOWN_IDS]:
        if proto_id in (1001, 1004):
            continue
        scope_is_there = not needed(proto_id) or bool(scopes & needed(proto_id))
        may = scope_is_there and proto_id in PROTOCOLS and proto_id not in PUSH_IDS
        assert (action_of(client.row, proto_id) is not RequestAction.DENY) == may, proto_id
        for send in (play.send, play.call):
            send(client if send == play.send else caller, proto_id)
            if may and proto_id in TRADES and Scopes.TRADE_REAL not in scopes:
                # Without trdEnv it counts as real.
                check_refused_as_real(play)
            elif may:
                answers = [command for command in play.commands if isinstance(command, Reply)]
                assert not answers or answers[0].denial is None or answers[0].denial.kind is not DenialKind.PERMISSION
                play.waiting.clear()
            else:
                check_refused(play, play_key, proto_id)


def test_unknown_ids_need_trade_real_and_a_word_about_them() -> None:
    real = Key("k", frozenset({Scopes.TRADE_REAL}))
    for key, may in [
        (real, False),
        (replace(real, allow_unknown=True), True),
        (Key("k", frozenset(ALL_SCOPES) - {Scopes.TRADE_REAL}, allow_unknown=True), False),
        (replace(real, allow_unknown=True, allowed_acc_ids=frozenset({1})), False),
        (replace(real, allow_unknown=True, allowed_acc_ids=frozenset()), False),
        (replace(real, allow_unknown=True, allowed_card_nums=frozenset({"1"})), False),
    ]:
        assert may_send_unknown(key) is may
        play = Play(keyring=ring(key), allow_unknown=True)
        client = play.client(1, client_id=plaintext("k"))
        play.send(client, 9999)
        if may:
            assert [line[0] for line in map(line_of, play.commands)] == ["forward"]
        else:
            check_refused(play, key, 9999)


@pytest.mark.parametrize(("strict", "may"), [(False, True), (True, False)])
def test_trade_real_unlocks_unless_the_key_is_strict(strict: bool, may: bool) -> None:
    key = Key("k", frozenset({Scopes.TRADE_REAL}), strict_unlock=strict)
    assert missing_scope(key, 2005) == ("" if may else Scopes.TRADE_UNLOCK)
    without = Key("k", frozenset(), strict_unlock=strict)
    scopes = "trade:unlock" if strict else "trade:unlock or trade:real"
    assert denial_of(without, 2005).text.endswith(f"it needs a key with the scope {scopes}"), "every one that would do"
    assert (action_of(key_row(open_row(allow_unknown=False), key), 2005) is RequestAction.INSPECT) == may


@pytest.mark.parametrize("accounts", [{"allowed_acc_ids": frozenset({1})}, {"allowed_card_nums": frozenset({"1"})}])
def test_all_that_names_accounts_is_shown_to_core(accounts: dict[str, frozenset[int]]) -> None:
    row = key_row(open_row(allow_unknown=True), Key("k", frozenset(ALL_SCOPES), **accounts))  # type: ignore[arg-type]
    assert {action_of(row, proto_id) for proto_id in ACC_READS | TRADES} == {RequestAction.INSPECT}


def test_a_key_opens_nothing_that_the_row_does_not_have() -> None:
    key = Key("k", frozenset(ALL_SCOPES))
    base = open_row(allow_unknown=False)
    row = key_row(base, key)
    assert row == base
    assert key_row(row, Key("k", frozenset()))[1:] != base[1:]
