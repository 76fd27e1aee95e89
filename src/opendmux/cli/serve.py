"""``opendmux serve``: the proxy."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opendmux.config import Config
    from opendmux.runtime.server import Face, Proxy

__all__ = ["add_parser", "run"]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "serve",
        help="run the proxy (the default)",
        description="Run the proxy: clients connect here instead of to OpenD, and share one connection to it.",
    )
    parser.add_argument(
        "--listen",
        action="append",
        metavar="HOST:PORT",
        help="where clients connect; repeatable (default: 127.0.0.1:33333 and [::1]:33333)",
    )
    parser.add_argument(
        "--upstream",
        metavar="HOST:PORT|sim",
        help="OpenD's API address, or `sim` for the built-in simulator (default: 127.0.0.1:11111)",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="a TOML file; options given here win over it")
    parser.add_argument("--keys", metavar="FILE", help="the keys file: every client needs a key (see `opendmux keys`)")
    parser.add_argument("--tls-cert", metavar="FILE", help="certificate for TLS (see `opendmux tls self-signed`)")
    parser.add_argument("--tls-key", metavar="FILE", help="its private key")
    parser.add_argument("--audit-log", metavar="FILE|DIR", help="where decisions and trade writes are put down")
    parser.add_argument(
        "--insecure-allow-trading",
        action="store_true",
        default=None,
        help="without keys: callers over gRPC and HTTP may trade for real too",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the built-in simulator (default: 1)")
    parser.add_argument(
        "--drain-timeout", type=float, metavar="SECONDS", help="how long a stop waits for open requests (default: 5)"
    )
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error, to stderr (default: info)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    import logging

    from opendmux.config import SIM, check, load, parse_address

    config = _merge(load(args.config), args)
    check(config)
    if config.upstream != SIM:
        parse_address(config.upstream, what="--upstream")
    logging.basicConfig(
        level=config.log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    _allow_open_files()
    import trio

    return trio.run(_serve, config, strict_exception_groups=True)


def _allow_open_files() -> None:
    """As many as the system lets us have: the usual soft limit of 1,024 would not take 1,000 clients."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _merge(config: Config, args: argparse.Namespace) -> Config:
    """The file's settings with the command line's on top."""
    import msgspec

    from opendmux.errors import ConfigError

    changes = {
        name: value
        for name, value in {
            "listen": tuple(args.listen) if args.listen else None,
            "upstream": args.upstream,
            "sim_seed": args.seed,
            "keys": args.keys,
            "audit_log": args.audit_log,
            "insecure_allow_trading": args.insecure_allow_trading,
            "log_level": args.log_level,
        }.items()
        if value is not None
    }
    for flag, given, table in (
        ("--listen", args.listen, config.listeners and "listeners"),
        ("--upstream", args.upstream, config.upstreams and "upstreams"),
    ):
        if given and table:
            raise ConfigError(f"{flag} can't be combined with [[{table}]] of the configuration file")
    if args.tls_cert or args.tls_key:
        files = {"cert": args.tls_cert, "key": args.tls_key}
        changes["tls"] = msgspec.structs.replace(config.tls, **{name: path for name, path in files.items() if path})
    if args.drain_timeout is not None:
        if not 0 <= args.drain_timeout < 3600:
            raise ConfigError(f"--drain-timeout {args.drain_timeout:g} is not between 0 and 3600 seconds")
        changes["timeouts"] = msgspec.structs.replace(config.timeouts, drain_s=args.drain_timeout)
    return msgspec.structs.replace(config, **changes)


async def _serve(config: Config) -> int:
    import trio

    from opendmux.errors import ConfigError
    from opendmux.runtime.server import run_proxy

    from .house import house_of
    from .upstreams import faces_of

    house = house_of(config)
    code = 0
    try:
        async with faces_of(config) as faces, trio.open_nursery() as nursery:

            async def until_signal(proxy: Proxy) -> None:
                nonlocal code
                code = await _signals(proxy)
                nursery.cancel_scope.cancel(reason="second signal")

            async def serve(task_status: trio.TaskStatus[Proxy]) -> None:
                await run_proxy(faces, drain_s=config.timeouts.drain_s, house=house, task_status=task_status)
                nursery.cancel_scope.cancel(reason="stopped")

            proxy = await nursery.start(serve)
            nursery.start_soon(until_signal, proxy)
            await proxy.listening.wait()
            _print_banner(proxy, faces, config)
    except* ConfigError as group:
        raise _first(group) from None
    return code


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error


async def _signals(proxy: Proxy) -> int:
    """SIGHUP reads keys and certificates again; the first signal to stop drains; returns on the second, which ends the
    process at once."""
    import logging
    import signal

    import trio

    from opendmux.errors import ConfigError

    log = logging.getLogger("opendmux.serve")
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    numbers = [signal.SIGTERM, signal.SIGINT, *([] if hang_up is None else [hang_up])]
    stopping = False
    with trio.open_signal_receiver(*numbers) as received:
        async for number in received:
            if number == hang_up:
                try:
                    await proxy.reload()
                except ConfigError as error:
                    log.error("%s", error)
                else:
                    log.info("keys and audit log were read and opened again")
            elif stopping:
                return 128 + number
            else:
                stopping = True
                proxy.stop()
    raise AssertionError("signals end only with the process")


def _print_banner(proxy: Proxy, faces: Sequence[Face], config: Config) -> None:
    from opendmux._version import __version__
    from opendmux.native import IMPLEMENTATION, sha1_backend
    from opendmux.runtime.binding import address_of

    lines = [f"opendmux {__version__} is ready"]
    for face in faces:
        where = " and ".join(str(address_of(sock)) for sock in face.bound)
        name = face.reach.name
        upstream = (
            "SIMULATED OpenD (built in; no real market, no real money)" if name == "SIMULATED" else f"OpenD at {name}"
        )
        if face.reach.trade_name is not None:
            upstream += f"; trading at {face.reach.trade_name} alone"
        lines += [f"  clients    connect to {where}", f"  upstream   {upstream}"]
    first = proxy.addresses[0]
    call = f"c = futu.OpenQuoteContext('{first.host}', {first.port}); print(c.get_global_state()); c.close()"
    lines += [
        f"  data path  {IMPLEMENTATION}, SHA-1 by {sha1_backend()}",
        *_access_lines(config),
        *([f"  TLS        {config.tls.cert}{'; required' if config.tls.require else ''}"] if config.tls.cert else []),
        f'  try        python3 -c "import futu; {call}"',
        "  stop       Ctrl-C",
    ]
    with contextlib.suppress(BrokenPipeError):  # whoever wanted to read it has gone; the proxy stays
        print("\n".join(lines), flush=True)


def _access_lines(config: Config) -> list[str]:
    if config.keys:
        lines = [
            f"  access     every client needs a key of {config.keys}: over gRPC and HTTP as Bearer,",
            "             from the SDK as its client id, SysConfig.set_client_info('fc_...', 1)",
        ]
    else:
        grpc = "everything, real trading included" if config.insecure_allow_trading else "reading and simulated trading"
        lines = [
            "  access     no keys, this machine only: over OpenD's protocol all that OpenD allows; over gRPC and HTTP",
            f"             {grpc} (`opendmux keys add` makes keys)",
        ]
    return [*lines, f"  audit      {config.audit_log}"] if config.audit_log else lines
