"""A line of JSON in, a line of JSON out: how a test in another process looks at a simulator and plays tricks on it.

A command is an object with ``command`` and its arguments; the answer is ``{"ok": true, ...}`` or ``{"ok": false,
"error": text}``. There is no login: the port is for the loopback interface of a test machine.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from .control_faults import FAULT_COMMANDS, BadCommandError, number
from .venues import VENUES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .opend import Simulator
    from .record import RequestRecord
    from .securities import SecKey

__all__ = ["serve_control"]

_MAX_LINE = 65_536


async def serve_control(
    simulator: Simulator,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    task_status: trio.TaskStatus[list[trio.abc.Listener[trio.abc.Stream]]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer commands on any number of connections until cancelled."""

    async def serve_stream(stream: trio.abc.Stream) -> None:
        async with stream:
            try:
                await _serve(simulator, stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    await trio.serve_listeners(serve_stream, list(listeners), task_status=task_status)


async def _serve(simulator: Simulator, stream: trio.abc.Stream) -> None:
    held = b""
    while chunk := await stream.receive_some():
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                await stream.send_all(msgspec.json.encode(_answer_untrusted(simulator, line)) + b"\n")
        if len(held) > _MAX_LINE:
            await stream.send_all(msgspec.json.encode({"ok": False, "error": "the line is too long"}) + b"\n")
            return


def _answer_untrusted(simulator: Simulator, line: bytes) -> dict[str, Any]:
    try:
        command = msgspec.json.decode(line, type=dict[str, Any])
        handler = _COMMANDS.get(command.get("command", ""))
        if handler is None:
            raise BadCommandError(f"unknown command; known are {', '.join(sorted(_COMMANDS))}")
        return {"ok": True, **handler(simulator, command)}
    except (BadCommandError, msgspec.MsgspecError, TypeError) as error:
        return {"ok": False, "error": str(error)}


def _report(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    del command
    world, record = simulator.world, simulator.record
    return {
        "elapsed_s": world.elapsed(),
        "seed": simulator.config.seed,
        "connections": [asdict(connection) for connection in record.connections],
        "requests": {str(proto_id): count for proto_id, count in sorted(record.request_counts.items())},
        "pushes": {str(proto_id): count for proto_id, count in sorted(record.push_counts.items())},
        "violations": len(record.violations),
        "quota_used": world.subscriptions.used(world.elapsed()),
        "quota": world.subscriptions.quota,
        "orders": len(world.broker.orders),
        "unlocked": world.unlocked,
        "stalled": simulator.stalled,
        "operations": list(simulator.operations),
        "faults": asdict(world.faults),
    }


def _violations(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    del command
    return {"violations": [asdict(violation) for violation in simulator.record.violations]}


def _requests(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    last = number(command, "last", 100)
    proto_id = int(number(command, "proto_id", 0))
    chosen = [request for request in simulator.record.requests if proto_id in {0, request.proto_id}]
    return {"requests": [_request(request) for request in chosen[-int(last) :]]}


def _request(request: RequestRecord) -> dict[str, Any]:
    return {
        "connection": request.connection,
        "proto_id": request.proto_id,
        "serial_no": request.serial_no,
        "at": request.at,
        "c2s": request.summary,
    }


def _subscriptions(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    del command
    now = [
        {"code": _code(key), "sub_type": sub_type, "connections": numbers}
        for (key, sub_type), numbers in simulator.subscribed_now().items()
    ]
    ever = [
        {"code": _code(key), "sub_type": sub_type, "times": times}
        for (key, sub_type), times in simulator.subscriptions.ever.items()
    ]
    return {"now": now, "ever": ever}


def _orders(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    del command
    return {
        "orders": [
            {
                "order_id_ex": order.order_id_ex,
                "acc_id": order.acc_id,
                "code": _code(order.security.key),
                "side": order.side.name,
                "qty": order.qty,
                "filled": order.filled,
                "status": order.status.name,
                "remark": order.remark,
            }
            for order in simulator.orders
        ]
    }


def _clear(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    del command
    simulator.record.clear()
    return {}


def _code(key: SecKey) -> str:
    return f"{VENUES[key[0]].prefix}.{key[1]}"


_COMMANDS: dict[str, Callable[[Simulator, dict[str, Any]], dict[str, Any]]] = {
    "report": _report,
    "violations": _violations,
    "requests": _requests,
    "subscriptions": _subscriptions,
    "orders": _orders,
    "clear": _clear,
    **FAULT_COMMANDS,
}
