"""The metrics: valid text, every name of the table, figures that say what happened."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import MockClock

from opendmux.config import Config
from opendmux.core.conditions import Conditions, Kind
from opendmux.core.keys import HoursWindow, Key, KeyLimits, Scopes
from opendmux.core.limits import Limits
from opendmux.core.notices import ConnStatus
from opendmux.core.quotawatch import Quota
from opendmux.core.tally import Series, Tally
from opendmux.runtime.metric_table import METRICS
from opendmux.runtime.metrics import FRESH_S, ROOMS_MAX, AuditState, KeyRoom, Metrics, Sources, rooms_of
from opendmux.runtime.station import Reach, Station
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .world import OK, World, world

OPEND = "opend.test:11111"
Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def tally() -> Tally:
    counted = Tally()
    counted.auth("grpc", "allow", 'odd "name"\n')
    counted.limit_reject("tcp", "bot", "rate")
    counted.filtered_push("acc:read", "bot", 4)
    return counted


def full_sources() -> Sources:
    conditions = Conditions()
    conditions.begin(Kind.MUTE, "HK", 1.0, opend=OPEND)
    operated = Series(0)
    operated.add((OPEND, "ping", "success"))
    return Sources(
        tally(),
        "1.2.3",
        headroom=lambda: [KeyRoom("bot", "rate", 4.0)],
        audit=lambda: AuditState(healthy=False, written=7, queued=1, lost=2),
        crowded=lambda: 3,
        operated=operated,
        conditions=conditions,
        alerts=lambda: [("ops", "delivered", 2)],
    )


def figures(text: bytes) -> Figures:
    """As a scraper reads it."""
    found: Figures = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


def at(found: Figures, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def scraped(stations: Sequence[Station], sources: Sources | None = None) -> Figures:
    return figures(Metrics(lambda: stations, sources or full_sources()).text(trio.current_time()))


async def busy(w: World) -> None:
    """A client that subscribes, asks, gets a push, and another that has gone."""
    w.opend.answers[ProtoId.QOT_SUB] = lambda _frame: OK
    quota = opend.GetSubInfoS2C(totalUsedQuota=3, remainQuota=97)
    w.opend.answers[ProtoId.QOT_GET_SUB_INFO] = lambda _f: encode(opend.GetSubInfoResponse(retType=0, s2c=quota))
    state = opend.GetGlobalStateS2C(qotLogined=True, trdLogined=False)
    answer = encode(opend.GetGlobalStateResponse(retType=0, s2c=state))
    w.opend.answers[ProtoId.GET_GLOBAL_STATE] = lambda _frame: answer
    w.opend.answers[ProtoId.QOT_GET_BROKER] = lambda _frame: ret_body(0, -1)
    w.opend.answers[ProtoId.QOT_GET_SECURITY_SNAPSHOT] = lambda _frame: OK
    client = await w.client(recv_notify=True)
    c2s = opend.SubC2S(
        securityList=[opend.Security(market=1, code="00700")],
        subTypeList=[1, 4],
        isSubOrUnSub=True,
        isRegOrUnRegPush=True,
    )
    await client.call(ProtoId.QOT_SUB, encode(opend.SubRequest(c2s=c2s)))
    await client.call(ProtoId.QOT_GET_SUB_INFO, encode(opend.GetSubInfoRequest(c2s=opend.GetSubInfoC2S())))
    await client.call(
        ProtoId.GET_GLOBAL_STATE, encode(opend.GetGlobalStateRequest(c2s=opend.GetGlobalStateC2S(userID=0)))
    )
    await client.call(ProtoId.QOT_GET_SECURITY_SNAPSHOT, b"\n\x00")
    await w.opend.push(ProtoId.NOTIFY, encode(opend.NotifyResponse(retType=0, s2c=opend.NotifyS2C(type=1))))
    assert (await client.receive()).proto_id == ProtoId.NOTIFY
    await w.opend.push(ProtoId.TRD_UPDATE_ORDER, b"")
    other = await w.client()
    await other.stream.aclose()
    await trio.sleep(1)


async def test_every_name_of_the_table_and_no_other(autojump_clock: MockClock) -> None:
    async with world() as w:
        await busy(w)
        w.proxy.stations[0].watch.quotas.now["history"] = Quota(95, 100)
        w.proxy.stations[0].quote_right.lost(trio.current_time())
        text = Metrics(lambda: w.proxy.stations, full_sources()).text(trio.current_time())
        described = dict(re.findall(rb"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
        assert {name.decode(): kind.decode() for name, kind in described.items()} == {
            name: metric.kind for name, metric in METRICS.items()
        }
        labels: dict[str, set[str]] = {}
        for name, keys in figures(text):
            family = name if name in METRICS else re.sub("_(bucket|sum|count|created)$", "", name)
            labels.setdefault(family, set()).update(key for key, _value in keys if key != "le")
        assert labels == {name: set(metric.labels) for name, metric in METRICS.items()}


async def test_figures_say_what_happened(autojump_clock: MockClock) -> None:
    async with world() as w:
        await busy(w)
        found = scraped(w.proxy.stations)
        assert at(found, "opendmux_build_info", version="1.2.3") == 1
        assert at(found, "futu_auth_events_total", iface="grpc", outcome="allow", key_id='odd "name"\n') == 1
        assert at(found, "futu_auth_limit_rejects_total", iface="tcp", key_id="bot", reason="rate") == 1
        assert at(found, "futu_ws_filtered_pushes_total", required_scope="acc:read", key_id="bot") == 4
        assert at(found, "opendmux_sessions", opend=OPEND, transport="tcp") == 1
        assert at(found, "opendmux_sessions_begun_total", opend=OPEND) == 2
        ended = [key for key in found if key[0] == "opendmux_sessions_ended_total"]
        assert len(ended) == 1
        assert at(found, "opendmux_upstream_up", opend=OPEND, lane="main") == 1
        assert at(found, "opendmux_upstream_simulated", opend=OPEND) == 0
        assert at(found, "opendmux_upstream_login", opend=OPEND, kind="quote") == 1
        assert at(found, "opendmux_upstream_login", opend=OPEND, kind="trade") == 0
        assert at(found, "opendmux_subscriptions", opend=OPEND, lane="main", space="qot") == 2
        assert at(found, "opendmux_subscription_holders", opend=OPEND) == 1
        assert at(found, "opendmux_quota_used", opend=OPEND) == 3
        assert at(found, "opendmux_quota_left", opend=OPEND) == 97
        assert at(found, "opendmux_pushes_in_total", opend=OPEND, lane="main") == 2
        assert at(found, "opendmux_pushes_out_total", opend=OPEND) == 1
        assert at(found, "opendmux_pushes_dropped_total", opend=OPEND, reason="unroutable") == 1
        assert at(found, "opendmux_frames_total", opend=OPEND, direction="from_client") >= 6
        assert at(found, "opendmux_frames_total", opend=OPEND, direction="to_client") >= 7
        assert at(found, "opendmux_pending_requests", opend=OPEND) == 0
        assert at(found, "opendmux_limit_headroom", key_id="bot", limit="rate") == 4
        assert at(found, "opendmux_audit_healthy") == 0
        assert at(found, "opendmux_audit_lost_total") == 2


async def test_the_latency_histogram_is_cumulative(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        for seconds in (0.0, 0.0, 0.3):
            serial_no = await client.request(ProtoId.QOT_GET_BROKER, b"\n\x00")
            frame = await w.opend.requests.receive()
            await trio.sleep(seconds)
            await w.opend.reply(frame, OK)
            assert (await client.receive()).serial_no == serial_no
        found = scraped(w.proxy.stations)
        name = "opendmux_request_latency_seconds"
        who = {"opend": OPEND, "proto_id": str(int(ProtoId.QOT_GET_BROKER))}
        assert [at(found, f"{name}_bucket", le=le, **who) for le in ("0.0005", "0.25", "0.5", "+Inf")] == [2, 2, 3, 3]
        assert at(found, f"{name}_count", **who) == 3
        assert at(found, f"{name}_sum", **who) == pytest.approx(0.3)


def test_headroom_of_keys_with_limits() -> None:
    scopes = frozenset({Scopes.TRADE_SIMULATE})
    free = Key("free", scopes)
    hours = HoursWindow(0, 0)
    bound = Key("bot", scopes, KeyLimits(max_orders_per_minute=5, max_daily_value=1000.0, hours_window=hours), tz="UTC")
    rooms = rooms_of([free, bound], Limits(), 0.0, 1_700_000_000.0)
    assert rooms[:2] == [("bot", "rate", 5), ("bot", "daily", 1000.0)]
    assert [room.limit for room in rooms] == ["rate", "daily", "hours"]
    many = [Key(str(number), scopes, KeyLimits(max_orders_per_minute=1)) for number in range(2 * ROOMS_MAX)]
    assert len(rooms_of(many, Limits(), 0.0, 1_700_000_000.0)) == ROOMS_MAX


async def test_an_outage_shows(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.proxy.hub.router.lanes.main.upstream.logins = ConnStatus(quote=True, trade=True)
        w.opend.up = False
        await w.opend.drop()
        await trio.sleep(1)
        found = scraped(w.proxy.stations)
        assert at(found, "opendmux_upstream_up", opend=OPEND, lane="main") == 0
        assert not [key for key in found if key[0] == "opendmux_upstream_login"], "nobody knows any more"
        w.opend.up = True
        await trio.sleep(60)
        found = scraped(w.proxy.stations)
        assert at(found, "opendmux_upstream_up", opend=OPEND, lane="main") == 1
        assert at(found, "opendmux_upstream_reconnects_total", opend=OPEND, lane="main") == 1


async def test_what_is_left_out_is_not_there(autojump_clock: MockClock) -> None:
    async with world() as w:
        found = scraped(w.proxy.stations, Sources(Tally(), "1"))
        names = {name for name, _labels in found}
        assert not {name for name in names if "audit" in name or "headroom" in name}
        assert "opendmux_quota_used" not in names, "OpenD has not said"


async def test_reasons_with_figures_are_one_series(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.proxy.hub.ended.update({"stalled: took no byte for 0.2 s": 1, "stalled: took no byte for 30 s": 2})
        found = scraped(w.proxy.stations)
        reason = "stalled: took no byte for # s"
        assert at(found, "opendmux_sessions_ended_total", opend=OPEND, reason=reason) == 3


async def dead() -> trio.abc.Stream:
    raise OSError


async def test_two_upstreams_of_one_name_are_told_apart(autojump_clock: MockClock) -> None:
    stations = [Station(Config(), Reach("SIMULATED", dead)) for _ in range(2)]
    found = scraped(stations)
    assert at(found, "opendmux_upstream_simulated", opend="SIMULATED") == 1
    assert at(found, "opendmux_upstream_simulated", opend="SIMULATED'") == 1


async def test_the_text_is_kept_for_a_second(autojump_clock: MockClock) -> None:
    counted = tally()
    metrics = Metrics(list, Sources(counted, "1"))
    first = metrics.text(100.0)
    counted.auth("tcp", "allow", "late")
    assert metrics.text(100.0 + FRESH_S / 2) is first
    assert b"late" in metrics.text(100.0 + FRESH_S)


def test_the_library_is_imported_with_the_first_scrape_and_its_registry_left_alone() -> None:
    code = (
        "import sys; import opendmux.runtime.metrics as m; assert 'prometheus_client' not in sys.modules\n"
        "from opendmux.core.tally import Tally\n"
        "m.Metrics(lambda: [], m.Sources(Tally(), '1')).text(1.0)\n"
        "import prometheus_client as p\n"
        "assert 'opendmux' not in p.generate_latest().decode()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def rows(text: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", text, re.MULTILINE):
        yield name, kind, tuple(re.findall(r"`(\w+)`", labels))


def test_the_documentation_lists_them_all() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert list(rows(text)) == [(metric.name, metric.kind, metric.labels) for metric in METRICS.values()]
