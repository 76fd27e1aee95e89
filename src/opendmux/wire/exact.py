"""OpenD's JSON for readers whose numbers are doubles: whole numbers of 64 bits become strings, so no digit is lost.

A field that names something (an account, an order, a connection) is always a string, so that its type does not depend
on its value. Any other whole number is one when it is beyond 2^53 - 1. What is read back from a client may be either,
as protobuf's JSON has it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from opendmux.errors import RemoteProtocolError

__all__ = ["ALWAYS_STRINGS", "SAFE_MAX", "exact", "exact_untrusted"]

SAFE_MAX: Final = 2**53 - 1
"""JavaScript's Number.MAX_SAFE_INTEGER."""

ALWAYS_STRINGS: Final = frozenset(
    {
        "accID",
        "accIDList",
        "comboID",
        "connID",
        "fillID",
        "idList",
        "loginUserID",
        "orderID",
        "positionID",
        "sequence",
        "userID",
    }
)
"""Fields of 64 bits that are names and not amounts."""


def exact_untrusted(body: bytes) -> bytes:
    """The same JSON with strings where a double would not do. Raises RemoteProtocolError for what is no JSON."""
    try:
        return msgspec.json.encode(exact(msgspec.json.decode(body)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"the JSON can't be read: {error}") from error


def exact(value: Any, *, name: bool = False) -> Any:
    """A decoded value, changed as said above. ``name``: it stands in a field of `ALWAYS_STRINGS`."""
    if isinstance(value, dict):
        return {key: exact(item, name=key in ALWAYS_STRINGS) for key, item in value.items()}
    if isinstance(value, list):
        return [exact(item, name=name) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and (name or abs(value) > SAFE_MAX):
        return str(value)
    return value
