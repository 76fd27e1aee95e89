"""Encode and decode the messages of proto/opend.proto, as protobuf or as OpenD's JSON.

JSON differs by direction: clients send protobuf's canonical JSON (lowerCamelCase names, 64-bit numbers as strings);
what goes to a client must carry the exact .proto names and plain numbers, because the Python SDK reads it with a
converter of its own that silently ignores other names (protocol reference, section 5).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from opendmux.errors import RemoteProtocolError

from .frame import ProtoFmt, RetType
from .pb import opend

__all__ = [
    "REQUEST_BYTES",
    "canonical_json",
    "decode_answer_untrusted",
    "decode_untrusted",
    "encode",
    "head_untrusted",
    "numbered_untrusted",
    "plain",
    "ret_body",
    "to_client",
    "too_long",
]

M = TypeVar("M", bound=Message)

REQUEST_BYTES: Final = 256 * 1024
"""Largest request that is looked into: twice the SDKs' largest, 2,000 options in JSON. Nobody else is served meanwhile,
and a request of many megabytes would take seconds. What is passed on unread may be longer."""


class _Head(msgspec.Struct, rename="camel"):
    """A response, as far as every response is alike."""

    ret_type: int = RetType.UNKNOWN
    ret_msg: str = ""


def too_long(body: bytes) -> str:
    """Why a request is not looked into that is longer than `REQUEST_BYTES`."""
    return f"it has {len(body)} bytes, and at most {REQUEST_BYTES} are read"


def decode_untrusted(cls: type[M], body: bytes, proto_fmt: int) -> M:
    """Parse a body. Raises RemoteProtocolError when it is not a ``cls`` in that format.

    JSON is read strictly: an unknown field or a doubled key is refused, so that nobody can read another value than we
    did. A request may have `REQUEST_BYTES`.
    """
    message = cls()
    if len(body) > REQUEST_BYTES and cls.DESCRIPTOR.name.endswith("Request"):
        raise RemoteProtocolError(f"the body is not a {cls.DESCRIPTOR.name}: {too_long(body)}")
    if proto_fmt == ProtoFmt.PROTOBUF:
        try:
            message.ParseFromString(body)
        except DecodeError as error:
            raise RemoteProtocolError(f"the body is not a {cls.DESCRIPTOR.name}: {error}") from error
        _check_texts_untrusted(message, cls.DESCRIPTOR.name)
        return message
    if proto_fmt == ProtoFmt.JSON:
        return _of_json_untrusted(message, body, ignore_unknown=False)
    raise RemoteProtocolError(f"unknown proto_fmt {proto_fmt}: 0 is protobuf, 1 is JSON")


def decode_answer_untrusted(cls: type[M], body: bytes, proto_fmt: int) -> M:
    """As `decode_untrusted`, for what OpenD says: fields of its JSON that we have no use for are passed over."""
    if proto_fmt != ProtoFmt.JSON:
        return decode_untrusted(cls, body, proto_fmt)
    return _of_json_untrusted(cls(), body, ignore_unknown=True)


def numbered_untrusted(body: bytes, place: Sequence[str], numbers: Mapping[str, int]) -> bytes:
    """A JSON request with the enum names in the list at ``place`` as numbers, for a field that opend.proto keeps as
    numbers because an enum of it would lose the values that are not known yet.

    What can't be read is returned as it is: `decode_untrusted` says what is wrong with it.
    """
    if len(body) > REQUEST_BYTES:
        return body
    try:
        tree = json.loads(body, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return body
    owner: Any = tree
    for name in place[:-1]:
        owner = owner.get(name) if isinstance(owner, dict) else None
    items = owner.get(place[-1]) if isinstance(owner, dict) else None
    if not isinstance(items, list) or not any(isinstance(item, str) for item in items):
        return body
    owner[place[-1]] = [numbers.get(item, item) if isinstance(item, str) else item for item in items]
    return json.dumps(tree).encode()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("doubled key")
    return found


def head_untrusted(body: bytes, proto_fmt: int) -> tuple[int, str]:
    """(retType, retMsg) of a response of OpenD, whatever else is in it. Raises RemoteProtocolError for no response."""
    if proto_fmt != ProtoFmt.JSON:
        head = decode_untrusted(opend.ResponseHead, body, proto_fmt)
        return head.retType, head.retMsg
    try:
        said = msgspec.json.decode(body, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"the JSON body is not a response: {error}") from error
    return said.ret_type, said.ret_msg


def encode(message: Message) -> bytes:
    """Protobuf bytes, the form that goes upstream."""
    return message.SerializeToString()


def canonical_json(message: Message) -> bytes:
    """Protobuf's canonical JSON, as the SDKs send it: the form in which a JSON request goes upstream."""
    return json_format.MessageToJson(message, indent=None).encode()


def to_client(message: Message, proto_fmt: int) -> bytes:
    """A response body in the client's format."""
    if proto_fmt == ProtoFmt.JSON:
        return msgspec.json.encode(plain(message))
    return message.SerializeToString()


def ret_body(proto_fmt: int, ret_type: int, ret_msg: str = "") -> bytes:
    """The body of a Response without S2C. ``retType`` is always written, 0 included: absent means -400 to every
    client."""
    head = opend.ResponseHead(retType=ret_type)
    if ret_msg:
        head.retMsg = ret_msg
    return to_client(head, proto_fmt)


def _of_json_untrusted(message: M, body: bytes, *, ignore_unknown: bool) -> M:
    name = message.DESCRIPTOR.name
    # Depending on its release the library takes a list for an empty message, or raises what it does not document.
    if not body.lstrip(b" \t\r\n").startswith(b"{"):
        raise RemoteProtocolError(f"the JSON body is not a {name}: it is not an object")
    try:
        json_format.Parse(body, message, ignore_unknown_fields=ignore_unknown)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"the JSON body is not a {name}: {error}") from error
    return message


def _check_texts_untrusted(message: Message, name: str) -> None:
    """The library keeps a proto2 string that is not UTF-8 as bytes, where its annotation promises str."""
    for field, value in message.ListFields():
        if field.message_type is None and field.type != field.TYPE_STRING:
            continue
        for item in (value,) if field.has_presence else value:
            if field.message_type is not None:
                _check_texts_untrusted(item, name)
            elif isinstance(item, bytes):
                raise RemoteProtocolError(f"the body is not a {name}: {field.name} is not UTF-8")


def plain(message: Message) -> dict[str, Any]:
    """The fields that are set, by their names in the .proto file, as values for JSON; bytes as they are."""
    fields: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.message_type is None:
            fields[field.name] = list(value) if _is_repeated(field) else value
        elif _is_repeated(field):
            fields[field.name] = [plain(item) for item in value]
        else:
            fields[field.name] = plain(value)
    return fields


def _is_repeated(field: FieldDescriptor) -> bool:
    # `is_repeated` came with protobuf 6.31, and `label` is deprecated since.
    known = getattr(field, "is_repeated", None)
    if known is not None:
        return bool(known)
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)  # type: ignore[attr-defined]
