"""OpenD's own options, out of its OpenD.xml and its command line."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opendmux.config import Address
from opendmux.config.opend_xml import read_opend_options
from opendmux.config.reach import is_loopback
from opendmux.errors import ConfigError

from ._finding import Section, State
from ._programs import Opend

__all__ = ["Options", "judge", "read", "telnet_of"]

BYTES_MAX: Final = 1024 * 1024
FILE_CHECK: Final = "OpenD.xml"
PORT: Final = "11111"
TOO_LITTLE: Final = ("no", "warning", "error", "fatal")
"""Log levels with which support has nothing to go by."""
OFF: Final = ("", "0")


@dataclass(frozen=True, slots=True)
class Options:
    """Of one OpenD. The command line wins."""

    path: Path
    values: Mapping[str, str]
    filled: frozenset[str]
    """Options of the file that have a value, secret ones included."""
    open_to_others: bool = False
    """Other users of the machine may read the file."""
    password_on_command_line: bool = False


def read(path: Path, opend: Opend | None) -> Options:
    """Raises ConfigError."""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    if len(content) > BYTES_MAX:
        raise ConfigError(f"{path} is larger than {BYTES_MAX} bytes: it is no configuration of OpenD")
    found = read_opend_options(content, str(path))
    own = {} if opend is None else opend.options
    return Options(
        path,
        {**found.values, **own},
        found.filled,
        sys.platform != "win32" and bool(mode & (stat.S_IRGRP | stat.S_IROTH)),
        opend is not None and opend.password_shown,
    )


def telnet_of(options: Options) -> Address | None:
    """Where its Telnet console is; None: off, or no address."""
    port = options.values.get("telnet_port", "")
    if port in OFF or not (port.isascii() and port.isdigit() and int(port) <= 65535):
        return None
    host = options.values.get("telnet_ip", "")
    return Address("127.0.0.1" if host in ("", "0.0.0.0") else host, int(port))  # noqa: S104 - compared, never bound


def judge(options: Options, section: Section, *, upstream: Address, answered: bool, has_rsa: bool) -> None:
    """Add what there is to say. ``answered``: OpenD did, at ``upstream``; ``has_rsa``: we have a key for it."""
    values = options.values
    api_port = values.get("api_port") or PORT
    if api_port != str(upstream.port) and not answered:
        section.say(
            State.PROBLEM,
            FILE_CHECK,
            f"OpenD.xml gives OpenD the port {api_port}, and it is looked for on {upstream.port}.",
            str(options.path),
            f"Give --upstream {upstream.host}:{api_port}, or change api_port and start OpenD again.",
        )
    else:
        section.say(State.OK, FILE_CHECK, "OpenD.xml is there and can be read.", str(options.path))
    _address(options, section)
    _encryption(options, section, answered=answered, has_rsa=has_rsa)
    _password(options, section)
    _log_level(options, section)
    _quote_right(options, section)


def _address(options: Options, section: Section) -> None:
    host = options.values.get("ip", "")
    if not host or is_loopback(host) or host == "localhost":
        section.say(
            State.OK, "listen address", "OpenD takes connections of this machine only.", f"ip = {host or '127.0.0.1'}"
        )
        return
    encrypted = "rsa_private_key" in options.filled
    section.say(
        State.WARNING,
        "listen address",
        "OpenD takes connections of other machines, which pass by opendmux, its keys and its limits.",
        f"ip = {host}, {'with' if encrypted else 'without'} rsa_private_key",
        "Set ip = 127.0.0.1 in OpenD.xml where opendmux runs on the same machine, and let the others come through "
        "opendmux with keys and TLS.",
    )


def _encryption(options: Options, section: Section, *, answered: bool, has_rsa: bool) -> None:
    name = options.values.get("rsa_private_key", "")
    if not name:
        return
    if not os.path.isfile(name):
        section.say(
            State.WARNING,
            "RSA key",
            "OpenD.xml names an RSA key file that is not there, or that may not be seen by this user.",
            f"rsa_private_key = {name}",
            "Give the whole path of the file, and let the user that OpenD runs as read it.",
        )
    elif not has_rsa and not answered:
        section.say(
            State.PROBLEM,
            "RSA key",
            "OpenD wants encryption, and opendmux has no key for it.",
            f"rsa_private_key = {name}",
            f'Set upstream_rsa_private_key = "{name}" in opendmux\'s settings.',
        )
    else:
        section.say(State.OK, "RSA key", "OpenD has an RSA key for its API.", f"rsa_private_key = {name}")


def _password(options: Options, section: Section) -> None:
    if options.password_on_command_line:
        section.say(
            State.WARNING,
            "login options",
            "OpenD's login password, or its MD5, stands on its command line, which every user here can read.",
            "",
            "Put login_pwd_md5 into OpenD.xml instead and `chmod 600` that file.",
        )
    elif "login_pwd" in options.filled:
        md5 = "login_pwd_md5" in options.filled
        section.say(
            State.WARNING,
            "login options",
            "OpenD.xml holds the login password in clear text" + (", beside its MD5, which wins." if md5 else "."),
            "readable for other users of this machine" if options.open_to_others else "",
            ("Take login_pwd out" if md5 else "Put its MD5, 32 hex digits, into login_pwd_md5 and take login_pwd out")
            + f"; `chmod 600 {options.path}`, for the MD5 is as good as the password to whoever reads it.",
        )
    elif "login_pwd_md5" in options.filled and options.open_to_others:
        section.say(
            State.WARNING,
            "login options",
            "Every user of this machine can read the MD5 of the login password, which is as good as the password.",
            str(options.path),
            f"`chmod 600 {options.path}`.",
        )
    else:
        section.say(State.OK, "login options", "OpenD.xml shows no password to others.")


def _log_level(options: Options, section: Section) -> None:
    level = options.values.get("log_level") or "info"
    if level in TOO_LITTLE:
        section.say(
            State.WARNING,
            "OpenD's log level",
            "OpenD's log would be of no use to its support.",
            f"log_level = {level}",
            "Set log_level = info for questions about orders, debug for questions about quotes, and start OpenD again.",
        )
    else:
        section.say(
            State.OK,
            "OpenD's log level",
            "OpenD's log is good for questions about orders"
            + (" and quotes." if level == "debug" else "; quotes need debug."),
            f"log_level = {level}",
        )


def _quote_right(options: Options, section: Section) -> None:
    holds = (options.values.get("auto_hold_quote_right") or "1") != "0"
    section.say(
        State.OK,
        "quote right policy",
        "OpenD takes the quote right back when another terminal takes it, and gives up when that happens again in 10 s."
        if holds
        else "OpenD leaves the quote right to other terminals.",
        f"auto_hold_quote_right = {int(holds)}",
    )
