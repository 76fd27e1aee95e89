"""Watches one OpenD: what it says by itself, what it answers when the proxy asks it how it is, and what is missing.

Everything ends as a condition in the one book of the process (`conditions`). The questions are few and small:
GetGlobalState when a connection is ready, every ``ask_s`` and when OpenD tells of another state of its program;
GetUserInfo, GetSubInfo and the quota of historical candles when the main connection is ready, after a notice of quote
rights, and now and then, GetSubInfo also when our subscriptions have changed. OpenD is not known to limit any of them;
at most one of each is on its way, no client waits for them, and there are none during a pause.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from opendmux.wire.protocols import ProtoId

from .commands import Ask, Command, Outcome
from .conditions import Conditions, Kind
from .feed import STREAMS_S, Feed
from .lanes import Lane
from .notices import ApiQuota, ConnStatus, GtwEvent, Notice, ProgramStatus, QotRight, UsedQuota
from .opendstate import (
    HISTORY_REQUEST,
    STATE_REQUEST,
    SUB_INFO_REQUEST,
    USER_REQUEST,
    GlobalState,
    read_history_untrusted,
    read_option_quota_untrusted,
    read_quota_untrusted,
    read_user_untrusted,
)
from .program import ProgramWatch
from .quotawatch import QuotaWatch
from .rights import Rights
from .router import Router

__all__ = ["Watch", "WatchRules"]

LOOK_S: Final = 1.0
"""How often feed and quotas are looked at; more often where a feed is to be called mute after less than 20 s."""

USER_EVERY: Final = 10
"""Rights and quotas are asked for with every tenth question about the state: they change seldom, and OpenD tells most
of it by itself."""

STATE_LEAST_S: Final = 2.0
"""Between two questions about the state while OpenD tells that its program's changes."""

USER_LEAST_S: Final = 5.0
"""Between two of those: OpenD may send a burst of notices about rights."""

USE_LEAST_S: Final = 10.0
"""Between two questions about the use of the quota while what we have subscribed changes: a quota can be filled within
seconds, long before the tenth question."""

RETURNS_MANY: Final = 5
RETURNS_WITHIN_S: Final = 600.0
"""A connection that was lost and taken anew so often within that time is told of, though it was never away for long."""


@dataclass(frozen=True, slots=True)
class WatchRules:
    """What the owner of the proxy decided. 0 for a time: never."""

    ask_s: float = 30.0
    mute_s: float = 60.0
    quota_share: float = 0.9
    asks_back: bool = False
    """A lost quote right is asked back without a person."""


