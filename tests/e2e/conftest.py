"""What several files of end-to-end tests need."""

from __future__ import annotations

from pathlib import Path

import pytest

from opendmux.cli import main


@pytest.fixture(scope="session")
def futu_proto(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The definition as users get it, with Python's stubs beside it."""
    from grpc_tools import protoc

    folder = tmp_path_factory.mktemp("proto")
    assert main(["proto", "--out", str(folder)]) == 0
    options = [f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main(["protoc", *options, str(folder / "futu.proto")]) == 0
    return folder / "futu.proto"
