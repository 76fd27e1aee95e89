"""Requests and pushes over the HTTP face, in front of a proxy that is made up."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from opendmux.core.denial import Denial, DenialKind
from opendmux.core.events import PushEvent
from opendmux.runtime.backend import Answer
from opendmux.runtime.transports._http_calls import HEARTBEAT_S, LARGE_BYTES
from opendmux.runtime.transports.http import AHEAD_BYTES, HttpSession, serve_http
from opendmux.runtime.transports.http_table import TABLE
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend_sim
from opendmux.wire.sse import HEARTBEAT

from .grpc_kit import KEY, Asked, FakeBackend, FakeStream, quote
from .http_kit import Answer as Page
from .http_kit import Browser, FakeSite

JSON = {"content-type": "application/json"}
PROTOBUF = {"content-type": "application/x-protobuf"}
ACC_ID = 281756478396547854
PLACED = opend_sim.PlaceOrderResponse(retType=0, s2c=opend_sim.PlaceOrderS2C(orderID=2**64 - 1))


@dataclass
class Served:
    backend: FakeBackend
    browser: Browser
    sessions: set[HttpSession]

    async def post(self, proto_id: object, body: bytes, **headers: str) -> Page:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.browser.get(f"/v1/request/{proto_id}", method="POST", body=body, headers=fields)

    async def ask(self, body: bytes = b'{"c2s":{}}', proto_id: object = 3004, **headers: str) -> Page:
        return await self.post(proto_id, body, **{"content_type": "application/json", **headers})

    @property
    def asked(self) -> list[Asked]:
        return [asked for caller in self.backend.callers for asked in caller.asked]

    async def stream(self, path: str = "/v1/push", **headers: str) -> Events:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.browser.send(path, headers=fields)
        text = bytes(await self.browser.stream.receive_some())
        while not text.endswith(HEARTBEAT + b"\r\n"):
            text += await self.browser.stream.receive_some()
        assert text.startswith(b"HTTP/1.1 200 ")
        return Events(self.browser, self.backend.callers[-1].streams[-1])


@dataclass
class Events:
    browser: Browser
    far: FakeStream

    async def next(self) -> tuple[str, dict[str, Any]]:
        """(id, data) of the next event."""
        chunk = await self.text()
        size, _, rest = chunk.partition(b"\r\n")
        lines = rest[: int(size, 16)].decode().strip("\n").split("\n")
        fields = dict(line.split(": ", 1) for line in lines)
        return fields.get("id", ""), json.loads(fields["data"])

    async def text(self) -> bytes:
        return bytes(await self.browser.stream.receive_some())


@asynccontextmanager
async def served(backend: FakeBackend | None = None) -> AsyncIterator[Served]:
    ours, theirs = memory_stream_pair()
    backend = backend or FakeBackend()
    backend.iface = "http"
    sessions: set[HttpSession] = set()

    async def serve() -> None:
        await serve_http(
            theirs,
            bytes(await theirs.receive_some(3)),
            FakeSite(),
            peer="peer",
            local=True,
            routes=TABLE,
            sessions=sessions,
            backend=backend,
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        await wait_all_tasks_blocked()
        yield Served(backend, Browser(ours), sessions)
        nursery.cancel_scope.cancel()


def says(body: bytes, ret_type: int = 0) -> Callable[[Asked], None]:
    return lambda asked: asked.answer(Answer(ret_type, "", body, proto_fmt=asked.proto_fmt))


# -- requests


async def test_json_goes_as_it_is_and_comes_back_exact(autojump_clock: MockClock) -> None:
    async with served() as s:
        s.backend.answers = says(b'{"retType":0,"s2c":{"header":{"accID":%d},"volume":5}}' % ACC_ID)
        body = b'{"c2s": {"header": {"accID": "281756478396547854"}}}'
        found = await s.ask(body, 2101)
        assert (found.status, found.headers["content-type"]) == (200, "application/json")
        assert json.loads(found.body)["s2c"] == {"header": {"accID": str(ACC_ID)}, "volume": 5}
        (asked,) = s.asked
        assert (asked.proto_id, asked.body, asked.proto_fmt, asked.until) == (2101, body, 1, None)


@pytest.mark.parametrize("kind", ["application/protobuf", "application/x-protobuf", "application/octet-stream"])
async def test_protobuf_goes_and_comes_as_it_is(kind: str, autojump_clock: MockClock) -> None:
    async with served() as s:
        found = await s.post(9001, b"\x0a\x00", content_type=kind)
        assert (found.status, found.headers["content-type"], found.body) == (200, "application/protobuf", b"\x0a\x00")
        assert s.asked[0].proto_fmt == 0


async def test_a_refusal_of_opend_is_an_answer(autojump_clock: MockClock) -> None:
    async with served() as s:
        s.backend.answers = says('{"retType":-1,"retMsg":"没有权限"}'.encode(), -1)
        found = await s.ask()
        assert (found.status, json.loads(found.body)) == (200, {"retType": -1, "retMsg": "没有权限"})


@pytest.mark.parametrize(
    ("accept", "proto_id", "kind"),
    [
        ("application/protobuf", 2202, "application/protobuf"),
        ("application/protobuf", 9001, "application/json"),
        ("*/*", 2202, "application/json"),
        ("text/html, application/x-protobuf;q=0.5", 2202, "application/protobuf"),
        ("application/protobuf;q=0.5, application/json;q=0.6", 2202, "application/json"),
        ("application/protobuf;q=x, text/html;q=1", 2202, "application/json"),
        ("application/protobuf, */*;q=0.1", 2202, "application/protobuf"),
    ],
)
async def test_accept_of_a_json_request(accept: str, proto_id: int, kind: str, autojump_clock: MockClock) -> None:
    async with served() as s:
        s.backend.answers = says(b'{"retType":0,"s2c":{"orderID":%d}}' % (2**64 - 1))
        found = await s.ask(proto_id=proto_id, accept=accept)
        assert (found.status, found.headers["content-type"]) == (200, kind)
        if kind == "application/protobuf":
            assert opend_sim.PlaceOrderResponse.FromString(found.body) == PLACED
        else:
            assert json.loads(found.body)["s2c"]["orderID"] == str(2**64 - 1)


@pytest.mark.parametrize("strange", [b"", b"\xf8\x07\x01"])
async def test_accept_of_a_protobuf_request(strange: bytes, autojump_clock: MockClock) -> None:
    """What can't be shown in full is not shown in part, and an order's answer does not get lost."""
    async with served() as s:
        s.backend.answers = says(encode(PLACED) + strange)
        found = await s.post(
            2202, b"", **{k.replace("-", "_"): v for k, v in PROTOBUF.items()}, accept="application/json"
        )
        if strange:
            assert (found.headers["content-type"], found.body) == ("application/protobuf", encode(PLACED) + strange)
        else:
            assert json.loads(found.body) == {"retType": 0, "s2c": {"orderID": str(2**64 - 1)}}


async def test_a_large_answer_is_converted_aside(autojump_clock: MockClock) -> None:
    async with served() as s:
        s.backend.answers = says(b'{"retType":0,"s2c":{"list":[%s0]}}' % (b"9007199254740993," * (LARGE_BYTES // 10)))
        found = await s.ask()
        assert json.loads(found.body)["s2c"]["list"][0] == "9007199254740993"


async def test_an_answer_that_cannot_be_read(autojump_clock: MockClock) -> None:
    async with served() as s:
        s.backend.answers = says(b'{"retType":')
        found = await s.ask(proto_id=2202)
        assert (found.status, found.reason) == (502, "answer")
        assert b"may have been executed" in found.body


@pytest.mark.parametrize(
    ("denial", "status", "retry"),
    [
        (Denial(DenialKind.PERMISSION, "scope", "no", "trade:real"), 403, None),
        (Denial(DenialKind.LIMIT, "rate", "no", retry_s=12.2), 429, "13"),
        (Denial(DenialKind.LIMIT, "in_flight", "no"), 429, None),
        (Denial(DenialKind.INVALID, "body", "no"), 400, None),
        (Denial(DenialKind.UNAVAILABLE, "upstream", "no"), 503, None),
        (Denial(DenialKind.TIMEOUT, "upstream", "no"), 504, None),
        (Denial(DenialKind.UNAUTHENTICATED, "invalid", "no"), 401, None),
    ],
)
async def test_refusals(denial: Denial, status: int, retry: str | None, autojump_clock: MockClock) -> None:
    async with served() as s:
        s.backend.answers = lambda asked: asked.answer(Answer(-1, "no", b"", denial))
        found = await s.ask()
        assert (found.status, found.reason) == (status, denial.reason)
        assert found.headers.get("retry-after") == retry
        assert json.loads(found.body)["error"].get("scope", "") == denial.scope
        s.backend.answers = says(b"{}")
        assert (await s.ask()).status == 200, "the connection goes on"
        again = denial.kind is DenialKind.UNAUTHENTICATED
        assert len(s.backend.admitted) == (2 if again else 1), "a key that is not good any more is looked up again"


@pytest.mark.parametrize(
    ("proto_id", "body", "headers", "status", "reason"),
    [
        ("x", b"{}", JSON, 404, "not_found"),
        ("-1", b"{}", JSON, 404, "not_found"),
        (2**32, b"{}", JSON, 404, "not_found"),
        ("", b"{}", JSON, 404, "not_found"),
        ("3004/", b"{}", JSON, 404, "not_found"),
        (0, b"{}", JSON, 400, "invalid"),
        (3004, b"[]", JSON, 400, "body"),
        (3004, b"{", JSON, 400, "body"),
        (3004, b"", JSON, 400, "body"),
        (3004, b"\xff", PROTOBUF, 400, "body"),
        (3004, b"\x0a\x05x", PROTOBUF, 400, "body"),
        (3004, b"{}", {}, 415, "content_type"),
        (3004, b"{}", {"content-type": "text/json"}, 415, "content_type"),
        (3004, b"{}", {**JSON, "content-encoding": "gzip"}, 415, "content_encoding"),
    ],
)
async def test_what_is_no_request(
    proto_id: object, body: bytes, headers: dict[str, str], status: int, reason: str, autojump_clock: MockClock
) -> None:
    async with served() as s:
        found = await s.post(proto_id, body, **{name.replace("-", "_"): value for name, value in headers.items()})
        assert (found.status, found.reason) == (status, reason)
        assert s.asked == []


async def test_a_get_is_no_request(autojump_clock: MockClock) -> None:
    async with served() as s:
        found = await s.browser.get("/v1/request/3004")
        assert (found.status, found.headers["allow"]) == (405, "POST")


# -- who hangs up


HEAD = (
    b"POST /v1/request/2202 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\n\r\n{}"
)


@pytest.mark.parametrize("how", ["reset", "closed"])
async def test_an_order_that_waits_is_given_up_when_its_sender_hangs_up(how: str, autojump_clock: MockClock) -> None:
    async with served() as s:
        s.backend.answers = None
        await s.browser.stream.send_all(HEAD)
        await wait_all_tasks_blocked()
        (asked,) = s.asked
        assert not asked.dropped
        if how == "closed":
            await s.browser.stream.send_eof()
        else:
            await trio.aclose_forcefully(s.browser.stream)
        await wait_all_tasks_blocked()
        assert asked.dropped
        assert s.sessions == set()
        assert s.backend.callers[-1].detached == 1


async def test_requests_behind_one_that_waits_are_kept_and_served(autojump_clock: MockClock) -> None:
    async with served() as s:
        s.backend.answers = None
        await s.browser.stream.send_all(HEAD)
        await wait_all_tasks_blocked()
        for at in range(0, len(2 * HEAD), 50):
            await s.browser.stream.send_all((2 * HEAD)[at : at + 50])
            await wait_all_tasks_blocked()
        assert len(s.asked) == 1
        for number in range(3):
            s.asked[number].answer(Answer(0, "", b'{"retType":%d}' % number, proto_fmt=1))
            await wait_all_tasks_blocked()
            text = bytes(await s.browser.stream.receive_some())
            assert text.startswith(b"HTTP/1.1 200 ")
            assert text.endswith(b'{"retType":%d}' % number)


async def test_a_flood_behind_a_request_that_waits_is_not_read(autojump_clock: MockClock) -> None:
    async with served() as s:
        s.backend.answers = None
        await s.browser.stream.send_all(HEAD + HEAD)
        await wait_all_tasks_blocked()
        (session,) = s.sessions
        for _ in range(100):
            await s.browser.stream.send_all(b"x" * 16 * 1024)
            await wait_all_tasks_blocked()
        assert session._wire.waiting <= AHEAD_BYTES + 16 * 1024
        s.asked[0].answer(Answer(0, "", b"{}", proto_fmt=1))
        assert (await s.browser.stream.receive_some()).startswith(b"HTTP/1.1 200 ")


# -- whose


async def test_one_caller_for_a_connection_and_its_key(autojump_clock: MockClock) -> None:
    async with served() as s:
        for _ in range(3):
            assert (await s.ask()).status == 200
        assert (await s.ask(authorization=f"Bearer {KEY}")).status == 200
        assert s.backend.admitted == [None, KEY]
        assert [caller.detached for caller in s.backend.callers] == [1, 0]
        found = await s.ask(authorization="Bearer fc_wrong")
        assert (found.status, found.reason, found.headers["www-authenticate"]) == (401, "key", "Bearer")
        await s.browser.stream.aclose()
        await wait_all_tasks_blocked()
        assert [caller.detached for caller in s.backend.callers] == [1, 1]


async def test_nobody_reads_the_body_of_a_stranger(autojump_clock: MockClock) -> None:
    async with served() as s:
        head = b"POST /v1/request/3004 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer fc_wrong\r\n"
        await s.browser.stream.send_all(head + b"Content-Length: 1000\r\n\r\n")
        text = await s.browser.stream.receive_some()
        assert text.startswith(b"HTTP/1.1 401 ")
        assert b"connection: close" in text.lower()


# -- pushes


async def test_events_with_numbers_bodies_and_gaps(autojump_clock: MockClock) -> None:
    order = encode(opend_sim.UpdateOrderResponse(retType=0))
    async with served() as s:
        events = await s.stream("/v1/push?resume_from=12")
        assert s.backend.callers[-1].resumed == [12]
        events.far.put(PushEvent(2208, "", 0, order, "trade", ACC_ID, 13))
        number, said = await events.next()
        assert (number, said.pop("json")) == ("13", {"retType": 0})
        assert base64.b64decode(said.pop("body")) == order
        assert said == {"event_type": "trade", "proto_id": 2208, "sec_key": "", "sub_type": 0, "acc_id": str(ACC_ID)}
        events.far.put(PushEvent(0, "", 0, b"", "gap", 0, 20, 14, 20))
        assert await events.next() == ("20", {"event_type": "gap", "gap_from": 14, "gap_to": 20})
        events.far.put(replace(quote("00700", 7), seq=0))
        number, said = await events.next()
        assert (number, said["event_type"], said["sec_key"], said["acc_id"]) == ("", "quote", "1_00700", "")
        assert "json" not in said, "this body is made up"


async def test_a_reader_that_connects_again_says_what_it_has(autojump_clock: MockClock) -> None:
    async with served() as s:
        await s.stream("/v1/push?resume_from=1", last_event_id="99")
        assert s.backend.callers[-1].resumed == [99]


@pytest.mark.parametrize(
    "path", ["/v1/push?resume_from=x", "/v1/push?resume=1", "/v1/push?resume_from=1&resume_from=2"]
)
async def test_what_is_no_number(path: str, autojump_clock: MockClock) -> None:
    async with served() as s:
        assert (await s.browser.get(path)).status == 400
        assert (await s.browser.get("/v1/push", headers={"last-event-id": "1.5"})).reason == "resume_from"
        assert (await s.browser.get(f"/v1/push?resume_from={2**64}")).reason == "resume_from"
        assert s.backend.callers[-1].streams == []


async def test_a_quiet_stream_has_a_heartbeat(autojump_clock: MockClock) -> None:
    async with served() as s:
        events = await s.stream()
        assert s.backend.callers[-1].resumed == [0]
        start = trio.current_time()
        for beat in (1, 2):
            assert HEARTBEAT in await events.text()
            assert trio.current_time() - start == pytest.approx(beat * HEARTBEAT_S)


async def test_the_end_says_why(autojump_clock: MockClock) -> None:
    async with served() as s:
        events = await s.stream()
        events.far.put(replace(quote("00700", 7), seq=4))
        events.far.end(Denial(DenialKind.LIMIT, "slow", "the stream was not read fast enough"))
        assert (await events.next())[0] == "4"
        text = b""
        while piece := await s.browser.stream.receive_some():
            text += piece
        assert b'{"event_type":"end","reason":"slow","text":"the stream was not read fast enough"}' in text
        assert text.endswith(b"0\r\n\r\n")
        await wait_all_tasks_blocked()
        assert events.far.closed


async def test_a_reader_that_leaves_closes_its_stream(autojump_clock: MockClock) -> None:
    async with served() as s:
        events = await s.stream()
        await s.browser.stream.aclose()
        await wait_all_tasks_blocked()
        assert events.far.closed
        assert s.backend.callers[-1].detached == 1
        assert s.sessions == set()


async def test_a_stream_that_is_refused(autojump_clock: MockClock) -> None:
    async with served() as s:
        s.backend.no_stream = Denial(DenialKind.PERMISSION, "scope", "no", "qot:read")
        found = await s.browser.get("/v1/push")
        assert (found.status, found.reason) == (403, "scope")


# -- about itself


async def test_the_document_has_every_route(autojump_clock: MockClock) -> None:
    async with served() as s:
        found = await s.browser.get("/openapi.json")
        said = json.loads(found.body)
        assert said["openapi"] == "3.1.0"
        assert set(said["paths"]) == set(TABLE)
        numbers = said["paths"]["/v1/request/{proto_id}"]["post"]["parameters"][0]["schema"]["enum"]
        assert 3004 in numbers
        assert 3005 not in numbers


async def test_the_protocols(autojump_clock: MockClock) -> None:
    async with served() as s:
        known = {one["proto_id"]: one for one in json.loads((await s.browser.get("/v1/protocols")).body)}
        assert known[3004] == {
            "proto_id": 3004,
            "name": "Qot_GetBasicQot",
            "kind": "request",
            "area": "quote",
            "scope": "qot:read",
        }
        assert known[2208]["kind"] == "push"
