"""Logs: one line per event, for people or as JSON, so many a second and no more, and without secrets.

A record that is about a client names it by passing the `Session` as an argument (``log.info("%s: closed",
session)``), or, before there is one, some of ``extra={"conn": ..., "peer": ..., "transport": ..., "key": ...}``. JSON
lines then carry it in fields of its own. Only our own loggers follow ``log_level``: at their debug level the
libraries print headers and frames, which hold keys.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import msgspec

from opendmux.config import Config
from opendmux.core.identity import Session
from opendmux.wording import masked, printable

__all__ = ["HumanFormatter", "JsonFormatter", "Limiter", "Logs"]

BURST_S: Final = 10
"""A kind of line may come as often at once as in so many seconds."""
REPORT_S: Final = 10.0
"""How long lines are counted before it is said how many were left out."""
KINDS_MAX: Final = 1000
"""The kinds that are watched: there are some hundred messages in all."""

Kind = tuple[str, int, str]
"""Logger, level and message before its arguments are put in."""


def _redacted(text: str) -> str:
    """Without keys, and without half surrogate pairs, which can't be encoded."""
    return masked(text).encode("utf-8", "replace").decode()


class HumanFormatter(logging.Formatter):
    """Time, level, logger and message; a traceback below where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Peers' words in the message must not begin a line of their own."""
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's name
        """Nor those in an error: no line of a traceback begins as a record does."""
        return "\n".join(f"  {printable(line)}" for line in super().formatException(ei).splitlines())

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        return _redacted(super().format(record))


class JsonFormatter(logging.Formatter):
    """An object with ``ts`` (ISO 8601, UTC), ``level``, ``logger`` and ``msg``; of a client also ``conn``, ``peer``,
    ``transport`` and ``key``, its id; with a traceback also ``exc``."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        fields: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": _redacted(record.getMessage()),
            **_client_of(record),
        }
        if record.exc_info:
            fields["exc"] = _redacted(self.formatException(record.exc_info))
        return msgspec.json.encode(fields).decode()


def _client_of(record: logging.LogRecord) -> dict[str, Any]:
    arguments = record.args if isinstance(record.args, tuple) else ()
    session = next((argument for argument in arguments if isinstance(argument, Session)), None)
    if session is not None:
        client = {"conn": session.owner, "peer": session.peer, "transport": session.transport}
        return client if session.key is None else {**client, "key": session.key.id}
    return {name: getattr(record, name) for name in ("conn", "peer", "transport", "key") if hasattr(record, name)}


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    dropped: int = 0
    since: float = 0.0
    """When the first of the dropped came."""


class Limiter:
    """So many lines of a kind per second. ``now``: monotonic seconds."""

    def __init__(self, lines_per_s: int) -> None:
        self.lines_per_s = lines_per_s
        """0: no limit."""
        self._buckets: dict[Kind, _Bucket] = {}

    def admits(self, kind: Kind, now: float) -> bool:
        """Whether a line may be written; one that may not is counted."""
        if not self.lines_per_s:
            return True
        full = self.lines_per_s * BURST_S
        bucket = self._buckets.get(kind)
        if bucket is None:
            self._make_room()
            bucket = self._buckets[kind] = _Bucket(full, now)
        bucket.tokens = min(full, bucket.tokens + (now - bucket.at) * self.lines_per_s)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return True
        bucket.since = bucket.since if bucket.dropped else now
        bucket.dropped += 1
        return False

    def dropped(self, now: float) -> Iterator[tuple[Kind, int]]:
        """The kinds of which lines were left out, and how many; each is told once, some seconds after the first."""
        for kind, bucket in self._buckets.items():
            if bucket.dropped and now - bucket.since >= REPORT_S:
                count, bucket.dropped = bucket.dropped, 0
                yield kind, count

    def _make_room(self) -> None:
        if len(self._buckets) >= KINDS_MAX:
            self._buckets = {kind: bucket for kind, bucket in self._buckets.items() if bucket.dropped}


class _Handler(logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        super().__init__(stream)
        self.limiter = Limiter(0)
        self._clock = clock

    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        self._report(now)
        if self.limiter.admits((record.name, record.levelno, str(record.msg)), now):
            super().emit(record)

    def close(self) -> None:
        self._report(float("inf"))
        super().close()

    def _report(self, now: float) -> None:
        for (name, level, template), count in self.limiter.dropped(now):
            message = "%d more lines like this were left out: %s"
            super().emit(logging.LogRecord(name, level, "", 0, message, (count, template), None))


class Logs:
    """Where all loggers of the process write."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._handler = _Handler(stream, clock)
        self._root = logging.getLogger()
        self._ours = logging.getLogger("opendmux")

    def begin(self, config: Config) -> None:
        """Write from now on."""
        self.apply(config)
        self._root.addHandler(self._handler)

    def apply(self, config: Config) -> None:
        """Take over ``log_level``, ``log_format`` and ``log_lines_per_s``."""
        self._ours.setLevel(config.log_level.upper())
        self._handler.setFormatter(JsonFormatter() if config.log_format == "json" else HumanFormatter())
        self._handler.limiter.lines_per_s = config.log_lines_per_s

    def end(self) -> None:
        """Say what was left out, and write no more. The stream stays open."""
        self._root.removeHandler(self._handler)
        self._handler.close()
