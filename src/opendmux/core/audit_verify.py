"""Does an audit log still say what was written into it?

What the chain shows: a line that was edited, taken out, put in, doubled or moved, and lines missing at the front of a
file. What it can't show by itself: lines cut off at the end of the newest file, and a chain that somebody computed
anew. Both show against an anchor, the seq and hash of a line noted down elsewhere earlier, and the first of them also
when the log goes on in a later file.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from .audit import BEGINS, ENDS, GENESIS, TORN, hash_of_line, torn_hash_of

__all__ = ["Anchor", "Break", "Damage", "Verdict", "looks_whole", "tail_of", "verify"]

NAMED_MAX: Final = 100
"""Notes that are kept; more are counted only."""


class Damage(enum.Enum):
    """What is wrong with a line."""

    EDITED = "edited"
    """Its bytes are not those that were hashed, or it is no line of an audit log at all."""
    REMOVED = "removed"
    """Lines are missing before it."""
    REORDERED = "reordered"
    """It stands in another place than it was written at, or twice."""
    REPLACED = "replaced"
    """It does not continue the line before it: one of the two belongs to another chain."""
    TORN = "torn"
    """It is not complete and nothing follows: a crash, or the end was cut off. The log notes it when it goes on."""
    ANCHOR = "anchor"
    """The chain does not hold the anchor."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A line that is known to have been in the log."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Break:
    """The first bad line."""

    name: str
    """The file's."""
    line: int
    """Counted from 1."""
    damage: Damage
    text: str
    """One sentence."""


@dataclass(slots=True)
class Verdict:
    """What was found."""

    lines: int = 0
    """Good ones."""
    first_seq: int = 0
    last_seq: int = 0
    last_hash: str = ""
    """With `last_seq` the anchor to note down elsewhere."""
    closed: bool = False
    """The last line says that the log was ended in good order. False: it is being written, its process crashed, or the
    end was cut off."""
    torn: int = 0
    """Incomplete lines that a crash left behind and that the log itself notes."""
    broken: Break | None = None
    notes: list[str] = field(default_factory=list)
    """What is no damage but good to know."""


class _Link(msgspec.Struct, frozen=True):
    """What is needed of a line to judge the next one."""

    seq: int
    endpoint: str
    args_hash: str
    prev: str


_decoder = msgspec.json.Decoder(_Link)


def looks_whole(line: bytes) -> bool:
    """Whether this ends as only a complete line does: then a crash is not why its hash is wrong."""
    return line.rstrip(b"\r\n").endswith(b'"}') and b',"hash":"' in line


def tail_of(line: bytes) -> tuple[int, str] | None:
    """(seq, hash) of a good line, newline included; None for any other."""
    digest = hash_of_line(line)
    link = None if digest is None else _link_of(line)
    return None if link is None or digest is None else (link.seq, digest)


def _link_of(line: bytes) -> _Link | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def verify(files: Iterable[tuple[str, Iterable[bytes]]], anchor: Anchor | None = None) -> Verdict:
    """Judge a log: the lines of each file with their line ends, files in their order.

    One file alone may begin anywhere in the chain (older ones may have been put away); it must begin with its opening
    line. Stops at the first bad line.
    """
    return _Check(anchor).run(files)


