"""Bodies in and out: what is read, what is refused, and the JSON that the official SDK can read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import ProtoFmt, RetType
from opendmux.wire.messages import (
    REQUEST_BYTES,
    canonical_json,
    decode_answer_untrusted,
    decode_untrusted,
    encode,
    numbered_untrusted,
    ret_body,
    to_client,
)
from opendmux.wire.pb import opend
from tests.native.wire_format import anything, field, group, nested, scalar
from tests.wire.message_kit import CLASSES, messages

if TYPE_CHECKING:
    from google.protobuf.message import Message

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=150)

PB, JSON = ProtoFmt.PROTOBUF, ProtoFmt.JSON

HELLO = opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=300, clientID="PyNormal", recvNotify=True))


def c2s(text: str) -> bytes:
    return b'{"c2s": ' + text.encode() + b"}"


# -- in: protobuf


@DETERMINISTIC
@given(messages())
def test_protobuf_comes_back_as_it_was(message: Message) -> None:
    assert decode_untrusted(type(message), encode(message), PB) == message


def test_what_is_not_described_survives_protobuf() -> None:
    """OpenD may be newer than our field tables."""
    body = field(1, scalar(1, 300) + scalar(77, 5) + field(78, b"new"))
    assert encode(decode_untrusted(opend.InitConnectRequest, body, PB)) == body


@pytest.mark.parametrize("proto_fmt", [PB, JSON])
def test_a_request_that_would_take_long_to_read_is_not_read(proto_fmt: ProtoFmt) -> None:
    def body(request: type[Message], filler: int) -> bytes:
        message = request()
        message.c2s.remark = "x" * filler  # type: ignore[attr-defined]
        return encode(message) if proto_fmt == PB else canonical_json(message)

    room = REQUEST_BYTES - len(body(opend.PlaceOrderRequest, 100_000)) + 100_000
    decode_untrusted(opend.PlaceOrderRequest, body(opend.PlaceOrderRequest, room), proto_fmt)
    with pytest.raises(RemoteProtocolError, match="at most 262144 are read"):
        decode_untrusted(opend.PlaceOrderRequest, body(opend.PlaceOrderRequest, room + 1), proto_fmt)


def test_an_answer_may_be_long() -> None:
    answer = opend.ResponseHead(retType=0, retMsg="x" * REQUEST_BYTES)
    assert decode_untrusted(opend.ResponseHead, encode(answer), PB) == answer


def test_every_request_is_called_one() -> None:
    assert {cls.DESCRIPTOR.name for cls in CLASSES if cls.DESCRIPTOR.fields_by_name.get("c2s")} == {
        cls.DESCRIPTOR.name for cls in CLASSES if cls.DESCRIPTOR.name.endswith("Request")
    }


def test_nothing_is_required() -> None:
    """What a peer left out is judged by code with a clear answer, never by the parser."""
    for cls in CLASSES:
        assert decode_untrusted(cls, b"", PB) == cls()


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a",
        b"\x0a\x05ab",
        field(1, b"\x08"),
        b"\x08" + b"\xff" * 11,
        b"\x07",
        scalar(0, 1),
        b"\x0b" * 200,
    ],
    ids=["no length", "cut", "cut inside", "varint too long", "wire type 7", "field 0", "open groups"],
)
def test_broken_protobuf_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="the body is not a InitConnectRequest"):
        decode_untrusted(opend.InitConnectRequest, body, PB)


@pytest.mark.parametrize("body", [group(9, scalar(1, 1)), nested(5000, number=9)], ids=["group", "depth"])
def test_what_is_not_described_may_be_anything(body: bytes) -> None:
    assert encode(decode_untrusted(opend.InitConnectRequest, body, PB)) == body


@pytest.mark.parametrize(
    ("cls", "body", "name"),
    [
        (opend.ResponseHead, scalar(1, 0) + field(2, b"\xb2\xbb"), "retMsg"),
        (opend.InitConnectRequest, field(1, field(2, b"\xff")), "clientID"),
        (
            opend.SubRequest,
            field(1, field(1, scalar(1, 1) + field(2, b"7")) + field(1, field(2, b"\xed\xa0\x80"))),
            "code",
        ),
    ],
    ids=["at the top", "one level down", "in a list"],
)
def test_text_that_is_not_utf_8_is_refused(cls: type[Message], body: bytes, name: str) -> None:
    """The library would hand out bytes where str is promised, and whoever uses them gets an error that is not ours."""
    with pytest.raises(RemoteProtocolError, match=f"{name} is not UTF-8"):
        decode_untrusted(cls, body, PB)


@DETERMINISTIC
@given(cls=st.sampled_from(CLASSES), body=anything)
def test_what_was_read_can_be_written(cls: type[Message], body: bytes) -> None:
    try:
        message = decode_untrusted(cls, body, PB)
    except RemoteProtocolError:
        return
    json.loads(to_client(message, JSON))


# -- in: JSON


@DETERMINISTIC
@given(messages())
def test_json_as_the_sdk_writes_it(message: Message) -> None:
    """Canonical JSON: 64-bit numbers are strings."""
    body = json_format.MessageToJson(message).encode("ascii")
    assert decode_untrusted(type(message), body, JSON) == message


def test_a_captured_shape() -> None:
    body = b"""{
      "c2s": {
        "accIDList": [
          "281756478396547854",
          "18446744073709551615"
        ]
      }
    }"""
    request = decode_untrusted(opend.SubAccPushRequest, body, JSON)
    assert list(request.c2s.accIDList) == [281756478396547854, 2**64 - 1]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "not an object"),
        (b"null", "not an object"),
        (b"[]", "not an object"),
        (b"5", "not an object"),
        (b'"c2s"', "not an object"),
        (b'{"c2s": 5}', "c2s"),
        (b"{}{}", "Extra data"),
        (b'{"c2s": {}', "delimiter"),
        (b'{"c2s": {}, "more": 1}', "more"),
        (c2s('{"clientVersion": 1}'), "clientVersion"),
        (c2s('{"clientVer": 1, "clientVer": 2}'), "duplicate"),
        (b'{"c2s": {"clientVer": 1}, "c2s": {"clientVer": 2}}', "duplicate"),
        (c2s('{"clientVer": 2147483648}'), "clientVer"),
        (c2s('{"clientVer": 1.5}'), "clientVer"),
        (c2s('{"clientVer": true}'), "clientVer"),
        (c2s('{"clientVer": "one"}'), "clientVer"),
        (c2s('{"clientVer": NaN}'), "clientVer"),
        (c2s('{"clientVer": ' + "1" * 5000 + "}"), "digits"),
        (c2s('{"clientVer": "' + "1" * 5000 + '"}'), "clientVer"),
        (c2s('{"clientVer": [1]}'), "clientVer"),
        (c2s('{"recvNotify": 1}'), "recvNotify"),
        (c2s('{"recvNotify": "true"}'), "recvNotify"),
        (c2s('{"clientID": 5}'), "clientID"),
        (c2s(r'{"clientID": "\ud800"}'), "surrogate"),
        (b'{"c2s": {"clientID": "\xff"}}', "utf-8"),
        (b"\xff\xfe{\x00}\x00", "not an object"),
        (b"\xef\xbb\xbf{}", "not an object"),
        (b'{"c2s": ' * 10**4, "recursion"),
        (b"[" * 10**5, "not an object"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
def test_json_is_read_strictly(body: bytes, word: str) -> None:
    with pytest.raises(RemoteProtocolError, match=word) as caught:
        decode_untrusted(opend.InitConnectRequest, body, JSON)
    assert "the JSON body is not a InitConnectRequest" in str(caught.value)


def test_white_space_around_json_is_fine() -> None:
    assert decode_untrusted(opend.InitConnectRequest, b" \r\n\t{ } \n", JSON) == opend.InitConnectRequest()


def test_json_lists_are_read_strictly() -> None:
    for bad in (
        '{"accIDList": 5}',
        '{"accIDList": [null]}',
        '{"accIDList": [-1]}',
        '{"accIDList": [18446744073709551616]}',
    ):
        with pytest.raises(RemoteProtocolError, match="accIDList"):
            decode_untrusted(opend.SubAccPushRequest, c2s(bad), JSON)


# -- in: anything


@DETERMINISTIC
@given(cls=st.sampled_from(CLASSES), body=anything, proto_fmt=st.sampled_from([0, 1]))
def test_any_bytes_are_a_message_or_one_error(cls: type[Message], body: bytes, proto_fmt: int) -> None:
    try:
        message = decode_untrusted(cls, body, proto_fmt)
    except RemoteProtocolError:
        return
    assert isinstance(message, cls)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@DETERMINISTIC
@given(data=st.data(), cls=st.sampled_from([cls for cls in CLASSES if cls.DESCRIPTOR.fields]))
def test_any_json_is_a_message_or_one_error(data: st.DataObject, cls: type[Message]) -> None:
    """Values of every kind where another is expected, at the top and one level down."""

    def filled(descriptor: Any, depth: int) -> st.SearchStrategy[Any]:
        values: dict[str, st.SearchStrategy[Any]] = {}
        for each in descriptor.fields:
            inner = filled(each.message_type, depth - 1) if each.message_type and depth else JSON_VALUES
            values[each.name] = inner | JSON_VALUES | st.lists(inner, max_size=2)
        return st.fixed_dictionaries({}, optional=values)

    body = json.dumps(data.draw(filled(cls.DESCRIPTOR, 2) | JSON_VALUES)).encode()
    try:
        message = decode_untrusted(cls, body, JSON)
    except RemoteProtocolError:
        return
    assert decode_untrusted(cls, encode(message), PB) == message


@pytest.mark.parametrize("proto_fmt", [2, 7, 255, -1])
def test_an_unknown_format_is_refused(proto_fmt: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"unknown proto_fmt {proto_fmt}"):
        decode_untrusted(opend.InitConnectRequest, encode(HELLO), proto_fmt)


# -- out


@DETERMINISTIC
@given(messages())
def test_json_out_has_proto_names_and_plain_numbers(message: Message) -> None:
    """The SDK's reader takes exact .proto names alone, and no strings for numbers in lists."""
    expected = json_format.MessageToDict(message, preserving_proto_field_name=True)
    _plain_numbers(expected, type(message).DESCRIPTOR)
    assert json.loads(to_client(message, JSON)) == expected


