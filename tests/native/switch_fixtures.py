"""The switch, pure and compiled. Asked for by ``pytest_plugins = ("tests.native.switch_fixtures",)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.native.switch_kit import LIMITS, Bench, load

if TYPE_CHECKING:
    from opendmux.native import Switch
    from tests.native.switch_kit import NewSwitch


@pytest.fixture(params=["native", "pure"])
def switch_impl(request: pytest.FixtureRequest) -> type[Switch]:
    return load(request.param)


@pytest.fixture
def new_switch(switch_impl: type[Switch]) -> NewSwitch:
    """Make a switch with wide limits, but for those named."""

    def make(**limits: int) -> Switch:
        return switch_impl(**(LIMITS | limits))

    return make


@pytest.fixture
def bench(new_switch: NewSwitch) -> Bench:
    return Bench(new_switch())
