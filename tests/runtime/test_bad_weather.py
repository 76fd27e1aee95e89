"""Orders while OpenD's connection comes and goes: never twice, and nobody is told a guess."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config, Timeouts
from opendmux.wire.frame import Frame
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from . import bodies
from .world import OK, world

ORDER = ProtoId.TRD_PLACE_ORDER


def head(frame: Frame) -> opend.ResponseHead:
    return opend.ResponseHead.FromString(frame.body)


@pytest.mark.parametrize("seed", range(8))
async def test_every_order_is_sent_at_most_once_and_its_owner_is_told_the_truth(
    autojump_clock: MockClock, seed: int
) -> None:
    """Clients order while OpenD answers late or never and its connection comes and goes."""
    dice = random.Random(seed)
    async with world(Config(timeouts=Timeouts(backoff_max_s=1))) as w:
        said: dict[bytes, list[tuple[int, str]]] = {}

        async def upstream() -> None:
            async for frame in w.opend.requests:
                nursery.start_soon(answer, frame)

        async def answer(frame: Frame) -> None:
            await trio.sleep(dice.choice([0, 0, 0.01, 0.5, 3, 20]))
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await w.opend.reply(frame, OK)

        async def trader(number: int) -> None:
            client = await w.client()
            for count in range(6):
                remark = bytes([0xFA, 0x06, 4, seed, number, count, 7])
                await trio.sleep(dice.uniform(0, 4))
                order = bodies.trade_write(client.conn_id, 1, acc_id=1 + number % 3, tail=remark)
                frame = await client.call(ORDER, order)
                said.setdefault(remark, []).append((head(frame).retType, head(frame).retMsg))
            assert await client.nothing_comes(25)

        async def weather() -> None:
            while True:
                await trio.sleep(dice.uniform(0.5, 4))
                await w.opend.drop()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(upstream)
            nursery.start_soon(weather)
            async with trio.open_nursery() as traders:
                for number in range(12):
                    traders.start_soon(trader, number)
            nursery.cancel_scope.cancel(reason="all have traded")
        sent = [frame.body for frame in w.opend.log if frame.proto_id == ORDER]
        assert {ret_type for ((ret_type, _text),) in said.values()} >= {0, -400, -200}
        for remark, ((ret_type, text),) in said.items():
            times = sum(body.endswith(remark) for body in sent)
            assert times <= 1
            if ret_type == 0:
                assert times == 1
            elif ret_type != -400:
                assert times == 0, text
