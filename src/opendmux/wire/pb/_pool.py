"""The private descriptor pool behind this package's message classes."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ["load"]

_pool = descriptor_pool.DescriptorPool()
_loaded: set[str] = set()


def load(name: str) -> dict[str, Any]:
    """The top-level message classes and enum wrappers of ``<name>.binpb``, by name."""
    data = (files(__package__) / f"{name}.binpb").read_bytes()
    file_set = descriptor_pb2.FileDescriptorSet.FromString(data)
    for file in file_set.file:
        if file.name not in _loaded:
            _pool.Add(file)
            _loaded.add(file.name)
    descriptor = _pool.FindFileByName(f"{name}.proto")
    return {
        message_name: message_factory.GetMessageClass(message)
        for message_name, message in descriptor.message_types_by_name.items()
    }
