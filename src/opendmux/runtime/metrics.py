"""The metrics as Prometheus text.

Nothing is counted here: at each scrape the counters of switch, hubs and core are read. Names, labels and help texts are
those of `metric_table`. prometheus-client is imported with the first scrape, and its default registry is never used.

A text is kept for `FRESH_S`: making one costs a few milliseconds of the one thread that also serves the clients.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from opendmux.core.conditions import Conditions, Kind
from opendmux.core.feed import STALE_REASONS
from opendmux.core.keys import Key
from opendmux.core.lanes import LaneKind
from opendmux.core.limits import Limits
from opendmux.core.streams import Space
from opendmux.core.tally import Series, Tally
from opendmux.native import LATENCY_BUCKETS_S

from .metric_table import METRICS
from .station import Station

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Family

__all__ = ["CONTENT_TYPE", "FRESH_S", "AuditState", "KeyRoom", "Metrics", "Sources", "rooms_of"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
FRESH_S: Final = 1.0
ROOMS_MAX: Final = 2000
"""Series of `KeyRoom`s, about: as many as a tally has."""
REASON_MAX: Final = 80
"""Characters of a reason that become a label."""


class KeyRoom(NamedTuple):
    """How far a key is from one of its limits."""

    key_id: str
    limit: str
    """``rate``, ``daily`` or ``hours``."""
    left: float
    """In the limit's own unit: orders, or money."""


def rooms_of(keys: Iterable[Key], limits: Limits, now: float, wall: float) -> list[KeyRoom]:
    """The headroom of those keys that have limits: ``rate`` in orders, ``daily`` in money, ``hours`` 1 within them and
    0 outside. ``now``: Trio seconds, ``wall``: UTC seconds."""
    rooms: list[KeyRoom] = []
    for key in keys:
        left = limits.headroom(key, now, wall)
        if left.orders is not None:
            rooms.append(KeyRoom(key.id, "rate", left.orders))
        if left.daily_value is not None:
            rooms.append(KeyRoom(key.id, "daily", float(left.daily_value)))
        if key.limits.hours_window is not None:
            rooms.append(KeyRoom(key.id, "hours", left.in_hours))
        if len(rooms) >= ROOMS_MAX:
            break
    return rooms


