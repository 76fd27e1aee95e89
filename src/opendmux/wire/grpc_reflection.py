"""Server reflection: the service definitions of this server, for tools without .proto files."""

from __future__ import annotations

from typing import Final, cast

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import DecodeError

from .grpc_status import CallError, Code
from .pb import futu, grpc_health, grpc_reflection, grpc_reflection_v1alpha

__all__ = ["SERVICES", "reflect_untrusted"]

_FILES: Final = tuple(
    cast("FileDescriptor", message.DESCRIPTOR.file)
    for message in (
        futu.FutuRequest,
        grpc_health.HealthCheckRequest,
        grpc_reflection.ServerReflectionRequest,
        grpc_reflection_v1alpha.ServerReflectionRequest,
    )
)
SERVICES: Final = tuple(sorted(service.full_name for file in _FILES for service in file.services_by_name.values()))
"""Full names."""


def _symbols() -> dict[str, FileDescriptor]:
    symbols: dict[str, FileDescriptor] = {}
    for file in _FILES:
        for service in file.services_by_name.values():
            symbols[service.full_name] = file
            symbols.update({f"{service.full_name}.{method.name}": file for method in service.methods})
        for message in file.message_types_by_name.values():
            symbols[message.full_name] = file
            symbols.update({f"{message.full_name}.{name}": file for name in message.fields_by_name})
            symbols.update({f"{message.full_name}.{name}": file for name in message.enum_types_by_name})
    return symbols


_BY_SYMBOL: Final = _symbols()
_BY_NAME: Final = {file.name: file for file in _FILES}
_MESSAGES: Final = frozenset(message.full_name for file in _FILES for message in file.message_types_by_name.values())


def reflect_untrusted(data: bytes) -> bytes:
    """The answer to one ServerReflectionRequest, of v1 or v1alpha: they are the same on the wire. Raises CallError."""
    try:
        request = grpc_reflection.ServerReflectionRequest.FromString(data)
    except DecodeError as error:
        raise CallError(Code.INVALID_ARGUMENT, "the message is no ServerReflectionRequest") from error
    answer = grpc_reflection.ServerReflectionResponse(valid_host=request.host, original_request=request)
    match request.WhichOneof("message_request"):
        case "list_services":
            for name in SERVICES:
                answer.list_services_response.service.add(name=name)
        case "file_by_filename":
            _give(answer, _BY_NAME.get(request.file_by_filename), f"no file {request.file_by_filename!r}")
        case "file_containing_symbol":
            symbol = request.file_containing_symbol
            _give(answer, _BY_SYMBOL.get(symbol), f"no symbol {symbol!r}")
        case "all_extension_numbers_of_type" if request.all_extension_numbers_of_type in _MESSAGES:
            answer.all_extension_numbers_response.base_type_name = request.all_extension_numbers_of_type
        case "all_extension_numbers_of_type" | "file_containing_extension":
            _give(answer, None, "no such extension")
        case _:
            _say(answer, Code.INVALID_ARGUMENT, "the request asks for nothing")
    return answer.SerializeToString()


def _give(answer: grpc_reflection.ServerReflectionResponse, file: FileDescriptor | None, missing: str) -> None:
    if file is None:
        _say(answer, Code.NOT_FOUND, missing)
    else:
        answer.file_descriptor_response.file_descriptor_proto.append(file.serialized_pb)


def _say(answer: grpc_reflection.ServerReflectionResponse, code: Code, text: str) -> None:
    answer.error_response.error_code = code
    answer.error_response.error_message = text
