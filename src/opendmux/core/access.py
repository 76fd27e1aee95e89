"""Who a client is: the one gate in front of all transports.

With a keys file every client needs a key of it. Without one a client of OpenD's own protocol may do what OpenD lets
it do, for it could as well go there; callers over gRPC and HTTP, which OpenD does not know, may read and simulate.
An invalid key is never taken for none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from .denial import Denial, DenialKind
from .freezes import Freeze, Freezes
from .identity import Session
from .keys import ALL_SCOPES, KEY_PREFIX, Key, Keyring, Scopes, digest_of
from .tally import Tally
from .whitelists import about_orders

__all__ = ["ANONYMOUS", "Access", "Admitted"]

ANONYMOUS: Final = Key("anonymous", frozenset({Scopes.QOT_READ, Scopes.ACC_READ, Scopes.TRADE_SIMULATE}))
"""A caller where no keys are configured."""

HOW: Final = {
    "tcp": f"give it as client id, SysConfig.set_client_info('{KEY_PREFIX}...', 1)",
    "grpc": f"send it as metadata, authorization: Bearer {KEY_PREFIX}...",
    "http": f"send it as header, Authorization: Bearer {KEY_PREFIX}...",
    "ws": f"give it to start(), or at the handshake as ?token={KEY_PREFIX}... or Authorization: Bearer",
}


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who it is. ``key`` None: anonymous, with all that OpenD allows."""

    key: Key | None
    digest: bytes = field(default=b"", repr=False)
    """Of the plaintext that was shown; empty when none was."""


