"""What the hub needs of the tasks around it: clients on any transport, and the links of lanes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from opendmux.core.commands import Reply
from opendmux.core.identity import Session

__all__ = ["FORWARDED", "Client", "Guest", "LinkPort"]


FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers, over HTTP and gRPC: another proxy has passed this on, so the address of the peer says nothing about who
asks."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Who has connected, as far as the connection itself tells."""

    peer: str
    peer_host: str
    first: bytes
    """What was read to find out which protocol it speaks."""
    own_host: str = ""
    """The address of this machine that it has reached, where that is known."""
    local: bool = False
    """It is on this machine."""
    bound_to: str | None = None
    """The key id of the listener, for clients of OpenD's own protocols that show no key."""
    certified: str | None = None
    """The key id that its TLS certificate names: it need show no key, whatever it speaks."""

    @property
    def stands_for(self) -> str | None:
        """The key id of a client of OpenD's own protocols that shows no key."""
        return self.certified or self.bound_to


class Client(Protocol):
    """What the hub needs of a connected client, whatever its transport."""

    session: Session
    ordered: bool
    """Its replies go through its outbox, where they have an order among the pushes."""

    def flush(self) -> None:
        """Write what can be written without waiting; leave the rest to the writer task."""

    def take_reply(self, reply: Reply) -> bool:
        """Take the answer to one of its requests by itself; False: it goes through the outbox."""

    def resume(self) -> None:
        """Read again: the switch takes bytes from this client once more."""

    def pause(self) -> None:
        """Stop reading."""

    def end(self, reason: str, *, flush_all: bool) -> None:
        """Close at a frame boundary: after everything queued, or (``flush_all`` False) after the frame that is half
        sent."""


class LinkPort(Protocol):
    """What the hub needs of the task that keeps a lane's link."""

    def flush(self) -> None:
        """Write what can be written without waiting; nothing while it is not connected."""

    def drop(self, reason: str) -> None:
        """End the connection; a new one is made."""

    def damaged(self) -> None:
        """Its stream can't be cut into frames any more: end the connection; a new one is made."""

    def let_go(self) -> None:
        """End the connection, or the attempt to make one; a new one is made when the hub is not paused."""
