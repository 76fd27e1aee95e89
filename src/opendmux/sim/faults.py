"""What the simulator does wrong on purpose. Plain switches: they hold from the moment they are set."""

from __future__ import annotations

from dataclasses import dataclass, field

from .refusal import Refused

__all__ = ["Faults"]


@dataclass(slots=True)
class Faults:
    """The seam for faults: the connection asks `before_handling` and `reply_delay_s`, the feed looks at ``mute_feed``.

    Dropping connections and stalling are actions of the simulator (`Simulator.drop`, `Simulator.stall`), a small
    subscription quota is ``Simulator.subscriptions.quota``.
    """

    mute_feed: bool = False
    """The market moves, but nobody is told."""
    delays_s: dict[int, float] = field(default_factory=dict)
    """proto_id -> seconds by which its replies come late; what happens, happens at once."""
    refusals: dict[int, str] = field(default_factory=dict)
    """proto_id -> text with which it is refused."""

    def before_handling(self, proto_id: int) -> None:
        """Raises Refused for a proto_id that shall fail."""
        text = self.refusals.get(proto_id)
        if text is not None:
            raise Refused(text)

    def reply_delay_s(self, proto_id: int) -> float:
        return self.delays_s.get(proto_id, 0.0)
