"""``keys.json``: what is taken, what is refused in which words, and that writing and reading agree."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core.keyfile import dump, parse
from opendmux.core.keyrecord import LimitsRecord, Record
from opendmux.core.keys import ALL_SCOPES, HoursWindow, Key, KeyLimits
from opendmux.core.markets import ALL_MARKETS, TRD_SIDES
from opendmux.errors import ConfigError

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=150)
PLAINTEXT = "fc_" + "0" * 64
HASH = hashlib.sha256(PLAINTEXT.encode()).hexdigest()
MD5 = hashlib.md5(PLAINTEXT.encode()).hexdigest()
NOW = 1_800_000_000.0


def raw_key(**fields: object) -> dict[str, object]:
    return {"id": "bot", "hash": HASH, "scopes": ["qot:read"], **fields}


def file_of(*keys: object) -> bytes:
    return json.dumps({"version": 1, "keys": keys}).encode()


def read_key(**fields: object) -> Key:
    return parse(file_of(raw_key(**fields)), "keys.json").keyring.keys["bot"]


def refusal(data: bytes) -> str:
    with pytest.raises(ConfigError) as refused:
        parse(data, "keys.json")
    text = str(refused.value)
    assert "\n" not in text
    return text


def taken_or_refused(data: bytes) -> None:
    """And what was taken can be written."""
    try:
        records = parse(data, "keys.json").records
    except ConfigError:
        refusal(data)
    else:
        dump(records)


# -- what is taken


def test_every_field() -> None:
    limits = {
        "allowed_markets": ["HK", "US"],
        "allowed_symbols": ["HK.00700", "US.BRK.B", "US..DJI", "JP.NK225main"],
        "allowed_trd_sides": ["BUY", "SELL_SHORT"],
        "max_order_value": 1000,
        "max_daily_value": 2500.5,
        "max_orders_per_minute": 5,
        "hours_window": "22:00-04:00",
    }
    others = {
        "allowed_machines": ["aa"],
        "allowed_acc_ids": [281756455988247915, "281756455988247916"],
        "allowed_card_nums": ["1001100100000001"],
        "created_at": 1_767_225_600,
        "expires_at": "2030-01-31T08:00:00+08:00",
        "note": "für den Bot",
        "tz": "Asia/Hong_Kong",
        "allow_unknown": True,
        "strict_unlock": True,
        "cancel_on_disconnect": 0,
        "dead_man_s": 30.5,
        "previous_hash": "sha256:" + "b" * 64,
        "previous_until": "2027-01-01",
        "md5": MD5,
        "previous_md5": "c" * 32,
    }
    expected = Key(
        id="bot",
        scopes=frozenset({"qot:read"}),
        limits=KeyLimits(
            allowed_markets=frozenset({"HK", "HK_FUTURE", "US"}),
            allowed_symbols=frozenset({"HK.00700", "US.BRK.B", "US..DJI", "JP.NK225main"}),
            allowed_trd_sides=frozenset({"BUY", "SELL_SHORT"}),
            max_order_value=1000.0,
            max_daily_value=2500.5,
            max_orders_per_minute=5,
            hours_window=HoursWindow(22 * 60, 4 * 60),
        ),
        allowed_machines=frozenset({"aa"}),
        allowed_acc_ids=frozenset({281756455988247915, 281756455988247916}),
        allowed_card_nums=frozenset({"1001100100000001"}),
        created_at=1_767_225_600.0,
        expires_at=1_896_048_000.0,
        note="für den Bot",
        tz="Asia/Hong_Kong",
        allow_unknown=True,
        strict_unlock=True,
        cancel_on_disconnect=0.0,
        dead_man_s=30.5,
    )
    assert read_key(limits=limits, **others) == expected
    assert read_key(**limits, **others) == expected, "limits may stand flat too"
    half = dict(list(limits.items())[3:])
    nested = {name: value for name, value in limits.items() if name not in half}
    assert read_key(limits=nested, **half, **others) == expected, "and some here, some there"


def test_absent_and_null_are_no_limit_and_an_empty_list_allows_nothing() -> None:
    plain = Key("bot", frozenset({"qot:read"}))
    names = (*LimitsRecord.__struct_fields__, *Record.__struct_fields__[3:])
    assert read_key() == plain
    assert read_key(**dict.fromkeys(names)) == plain
    nothing = read_key(allowed_markets=[], allowed_symbols=[], allowed_trd_sides=[])
    assert nothing.limits == KeyLimits(frozenset(), frozenset(), frozenset())
    frozen = read_key(allowed_machines=[], allowed_acc_ids=[], allowed_card_nums=[])
    assert (frozen.allowed_machines, frozen.allowed_acc_ids, frozen.allowed_card_nums) == (frozenset(),) * 3
    assert read_key(scopes=[]).scopes == frozenset()


@pytest.mark.parametrize("spelling", [HASH, HASH.upper(), f"sha256:{HASH}"])
def test_a_key_is_found_by_its_plaintext(spelling: str) -> None:
    ring = parse(file_of(raw_key(hash=spelling)), "keys.json").keyring
    assert ring.find(PLAINTEXT, NOW) is ring.keys["bot"]


def test_the_plaintext_before_a_rotation_works_until_its_time() -> None:
    raw = raw_key(hash="a" * 64, previous_hash=HASH, previous_until=NOW)
    ring = parse(file_of(raw), "keys.json").keyring
    assert ring.find(PLAINTEXT, NOW - 1) is ring.keys["bot"]
    assert ring.find(PLAINTEXT, NOW) is None


def test_a_byte_order_mark_and_no_keys() -> None:
    assert parse(b"\xef\xbb\xbf" + file_of(), "keys.json").records == ()


def test_a_market_stands_for_its_other_names() -> None:
    markets = read_key(allowed_markets=["CN", "CRYPTO"]).limits.allowed_markets
    assert markets == frozenset({"CN", "SH", "SZ", "CRYPTO", "CC"})
    assert read_key(allowed_markets=["SH", "CC"]).limits.allowed_markets == frozenset({"SH", "CC"}), "not the other way"


# -- what is refused

NUMBER = "must be a number of 0 or more, not"
BAD_FIELDS: list[tuple[dict[str, object], str]] = [
    ({"id": ""}, "id must be 1 to 64 of the characters A-Z a-z 0-9 . _ -, not ''"),
    ({"id": "a b"}, "id must be 1 to 64 of the characters A-Z a-z 0-9 . _ -, not 'a b'"),
    ({"id": "bot\n"}, r"id must be 1 to 64 of the characters A-Z a-z 0-9 . _ -, not 'bot\n'"),
    ({"id": "x" * 65}, f"id must be 1 to 64 of the characters A-Z a-z 0-9 . _ -, not '{'x' * 56}..."),
    ({"id": 7}, "id must be text, not 7"),
    ({"id": "anonymous"}, "id must not be 'anonymous': so callers without a key are called"),
    ({"hash": "abc"}, "hash must be the SHA-256 of the key: 64 hex digits, or sha256: and 64 hex digits"),
    ({"hash": "md5:" + HASH}, "hash must be the SHA-256 of the key: 64 hex digits, or sha256: and 64 hex digits"),
    (
        {"hash": PLAINTEXT},
        "hash must be the SHA-256 of the key: 64 hex digits, or sha256: and 64 hex digits; this is the key itself",
    ),
    ({"hash": 12345}, "hash must be text"),
    ({"md5": "abc"}, "md5 must be the MD5 of the key: 32 hex digits"),
    ({"md5": PLAINTEXT}, "md5 must be the MD5 of the key: 32 hex digits; this is the key itself"),
    ({"scopes": "qot:read"}, "scopes must be a list of scope names, not 'qot:read'"),
    ({"scopes": None}, "scopes must be a list of scope names, not null"),
    ({"scopes": ["qot.read"]}, "scopes names 'qot.read', which is not a scope; did you mean 'qot:read'?"),
    ({"scopes": ["zzz"]}, f"scopes names 'zzz', which is not a scope; there are {', '.join(ALL_SCOPES)}"),
    ({"limits": []}, "limits must be an object, not a list"),
    (
        {"limits": {"max_order_valu": 1}},
        "limits has an unknown field 'max_order_valu'; did you mean 'max_order_value'?",
    ),
    ({"limits": {"max_order_value": "1"}}, f"limits: max_order_value {NUMBER} '1'"),
    ({"limits": {"note": "x"}}, "limits has an unknown field 'note'"),
    ({"limits": {"tz": None}, "tz": None}, "limits has an unknown field 'tz'"),
    ({"limits": {"max_order_value": 1}, "max_order_value": 1}, "max_order_value stands both in limits and beside it; "),
    ({"limits": {"hours_window": None}, "hours_window": None}, "hours_window stands both in limits and beside it; "),
    ({"allowed_market": ["HK"]}, "has an unknown field 'allowed_market'; did you mean 'allowed_markets'?"),
    ({"zzzzzz": 1}, "has an unknown field 'zzzzzz'"),
    ({"allowed_markets": "HK"}, "allowed_markets must be a list of texts, or null for no limit, not 'HK'"),
    ({"allowed_markets": ["hk"]}, "allowed_markets names 'hk', which is not a market; did you mean 'HK'?"),
    ({"allowed_markets": ["MARS"]}, "allowed_markets names 'MARS', which is not a market; there are HK, HK_FUTURE, US"),
    (
        {"allowed_markets": ["HK", "FUTURES"]},
        "allowed_markets names 'FUTURES', which does not say where a security is listed; name HK, US, SG or JP instead",
    ),
    ({"allowed_markets": [None]}, "allowed_markets must be a list of texts, or null for no limit, not a list"),
    ({"allowed_symbols": ["00700"]}, "allowed_symbols names '00700', which is not MARKET.CODE, like HK.00700"),
    ({"allowed_symbols": ["HK."]}, "allowed_symbols names 'HK.', which is not MARKET.CODE, like HK.00700"),
    ({"allowed_symbols": ["HK.0070 0"]}, "allowed_symbols names 'HK.0070 0', which is not MARKET.CODE"),
    ({"allowed_symbols": ["HK.1,HK.2"]}, "allowed_symbols names 'HK.1,HK.2', which is not MARKET.CODE"),
    (
        {"allowed_symbols": ["USA.AAPL"]},
        "allowed_symbols names 'USA.AAPL', and 'USA' is not a market of securities; did you mean 'US'?",
    ),
    ({"allowed_symbols": ["CN.600000"]}, "allowed_symbols names 'CN.600000', and 'CN' is not a market of securities"),
    ({"allowed_trd_sides": ["BUYBACK"]}, "names 'BUYBACK', which is not a side of an order; did you mean 'BUY_BACK'?"),
    ({"max_order_value": -0.01}, f"max_order_value {NUMBER} -0.01"),
    ({"max_order_value": True}, f"max_order_value {NUMBER} true"),
    ({"max_daily_value": float("nan")}, f"max_daily_value {NUMBER} nan"),
    ({"max_daily_value": float("inf")}, f"max_daily_value {NUMBER} inf"),
    ({"max_daily_value": 10**400}, f"max_daily_value {NUMBER} 1000"),
    ({"max_orders_per_minute": 2.5}, "max_orders_per_minute must be a whole number of 0 or more, not 2.5"),
    ({"max_orders_per_minute": -1}, f"max_orders_per_minute {NUMBER} -1"),
    ({"hours_window": "9:30-16:00"}, "hours_window must be HH:MM-HH:MM, like 09:30-16:00 or 22:00-04:00, not '9:30-"),
    ({"hours_window": "09:30-24:00"}, "hours_window must be HH:MM-HH:MM"),
    ({"hours_window": "09:30-16:60"}, "hours_window must be HH:MM-HH:MM"),
    ({"hours_window": "09:30-09:30"}, "hours_window 09:30-09:30 starts and ends at the same minute; leave the field"),
    ({"hours_window": 930}, "hours_window must be text like 09:30-16:00, not 930"),
    ({"allowed_machines": [""]}, "allowed_machines must be a list of words of 1 to 128 printable characters; '' is no"),
    ({"allowed_card_nums": ["a\n"]}, "allowed_card_nums must be a list of words of 1 to 128 printable characters"),
    ({"allowed_card_nums": [1001]}, "allowed_card_nums must be a list of texts, or null for no limit, not a list"),
    ({"allowed_acc_ids": [0]}, "allowed_acc_ids must be a list of account numbers; 0 is none"),
    ({"allowed_acc_ids": [-5]}, "allowed_acc_ids must be a list of account numbers; -5 is none"),
    ({"allowed_acc_ids": [2**64]}, "allowed_acc_ids must be a list of account numbers; 18446744073709551616 is none"),
    ({"allowed_acc_ids": ["x1"]}, "allowed_acc_ids must be a list of account numbers; 'x1' is none"),
    ({"allowed_acc_ids": [True]}, "allowed_acc_ids must be a list of account numbers, or null for no limit"),
    ({"allowed_acc_ids": [1.5]}, "allowed_acc_ids must be a list of account numbers, or null for no limit"),
    ({"created_at": "soon"}, "created_at must be ISO 8601, like 2030-01-31T00:00:00Z, or Unix seconds, not 'soon'"),
    ({"expires_at": "31.01.2030"}, "expires_at must be ISO 8601, like 2030-01-31T00:00:00Z, or Unix seconds, not '31"),
    ({"expires_at": "2030-02-30"}, "expires_at must be ISO 8601"),
    ({"expires_at": -1}, "expires_at must be Unix seconds, from 0 to the year 5138, not -1"),
    ({"expires_at": float("nan")}, "expires_at must be Unix seconds, from 0 to the year 5138, not nan"),
    ({"expires_at": float("inf")}, "expires_at must be Unix seconds, from 0 to the year 5138, not inf"),
    ({"expires_at": 1_900_000_000_000}, "not 1900000000000, which looks like milliseconds"),
    ({"expires_at": True}, "expires_at must be ISO 8601 text, or Unix seconds, not true"),
    ({"note": ["x"]}, "note must be text, not a list"),
    ({"note": "\ud800"}, "note holds a character that is none"),
    (
        {"tz": "Asia/HongKong"},
        "tz must be a time zone like Asia/Hong_Kong, not 'Asia/HongKong'; did you mean 'Asia/Hon",
    ),
    ({"tz": "../../etc/passwd"}, "tz must be a time zone like Asia/Hong_Kong, not '../../etc/passwd'"),
    ({"tz": ""}, "tz must be a time zone like Asia/Hong_Kong, not ''"),
    ({"tz": 8}, "tz must be text like Asia/Hong_Kong, not 8"),
    ({"allow_unknown": 1}, "allow_unknown must be true or false, not 1"),
    ({"strict_unlock": "yes"}, "strict_unlock must be true or false, not 'yes'"),
    ({"cancel_on_disconnect": True}, "cancel_on_disconnect must be a number of seconds, not true"),
    ({"cancel_on_disconnect": -1}, "cancel_on_disconnect must be from 0 to 86400 seconds, not -1"),
    ({"dead_man_s": 0.5}, "dead_man_s must be from 1 to 86400 seconds, not 0.5"),
    ({"dead_man_s": 86401}, "dead_man_s must be from 1 to 86400 seconds, not 86401"),
    ({"previous_hash": "b" * 64}, "previous_hash needs previous_until beside it"),
    ({"previous_until": NOW}, "previous_until needs previous_hash beside it"),
    ({"previous_md5": "b" * 32}, "previous_md5 needs previous_hash beside it"),
    ({"previous_hash": PLAINTEXT, "previous_until": NOW}, "previous_hash must be the SHA-256 of the key"),
    ({"previous_hash": HASH, "previous_until": NOW}, "previous_hash is the same as another hash of the same key"),
]


@pytest.mark.parametrize(("fields", "text"), BAD_FIELDS, ids=[ascii(fields)[:60] for fields, _text in BAD_FIELDS])
def test_a_bad_field_is_named(fields: dict[str, object], text: str) -> None:
    said = refusal(file_of(raw_key(id="first", hash="f" * 64), raw_key(**fields)))
    assert said.startswith(("keys.json: key '", "keys.json: keys[1]"))
    assert text in said
    assert PLAINTEXT not in said
    if "id" not in fields:
        assert said.startswith("keys.json: key 'bot'")


BAD_FILES: list[tuple[bytes, str]] = [
    (b"", "keys.json is empty; `opendmux keys add` makes a first key"),
    (b" \n", "keys.json is empty; `opendmux keys add` makes a first key"),
    (
        b'{"version": 1,',
        "keys.json is not JSON: Expecting property name enclosed in double quotes in line 1, column 15",
    ),
    (b'{"version": 1, "keys": []} x', "keys.json is not JSON: Extra data in line 1, column 28"),
    (b"\xff\xfe{", "keys.json is not UTF-8 text: byte 0 can't be read"),
    (b"[" * 100_000, "keys.json is not a file of keys: it is nested too deep, or a number is too long"),
    (b'{"version": ' + b"1" * 5000 + b"}", "it is nested too deep, or a number is too long"),
    (b"[]", 'keys.json must hold an object like {"version": 1, "keys": []}'),
    (b'{"keys": []}', "keys.json has no field 'version'"),
    (b'{"version": 1}', "keys.json has no field 'keys'"),
    (b'{"version": 1, "key": []}', "keys.json has an unknown field 'key'; did you mean 'keys'?"),
    (b'{"version": 2, "keys": []}', "keys.json: version must be 1; this opendmux knows no other"),
    (b'{"version": true, "keys": []}', "keys.json: version must be 1"),
    (b'{"version": "1", "keys": []}', "keys.json: version must be 1"),
    (b'{"version": 1, "keys": {}}', "keys.json: keys must be a list"),
    (b'{"version": 1, "keys": [], "keys": []}', "keys.json: the field 'keys' stands twice in one object"),
    (b'{"id": "a", "limits": {}, "limits": {}}', "keys.json: the field 'limits' stands twice in key 'a'"),
    (file_of(5), "keys.json: keys[0] must be an object, not 5"),
    (file_of({}), "keys.json: keys[0] has no id"),
    (file_of({"id": "a"}), "keys.json: key 'a' has no hash"),
    (file_of({"id": "a", "hash": HASH}), "keys.json: key 'a' has no scopes"),
    (
        file_of({"id": "a", "hash": HASH, "scope": []}),
        "keys.json: key 'a' has no scopes; it has an unknown field 'scope'",
    ),
    (
        file_of(raw_key(), raw_key(hash="f" * 64)),
        "keys.json: two keys have the id 'bot'; the id must be of one key alone",
    ),
    (
        file_of(raw_key(), raw_key(id="b", hash=f"sha256:{HASH.upper()}")),
        "keys.json: key 'b': hash is the same as the one of key 'bot'; make a new key",
    ),
    (
        file_of(raw_key(), raw_key(id="b", hash="f" * 64, previous_hash=HASH, previous_until=NOW)),
        "keys.json: key 'b': previous_hash is the same as the one of key 'bot'; make a new key",
    ),
    (
        file_of(raw_key(md5=MD5), raw_key(id="b", hash="f" * 64, md5=MD5)),
        "keys.json: key 'b': md5 is the same as the one of key 'bot'; make a new key",
    ),
]


@pytest.mark.parametrize(("data", "text"), BAD_FILES, ids=[text[:60] for _data, text in BAD_FILES])
def test_a_bad_file_is_named(data: bytes, text: str) -> None:
    said = refusal(data)
    assert said.startswith("keys.json")
    assert text in said


@DETERMINISTIC
@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(max_size=9), st.lists).map(file_of))
def test_any_bytes_are_taken_or_refused_in_one_sentence(data: bytes) -> None:
    taken_or_refused(data)


JSON_VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
FIELD_NAMES = (*Record.__struct_fields__, *LimitsRecord.__struct_fields__)


@DETERMINISTIC
@given(st.dictionaries(st.sampled_from(FIELD_NAMES), JSON_VALUE, max_size=4))
def test_any_value_in_any_field_is_taken_or_refused_in_one_sentence(fields: dict[str, Any]) -> None:
    taken_or_refused(file_of(raw_key(**fields)))


# -- the page for users

PAGE = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*FIELD_NAMES, *ALL_SCOPES, *ALL_MARKETS, *TRD_SIDES.values()])
def test_every_name_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_file_of_the_page_is_good() -> None:
    example = PAGE.partition("```json\n")[2].partition("```")[0]
    assert list(parse(example.encode(), "keys.md").keyring.keys) == ["bot"]


# -- writing

TIMES = st.integers(0, 99_999_999_999) | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
WORDS = st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=9), max_size=3)
AMOUNTS = st.none() | st.floats(0, allow_nan=False, allow_infinity=False)
ACC_IDS: st.SearchStrategy[int | str] = st.integers(1, 2**64 - 1) | st.integers(1, 2**64 - 1).map(str)
HOURS = st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 23), st.integers(0, 59)).filter(
    lambda parts: parts[:2] != parts[2:]
)
LIMITS = st.builds(
    LimitsRecord,
    allowed_markets=st.none() | st.lists(st.sampled_from(ALL_MARKETS), max_size=3),
    allowed_symbols=st.none() | st.lists(st.sampled_from(["HK.00700", "US..DJI", "SH.600000"]), max_size=2),
    allowed_trd_sides=st.none() | st.lists(st.sampled_from(sorted(TRD_SIDES.values())), max_size=2),
    max_order_value=AMOUNTS,
    max_daily_value=AMOUNTS,
    max_orders_per_minute=st.none() | st.integers(0, 10**6),
    hours_window=st.none() | HOURS.map(lambda parts: "{:02}:{:02}-{:02}:{:02}".format(*parts)),
)


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    def one(number: int) -> Record:
        rotated = draw(st.booleans())
        return Record(
            id=f"key-{number}",
            hash=f"{number:064x}",
            scopes=draw(st.lists(st.sampled_from(ALL_SCOPES), max_size=4)),
            limits=draw(st.none() | LIMITS),
            allowed_machines=draw(st.none() | WORDS),
            allowed_acc_ids=draw(st.none() | st.lists(ACC_IDS, max_size=3)),
            allowed_card_nums=draw(st.none() | WORDS),
            created_at=draw(st.none() | TIMES),
            expires_at=draw(st.none() | TIMES),
            note=draw(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
            tz=draw(st.sampled_from([None, "Asia/Hong_Kong", "UTC"])),
            allow_unknown=draw(st.none() | st.booleans()),
            strict_unlock=draw(st.none() | st.booleans()),
            cancel_on_disconnect=draw(st.none() | st.floats(0, 86_400)),
            dead_man_s=draw(st.none() | st.floats(1, 86_400)),
            previous_hash=f"sha256:{number + 100:064x}" if rotated else None,
            previous_until=draw(TIMES) if rotated else None,
            md5=draw(st.sampled_from([None, f"{number:032x}"])),
        )

    return [one(number) for number in range(draw(st.integers(0, 3)))]


def test_the_md5s_lead_to_their_key() -> None:
    old = {"previous_hash": "d" * 64, "previous_until": 2_000.0, "previous_md5": "c" * 32}
    keys = parse(file_of(raw_key(md5=MD5, **old)), "keys.json").keyring
    key = keys.keys["bot"]
    assert keys.find_md5(bytes.fromhex(MD5), 3_000.0) == (key, bytes.fromhex(HASH))
    assert keys.find_md5(bytes.fromhex("c" * 32), 1_999.0) == (key, bytes.fromhex("d" * 64))
    assert keys.find_md5(bytes.fromhex("c" * 32), 2_000.0) is None


@DETERMINISTIC
@given(records())
def test_what_is_written_is_read_again(written: list[Record]) -> None:
    data = dump(written)
    read = parse(data, "keys.json")
    assert list(read.records) == [
        Record(**{**fields(record), "limits": None if record.limits == LimitsRecord() else record.limits})
        for record in written
    ], "an object of limits without a limit is left out"
    assert dump(read.records) == data or any(record.limits == LimitsRecord() for record in written)
    assert list(read.keyring.keys) == [record.id for record in written]


def fields(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}
