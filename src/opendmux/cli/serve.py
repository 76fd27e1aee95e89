"""``opendmux serve``: the proxy."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from .settings import add_options, settings_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opendmux.config import Address, Config
    from opendmux.runtime.notify import Manager
    from opendmux.runtime.server import Face, Proxy

    from .reload import Reloader

__all__ = ["add_parser", "run"]

log = logging.getLogger("opendmux.serve")

WAITED_S: Final = 2.0
"""OpenD has not been reached for so long after the start: whoever looks at the terminal is told what is waited for."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "serve",
        description="Run the proxy: clients connect here instead of to OpenD, and share one connection to it.",
    )
    add_options(parser)
    parser.add_argument("--json", action="store_true", help="the banner as one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from opendmux.runtime.logs import Logs

    settings = settings_from(args, os.environ)
    logs = Logs(sys.stderr)
    logs.begin(settings.config)
    for note in settings.notes:
        log.warning("%s", note)
    _allow_open_files()
    import trio

    from opendmux.runtime.notify import Manager

    from .reload import Reloader

    manager = Manager.of(os.environ)
    reloader = Reloader(settings.config, logs, lambda: settings_from(args, os.environ))
    try:
        return trio.run(_serve, settings.config, reloader, manager, args.json, strict_exception_groups=True)
    finally:
        logs.end()


def _allow_open_files() -> None:
    """As many as the system lets us have: the usual soft limit of 1,024 would not take 1,000 clients."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(config: Config, reloader: Reloader, manager: Manager, as_json: bool) -> int:
    import trio

    from opendmux.errors import ConfigError
    from opendmux.runtime.notify import report
    from opendmux.runtime.server import run_proxy

    from .house import admin_socket_of, house_of
    from .upstreams import faces_of

    house = house_of(config)
    code = 0
    try:
        async with faces_of(config) as faces, trio.open_nursery() as nursery:

            async def until_signal(proxy: Proxy) -> None:
                nonlocal code
                code = await _signals(proxy, reloader, manager)
                nursery.cancel_scope.cancel(reason="second signal")

            async def serve(task_status: trio.TaskStatus[Proxy]) -> None:
                drain_s = config.timeouts.drain_s
                with admin_socket_of(config, faces, os.environ) as admin:
                    await run_proxy(faces, drain_s=drain_s, house=house, admin=admin, task_status=task_status)
                nursery.cancel_scope.cancel(reason="stopped")

            proxy = await nursery.start(serve)
            nursery.start_soon(until_signal, proxy)
            nursery.start_soon(partial(report, manager, proxy, drain_s=config.timeouts.drain_s))
            with trio.move_on_after(WAITED_S):
                await proxy.listening.wait()
            with contextlib.suppress(BrokenPipeError):  # whoever wanted to read it has gone; the proxy stays
                if not as_json:  # a program reads one object, the last word
                    _print_waiting(proxy, faces)
                await proxy.listening.wait()
                if as_json:
                    _print_ready(faces)
                else:
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


async def _signals(proxy: Proxy, reloader: Reloader, manager: Manager) -> int:
    """SIGHUP reads settings, keys and certificates again; the first signal to stop drains; returns on the second,
    which ends the process at once."""
    import signal

    import trio

    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    numbers = [signal.SIGTERM, signal.SIGINT, *([] if hang_up is None else [hang_up])]
    stopping = False
    with trio.open_signal_receiver(*numbers) as received:
        async for number in received:
            if number == hang_up:
                async with manager.reloading():
                    await reloader.reload(proxy)
            elif stopping:
                return 128 + number
            else:
                stopping = True
                proxy.stop()
    raise AssertionError("signals end only with the process")


def _print_waiting(proxy: Proxy, faces: Sequence[Face]) -> None:
    """What is waited for, once; nothing when every OpenD has been reached."""
    from opendmux._version import __version__
    from opendmux.runtime.binding import address_of

    away = {id(s.reach): s.hub.router.lanes.main.upstream for s in proxy.stations if not s.link.first_ready.is_set()}
    if not away:
        return
    lines = [f"opendmux {__version__} waits for OpenD"]
    for face in faces:
        upstream = away.get(id(face.reach))
        if upstream is not None:
            where = " and ".join(str(address_of(sock)) for sock in face.bound)
            lines += [
                f"  clients    are refused so far; they can come to {where} when OpenD has been reached",
                f"  upstream   OpenD at {face.reach.name}: {upstream.reason or 'no answer yet'}",
            ]
    first = next(face.reach for face in faces if id(face.reach) in away)
    doctor = "opendmux doctor" if first.members else f"opendmux doctor --upstream {first.name}"
    status = f"opendmux status --connect {_reached_at(proxy.addresses[0])}"
    lines += [
        f"  process    pid {os.getpid()}; Ctrl-C ends it",
        f"  next       what is wrong with OpenD: `{doctor}`; how it stands here: `{status}`",
    ]
    print("\n".join(lines), flush=True)


def _print_banner(proxy: Proxy, faces: Sequence[Face], config: Config) -> None:
    from opendmux._version import __version__
    from opendmux.native import IMPLEMENTATION, sha1_backend
    from opendmux.runtime.binding import address_of

    log.debug("data path: %s, SHA-1 by %s", IMPLEMENTATION, sha1_backend())
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
    first = _reached_at(proxy.addresses[0])
    show_key = "futu.SysConfig.set_client_info('fc_...', 1); " if config.keys else ""
    call = f"{show_key}c = futu.OpenQuoteContext('{first.host}', {first.port}); print(c.get_global_state()); c.close()"
    lines += [
        *_access_lines(config),
        *([f"  TLS        {config.tls.cert}{'; required' if config.tls.require else ''}"] if config.tls.cert else []),
        *([] if config.tls.require else [f'  try        python3 -c "import futu; {call}"']),  # it can't speak TLS
        f"  stop       Ctrl-C; kill -HUP {os.getpid()} reads settings and keys again",
    ]
    print("\n".join(lines), flush=True)


def _reached_at(bound: Address) -> Address:
    """Where a program on this machine finds it."""
    return replace(bound, host="127.0.0.1") if bound.host in ("0.0.0.0", "::") else bound  # noqa: S104 (compared, not bound)


def _print_ready(faces: Sequence[Face]) -> None:
    """What a program needs that started this one: where to connect, and whom to send signals."""
    import json

    from opendmux._version import __version__
    from opendmux.runtime.binding import address_of

    listeners = [
        {
            "addresses": [str(address_of(sock)) for sock in face.bound],
            "upstream": face.reach.name,
            "trade_upstream": face.reach.trade_name or face.reach.name,
        }
        for face in faces
    ]
    print(json.dumps({"opendmux": __version__, "pid": os.getpid(), "listeners": listeners}), flush=True)


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
