"""From the configuration to what is run; the only place that knows the embedded simulator."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from opendmux.config import SIM, SIMULATED, Config, Listener, UpstreamConfig, parse_address
from opendmux.config.reach import check_reachable, is_loopback, listeners_of, upstreams_of
from opendmux.core.operation_rates import counter_of
from opendmux.errors import ConfigError
from opendmux.runtime.binding import address_of, bind, dial_tcp, meets
from opendmux.runtime.door import Plain
from opendmux.runtime.operator import Member
from opendmux.runtime.server import Face
from opendmux.runtime.station import Reach
from opendmux.runtime.telnet import Console
from opendmux.runtime.upstream import Dial
from opendmux.wire.cipher import RsaKey

__all__ = ["faces_of", "member_of", "name_of"]

log = logging.getLogger("opendmux.serve")


def name_of(address: str) -> str:
    """What banner, logs and refusals call an upstream. Raises ConfigError for a bad address."""
    return SIMULATED if address == SIM else str(parse_address(address, what="--upstream"))


@asynccontextmanager
async def faces_of(config: Config) -> AsyncIterator[list[Face]]:
    """Bound faces with their upstreams, the simulator running behind those that name it. ``config`` has been checked.

    Raises ConfigError; everything that was bound is closed again then.
    """
    upstreams = {upstream.name: upstream for upstream in upstreams_of(config)}
    client_key = RsaKey.load(config.rsa_private_key) if config.rsa_private_key else None
    async with AsyncExitStack() as stack:
        faces: list[Face] = []
        try:
            dials: dict[str, tuple[Dial, Member]] = {}
            reaches: dict[tuple[str, ...], Reach] = {}
            for listener in listeners_of(config):
                key = listener.upstream
                for name in key:
                    if name not in dials:
                        dials[name] = await _dial_of(upstreams[name], config, stack)
                if key not in reaches:
                    reaches[key] = _reach([(upstreams[name], *dials[name]) for name in key])
                on_outage = listener.on_outage or config.on_outage
                bound = bind(listener.listen)
                protocols = config.protocols if listener.protocols is None else listener.protocols
                face = Face(reaches[key], config, on_outage, client_key, listener.key or None, bound)
                face.protocols, face.plain = protocols, _plain_of(config, listener)
                faces.append(face)
                _check_bound(config, listener, face)
            _check_no_loop([upstreams[name] for name in dials], faces)
            yield faces
        finally:
            for face in faces:
                for sock in face.bound:
                    sock.close()


def _plain_of(config: Config, listener: Listener) -> Plain:
    if config.tls.require:
        return Plain.NOBODY
    return Plain.ANYBODY if listener.insecure_plain else Plain.LOCAL


def _check_bound(config: Config, listener: Listener, face: Face) -> None:
    """The addresses that names have come to, too."""
    for address in [address_of(sock) for sock in face.bound]:
        check_reachable(config, listener, address)
        if face.plain is Plain.ANYBODY and not is_loopback(address.host):
            log.warning("%s takes other machines without TLS: keys and orders can be read on the way", address)


def _check_no_loop(used: list[UpstreamConfig], faces: list[Face]) -> None:
    """A proxy that is its own upstream would wait for itself for ever."""
    for upstream in used:
        if upstream.address == SIM:
            continue
        dialled = parse_address(upstream.address, what="--upstream")
        for bound in [address_of(sock) for face in faces for sock in face.bound]:
            if meets(dialled, bound):
                raise ConfigError(
                    f"the upstream {dialled} is this proxy itself, which listens on {bound}: "
                    "give the address of OpenD, or listen on another port"
                )


async def _dial_of(upstream: UpstreamConfig, config: Config, stack: AsyncExitStack) -> tuple[Dial, Member]:
    if upstream.address != SIM:
        return dial_tcp(parse_address(upstream.address, what="--upstream")), member_of(upstream)
    from opendmux.sim import SimConfig, open_simulator

    simulator = await stack.enter_async_context(open_simulator(SimConfig(seed=config.sim_seed, epoch=time.time())))
    return simulator.connect, member_of(upstream, simulator.connect_console)


def member_of(upstream: UpstreamConfig, embedded: Dial | None = None) -> Member:
    """The OpenD as its operator sees it. ``embedded``: the console of the simulator that is built in."""
    name = name_of(upstream.address)
    console, counters = None, []
    if upstream.telnet:
        address = parse_address(upstream.telnet, what="telnet")
        console = Console(str(address), dial_tcp(address))
        counters.append(counter_of(address.host, address.port))
    elif embedded is not None:
        console = Console(SIMULATED, embedded)
    if upstream.address != SIM:
        api = parse_address(upstream.address, what="--upstream")
        counters.append(counter_of(api.host, api.port))
    return Member(upstream.name, name, console, counters, upstream.quote_right)


def _reach(members: list[tuple[UpstreamConfig, Dial, Member]]) -> Reach:
    """A single OpenD, or a group: quotes from whichever answers, trade calls from the first alone."""
    path = members[0][0].rsa_private_key
    rsa_key = RsaKey.load(path) if path else None
    named = [(name_of(upstream.address), dial) for upstream, dial, _member in members]
    consoles = [member for _upstream, _dial, member in members]
    if len(named) == 1:
        return Reach(*named[0], rsa_key=rsa_key, consoles=consoles)
    name = " or ".join(name for name, _dial in named)
    trade_name, trade_dial = named[0]
    return Reach(name, trade_dial, trade_name=trade_name, members=named, rsa_key=rsa_key, consoles=consoles)
