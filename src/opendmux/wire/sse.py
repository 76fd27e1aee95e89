"""Server-sent events, as text: one event, or a comment that keeps a quiet stream alive."""

from __future__ import annotations

from typing import Final

__all__ = ["CONTENT_TYPE", "HEARTBEAT", "encode_event"]

CONTENT_TYPE: Final = "text/event-stream"
"""Always UTF-8; the format knows no other."""
HEARTBEAT: Final = b":\n\n"
"""A comment, which every reader passes over."""


def encode_event(data: bytes, *, name: str = "", number: int | None = None) -> bytes:
    """One event. ``data``: UTF-8, of any number of lines. ``name``: its type, without it ``message``; ``number``: its
    id, which a reader sends back as ``Last-Event-ID`` when it connects again."""
    lines = [b"data: " + line for line in data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")]
    if number is not None:
        lines.insert(0, b"id: %d" % number)
    if name:
        lines.insert(0, b"event: " + name.encode())
    return b"\n".join(lines) + b"\n\n"
