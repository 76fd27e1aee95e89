"""Who may reach a port: whoever reaches one without keys may trade, and whoever sees the traffic of one without TLS has
the keys. Then nobody but this machine may reach it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from itertools import combinations

from opendmux.errors import ConfigError

from .address import parse_address
from .structs import SIM, Address, Config, Listener, UpstreamConfig

__all__ = ["check_configured", "check_reachable", "is_loopback", "listeners_of", "same_opends", "upstreams_of"]


def is_loopback(host: str) -> bool:
    """The address, as a socket gives it, is of this machine alone."""
    return host == "::1" or host.startswith(("127.", "::ffff:127."))


def listeners_of(config: Config) -> tuple[Listener, ...]:
    """Those of the settings, or the one that ``listen`` stands for."""
    first = config.upstreams[0].name if config.upstreams else "opend"
    return config.listeners or (Listener(config.listen, (first,), insecure_plain=config.insecure_plain),)


def upstreams_of(config: Config) -> tuple[UpstreamConfig, ...]:
    """Those of the settings, or the one that ``upstream`` stands for."""
    return config.upstreams or (
        UpstreamConfig("opend", config.upstream, config.upstream_rsa_private_key, config.telnet, config.quote_right),
    )


def same_opends(upstreams: Iterable[UpstreamConfig]) -> list[tuple[UpstreamConfig, UpstreamConfig]]:
    """Pairs of entries with one address. Each makes its own connection to that OpenD, so it works, but one of them is
    meant for another OpenD as a rule. Every simulator is one of its own. Raises ConfigError for what is no address."""
    placed = [(one, parse_address(one.address, what="upstream")) for one in upstreams if one.address != SIM]
    return [(one, other) for (one, here), (other, there) in combinations(placed, 2) if here == there]


def check_configured(config: Config) -> None:
    """Judge every address that is an IP address. A name's is known when it is bound only. Raises ConfigError."""
    for listener in listeners_of(config):
        for text in listener.listen:
            address = parse_address(text, what="listen")
            try:
                host = str(ipaddress.ip_address(address.host))
            except ValueError:
                continue
            check_reachable(config, listener, Address(host, address.port))


def check_reachable(config: Config, listener: Listener, address: Address) -> None:
    """Raise ConfigError where this address of the listener would be open to more than it should."""
    if is_loopback(address.host):
        return
    if not config.keys:
        raise ConfigError(
            f"listening on {address} without keys would let other machines trade: make a key with "
            "`opendmux keys add` and give its file by --keys (and a certificate, `opendmux tls self-signed`, by "
            "--tls-cert and --tls-key), or listen on 127.0.0.1"
        )
    protocols = config.protocols if listener.protocols is None else listener.protocols
    plain_allowed = listener.insecure_plain and not config.tls.require
    if not plain_allowed and (not config.tls.cert or "tls" not in protocols):
        raise ConfigError(
            f"listening on {address} without TLS would send keys and orders readable over the network: make a "
            "certificate with `opendmux tls self-signed` and give it by --tls-cert and --tls-key (and keep tls "
            "among the protocols), or listen on 127.0.0.1; behind a VPN or an SSH tunnel insecure_plain = true "
            "allows it"
        )
