"""Who is registered for which push, and the answers to that question, kept ready."""

from __future__ import annotations

from collections.abc import Mapping

from ._ledger_records import Stream
from .streams import KL_TYPE_OF_SUB_TYPE, Space, StreamKey, is_kline

AudienceKey = tuple[Space, int, str, int, int]
"""space, market, code, sub_type, rehab_type."""


class Audiences:
    """The registrations of all streams. ``ready`` holds only audiences of at least one, so the streams bound it."""

    def __init__(self, streams: Mapping[StreamKey, Stream]) -> None:
        self._streams = streams
        self.ready: dict[AudienceKey, tuple[int, ...]] = {}
        self.ready_klines: dict[tuple[int, str], tuple[int, ...]] = {}

    def find(self, key: AudienceKey) -> tuple[int, ...]:
        space, market, code, sub_type, rehab_type = key
        stream = self._streams.get(StreamKey(space, market, code, sub_type))
        if stream is None or rehab_type not in stream.registered:
            return ()
        found = self.ready[key] = tuple(stream.registered[rehab_type])
        return found

    def find_klines(self, market: int, code: str) -> tuple[int, ...]:
        owners: dict[int, None] = {}
        for sub_type in KL_TYPE_OF_SUB_TYPE:
            owners.update(dict.fromkeys(self.find((Space.EVENT_CONTRACT, market, code, sub_type, 0))))
        found = tuple(owners)
        if found:
            self.ready_klines[market, code] = found
        return found

    def enrol(self, stream: Stream, rehab_type: int, ident: int) -> bool:
        """False when it was registered already."""
        enrolled = stream.registered.setdefault(rehab_type, {})
        if ident in enrolled:
            return False
        enrolled[ident] = None
        self._forget(stream, rehab_type)
        return True

    def strike(self, stream: Stream, rehab_type: int, ident: int) -> None:
        enrolled = stream.registered.get(rehab_type)
        if enrolled is None or ident not in enrolled:
            return
        del enrolled[ident]
        if not enrolled:
            del stream.registered[rehab_type]
        self._forget(stream, rehab_type)

    def _forget(self, stream: Stream, rehab_type: int) -> None:
        space, market, code, sub_type = stream.key
        self.ready.pop((space, market, code, sub_type, rehab_type), None)
        if space is Space.EVENT_CONTRACT and is_kline(sub_type):
            self.ready_klines.pop((market, code), None)

    def check(self) -> None:
        """Raises AssertionError when an answer kept ready is out of date."""
        for key, owners in self.ready.items():
            assert owners, key
            assert owners == tuple(self._streams[StreamKey(*key[:4])].registered[key[4]]), key
        for (market, code), owners in list(self.ready_klines.items()):
            assert owners == self.find_klines(market, code), code
