"""Parts of the snapshot by themselves; the whole of it is in `test_status.py`."""

from __future__ import annotations

import pytest

from opendmux.core.identity import Session
from opendmux.native import LATENCY_BUCKETS_S
from opendmux.runtime.status_parts import client_id_of, name_of, quantile_ms


def test_quantiles_come_from_buckets() -> None:
    counts = [0] * (len(LATENCY_BUCKETS_S) + 1)
    assert quantile_ms(counts, 0.5) is None
    counts[1], counts[3] = 98, 2
    assert quantile_ms(counts, 0.5) == pytest.approx(LATENCY_BUCKETS_S[1] * 1e3)
    assert quantile_ms(counts, 0.99) == pytest.approx(LATENCY_BUCKETS_S[3] * 1e3)
    counts[-1] = 10
    assert quantile_ms(counts, 0.99) is None


def test_a_client_of_a_further_opend_is_named_by_both_numbers() -> None:
    session = Session(7, 1, 1, "peer", "peer", "tcp", 5, b"", b"")
    assert (client_id_of(1, session), client_id_of(3, session)) == ("7", "3.7")


def test_a_protocol_that_is_not_known_has_a_name_all_the_same() -> None:
    assert (name_of(3004), name_of(60_000)) == ("Qot_GetBasicQot", "unknown")
