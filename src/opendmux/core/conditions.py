"""What is wrong now, for how long, and what to do about it: one book for the whole process.

Whoever notices something says `begin`, `over`, or `happened` for what has no duration; saying the same again is no
news. Those who tell people (log, alerts) hear of changes by `on_change`; those who are asked (status, metrics,
`/readyz`) read `active` and `recent`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from .condition_texts import NO_TRADE, TEXTS, Kind, Text

__all__ = ["BLOCKING", "SUBJECTS_SHOWN", "Change", "Condition", "Conditions", "Kind", "Listener", "joined", "together"]

RECENT_MAX: Final = 50
"""Single events that are remembered."""

RECENT_S: Final = 3600.0
"""And for how long: who comes back from lunch sees them still."""

SAME_S: Final = 60.0
"""The same single event again within so long counts on, and is not told again: a connection lost over twenty orders is
one piece of news."""

SUBJECTS_SHOWN: Final = 10
"""Of conditions that are told as one."""

COMMAND: Final = "opendmux opend "
"""How an operation command begins in the texts."""

BLOCKING: Final = frozenset(
    {Kind.CODE_NEEDED, Kind.KICKED, Kind.PROGRAM, Kind.LOGIN_LOST, Kind.UPSTREAM_DOWN, Kind.PAUSED, Kind.AUDIT}
)
"""While one of these lasts, the proxy can't do what it is there for: `/readyz` says 503."""

OPENDS_OWN: Final = frozenset(
    {
        Kind.CODE_NEEDED,
        Kind.KICKED,
        Kind.LOGIN_LOST,
        Kind.RIGHT_LOST,
        Kind.UPSTREAM_DOWN,
        Kind.MUTE,
        Kind.QUOTA,
        Kind.PROGRAM,
    }
)
"""News of OpenD itself: whoever is connected to the same one hears the same."""

SAME_WHATEVER_CAUSE: Final = frozenset({Kind.UPSTREAM_DOWN, Kind.RIGHT_LOST})
"""Where the cause says what it means for whom, or what is done about it, and not what is the matter."""

Change: TypeAlias = Literal["begin", "over", "happened"]


@dataclass(slots=True)
class Condition:
    """Something that is wrong, or that happened. All texts are whole sentences for a person."""

    kind: Kind
    opend: str
    """The name of the OpenD it is about; empty for what concerns the proxy itself."""
    subject: str
    """What of it: a market, a key id, a login; an OpenD's name where the whole of it is meant."""
    cause: str
    """Which of the kind's texts applies; often empty."""
    since: float
    """Trio seconds."""
    figures: str
    """The numbers and OpenD's own words, as they were told last; may be empty."""
    single: bool = False
    """It happened, and has no end."""
    times: int = 1
    """How often, of a single event."""
    last: float = field(default=0.0)
    """Of a single event: when the latest came."""
    one_of_several: bool = False
    """There are several OpenDs, so commands must say which one is meant."""
    source: str = ""
    """The address of the OpenD whose news it is, of a group the member's; empty where it is not OpenD's own."""

    def __post_init__(self) -> None:
        assert self._text, "a kind with causes needs one of them"

    @property
    def conclusion(self) -> str:
        """What is the matter."""
        return self._filled(self._text.conclusion)

    @property
    def next_step(self) -> str:
        """What to do."""
        text = self._filled(self._text.next_step)
        if self.one_of_several and self.opend and " " not in self.opend:
            text = text.replace(COMMAND, f"{COMMAND}--opend {self.opend} ")
        return text

    @property
    def sentence(self) -> str:
        """The conclusion with the figures: one line for a log and for `/readyz`."""
        return f"{self.conclusion} {self.figures}".rstrip()

    @property
    def blocks(self) -> bool:
        """The proxy can't do what it is there for while it lasts."""
        return not self.single and self.kind in BLOCKING and self.cause != NO_TRADE

    @property
    def news(self) -> tuple[Kind, str, str, str] | None:
        """The same for those who hear the same of one OpenD, be it alone or in a group; None where nobody else can."""
        if not self.source:
            return None
        subject = "" if self.subject in (self.opend, self.source) else self.subject
        same = not self.single and self.kind in SAME_WHATEVER_CAUSE
        return self.kind, self.source, subject, "" if same else self.cause

    @property
    def needs_own_step(self) -> bool:
        """The next step names the subject: a command that can be pasted for one of them alone."""
        return "{subject}" in self._text.next_step

    @property
    def _text(self) -> Text:
        return TEXTS.get((self.kind, self.cause)) or TEXTS[self.kind, ""]

    def _filled(self, text: str) -> str:
        called = f"OpenD at {self.opend}" if self.opend else "OpenD"
        filled = text.replace("{opend}", called).replace("{subject}", self.subject)
        return filled[:1].upper() + filled[1:] if text.startswith("{opend}") else filled


Listener: TypeAlias = Callable[[Change, Condition, float], None]
"""Told of a change and of the time. Must not raise, and must not wait."""

