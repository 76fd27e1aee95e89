"""Who may ask over one HTTP connection: by the Host and Origin of a request, and by the key that it shows.

A page of a foreign site gets nothing at all (see `core/origins.py`). Then comes the key, which the route may not need.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from opendmux.core.denial import Denial, DenialKind
from opendmux.core.keys import Key
from opendmux.core.origins import host_is_ours, origin_is_ours, origin_is_this
from opendmux.runtime.backend import Backend, Caller
from opendmux.runtime.ports import FORWARDED
from opendmux.wire.http import RequestHead

from ._http_refusal import RefusedError
from ._http_route import Route, Site

__all__ = ["Admission"]


@dataclass(slots=True, eq=False)
class Admission:
    """Of one connection."""

    site: Site
    peer: str
    local: bool
    """The peer is on this machine."""
    own_host: str
    """The address that the peer has reached."""
    certified: str | None = None
    """The key id that the peer's TLS certificate names."""
    backend: Backend | None = None
    """For routes that call."""
    _known: tuple[str | None, bool, Caller] | None = None
    """The caller of the last request: what was shown, whether locally, and who it is."""

    def is_strange(self, head: RequestHead, welcome: Collection[str]) -> bool:
        """Whether the page that asks is not the proxy's own, nor of a name that it goes by. ``welcome``: foreign
        origins that may ask, in lower case. Raises RefusedError for a page of another machine, or one that takes us
        for somebody else."""
        own, names = self.own_host, self.site.names
        hosts, origins = head.all("host"), head.all("origin")
        # Without a Host it is no browser: HTTP/1.0, as some probes speak it.
        if not all(host_is_ours(host, own=own, further=names) for host in hosts):
            text = "this proxy is not known by the name in the Host header: its setting http_names lists further ones"
            raise RefusedError(403, "host", text)
        if not all(origin.lower() in welcome or origin_is_ours(origin, own=own, further=names) for origin in origins):
            raise RefusedError(403, "origin", "pages of other sites may not ask this proxy")
        # A browser shows its certificate for whatever page asks, and asks without a word when there is no JSON in it.
        host = hosts[0] if len(hosts) == 1 else ""
        return not all(o.lower() in welcome or origin_is_this(o, host=host, further=names) for o in origins)

    def is_local(self, head: RequestHead) -> bool:
        """The request comes from this machine: no other proxy has passed it on."""
        return self.local and not any(head.all(name) for name in FORWARDED)

    def who(self, head: RequestHead, route: Route) -> Key | Caller | Denial | None:
        """Whose request this is, where that is asked for."""
        local = self.is_local(head)
        if self._is_open(route, local=local):
            return None
        if len(head.all("authorization")) > 1:
            return Denial(DenialKind.INVALID, "authorization", "there is more than one Authorization header")
        if route.calls:
            return self._find_caller(_shown_key(head), local=local)
        key = self.site.admit(_shown_key(head), peer=self.peer, local=local, certified=self.certified)
        return _scoped(key, route, keyed=self.site.keyed)

    def still_allowed(self, head: RequestHead, route: Route) -> bool:
        """See `Exchange`."""
        local = self.is_local(head)
        if self._is_open(route, local=local):
            return True
        key = self.site.judge(_shown_key(head), local=local, certified=self.certified)
        return isinstance(_scoped(key, route, keyed=self.site.keyed), Key)

    def forget(self) -> None:
        """The caller is looked up again at its next request. Harmless when there is none."""
        if self._known is not None:
            self._known[2].detach()
            self._known = None

    def _is_open(self, route: Route, *, local: bool) -> bool:
        if route.public:
            return True
        return local and (
            (route.open_locally and self.site.open_locally) or (route.open_unkeyed and not self.site.keyed)
        )

    def _find_caller(self, shown: str | None, *, local: bool) -> Caller | Denial:
        assert self.backend is not None, "a route that calls needs somebody to call"
        if self._known is not None and self._known[:2] == (shown, local):
            return self._known[2]
        self.forget()
        caller = self.backend.admit(shown, iface="http", peer=self.peer, local=local, certified=self.certified)
        if not isinstance(caller, Denial):
            self._known = shown, local, caller
        return caller


def _shown_key(head: RequestHead) -> str | None:
    scheme, _, bearer = (head.get("authorization") or "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else None


def _scoped(key: Key | Denial, route: Route, *, keyed: bool) -> Key | Denial:
    if not isinstance(key, Key):
        return key
    # Who may do everything without a key may ask OpenD everything; the proxy itself takes orders of keys alone.
    if (not route.needed or route.needed in key.scopes) and (keyed or not route.control):
        return key
    if route.control:
        text = f"orders to the proxy come by its admin socket, or with a key that has the scope {route.needed}"
    elif keyed:
        text = f"the key lacks the scope {route.needed}"
    else:
        text = (
            "without a keys file this is for requests of this machine alone, and this one came from elsewhere or "
            f"through another proxy; with one, for keys with the scope {route.needed}"
        )
    return Denial(DenialKind.PERMISSION, "scope", text, route.needed)
