"""The words of every refusal and failure, and which retType goes with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import RetType
from opendmux.wire.messages import head_untrusted, ret_body
from opendmux.wire.protocols import PROTOCOLS, WRITE_IDS

from .commands import Failure, Outcome, Reply, Request
from .denial import Denial, DenialKind

__all__ = [
    "NO_ROOM_TEXT",
    "abandoned",
    "denied",
    "failed",
    "failure_body",
    "name_of",
    "refused",
    "reply",
    "succeeded",
    "unavailable",
    "verdict",
]

NO_ROOM_TEXT: Final = "busy: the proxy's memory for requests is used up"


def name_of(proto_id: int) -> str:
    """``3004 Qot_GetBasicQot``."""
    protocol = PROTOCOLS.get(proto_id)
    return f"{proto_id} {protocol.name}" if protocol else str(proto_id)


def reply(request: Request, body: bytes, proto_fmt: int | None = None) -> Reply:
    """Answer ``request`` with ``body``, in the request's format unless the body came in another."""
    return Reply(
        request.session,
        request.proto_id,
        request.proto_fmt if proto_fmt is None else proto_fmt,
        request.serial_no,
        body,
    )


def succeeded(request: Request) -> Reply:
    """retType 0, nothing else."""
    return reply(request, ret_body(request.proto_fmt, RetType.SUCCEED))


def refused(request: Request, ret_msg: str, ret_type: int = RetType.FAILED) -> Reply:
    """The request was not sent upstream, or upstream refused it."""
    return reply(request, ret_body(request.proto_fmt, ret_type, ret_msg))


def denied(request: Request, denial: Denial, ret_type: int = RetType.FAILED) -> Reply:
    """The gate or the gateway turns the request away; nothing was sent."""
    return replace(refused(request, denial.text, ret_type), denial=denial, request=request)


def unavailable(request: Request, absence: str) -> Reply:
    """The link is down: nothing was sent."""
    text = f"{absence}; this request was not sent"
    return denied(request, Denial(DenialKind.UNAVAILABLE, "upstream", text), RetType.DISCONNECT)


def failure_body(proto_id: int, proto_fmt: int, failure: Failure) -> bytes:
    """No usable reply came. A write's outcome is then unknown, and is said to be; it is never guessed or repeated."""
    if proto_id in WRITE_IDS:
        why = {
            Failure.TIMEOUT: "OpenD did not answer in time",
            Failure.LOST: "the connection to OpenD was lost before the answer",
            Failure.CORRUPT: "OpenD's answer was damaged",
        }[failure]
        text = f"outcome unknown: {why}. It may have been executed: query before sending it again"
        return ret_body(proto_fmt, RetType.UNKNOWN, text)
    ret_type, text = {
        Failure.TIMEOUT: (RetType.TIME_OUT, f"OpenD did not answer {name_of(proto_id)} in time"),
        Failure.LOST: (RetType.DISCONNECT, "the connection to OpenD was lost before the answer"),
        Failure.CORRUPT: (RetType.FAILED, "OpenD's answer was damaged (SHA-1 mismatch)"),
    }[failure]
    return ret_body(proto_fmt, ret_type, text)


def failed(request: Request, failure: Failure) -> Reply:
    """`failure_body` as the answer to ``request``.

    A write that was cut off is no denial: to a caller that retries what is "unavailable" it would be an invitation to
    place the order twice.
    """
    answer = reply(request, failure_body(request.proto_id, request.proto_fmt, failure))
    kind = DenialKind.TIMEOUT if failure is Failure.TIMEOUT else DenialKind.UNAVAILABLE
    if kind is DenialKind.UNAVAILABLE and request.proto_id in WRITE_IDS:
        return answer
    return replace(answer, denial=Denial(kind, "upstream", head_untrusted(answer.body, answer.proto_fmt)[1]))


def abandoned(request: Request) -> Reply:
    """Its caller has gone while it waited, or has cancelled all orders: nothing was sent."""
    text = f"{name_of(request.proto_id)} was not sent: while it waited it was given up, or all orders were cancelled"
    return denied(request, Denial(DenialKind.TIMEOUT, "given_up", text))


def verdict(outcome: Outcome) -> tuple[int, str]:
    """(retType, retMsg) of the answer to a request; a failure or an unreadable body counts as -400."""
    if outcome.failure is not None:
        return RetType.UNKNOWN, f"no answer ({outcome.failure.value})"
    try:
        return head_untrusted(outcome.body, outcome.proto_fmt)
    except RemoteProtocolError as error:
        return RetType.UNKNOWN, str(error)