class Watch:
    """Of one router. ``name``: of its OpenD or group, as everywhere. During a pause nothing is asked and nothing is
    missed."""

    def __init__(
        self,
        router: Router,
        conditions: Conditions,
        rules: Callable[[], WatchRules],
        *,
        name: str,
    ) -> None:
        self.rights = Rights(conditions, name, lambda: rules().asks_back)
        self.quotas = QuotaWatch(conditions, name)
        self.feed = Feed(router.lanes, self.rights, conditions, name)
        self._router = router
        self._conditions = conditions
        self._rules = rules
        self._name = name
        self._lanes = tuple(dict.fromkeys((router.lanes.main, router.lanes.trade)))
        self._program = ProgramWatch(conditions, name, trades=len(self._lanes) == 1)
        self._greeted: dict[int, float] = {}
        """By lane: `ready_since` of the connection that was greeted last."""
        self._returns: dict[int, list[float]] = {lane.index: [] for lane in self._lanes}
        """By lane: when it was back, of late."""
        self._known: dict[int, GlobalState] = {}
        """By lane: the answer that was learnt from last."""
        self._state_at = 0.0
        """When the latest answer about the markets came."""
        self._asking: set[tuple[int, int]] = set()
        """(lane, proto_id) of questions on their way."""
        self._answered: dict[int, float] = {}
        """By lane: `ready_since` of the latest connection on which a question about the state has come to its end."""
        self._ask_at: dict[int, float] = {}
        self._state_changed = False
        """OpenD has told of another state of its program since it was asked."""
        self._state_asked = -STATE_LEAST_S
        self._rounds = 0
        self._user_at: float | None = None
        self._user_asked = -USER_LEAST_S
        self._rights_noticed = -math.inf
        """When OpenD told of rights by itself, the last time."""
        self._use_asked = -USE_LEAST_S
        self._use_changed = False
        """Since it was asked for last our own subscriptions have."""
        self._held = 0
        """Subscriptions of ours at OpenD when they were counted last."""
        self._held_at = 0.0
        self._look_at = 0.0
        router.on_notice.append(self._noticed)

    # -- what OpenD says by itself

    def _noticed(self, notice: Notice, now: float) -> None:
        for lane in self._lanes:  # what was answered before it is older, and must not be taken for news behind it
            if lane.upstream.ready:
                self._look_at_state(lane, now)
        match notice:
            case GtwEvent():
                self._program.event(notice, now)
                self._logins(now)
            case ProgramStatus():
                self._program.status(notice, now)
                if self._rules().ask_s:  # the logins that are known are those of the former state
                    self._state_changed = True
                else:
                    self._logins(now)
            case ConnStatus():
                self._logins(now)
            case QotRight(rights):
                self.rights.take(rights, now)
                self._user_at = self._rights_noticed = now
            case ApiQuota():
                self.quotas.allowed(notice)
            case UsedQuota():
                self.quotas.used(notice)

    def _logins(self, now: float) -> None:
        lanes = self._router.lanes
        self._program.logins(lanes.main.upstream.logins, lanes.trade.upstream.logins, now)

    # -- time

    def due(self, now: float) -> list[Command]:
        """Called some times a second; returns the questions that are due."""
        if self._router.lanes.main.upstream.pause is not None:
            self._rest(now)
            return []
        commands: list[Command] = []
        for lane in self._lanes:
            if self._look_at_link(lane, now):
                commands += self._questions(lane, now)
        if now >= self._look_at:
            self._look_at = now + min(LOOK_S, self._rules().mute_s / 20 or LOOK_S)
            if self.feed.look(now, self._rules().mute_s, self._state_at):
                self._ask_at[self._router.lanes.main.index] = now
            self._look_at_use(now)
            self.quotas.look(self._router.subscriptions.quota, self._rules().quota_share, now)
            self._program.due(now)
        return commands

    def _rest(self, now: float) -> None:
        for lane in self._lanes:
            self._conditions.over(Kind.UPSTREAM_DOWN, self._called(lane), now, opend=self._name)
            self._greeted.pop(lane.index, None)  # what comes after a pause is no return
        self.feed.rest(now)
        self._program.gone()

    def _called(self, lane: Lane) -> str:
        return self._name if lane is self._router.lanes.main else lane.upstream.address

    def _look_at_link(self, lane: Lane, now: float) -> bool:
        """Whether it can be asked."""
        upstream, main = lane.upstream, lane is self._router.lanes.main
        if not upstream.ready:
            self._known.pop(lane.index, None)
            if main:
                self._program.gone()
            if upstream.reason:
                self._conditions.begin(
                    Kind.UPSTREAM_DOWN,
                    self._called(lane),
                    now,
                    f"Reason: {upstream.reason}.",
                    opend=self._name,
                    cause="" if main else "trade",
                )
            return False
        if self._greeted.get(lane.index) != upstream.ready_since:
            if lane.index in self._greeted:
                self._came_back(lane, now)
            self._greeted[lane.index] = self._ask_at[lane.index] = upstream.ready_since
            self._conditions.over(Kind.UPSTREAM_DOWN, self._called(lane), now, opend=self._name)
            if main:
                self._user_at = now
        self._look_at_state(lane, now)
        return True

    def _came_back(self, lane: Lane, now: float) -> None:
        returns = self._returns[lane.index]
        returns[:] = [*(moment for moment in returns if now - moment < RETURNS_WITHIN_S), now]
        if len(returns) >= RETURNS_MANY:
            figures = f"{len(returns)} times within {now - returns[0]:.0f} s."
            returns.clear()
            self._conditions.happened(
                Kind.UPSTREAM_DOWN, self._called(lane), now, figures, opend=self._name, cause="again"
            )

    def _look_at_state(self, lane: Lane, now: float) -> None:
        state = lane.upstream.state
        if state is not None and state is not self._known.get(lane.index):
            self._known[lane.index] = state
            self._learn(lane, state, now)

    def _learn(self, lane: Lane, state: GlobalState, now: float) -> None:
        if lane is self._router.lanes.main:
            self._state_at = now
            if state.program is not None:
                self._program.status(state.program, now)
            elif state.logins.quote:
                self._program.ready(now)
        self._logins(now)

    # -- questions

    def _questions(self, lane: Lane, now: float) -> list[Command]:
        every = self._rules().ask_s
        if not every:
            return []
        main = lane is self._router.lanes.main
        commands: list[Command] = []
        if now >= self._ask_at[lane.index] or (main and self._is_old(lane, now)):
            self._ask_at[lane.index] = now + every
            if main:
                self._state_changed, self._state_asked = False, now
                self._rounds += 1
                if self._rounds % USER_EVERY == 0:
                    self._user_at = now
            commands += self._ask(
                lane, ProtoId.GET_GLOBAL_STATE, STATE_REQUEST, lambda o, at: self._told_state(lane, o, at)
            )
        if main and self._user_at is not None and now >= max(self._user_at, self._user_asked + USER_LEAST_S):
            self._user_at, self._user_asked = None, now
            commands += self._ask(lane, ProtoId.GET_USER_INFO, USER_REQUEST, self._told_user)
            commands += self._ask(lane, ProtoId.QOT_REQUEST_HISTORY_KL_QUOTA, HISTORY_REQUEST, self._told_history)
            use_due = True
        else:
            use_due = main and self._use_changed and now >= self._use_asked + USE_LEAST_S
        if use_due:
            self._use_changed, self._use_asked = False, now
            commands += self._ask(lane, ProtoId.QOT_GET_SUB_INFO, SUB_INFO_REQUEST, self._told_subscriptions)
        return commands

    def awaited(self) -> list[Lane]:
        """Connections that are so new that OpenD has not said how it is. Not for long: a refusal, an answer that can't
        be read and none in time count as well."""
        if not self._rules().ask_s:
            return []
        new = [lane for lane in self._lanes if lane.upstream.ready and lane.upstream.logins is None]
        return [lane for lane in new if self._answered.get(lane.index) != lane.upstream.ready_since]

    def _is_old(self, lane: Lane, now: float) -> bool:
        """What was answered last is of a state that is over; an answer that is on its way may be so too."""
        waits = (lane.index, ProtoId.GET_GLOBAL_STATE) in self._asking
        return self._state_changed and not waits and now >= self._state_asked + STATE_LEAST_S

    def _ask(self, lane: Lane, proto_id: int, body: bytes, told: Callable[[Outcome, float], None]) -> list[Command]:
        asking = lane.index, proto_id
        if asking in self._asking:
            return []
        self._asking.add(asking)

        def then(outcome: Outcome, now: float) -> list[Command]:
            self._asking.discard(asking)
            if proto_id == ProtoId.GET_GLOBAL_STATE and lane.upstream.ready:
                self._answered[lane.index] = lane.upstream.ready_since
            if outcome.failure is None and lane.upstream.ready:
                told(outcome, now)
            return []

        return [Ask(lane.index, proto_id, body, then)]

    def _told_state(self, lane: Lane, outcome: Outcome, now: float) -> None:
        if not lane.upstream.told(outcome.body, outcome.proto_fmt, outcome.asked_at):
            self._ask_at[lane.index] = min(self._ask_at[lane.index], now + STATE_LEAST_S)

    def _told_user(self, outcome: Outcome, now: float) -> None:
        user = read_user_untrusted(outcome.body, outcome.proto_fmt)
        if user is not None:
            if outcome.asked_at < self._rights_noticed:  # what was noticed since may not be in it
                self._user_at = now
            else:
                self.rights.take(user.rights, now)
            self.quotas.allowed(user.quota)

    def _told_subscriptions(self, outcome: Outcome, now: float) -> None:
        quota = read_quota_untrusted(outcome.body, outcome.proto_fmt)
        if quota is not None:
            self._router.subscriptions.quota, self._router.subscriptions.quota_at = quota, now
        self.quotas.told("options", read_option_quota_untrusted(outcome.body, outcome.proto_fmt))

    def _told_history(self, outcome: Outcome, _now: float) -> None:
        self.quotas.told("history", read_history_untrusted(outcome.body, outcome.proto_fmt))

    def _look_at_use(self, now: float) -> None:
        if now < self._held_at:
            return
        self._held_at = now + STREAMS_S
        held = sum(len(lane.ledger.upstream_streams()) for lane in self._router.lanes.wanted())
        if held != self._held:
            self._held, self._use_changed = held, True
