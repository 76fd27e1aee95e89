"""Reflection's answers."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from opendmux.wire.grpc_reflection import SERVICES, reflect_untrusted
from opendmux.wire.grpc_status import CallError, Code
from opendmux.wire.pb import grpc_reflection as pb


def ask(**request: object) -> pb.ServerReflectionResponse:
    data = pb.ServerReflectionRequest(host="h", **request).SerializeToString()  # type: ignore[arg-type]
    answer = pb.ServerReflectionResponse.FromString(reflect_untrusted(data))
    assert (answer.valid_host, answer.original_request.host) == ("h", "h")
    return answer


def test_the_services() -> None:
    names = [service.name for service in ask(list_services="").list_services_response.service]
    assert tuple(names) == SERVICES
    assert names == [
        "futu.service.FutuOpenD",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ]


@pytest.mark.parametrize(
    "symbol",
    [
        "futu.service.FutuOpenD",
        "futu.service.FutuOpenD.Request",
        "futu.service.PushEvent",
        "futu.service.PushEvent.body",
    ],
)
def test_a_file_by_symbol_is_whole(symbol: str) -> None:
    (data,) = ask(file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto
    file = descriptor_pb2.FileDescriptorProto.FromString(data)
    assert (file.name, file.package) == ("futu.proto", "futu.service")
    descriptor_pool.DescriptorPool().Add(file)


@pytest.mark.parametrize("name", ["futu.proto", "grpc_health.proto", "grpc_reflection_v1alpha.proto"])
def test_a_file_by_name(name: str) -> None:
    (data,) = ask(file_by_filename=name).file_descriptor_response.file_descriptor_proto
    assert descriptor_pb2.FileDescriptorProto.FromString(data).name == name


@pytest.mark.parametrize(
    "request_",
    [
        {"file_by_filename": "opend.proto"},
        {"file_containing_symbol": "opendmux.wire.ResponseHead"},
        {"file_containing_extension": pb.ExtensionRequest(containing_type="x", extension_number=1)},
        {"all_extension_numbers_of_type": "x"},
    ],
)
def test_what_is_not_there(request_: dict[str, object]) -> None:
    assert ask(**request_).error_response.error_code == Code.NOT_FOUND


def test_no_message_has_extensions() -> None:
    answer = ask(all_extension_numbers_of_type="futu.service.PushEvent").all_extension_numbers_response
    assert (answer.base_type_name, list(answer.extension_number)) == ("futu.service.PushEvent", [])


def test_a_request_for_nothing() -> None:
    assert ask().error_response.error_code == Code.INVALID_ARGUMENT


def test_what_is_no_request() -> None:
    with pytest.raises(CallError):
        reflect_untrusted(b"\xff")
