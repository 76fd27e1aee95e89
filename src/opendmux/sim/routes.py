"""What a handler is: from a decoded c2s to an s2c."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import Message

from .world import Session, World

__all__ = ["Handler", "Route", "Routes"]

Handler = Callable[[World, Session, Any], Message | None]
"""(world, session, c2s) -> s2c, None for an empty one. Raises Refused.

What must be pushed goes into ``world.outgoing``, which is sent after the reply.
"""


class Route(NamedTuple):
    """Who answers a proto_id, and what its messages are."""

    request: type[Message]
    response: type[Message]
    handler: Handler


Routes = dict[int, Route]
