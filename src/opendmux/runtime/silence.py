"""Connections that have not said who they are.

They are not timed out: the Python SDK leaves such connections behind, and closing one makes it tear its good session
down and leave another. But their number per address is bounded, and the oldest has to go.
"""

from __future__ import annotations

from opendmux.wire.handshake import State

from .ports import Client

__all__ = ["Silence"]


class Silence:
    """The clients without InitConnect, by address. ``per_address``: how many there may be."""

    def __init__(self, per_address: int) -> None:
        self._per_address = per_address
        self._by_host: dict[str, dict[int, Client]] = {}
        """By address, then by owner in order of arrival; some may have spoken since."""

    def add(self, client: Client) -> Client | None:
        """A new connection; returns the one that must go for it, if any."""
        silent = self._by_host.setdefault(client.session.peer_host, {})
        silent[client.session.owner] = client
        if len(silent) > self._per_address:
            for owner in [owner for owner, other in silent.items() if other.session.state is not State.NEW]:
                del silent[owner]
        return silent.pop(next(iter(silent))) if len(silent) > self._per_address else None

    def remove(self, client: Client) -> None:
        """The connection is gone."""
        silent = self._by_host.get(client.session.peer_host, {})
        silent.pop(client.session.owner, None)
        if not silent:
            self._by_host.pop(client.session.peer_host, None)
