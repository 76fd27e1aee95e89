"""Cover a set of streams with cross products: OpenD's messages name securities x sub types, never single pairs."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import Final, TypeVar

from .streams import Security, StreamKey, is_kline

MAX_SECURITIES: Final = 100
"""Securities in a message that the ledger makes up itself; also K lines (securities x K-line sub types) in one.
Both are how the official SDK cuts its own replay, so OpenD is known to take messages of this size."""

Product = tuple[tuple[Security, ...], tuple[int, ...]]

_Row = TypeVar("_Row", bound=Hashable)
_Column = TypeVar("_Column", bound=Hashable)


def products(keys: Collection[StreamKey]) -> list[Product]:
    """Disjoint cross products that together are exactly ``keys`` (distinct, of one space). In order of appearance.

    The fewest possible is a hard problem; two cheap ways are tried: securities with equal sets of sub types, and
    sub types with equal sets of securities. Requests are cross products themselves, so one of the two mostly fits.
    """
    securities = dict.fromkeys((market, code) for _, market, code, _ in keys)
    sub_types = dict.fromkeys(key[3] for key in keys)
    if not keys:
        return []
    if len(securities) * len(sub_types) == len(keys):
        return [(tuple(securities), tuple(sub_types))]
    by_security = _by_equal_rows(((key[1], key[2]), key[3]) for key in keys)
    by_sub_type = _by_equal_rows((key[3], (key[1], key[2])) for key in keys)
    if len(by_security) <= len(by_sub_type):
        return by_security
    return [(columns, rows) for rows, columns in by_sub_type]


def _by_equal_rows(pairs: Iterable[tuple[_Row, _Column]]) -> list[tuple[tuple[_Row, ...], tuple[_Column, ...]]]:
    rows: dict[_Row, dict[_Column, None]] = {}
    for row, column in pairs:
        rows.setdefault(row, {})[column] = None
    alike: dict[frozenset[_Column], list[_Row]] = {}
    for row, columns in rows.items():
        alike.setdefault(frozenset(columns), []).append(row)
    return [(tuple(same), tuple(rows[same[0]])) for same in alike.values()]


def cut(product: Product, max_streams: int | None) -> Iterator[Product]:
    """Pieces of at most `MAX_SECURITIES`, and of at most ``max_streams`` streams when that is given (at least 1)."""
    securities, sub_types = product
    width = len(sub_types) if max_streams is None else min(len(sub_types), max_streams)
    for left in range(0, len(sub_types), width):
        columns = sub_types[left : left + width]
        klines = sum(map(is_kline, columns))
        height = MAX_SECURITIES // max(1, klines)
        if max_streams is not None:
            height = min(height, max(1, max_streams // len(columns)))
        for top in range(0, len(securities), height):
            yield securities[top : top + height], columns
