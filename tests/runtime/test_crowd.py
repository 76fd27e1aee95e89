"""How many HTTP connections an address may have."""

from __future__ import annotations

import logging

import pytest

from opendmux.runtime.crowd import SAY_S, WORDS_MAX, Crowd, within_files


def test_each_address_has_its_own_number() -> None:
    crowd = Crowd()
    assert [crowd.enter("192.0.2.1", 2, 0) for _ in range(3)] == [True, True, False]
    assert crowd.enter("192.0.2.2", 2, 0)
    crowd.leave("192.0.2.1")
    assert [crowd.enter("192.0.2.1", 2, 0) for _ in range(2)] == [True, False]
    assert crowd.refused == 2


def test_nothing_is_kept_of_those_who_have_left() -> None:
    crowd = Crowd()
    for number in range(100):
        host = f"192.0.2.{number}"
        assert crowd.enter(host, 1, 0)
        crowd.leave(host)
    assert crowd._open == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("127.0.0.1", "::1", False),
        ("memory", "memory", True),
        ("", "gone", False),
    ],
)
def test_what_is_one_address(one: str, other: str, same: bool) -> None:
    crowd = Crowd()
    assert crowd.enter(one, 1, 0)
    assert crowd.enter(other, 1, 0) != same


def test_the_log_says_it_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    crowd = Crowd()
    assert crowd.enter("192.0.2.1", 1, 0)
    for second in range(3 * int(SAY_S)):
        assert not crowd.enter("192.0.2.1", 1, second)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3
    assert [record.getMessage().rsplit("; ", 1)[1] for record in caplog.records] == [
        "1 refused lately",
        "60 refused lately",
        "60 refused lately",
    ]
    assert "192.0.2.1" in caplog.text
    assert "limits.http_per_address" in caplog.text


def test_only_so_many_are_told_at_a_time() -> None:
    crowd = Crowd()
    visits = [crowd.telling() for _ in range(WORDS_MAX + 2)]
    assert [visit.__enter__() for visit in visits] == [True] * WORDS_MAX + [False] * 2
    for visit in visits:
        visit.__exit__(None, None, None)
    with crowd.telling() as may:
        assert may


def test_half_of_the_files_at_most() -> None:
    resource = pytest.importorskip("resource", reason="not there on Windows")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert within_files(1) == 1
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert within_files(100_000) == 128
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
