"""Header compression that remembers whole blocks.

A client's calls carry the same headers again and again, and so do our answers. While the compression's table stands
still, equal blocks mean equal headers: they are decoded, checked and encoded once. Whatever changes the table makes
everything forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from hpack import Decoder, Encoder, HeaderTuple

if TYPE_CHECKING:
    from h2.config import H2Configuration
    from hpack.table import HeaderTable

__all__ = ["BlockDecoder", "BlockEncoder"]

BLOCKS_MAX: Final = 16
"""Remembered at a time. A program has a few methods and one key."""
BLOCK_LEN_MAX: Final = 512
"""Bytes; longer blocks are not remembered."""


class _Standing:
    """Whether a table is still what it was."""

    def __init__(self, table: HeaderTable) -> None:
        self._table = table
        self._size = table.maxsize
        self._count = 0
        self._newest: object = None

    def still(self) -> bool:
        """Nothing has been added or dropped since the last time."""
        table, entries = self._table, self._table.dynamic_entries
        newest = entries[0] if entries else None
        # A new entry is a new object in front of the others; entries only go from the end, or all at once.
        if newest is self._newest and len(entries) == self._count and table.maxsize == self._size:
            return True
        self._size, self._count, self._newest = table.maxsize, len(entries), newest
        return False


class BlockDecoder(Decoder):
    """For requests. h2 checks what was decoded right after that, as ``config`` says: headers that were `found_good`
    need no second look.

    Takes blanks around a value away. For h2 they are an error that ends the whole connection, with all its calls;
    clients send them when a program's key is empty (``Bearer ``) or was pasted with a blank.
    """

    def __init__(self, config: H2Configuration) -> None:
        super().__init__()
        self._config = config
        self._standing = _Standing(self.header_table)
        self._good: dict[bytes, list[HeaderTuple]] = {}
        self._last: tuple[bytes, list[HeaderTuple]] | None = None

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        """See hpack. h2 wants it ``raw``."""
        block = bytes(data)
        good = self._good.get(block)
        self._config.validate_inbound_headers = good is None
        self._last = None
        if good is not None:
            return good
        headers = [_bare(header) for header in super().decode(block, raw)]
        if not self._standing.still():
            self._good.clear()
        elif len(block) <= BLOCK_LEN_MAX:
            self._last = block, headers
        return headers

    def found_good(self) -> None:
        """What was decoded last has passed h2's checks as the beginning of a call.

        The same block may come as trailers then, unchecked; those are ignored anyway.
        """
        if self._last is not None:
            if len(self._good) >= BLOCKS_MAX:
                self._good.clear()
            self._good[self._last[0]] = self._last[1]
            self._last = None


def _bare(header: HeaderTuple) -> HeaderTuple:
    name, value = header
    bare = value.strip()
    return header if bare == value else type(header)(name, bare)


class BlockEncoder(Encoder):
    """For answers."""

    def __init__(self) -> None:
        super().__init__()
        self._standing = _Standing(self.header_table)
        self._known: dict[tuple[HeaderTuple, ...], bytes] = {}

    def encode(self, headers: Any, huffman: bool = True) -> bytes:
        """See hpack. All headers are `HeaderTuple`."""
        block = tuple(headers)
        # Headers that are equal may still differ in whether they may be indexed.
        plain = not self.header_table.resized and all(header.indexable for header in block)
        if not self._standing.still():
            self._known.clear()
        elif plain and (known := self._known.get(block)) is not None:
            return known
        encoded = super().encode(block, huffman)
        if not self._standing.still():
            self._known.clear()
        elif plain and len(self._known) < BLOCKS_MAX:
            self._known[block] = encoded
        return encoded
