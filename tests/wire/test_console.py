"""OpenD's console: lines out, text back, in any cuts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.errors import LocalProtocolError, RemoteProtocolError
from opendmux.wire.console import ReplyReader, command_line


def read(*chunks: bytes) -> list[str]:
    reader = ReplyReader()
    for chunk in chunks:
        reader.feed_untrusted(chunk)
    return reader.lines()


def test_a_line_is_the_samples() -> None:
    assert command_line("request_highest_quote_right", {}) == b"request_highest_quote_right\r\n"
    assert command_line("input_phone_verify_code", {"code": "123456"}) == b"input_phone_verify_code -code=123456\r\n"


@pytest.mark.parametrize("value", ["1\r\nexit", "1\nexit", "1 -x=2", "\x00", "\uff11", "\x1b[2J", "\x7f"])
def test_no_second_line_can_hide_in_a_value(value: str) -> None:
    with pytest.raises(LocalProtocolError):
        command_line("input_phone_verify_code", {"code": value})
    with pytest.raises(LocalProtocolError):
        command_line(value, {})


def test_text_is_gb2312_and_what_came_later() -> None:
    assert read("成功: 权限已取回\r\n完成\r\n\r\n".encode("gb2312")) == ["成功: 权限已取回", "完成"]
    assert read("囧€😀\r\n".encode("gb18030")) == ["囧€😀"]


def test_what_is_no_text_is_replaced() -> None:
    assert read(b"a\x81") == ["a�"]
    assert read() == []


def test_an_answer_has_a_bound() -> None:
    reader = ReplyReader(10)
    reader.feed_untrusted(b"12345678\r\n")
    with pytest.raises(RemoteProtocolError, match="longer"):
        reader.feed_untrusted(b"x")
    assert reader.lines() == ["12345678"]


def test_negotiation_is_passed_over() -> None:
    assert read(b"\xff\xfb\x01a\xff\xfa\x18\x00xterm\xff\xf0b\xff\xf1c\xff\xff\r\n") == ["abc"]
    assert read(b"a\xff\xfa" + b"x" * 100_000) == ["a"]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=8), st.sampled_from([b"\xff\xfb\x01", b"\xff\xfa", b"\xff\xf0", "权限".encode("gbk")])
        )
    ),
    st.data(),
)
def test_cuts_change_nothing(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    places = [0, *cuts, len(whole)]
    chunks = [whole[start:end] for start, end in itertools.pairwise(places)]
    assert read(*chunks) == read(whole)
