"""OpenD's limits on operation commands, kept for everybody who sends them through this machine's opendmux.

Times are wall-clock seconds, because the counts outlive the process: a code must not be asked for once more just
because something was started again. OpenD counts per login, so what is sent by its console and what is sent by the
protocol Verification are counted together, and a command counts when it is sent, whatever becomes of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from .operations import OPERATIONS, Operation, Rate, RateError

__all__ = ["OperationRates", "counter_of"]

MARGIN_S: Final = 1.0
"""OpenD's clock and ours start to count at different moments."""
COUNTERS_MAX: Final = 256
"""OpenDs with a count that is kept; the one that was used longest ago is forgotten first."""

_LOOPBACK: Final = frozenset({"localhost", "::1", ""})


def counter_of(host: str, port: int) -> str:
    """What an OpenD is called in the counts: the ways to write this machine's own address are one."""
    here = host.lower() in _LOOPBACK or host.startswith("127.")
    return f"{'127.0.0.1' if here else host.lower()} {port}"


class OperationRates:
    """When which command was sent to which OpenD."""

    def __init__(self) -> None:
        self._sent: dict[str, dict[str, list[float]]] = {}

    def book(self, counters: Sequence[str], operation: Operation, now: float) -> None:
        """The command is about to be sent. ``counters``: all names by which this OpenD may have been counted.

        Raises RateError, with the wait, when it would be over the limit; nothing is counted then.
        """
        rate = operation.rate
        if rate is None:
            return
        wait = self.wait_s(counters, operation, now)
        if wait > 0:
            text = f"OpenD takes at most {rate}, and it must wait {math.ceil(wait)} s more"
            raise RateError(f"{operation.name} was not sent: {text}", wait)
        for counter in counters:
            commands = self._sent.pop(counter, {})
            commands[operation.name] = [*_lately(commands.get(operation.name, ()), rate, now), now]
            self._sent[counter] = commands  # the one used last is the last
        while len(self._sent) > COUNTERS_MAX:
            del self._sent[next(iter(self._sent))]

    def give_back(self, counters: Iterable[str], operation: Operation) -> None:
        """The latest one that was booked was not sent after all."""
        for counter in counters:
            commands = self._sent.get(counter, {})
            times = commands.get(operation.name)
            if times:
                times.pop()
            if not times:
                commands.pop(operation.name, None)
            if not commands:
                self._sent.pop(counter, None)

    def wait_s(self, counters: Iterable[str], operation: Operation, now: float) -> float:
        """Seconds until it may be sent; 0 = now."""
        rate = operation.rate
        if rate is None:
            return 0.0
        waits = [0.0]
        for counter in counters:
            times = _lately(self._sent.get(counter, {}).get(operation.name, ()), rate, now)
            if len(times) >= rate.count:
                waits.append(times[-rate.count] + rate.seconds + MARGIN_S - now)
        return max(waits)

    def dump(self) -> bytes:
        """What `load` reads."""
        return msgspec.json.encode(self._sent)

    def load(self, content: bytes | None) -> None:
        """Take over what another process, or an earlier one, has counted; what can't be read is taken for nothing."""
        self._sent = {}
        try:
            found = {} if content is None else msgspec.json.decode(content, type=dict[str, dict[str, list[float]]])
        except msgspec.MsgspecError:
            return
        for counter, commands in list(found.items())[-COUNTERS_MAX:]:
            self._sent[counter] = _known(commands)


def _known(commands: Mapping[str, Any]) -> dict[str, list[float]]:
    kept = {}
    for name, times in commands.items():
        operation = OPERATIONS.get(name)
        if operation is not None and operation.rate is not None:
            kept[name] = sorted(times)[-operation.rate.count :]
    return kept


def _lately(times: Iterable[float], rate: Rate, now: float) -> list[float]:
    """Those that still count. One that lies ahead, for the clock was set back, counts as one of just now."""
    return sorted(min(time, now) for time in times if time > now - rate.seconds - MARGIN_S)
