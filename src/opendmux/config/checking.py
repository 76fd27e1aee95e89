"""Values that make no sense, named with where they come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from opendmux.errors import ConfigError
from opendmux.wording import nearest

from .address import parse_address
from .reach import check_configured
from .structs import LOG_LEVELS, PROTOCOLS, SIM, AlertConfig, Config, Listener

__all__ = ["alert_name", "check", "listener_name"]

SDK_TIMEOUT_S: Final = 12.0
"""The Python SDK's wait for a reply."""
EXTRA_LANES_MAX: Final = 12
"""The data path has 16 upstream connections for a group of OpenDs, four of which have a purpose of their own."""

WATCH_LEAST_S: Final = 1.0
"""OpenD is not asked more often than this: it would be for nothing."""

ALERT_TIMEOUT_MAX_S: Final = 300.0
"""While one alert is on its way, the next one of its entry waits."""

Named = Callable[[str], str]
"""From a key such as ``limits.in_flight`` to how sentences begin: with the file or the variable that it comes from."""


def check(config: Config, named: Named = str) -> None:
    """Raise ConfigError for a value that makes no sense, by name."""
    _check_figures(config, named)
    _check_tls(config, named)
    _check_protocols(config, named)
    if config.log_level not in LOG_LEVELS:
        hint = nearest(config.log_level, LOG_LEVELS)
        raise ConfigError(f"{named('log_level')} = {config.log_level!r}: must be one of {', '.join(LOG_LEVELS)}{hint}")
    if config.log_lines_per_s < 0:
        raise ConfigError(f"{named('log_lines_per_s')} = {config.log_lines_per_s}: must be 0 or more")
    for text in config.listen:
        parse_address(text, what=named("listen"))
    if config.upstream != SIM:
        parse_address(config.upstream, what=named("upstream"))
    _check_console(config.upstream, config.telnet, config.quote_right, named("telnet"), named("quote_right"))
    _check_tables(config, named)
    _check_alerts(config, named)
    check_configured(config)


def _check_figures(config: Config, named: Named) -> None:
    groups: tuple[tuple[str, msgspec.Struct], ...] = (("limits", config.limits), ("timeouts", config.timeouts))
    for group, values in groups:
        for name in values.__struct_fields__:
            value = getattr(values, name)
            if not 0 < value < float("inf") and not (name in ("drain_s", "silent_s") and value == 0):
                raise ConfigError(f"{named(f'{group}.{name}')} = {value}: must be greater than 0")
    for name in config.watch.__struct_fields__:
        value = getattr(config.watch, name)
        if not 0 <= value < float("inf"):
            raise ConfigError(f"{named(f'watch.{name}')} = {value}: must be 0 or more")
    if 0 < config.watch.ask_s < WATCH_LEAST_S:
        raise ConfigError(f"{named('watch.ask_s')} = {config.watch.ask_s:g}: must be 0, or {WATCH_LEAST_S:g} or more")
    if not 1 <= config.watch.quota_percent <= 100:
        raise ConfigError(f"{named('watch.quota_percent')} = {config.watch.quota_percent}: must be from 1 to 100")
    if config.limits.extra_lanes > EXTRA_LANES_MAX:
        raise ConfigError(
            f"{named('limits.extra_lanes')} = {config.limits.extra_lanes}: must not be over {EXTRA_LANES_MAX}"
        )
    if config.timeouts.reply_s >= SDK_TIMEOUT_S:
        raise ConfigError(
            f"{named('timeouts.reply_s')} = {config.timeouts.reply_s:g}: must be under {SDK_TIMEOUT_S:g}, "
            "when the Python SDK gives up"
        )
    for name in ("read_wait_s", "write_wait_s", "park_s"):
        if getattr(config.timeouts, name) >= config.timeouts.reply_s:
            raise ConfigError(
                f"{named(f'timeouts.{name}')} = {getattr(config.timeouts, name):g}: must be under timeouts.reply_s = "
                f"{config.timeouts.reply_s:g}, which is for waiting and the answer together"
            )


def _check_tls(config: Config, named: Named) -> None:
    tls = config.tls
    if bool(tls.cert) != bool(tls.key):
        given, missing = ("tls.cert", "tls.key") if tls.cert else ("tls.key", "tls.cert")
        raise ConfigError(
            f"{named(given)} is set and {missing} is not: TLS needs both (`opendmux tls self-signed` makes a pair)"
        )
    if not tls.cert and (tls.require or tls.client_ca):
        name = named("tls.require" if tls.require else "tls.client_ca")
        raise ConfigError(f"{name} needs tls.cert and tls.key (`opendmux tls self-signed` makes a pair)")
    if tls.client_ca and not config.keys:
        raise ConfigError(
            f"{named('tls.client_ca')} is for certificates that name a key of the keys file, but `keys` is not set"
        )


