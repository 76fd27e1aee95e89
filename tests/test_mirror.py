"""`tests/` mirrors `src/`: a module has a file of tests of its name, or a reason why it needs none."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "opendmux"
ROOMS = ("wire", "core", "runtime")

ELSEWHERE: dict[str, str] = {
    "wire/grpc_engine.py": "settings of h2, seen by the client in tests/wire/test_grpc.py",
    "wire/grpc_head.py": "tests/wire/test_grpc.py",
    "wire/grpc_events.py": "data; every test of a connection compares them",
    "wire/frame.py": "names for native's framing (tests/native) and two enums",
    "core/_ledger_audiences.py": "the inside of ledger.py, tested as one thing",
    "core/_ledger_check.py": "the inside of ledger.py, tested as one thing",
    "core/_ledger_operations.py": "the inside of ledger.py, tested as one thing",
    "core/_ledger_products.py": "the inside of ledger.py, tested as one thing",
    "core/_ledger_records.py": "the inside of ledger.py, tested as one thing",
    "core/_ledger_rules.py": "the inside of ledger.py, tested as one thing",
    "core/_ledger_upstream.py": "the inside of ledger.py, tested as one thing",
    "core/budget_line.py": "the inside of budgets.py, tested as one thing",
    "core/budget_table.py": "tests/core/test_budgets_table.py",
    "core/condition_texts.py": "the sentences of conditions.py: tests/core/test_conditions.py",
    "core/commands.py": "data; every router test compares them",
    "core/denial.py": "data",
    "core/identity.py": "data; its one text is in tests/core/test_router_link.py",
    "core/joint.py": "the parts of a request: tests/core/test_subscriptions_lanes.py",
    "core/keyrecord.py": "one key of the file: tests/core/test_keyfile.py",
    "core/keyvalues.py": "the fields of one key: tests/core/test_keyfile.py",
    "core/lanes.py": "tests/core/test_subscriptions_lanes.py",
    "core/links.py": "tests/core/test_router_link.py and tests/core/test_pauses.py",
    "core/markets.py": "tables; tests/core/test_keyfile.py reads names through them",
    "core/parking.py": "requests during an outage: tests/core/test_router_link.py",
    "core/pushbody.py": "read through every push: tests/core/test_pushes.py and test_pushes_delivery.py",
    "core/pushplaces.py": "data; tests/core/test_pushes.py and test_pushes_delivery.py read every push by it",
    "core/snapshot.py": "data, read back in tests/runtime/test_status.py",
    "core/writes.py": "tests/core/test_trading_writes.py, tests/core/test_custody.py and tests/core/test_freezes.py",
    "runtime/backend.py": "protocols and data",
    "runtime/binding.py": "ports and dials: tests/cli/test_upstreams.py, tests/runtime/test_server.py, test_groups.py",
    "runtime/carrier.py": "how a session reads: tests/runtime/test_session.py and tests/e2e/test_encryption.py",
    "runtime/house.py": "tests/cli/test_house.py",
    "runtime/hub.py": "driven by every test of sessions, links and broadcasts",
    "runtime/metric_table.py": "data, held against what is scraped: tests/runtime/test_metrics.py",
    "runtime/own.py": "the seat of a sweep: tests/runtime/test_steward.py",
    "runtime/outlet.py": "the writer of every session and link",
    "runtime/ports.py": "protocols without code",
    "runtime/pump.py": "real sockets only: tests/runtime/test_server.py and tests/e2e",
    "runtime/pushrecorder.py": "read through streams that can be resumed: tests/runtime/test_pushstreams.py",
    "runtime/rooms.py": "what is spoken on a port: tests/runtime/test_door.py and tests/e2e/test_one_port.py",
    "runtime/silence.py": "tests/runtime/test_session.py",
    "runtime/station.py": "lanes that come and go: tests/runtime/test_lanes.py and test_lane_lives.py",
    "runtime/work.py": "what a drain waits for: tests/runtime/test_corners.py",
}
"""Modules without a file of tests of their own, and where their tests are."""


def modules() -> list[str]:
    return sorted(
        str(path.relative_to(SOURCE))
        for room in ROOMS
        for path in (SOURCE / room).glob("*.py")
        if path.name != "__init__.py"
    )


def own_tests(module: str) -> list[Path]:
    """``test_router.py`` and ``test_router_link.py`` for ``router.py``."""
    path = Path(module)
    return sorted(
        {*(TESTS / path.parent).glob(f"test_{path.stem}.py"), *(TESTS / path.parent).glob(f"test_{path.stem}_*.py")}
    )


@pytest.mark.parametrize("module", modules())
def test_every_module_has_its_tests_or_a_reason(module: str) -> None:
    if module in ELSEWHERE:
        assert not own_tests(module), "it has tests of its own: strike it from the table"
    else:
        assert own_tests(module), "write them, or say in the table where they are"


def test_the_table_has_no_reason_too_many() -> None:
    assert set(ELSEWHERE) <= set(modules())


def test_the_files_that_the_table_names_exist() -> None:
    for module, reason in ELSEWHERE.items():
        folder = TESTS
        for word in reason.replace(",", " ").split():
            if word.startswith("tests/"):
                folder = (TESTS.parent / word).parent
                assert (TESTS.parent / word).exists(), (module, word)
            elif word.startswith("test_"):
                assert (folder / word).exists(), (module, word)