class _Check:
    def __init__(self, anchor: Anchor | None) -> None:
        self._anchor = anchor
        self._anchored = False
        self._verdict = Verdict()
        self._previous: str | None = None
        self._scrap: list[bytes] = []
        """Lines that can't be read; good if the next one that can says so."""
        self._scrap_at = ("", 0)

    def run(self, files: Iterable[tuple[str, Iterable[bytes]]]) -> Verdict:
        verdict = self._verdict
        name = ""
        for name, lines in files:
            rest = iter(lines)
            number = 0
            for number, line in enumerate(rest, 1):
                verdict.broken = self._line(name, number, line, rest)
                if verdict.broken is not None:
                    return verdict
            if self._scrap:
                verdict.broken = Break(
                    *self._scrap_at, Damage.TORN, "the line is not complete, and nothing after it says why"
                )
                return verdict
            if number == 0:
                self._note(f"{name} is empty")
        self._judge_anchor(name)
        return verdict

    def _note(self, text: str) -> None:
        if len(self._verdict.notes) < NAMED_MAX:
            self._verdict.notes.append(text)

    def _line(self, name: str, number: int, line: bytes, rest: Iterator[bytes]) -> Break | None:
        verdict = self._verdict
        digest = hash_of_line(line)
        link = _link_of(line) if digest is not None else None
        if digest is None or link is None:
            cut_off = hash_of_line(line + b"\n") is not None
            if (looks_whole(line) and not cut_off) or not line.strip():
                return Break(name, number, Damage.EDITED, "its bytes are not those that its hash was made of")
            if not self._scrap:
                self._scrap_at = (name, number)
            self._scrap.append(line)
            return None
        if self._scrap:
            if link.endpoint != TORN or link.args_hash != torn_hash_of(b"".join(self._scrap)):
                return Break(*self._scrap_at, Damage.EDITED, "it is no line of an audit log, and no crash was noted")
            verdict.torn += len(self._scrap)
            self._note(f"{name}, line {number}: a crash left an incomplete line before it")
            self._scrap.clear()
        elif number == 1 and link.endpoint != BEGINS:
            return Break(name, 1, Damage.REMOVED, "the opening line of the file is missing")
        return self._in_place(name, number, link, rest) or self._good(name, number, link, digest)

    def _in_place(self, name: str, number: int, link: _Link, rest: Iterator[bytes]) -> Break | None:
        """Whether the line continues the one before it."""
        if self._previous is None:
            if link.seq == 1 and link.prev != GENESIS:
                return Break(name, number, Damage.REPLACED, "it is the first line of all and continues another one")
            if link.seq != 1:
                self._note(f"{name} begins with seq {link.seq}: what was before is not here to be judged")
            return None
        expected = self._verdict.last_seq + 1
        if link.seq < expected:
            return Break(name, number, Damage.REORDERED, f"seq {link.seq} stands where {expected} belongs")
        if link.seq > expected:
            moved = any((later := _link_of(line)) is not None and later.seq == expected for line in rest)
            if moved:
                text = f"seq {link.seq} stands where {expected} belongs, which comes later"
                return Break(name, number, Damage.REORDERED, text)
            gone = f"seq {expected}" if link.seq == expected + 1 else f"seq {expected} to {link.seq - 1}"
            return Break(name, number, Damage.REMOVED, f"{gone} missing before it")
        if link.prev != self._previous:
            return Break(name, number, Damage.REPLACED, "it does not continue the line before it")
        return None

    def _good(self, name: str, number: int, link: _Link, digest: str) -> Break | None:
        verdict, anchor = self._verdict, self._anchor
        verdict.first_seq = verdict.first_seq or link.seq
        verdict.last_seq, verdict.last_hash = link.seq, digest
        verdict.closed = link.endpoint == ENDS
        verdict.lines += 1
        self._previous = digest
        if anchor is not None and link.seq == anchor.seq:
            self._anchored = True
            if digest != anchor.hash:
                return Break(name, number, Damage.ANCHOR, f"seq {anchor.seq} has another hash than the anchor says")
        return None

    def _judge_anchor(self, name: str) -> None:
        verdict, anchor = self._verdict, self._anchor
        if anchor is None or self._anchored:
            return
        if verdict.lines and anchor.seq < verdict.first_seq:
            self._note(f"the anchor, seq {anchor.seq}, is older than what is here")
            return
        text = f"the log ends with seq {verdict.last_seq}, before the anchor, seq {anchor.seq}: its end was cut off"
        verdict.broken = Break(name, verdict.lines, Damage.ANCHOR, text)
