"""Codes from the phone and from a picture, and the login that waits for them. No I/O.

Only the code that was asked for last counts, as with OpenD; the code itself is the same every time. How OpenD words its
refusals is not documented.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from .refusal import Refused
from .status import READY

if TYPE_CHECKING:
    from .world import World

__all__ = ["Verification", "VerificationType", "logged_in"]


class VerificationType(IntEnum):
    """Verification.VerificationType."""

    PICTURE = 1
    PHONE = 2


_NEEDS = {VerificationType.PICTURE: 3, VerificationType.PHONE: 4}
"""The ProgramStatusType of an OpenD that waits for such a code."""


@dataclass(slots=True)
class Verification:
    """What was asked for last."""

    requested: VerificationType | None = None

    def request(self, world: World, kind: VerificationType) -> None:
        """A code is on its way. Raises Refused when OpenD does not wait for one."""
        self._need(world, kind)
        self.requested = kind

    def enter(self, world: World, kind: VerificationType, code: str) -> None:
        """The right code finishes the login, and everybody is told. Raises Refused."""
        self._need(world, kind)
        if self.requested is not kind:
            raise Refused("no verification code was requested 请先获取验证码")
        if code != world.config.verify_code:
            raise Refused("the verification code is wrong 验证码错误")
        self.requested = None
        logged_in(world)

    def _need(self, world: World, kind: VerificationType) -> None:
        if world.status.program != _NEEDS[kind]:
            raise Refused("no verification code is needed now 当前不需要验证码")


def logged_in(world: World) -> None:
    """The login is done: the program is ready, and everybody is told."""
    status = world.status
    status.program, status.description = READY, ""
    world.notify(status.program_notice())
    if not (status.qot_logined and status.trd_logined):
        status.qot_logined = status.trd_logined = True
        world.notify(status.connect_notice())
