"""The metrics as Prometheus text.

Nothing is counted here: at each scrape the counters of switch, hubs and core are read. `METRICS` is the only place of
names, labels and help texts; docs/metrics.md lists the same. prometheus-client is imported with the first scrape, and
its default registry is never used.

A text is kept for `FRESH_S`: making one costs a few milliseconds of the one thread that also serves the clients.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from opendmux.core.lanes import LaneKind
from opendmux.core.streams import Space
from opendmux.core.tally import Series, Tally
from opendmux.native import Switch

from .station import Station

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Family

__all__ = ["CONTENT_TYPE", "FRESH_S", "METRICS", "AuditState", "Headroom", "Latencies", "Metric", "Metrics", "Sources"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
FRESH_S: Final = 1.0
REASON_MAX: Final = 80
"""Characters of a reason that become a label."""

Latencies = Mapping[int, tuple[tuple[int, ...], float]]
"""proto_id -> (count of each bucket, not cumulative, the last one for everything slower; sum in seconds)."""


class Headroom(NamedTuple):
    """How far a key is from one of its limits."""

    key_id: str
    limit: str
    """``rate``, ``daily``, ..."""
    left: float
    """In the limit's own unit: orders, or money."""


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
    latencies: Callable[[Switch], Latencies] | None = None
    latency_buckets_s: Sequence[float] = ()
    """Upper bounds of all buckets but the last."""
    headroom: Callable[[], Iterable[Headroom]] | None = None
    audit: Callable[[], AuditState] | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """One name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str


def _table(*metrics: Metric) -> Mapping[str, Metric]:
    return {metric.name: metric for metric in metrics}


METRICS: Final = _table(
    Metric(
        "futu_auth_events_total",
        "counter",
        ("iface", "outcome", "key_id"),
        "Decisions of the gate about who may come in.",
    ),
    Metric(
        "futu_auth_limit_rejects_total",
        "counter",
        ("iface", "key_id", "reason"),
        "Requests turned away by a limit of their key.",
    ),
    Metric(
        "futu_ws_filtered_pushes_total",
        "counter",
        ("required_scope", "key_id"),
        "Pushes kept from a stream whose key lacks the scope.",
    ),
    Metric("opendmux_build_info", "gauge", ("version",), "Always 1; the version is in the label."),
    Metric("opendmux_sessions", "gauge", ("opend", "transport"), "Connected clients."),
    Metric("opendmux_sessions_begun_total", "counter", ("opend",), "Clients that have connected."),
    Metric("opendmux_sessions_ended_total", "counter", ("opend", "reason"), "Clients that have gone, by reason."),
    Metric("opendmux_torn_total", "counter", ("opend",), "Client connections closed in the middle of a frame."),
    Metric(
        "opendmux_frames_total",
        "counter",
        ("opend", "direction"),
        "Whole frames: from_client, to_client, from_upstream.",
    ),
    Metric("opendmux_passed_frames_total", "counter", ("opend",), "Those of clients that were not looked into."),
    Metric("opendmux_bytes_total", "counter", ("opend", "direction"), "Bytes of the same frames."),
    Metric("opendmux_bad_sha1_total", "counter", ("opend",), "Frames whose SHA-1 was wrong."),
    Metric("opendmux_stray_replies_total", "counter", ("opend",), "Replies nobody waited for, late ones mostly."),
    Metric("opendmux_pending_requests", "gauge", ("opend",), "Requests sent to OpenD and not answered yet."),
    Metric(
        "opendmux_request_latency_seconds",
        "histogram",
        ("opend", "proto_id"),
        "From sending a request to OpenD until its reply has come.",
    ),
    Metric("opendmux_upstream_up", "gauge", ("opend", "lane"), "1 while the connection to OpenD is ready."),
    Metric(
        "opendmux_upstream_reconnects_total",
        "counter",
        ("opend", "lane"),
        "How often it became ready again after it was lost.",
    ),
    Metric("opendmux_upstream_login", "gauge", ("opend", "kind"), "OpenD's own quote and trade login, where known."),
    Metric("opendmux_upstream_simulated", "gauge", ("opend",), "1 where the built-in simulator answers."),
    Metric(
        "opendmux_subscriptions",
        "gauge",
        ("opend", "lane", "space"),
        "Streams subscribed at OpenD, each one unit of quota.",
    ),
    Metric("opendmux_subscriptions_refused", "gauge", ("opend", "lane"), "Streams clients hold and OpenD refuses."),
    Metric("opendmux_subscription_holders", "gauge", ("opend",), "Clients that hold any subscription."),
    Metric("opendmux_quota_used", "gauge", ("opend",), "Subscription quota used, as OpenD said last."),
    Metric("opendmux_quota_left", "gauge", ("opend",), "Subscription quota left, as OpenD said last."),
    Metric("opendmux_pushes_in_total", "counter", ("opend", "lane"), "Pushes that came from OpenD."),
    Metric("opendmux_pushes_out_total", "counter", ("opend",), "Pushes put into outboxes, once per client."),
    Metric("opendmux_pushes_conflated_total", "counter", ("opend",), "Quote pushes replaced by a newer one unsent."),
    Metric(
        "opendmux_pushes_dropped_total",
        "counter",
        ("opend", "reason"),
        "Pushes lost: bad_sha1, unroutable (can't be read), slow (the client was ended for it).",
    ),
    Metric("opendmux_outbox_bytes", "gauge", ("opend",), "Unsent bytes of all clients."),
    Metric("opendmux_budget_admitted_total", "counter", ("opend", "budget"), "Requests sent within an OpenD limit."),
    Metric("opendmux_budget_waited_total", "counter", ("opend", "budget"), "Requests that waited for an OpenD limit."),
    Metric("opendmux_budget_refused_total", "counter", ("opend", "budget"), "Requests refused for an OpenD limit."),
    Metric("opendmux_budget_waiting", "gauge", ("opend", "budget"), "Requests that wait for an OpenD limit now."),
    Metric("opendmux_shared_reads_total", "counter", ("opend",), "Reads answered by somebody else's identical one."),
    Metric("opendmux_limit_headroom", "gauge", ("key_id", "limit"), "What is left of a key's limit."),
    Metric("opendmux_audit_healthy", "gauge", (), "0 while the audit log can't be written."),
    Metric("opendmux_audit_events_total", "counter", (), "Events written to the audit log."),
    Metric("opendmux_audit_queued", "gauge", (), "Audit events that are not written yet."),
    Metric("opendmux_audit_lost_total", "counter", (), "Audit events dropped because too many were waiting."),
)
"""By name."""


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
            _budgets(sheet, name, station, self._now)
            if self._sources.latencies is not None:
                found = self._sources.latencies(station.hub.switch)
                sheet.latencies("opendmux_request_latency_seconds", name, found, self._sources.latency_buckets_s)
        _audit(sheet, self._sources)
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

    def latencies(self, name: str, opend: str, found: Latencies, bounds: Sequence[float]) -> None:
        from prometheus_client.core import HistogramMetricFamily

        metric = METRICS[name]
        family = self.families.get(name)
        if family is None:
            family = self.families[name] = HistogramMetricFamily(name, metric.help, labels=metric.labels)
        for proto_id, (counts, total_s) in sorted(found.items()):
            running, buckets = 0, []
            for bound, count in zip([*(f"{bound:g}" for bound in bounds), "+Inf"], counts, strict=True):
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
    for client in hub.clients.values():
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
    unroutable = 0
    for lane in hub.router.lanes.all:
        unroutable += lane.pushes.unroutable
        if lane.wanted or lane.pushes.taken:
            sheet.put("opendmux_pushes_in_total", lane.pushes.taken, name, str(lane))
    sheet.put("opendmux_pushes_out_total", hub.pushes_out, name)
    for reason, count in (("bad_sha1", hub.bad_pushes), ("unroutable", unroutable), ("slow", hub.pushes_refused)):
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


def _audit(sheet: _Sheet, sources: Sources) -> None:
    if sources.audit is None:
        return
    state = sources.audit()
    sheet.put("opendmux_audit_healthy", state.healthy)
    sheet.put("opendmux_audit_events_total", state.written)
    sheet.put("opendmux_audit_queued", state.queued)
    sheet.put("opendmux_audit_lost_total", state.lost)