class AuditState(NamedTuple):
    """How the audit log is."""

    healthy: bool
    written: int
    queued: int
    lost: int


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures come from, beside the stations; what is left out is simply not there."""

    tally: Tally
    version: str
    headroom: Callable[[], Iterable[KeyRoom]] | None = None
    audit: Callable[[], AuditState] | None = None
    operated: Series | None = None
    """Operation commands; see `House`."""
    crowded: Callable[[], int] | None = None
    """HTTP connections that were refused; see `Crowd`."""
    conditions: Conditions | None = None
    alerts: Callable[[], Iterable[tuple[str, str, int]]] = tuple
    """Entry, outcome, how many."""


class Metrics:
    """Makes the text."""

    def __init__(self, stations: Callable[[], Sequence[Station]], sources: Sources) -> None:
        self._stations = stations
        self._sources = sources
        self._registry: CollectorRegistry | None = None
        self._text = b""
        self._until = 0.0
        self._now = 0.0

    def text(self, now: float) -> bytes:
        """The exposition, at most `FRESH_S` old. ``now``: Trio seconds."""
        if now < self._until and self._text:
            return self._text
        from prometheus_client import CollectorRegistry, generate_latest

        if self._registry is None:
            self._registry = CollectorRegistry(auto_describe=False)
            self._registry.register(self)
        self._now = now
        self._text = generate_latest(self._registry)
        self._until = now + FRESH_S
        return self._text

    def collect(self) -> Iterable[Family]:
        """For the registry."""
        sheet = _Sheet()
        _gate(sheet, self._sources)
        names: set[str] = set()
        for station in self._stations():
            name = station.reach.name
            while name in names:
                name += "'"  # two upstreams may have one address
            names.add(name)
            _sessions(sheet, name, station)
            _traffic(sheet, name, station)
            _upstream(sheet, name, station)
            _subscriptions(sheet, name, station)
            _pushes(sheet, name, station)
            _watch(sheet, name, station, self._now)
            _budgets(sheet, name, station, self._now)
            sheet.latencies("opendmux_request_latency_seconds", name, station.hub.switch.latencies())
        if self._sources.operated is not None:
            sheet.put_all("opendmux_operations_total", self._sources.operated)
        _audit(sheet, self._sources)
        if self._sources.crowded is not None:
            sheet.put("opendmux_http_connections_refused_total", self._sources.crowded())
        _conditions(sheet, self._sources)
        return sheet.families.values()


class _Sheet:
    """The families of one scrape, made when their first sample comes."""

    def __init__(self) -> None:
        self.families: dict[str, Family] = {}

    def put(self, name: str, value: float, *labels: str) -> None:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        metric = METRICS[name]
        assert len(labels) == len(metric.labels), name
        family = self.families.get(name)
        if family is None:
            cls = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = self.families[name] = cls(name, metric.help, labels=metric.labels)
        family.add_metric(labels, value)  # type: ignore[attr-defined]

    def put_all(self, name: str, series: Series) -> None:
        for labels, count in series:
            self.put(name, count, *labels)

    def latencies(self, name: str, opend: str, found: Mapping[int, tuple[tuple[int, ...], float]]) -> None:
        from prometheus_client.core import HistogramMetricFamily

        metric = METRICS[name]
        family = self.families.get(name)
        if family is None:
            family = self.families[name] = HistogramMetricFamily(name, metric.help, labels=metric.labels)
        for proto_id, (counts, total_s) in sorted(found.items()):
            running, buckets = 0, []
            for bound, count in zip([*(f"{bound:g}" for bound in LATENCY_BUCKETS_S), "+Inf"], counts, strict=True):
                running += count
                buckets.append((bound, running))
            family.add_metric((opend, str(proto_id)), buckets, total_s)  # type: ignore[attr-defined]


def _gate(sheet: _Sheet, sources: Sources) -> None:
    sheet.put("opendmux_build_info", 1, sources.version)
    sheet.put_all("futu_auth_events_total", sources.tally.auth_events)
    sheet.put_all("futu_auth_limit_rejects_total", sources.tally.limit_rejects)
    sheet.put_all("futu_ws_filtered_pushes_total", sources.tally.filtered_pushes)
    if sources.headroom is not None:
        for key_id, limit, left in sources.headroom():
            sheet.put("opendmux_limit_headroom", left, key_id, limit)


def _sessions(sheet: _Sheet, name: str, station: Station) -> None:
    hub = station.hub
    transports = {"tcp": 0}
    for slot, client in hub.clients.items():
        if client.session.slot == slot:  # others are streams of such a one
            transport = client.session.transport
            transports[transport] = transports.get(transport, 0) + 1
    for transport, count in transports.items():
        sheet.put("opendmux_sessions", count, name, transport)
    sheet.put("opendmux_sessions_begun_total", hub.sessions_begun, name)
    sheet.put("opendmux_torn_total", hub.torn, name)
    reasons: dict[str, int] = {}
    for reason, count in hub.ended.items():
        # The figures in a reason would make a series each.
        plain = re.sub(r"\d+(\.\d+)?", "#", reason)[:REASON_MAX]
        reasons[plain] = reasons.get(plain, 0) + count
    for reason, count in reasons.items():
        sheet.put("opendmux_sessions_ended_total", count, name, reason)


def _traffic(sheet: _Sheet, name: str, station: Station) -> None:
    counters = station.hub.switch.counters()
    for direction, frames in (
        ("from_client", counters.frames_in),
        ("to_client", counters.frames_out),
        ("from_upstream", counters.upstream_frames_in),
    ):
        sheet.put("opendmux_frames_total", frames, name, direction)
    for direction, count in (
        ("from_client", counters.bytes_in),
        ("to_client", counters.bytes_out),
        ("from_upstream", counters.upstream_bytes_in),
    ):
        sheet.put("opendmux_bytes_total", count, name, direction)
    sheet.put("opendmux_passed_frames_total", counters.passed, name)
    sheet.put("opendmux_bad_sha1_total", counters.bad_sha1, name)
    sheet.put("opendmux_stray_replies_total", counters.strays, name)
    sheet.put("opendmux_pending_requests", counters.pending, name)
    sheet.put("opendmux_outbox_bytes", counters.outbox_bytes, name)
    sheet.put("opendmux_pushes_conflated_total", counters.conflated, name)


def _upstream(sheet: _Sheet, name: str, station: Station) -> None:
    lanes = station.hub.router.lanes
    sheet.put("opendmux_upstream_simulated", station.reach.simulated, name)
    for lane in lanes.all:
        upstream = lane.upstream
        if lane.wanted:
            sheet.put("opendmux_upstream_up", upstream.ready, name, str(lane))
        if lane.wanted or upstream.reconnects:
            sheet.put("opendmux_upstream_reconnects_total", upstream.reconnects, name, str(lane))
    if station.quote_right.lost_since is not None:
        sheet.put("opendmux_quote_right_tries", station.quote_right.tries, name)
    logins = lanes.main.upstream.logins
    if logins is not None:
        sheet.put("opendmux_upstream_login", logins.quote, name, "quote")
    logins = lanes.trade.upstream.logins
    if logins is not None:
        sheet.put("opendmux_upstream_login", logins.trade, name, "trade")


def _subscriptions(sheet: _Sheet, name: str, station: Station) -> None:
    router = station.hub.router
    holders: set[int] = set()
    for lane in router.lanes.all:
        if not lane.wanted or lane.kind is LaneKind.TRADE:
            continue
        spaces = dict.fromkeys(Space, 0)
        for key in lane.ledger.upstream_streams():
            spaces[key.space] += 1
        for space, count in spaces.items():
            sheet.put("opendmux_subscriptions", count, name, str(lane), space.name.lower())
        sheet.put("opendmux_subscriptions_refused", len(lane.ledger.refused()), name, str(lane))
        holders.update(lane.ledger.owners_with_subscriptions())
    sheet.put("opendmux_subscription_holders", len(holders), name)
    if router.subscriptions.quota is not None:
        used, left = router.subscriptions.quota
        sheet.put("opendmux_quota_used", used, name)
        sheet.put("opendmux_quota_left", left, name)


def _pushes(sheet: _Sheet, name: str, station: Station) -> None:
    hub = station.hub
    counters = hub.switch.counters()
    unroutable = 0
    for lane in hub.router.lanes.all:
        unroutable += lane.pushes.unroutable
        if lane.wanted or lane.pushes.taken:
            sheet.put("opendmux_pushes_in_total", lane.pushes.taken, name, str(lane))
    sheet.put("opendmux_pushes_out_total", counters.pushes_out, name)
    for reason, count in (("bad_sha1", hub.bad_pushes), ("unroutable", unroutable), ("slow", counters.overflows)):
        sheet.put("opendmux_pushes_dropped_total", count, name, reason)


def _budgets(sheet: _Sheet, name: str, station: Station, now: float) -> None:
    metering = station.hub.router.metering
    waiting = dict.fromkeys(metering.budgets.counters, 0)
    for usage in metering.budgets.usage(now):
        waiting[usage.charge.budget] += usage.waiting
    for budget, counters in metering.budgets.counters.items():
        if not (counters.admitted or counters.waited or counters.refused):
            continue  # of dozens most are never used
        sheet.put("opendmux_budget_admitted_total", counters.admitted, name, budget)
        sheet.put("opendmux_budget_waited_total", counters.waited, name, budget)
        sheet.put("opendmux_budget_refused_total", counters.refused, name, budget)
        sheet.put("opendmux_budget_waiting", waiting[budget], name, budget)
    sheet.put("opendmux_shared_reads_total", metering.in_flight.shared, name)


def _watch(sheet: _Sheet, name: str, station: Station, now: float) -> None:
    stale = station.watch.feed.count_stale(now)
    for reason in STALE_REASONS:
        sheet.put("opendmux_subscriptions_stale", stale[reason], name, reason)
    history = station.watch.quotas.now["history"]
    if history.used is not None:
        sheet.put("opendmux_history_quota_used", history.used, name)
    if history.total is not None:
        sheet.put("opendmux_history_quota", history.total, name)


def _conditions(sheet: _Sheet, sources: Sources) -> None:
    if sources.conditions is None:
        return
    for one in sources.conditions.active():
        sheet.put("opendmux_condition", 1, one.opend, one.kind, one.subject)
    for kind in Kind:
        sheet.put("opendmux_conditions_total", sources.conditions.begun.get(kind, 0), kind)
    for alert, outcome, count in sources.alerts():
        sheet.put("opendmux_alerts_total", count, alert, outcome)


def _audit(sheet: _Sheet, sources: Sources) -> None:
    if sources.audit is None:
        return
    state = sources.audit()
    sheet.put("opendmux_audit_healthy", state.healthy)
    sheet.put("opendmux_audit_events_total", state.written)
    sheet.put("opendmux_audit_queued", state.queued)
    sheet.put("opendmux_audit_lost_total", state.lost)
