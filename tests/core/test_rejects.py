"""What was turned away lately: short, newest first, the same again on one line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opendmux.core.rejects import TEXT_MAX, Cause, Rejects


def cause(client_id: str = "bot", proto_id: int = 2202) -> Cause:
    return Cause("tcp", "127.0.0.1:5", "k", client_id, proto_id, "limit", "rate")


def test_newest_first() -> None:
    rejects = Rejects()
    rejects.add(cause("a"), "first", 1.0)
    rejects.add(cause("b"), "second", 2.0)
    assert [(line.text, line.times, line.wall) for line in rejects.newest_first()] == [
        ("second", 1, 2.0),
        ("first", 1, 1.0),
    ]


def test_the_same_again_counts_and_is_the_newest() -> None:
    rejects = Rejects()
    rejects.add(cause("a"), "next order in 9 s", 1.0)
    rejects.add(cause("b"), "other", 2.0)
    rejects.add(cause("a"), "next order in 3 s", 7.0)
    first, second = rejects.newest_first()
    assert (first.cause.client_id, first.times, first.text, first.wall) == ("a", 2, "next order in 3 s", 7.0)
    assert second.cause.client_id == "b"


def test_a_long_text_is_cut() -> None:
    rejects = Rejects()
    rejects.add(cause(), "x" * 1000, 1.0)
    assert len(rejects.newest_first()[0].text) == TEXT_MAX


@given(st.lists(st.integers(0, 9)), st.integers(1, 5))
def test_never_more_than_it_keeps(numbers: list[int], kept: int) -> None:
    rejects = Rejects(kept)
    for wall, number in enumerate(numbers):
        rejects.add(cause(proto_id=number), "", float(wall))
    lines = rejects.newest_first()
    newest = list(dict.fromkeys(reversed(numbers)))
    assert [line.cause.proto_id for line in lines] == newest[:kept]
