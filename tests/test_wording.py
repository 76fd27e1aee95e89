"""Sentences about what others wrote."""

from __future__ import annotations

import pytest

from opendmux.wording import masked, nearest, printable, shown_value, version_text


def test_the_nearest_name() -> None:
    assert nearest("Upstraem", ["upstream", "listen"]) == "; did you mean 'upstream'?"
    assert nearest("xyz", ["upstream"]) == ""
    assert nearest("junk", ["unlock", "upstream"]) == "", "some letters in common are no likeness"
    assert nearest("X_JUNK", ["X_UNLOCK"], prefix="X_") == ""
    assert nearest("X_UNLOK", ["X_UNLOCK"], prefix="X_") == "; did you mean 'X_UNLOCK'?"


@pytest.mark.parametrize(
    ("value", "text"),
    [("a\n", r"'a\n'"), (True, "true"), (None, "null"), (1.5, "1.5"), ([1], "a list"), ({}, "an object")],
)
def test_values(value: object, text: str) -> None:
    assert shown_value(value) == text


def test_a_long_value_is_cut() -> None:
    assert len(shown_value("x" * 1000)) == 60


def test_nothing_that_a_terminal_obeys() -> None:
    assert printable("a\x1b[2J\r\nb\udc80 é") == "a?[2J??b? é"


def test_keys_are_masked() -> None:
    assert masked(f"key fc_{'a1' * 32}!") == "key fc_<masked>!"
    assert masked("fc_... or fc_bot") == "fc_... or fc_bot"


@pytest.mark.parametrize(("server_ver", "text"), [(1011, "10.11"), (1003, "10.3"), (906, "9.6"), (221, "2.21")])
def test_opends_version(server_ver: int, text: str) -> None:
    assert version_text(server_ver) == text
