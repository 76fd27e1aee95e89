"""Whose calls one gRPC connection carries: the keys that are shown on it, each looked up once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from opendmux.core.denial import Denial
from opendmux.runtime.backend import Backend, Caller
from opendmux.runtime.ports import FORWARDED
from opendmux.wire.grpc_status import Code, Status

from ._grpc_text import bearer_untrusted, status_of

__all__ = ["CALLERS_MAX", "Callers", "Shown"]

CALLERS_MAX: Final = 16
"""Keys on one connection. A program has one; a gateway of its own may have a few."""

_FORWARDED: Final = frozenset(name.encode() for name in FORWARDED)

Shown: TypeAlias = tuple[str | None, bool]
"""A key, and whether it was shown on this machine."""


class Callers:
    """Of one connection. ``local``: the peer is on this machine. ``certified``: the key id that its certificate
    names."""

    def __init__(self, backend: Backend, *, peer: str, local: bool, certified: str | None) -> None:
        self._backend = backend
        self._peer = peer
        self._local = local
        self._certified = certified
        self._known: dict[Shown, Caller] = {}

    def find_untrusted(self, metadata: Sequence[tuple[bytes, bytes]]) -> tuple[Caller, Shown] | Status:
        """Who calls with this metadata, and by what they are known; or why they may not."""
        bearer = bearer_untrusted(metadata)
        local = self._local and not any(name in _FORWARDED and value for name, value in metadata)
        if isinstance(bearer, Status):  # counted and put down like any other key that is none
            self._backend.admit("", iface="grpc", peer=self._peer, local=local)
            return bearer
        shown = bearer, local
        caller = self._known.get(shown)
        if caller is not None:
            return caller, shown
        if len(self._known) >= CALLERS_MAX:
            return Status(Code.RESOURCE_EXHAUSTED, f"more than {CALLERS_MAX} keys on one connection", "keys")
        answer = self._backend.admit(bearer, iface="grpc", peer=self._peer, local=local, certified=self._certified)
        if isinstance(answer, Denial):
            return status_of(answer)
        self._known[shown] = answer
        return answer, shown

    def forget(self, shown: Shown, caller: Caller) -> None:
        """The key is not good any more: it is looked up again at its next call. Harmless when called again."""
        if self._known.get(shown) is caller:
            del self._known[shown]
            caller.detach()

    def close(self) -> None:
        """The connection is gone. Harmless when called again."""
        for caller in self._known.values():
            caller.detach()
        self._known.clear()
