"""When the best quote right is asked back from another terminal: the policy, as a machine that is told what happens.

Theory of operation. Only one terminal of an account has the best quotes. Whoever takes them twice within ten seconds
keeps them: OpenD does not take them a second time then, for a person at a phone has asked for them by hand. So a right
that is lost again within ten seconds of being back is *contested*, and is let alone for a long time. Every try waits
longer than the one before it, until the right has been kept for a while; nothing is ever asked twice within ten
seconds, which is far below the documented limit of 10 in 60 s.

`never` asks for nothing. `when-lost` asks a few times and then gives up until the right is back by itself; contested,
it asks once more after the long wait. `always` never gives up. ``now``: seconds on any clock that does not go back.
"""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["CONTESTED_WAIT_S", "GAP_S", "TRIES_MAX", "WAIT_MAX_S", "Policy", "QuoteRight"]

Policy = Literal["never", "when-lost", "always"]

ROBBED_AGAIN_S: Final = 10.0
"""Of OpenD's documentation: taken again within that, the other terminal keeps it."""
GAP_S: Final = 11.0
"""Between two tries at least: those ten seconds, and a second for the clocks."""
FIRST_WAIT_S: Final = 3.0
"""OpenD's own auto_hold_quote_right, on by default, may have it back by then."""
WAIT_MAX_S: Final = 600.0
"""The longest wait between two tries when nobody contests the right."""
CONTESTED_WAIT_S: Final = 900.0
"""A person who asked for the quotes by hand is let alone for so long."""
KEPT_S: Final = 600.0
"""A right that was kept for so long is nobody's quarrel any more: the waits begin anew."""
TRIES_MAX: Final = 5
"""Of ``when-lost``, in one quarrel."""


class QuoteRight:
    """Of one OpenD."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.lost_since: float | None = None
        self.next_try: float | None = None
        """None: nothing will be asked, unless something changes."""
        self.tries = 0
        """In this quarrel, as they were made."""
        self._left = TRIES_MAX
        """How many more ``when-lost`` makes in it."""
        self.contested = False
        """The other terminal took it twice within ten seconds."""
        self._back_at: float | None = None
        self._asked_at: float | None = None

    def lost(self, now: float) -> None:
        """The right is worse than it has been. Harmless when said again."""
        if self.lost_since is not None:
            return
        self.lost_since = now
        kept = None if self._back_at is None else now - self._back_at
        if kept is not None and kept >= KEPT_S:
            self._begin_anew()
        if kept is not None and kept < ROBBED_AGAIN_S:
            if self.contested and self.policy == "when-lost":
                self._left = 0  # that was the one try after the long wait
            elif self.policy == "when-lost":
                self._left = 1
            self.contested = True
        self._plan(now)

    def back(self, now: float) -> None:
        """It is as good as it has been. Harmless when said again."""
        if self.lost_since is None:
            return
        self.lost_since = self.next_try = None
        self._back_at = now

    def unknown(self) -> None:
        """OpenD can't be reached: nobody knows how its rights are, and there is nobody to ask."""
        self.lost_since = self.next_try = None

    def due(self, now: float) -> bool:
        """Whether it must be asked for now; True counts as a try."""
        if self.next_try is None or now < self.next_try:
            return False
        self.tries += 1
        self._left = max(0, self._left - 1)
        self.asked(now)
        return True

    def asked(self, now: float) -> None:
        """It has been asked for just now, by us or by anybody."""
        self._asked_at = now
        self._plan(now)

    def failed(self, now: float, wait_s: float = 0.0) -> None:
        """The try that `due` counted did not reach OpenD, which says nothing of who wants the right. ``wait_s``: it
        can't be sent for so long."""
        if self.policy == "when-lost":
            self._left = max(1, self._left)
        self._plan(now)
        if self.next_try is not None:
            self.next_try = max(self.next_try, now + wait_s)

    def put_off(self, now: float) -> None:
        """There is nobody to ask at the moment, for OpenD is away or paused: no try, and a look again later."""
        if self.next_try is not None:
            self.next_try = max(self.next_try, now + GAP_S)

    @property
    def given_up(self) -> bool:
        """It is lost and will not be asked for, though the policy is to ask."""
        return self.policy != "never" and self.lost_since is not None and self.next_try is None

    def _begin_anew(self) -> None:
        self.tries, self._left, self.contested = 0, TRIES_MAX, False

    def _plan(self, now: float) -> None:
        self.next_try = None
        if self.lost_since is None or self.policy == "never":
            return
        if self.policy == "when-lost" and not self._left:
            return
        after = now + self._wait_s()
        if self._asked_at is not None:
            after = max(after, self._asked_at + GAP_S)
        self.next_try = after

    def _wait_s(self) -> float:
        if self.contested:
            return CONTESTED_WAIT_S
        if not self.tries:
            return FIRST_WAIT_S
        return float(min(WAIT_MAX_S, GAP_S * 2 ** min(self.tries - 1, 10)))
