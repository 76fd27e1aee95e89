"""What HTTP clients ask OpenD for: `POST /v1/request/{proto_id}` and the pushes of `GET /v1/push`."""

from __future__ import annotations

import base64
import re
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
import trio

from opendmux.core.denial import Denial
from opendmux.core.events import GAP, PushEvent, words_of_end, words_of_gap
from opendmux.core.pushring import number_untrusted
from opendmux.errors import RemoteProtocolError
from opendmux.runtime.backend import Answer
from opendmux.wire.exact import exact_untrusted
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.http import RequestHead
from opendmux.wire.render import from_json_untrusted, to_json_untrusted
from opendmux.wire.sse import CONTENT_TYPE, HEARTBEAT, encode_event

from ._grpc_text import well_formed_untrusted
from ._http_refusal import RefusedError
from ._http_route import Exchange

__all__ = ["REQUEST_BYTES", "push", "request"]

REQUEST_BYTES: Final = 16 * 1024 * 1024
"""As over gRPC."""
LARGE_BYTES: Final = 256 * 1024
"""A longer answer is converted in a thread: the rest of the proxy must not wait for it."""
HEARTBEAT_S: Final = 15.0
"""Of silence on a stream; proxies in between close what is silent for a minute."""
TAKE_BYTES: Final = 16 * 1024
"""Of events at a time."""

JSON, PROTOBUF = "application/json", "application/protobuf"
FORMATS: Final = {
    JSON: ProtoFmt.JSON,
    PROTOBUF: ProtoFmt.PROTOBUF,
    "application/x-protobuf": ProtoFmt.PROTOBUF,
    "application/octet-stream": ProtoFmt.PROTOBUF,
}
NUMBER: Final = re.compile(r"[0-9]{1,20}")


class _Object(msgspec.Struct):
    """Any JSON object: what is in it is read over and not kept, for a body may have a million fields."""


_object_decoder = msgspec.json.Decoder(_Object)


async def request(exchange: Exchange) -> None:
    """One request to OpenD and its answer, which has the status 200 whatever its retType."""
    shown = exchange.params["proto_id"]
    if not NUMBER.fullmatch(shown) or int(shown) >= 2**32:
        raise RefusedError(404, "not_found", "the last part of the path is the number of a protocol, such as 3004")
    proto_id = int(shown)
    if proto_id == 0:
        raise RefusedError(400, "invalid", "there is no proto_id 0")
    proto_fmt = _format_of(exchange.head)
    body = await exchange.body()
    if proto_fmt == ProtoFmt.JSON:
        _check_object_untrusted(body)
    elif not well_formed_untrusted(body):
        raise RefusedError(400, "body", "the body is no protobuf message")
    answer = await _asked(exchange, proto_id, body, proto_fmt)
    if answer.denial is not None:
        raise RefusedError.of(answer.denial)
    wanted = _wanted(exchange.head, proto_fmt)
    if len(answer.body) > LARGE_BYTES:
        said, content_type = await trio.to_thread.run_sync(_converted, proto_id, answer, wanted)
    else:
        said, content_type = _converted(proto_id, answer, wanted)
    await exchange.respond(200, said, content_type)


async def _asked(exchange: Exchange, proto_id: int, body: bytes, proto_fmt: int) -> Answer:
    """The proxy gives every request an answer in its time. When the peer hangs up before that, what still waits is
    not sent. Cancellation: the same; what was sent upstream stays sent."""
    answers: list[Answer] = []
    came = trio.Event()

    def take(answer: Answer) -> None:
        answers.append(answer)
        came.set()

    forget = exchange.caller.request(proto_id, body, until=None, answer=take, proto_fmt=proto_fmt)
    try:
        await exchange.wait(came)
    finally:
        forget()
    return answers[0]


def _format_of(head: RequestHead) -> ProtoFmt:
    if any(coding.strip().lower() != "identity" for coding in head.all("content-encoding")):
        raise RefusedError(415, "content_encoding", "compressed bodies are not taken")
    shown = head.all("content-type")
    kind = shown[0].partition(";")[0].strip().lower() if len(shown) == 1 else ""
    if kind not in FORMATS:
        raise RefusedError(415, "content_type", f"the content-type must be one of {', '.join(FORMATS)}")
    return FORMATS[kind]


