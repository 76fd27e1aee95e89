"""``opendmux sim``: the simulator on a port of its own."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from opendmux.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    import trio

    from opendmux.sim import SimConfig

__all__ = ["add_parser", "run"]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "sim",
        description="Run a simulated OpenD: prices, orders and accounts are made up, and the same for the same seed. "
        "The trade password is 123456.",
    )
    parser.add_argument(
        "--listen",
        default="127.0.0.1:11111",
        metavar="HOST:PORT",
        help="address for clients; port 0 takes a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="which world to make up (default: %(default)s)"
    )
    parser.add_argument(
        "--control",
        metavar="HOST:PORT",
        help="address for JSON commands of tests, without any login; off by default",
    )
    parser.add_argument(
        "--telnet",
        metavar="HOST:PORT",
        help="address of the operation console, which knows no login either (as OpenD's telnet_port); off by default",
    )
    parser.add_argument(
        "--strict-serials",
        action="store_true",
        help="ignore requests whose serial number does not grow (the official Python SDK sends some)",
    )
    parser.add_argument("--rate-limits", action="store_true", help="refuse what is over OpenD's limits per 30 seconds")
    parser.add_argument(
        "--rsa-private-key",
        default="",
        metavar="FILE",
        help="encrypt with this RSA key (PEM); clients without it are turned away",
    )
    parser.add_argument("--json", action="store_true", help="say where it listens as one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM. Raises ConfigError when an address can't be used."""
    import trio

    from opendmux.sim import SimConfig

    config = SimConfig(
        seed=args.seed,
        epoch=time.time(),
        strict_serials=args.strict_serials,
        rate_limits=args.rate_limits,
        rsa_private_key=args.rsa_private_key,
    )
    trio.run(_serve, config, args.listen, args.control, args.telnet, args.json)
    return 0


async def _serve(config: SimConfig, listen: str, control: str | None, telnet: str | None, as_json: bool) -> None:
    import trio

    from opendmux.sim import open_simulator, serve_console, serve_control

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        listeners = await _listen(listen, "--listen")
        control_listeners = await _listen(control, "--control") if control else []
        telnet_listeners = await _listen(telnet, "--telnet") if telnet else []
        async with open_simulator(config) as simulator, trio.open_nursery() as nursery:
            await nursery.start(simulator.serve, listeners)
            where = {"listening": _address(listeners)}
            if control_listeners:
                await nursery.start(serve_control, simulator, control_listeners)
                where["control"] = _address(control_listeners)
            if telnet_listeners:
                await nursery.start(serve_console, simulator, telnet_listeners)
                where["telnet"] = _address(telnet_listeners)
            text = json.dumps({**where, "seed": config.seed}) if as_json else _said(where, config.seed)
            print(text, flush=True)
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()


def _said(where: Mapping[str, str], seed: int) -> str:
    text = f"opendmux sim: SIMULATED OpenD on {where['listening']}, seed {seed}"
    if "control" in where:
        text += f", control on {where['control']}"
    if "telnet" in where:
        text += f", Telnet console on {where['telnet']}"
    return text


async def _listen(text: str, option: str) -> list[trio.SocketListener]:
    """Bound listeners. Raises ConfigError with a sentence for the user."""
    import trio

    from opendmux.config import parse_address
    from opendmux.runtime.binding import why_not

    address = parse_address(text, what=option)
    try:
        return await trio.open_tcp_listeners(address.port, host=address.host)
    except OSError as error:
        raise ConfigError(why_not(address, error, option)) from error


def _address(listeners: list[trio.SocketListener]) -> str:
    host, port = listeners[0].socket.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
