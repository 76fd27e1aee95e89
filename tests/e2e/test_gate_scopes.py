"""A key with one scope: nothing else of it reaches OpenD, over gRPC and over TCP. A sample of proto ids against the
process; every id and every set of scopes is in tests/core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opendmux.core.keys import ALL_SCOPES, Scopes

from .gated import (
    PAPER,
    REAL,
    RESTING,
    TRADE_WRITES,
    FtClient,
    FutuProgram,
    Gate,
    Sim,
    account_body,
    open_gate,
    order_body,
    quote_body,
    sub_body,
    unlock_body,
)

QUOTE = (3001, 3002, 3003, 3004, 3006, 3008, 3010, 3012, 3014, 3103, 3104, 3202, 3203, 3209, 3213, 3215, 3219, 3221)
ACCOUNT = (2001, 2008, 2101, 2102, 2111, 2201, 2211, 2221, 2222, 2226)
NEEDED = {
    **dict.fromkeys(QUOTE, Scopes.QOT_READ),
    **dict.fromkeys((3214, 3220, 3309), Scopes.QOT_WRITE),
    **dict.fromkeys(ACCOUNT, Scopes.ACC_READ),
    **dict.fromkeys((1006, 1008, 1009), Scopes.ADMIN),
    2005: Scopes.TRADE_UNLOCK,
}
NEVER = (1003, 2208, 3005, 1010, 2000, 2299, 3999, 9999, 4294967295)
"""Pushes, and ids that nobody knows."""
KEEP_ALIVE = 1004


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sim, Gate, dict[str, str]]]:
    sim = Sim()
    with open_gate(tmp_path_factory.mktemp("gate"), sim.address) as gate:
        keys = {scope: gate.add(scope.replace(":", "-"), scope) for scope in ALL_SCOPES}
        gate.start(toml="budgets = false\n[watch]\nask_s = 0")  # what arrives is what was sent here
        yield sim, gate, keys
    assert sim.control.ask("violations")["violations"] == []
    sim.close()


def body_of(proto_id: int) -> bytes:
    if proto_id == 2005:
        return unlock_body("0" * 32)
    if proto_id == 3001:
        return sub_body()
    return quote_body() if proto_id in QUOTE else account_body(PAPER)


def split(scope: str) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
    """What a key with this scope alone must not send, and what it may."""
    no: list[tuple[int, bytes]] = [(proto_id, b"\x0a\x00") for proto_id in NEVER]
    yes: list[tuple[int, bytes]] = []
    for proto_id, needed in NEEDED.items():
        allowed = scope == needed or (proto_id, scope) == (2005, Scopes.TRADE_REAL)
        (yes if allowed else no).append((proto_id, body_of(proto_id)))
    for proto_id in TRADE_WRITES:
        for account, needed in ((REAL, Scopes.TRADE_REAL), (PAPER, Scopes.TRADE_SIMULATE)):
            (yes if scope == needed else no).append((proto_id, order_body(account, 100, RESTING)))
    return no, yes


def arrived(sim: Sim) -> dict[int, int]:
    return {proto_id: count for proto_id, count in sim.counts().items() if proto_id != KEEP_ALIVE}


@pytest.mark.parametrize("scope", ALL_SCOPES)
@pytest.mark.parametrize("transport", ["grpc", "tcp"])
def test_one_scope(scene: tuple[Sim, Gate, dict[str, str]], futu_proto: Path, transport: str, scope: str) -> None:
    sim, gate, keys = scene
    no, yes = split(scope)
    before = arrived(sim)
    if transport == "grpc":
        with FutuProgram("python", gate.port, futu_proto) as program:
            for proto_id, body in no:
                code = program.request(proto_id, body, keys[scope])["code"]
                assert code == ("INVALID_ARGUMENT" if proto_id in (1003, 2208, 3005) else "PERMISSION_DENIED"), proto_id
            assert arrived(sim) == before
            for proto_id, body in yes:
                assert program.request(proto_id, body, keys[scope])["code"] in ("OK", "INVALID_ARGUMENT"), proto_id
    else:
        client = FtClient(gate.port, keys[scope])
        for proto_id, body in no:
            client.ask(proto_id, body)
        assert arrived(sim) == before
        for proto_id, body in yes:
            client.ask(proto_id, body)
        client.close()
    after = arrived(sim)
    came = {proto_id for proto_id in after if after[proto_id] > before.get(proto_id, 0)}
    # 3001 to 3003 and 2008 are the ledger's to send on; 2001 is read for a caller's first order.
    own = {3001, 3002, 3003, 2008}
    assert {proto_id for proto_id, _body in yes} - own <= came
    assert came <= {proto_id for proto_id, _body in yes} | {2001}
