"""Messages of opend.proto filled at random. Holds no tests."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from opendmux.wire.pb import opend

CLASSES: list[type[Message]] = sorted(
    (each for each in vars(opend).values() if isinstance(each, type) and issubclass(each, Message)),
    key=lambda each: each.__name__,
)
"""Every message that is described."""

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
    FieldDescriptor.TYPE_STRING: TEXTS,
}


def _values(descriptor: Any, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for field in descriptor.fields:
        if field.message_type is None:
            value = SCALARS[field.type]
        elif depth == 0:
            continue
        else:
            value = _values(field.message_type, depth - 1)
        # In proto2 every field has presence but the repeated ones.
        fields[field.name] = value if field.has_presence else st.lists(value, max_size=3)
    return st.fixed_dictionaries({}, optional=fields)


def messages() -> st.SearchStrategy[Message]:
    """Any message, any of its fields set or not; a value that happens to be the default counts as set."""
    return st.sampled_from(CLASSES).flatmap(lambda cls: _values(cls.DESCRIPTOR, 4).map(lambda values: cls(**values)))
