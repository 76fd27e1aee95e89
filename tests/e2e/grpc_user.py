"""A program as users write it, with grpcio and stubs made from our futu.proto.

``grpc_user.py PORT STUBS [CA [CERT KEY]]``; with an authority it speaks TLS.

Steered line by line by a test. ``{"call": "request", "key", "proto_id", "body" (hex), "timeout", "times"}`` prints one
answer a request; ``{"call": "stream", "name", "key"}`` opens a push stream that prints every event, and its end.
No module of opendmux is imported. `node/user.js` understands the same.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

PORT, STUBS, *FILES = sys.argv[1:]
sys.path.insert(0, STUBS)

import grpc  # noqa: E402
from futu_pb2 import FutuRequest, SubscribePushRequest  # type: ignore[import-not-found]  # noqa: E402
from futu_pb2_grpc import FutuOpenDStub  # type: ignore[import-not-found]  # noqa: E402

target, options = f"127.0.0.1:{PORT}", [("grpc.initial_reconnect_backoff_ms", 100)]
if FILES:
    ca, cert, key = [*(Path(file).read_bytes() for file in FILES), None, None][:3]
    channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(ca, key, cert), options)
else:
    channel = grpc.insecure_channel(target, options)
stub = FutuOpenDStub(channel)
lock = threading.Lock()


def say(message: dict[str, Any]) -> None:
    with lock:
        print(json.dumps(message), flush=True)


def metadata(command: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {command['key']}"),) if "key" in command else ()


def failure(error: grpc.RpcError) -> dict[str, Any]:
    trailers = dict(error.trailing_metadata() or ())
    rich = trailers.get("grpc-status-details-bin", b"")
    return {
        "code": error.code().name,
        "text": error.details(),
        "retry_ms": trailers.get("grpc-retry-pushback-ms"),
        "rich": rich.hex(),
    }


def request(command: dict[str, Any]) -> None:
    message = FutuRequest(proto_id=command["proto_id"], body=bytes.fromhex(command.get("body", "")))
    for _ in range(command.get("times", 1)):
        try:
            reply = stub.Request(message, metadata=metadata(command), timeout=command.get("timeout", 15))
        except grpc.RpcError as error:
            say(failure(error))
        else:
            answer = {"ret_type": reply.ret_type, "ret_msg": reply.ret_msg, "proto_id": reply.proto_id}
            say({"code": "OK", **answer, "body": reply.body.hex()})


def stream(command: dict[str, Any]) -> None:
    events = stub.SubscribePush(SubscribePushRequest(), metadata=metadata(command))

    def listen() -> None:
        name = command["name"]
        try:
            events.initial_metadata()
            say({"stream": name, "open": True})
            for event in events:
                told = {"event_type": event.event_type, "proto_id": event.proto_id, "sec_key": event.sec_key}
                told |= {"sub_type": event.sub_type, "acc_id": str(event.acc_id), "body": event.body.hex()}
                say({"stream": name, **told})
        except grpc.RpcError as error:
            say({"stream": name, "end": failure(error)})

    threading.Thread(target=listen, daemon=True).start()


for line in sys.stdin:
    order = json.loads(line)
    {"request": request, "stream": stream}[order["call"]](order)
