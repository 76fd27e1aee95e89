"""Server-sent events as a reader of the standard takes them apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opendmux.wire.sse import HEARTBEAT, encode_event


def read(text: bytes) -> list[tuple[str, str, str]]:
    """(type, data, id) of every event, by the rules of the HTML standard."""
    events: list[tuple[str, str, str]] = []
    data: list[str] = []
    name, number = "", ""
    for raw in text.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not raw:
            if data:
                events.append((name or "message", "\n".join(data), number))
            name, data = "", []
            continue
        field, _, value = raw.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                name = value
            case "data":
                data.append(value)
            case "id":
                number = value
    return events


def test_one_event() -> None:
    assert encode_event(b'{"a":1}', name="push", number=7) == b'event: push\nid: 7\ndata: {"a":1}\n\n'
    assert encode_event(b"x") == b"data: x\n\n"
    assert read(HEARTBEAT) == []


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 2**64 - 1))))
def test_what_is_written_is_read(sent: list[tuple[str, int]]) -> None:
    text = b"".join(encode_event(data.encode(), name="push", number=number) + HEARTBEAT for data, number in sent)
    plain = [data.replace("\r\n", "\n").replace("\r", "\n") for data, _ in sent]
    # An event without data is none; ours always have some.
    expected = [("push", data, str(number)) for data, (_, number) in zip(plain, sent, strict=True)]
    assert read(text) == expected