def _plain_numbers(fields: dict[str, Any], descriptor: Any) -> None:
    """Undo the one thing in which protobuf's own JSON differs."""
    for each in descriptor.fields:
        if each.name not in fields:
            continue
        value = fields[each.name]
        if each.message_type is not None:
            for item in [value] if each.has_presence else value:
                _plain_numbers(item, each.message_type)
        elif each.cpp_type in (each.CPPTYPE_INT64, each.CPPTYPE_UINT64):
            fields[each.name] = int(value) if each.has_presence else [int(item) for item in value]


@DETERMINISTIC
@given(messages())
def test_protobuf_out_is_the_message(message: Message) -> None:
    assert type(message).FromString(to_client(message, PB)) == message


def test_json_out_to_the_letter() -> None:
    own = opend.ConnSubInfo(
        subInfoList=[opend.SubInfo(subType=1, securityList=[opend.Security(market=1, code="00700")])],
        usedQuota=1,
        isOwnConnData=True,
    )
    response = opend.GetSubInfoResponse(
        retType=0, s2c=opend.GetSubInfoS2C(connSubInfoList=[own], totalUsedQuota=0, remainQuota=100)
    )
    assert to_client(response, JSON) == (
        b'{"retType":0,"s2c":{"connSubInfoList":[{"subInfoList":[{"subType":1,"securityList":'
        b'[{"market":1,"code":"00700"}]}],"usedQuota":1,"isOwnConnData":true}],"totalUsedQuota":0,"remainQuota":100}}'
    )


