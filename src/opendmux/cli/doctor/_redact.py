"""What must not leave this machine is taken out of texts: keys, passwords, digests of them, tokens, addresses of hooks,
and, in what OpenD wrote, numbers of phones and accounts.

By patterns: they take too much rather than too little, and can't know a secret that looks like a word. So a log of
OpenD goes out only where its owner asked for it.
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["REMOVED", "redacted", "redacted_log", "redacted_setting"]

REMOVED: Final = "<removed>"

_SECRETS: Final = (
    re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
    re.compile(r"fc_[0-9A-Za-z]{8,}"),
    re.compile(r"\b[0-9a-fA-F]{32,}\b"),  # MD5 of a password, hash of a key
    re.compile(r"(?i)(?<=bearer )\S+"),
    re.compile(r"(?i)(?<=basic )[A-Za-z0-9+/=]{8,}"),
)
_NAMED: Final = re.compile(
    r"""(?imx) ( (?: pwd | passw (?:or)? d | passphrase | secret | token | api_?key | web_?key | cookie )
    [\w-]{0,40} \\?["']? \s* [=:>]+ \s* )
    (
        (?<=>) [^<\r\n]+
        | " (?: \\. | [^"\\\r\n] )* (?: " | $ )
        | ' (?: \\. | [^'\\\r\n] )* (?: ' | $ )
        | (?: \\. | [^\s<"'\\] | ["'] (?! [,;}\])\s] | $ ) )+
    )"""
)
"""``login_pwd=...``, ``<login_pwd>...``, ``"token": "..."``. Passwords have blanks and punctuation in them, and a quote
may be missing: then all up to the end of the line is taken. What goes before is bounded everywhere here: logs have
lines of a million letters without a blank, and a search that begins at each of them must not run to the end."""
_CODE: Final = re.compile(r"(?i)(\b(?:\w*verify_?)?code\s*[=:]\s*)[\w-]{4,}")
"""``-code=123456``, ``verify_code: 123456``."""
_USER_INFO: Final = re.compile(r"(?<=://)[^\s\"'<>]{0,256}@")
_URL: Final = re.compile(r"(https?://[^/\s\"'<>]+)[^\s\"'<>]*")
"""Addresses of hooks are secrets: whoever knows one may post."""
_MAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+\b")
_NUMBERS: Final = (
    re.compile(r"(?<![\d.])\d{6,}"),
    re.compile(r"(?<![\w.-])(?!\d{4}-\d\d-\d\d)\+?\d(?:[ -]?\d){5,}(?!\w)"),  # a phone's, in groups; not a date
)
"""Six digits and more: accounts, phones, codes."""
_SECRET_SETTING: Final = re.compile(r"(?i)pwd|password|secret|token|webhook|url|command|headers?|md5")


def redacted(text: str) -> str:
    """Without what could be used by whoever reads it."""
    for pattern in _SECRETS:
        text = pattern.sub(REMOVED, text)
    text = _NAMED.sub(rf"\1{REMOVED}", text)
    text = _CODE.sub(rf"\1{REMOVED}", text)
    text = _USER_INFO.sub(f"{REMOVED}@", text)
    return _URL.sub(_without_path, text)


def _without_path(found: re.Match[str]) -> str:
    whole = found[0]
    return whole if whole.rstrip("/") == found[1] else f"{found[1]}/{REMOVED}"


def redacted_log(text: str) -> str:
    """The same for what OpenD wrote: numbers of people and accounts are gone too."""
    text = _MAIL.sub(REMOVED, redacted(text))
    for pattern in _NUMBERS:
        text = pattern.sub(REMOVED, text)
    return text


def redacted_setting(key: str, value: Any) -> Any:
    """A value of the settings, tables and lists included; ``key`` is its name."""
    if isinstance(value, dict):
        return {name: redacted_setting(name, inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_setting(key, inner) for inner in value]
    if isinstance(value, str) and value:
        return REMOVED if _SECRET_SETTING.search(key) else redacted(value)
    return value
