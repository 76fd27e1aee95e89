"""A chain of audit lines: any single edit is found, and what a crash leaves behind is not taken for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.core.audit import (
    BEGINS,
    CONTINUES,
    ENDS,
    GENESIS,
    TORN,
    AuditEvent,
    hash_of_line,
    line_of,
    note,
    torn_hash_of,
)
from opendmux.core.audit_verify import Anchor, Damage, Verdict, looks_whole, tail_of, verify

WALL = 1_795_253_400.0


class Chain:
    """Writes lines one after the other."""

    def __init__(self, seq: int = 0, last: str = GENESIS) -> None:
        self.seq, self.last = seq, last

    def add(self, event: AuditEvent) -> bytes:
        self.seq += 1
        line = line_of(event, self.seq, WALL + self.seq, self.last)
        self.last = hash_of_line(line) or ""
        return line


def event(number: int) -> AuditEvent:
    return AuditEvent("tcp", "peer", "bot", f"proto_id={number}", "success", reason=f"order {number}")


def log_of(count: int) -> list[bytes]:
    chain = Chain()
    return [chain.add(note(BEGINS)), *(chain.add(event(number)) for number in range(count))]


def judged(lines: list[bytes], anchor: Anchor | None = None) -> Verdict:
    return verify([("file", lines)], anchor)


def damage(lines: list[bytes], anchor: Anchor | None = None) -> tuple[int, Damage]:
    broken = judged(lines, anchor).broken
    assert broken is not None
    return broken.line, broken.damage


LOG = log_of(4)


def test_a_good_log() -> None:
    verdict = judged(LOG)
    assert verdict.broken is None
    assert (verdict.lines, verdict.first_seq, verdict.last_seq, verdict.closed) == (5, 1, 5, False)
    assert verdict.last_hash == hash_of_line(LOG[-1])
    chain = Chain(5, verdict.last_hash)
    assert judged([*LOG, chain.add(note(ENDS))]).closed


def test_each_damage_has_its_name() -> None:
    a, b, c, d, e = LOG
    assert damage([a, b.replace(b"order 0", b"order 9"), c, d, e]) == (2, Damage.EDITED)
    assert damage([a, b, d, e]) == (3, Damage.REMOVED)
    assert damage([a, b, e]) == (3, Damage.REMOVED)
    assert damage([b, c, d, e]) == (1, Damage.REMOVED)
    assert damage([a, c, b, d, e]) == (2, Damage.REORDERED)
    assert damage([a, b, b, c, d, e]) == (3, Damage.REORDERED)
    assert damage([a, b, b"\n", c]) == (3, Damage.EDITED)
    assert damage([a, b, b"hello\n", c]) == (3, Damage.EDITED)
    other = Chain(2, "f" * 64)
    assert damage([a, b, other.add(event(9))]) == (3, Damage.REPLACED)
    assert damage([line_of(note(BEGINS), 1, WALL, "f" * 64)]) == (1, Damage.REPLACED)
    assert damage([a, b, c[:50]]) == (3, Damage.TORN)
    assert damage([a, b, c[:-1]]) == (3, Damage.TORN)
    assert damage([a, b, c[:-1].replace(b"order", b"Order")]) == (3, Damage.EDITED)


def test_a_line_edited_with_a_new_hash_shows_at_the_next_one() -> None:
    forged = line_of(event(77), 3, WALL, hash_of_line(LOG[1]) or "")
    assert damage([*LOG[:2], forged, *LOG[3:]]) == (4, Damage.REPLACED)


def test_a_good_hash_over_something_else_is_no_line() -> None:
    import hashlib

    hashed = b'{"seq":"not a number"'
    line = hashed + b',"hash":"' + hashlib.sha256(hashed).hexdigest().encode() + b'"}\n'
    assert damage([LOG[0], line]) == (2, Damage.EDITED)
    assert tail_of(line) is None


def test_a_cut_off_end_shows_against_an_anchor_only() -> None:
    whole = judged(LOG)
    anchor = Anchor(whole.last_seq, whole.last_hash)
    assert judged(LOG[:3]).broken is None
    assert damage(LOG[:3], anchor) == (3, Damage.ANCHOR)
    assert judged(LOG, anchor).broken is None
    assert damage(LOG, Anchor(2, "f" * 64)) == (2, Damage.ANCHOR)
    assert damage([], anchor) == (0, Damage.ANCHOR)


def test_or_when_the_log_goes_on_in_another_file() -> None:
    chain = Chain(5, hash_of_line(LOG[-1]) or "")
    following = [chain.add(note(BEGINS)), chain.add(event(9))]
    assert verify([("a", LOG), ("b", following)]).broken is None
    broken = verify([("a", LOG[:-1]), ("b", following)]).broken
    assert broken is not None
    assert (broken.name, broken.line, broken.damage) == ("b", 1, Damage.REMOVED)
    alone = judged(following, Anchor(2, "f" * 64))
    assert alone.broken is None
    assert len(alone.notes) == 2


def test_an_empty_file_is_worth_a_note() -> None:
    assert judged([]).notes == ["file is empty"]


def torn_log(scrap: bytes) -> list[bytes]:
    chain = Chain(5, hash_of_line(LOG[-1]) or "")
    torn = chain.add(note(TORN, args_hash=torn_hash_of(scrap)))
    return [*LOG, *(scrap + b"\n").splitlines(keepends=True), torn, chain.add(note(CONTINUES))]


def test_a_torn_line_that_the_log_notes_is_no_damage() -> None:
    scrap = line_of(event(5), 6, WALL, hash_of_line(LOG[-1]) or "")[:60]
    verdict = judged(torn_log(scrap))
    assert verdict.broken is None
    assert (verdict.torn, verdict.lines) == (1, 7)
    first = Chain()
    assert judged([scrap + b"\n", first.add(note(TORN, args_hash=torn_hash_of(scrap)))]).broken is None


def test_but_not_with_other_bytes() -> None:
    lines = torn_log(b'{"timestamp":"2026')
    lines[5] = b'{"timestamp":"2027\n'
    assert damage(lines) == (6, Damage.EDITED)


def test_what_looks_whole() -> None:
    assert looks_whole(LOG[0])
    assert looks_whole(LOG[0].rstrip())
    assert not looks_whole(LOG[0][:-3])
    assert tail_of(LOG[1]) == (2, hash_of_line(LOG[1]))
    assert tail_of(b"x\n") is None


def split(data: bytes) -> list[bytes]:
    """As a file is read: the lines with their ends, cut at newlines alone."""
    *whole, rest = data.split(b"\n")
    return [*(line + b"\n" for line in whole), *([rest] if rest else [])]


TORN_LOG = b"".join(torn_log(b'{"timestamp":"2026-11-21T'))


@given(st.sampled_from([b"".join(LOG), TORN_LOG]), st.data())
def test_any_single_edit_is_found(whole: bytes, data: st.DataObject) -> None:
    """Bytes changed, put in or taken out anywhere; only a cut at the end of a line needs the anchor."""
    assert verify([("file", split(whole))]).broken is None
    start = data.draw(st.integers(0, len(whole)), "start")
    end = data.draw(st.integers(start, min(len(whole), start + data.draw(st.sampled_from([0, 1, 5, 600])))), "end")
    new = data.draw(st.one_of(st.binary(max_size=3), st.sampled_from([b"\n", b" ", b"0", b"}", whole[:200]])), "new")
    edited = whole[:start] + new + whole[end:]
    if edited == whole:
        return
    good = verify([("file", split(whole))])
    assert verify([("file", split(edited))], Anchor(good.last_seq, good.last_hash)).broken is not None


@given(st.permutations(range(5)))
def test_any_other_order_is_found(order: list[int]) -> None:
    verdict = judged([LOG[index] for index in order])
    assert (verdict.broken is None) == (order == sorted(order))


@pytest.mark.parametrize("field", list(json.loads(LOG[1])))
def test_every_field_is_under_the_hash(field: str) -> None:
    said = json.loads(LOG[1])
    said[field] = "x" if said[field] != "x" else "y"
    line = json.dumps(said, separators=(",", ":")).encode() + b"\n"
    assert damage([LOG[0], line, *LOG[2:]]) == (2, Damage.EDITED)
