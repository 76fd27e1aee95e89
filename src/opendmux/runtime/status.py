"""Makes the snapshot that `/v1/status` sends, and finds the client that somebody wants to end.

One text is made for all who look and kept until the next sample or the next change of what is wrong, at most
`FRESH_S`: with a thousand clients it costs some milliseconds of the thread that serves them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Final

import msgspec
import trio

from opendmux.core import snapshot
from opendmux.core.audit import NO_KEY, timestamp_of
from opendmux.core.conditions import Change, Condition, together
from opendmux.core.feed import Feed
from opendmux.core.identity import Session
from opendmux.core.keys import Key
from opendmux.core.lanes import Lane
from opendmux.core.ledger_values import StreamView
from opendmux.core.notices import market_name, right_name
from opendmux.core.quote_right import QuoteRight
from opendmux.core.streams import Space
from opendmux.native import LATENCY_BUCKETS_S
from opendmux.wire.protocols import PROTOCOLS

from .house import House
from .metrics import AuditState, KeyRoom
from .notary import Notary
from .ports import Client
from .readiness import Readiness, shown
from .sampler import Latencies, Sampler, Samples, figures_of
from .station import Station

__all__ = ["CLIENTS_MAX", "FRESH_S", "SUBSCRIPTIONS_MAX", "Status", "client_id_of", "quantile_ms"]

FRESH_S: Final = 1.0
CLIENTS_MAX: Final = 2000
SUBSCRIPTIONS_MAX: Final = 2000
"""Of longer lists the rest is only counted: the text of both is then some 900 kB, once a second for each that looks."""

_CLIENT_ID = re.compile(r"(?:([1-9][0-9]{0,3})\.)?([1-9][0-9]{0,17})")
_encoder = msgspec.json.Encoder()


def client_id_of(number: int, session: Session) -> str:
    """What a session is called: its number, as in the log; behind another OpenD than the first, that one's number and
    a dot before it."""
    return str(session.owner) if number == 1 else f"{number}.{session.owner}"


@dataclass(slots=True)
class Status:
    """One per process."""

    stations: Callable[[], Sequence[Station]]
    house: House
    version: str
    readiness: Callable[[], Readiness]
    rooms: Callable[[], Iterable[KeyRoom]] = tuple
    audit: Callable[[], AuditState] | None = None
    wall: Callable[[], float] = time.time
    sampler: Sampler = field(init=False)
    _started: float = field(default_factory=trio.current_time)
    _text: bytes = b""
    _until: float = 0.0
    _at_sample: int = -1

    def __post_init__(self) -> None:
        self.sampler = Sampler(self.stations)
        self.house.conditions.on_change.append(self._changed)

    def _changed(self, _change: Change, _condition: Condition, _now: float) -> None:
        """What begins to be wrong or is over is news at once."""
        self._text = b""

    def text(self, now: float) -> bytes:
        """The snapshot as JSON, at most `FRESH_S` old."""
        if not self._text or now >= self._until or self._at_sample != self.sampler.count:
            self._text = _encoder.encode(self.snapshot(now))
            self._until, self._at_sample = now + FRESH_S, self.sampler.count
        return self._text

    def status(self) -> bytes:
        """See `StatusFace`."""
        return self.text(trio.current_time())

    async def sampled(self) -> None:
        """See `StatusFace`."""
        await self.sampler.taken()

    def end_client(self, client_id: str, *, peer: str, key: Key | None) -> bool:
        """See `ClientsFace`. What waits for the client is dropped, but for the frame that is half sent."""
        client = self._find(client_id)
        if client is None:
            return False
        Notary(self.house).ended("http", peer, NO_KEY if key is None else key.id, str(client.session))
        client.end("closed by an administrator", flush_all=False)
        self._text = b""
        return True

    def _find(self, client_id: str) -> Client | None:
        match = _CLIENT_ID.fullmatch(client_id)
        stations = self.stations()
        if match is None or int(match[1] or 1) > len(stations):
            return None
        hub = stations[int(match[1] or 1) - 1].hub
        session = hub.router.sessions.get(int(match[2]))
        client = None if session is None else hub.clients.get(session.slot)
        return client if client is not None and client.session is session else None

    def snapshot(self, now: float) -> snapshot.Snapshot:
        """Look at everything. ``now``: Trio seconds."""
        wall = self.wall()
        readiness = self.readiness()
        stations = list(enumerate(self.stations(), 1))
        clients: list[snapshot.Client] = []
        for number, station in stations:
            samples = self.sampler.of(number - 1)
            clients += _clients(number, station, samples, wall - now, CLIENTS_MAX - len(clients))
        streams = [
            (number, lane, view)
            for number, station in stations
            for lane in station.hub.router.lanes.wanted()
            for view in lane.ledger.overview()
        ]
        audit = None if self.audit is None else self.audit()
        return snapshot.Snapshot(
            opendmux=self.version,
            time=timestamp_of(wall),
            up_s=round(now - self._started, 1),
            ready=readiness.ready,
            reasons=readiness.reasons,
            conditions=[
                shown(one, wall - now)
                for one in (*together(self.house.conditions.active()), *self.house.conditions.recent(now))
            ],
            simulated=readiness.simulated,
            keys=self.house.access.keyring is not None,
            opends=[
                _opend(number, station, self.sampler.of(number - 1), readiness, now, wall)
                for number, station in stations
            ],
            clients=clients,
            clients_left_out=sum(len(_sessions(station)) for _, station in stations) - len(clients),
            subscriptions=[
                _subscription(number, lane, view, now, stations[number - 1][1].watch.feed)
                for number, lane, view in islice(streams, SUBSCRIPTIONS_MAX)
            ],
            subscriptions_left_out=max(0, len(streams) - SUBSCRIPTIONS_MAX),
            rejects=[
                snapshot.Refusal(
                    time=timestamp_of(reject.wall),
                    count=reject.times,
                    name=_name_of(reject.cause.proto_id) if reject.cause.proto_id else "",
                    text=reject.text,
                    **reject.cause._asdict(),
                )
                for reject in self.house.rejects.newest_first()
            ],
            limits=[snapshot.Limit(key_id=room.key_id, limit=room.limit, left=room.left) for room in self.rooms()],
            freezes=[
                snapshot.Freeze(
                    key_id=freeze.key,
                    mode=freeze.mode.value,
                    since=timestamp_of(freeze.since),
                    by=freeze.by,
                    dead_man=freeze.silent,
                    stray=freeze.stray,
                    text=freeze.text(),
                )
                for freeze in self.house.access.told_freezes()
            ],
            audit=None if audit is None else snapshot.Audit(**audit._asdict()),
        )


def _sessions(station: Station) -> list[Session]:
    clients = station.hub.clients
    return [session for session in station.hub.router.sessions.values() if session.slot in clients]


def _opend(
    number: int, station: Station, samples: Samples, readiness: Readiness, now: float, wall: float
) -> snapshot.Opend:
    hub, watch = station.hub, station.watch
    lanes, quota, counters = hub.router.lanes, hub.router.subscriptions.quota, hub.switch.counters()
    state, main = readiness.opends[number - 1], lanes.main.upstream
    down = next((lane.upstream for lane in (lanes.main, lanes.trade) if not lane.upstream.ready), None)
    requests = samples.rates(lambda sample: sample.requests)
    pushes_in = samples.rates(lambda sample: sample.pushes_in)
    pushes_out = samples.rates(lambda sample: sample.pushes_out)
    wanted = list(lanes.wanted())
    return snapshot.Opend(
        number=number,
        name=state.name,
        simulated=state.simulated,
        consoles={one.address: one.console.name for one in station.reach.members_known if one.console is not None},
        state=state.state,
        since=state.since,
        paused=None
        if main.pause is None
        else snapshot.Pause(
            since=timestamp_of(main.pause.since),
            until=None if main.pause.until is None else timestamp_of(main.pause.until),
            by=main.pause.by,
        ),
        absence="" if down is None else down.absence(now),
        version=None if main.identity is None else main.identity.server_ver,
        quote_login=state.quote_login,
        trade_login=state.trade_login,
        program=state.program_status,
        rights={market_name(field): right_name(right) for field, right in watch.rights.now.items()},
        quote_right=_quote_right(station.quote_right, wall - now),
        reconnects=sum(lane.upstream.reconnects for lane in lanes.all),
        quota_used=None if quota is None else quota[0],
        quota_left=None if quota is None else quota[1],
        history_used=watch.quotas.now["history"].used,
        history_quota=watch.quotas.now["history"].total,
        subscriptions=sum(len(lane.ledger.upstream_streams()) for lane in wanted),
        stale=sum(watch.feed.count_stale(now).values()),
        clients=len(_sessions(station)),
        pending=counters.pending,
        outbox_bytes=counters.outbox_bytes,
        requests_per_s=requests[-1] if requests else 0.0,
        pushes_in_per_s=pushes_in[-1] if pushes_in else 0.0,
        pushes_out_per_s=pushes_out[-1] if pushes_out else 0.0,
        conflated=counters.conflated,
        lanes=[_lane(lane, wall - now) for lane in wanted],
        protocols=_protocols(samples, hub.switch.latencies()),
        history=snapshot.History(requests=requests, pushes_in=pushes_in, pushes_out=pushes_out),
    )


def _quote_right(right: QuoteRight, offset: float) -> snapshot.QuoteRight | None:
    if right.lost_since is None:
        return None
    return snapshot.QuoteRight(
        policy=right.policy,
        since=timestamp_of(offset + right.lost_since),
        tries=right.tries,
        next_try=None if right.next_try is None else timestamp_of(offset + right.next_try),
        contested=right.contested,
    )


def _lane(lane: Lane, offset: float) -> snapshot.Lane:
    upstream = lane.upstream
    return snapshot.Lane(
        name=str(lane),
        state="ready" if upstream.ready else "down",
        since=timestamp_of(offset + (upstream.ready_since if upstream.ready else upstream.down_since)),
        reconnects=upstream.reconnects,
        subscriptions=len(lane.ledger.upstream_streams()),
    )


def _clients(number: int, station: Station, samples: Samples, offset: float, most: int) -> list[snapshot.Client]:
    hub = station.hub
    ledgers = [lane.ledger for lane in hub.router.lanes.wanted()]
    found = []
    for session in islice(_sessions(station), max(0, most)):
        figures = figures_of(hub, session)
        requests_per_s, pushes_per_s = samples.of_client(session.owner)
        client = snapshot.Client(
            id=client_id_of(number, session),
            opend=number,
            transport=session.transport,
            peer=session.peer,
            key_id=None if session.key is None else session.key.id,
            client_id=session.client_id,
            state=session.state.value,
            since=_stamp(round(offset + session.since, 1)),
            requests=figures.frames_in,
            requests_per_s=requests_per_s,
            pushes=figures.pushes_out,
            pushes_per_s=pushes_per_s,
            in_flight=figures.in_flight,
            outbox_bytes=figures.outbox_bytes,
            subscriptions=sum([ledger.used_quota(session.owner) for ledger in ledgers]),
        )
        found.append(client)
    return found


@lru_cache(maxsize=2 * CLIENTS_MAX)
def _stamp(wall: float) -> str:
    """Kept, because the same thousand times are written every second."""
    return timestamp_of(wall)


def _subscription(number: int, lane: Lane, view: StreamView, now: float, feed: Feed) -> snapshot.Subscription:
    stale = feed.stale(lane, view.key, now)
    state: str = "subscribed" if view.present else "refused" if view.refusal else "asking"
    if view.leaves_at is not None:
        state = "leaving"
    return snapshot.Subscription(
        opend=number,
        security=view.key.symbol,
        sub_type=view.key.sub_type,
        name=view.key.sub_type_name,
        event_contract=view.key.space is Space.EVENT_CONTRACT,
        lane=str(lane),
        state=state,  # type: ignore[arg-type]
        holders=view.holders,
        registered=view.registered,
        age_s=round(max(0.0, now - view.since), 1) if view.since else None,
        leaves_in_s=None if view.leaves_at is None else round(max(0.0, view.leaves_at - now), 1),
        refusal=view.refusal,
        stale=stale is not None,
        stale_reason="" if stale is None else stale.text,
    )


def _protocols(samples: Samples, latest: Latencies) -> list[snapshot.Protocol]:
    """The busiest first."""
    first: Latencies = samples.window[0].latencies if samples.window else {}
    seconds = samples.seconds
    found = []
    for proto_id, (counts, total_s) in latest.items():
        old_counts, old_total_s = first.get(proto_id, ((0,) * len(counts), 0.0))
        lately = [new - old for new, old in zip(counts, old_counts, strict=True)]
        answered = sum(lately)
        found.append(
            snapshot.Protocol(
                proto_id=proto_id,
                name=_name_of(proto_id),
                answered=sum(counts),
                lately=answered,
                per_s=round(answered / seconds, 2) if seconds > 0 else 0.0,
                mean_ms=round((total_s - old_total_s) / answered * 1e3, 3) if answered else None,
                p50_ms=quantile_ms(lately, 0.5),
                p99_ms=quantile_ms(lately, 0.99),
            )
        )
    return sorted(found, key=lambda one: (-one.lately, -one.answered, one.proto_id))


def quantile_ms(counts: Sequence[int], share: float) -> float | None:
    """The bound of the bucket in which this share of all is reached, in milliseconds; None where there is none.
    ``counts``: per bucket of LATENCY_BUCKETS_S and one more above them."""
    wanted, reached = sum(counts) * share, 0
    for bound, count in zip(LATENCY_BUCKETS_S, counts, strict=False):
        reached += count
        if reached and reached >= wanted:
            return round(bound * 1e3, 3)
    return None


def _name_of(proto_id: int) -> str:
    protocol = PROTOCOLS.get(proto_id)
    return "unknown" if protocol is None else protocol.name
