"""The headers with which a call begins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .grpc_message import ENCODINGS
from .grpc_status import CallError, Code, timeout_untrusted

__all__ = ["Head"]

_CONTENT_TYPES: Final = frozenset({b"application/grpc", b"application/grpc+proto"})


class Head:
    """What is in them, not yet judged but for ``http_status``."""

    def __init__(self, headers: Iterable[tuple[bytes, bytes] | tuple[str, str]]) -> None:
        own: dict[bytes, bytes] = {}
        self.metadata: list[tuple[bytes, bytes]] = []
        """Without the headers of HTTP/2 and gRPC themselves; in their order."""
        for name, value in headers:
            assert isinstance(name, bytes)
            assert isinstance(value, bytes)
            if name.startswith((b":", b"grpc-")) or name == b"content-type":
                own[name] = value
            else:
                self.metadata.append((name, value))
        self.path = own.get(b":path", b"").decode("ascii", "replace")
        self.encoding = own.get(b"grpc-encoding", b"identity")
        self._timeout = own.get(b"grpc-timeout")
        self.http_status = b""
        """Of the answer to what is no gRPC call at all; empty for one."""
        if own.get(b":method") != b"POST":
            self.http_status = b"405"
        elif own.get(b"content-type", b"").partition(b";")[0].rstrip() not in _CONTENT_TYPES:
            self.http_status = b"415"

    def timeout_untrusted(self) -> float | None:
        """Seconds that the client gives the call, None for ever. Raises CallError when the call is impossible."""
        if self.encoding not in ENCODINGS:
            raise CallError(Code.UNIMPLEMENTED, "grpc-encoding may be identity or gzip")
        return None if self._timeout is None else timeout_untrusted(self._timeout)
