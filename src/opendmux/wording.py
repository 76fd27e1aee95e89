"""How sentences about what others wrote are worded: the nearest name, the value, no keys, nothing a terminal obeys."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

__all__ = ["masked", "nearest", "printable", "shown_value", "version_text"]

_PLAINTEXT_KEY: Final = re.compile(r"fc_[0-9a-fA-F]{16,}")

NEAR: Final = 0.7
"""Of difflib's measure: a slip or two in a short word. Its own 0.6 takes 'junk' for 'unlock'."""


def nearest(word: str, names: Iterable[str], *, prefix: str = "") -> str:
    """``; did you mean 'x'?``, or nothing when no name is near. A ``prefix`` that all names have counts for nothing."""
    folded = {name.removeprefix(prefix).casefold(): name for name in names}
    found = difflib.get_close_matches(word.removeprefix(prefix).casefold(), folded, n=1, cutoff=NEAR)
    return f"; did you mean {folded[found[0]]!r}?" if found else ""


def shown_value(value: object) -> str:
    """The value as its owner wrote it, in ASCII, cut short."""
    text = ascii(value) if isinstance(value, str) else str(value)
    text = {"True": "true", "False": "false", "None": "null"}.get(text, text)
    if isinstance(value, list | dict):
        text = "a list" if isinstance(value, list) else "an object"
    return text if len(text) <= 60 else f"{text[:57]}..."


def printable(text: str) -> str:
    """The text with ``?`` for what would move a terminal's cursor or begin a new line."""
    return "".join(char if char.isprintable() else "?" for char in text)


def masked(text: str) -> str:
    """The text without whatever looks like the plaintext of a key."""
    return _PLAINTEXT_KEY.sub("fc_<masked>", text)


def version_text(server_ver: int) -> str:
    """OpenD's version as people know it: ``10.11`` for the serverVer 1011."""
    return f"{server_ver // 100}.{server_ver % 100}"
