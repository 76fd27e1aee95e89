"""The options of `serve`, and what they, the environment and the file come to."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opendmux.errors import ConfigError

if TYPE_CHECKING:
    from opendmux.config.sources import Settings

__all__ = ["add_options", "settings_from"]

FLAGS: Final[Mapping[str, str]] = {
    "listen": "listen",
    "upstream": "upstream",
    "telnet": "telnet",
    "seed": "sim_seed",
    "keys": "keys",
    "audit_log": "audit_log",
    "insecure_allow_trading": "insecure_allow_trading",
    "log_format": "log_format",
    "log_level": "log_level",
    "tls_cert": "tls.cert",
    "tls_key": "tls.key",
    "drain_timeout": "timeouts.drain_s",
}
"""From the name of an option to the key of the setting."""
DRAIN_MAX_S: Final = 3600


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
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
    parser.add_argument(
        "--telnet",
        metavar="HOST:PORT",
        help="OpenD's operation console (its telnet_port), for `opendmux opend` and quote_right (default: none)",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="a TOML file (see `opendmux config`), or OpenD's own OpenD.xml; OPENDMUX_CONFIG names one too",
    )
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
    parser.add_argument(
        "--log-format",
        metavar="FORMAT",
        help="human, or json for a line of JSON per event (default: human)",
    )
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error, to stderr (default: info)")


def settings_from(args: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    """All sources together, checked. Raises ConfigError."""
    from opendmux.config.reading import converted
    from opendmux.config.schema import entries
    from opendmux.config.sources import Given, Source, settings_of

    if args.drain_timeout is not None and not 0 <= args.drain_timeout < DRAIN_MAX_S:
        raise ConfigError(f"--drain-timeout {args.drain_timeout:g} is not between 0 and {DRAIN_MAX_S} seconds")
    known = {entry.key: entry for entry in entries()}
    flags = []
    for name, key in FLAGS.items():
        value = getattr(args, name)
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            flags.append(Given(Source("flag", flag), key, converted(value, known[key], flag)))
    return settings_of(args.config, environ, flags)
