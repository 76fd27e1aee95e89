"""Policy rows: what they say to every protocol."""

from __future__ import annotations

import pytest

from opendmux.core.gate import HANDSHAKE_ROW, action_of, open_row
from opendmux.wire.protocols import BASE_ROW, N_PROTOCOLS, PROTOCOLS, PUSH_IDS, Protocol, RequestAction

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
