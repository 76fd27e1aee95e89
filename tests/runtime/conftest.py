"""What every test of the runtime has."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock


@pytest.fixture(autouse=True)
def no_thread_beside_the_mock_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that jumps when nothing is left to run does not see that a thread still works: what a test then finds
    would hang on the speed of the disk. With such a clock, work for threads is done on the spot."""
    if "autojump_clock" in request.fixturenames:
        monkeypatch.setattr(trio.to_thread, "run_sync", _on_the_spot)


async def _on_the_spot(function: Callable[..., object], *args: object, **_options: object) -> object:
    assert isinstance(trio.lowlevel.current_clock(), MockClock)
    await trio.lowlevel.checkpoint()
    result = function(*args)
    await trio.lowlevel.cancel_shielded_checkpoint()
    return result
