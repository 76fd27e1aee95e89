"""Numbers of 64 bits in JSON that is read by doubles."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.errors import RemoteProtocolError
from opendmux.wire.exact import ALWAYS_STRINGS, SAFE_MAX, exact_untrusted
from opendmux.wire.messages import decode_untrusted
from opendmux.wire.pb import opend

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    # A lone surrogate is no text that could be sent.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["accID", "volume", "s2c", "orderID", "idList"]), inner, max_size=4)
    ),
    max_leaves=20,
)


def as_a_browser(body: bytes) -> Any:
    """Every number is a double."""
    return json.loads(body, parse_int=float)


@pytest.mark.parametrize("name", sorted(ALWAYS_STRINGS))
@pytest.mark.parametrize("value", [0, 7, 2**63, 2**64 - 1, -(2**63)])
def test_names_are_always_strings(name: str, value: int) -> None:
    body = b'{"s2c":{"%b":%d,"list":[{"%b":[%d]}]}}' % (name.encode(), value, name.encode(), value)
    assert json.loads(exact_untrusted(body)) == {"s2c": {name: str(value), "list": [{name: [str(value)]}]}}


@pytest.mark.parametrize(("value", "said"), [(SAFE_MAX, SAFE_MAX), (SAFE_MAX + 1, str(SAFE_MAX + 1)), (-1, -1)])
def test_amounts_are_numbers_as_long_as_they_can_be(value: int, said: object) -> None:
    assert json.loads(exact_untrusted(b'{"volume":%d}' % value)) == {"volume": said}


def test_what_is_no_number_stays() -> None:
    body = '{"accID":null,"orderID":"7","fillID":true,"userID":{"volume":1},"name":"腾讯 1e3","x":1.5}'.encode()
    assert exact_untrusted(body) == body


@given(VALUES)
def test_nothing_is_lost_on_a_browser(value: object) -> None:
    body = json.dumps({"s2c": value}).encode()
    said = as_a_browser(exact_untrusted(body))

    def same(ours: Any, theirs: Any) -> bool:
        if isinstance(ours, dict):
            return ours.keys() == theirs.keys() and all(same(item, theirs[key]) for key, item in ours.items())
        if isinstance(ours, list):
            return len(ours) == len(theirs) and all(map(same, ours, theirs))
        if isinstance(ours, int) and not isinstance(ours, bool) and isinstance(theirs, str):
            return str(ours) == theirs
        if isinstance(ours, int) and not isinstance(ours, bool):
            return int(theirs) == ours
        return bool(ours == theirs)

    assert same({"s2c": value}, said)


def test_it_is_read_back_as_the_same_message() -> None:
    body = b'{"c2s":{"accIDList":[281756478396547854]}}'
    read = [decode_untrusted(opend.SubAccPushRequest, one, 1) for one in (body, exact_untrusted(body))]
    assert read[0] == read[1]


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":\xff}', b"[" * 3000 + b"]" * 3000, b'{"a":1e999}'])
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        exact_untrusted(body)


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        exact_untrusted(body)
