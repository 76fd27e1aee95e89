"""Is an HTTP request meant for this proxy? A defence against pages in the user's own browser.

A page of a foreign site may send requests to this machine, and after DNS rebinding (its name is made to lead to
127.0.0.1) it may read the answers, because the browser then takes us for that site. The browser says in Host which site
it thinks it talks to, and in Origin whose page asks; both must be ours.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import TypeAlias

__all__ = ["host_in", "host_is_ours", "origin_in", "origin_is_ours", "origin_is_this"]

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")


def host_in(authority: str) -> str | None:
    """The host of ``name:port`` or ``[address]:port``, in lower case; None when it is neither."""
    match = _AUTHORITY.fullmatch(authority)
    return None if match is None else (match[1] or match[2]).lower().removesuffix(".")


def host_is_ours(authority: str, *, own: str, further: Collection[str] = ()) -> bool:
    """Judge a Host header: this machine by a name or address of its own, ``own`` (the address the client has
    reached), or a name of ``further`` (in lower case)."""
    host = host_in(authority)
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost") or host in further:
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address == _address(own))


def origin_is_ours(origin: str, *, own: str, further: Collection[str] = ()) -> bool:
    """Judge an Origin header likewise. ``null``, a page without an origin, is not ours."""
    scheme, separator, authority = origin.partition("://")
    return bool(separator) and scheme.lower() in ("http", "https") and host_is_ours(authority, own=own, further=further)


def origin_is_this(origin: str, *, host: str, further: Collection[str] = ()) -> bool:
    """Judge an Origin header by the Host header beside it: the page is the proxy's own, or of a name of ``further``. A
    page of another port of this machine is another's: a notebook, a shop in development."""
    _scheme, _, authority = origin.partition("://")
    name = host_in(authority)
    return name is not None and (authority.lower() == host.lower() or name in further)


def origin_in(text: str) -> str | None:
    """An origin as browsers write it, ``https://app.example`` or ``null``; None when it is not one."""
    lower = text.strip().lower().removesuffix("/")
    scheme, _, authority = lower.partition("://")
    valid = _SCHEME.fullmatch(scheme) is not None and host_in(authority) is not None
    return lower if valid or lower == "null" else None


def _address(text: str) -> IpAddress | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
