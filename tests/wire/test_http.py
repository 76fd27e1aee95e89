"""HTTP/1.1 as bytes and events: whole, byte by byte, several at once, and broken."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.wire.http import HEAD_BYTES, Body, Broken, EndOfRequest, Gone, HttpEvent, HttpServer, RequestHead

GET = b"GET /metrics?a=b&c HTTP/1.1\r\nHost: localhost:33333\r\nAccept: */*\r\n\r\n"
POST = b"POST /call HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def events(server: HttpServer, chunks: Iterable[bytes]) -> list[HttpEvent]:
    found: list[HttpEvent] = []
    for chunk in chunks:
        server.receive_untrusted(chunk)
        while (event := server.next_event()) is not None:
            found.append(event)
            if isinstance(event, Gone):
                return found
    return found


def one_by_one(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


def ok(server: HttpServer, body: bytes = b"fine") -> bytes:
    return server.respond(200, [("content-type", "text/plain")], body)


@pytest.mark.parametrize("cut", [lambda data: [data], one_by_one], ids=["whole", "byte by byte"])
def test_a_request(cut: object) -> None:
    server = HttpServer()
    head, end = events(server, cut(GET))  # type: ignore[operator]
    assert isinstance(head, RequestHead)
    assert (head.method, head.path, head.query, head.version) == ("GET", "/metrics", "a=b&c", "1.1")
    assert head.get("host") == "localhost:33333"
    assert head.get("nothing") is None
    assert not head.has_body
    assert end == EndOfRequest()
    sent = ok(server)
    assert sent.startswith(b"HTTP/1.1 200 OK\r\n")
    assert sent.endswith(b"\r\n\r\nfine")
    assert b"content-length: 4" in sent.lower()
    assert server.next_request()


def test_a_repeated_header_has_no_single_value() -> None:
    (head, _end) = events(HttpServer(), [b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\n\r\n"])
    assert isinstance(head, RequestHead)
    assert head.all("x") == ["1", "2"]
    assert head.get("x") is None


def test_head_has_no_body() -> None:
    server = HttpServer()
    events(server, [GET.replace(b"GET", b"HEAD")])
    sent = ok(server)
    assert sent.endswith(b"\r\n\r\n")
    assert b"content-length: 4" in sent.lower()
    assert server.next_request()


def test_several_requests_at_once_are_answered_one_after_the_other() -> None:
    server = HttpServer()
    assert len(events(server, [GET * 2 + POST])) == 2
    ok(server)
    assert server.next_request()
    assert server.begun
    assert len(events(server, [b""])) == 2
    ok(server)
    assert server.next_request()
    found = [server.next_event(), server.next_event(), server.next_event()]
    assert found[1:] == [Body(b"hello"), EndOfRequest()]


def test_what_was_begun() -> None:
    server = HttpServer()
    assert not server.begun
    events(server, [GET[:10]])
    assert server.begun
    events(server, [GET[10:]])
    assert not server.begun


def test_a_body_and_an_answer_in_pieces() -> None:
    server = HttpServer()
    found = events(server, one_by_one(POST))
    assert isinstance(found[0], RequestHead)
    assert found[0].has_body
    assert b"".join(event.data for event in found if isinstance(event, Body)) == b"hello"
    assert found[-1] == EndOfRequest()
    sent = server.begin(200, [("content-type", "text/event-stream")]) + server.data(b"data: 1\n\n")
    assert not server.may_respond
    sent += server.data(b"data: 2\n\n") + server.finish()
    assert b"chunked" in sent.lower()
    assert sent.endswith(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")
    assert server.next_request()


@pytest.mark.parametrize(
    ("header", "so"),
    [
        (b"Content-Length: 0", False),
        (b"Content-Length: 00", False),
        (b"Content-Length: 7", True),
        (b"Transfer-Encoding: chunked", True),
    ],
)
def test_has_body(header: bytes, so: bool) -> None:
    head = events(HttpServer(), [b"POST / HTTP/1.1\r\nHost: a\r\n" + header + b"\r\n\r\n"])[0]
    assert isinstance(head, RequestHead)
    assert head.has_body is so


def test_a_client_that_wants_to_close_gets_its_wish() -> None:
    for request in (GET.replace(b"Accept: */*", b"Connection: close"), b"GET /livez HTTP/1.0\r\n\r\n"):
        server = HttpServer()
        events(server, [request])
        assert b"connection: close" in ok(server).lower()
        assert not server.next_request()


def test_a_request_that_was_not_read_to_the_end_is_the_last() -> None:
    server = HttpServer()
    events(server, [POST[:-1]])
    ok(server)
    assert not server.next_request()


def test_the_end_between_requests_and_within_one() -> None:
    server = HttpServer()
    assert events(server, [b""]) == [Gone()]
    server = HttpServer()
    (broken,) = events(server, [GET[:20], b"", b""])
    assert isinstance(broken, Broken)
    server = HttpServer()
    assert events(server, [GET, b""])[-1] == Gone()
    ok(server)
    assert not server.next_request()


BAD = [
    (b"GET /\r\n\r\n", 400),
    (b"GET / HTTP/0.9\r\n\r\n", 505),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"\x00\x01\x02\x03", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * HEAD_BYTES + b"\r\n\r\n", 431),
    (b"GET /" + b"y" * HEAD_BYTES, 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 4000, 431),
]


@pytest.mark.parametrize(("data", "status"), BAD)
def test_what_is_broken_has_a_status_and_is_the_end(data: bytes, status: int) -> None:
    for chunks in ([data], [data[at : at + 1000] for at in range(0, len(data), 1000)]):
        server = HttpServer()
        (broken,) = events(server, chunks)
        assert isinstance(broken, Broken)
        assert broken.status == status
        assert server.may_respond
        assert b"connection: close" in server.respond(status, [], b"no").lower()
        assert not server.next_request()
        server.receive_untrusted(GET)
        assert server.next_event() is None


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("illegal request line", b"GET /ws?token=fc_secret HTTP/1.1 x\r\nHost: localhost\r\n\r\n"),
        ("illegal header line", b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer fc_secret\0\r\n\r\n"),
        ("illegal header line", b"GET / HTTP/1.1\r\nHost: localhost\r\nfc_secret'\r\n\r\n"),
        (
            "illegal chunk header",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfc_secret\r\n",
        ),
        ("Missing mandatory Host: header", b"GET / HTTP/1.1\r\nAuthorization: Bearer fc_secret\r\n\r\n"),
    ],
)
def test_what_is_broken_is_not_quoted(text: str, data: bytes) -> None:
    broken = events(HttpServer(), [data])[-1]
    assert isinstance(broken, Broken)
    assert broken.text == text


def test_an_upgrade_hands_over_every_byte_behind_it() -> None:
    server = HttpServer()
    ok_before = events(server, [GET + UPGRADE[:30]])
    assert len(ok_before) == 2
    ok(server)
    assert server.next_request()
    head = events(server, [UPGRADE[30:] + b"\x81\x00", b"more"])[0]
    assert isinstance(head, RequestHead)
    assert head.get("upgrade") == "websocket"
    assert server.take_over() == b"\x81\x00more"
    server.receive_untrusted(b"x")
    assert server.next_event() is None


def test_an_upgrade_that_is_not_wanted_is_an_ordinary_request() -> None:
    server = HttpServer()
    events(server, [UPGRADE])
    ok(server)
    assert server.next_request()
    assert len(events(server, [GET])) == 2


@pytest.mark.parametrize(
    "fields",
    [
        b"HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        b"HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked",
        b"HTTP/1.0\r\nTransfer-Encoding: chunked",
    ],
)
def test_a_body_with_two_lengths_is_refused_and_nothing_behind_it_is_read(fields: bytes) -> None:
    server = HttpServer()
    (found,) = events(server, [b"POST /call " + fields + b"\r\n\r\n0\r\n\r\n" + GET])
    assert found == Broken(400, "the length of the body is said in two ways")
    answer = server.respond(400, [("connection", "close")], b"no").lower()
    assert answer.count(b"connection: close") == 1, "it is said once, whoever says it"
    assert not server.next_request()


def test_nothing_is_kept_of_a_body() -> None:
    server = HttpServer()
    events(server, [UPGRADE[:-2] + b"Content-Length: 1000000\r\n\r\n", *([b"x" * 10_000] * 50)])
    assert len(server._raw) == 0


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_in_any_cuts_are_events_or_one_broken(data: bytes, cuts: list[int]) -> None:
    for prefix in (b"", GET[:-2], POST[:-3]):
        whole = prefix + data
        places = [0, *sorted({min(cut, len(whole)) for cut in cuts}), len(whole)]
        chunks = [whole[a:b] for a, b in itertools.pairwise(places) if a < b]
        found = [type(event) for event in events(HttpServer(), [*chunks, b""]) if not isinstance(event, Body)]
        assert found == [type(event) for event in events(HttpServer(), [whole, b""]) if not isinstance(event, Body)]
        assert Broken not in found[:-1]


def test_a_body_that_waits_to_be_asked_for() -> None:
    server = HttpServer()
    (head,) = events(server, [POST.replace(b"hello", b"").replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")])
    assert isinstance(head, RequestHead)
    assert server.reading
    assert server.go_on().startswith(b"HTTP/1.1 100 ")
    assert server.go_on() == b""
    assert events(server, [b"hello"]) == [Body(b"hello"), EndOfRequest()]
    assert not server.reading
    assert ok(server).startswith(b"HTTP/1.1 200 ")
    assert server.next_request()


def test_nobody_is_asked_who_does_not_wait() -> None:
    server = HttpServer()
    events(server, [POST])
    assert server.go_on() == b""


def test_pieces_of_a_head_request_have_no_bytes() -> None:
    server = HttpServer()
    events(server, [GET.replace(b"GET", b"HEAD")])
    assert server.bodiless
    assert server.begin(200, []) != b""
    assert server.data(b"abc") == b""
    server.finish()
