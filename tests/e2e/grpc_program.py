"""grpcio as users have it, against a port: ``grpc_program.py PORT STUBS`` runs every check and prints JSON, one line a
check; with a third argument, the check of that name. No module of opendmux is imported."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

PORT, STUBS = sys.argv[1], sys.argv[2]
sys.path.insert(0, STUBS)

import futu_pb2 as pb  # type: ignore[import-not-found]  # noqa: E402
import futu_pb2_grpc  # type: ignore[import-not-found]  # noqa: E402
import grpc  # noqa: E402
from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: E402
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc  # noqa: E402
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase  # noqa: E402

TARGET = f"127.0.0.1:{PORT}"
KEY = "fc_" + "1" * 64
FLOOD = "fc_" + "f" * 64
BEARER = (("authorization", f"Bearer {KEY}"),)
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
CHECKS: dict[str, Callable[[], None]] = {}


def check(function: Callable[[], None]) -> Callable[[], None]:
    CHECKS[function.__name__] = function
    return function


def stub(*options: tuple[str, Any]) -> Any:
    return futu_pb2_grpc.FutuOpenDStub(grpc.insecure_channel(TARGET, options=[*options]))


def blob(size: int) -> bytes:
    """A well-formed message: field 15, so many bytes."""
    out = bytearray(b"\x7a")
    n = size
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out) + bytes(size)


def refused(call: Callable[[], Any]) -> grpc.RpcError:
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("it was answered")


def counters() -> dict[str, int]:
    got: dict[str, int] = json.loads(stub().Request(pb.FutuRequest(proto_id=3100), timeout=10).ret_msg)
    return got


@check
def unary() -> None:
    reply = stub().Request(pb.FutuRequest(proto_id=3004, body=b"\x0a\x02\x08\x01"), metadata=BEARER, timeout=10)
    assert (reply.ret_type, reply.proto_id, reply.body) == (0, 3004, b"\x0a\x02\x08\x01")


@check
def three_megabytes_both_ways() -> None:
    body = blob(3_000_000)
    assert stub().Request(pb.FutuRequest(proto_id=3004, body=body), timeout=30).body == body


@check
def ten_uploads_at_once() -> None:
    body = blob(3_000_000)
    one = stub()
    calls = [one.Request.future(pb.FutuRequest(proto_id=3004, body=body), timeout=60) for _ in range(30)]
    assert all(call.result().body == body for call in calls)


@check
def unauthenticated() -> None:
    error = refused(
        lambda: stub().Request(
            pb.FutuRequest(proto_id=3004), metadata=(("authorization", "Bearer fc_wrong"),), timeout=10
        )
    )
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert error.details() == "der Schlüssel fehlt: 请出示密钥"


@check
def unimplemented() -> None:
    call = grpc.insecure_channel(TARGET).unary_unary("/futu.service.FutuOpenD/Nothing")
    assert refused(lambda: call(b"", timeout=10)).code() is grpc.StatusCode.UNIMPLEMENTED


@check
def a_limit_with_details() -> None:
    error = refused(lambda: stub().Request(pb.FutuRequest(proto_id=3010), timeout=10))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details() == "zu viele Aufträge: 5 in a minute"
    trailers = dict(error.trailing_metadata())
    for word in (b"google.rpc.ErrorInfo", b"RATE", b"opendmux", b"google.rpc.RetryInfo"):
        assert word in trailers["grpc-status-details-bin"]
    assert trailers["grpc-retry-pushback-ms"] == "12500"


@check
def deadline() -> None:
    before = time.monotonic()
    error = refused(lambda: stub().Request(pb.FutuRequest(proto_id=3006), timeout=0.5))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - before < 5


@check
def cancel() -> None:
    before = counters()["dropped"]
    call = stub().Request.future(pb.FutuRequest(proto_id=3006))
    until = time.monotonic() + 10
    asked = counters()["asked"]
    while counters()["asked"] < asked + 2 and time.monotonic() < until:
        time.sleep(0.01)
    call.cancel()
    while counters()["dropped"] == before and time.monotonic() < until:
        time.sleep(0.01)
    assert counters()["dropped"] == before + 1


@check
def gzip() -> None:
    body = blob(100_000)
    one = stub(("grpc.default_compression_algorithm", 2))
    assert one.Request(pb.FutuRequest(proto_id=3004, body=body), timeout=10).body == body


@check
def a_large_reply() -> None:
    request = pb.FutuRequest(proto_id=3008, body=b"\x7d" + (30_000_000).to_bytes(4))
    assert len(stub(*UNLIMITED).Request(request, timeout=60).body) == 30_000_000
    error = refused(lambda: stub().Request(request, timeout=60))  # grpcio's own limit of 4 MiB
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@check
def over_64_mib() -> None:
    request = pb.FutuRequest(proto_id=3008, body=b"\x7d" + (64 * 1024 * 1024 + 1).to_bytes(4))
    error = refused(lambda: stub(*UNLIMITED).Request(request, timeout=60))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "limit of 67108864" in error.details()


@check
def a_request_over_the_limit() -> None:
    body = blob(17 * 1024 * 1024)
    error = refused(lambda: stub(*UNLIMITED).Request(pb.FutuRequest(proto_id=3004, body=body), timeout=60))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@check
def futures() -> None:
    one = stub()
    calls = [
        one.Request.future(pb.FutuRequest(proto_id=3004, body=b"\x78" + bytes([n % 100])), metadata=BEARER, timeout=60)
        for n in range(1500)
    ]
    assert [call.result().body[1] for call in calls] == [n % 100 for n in range(1500)]


@check
def futures_that_hang() -> None:
    """More than the stream limit at once, all ended by their deadline."""
    one = stub()
    calls = [one.Request.future(pb.FutuRequest(proto_id=3006), timeout=2) for _ in range(1500)]
    assert {call.exception().code() for call in calls} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert one.Request(pb.FutuRequest(proto_id=3004, body=b""), timeout=10).proto_id == 3004


@check
def pushes() -> None:
    stream = stub().SubscribePush(pb.SubscribePushRequest(), metadata=BEARER, timeout=20)
    quote, order = next(stream), next(stream)
    assert (quote.proto_id, quote.sec_key, quote.sub_type, quote.event_type) == (3005, "1_00700", 1, "quote")
    assert (order.event_type, order.acc_id, order.body) == ("trade", 2**63 + 1, b"order")
    closed = counters()["closed"]
    stream.cancel()
    until = time.monotonic() + 10
    while counters()["closed"] == closed and time.monotonic() < until:
        time.sleep(0.01)
    assert counters()["closed"] == closed + 1


@check
def a_slow_reader() -> None:
    start = counters()
    stream = stub().SubscribePush(
        pb.SubscribePushRequest(), metadata=(("authorization", f"Bearer {FLOOD}"),), timeout=60
    )
    next(stream)
    until = time.monotonic() + 20
    conflated = -1
    while (now := counters())["conflated"] != conflated and time.monotonic() < until:
        conflated = now["conflated"]
        time.sleep(0.3)
    taken = now["taken"] - start["taken"]
    assert taken < 10_000, now  # of 20,000; what grpcio itself buffers is up to it
    assert conflated > 5000, now
    last: dict[str, int] = {}
    error = refused(lambda: last.update((event.sec_key, int.from_bytes(event.body[:8])) for event in stream))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, error
    assert error.details() == "the stream was too slow"
    assert sorted(last.values()) == list(range(19_950, 20_000))
    assert counters()["memory_kib"] - start["memory_kib"] < 60_000


@check
def health() -> None:
    one = health_pb2_grpc.HealthStub(grpc.insecure_channel(TARGET))
    for service in ("", "futu.service.FutuOpenD"):
        assert one.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status == 1
    error = refused(lambda: one.Check(health_pb2.HealthCheckRequest(service="x"), timeout=10))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    watch = one.Watch(health_pb2.HealthCheckRequest(), timeout=10)
    assert next(watch).status == 1
    watch.cancel()


@check
def reflection() -> None:
    database = ProtoReflectionDescriptorDatabase(grpc.insecure_channel(TARGET))
    assert "futu.service.FutuOpenD" in database.get_services()
    file = database.FindFileContainingSymbol("futu.service.FutuOpenD")
    assert [method.name for method in file.service[0].method] == ["Request", "SubscribePush"]


@check
def reflection_v1() -> None:
    call = grpc.insecure_channel(TARGET).stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    answers = call(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=10)
    assert [len(answer.list_services_response.service) for answer in answers] == [4]
    assert reflection_pb2_grpc is not None


def drain() -> None:
    """The server goes away meanwhile: what runs is answered, streams end, nothing new is begun."""
    one = stub()
    stream = one.SubscribePush(pb.SubscribePushRequest(), timeout=20)
    next(stream)
    call = one.Request.future(pb.FutuRequest(proto_id=3012, body=b"\x08\x01"), timeout=20)
    assert call.result().body == b"\x08\x01"
    error = refused(lambda: list(stream))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "going away" in error.details()
    assert refused(lambda: one.Request(pb.FutuRequest(proto_id=3004))).code() is grpc.StatusCode.UNAVAILABLE


def main() -> None:
    for name, function in ({"drain": drain} if len(sys.argv) > 3 else CHECKS).items():
        try:
            function()
            said = ""
        except Exception:  # noqa: BLE001 - it is what is reported
            said = traceback.format_exc()
        print(json.dumps([name, said]), flush=True)
    print(json.dumps(["", ""]), flush=True)


main()
