"""So much at once, so much in the long run."""

from __future__ import annotations

from opendmux.wire.grpc_guard import Patience


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    patience = Patience(3, 2.0)
    assert [patience.spend(10.0) for _ in range(4)] == [True, True, True, False]
    assert [patience.spend(10.5), patience.spend(10.5)] == [True, False]
    assert [patience.spend(1000.0) for _ in range(4)] == [True, True, True, False]
