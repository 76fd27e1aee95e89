"""Host and Origin: what is ours, and what another site could have made the browser say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.core.origins import host_in, host_is_ours, origin_in, origin_is_ours, origin_is_this

OURS = [
    *(
        "localhost",
        "LOCALHOST:33333",
        "localhost.",
        "app.localhost",
        "127.0.0.1",
        "127.8.9.1:1",
        "[::1]",
        "[::1]:33333",
    ),
    *("192.0.2.7:33333", "[::ffff:127.0.0.1]", "proxy.lan", "Proxy.LAN:33333"),
]
FOREIGN = [
    *("", "evil.example", "evil.example:33333", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.8"),
    *("[::2]", "::1", "[::1", "local host", "localhost:x", "localhost/", "user@localhost", "localhost:123456", "0"),
    *("notlocalhost", "0x7f000001", "2130706433", "[localhost]"),
]


@pytest.mark.parametrize("host", OURS)
def test_ours(host: str) -> None:
    assert host_is_ours(host, own="192.0.2.7", further={"proxy.lan"})
    for scheme in ("http", "HTTPS"):
        assert origin_is_ours(f"{scheme}://{host}", own="192.0.2.7", further={"proxy.lan"})


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign(host: str) -> None:
    assert not host_is_ours(host, own="192.0.2.7", further={"proxy.lan"})
    assert not origin_is_ours(f"http://{host}", own="192.0.2.7", further={"proxy.lan"})


@pytest.mark.parametrize(
    "origin", ["null", "", "localhost", "file://", "ftp://localhost", "chrome-extension://localhost"]
)
def test_what_is_no_origin_of_ours(origin: str) -> None:
    assert not origin_is_ours(origin, own="127.0.0.1")


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("https://localhost:33333", "localhost:33333", True),
        ("https://LOCALHOST:33333", "localhost:33333", True),
        ("https://proxy.lan", "127.0.0.1:33333", True),
        ("http://localhost:8080", "localhost:33333", False),
        ("http://127.0.0.1:33333", "localhost:33333", False),
        ("http://evil.localhost:33333", "localhost:33333", False),
        ("null", "localhost:33333", False),
        ("null", "", False),
        ("http://", "", False),
    ],
)
def test_a_page_of_the_proxy_itself(origin: str, host: str, same: bool) -> None:
    assert origin_is_this(origin, host=host, further={"proxy.lan"}) == same


def test_an_unknown_own_address_is_no_ones() -> None:
    assert not host_is_ours("192.0.2.7", own="")
    assert host_is_ours("192.0.2.7", own="::ffff:192.0.2.7")


@given(st.text())
def test_any_text_is_judged(text: str) -> None:
    host_in(text)
    host_is_ours(text, own=text)
    origin_is_ours(text, own=text)
    origin_in(text)


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://App.example/", "https://app.example"),
        (" http://[::1]:3000", "http://[::1]:3000"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("null", "null"),
        ("app.example", None),
        ("https://", None),
        ("https://app.example/page", None),
        ("*", None),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(written: str, origin: str | None) -> None:
    assert origin_in(written) == origin