def _check_object_untrusted(body: bytes) -> None:
    try:
        _object_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(400, "body", f"the body is no JSON object: {error}") from error


def _wanted(head: RequestHead, proto_fmt: ProtoFmt) -> ProtoFmt:
    """The format that Accept likes best; that of the request where it does not mind, or likes neither."""
    best, found = 0.0, proto_fmt
    for item in ",".join(head.all("accept")).split(","):
        kind, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            weight = float(quality)
        except ValueError:
            continue
        liked = proto_fmt if kind in ("*/*", "application/*") else FORMATS.get(kind)
        if liked is not None and (weight > best or (weight == best and liked == proto_fmt)):
            best, found = weight, liked
    return found


def _converted(proto_id: int, answer: Answer, wanted: ProtoFmt) -> tuple[bytes, str]:
    """The answer as it is sent, and its type. Where it can't be had in the format that is wanted it stays as it is: it
    may be that of an order, and must not get lost."""
    if answer.proto_fmt == ProtoFmt.JSON:
        if wanted == ProtoFmt.PROTOBUF and (body := from_json_untrusted(proto_id, answer.body)) is not None:
            return body, PROTOBUF
        try:
            return exact_untrusted(answer.body), JSON
        except RemoteProtocolError as error:
            text = f"OpenD's answer can't be read: {error}. The request may have been executed"
            raise RefusedError(502, "answer", text) from error
    if wanted == ProtoFmt.JSON and (value := to_json_untrusted(proto_id, answer.body)) is not None:
        return msgspec.json.encode(value), JSON
    return answer.body, PROTOBUF


async def push(exchange: Exchange) -> None:
    """Everything that is pushed to the key, as server-sent events, until one side ends it."""
    stream = exchange.caller.open_stream(resume_from=_resume_from(exchange.head))
    if isinstance(stream, Denial):
        raise RefusedError.of(stream)
    try:
        await exchange.start_stream(CONTENT_TYPE)
        await exchange.send(HEARTBEAT)
        while True:
            ended = stream.ended
            if events := stream.take(TAKE_BYTES):
                await exchange.send(b"".join(map(_encoded, events)))
            elif ended is not None:
                await exchange.send(encode_event(msgspec.json.encode(words_of_end(ended))))
                return
            else:
                with trio.move_on_after(HEARTBEAT_S) as quiet:
                    await stream.wakeups.receive()
                if quiet.cancelled_caught:
                    await exchange.send(HEARTBEAT)
    finally:
        stream.close()


def _resume_from(head: RequestHead) -> int:
    """The number after which it goes on. A reader that connects again by itself has the newer one in its header."""
    asked = parse_qsl(head.query, keep_blank_values=True)
    if any(name != "resume_from" for name, _ in asked) or len(asked) > 1:
        raise RefusedError(400, "query", "there is one parameter, resume_from")
    shown = [value for value in head.all("last-event-id") if value] or [value for _, value in asked] or ["0"]
    try:
        (number,) = map(number_untrusted, shown)
    except (ValueError, RemoteProtocolError) as error:
        text = "resume_from and Last-Event-ID are the number of an event"
        raise RefusedError(400, "resume_from", text) from error
    return number


def _encoded(event: PushEvent) -> bytes:
    if event.event_type == GAP:
        said: dict[str, Any] = words_of_gap(event)
    else:
        said = {
            "event_type": event.event_type,
            "proto_id": event.proto_id,
            "sec_key": event.sec_key,
            "sub_type": event.sub_type,
            "acc_id": str(event.acc_id) if event.acc_id else "",
            "body": base64.b64encode(event.body).decode(),
        }
        shown = to_json_untrusted(event.proto_id, event.body)
        if shown is not None:
            said["json"] = shown
    return encode_event(msgspec.json.encode(said), number=event.seq or None)
