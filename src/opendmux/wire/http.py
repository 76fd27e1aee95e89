"""HTTP/1.1, the server's side of one connection: bytes in, events out, answers as bytes. Sans-IO, on h11.

The shell feeds what it reads (`receive_untrusted`, b"" for the end) and takes events until there is none. A request is
a `RequestHead`, its `Body` pieces and `EndOfRequest`; it is answered by `respond`, or by `begin`, `data` any number of
times and `finish`, each of which returns what is to be sent. `next_request` goes on with the same connection. An
upgrade takes the connection over instead, with what came behind the request (`take_over`).

Nothing is raised over what the peer sends: a broken request is a `Broken` event with the status to answer, and nothing
is read after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

import h11

__all__ = [
    "HEAD_BYTES",
    "Body",
    "Broken",
    "EndOfRequest",
    "Gone",
    "HttpEvent",
    "HttpServer",
    "RequestHead",
]

HEAD_BYTES: Final = 16 * 1024
"""Request line and headers: twice what nginx and Apache take. With a cookie of another site of localhost it fits."""

QUOTED: Final = re.compile(r""":? ?(bytearray\()?b['"].*""", re.DOTALL)
"""Where h11's text quotes what came: there may be a key in it, and our answer may end up in the log of who asked."""

Headers: TypeAlias = "Sequence[tuple[str, str]]"


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request as far as its headers go."""

    method: str
    path: str
    """Begins with a slash; not decoded."""
    query: str
    """Without the question mark; not decoded."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case, in the order they came."""
    version: str
    """``1.1`` or ``1.0``."""
    has_body: bool

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: str) -> str | None:
        """The only value of a header; None when there is none, or more than one."""
        values = self.all(name)
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class Body:
    """A piece of the request's body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfRequest:
    """The request is complete."""


@dataclass(frozen=True, slots=True)
class Broken:
    """What came is no request that can be served; the connection ends after this answer."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The peer has closed, between two requests."""


HttpEvent: TypeAlias = RequestHead | Body | EndOfRequest | Broken | Gone


class HttpServer:
    """One connection."""

    def __init__(self, *, head_bytes: int = HEAD_BYTES) -> None:
        self._head_bytes = head_bytes
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=head_bytes)
        self._raw = bytearray()
        """What has come of the present request, until its head was read."""
        self._keep_raw = True
        self._head = False
        """HEAD: the answer has no body."""
        self._failed = False
        self._eof = False

    # -- in

    def receive_untrusted(self, data: bytes) -> None:
        """Take what was read; b"" = the peer has closed its side."""
        if self._failed or self._eof:
            return
        self._eof = not data
        if self._keep_raw:
            self._raw += data
        self._connection.receive_data(data)

    def next_event(self) -> HttpEvent | None:
        """What came; None = more bytes are needed, or the present request must be answered first."""
        if self._failed:
            return None
        try:
            event = self._connection.next_event()
        except h11.RemoteProtocolError as error:
            return self._break(error.error_status_hint, QUOTED.sub("", str(error)))
        if isinstance(event, h11.Request):
            return self._request(event)
        if isinstance(event, h11.Data):
            return Body(bytes(event.data))
        if isinstance(event, h11.EndOfMessage):
            return EndOfRequest()
        return Gone() if isinstance(event, h11.ConnectionClosed) else None

    @property
    def begun(self) -> bool:
        """Some bytes of a request are there whose head is not complete."""
        return self._keep_raw and bool(self._raw)

    @property
    def waiting(self) -> int:
        """Bytes that came behind what was taken."""
        return len(self._connection.trailing_data[0])

    def _request(self, event: h11.Request) -> HttpEvent:
        rest = len(self._connection.trailing_data[0])
        if len(self._raw) - rest > self._head_bytes:
            return self._break(431, "the headers are too long")
        self._head = event.method == b"HEAD"
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers)
        target = event.target.decode("latin-1")
        if not event.http_version.startswith(b"1."):
            return self._break(505, "this is HTTP/1.1, or HTTP/2 from its preface on")
        if not target.startswith("/"):
            return self._break(400, "the request target must be a path")
        names = {name for name, _value in headers}
        if "transfer-encoding" in names and ("content-length" in names or event.http_version < b"1.1"):
            # Another proxy on the way may have seen another end of this request, and so another beginning of the next.
            return self._break(400, "the length of the body is said in two ways")
        path, _, query = target.partition("?")
        has_body = any(
            name == "transfer-encoding" or (name == "content-length" and value.strip("0") != "")
            for name, value in headers
        )
        head = RequestHead(
            event.method.decode("latin-1"), path, query, headers, event.http_version.decode("latin-1"), has_body
        )
        self._keep_raw = False
        self._raw.clear()
        return head

    def _break(self, status: int, text: str) -> Broken:
        self._failed = True
        return Broken(status, text)

    # -- out

    @property
    def may_respond(self) -> bool:
        """No answer to the present request has begun."""
        return self._connection.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    @property
    def bodiless(self) -> bool:
        """The present request is a HEAD: what is answered has no body."""
        return self._head

    @property
    def reading(self) -> bool:
        """The present request is not complete: some of its body has not been taken."""
        return self._connection.their_state is h11.SEND_BODY

    def go_on(self) -> bytes:
        """What the peer waits for before it sends the body (Expect: 100-continue); b"" when it waits for nothing."""
        if not self._connection.they_are_waiting_for_100_continue:
            return b""
        return self._connection.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")) or b""

    def respond(self, status: int, headers: Headers, body: bytes) -> bytes:
        """A whole answer. Its length is added, and for HEAD the body is left out."""
        sized = (*headers, ("content-length", str(len(body))))
        return self.begin(status, sized) + self.data(body) + self.finish()

    def begin(self, status: int, headers: Headers) -> bytes:
        """Status and headers of an answer whose body comes in pieces: chunked, unless its length is among them."""
        told = any(name == "connection" for name, _value in headers)
        closing = [("connection", "close")] if self._failed and not told else []
        reason = HTTPStatus(status).phrase.encode()
        sent = self._connection.send(h11.Response(status_code=status, reason=reason, headers=[*headers, *closing]))
        return sent or b""

    def data(self, piece: bytes) -> bytes:
        """A piece of the body; nothing of it is sent for HEAD."""
        return b"" if self._head else self._connection.send(h11.Data(data=piece)) or b""

    def finish(self) -> bytes:
        """The end of the answer."""
        return self._connection.send(h11.EndOfMessage()) or b""

    # -- on

    def next_request(self) -> bool:
        """The answer is out: go on with the next request. False = the connection must be closed, for the client asked
        for it, its request was not read to the end, or it was broken."""
        if self._failed or self._connection.our_state is not h11.DONE or self._connection.their_state is not h11.DONE:
            return False
        rest = bytes(self._connection.trailing_data[0])
        self._connection.start_next_cycle()
        self._raw[:] = rest
        self._keep_raw = True
        return True

    def take_over(self) -> bytes:
        """What came behind the head of a request that has an Upgrade header; nothing is read here any more."""
        self._failed = True
        return bytes(self._connection.trailing_data[0])
