"""From the configuration to what all ports share: keys, daily values, the audit log, the admin socket."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import trio

from opendmux.config import Config
from opendmux.config.admin_place import OFF, made_at
from opendmux.config.checking import listener_name
from opendmux.core.access import Access
from opendmux.core.keys import Keyring
from opendmux.core.origins import origin_in
from opendmux.errors import ConfigError
from opendmux.runtime.admin import admin_listener
from opendmux.runtime.audit import AuditLog
from opendmux.runtime.binding import address_of
from opendmux.runtime.certificates import read_contexts
from opendmux.runtime.freezer import kept_freezes
from opendmux.runtime.house import House
from opendmux.runtime.keystore import load
from opendmux.runtime.machine import machine_id
from opendmux.runtime.server import Face
from opendmux.runtime.state import state_dir
from opendmux.runtime.store import open_store
from opendmux.runtime.tls import Tls

__all__ = ["admin_socket_of", "house_of", "read_keys"]

log = logging.getLogger("opendmux.keys")

USAGE_SUFFIX = ".usage.db"


def house_of(config: Config) -> House:
    """Read and open everything; nothing is changed on disk but what has to be made. ``config`` has been checked.

    Raises ConfigError.
    """
    again = partial(read_keys, config) if config.keys else None
    keyring = None if again is None else again()
    access = Access(keyring, machine_id=_machine_id(keyring), insecure_allow_trading=config.insecure_allow_trading)
    state = state_dir(config.state_dir, os.environ)
    access.freezes = kept_freezes(state, time.time())
    house = House(
        access=access,
        audit_reads=config.audit_reads,
        names=tuple(name.lower() for name in config.http_names),
        origins=tuple(map(_origin, config.http_origins)),
        open_locally=config.metrics_open_locally,
        tls=_tls_of(config),
        read_keys=again,
        state=state,
    )
    try:
        if keyring is not None:
            house.use_store(open_store(Path(config.usage_db or config.keys + USAGE_SUFFIX)))
        if config.audit_log:
            house.use_audit(AuditLog(config.audit_log))
    except ConfigError:
        house.close()
        raise
    return house


@contextmanager
def admin_socket_of(
    config: Config, faces: Sequence[Face], environ: Mapping[str, str]
) -> Iterator[list[trio.SocketListener]]:
    """Where orders come in, for the length of the block. Raises ConfigError when a configured place can't be had."""
    ports = [address_of(sock).port for face in faces for sock in face.bound]
    if config.admin_socket == OFF or not ports:
        yield []
        return
    path = Path(config.admin_socket or _default_place(ports[0], environ))
    with admin_listener(path, asked_for=bool(config.admin_socket)) as listeners:
        yield listeners


def _default_place(port: int, environ: Mapping[str, str]) -> Path:
    uid = os.getuid() if hasattr(os, "getuid") else 0
    return made_at(port, environ, tempfile.gettempdir(), uid)


def _tls_of(config: Config) -> Tls | None:
    if not config.tls.cert:
        return None
    return Tls(
        partial(read_contexts, config.tls),
        handshakes=config.limits.tls_handshakes,
        handshake_s=config.timeouts.handshake_s,
    )


def _origin(text: str) -> str:
    origin = origin_in(text)
    if origin is None:
        raise ConfigError(f"http_origins: {text!r} is not an origin like https://app.example or null")
    return origin


def read_keys(config: Config) -> Keyring:
    """The keys of the file, held against the listeners that name one. Raises ConfigError."""
    loaded = load(Path(config.keys))
    if loaded.warning:
        log.warning("%s", loaded.warning)
    keyring = loaded.file.keyring
    for listener in config.listeners:
        if listener.key and listener.key not in keyring.keys:
            raise ConfigError(f"{listener_name(listener)}: {config.keys} has no key with the id {listener.key!r}")
    _warn_of_expired(keyring)
    return keyring


def _warn_of_expired(keyring: Keyring) -> None:
    now = time.time()
    for key in keyring.keys.values():
        if key.expires_at is not None and key.expires_at <= now:
            log.warning("the key %s has expired", key.id)


def _machine_id(keyring: Keyring | None) -> str:
    """Empty where no machine can be told: keys that are bound to one are then refused."""
    if keyring is None:
        return ""
    try:
        return machine_id()
    except ConfigError as error:
        log.warning("keys with allowed_machines can't be used: %s", error)
        return ""