def test_json_out_writes_64_bits_as_numbers() -> None:
    s2c = opend.InitConnectS2C(loginUserID=2**64 - 1, connID=7333333333333333333)
    body = to_client(opend.InitConnectResponse(retType=0, s2c=s2c), JSON)
    assert body == b'{"retType":0,"s2c":{"loginUserID":18446744073709551615,"connID":7333333333333333333}}'


def test_text_out_is_utf_8() -> None:
    assert to_client(opend.Security(code="腾讯"), JSON).decode() == '{"code":"腾讯"}'


@DETERMINISTIC
@given(messages())
def test_canonical_json_is_what_an_sdk_would_have_sent(message: Message) -> None:
    """For a JSON request that goes on upstream after core has looked into it."""
    body = canonical_json(message)
    assert json.loads(body) == json_format.MessageToDict(message)
    assert decode_untrusted(type(message), body, JSON) == message
    assert b"\n" not in body


# -- retType


@pytest.mark.parametrize("ret_type", list(RetType))
@pytest.mark.parametrize("proto_fmt", [PB, JSON])
def test_ret_type_is_always_written(ret_type: RetType, proto_fmt: ProtoFmt) -> None:
    """Absent means -400 to every client, so 0 must be there too."""
    body = ret_body(proto_fmt, ret_type)
    if proto_fmt == JSON:
        assert json.loads(body) == {"retType": int(ret_type)}
    else:
        assert body == scalar(1, ret_type)
    assert decode_untrusted(opend.ResponseHead, body, proto_fmt).retType == ret_type


