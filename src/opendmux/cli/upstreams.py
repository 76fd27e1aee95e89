"""From the configured upstream to something that can be dialled; the only place that knows the embedded simulator."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opendmux.config import SIM, Config, parse_address
from opendmux.runtime.server import dial_tcp
from opendmux.runtime.upstream import Dial

__all__ = ["dialling", "upstream_name"]


def upstream_name(config: Config) -> str:
    """What banner, logs and refusals call the upstream. Raises ConfigError for a bad address."""
    return "SIMULATED" if config.upstream == SIM else str(parse_address(config.upstream, what="--upstream"))


@asynccontextmanager
async def dialling(config: Config) -> AsyncIterator[Dial]:
    """The dial function, with the simulator running behind it when that is the upstream."""
    if config.upstream != SIM:
        yield dial_tcp(parse_address(config.upstream, what="--upstream"))
        return
    from opendmux.sim import SimConfig, open_simulator

    async with open_simulator(SimConfig(seed=config.sim_seed, epoch=time.time())) as simulator:
        yield simulator.connect