_Key: TypeAlias = tuple[Kind, str, str]


class Conditions:
    """All of them. ``now``: Trio seconds."""

    def __init__(self) -> None:
        self.on_change: list[Listener] = []
        self.several = False
        """There are several OpenDs."""
        self.begun: dict[Kind, int] = {}
        """How many have begun or happened since the start, by kind."""
        self.members: dict[str, Callable[[], tuple[str, str]]] = {}
        """By name of an OpenD or a group: the addresses of those that quotes and trading are at, at this moment."""
        self._active: dict[_Key, Condition] = {}
        self._recent: deque[Condition] = deque(maxlen=RECENT_MAX)

    def begin(
        self, kind: Kind, subject: str, now: float, figures: str = "", *, opend: str = "", cause: str = ""
    ) -> None:
        """It is so from now on. While it lasts, only new figures are taken; another cause is the end of the former."""
        key = (kind, opend, subject)
        known = self._active.get(key)
        source = self._source(kind, subject, opend)
        if known is not None and known.cause == cause:
            known.figures, known.source = figures, source
            return
        if known is not None:
            self.over(kind, subject, now, opend=opend)
        condition = Condition(kind, opend, subject, cause, now, figures, one_of_several=self.several, source=source)
        self._active[key] = condition
        self._tell("begin", condition, now)

    def over(self, kind: Kind, subject: str, now: float, *, opend: str = "") -> None:
        """It is not so any more; harmless when it was not."""
        condition = self._active.pop((kind, opend, subject), None)
        if condition is not None:
            self._tell("over", condition, now)

    def happened(
        self, kind: Kind, subject: str, now: float, figures: str = "", *, opend: str = "", cause: str = ""
    ) -> None:
        """Something without a duration."""
        condition = Condition(kind, opend, subject, cause, now, figures, single=True, last=now)
        condition.one_of_several, condition.source = self.several, self._source(kind, subject, opend)
        for known in [one for one in self._recent if now - one.last <= SAME_S]:
            if (known.kind, known.opend, known.subject, known.cause) == (kind, opend, subject, cause):
                known.times, known.last, known.figures = known.times + 1, now, figures
                return
            if known.news is not None and known.news == condition.news:
                return  # another connection to the same OpenD has heard it, and counts
        self._recent.append(condition)
        self._tell("happened", condition, now)

    def active(self) -> list[Condition]:
        """What is wrong now, the oldest first."""
        return list(self._active.values())

    def find(self, kind: Kind, subject: str, *, opend: str = "") -> Condition | None:
        """None when it is not so."""
        return self._active.get((kind, opend, subject))

    def recent(self, now: float) -> list[Condition]:
        """Single events of the last hour, the oldest first."""
        return [event for event in self._recent if now - event.last <= RECENT_S]

    def of(self, opend: str, *kinds: Kind) -> list[Condition]:
        """What is wrong with this OpenD; without ``kinds`` all of it."""
        return [one for one in self._active.values() if one.opend == opend and (not kinds or one.kind in kinds)]

    def _source(self, kind: Kind, subject: str, opend: str) -> str:
        if kind not in OPENDS_OWN:
            return ""
        if kind is Kind.UPSTREAM_DOWN:
            return subject
        quotes, trading = self.members[opend]() if opend in self.members else (opend, opend)
        return trading if kind is Kind.LOGIN_LOST and subject == "trade" else quotes

    def _tell(self, change: Change, condition: Condition, now: float) -> None:
        if change != "over":
            self.begun[condition.kind] = self.begun.get(condition.kind, 0) + 1
        for listener in self.on_change:
            listener(change, condition, now)


def together(conditions: Iterable[Condition]) -> list[Condition]:
    """The same for people: what differs in its subject alone, such as the lost rights for twenty markets, is one;
    not where the next step is another for each subject."""
    groups: dict[tuple[Kind, str, str, str], list[Condition]] = {}
    for one in conditions:
        own = one.subject if one.needs_own_step else ""
        groups.setdefault((one.kind, one.opend, one.cause, own), []).append(one)
    return [joined(group) for group in groups.values()]


def joined(group: Sequence[Condition]) -> Condition:
    """Of one kind, OpenD and cause: all of it as one condition, as it is at this moment."""
    if len(group) == 1:
        return replace(group[0])
    shown = group[:SUBJECTS_SHOWN]
    subjects = ", ".join(dict.fromkeys(one.subject for one in shown))
    if len(group) > len(shown):
        subjects += f" and {len(group) - len(shown)} more"
    said = {one.figures for one in group}
    figures = " ".join(f"{one.subject}: {one.figures}" for one in shown if one.figures)
    return replace(
        group[0],
        subject=subjects,
        figures=said.pop() if len(said) == 1 else figures,
        since=min(one.since for one in group),
        last=max(one.last for one in group),
        times=(sum if group[0].single else max)(one.times for one in group),
    )
