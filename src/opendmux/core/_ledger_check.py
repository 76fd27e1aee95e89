"""The ledger's invariants, spelled out. For tests and for a debugger: it walks over everything."""

from __future__ import annotations

from collections.abc import Mapping

from ._ledger_records import ABSENT, NO_REHAB, PRESENT, Owner, Stream
from ._ledger_upstream import Upstream
from .ledger_values import Kind


def check(upstream: Upstream, owners: Mapping[int, Owner]) -> None:
    """Raises AssertionError with the stream or owner that breaks a rule."""
    for key, stream in upstream.streams.items():
        assert stream.key == key, key
        _check_stream(stream, upstream, owners)
    for ident, owner in owners.items():
        assert owner.ident == ident, ident
        assert owner.held or owner.operations, f"owner {ident} is kept for nothing"
        for key, stream in owner.held.items():
            assert upstream.streams.get(key) is stream, key
            assert ident in stream.holders, key
        _check_operations(owner, upstream)
    for call_id, call in upstream.calls.items():
        assert upstream.linked, call_id
        assert call.streams, call_id
        for stream in call.streams:
            assert stream.call is call, stream.key
            assert upstream.streams.get(stream.key) is stream, stream.key
    assert upstream.replays == sum(call.replay for call in upstream.calls.values())


def _check_stream(stream: Stream, upstream: Upstream, owners: Mapping[int, Owner]) -> None:
    key = stream.key
    for ident in stream.holders:
        assert owners[ident].held.get(key) is stream, key
    for rehab_type, enrolled in stream.registered.items():
        assert enrolled, key
        assert enrolled.keys() <= stream.holders.keys(), key
        assert stream.by_rehab or rehab_type in NO_REHAB, key
        if stream.state is PRESENT:
            assert rehab_type in stream.rehabs, key
    for operation in stream.pins:
        assert not operation.ended, key
        assert stream in operation.streams, key
    if stream.changer is not None:
        assert stream.changer in stream.pins, key
    assert stream.former is None or stream.changer is not None, key
    if not upstream.linked:
        assert stream.state is ABSENT, key
        assert stream.call is None, key
        assert not stream.pins, key
        assert stream.holders, f"{key} is wanted by nobody"
        return
    if stream.call is not None:
        assert stream.call in upstream.calls.values(), key
        if stream.call.kind is Kind.UNSUBSCRIBE:
            assert not stream.holders, f"{key} is being unsubscribed under its holder"
        if stream.call.kind is Kind.REGISTER:
            assert stream.state is PRESENT, key
        return
    assert stream.state is not ABSENT or not stream.idle(), f"{key} is kept for nothing"
    due = stream.due()
    assert due is None or (stream.alarm is not None and stream.alarm <= due), f"{key} would never be looked at"


def _check_operations(owner: Owner, upstream: Upstream) -> None:
    for operation in owner.operations:
        assert not operation.ended
        assert upstream.linked, "an operation waits although the link is down"
        assert operation.lined_up
        if operation.blocked:
            assert not operation.streams
            continue
        assert operation.open, "an operation waits for nothing"
        for stream in operation.open:
            assert stream.call is not None, f"an operation waits for {stream.key}, about which nothing is under way"
    for operation in owner.last.values():
        assert operation in owner.operations
