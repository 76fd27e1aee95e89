"""Keys for tests: a plaintext for each id, and keyrings of them. Holds no tests."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from opendmux.core.keys import KEY_PREFIX, Key, Keyring, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MACHINE", "key", "plaintext", "ring"]

MACHINE = "machine-1"


def plaintext(key_id: str) -> str:
    """The plaintext that leads to the key of this id in a `ring`."""
    return KEY_PREFIX + hashlib.sha256(key_id.encode()).hexdigest()


def key(*scopes: str, key_id: str = "k", **fields: object) -> Key:
    return Key(key_id, frozenset(scopes), **fields)  # type: ignore[arg-type]


def ring(*keys: Key, until: float | None = None) -> Keyring:
    """``until``: when the plaintexts stop working."""
    return Keyring.of(_entries(keys, until))


def _entries(keys: Iterable[Key], until: float | None) -> list[tuple[Key, bytes, float | None]]:
    return [(each, digest_of(plaintext(each.id)), until) for each in keys]
