"""Rates: differences of readings, clients that come and go, a window of a minute."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from opendmux.runtime.sampler import WINDOW, Sampler
from opendmux.wire.frame import build_frame
from opendmux.wire.protocols import ProtoId

from .world import OK, World, world


def sampler_of(w: World) -> Sampler:
    return Sampler(lambda: w.proxy.stations)


async def test_a_rate_is_what_came_between_two_readings(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[ProtoId.QOT_GET_BROKER] = lambda _frame: OK
        sampler, samples = sampler_of(w), sampler_of(w).of(0)
        samples = sampler.of(0)
        client = await w.client()
        sampler.take(100.0)
        assert samples.rates(lambda sample: sample.requests) == []
        assert samples.seconds == 0.0
        for _ in range(6):
            await client.call(ProtoId.QOT_GET_BROKER, b"")
        sampler.take(104.0)
        assert samples.rates(lambda sample: sample.requests) == [1.5]
        assert samples.of_client(1) == (1.5, 0.0)
        sampler.take(105.0)
        assert samples.rates(lambda sample: sample.requests) == [1.5, 0.0]
        assert samples.of_client(1) == (0.0, 0.0)
        assert samples.of_client(99) == (0.0, 0.0)


async def test_pushes_of_a_client(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.client()
        sampler = sampler_of(w)
        sampler.take(0.0)
        hub = w.proxy.hub
        slot = hub.router.sessions[1].slot
        hub.switch.fan_out([slot], build_frame(ProtoId.NOTIFY, 0, 0, b""), None)
        sampler.take(0.5)
        assert sampler.of(0).of_client(1) == (0.0, 2.0)
        assert sampler.of(0).rates(lambda sample: sample.pushes_out) == [2.0]


async def test_two_readings_at_one_time_divide_by_nothing(autojump_clock: MockClock) -> None:
    async with world() as w:
        sampler = sampler_of(w)
        sampler.take(1.0)
        sampler.take(1.0)
        assert sampler.of(0).rates(lambda sample: sample.requests) == [0.0]


async def test_the_window_is_a_minute(autojump_clock: MockClock) -> None:
    async with world() as w:
        sampler = sampler_of(w)
        for second in range(WINDOW + 30):
            sampler.take(float(second))
        assert len(sampler.of(0).rates(lambda sample: sample.requests)) == WINDOW
        assert sampler.of(0).seconds == WINDOW


async def test_it_reads_every_second_and_tells_who_waits(autojump_clock: MockClock) -> None:
    async with world() as w, trio.open_nursery() as nursery:
        sampler = sampler_of(w)
        nursery.start_soon(sampler.run)
        await sampler.taken()
        at = trio.current_time()
        await sampler.taken()
        assert trio.current_time() - at == pytest.approx(1.0)
        assert sampler.count == 2
        nursery.cancel_scope.cancel()


async def test_a_crash_is_not_the_end_of_it(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w, trio.open_nursery() as nursery:
        broken = True

        def stations() -> list[object]:
            if broken:
                raise RuntimeError("planted")
            return list(w.proxy.stations)

        sampler = Sampler(stations)  # type: ignore[arg-type]
        nursery.start_soon(sampler.run)
        await trio.sleep(1.5)
        broken = False
        await sampler.taken()
        assert sampler.count == 1
        nursery.cancel_scope.cancel()
    assert "could not be read" in caplog.text