class Access:
    """The keys in force, shared by all listeners of the process.

    ``keyring`` None: no keys are configured. ``machine_id``: of this machine, for keys that are bound to one.
    """

    def __init__(
        self, keyring: Keyring | None = None, *, machine_id: str = "", insecure_allow_trading: bool = False
    ) -> None:
        self._keyring: Keyring | None = None
        self.learning = False
        """Some key has a limit for which orders and prices must be known."""
        self.keyring = keyring
        self.audit_ok: Callable[[], bool] = lambda: True
        """The audit can be written: without it no trade write may be sent."""
        self.tally = Tally()
        self.freezes = Freezes()
        """Whose trading is frozen."""
        self.heard: Callable[[str, int, float], bool] = lambda _key_id, _proto_id, _now: False
        """Told of every request of a key that wants to be watched, with its proto_id and the time; True when this ends
        what its dead-man timer had put it under. See `lifesigns`."""
        self._machine_id = machine_id
        self._anonymous = replace(ANONYMOUS, scopes=frozenset(ALL_SCOPES)) if insecure_allow_trading else ANONYMOUS

    @property
    def keyring(self) -> Keyring | None:
        """The keys; None: none are configured."""
        return self._keyring

    @keyring.setter
    def keyring(self, keyring: Keyring | None) -> None:
        self._keyring = keyring
        self.learning = keyring is not None and any(about_orders(key.limits) for key in keyring.keys.values())

    def knows(self, key_id: str, wall: float) -> bool:
        """There is such a key, and it has not expired at ``wall`` (UTC seconds)."""
        key = None if self._keyring is None else self._keyring.keys.get(key_id)
        return key is not None and (key.expires_at is None or wall < key.expires_at)

    def told_freezes(self) -> list[Freeze]:
        """What is frozen, for people: with a mark on what holds for nobody, for a key that gets another id trades."""
        keys = {} if self._keyring is None else self._keyring.keys
        holds = {None, *keys}
        return [one if one.key in holds else replace(one, stray=True) for one in self.freezes.active()]

    def admit(
        self,
        plaintext: str | None,
        *,
        iface: str,
        local: bool,
        wall: float,
        bound_to: str | None = None,
        caller: bool = False,
    ) -> Admitted | Denial:
        """Judge what a client shows.

        ``local``: it is on this machine. ``bound_to``: the key id that its certificate names, or that of its listener,
        for those that show no key. ``caller``: it shares the session of its key, so it needs one, be it anonymous.
        """
        if self.keyring is None:
            if bound_to is not None:
                return _unauthenticated("invalid", "this port needs a key, and no keys are configured")
            if plaintext is not None and iface != "tcp":
                return _unauthenticated("invalid", "this proxy has no keys file, so no key is valid; send none")
            # OpenD's own WebSocket is as open as its TCP port, but it is meant for this machine.
            as_opend = not caller and (iface == "tcp" or (iface == "ws" and local))
            return Admitted(None if as_opend else self._anonymous)
        if plaintext is None and bound_to is not None:
            key = self._alive(self.keyring.keys.get(bound_to), wall)
            digest = b""
        elif plaintext is None:
            return _unauthenticated("missing", f"a key is needed here: {HOW.get(iface, 'show one')}")
        else:
            key, digest = self.keyring.find(plaintext, wall), digest_of(plaintext)
        if key is None:
            return _unauthenticated("invalid", "the key is not known here, or it has expired")
        return self.machine_denial(key, local=local) or Admitted(key, digest)

    def admit_md5(
        self, md5: str, *, iface: str, local: bool, wall: float, bound_to: str | None = None
    ) -> Admitted | Denial:
        """`admit` for OpenD's WebSocket login: the MD5 of a key in hex, empty when none is shown. Without a keys file
        it is not looked at, as OpenD does where no key is configured."""
        if self.keyring is None or not md5:
            return self.admit(None, iface=iface, local=local, wall=wall, bound_to=bound_to)
        found = self.keyring.find_md5(_bytes_of(md5), wall)
        if found is None:
            text = "the key is not known here, or it has expired, or it was made without --websocket"
            return _unauthenticated("invalid", text)
        key, digest = found
        return self.machine_denial(key, local=local) or Admitted(key, digest)

    def machine_denial(self, key: Key, *, local: bool) -> Denial | None:
        """Why the key may not be used from there: which machine another one is can't be checked."""
        if key.allowed_machines is None or (local and self._machine_id and self._machine_id in key.allowed_machines):
            return None
        return Denial(DenialKind.PERMISSION, "machine", "the key may not be used from this machine")

    def current(self, admitted: Admitted, wall: float) -> Key | None:
        """The key of somebody who was admitted, as it is now; None when the plaintext has been revoked, has expired or
        stands for another key, and when there was none and one is needed now."""
        if self.keyring is None or admitted.key is None:
            return admitted.key
        if admitted.key is self._anonymous:
            return None
        if not admitted.digest:  # its listener or its certificate stands for the key
            return self._alive(self.keyring.keys.get(admitted.key.id), wall)
        key = self.keyring.find_digest(admitted.digest, wall)
        return key if key is not None and key.id == admitted.key.id else None

    def renewed(self, admitted: Admitted, *, local: bool, wall: float) -> Admitted | Denial:
        """Somebody who was admitted a while ago, judged by the keys as they are now."""
        if self.keyring is None:
            return admitted
        key = self.current(admitted, wall)
        if key is None:
            return _unauthenticated("invalid", "the key has expired or was revoked")
        return self.machine_denial(key, local=local) or replace(admitted, key=key)

    def ended(self, session: Session, wall: float) -> bool:
        """What the session was admitted with is good no more."""
        if self.keyring is None or session.own:
            return False
        key = self.still(session, wall)
        # A caller's connections may come from several machines; each of them is looked at by itself.
        return key is None or (session.streams is None and self.machine_denial(key, local=session.local) is not None)

    def still(self, session: Session, wall: float) -> Key | None:
        """The key of a session as it is now; None when it has ended, or when there was none and one is needed now."""
        if self.keyring is None:
            return session.key
        if session.key is None or session.key is self._anonymous:
            return None
        if session.digest:
            return self.keyring.find_digest(session.digest, wall)
        return self._alive(self.keyring.keys.get(session.key.id), wall)

    @staticmethod
    def _alive(key: Key | None, wall: float) -> Key | None:
        return None if key is None or (key.expires_at is not None and wall >= key.expires_at) else key


def _unauthenticated(reason: str, text: str) -> Denial:
    return Denial(DenialKind.UNAUTHENTICATED, reason, text)


def _bytes_of(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
