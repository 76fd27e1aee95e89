"""OpenD in a box: a deterministic simulator that speaks the real protocol as a server.

It is the embedded default upstream, the test double of the proxy and a product of its own: programs that use an
official SDK can run against it unchanged. Pure parts: `securities`, `market`, `history`, `candles` (prices),
`accounts`, `broker` (orders), `subscriptions`, `world` and `engine` (one OpenD, frames in, frames out). Parts with
Trio: `connection`, `feed`, `opend`, `console`, `control`.

    async with open_simulator(SimConfig(seed=7)) as sim:
        stream = await sim.connect()
"""

from .config import SimConfig
from .console import serve_console
from .control import serve_control
from .faults import Act, Faults, Trick
from .opend import Simulator, open_simulator
from .record import ConnectionRecord, Record, RequestRecord, Violation
from .refusal import Refused

__all__ = [
    "Act",
    "ConnectionRecord",
    "Faults",
    "Record",
    "Refused",
    "RequestRecord",
    "SimConfig",
    "Simulator",
    "Trick",
    "Violation",
    "open_simulator",
    "serve_console",
    "serve_control",
]
