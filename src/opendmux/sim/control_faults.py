"""The control commands that make a simulator misbehave. Each is a method or a switch of the same name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .faults import Act, Trick

if TYPE_CHECKING:
    from collections.abc import Callable

    from .opend import Simulator

__all__ = ["FAULT_COMMANDS", "BadCommandError", "number"]


class BadCommandError(Exception):
    """The text is the answer."""


def number(command: dict[str, Any], name: str, default: float | None = None) -> float:
    """An argument that must be a number; without ``default`` it must be there. Raises BadCommandError."""
    value = command.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadCommandError(f"{name} must be a number")
    return value


def _drop(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    return {"dropped": simulator.drop(int(number(command, "connection", 0)) or None)}


def _stall(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    del command
    simulator.stall()
    return {}


def _resume(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    del command
    simulator.resume()
    return {}


def _mute(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.faults.mute_feed = bool(command.get("on", True))
    return {}


def _delay(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.faults.delays_s[int(number(command, "proto_id"))] = number(command, "seconds")
    return {}


def _refuse(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    proto_id, text = int(number(command, "proto_id")), command.get("text")
    if text is None:
        simulator.faults.refusals.pop(proto_id, None)
    else:
        simulator.faults.refusals[proto_id] = str(text)
    return {}


def _quota(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.subscriptions.quota = int(number(command, "value"))
    return {}


def _min_age(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.subscriptions.min_age_s = number(command, "seconds")
    return {}


def _lock(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.world.unlocked = not command.get("on", True)
    return {}


def _reset(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    return {"reset": simulator.reset(int(number(command, "connection", 0)) or None)}


def _swallow(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    return {"swallowed": simulator.swallow(int(number(command, "connection", 0)) or None)}


def _black_hole(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.faults.black_hole = bool(command.get("on", True))
    return {}


def _crash(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    return {"crashed": simulator.crash(number(command, "seconds", 0))}


def _trick(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    try:
        act = Act(command.get("act", ""))
    except ValueError:
        raise BadCommandError(f"act must be one of {', '.join(Act)}") from None
    trick = Trick(
        act=act,
        proto_id=int(number(command, "proto_id", 0)),
        connection=int(number(command, "connection", 0)),
        nth=int(number(command, "nth", 1)),
        times=int(number(command, "times", 1)),
        executed=bool(command.get("executed", False)),
        seconds=number(command, "seconds", 0),
    )
    simulator.faults.tricks.append(trick)
    return {}


def _no_tricks(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    del command
    simulator.faults.tricks.clear()
    return {}


def _rates(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.world.rates_enforced = bool(command.get("on", True))
    return {}


def _lost_rights(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    markets = command.get("markets", [])
    if not isinstance(markets, list) or not all(isinstance(market, int) for market in markets):
        raise BadCommandError("markets must be a list of QotMarket numbers")
    simulator.set_lost_rights(markets)
    return {}


def _kick(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.kick(number(command, "seconds") if "seconds" in command else None)
    return {}


def _keep_right(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.faults.right_is_kept = bool(command.get("on", True))
    return {}


def _notify(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.notify_connect_status(
        qot_logined=bool(command.get("qot_logined", True)), trd_logined=bool(command.get("trd_logined", True))
    )
    return {}


def _program_status(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.set_program_status(int(number(command, "type")), str(command.get("text", "")))
    return {}


def _allowed_quota(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.set_quota(int(number(command, "subscriptions")), int(number(command, "history")))
    return {}


def _used_quota(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.notify_used_quota(int(number(command, "subscriptions")), int(number(command, "history")))
    return {}


def _event(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    simulator.notify_event(int(number(command, "type")), str(command.get("text", "")))
    return {}


def _about(simulator: Simulator, command: dict[str, Any]) -> dict[str, Any]:
    """What it says of itself when it is asked; what is not named stays."""
    status = simulator.world.status
    if "version" in command:
        status.version = int(number(command, "version"))
    status.clock_ahead_s = number(command, "clock_ahead_s", status.clock_ahead_s)
    status.update_type = int(number(command, "update_type", status.update_type))
    status.must_agree = bool(command.get("must_agree", status.must_agree))
    return {}


FAULT_COMMANDS: dict[str, Callable[[Simulator, dict[str, Any]], dict[str, Any]]] = {
    "drop": _drop,
    "stall": _stall,
    "resume": _resume,
    "mute": _mute,
    "delay": _delay,
    "refuse": _refuse,
    "quota": _quota,
    "min_age": _min_age,
    "notify": _notify,
    "lock": _lock,
    "reset": _reset,
    "swallow": _swallow,
    "black_hole": _black_hole,
    "crash": _crash,
    "trick": _trick,
    "no_tricks": _no_tricks,
    "rates": _rates,
    "lost_rights": _lost_rights,
    "kick": _kick,
    "keep_right": _keep_right,
    "program_status": _program_status,
    "event": _event,
    "allowed_quota": _allowed_quota,
    "used_quota": _used_quota,
    "about": _about,
}
