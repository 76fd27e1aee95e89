"""The parts of the snapshot that `/v1/status` sends: what one OpenD, its clients, a stream look like to a reader."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Final

from opendmux.core import snapshot
from opendmux.core.audit import timestamp_of
from opendmux.core.feed import Feed
from opendmux.core.identity import Session
from opendmux.core.lanes import Lane
from opendmux.core.ledger_values import StreamView
from opendmux.core.notices import market_name, right_name
from opendmux.core.quote_right import QuoteRight
from opendmux.core.streams import Space
from opendmux.native import LATENCY_BUCKETS_S
from opendmux.wire.protocols import PROTOCOLS

from .readiness import Readiness
from .sampler import Latencies, Samples, figures_of
from .station import Station

__all__ = [
    "CLIENTS_MAX",
    "client_id_of",
    "clients_of",
    "name_of",
    "opend_of",
    "quantile_ms",
    "sessions_of",
    "subscription_of",
]

CLIENTS_MAX: Final = 2000
"""So many clients are listed; see `status.SUBSCRIPTIONS_MAX`."""


def client_id_of(number: int, session: Session) -> str:
    """What a session is called: its number, as in the log; behind another OpenD than the first, that one's number and
    a dot before it."""
    return str(session.owner) if number == 1 else f"{number}.{session.owner}"


def sessions_of(station: Station) -> list[Session]:
    """Sessions that have a connection."""
    clients = station.hub.clients
    return [session for session in station.hub.router.sessions.values() if session.slot in clients]


def opend_of(
    number: int, station: Station, samples: Samples, readiness: Readiness, now: float, wall: float
) -> snapshot.Opend:
    """One OpenD, by its number from 1. ``now``: Trio seconds; ``wall``: the same moment, seconds of the epoch."""
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
        quota_at=None if quota is None else timestamp_of(wall - now + hub.router.subscriptions.quota_at),
        history_used=watch.quotas.now["history"].used,
        history_quota=watch.quotas.now["history"].total,
        subscriptions=sum(len(lane.ledger.upstream_streams()) for lane in wanted),
        stale=sum(watch.feed.count_stale(now).values()),
        clients=len(sessions_of(station)),
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


def clients_of(number: int, station: Station, samples: Samples, offset: float, most: int) -> list[snapshot.Client]:
    """The first of an OpenD's clients, at most so many. ``offset``: of the wall clock to Trio's, in seconds."""
    hub = station.hub
    ledgers = [lane.ledger for lane in hub.router.lanes.wanted()]
    found = []
    for session in islice(sessions_of(station), max(0, most)):
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


def subscription_of(number: int, lane: Lane, view: StreamView, now: float, feed: Feed) -> snapshot.Subscription:
    """One stream of a lane. ``now``: Trio seconds."""
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
                name=name_of(proto_id),
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


def name_of(proto_id: int) -> str:
    """What a protocol is called."""
    protocol = PROTOCOLS.get(proto_id)
    return "unknown" if protocol is None else protocol.name
