"""The HTTP face as users reach it: curl, a tool that reads the OpenAPI document, and streams that break and go on."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from opendmux.wire.pb import futu

from .harness import PATIENCE_S, Opendmux, Process

CODES = ("00700", "00005", "00941", "09988", "01810")
SUBSCRIBE = {
    "c2s": {
        "securityList": [{"market": 1, "code": code} for code in CODES],
        "subTypeList": [1, 4],
        "isSubOrUnSub": True,
        "isRegOrUnRegPush": True,
    }
}
QUOTE = {"c2s": {"securityList": [{"market": 1, "code": "00700"}]}}
SMALL_RING = 6000
"""A few ticks."""

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module")
def proxy() -> Iterator[Opendmux]:
    with Opendmux("--listen", "127.0.0.1:0", "--upstream", "sim") as proxy:
        yield proxy.wait_ready()
        assert not [line for line in proxy.errors if "Traceback" in line], proxy.text()


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Opendmux]:
    config = tmp_path / "opendmux.toml"
    config.write_text(f"[limits]\npush_ring_bytes = {SMALL_RING}\n")
    with Opendmux("--config", str(config), "--listen", "127.0.0.1:0", "--upstream", "sim") as proxy:
        yield proxy.wait_ready()


def curl(proxy: Opendmux, path: str, *arguments: str) -> tuple[int, Any]:
    """(status, JSON)."""
    url = f"http://127.0.0.1:{proxy.port}{path}"
    command = ["curl", "-sS", "-m", "10", "-w", "\n%{http_code}", url, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def ask(proxy: Opendmux, proto_id: int, message: object) -> Any:
    said = json.dumps(message)
    status, answer = curl(proxy, f"/v1/request/{proto_id}", "-H", "content-type: application/json", "-d", said)
    assert (status, answer.get("retType")) == (200, 0), answer
    return answer


class EventStream(Process):
    """curl on /v1/push; events as (id, data)."""

    def __init__(self, proxy: Opendmux, *arguments: str, query: str = "", scheme: str = "http") -> None:
        super().__init__(["curl", "-sSN", f"{scheme}://localhost:{proxy.port}/v1/push{query}", *arguments])
        self.wait_for("^:$")

    def next(self) -> tuple[int, dict[str, Any]]:
        number = 0
        while True:
            line = self.next_line()
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                return number, json.loads(line[6:])

    def numbered(self, count: int) -> dict[int, dict[str, Any]]:
        """So many events with a number."""
        events: dict[int, dict[str, Any]] = {}
        while len(events) < count:
            number, said = self.next()
            if number:
                assert number not in events, "it came twice"
                events[number] = said
        return events


def contiguous(numbers: Sequence[int]) -> bool:
    return list(numbers) == list(range(numbers[0], numbers[0] + len(numbers)))


# -- requests


def test_a_request_with_curl(proxy: Opendmux) -> None:
    ask(proxy, 3001, SUBSCRIBE)
    (quote,) = ask(proxy, 3004, QUOTE)["s2c"]["basicQotList"]
    assert quote["security"] == {"market": 1, "code": "00700"}
    accounts = ask(proxy, 2001, {"c2s": {"userID": "0"}})["s2c"]["accList"]
    assert all(isinstance(account["accID"], str) for account in accounts)
    header = {"trdEnv": 0, "accID": accounts[0]["accID"], "trdMarket": 1}
    order = {
        "header": header,
        "trdSide": 1,
        "orderType": 1,
        "code": "00700",
        "qty": 100,
        "price": 100.0,
        "secMarket": 1,
    }
    placed = ask(proxy, 2202, {"c2s": order})["s2c"]
    assert isinstance(placed["orderID"], str)
    orders = ask(proxy, 2201, {"c2s": {"header": header}})["s2c"]["orderList"]
    assert placed["orderID"] in [one["orderID"] for one in orders]


def test_a_body_in_protobuf_and_an_answer_in_json(proxy: Opendmux, tmp_path: Path) -> None:
    ask(proxy, 3001, SUBSCRIBE)
    body = tmp_path / "body"
    body.write_bytes(bytes.fromhex("0a0b 0a09 0801 1205 3030373030".replace(" ", "")))
    headers = ["-H", "content-type: application/protobuf", "-H", "accept: application/json"]
    status, answer = curl(proxy, "/v1/request/3004", *headers, "--data-binary", f"@{body}")
    assert (status, answer["retType"]) == (200, 0)
    assert answer["s2c"]["basicQotList"][0]["security"]["code"] == "00700"


def test_a_page_of_another_site_gets_nothing(proxy: Opendmux) -> None:
    status, answer = curl(proxy, "/v1/protocols", "-H", "Origin: http://evil.example")
    assert (status, answer["error"]["reason"]) == (403, "origin")


def test_what_the_document_says_is_so(proxy: Opendmux, tmp_path: Path) -> None:
    """Schemathesis: requests of all kinds, and answers that are in the document."""
    checks = (
        "not_a_server_error,status_code_conformance,content_type_conformance,"
        "response_schema_conformance,response_headers_conformance"
    )
    _, document = curl(proxy, "/openapi.json")
    tool = Path(sys.executable).with_name("schemathesis")
    command = [str(tool), "run", f"http://127.0.0.1:{proxy.port}/openapi.json", "--no-color"]
    # A stream has no end that it could wait for.
    limits = [
        "--exclude-path",
        "/v1/push",
        "--max-examples",
        "40",
        "--generation-deterministic",
        "--request-timeout",
        "12",
    ]
    done = subprocess.run(
        [*command, *limits, "--checks", checks],
        capture_output=True,
        text=True,
        timeout=90,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None
    operations = sum(len(methods) for methods in document["paths"].values())
    assert int(tested[1]) == operations - 2, "all but the stream, and the document itself"


# -- streams


def test_events_go_on_after_a_break(proxy: Opendmux) -> None:
    ask(proxy, 3001, SUBSCRIBE)
    with EventStream(proxy) as reference:
        with EventStream(proxy, query="?resume_from=0") as broken:
            first = broken.numbered(8)
            broken.signal(signal.SIGKILL)
            broken.wait()
        missed = reference.numbered(20)
        last = max(first)
        with EventStream(proxy, "-H", f"Last-Event-ID: {last}") as again:
            second = again.numbered(20)
        assert contiguous([*first, *second]), "nothing is lost and nothing comes twice"
        everything = missed | reference.numbered(12)
        ours = first | second
        shared = sorted(ours.keys() & everything.keys())
        assert len(shared) >= 20
        assert all(ours[number] == everything[number] for number in shared)
        assert {said["event_type"] for said in ours.values()} == {"quote"}
        assert all("json" in said for said in ours.values())


def test_a_ring_that_was_too_small_says_so(forgetful: Opendmux) -> None:
    ask(forgetful, 3001, SUBSCRIBE)
    with EventStream(forgetful) as first:
        last = max(first.numbered(3))
        with EventStream(forgetful) as other:
            other.numbered(30)
        first.signal(signal.SIGKILL)
        first.wait()
    with EventStream(forgetful, query=f"?resume_from={last}") as again:
        number, gap = again.next()
        assert gap == {"event_type": "gap", "gap_from": last + 1, "gap_to": number}
        assert next(iter(again.numbered(1))) == number + 1


def test_a_drain_ends_a_stream_with_a_word() -> None:
    with Opendmux("--listen", "127.0.0.1:0", "--upstream", "sim") as proxy:
        proxy.wait_ready()
        with EventStream(proxy) as stream:
            proxy.signal(signal.SIGTERM)
            said: dict[str, Any] = {}
            while said.get("event_type") != "end":
                _, said = stream.next()
            assert said["reason"] == "drain"
            assert stream.wait() == 0, "the answer is whole"
        assert proxy.wait() == 0


# -- the same over gRPC


class Channel:
    """grpcio with nothing of ours but the messages."""

    def __init__(self, proxy: Opendmux) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{proxy.port}")
        self._ask = self._channel.unary_unary(
            "/futu.service.FutuOpenD/Request",
            request_serializer=futu.FutuRequest.SerializeToString,
            response_deserializer=futu.FutuResponse.FromString,
        )
        self._push = self._channel.unary_stream(
            "/futu.service.FutuOpenD/SubscribePush",
            request_serializer=futu.SubscribePushRequest.SerializeToString,
            response_deserializer=futu.PushEvent.FromString,
        )

    def subscribe(self) -> None:
        from opendmux.wire.pb import opend

        c2s = opend.SubC2S(subTypeList=[4], isSubOrUnSub=True, isRegOrUnRegPush=True)
        c2s.securityList.extend(opend.Security(market=1, code=code) for code in CODES)
        body = opend.SubRequest(c2s=c2s).SerializeToString()
        assert self._ask(futu.FutuRequest(proto_id=3001, body=body), timeout=10).ret_type == 0

    def events(self, resume_from: int | None = None) -> Iterator[futu.PushEvent]:
        wanted = futu.SubscribePushRequest()
        if resume_from is not None:
            wanted.resume_from = resume_from
        yield from self._push(wanted, timeout=60)

    def close(self) -> None:
        self._channel.close()


def take(events: Iterator[futu.PushEvent], count: int) -> list[futu.PushEvent]:
    """So many ticks."""
    return [event for event, _ in zip(events, range(count), strict=False)]


def test_a_broken_grpc_stream_goes_on(proxy: Opendmux) -> None:
    steady = Channel(proxy)
    steady.subscribe()
    plain, numbered = steady.events(), steady.events(0)
    shaky = Channel(proxy)
    first = [event for event in take(shaky.events(0), 12) if event.seq]
    shaky.close()
    reference = [event for event in take(numbered, 30) if event.seq]
    again = Channel(proxy)
    second = take(again.events(first[-1].seq), 25)
    again.close()
    ours = first + second
    assert contiguous([event.seq for event in ours]), "nothing is lost and nothing comes twice"
    bodies = {event.seq: event.body for event in reference}
    assert len([event for event in ours if event.seq in bodies]) >= 20
    assert all(bodies[event.seq] == event.body for event in ours if event.seq in bodies)
    assert {event.seq for event in take(plain, 30)} == {0}, "who did not ask for numbers sees none"
    steady.close()


def test_a_grpc_stream_is_told_of_a_gap(forgetful: Opendmux) -> None:
    one = Channel(forgetful)
    one.subscribe()
    stream = one.events(0)
    first = [event for event in take(stream, 10) if event.seq]
    take(one.events(0), 40)
    one.close()
    two = Channel(forgetful)
    gap, after = take(two.events(first[-1].seq), 2)
    assert (gap.event_type, gap.gap_from, gap.gap_to) == ("gap", first[-1].seq + 1, gap.seq)
    assert after.seq == gap.seq + 1
    two.close()


def test_a_stream_outlives_a_pause(proxy: Opendmux) -> None:
    """A number is good for a while when nobody listens."""
    ask(proxy, 3001, SUBSCRIBE)
    with EventStream(proxy) as stream:
        last = max(stream.numbered(2))
        stream.signal(signal.SIGKILL)
        stream.wait()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        ask(proxy, 3004, QUOTE)
    with EventStream(proxy, query=f"?resume_from={last}") as again:
        assert contiguous([last, *again.numbered(10)])
