"""Whose calls a gRPC connection carries: keys that are good, wrong, malformed, revoked, too many."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from opendmux.runtime.backend import Answer
from opendmux.wire.grpc_status import Code
from tests.wire.grpc_kit import Headers

from .grpc_kit import KEY, NO_KEY, OK_BODY
from .grpc_world import BEARER, reason, world


async def test_a_key_is_looked_up_once_per_connection(autojump_clock: MockClock) -> None:
    async with world() as w:
        for headers in (BEARER, BEARER, [("authorization", f"bEARER  {KEY}")], []):
            assert (await w.ask(headers=headers)).status == Code.OK
        assert w.backend.admitted == [KEY, None]


async def test_a_wrong_key_is_never_anonymous_and_is_looked_up_again(autojump_clock: MockClock) -> None:
    async with world() as w:
        for _ in range(2):
            seen = await w.ask(headers=[("authorization", "Bearer fc_wrong")])
            assert seen.status == Code.UNAUTHENTICATED
            assert seen.headers[0]["grpc-message"].startswith("der Schl%C3%BCssel")
            assert reason(seen) == "KEY"
        assert w.backend.admitted == ["fc_wrong"] * 2
        assert w.backend.asked == 0


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", KEY)],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", f"Basic {KEY}")],
        [("authorization", f"Bearer {KEY}, Bearer {KEY}")],
        [("authorization", f"Bearer {KEY} x")],
        [("authorization", f"Bearer {'x' * 300}")],
        [*BEARER, *BEARER],
    ],
)
async def test_a_malformed_key(autojump_clock: MockClock, headers: Headers) -> None:
    async with world() as w:
        seen = await w.ask(headers=headers)
        assert (seen.status, w.backend.admitted) == (Code.UNAUTHENTICATED, [""])
        assert "Bearer fc_" in seen.headers[-1]["grpc-message"]


async def test_a_revoked_key_is_looked_up_again(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.backend.answers = lambda asked: asked.answer(Answer(-1, "", OK_BODY, NO_KEY))
        assert (await w.ask(headers=BEARER)).status == Code.UNAUTHENTICATED
        assert w.backend.callers[0].detached == 1
        del w.backend.keys[KEY]
        assert (await w.ask(headers=BEARER)).status == Code.UNAUTHENTICATED
        assert w.backend.admitted == [KEY, KEY]


async def test_what_another_proxy_has_passed_on_does_not_come_from_this_machine(autojump_clock: MockClock) -> None:
    async with world() as w:
        passed_on = [*BEARER, ("x-forwarded-for", "192.0.2.9")]
        for headers in (BEARER, passed_on, BEARER, passed_on):
            assert (await w.ask(3004, OK_BODY, headers)).status == Code.OK
        assert w.backend.admitted == [KEY, KEY]
        assert w.backend.local == [True, False]


async def test_the_keys_of_a_connection_are_counted(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.backend.keys |= {f"fc_{n}": str(n) for n in range(17)}
        got = [(await w.ask(headers=[("authorization", f"Bearer fc_{n}")])).status for n in range(17)]
        assert got == [0] * 16 + [Code.RESOURCE_EXHAUSTED]
