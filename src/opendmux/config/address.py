"""Addresses as users write them."""

from __future__ import annotations

from opendmux.errors import ConfigError

from .structs import Address

__all__ = ["parse_address"]


def parse_address(text: str, *, what: str) -> Address:
    """``HOST:PORT``, ``[::1]:PORT`` or ``:PORT`` (127.0.0.1). Raises ConfigError naming ``what``."""
    host, colon, port_text = text.rpartition(":")
    if not colon or port_text.endswith("]") or host == "[]":
        raise ConfigError(f"{what} {text!r} is not HOST:PORT")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ConfigError(f"{what} {text!r}: write an IPv6 address in brackets, like [::1]:{port_text}")
    if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5) or int(port_text) > 65535:
        raise ConfigError(f"{what} {text!r}: {port_text!r} is not a port number (0-65535)")
    return Address(host or "127.0.0.1", int(port_text))
