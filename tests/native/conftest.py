"""Every test that takes `impl` runs over the pure twin and over the compiled modules."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True)
class Impl:
    framing: ModuleType
    scan: ModuleType


IMPLEMENTATIONS = {"pure": ("_pure", "_pure_scan"), "native": ("_framing", "_scan")}


def load(name: str) -> Impl:
    framing, scan = IMPLEMENTATIONS[name]
    return Impl(
        framing=importlib.import_module(f"opendmux.native.{framing}"),
        scan=importlib.import_module(f"opendmux.native.{scan}"),
    )


@pytest.fixture(scope="session", params=sorted(IMPLEMENTATIONS))
def impl(request: pytest.FixtureRequest) -> Impl:
    return load(request.param)


@pytest.fixture(scope="session")
def both() -> tuple[Impl, Impl]:
    """(pure, native), for tests that compare the two."""
    return load("pure"), load("native")
