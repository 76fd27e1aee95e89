"""Every metric: the only place of names, labels and help texts. docs/metrics.md is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["METRICS", "Metric"]


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
    Metric(
        "opendmux_http_connections_refused_total",
        "counter",
        (),
        "HTTP connections refused because their address has limits.http_per_address of them.",
    ),
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
    Metric(
        "opendmux_limit_headroom",
        "gauge",
        ("key_id", "limit"),
        "What is left of a key's limit: rate (orders), daily (money), hours (1 within, 0 outside).",
    ),
    Metric("opendmux_history_quota_used", "gauge", ("opend",), "Securities with historical candles so far."),
    Metric("opendmux_history_quota", "gauge", ("opend",), "How many of them there may be."),
    Metric(
        "opendmux_subscriptions_stale",
        "gauge",
        ("opend", "reason"),
        "Subscriptions whose prices may be old, for link, login, right or mute; 0 for each when all is well.",
    ),
    Metric(
        "opendmux_condition",
        "gauge",
        ("opend", "kind", "subject"),
        "1 while it lasts: something is wrong, see docs/alerts.md.",
    ),
    Metric("opendmux_conditions_total", "counter", ("kind",), "Conditions that have begun, and events."),
    Metric(
        "opendmux_operations_total",
        "counter",
        ("opend", "command", "outcome"),
        "Operation commands for OpenD by how they ended: success, failure, unknown, reject (not sent).",
    ),
    Metric(
        "opendmux_quote_right_tries",
        "gauge",
        ("opend",),
        "How often a lost quote right was asked back so far; not there while none is lost.",
    ),
    Metric(
        "opendmux_alerts_total",
        "counter",
        ("alert", "outcome"),
        "Alerts by how they ended: delivered, failed, dropped (too many waited).",
    ),
    Metric("opendmux_audit_healthy", "gauge", (), "0 while the audit log can't be written."),
    Metric("opendmux_audit_events_total", "counter", (), "Events written to the audit log."),
    Metric("opendmux_audit_queued", "gauge", (), "Audit events that are not written yet."),
    Metric("opendmux_audit_lost_total", "counter", (), "Audit events dropped because too many were waiting."),
)
"""By name."""