def _check_protocols(config: Config, named: Named) -> None:
    if config.listeners and config.insecure_plain:
        raise ConfigError(
            f"{named('insecure_plain')} stands beside [[listeners]]: say it in the entry whose ports are meant"
        )
    where = named("listeners")
    for name, protocols in (
        (named("protocols"), config.protocols),
        *((f"{where}: {listener_name(listener)}: protocols", listener.protocols) for listener in config.listeners),
    ):
        if protocols is None:
            continue
        if not set(protocols) - {"tls"}:
            known = ", ".join(PROTOCOLS)
            raise ConfigError(f"{name} = {list(protocols)}: nothing would be served; there are {known}")
        if config.tls.require and "tls" not in protocols:
            raise ConfigError(f"{name} = {list(protocols)}: without tls nobody could connect, for tls.require is set")


def _check_console(address: str, telnet: str, quote_right: str, telnet_named: str, right_named: str) -> None:
    if telnet:
        console = parse_address(telnet, what=telnet_named)
        if address != SIM and console == parse_address(address, what="upstream"):
            raise ConfigError(f"{telnet_named} = {telnet!r} is OpenD's API port: give its telnet_port")
    elif quote_right != "never" and address != SIM:
        raise ConfigError(
            f"{right_named} = {quote_right!r} needs telnet, the HOST:PORT of OpenD's telnet_port: only its console "
            "takes the quote right back"
        )


def _check_alerts(config: Config, named: Named) -> None:
    names = [alert_name(alert, number) for number, alert in enumerate(config.alerts, 1)]
    for name, alert in zip(names, config.alerts, strict=True):
        where = f"{named('alerts')}: {name}"
        if names.count(name) > 1:
            raise ConfigError(f"{named('alerts')}: two entries have the same name, {name!r}")
        if bool(alert.webhook) == bool(alert.command):
            raise ConfigError(f"{where}: give a webhook or a command, one of them")
        if alert.webhook:
            _check_webhook(alert, where)
        elif alert.ca:
            raise ConfigError(f"{where}: ca is for a webhook")
        elif not all(alert.command):
            raise ConfigError(f"{where}: command has an empty part")
        for field in ("after_s", "repeat_s"):
            if not 0 <= getattr(alert, field) < float("inf"):
                raise ConfigError(f"{where}: {field} = {getattr(alert, field)}: must be 0 or more")
        if not 0 < alert.timeout_s <= ALERT_TIMEOUT_MAX_S:
            raise ConfigError(
                f"{where}: timeout_s = {alert.timeout_s}: must be greater than 0, and not over {ALERT_TIMEOUT_MAX_S:g}"
            )


def _check_webhook(alert: AlertConfig, where: str) -> None:
    """What is wrong with it is said without repeating it."""
    try:
        parts = urlsplit(alert.webhook)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{where}: webhook is not an address like https://hooks.example/...") from error
    plain = alert.webhook.isascii() and alert.webhook.isprintable() and " " not in alert.webhook
    if parts.scheme not in ("http", "https") or not host or not plain:
        raise ConfigError(f"{where}: webhook is not an address like https://hooks.example/...")
    if parts.username is not None or parts.fragment:
        raise ConfigError(f"{where}: webhook may have neither a user name nor a fragment (#)")
    if alert.ca and parts.scheme != "https":
        raise ConfigError(f"{where}: ca is for an https webhook")


def alert_name(alert: AlertConfig, number: int) -> str:
    """What an entry is called; ``number``: its place in the file, from 1."""
    return alert.name or f"alert {number}"


def listener_name(listener: Listener) -> str:
    """What an entry is called."""
    return f"the listener on {' and '.join(listener.listen)}"


def _check_tables(config: Config, named: Named) -> None:
    """The upstreams, and what the listeners say of them."""
    names = [upstream.name for upstream in config.upstreams]
    for upstream in config.upstreams:
        if names.count(upstream.name) > 1:
            raise ConfigError(f"{named('upstreams')}: two upstreams have the same name, {upstream.name!r}")
        if upstream.address != SIM:
            parse_address(upstream.address, what=f"{named('upstreams')}: {upstream.name}: address")
        place = f"{named('upstreams')}: {upstream.name}"
        _check_console(
            upstream.address, upstream.telnet, upstream.quote_right, f"{place}: telnet", f"{place}: quote_right"
        )
    known = names or ["opend"]
    for listener in config.listeners:
        where = f"{named('listeners')}: {listener_name(listener)}"
        for text in listener.listen:
            parse_address(text, what=f"{where}: listen")
        if not listener.upstream:
            raise ConfigError(f"{where}: it names no upstream")
        for name in listener.upstream:
            if name not in known:
                raise ConfigError(
                    f"{where}: no upstream is called {name!r} (there are: {', '.join(known)}){nearest(name, known)}"
                )
        if len({upstream.rsa_private_key for upstream in config.upstreams if upstream.name in listener.upstream}) > 1:
            raise ConfigError(
                f"{where}: the upstreams {', '.join(listener.upstream)} are one group: they must have the same "
                "rsa_private_key"
            )
        if listener.key and not config.keys:
            raise ConfigError(f"{where}: it is bound to the key {listener.key!r}, but `keys` is not set")
    if config.keys and config.insecure_allow_trading:
        raise ConfigError(
            f"{named('insecure_allow_trading')} is for a proxy without keys; with a keys file give a key the scopes"
        )