def test_ret_msg() -> None:
    assert ret_body(PB, -1, "no") == scalar(1, -1) + field(2, b"no")
    assert ret_body(JSON, -1, "no") == b'{"retType":-1,"retMsg":"no"}'
    assert opend.ResponseHead.FromString(b"").retType == RetType.UNKNOWN


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "3", '{"a": 1}', '{"a": {}}', '{"a": {"b": "X"}}', '{"a": {"b": [1]}}', '{"a": 1, "a": {"b": ["X"]}}'],
)
def test_what_has_no_enum_names_stays_as_it_is(text: str) -> None:
    assert numbered_untrusted(text.encode(), ("a", "b"), {"X": 9}) == text.encode()


def test_enum_names_become_numbers() -> None:
    body = numbered_untrusted(b'{"a": {"b": ["X", 1, "Y"], "c": "X"}}', ("a", "b"), {"X": 9})
    assert json.loads(body) == {"a": {"b": [9, 1, "Y"], "c": "X"}}


@DETERMINISTIC
@given(st.binary())
def test_no_bytes_crash_the_reader_of_enum_names(body: bytes) -> None:
    assert numbered_untrusted(body, ("a", "b"), {"X": 9}) == body


# -- what OpenD says


def test_fields_of_an_answer_that_nobody_needs_are_passed_over() -> None:
    text = b'{"retType": 0, "s2c": {"orderID": "7", "orderIDEx": "X7", "news": [1]}, "more": null}'
    for body, proto_fmt in [(text, JSON), (scalar(1, 0) + field(4, scalar(2, 7) + field(3, b"X7")), PB)]:
        s2c = decode_answer_untrusted(opend.OrderIdResponse, body, proto_fmt).s2c
        assert (s2c.orderID, s2c.orderIDEx) == (7, "X7")


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'{"s2c": 1}', b'{"retType": "x"}', b"\xff"])
def test_an_answer_that_can_not_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_answer_untrusted(opend.OrderIdResponse, body, JSON)
