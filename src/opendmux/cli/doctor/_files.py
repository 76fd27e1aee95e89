"""opendmux's settings and the files that they name: valid, closed to others, not about to expire."""

from __future__ import annotations

import datetime as dt
import stat
import sys
from pathlib import Path
from typing import Final

from opendmux.config import Config
from opendmux.core.keys import Keyring
from opendmux.errors import ConfigError

from ._finding import Section, State

__all__ = ["judge_expiry", "judge_keys", "look"]

SOON: Final = dt.timedelta(days=14)
SETTINGS_CHECK: Final = "settings"
KEYS_CHECK: Final = "keys"
CERTIFICATE_CHECK: Final = "certificate"


def look(
    config: Config,
    file: Path | None,
    error: ConfigError | None,
    section: Section,
    *,
    wall: float,
    keyed: bool = False,
) -> None:
    """``error``: why the settings can't be used; ``wall``: UTC seconds; ``keyed``: a running opendmux has keys."""
    if error is not None:
        section.say(
            State.PROBLEM,
            SETTINGS_CHECK,
            "opendmux does not start with these settings.",
            str(error),
            "Mend that; `opendmux config check` says whether it is right, docs/config.md lists every key.",
        )
    else:
        section.say(
            State.OK,
            SETTINGS_CHECK,
            "opendmux's settings are in order.",
            f"file {file}" if file is not None else "no file, so defaults and environment; --config gives one",
        )
    _keys(config, section, wall, keyed=keyed)
    _certificate(config, section, wall)
    for name in ("rsa_private_key", "upstream_rsa_private_key"):
        _secret(section, name, getattr(config, name))
    for upstream in config.upstreams:
        _secret(section, f"{upstream.name}: rsa_private_key", upstream.rsa_private_key)


def _keys(config: Config, section: Section, wall: float, *, keyed: bool) -> None:
    if not config.keys and keyed:
        section.say(
            State.SKIPPED,
            KEYS_CHECK,
            "The running opendmux has keys, and these settings name no file of them.",
            "",
            "Give its settings by --config, or let `opendmux keys check --keys FILE` look at the file.",
        )
        return
    if not config.keys:
        section.say(
            State.SKIPPED, KEYS_CHECK, "No keys are configured: only programs of this machine may connect, all alike."
        )
        return
    from opendmux.runtime.keystore import load

    try:
        loaded = load(Path(config.keys))
    except ConfigError as error:
        section.say(
            State.PROBLEM, KEYS_CHECK, "The keys file can't be used.", str(error), "`opendmux keys check` says more."
        )
        return
    if loaded.warning:
        section.say(
            State.WARNING,
            KEYS_CHECK,
            "Other users of this machine can read the keys file.",
            loaded.warning,
            f"`chmod 600 {config.keys}`.",
        )
    judge_keys(loaded.file.keyring, section, wall=wall)


def judge_keys(keyring: Keyring, section: Section, *, wall: float) -> None:
    """Those that have expired, or will soon."""
    known = {key.id: key.expires_at for key in keyring.keys.values() if key.expires_at is not None}
    expired = sorted(name for name, at in known.items() if at <= wall)
    soon = sorted(name for name, at in known.items() if wall < at <= wall + SOON.total_seconds())
    if expired or soon:
        parts = [f"expired: {', '.join(expired)}"] if expired else []
        parts += [f"within {SOON.days} days: {', '.join(soon)}"] if soon else []
        section.say(
            State.WARNING,
            KEYS_CHECK,
            "Some keys have expired or will soon: their programs are turned away then.",
            "; ".join(parts),
            "`opendmux keys rotate ID --expires 30d` gives a key a new value and a new end, `opendmux keys revoke ID` "
            "removes it.",
        )
    else:
        section.say(State.OK, KEYS_CHECK, "No key has expired or will soon.", f"keys: {len(keyring.keys)}")


def _certificate(config: Config, section: Section, wall: float) -> None:
    if not config.tls.cert:
        return
    from opendmux.runtime.certificates import read_contexts

    try:
        contexts = read_contexts(config.tls)
    except ConfigError as error:
        section.say(
            State.PROBLEM,
            CERTIFICATE_CHECK,
            "The certificate can't be used, so nobody can connect by TLS.",
            str(error),
            "`opendmux tls self-signed` makes a pair for a quick start; see docs/tls.md.",
        )
        return
    judge_expiry(contexts.expires, section, now=dt.datetime.fromtimestamp(wall, dt.UTC))
    _secret(section, "tls.key", config.tls.key)


def judge_expiry(expires: dt.datetime, section: Section, *, now: dt.datetime) -> None:
    figures = f"valid until {expires:%Y-%m-%d %H:%M} UTC"
    renew = "Renew it, and send SIGHUP to opendmux, which reads it again."
    if expires <= now:
        section.say(State.PROBLEM, CERTIFICATE_CHECK, "The certificate has expired: clients refuse it.", figures, renew)
    elif expires <= now + SOON:
        section.say(State.WARNING, CERTIFICATE_CHECK, "The certificate expires soon.", figures, renew)
    else:
        section.say(State.OK, CERTIFICATE_CHECK, "The certificate is valid.", figures)


def _secret(section: Section, name: str, path: str) -> None:
    """A private key's file: there, readable for us, and for nobody else."""
    if not path:
        return
    try:
        mode = Path(path).stat().st_mode
        with Path(path).open("rb"):
            pass
    except OSError as error:
        section.say(
            State.PROBLEM,
            name,
            f"The private key of {name} can't be read.",
            f"{path}: {error.strerror}",
            "Give the whole path, and let the user that opendmux runs as read it.",
        )
        return
    if sys.platform != "win32" and mode & (stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH):
        section.say(
            State.WARNING,
            name,
            f"Other users of this machine can read the private key of {name}.",
            f"{path}, mode {stat.S_IMODE(mode):04o}",
            f"`chmod 600 {path}`.",
        )
    else:
        section.say(State.OK, name, f"The private key of {name} is closed to others.", path)
