"""A key and what it allows; and how a plaintext finds its key.

A key's plaintext is ``fc_`` and 64 hex digits: 256 random bits. Only its SHA-256 is kept. With so much randomness a
slow hash would add nothing, and the lookup can be one step whatever the number of keys.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["ALL_SCOPES", "KEY_PREFIX", "HoursWindow", "Key", "KeyLimits", "Keyring", "Scopes", "digest_of"]

KEY_PREFIX: Final = "fc_"


class Scopes:
    """The scopes by name."""

    QOT_READ: Final = "qot:read"
    QOT_WRITE: Final = "qot:write"
    ACC_READ: Final = "acc:read"
    TRADE_SIMULATE: Final = "trade:simulate"
    TRADE_REAL: Final = "trade:real"
    TRADE_UNLOCK: Final = "trade:unlock"
    ADMIN: Final = "admin"


ALL_SCOPES: Final = (
    Scopes.QOT_READ,
    Scopes.QOT_WRITE,
    Scopes.ACC_READ,
    Scopes.TRADE_SIMULATE,
    Scopes.TRADE_REAL,
    Scopes.TRADE_UNLOCK,
    Scopes.ADMIN,
)


@dataclass(frozen=True, slots=True)
class HoursWindow:
    """Minutes after midnight, ``start`` included, ``end`` not; over midnight when ``end`` is not after ``start``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """None: no limit. An empty set: nothing is allowed."""

    allowed_markets: frozenset[str] | None = None
    """Such as ``HK`` and ``US``: names of core/markets.py, with those that they stand for."""
    allowed_symbols: frozenset[str] | None = None
    """Such as ``HK.00700``."""
    allowed_trd_sides: frozenset[str] | None = None
    """``BUY``, ``SELL``, ``SELL_SHORT``, ``BUY_BACK``."""
    max_order_value: float | None = None
    """Of one order, in its own currency."""
    max_daily_value: float | None = None
    """Of all orders of a UTC day."""
    max_orders_per_minute: int | None = None
    hours_window: HoursWindow | None = None
    """When orders may be sent, in the key's time zone."""


@dataclass(frozen=True, slots=True)
class Key:
    """Who somebody is, and what they may do."""

    id: str
    scopes: frozenset[str]
    limits: KeyLimits = KeyLimits()
    allowed_machines: frozenset[str] | None = None
    """Machine ids from which the key may be used; None: any; empty: none, the key is frozen."""
    allowed_acc_ids: frozenset[int] | None = None
    """None: all accounts of OpenD; empty: none."""
    allowed_card_nums: frozenset[str] | None = None
    """A second limit on accounts, by cardNum or uniCardNum of Trd_GetAccList: both must allow an account. A number
    can't be turned into an account without that list, so an account that is in no known list is refused."""
    created_at: float | None = None
    """UTC seconds, like ``expires_at``."""
    expires_at: float | None = None
    note: str = ""
    tz: str | None = None
    """IANA name for ``hours_window``; None: the machine's own time."""
    allow_unknown: bool = False
    """Proto ids that opendmux does not know may be sent, together with trade:real."""
    strict_unlock: bool = False
    """trade:real alone does not unlock; trade:unlock must be there."""
    cancel_on_disconnect: float | None = None
    """Seconds after the end of its last connection when its open orders are cancelled; None: never."""
    dead_man_s: float | None = None
    """Seconds without a sign of life after which its open orders are cancelled; None: never."""

    @property
    def sight(self) -> tuple[object, ...]:
        """What decides which pushes it may see; equal for keys that see the same."""
        lists = self.limits.allowed_markets, self.limits.allowed_symbols
        return self.scopes, self.allowed_acc_ids, self.allowed_card_nums, *lists

    @property
    def names_accounts(self) -> bool:
        """It may use some accounts only."""
        return self.allowed_acc_ids is not None or self.allowed_card_nums is not None


def digest_of(plaintext: str) -> bytes:
    """SHA-256 of the plaintext, 32 bytes."""
    return hashlib.sha256(plaintext.encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True, slots=True)
class Keyring:
    """All keys of one file. Several digests may lead to one key while it is being rotated."""

    keys: Mapping[str, Key] = field(default_factory=dict)
    """By id."""
    _by_digest: Mapping[bytes, tuple[bytes, str, float | None]] = field(default_factory=dict, repr=False)
    """Digest -> (the same digest, key id, when this plaintext stops working or None)."""
    _by_md5: Mapping[bytes, tuple[bytes, bytes]] = field(default_factory=dict, repr=False)
    """SHA-256 of an MD5 -> (the MD5, the digest of the same plaintext)."""

    @classmethod
    def of(
        cls, entries: Iterable[tuple[Key, bytes, float | None]], md5s: Iterable[tuple[bytes, bytes]] = ()
    ) -> Keyring:
        """``(key, digest, until)`` each; ``until`` None: as long as the key lives. ``md5s``: (MD5, digest) of those
        plaintexts by whose MD5 a WebSocket program may log in."""
        items = list(entries)
        return cls(
            {key.id: key for key, _digest, _until in items},
            {digest: (digest, key.id, until) for key, digest, until in items},
            {hashlib.sha256(md5).digest(): (md5, digest) for md5, digest in md5s},
        )

    def find(self, plaintext: str, wall: float) -> Key | None:
        """The key of this plaintext, unless it is unknown or has expired at ``wall`` (UTC seconds)."""
        return self.find_digest(digest_of(plaintext), wall)

    def find_digest(self, digest: bytes, wall: float) -> Key | None:
        """`find` for a plaintext of which only the digest is known."""
        # The lookup goes by a digest that nobody can steer byte by byte; the comparison is constant-time all the same.
        known, key_id, until = self._by_digest.get(digest, (b"", "", None))
        if not hmac.compare_digest(digest, known) or (until is not None and wall >= until):
            return None
        key = self.keys[key_id]
        return None if key.expires_at is not None and wall >= key.expires_at else key

    def find_md5(self, md5: bytes, wall: float) -> tuple[Key, bytes] | None:
        """`find` for a plaintext of which only the MD5 is known: the key, and the plaintext's digest."""
        # An MD5 is the client's own choice, byte by byte, so the lookup goes by a digest of it.
        found = self._by_md5.get(hashlib.sha256(md5).digest())
        if found is None or not hmac.compare_digest(md5, found[0]):
            return None
        digest = found[1]
        key = self.find_digest(digest, wall)
        return None if key is None else (key, digest)
