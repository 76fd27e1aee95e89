"""Calls that need no subscription: history, static data, snapshots, calendars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from opendmux.sim.securities import CATALOGUE
from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import ProtoId

from .kit import APPLE, HK, TENCENT, Client, playing, security

if TYPE_CHECKING:
    from trio.testing import MockClock


async def history(client: Client, **c2s: Any) -> opend_sim.RequestHistoryKLResponse:
    fields = {
        "rehabType": 1,
        "klType": 2,
        "security": security(TENCENT),
        "beginTime": "2025-01-01",
        "endTime": "2025-12-31",
        **c2s,
    }
    request = opend_sim.RequestHistoryKLRequest(c2s=opend_sim.RequestHistoryKLC2S(**fields))
    return await client.call(ProtoId.QOT_REQUEST_HISTORY_KL, request, opend_sim.RequestHistoryKLResponse)


async def test_history_comes_in_pages(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        whole = (await history(client)).s2c
        assert len(whole.klList) == 261
        assert not whole.HasField("nextReqKey")
        assert (whole.klList[0].time, whole.klList[-1].time) == ("2025-01-01 00:00:00", "2025-12-31 00:00:00")
        pages = []
        key: dict[str, bytes] = {}
        while True:
            page = (await history(client, maxAckKLNum=100, **key)).s2c
            pages.append(len(page.klList))
            assert list(page.klList) == list(whole.klList)[sum(pages) - len(page.klList) : sum(pages)]
            if not page.HasField("nextReqKey"):
                break
            key = {"nextReqKey": page.nextReqKey}
        assert pages == [100, 100, 61]


async def test_the_quota_of_history_counts_securities(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()

        async def quota() -> tuple[int, int]:
            request = opend.HistoryQuotaRequest(c2s=opend.HistoryQuotaC2S(bGetDetail=False))
            proto_id = ProtoId.QOT_REQUEST_HISTORY_KL_QUOTA
            s2c = (await client.call(proto_id, request, opend.HistoryQuotaResponse)).s2c
            return s2c.usedQuota, s2c.remainQuota

        assert await quota() == (0, 1000)
        for klt in (2, 3):
            await history(client, klType=klt)
        await history(client, security=security(APPLE))
        assert await quota() == (2, 998)
        play.sim.set_quota(100, 20)
        play.sim.notify_used_quota(1, 19)
        assert await quota() == (19, 1)


async def test_a_page_key_belongs_to_its_request_and_connection(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client, other = await play.client(), await play.client()
        key = (await history(client, maxAckKLNum=10)).s2c.nextReqKey
        for answer in (
            await history(other, maxAckKLNum=10, nextReqKey=key),
            await history(client, maxAckKLNum=10, nextReqKey=key, security=security(APPLE)),
            await history(client, maxAckKLNum=10, nextReqKey=key, klType=3),
            await history(client, maxAckKLNum=10, nextReqKey=b"forged"),
            await history(client, maxAckKLNum=10, nextReqKey=b"\xff" + key[1:]),
        ):
            assert answer.retType == -1
            assert "nextReqKey" in answer.retMsg


async def test_history_gives_the_fields_that_were_asked_for(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        bar = (await history(client, needKLFieldsFlag=8 | 32)).s2c.klList[0]
        names = {field.name for field, _ in bar.ListFields()}
        assert names == {"time", "isBlank", "timestamp", "closePrice", "volume", "hpVolume"}


async def test_history_stops_now_and_begins_with_the_listing(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        answer = await history(client, klType=5, beginTime="1990-01-01", endTime="2090-01-01")
        years = [bar.time[:4] for bar in answer.s2c.klList]
        assert years[-1] == "2026"
        assert years == [str(year) for year in range(int(years[0]), 2027)]
        minutes = await history(client, klType=1, beginTime="2026-01-05 09:00:00", endTime="2026-01-05 23:00:00")
        assert minutes.s2c.klList[-1].time <= "2026-01-05 10:31:00"


@pytest.mark.parametrize(
    "c2s",
    [
        {"beginTime": "soon"},
        {"endTime": ""},
        {"beginTime": "2026-01-01", "endTime": "2025-01-01"},
        {"klType": 0},
        {"rehabType": 3},
        {"security": opend.Security(market=1, code="7")},
    ],
)
async def test_odd_history_requests_are_refused(autojump_clock: MockClock, c2s: dict[str, Any]) -> None:
    async with playing() as play:
        answer = await history(await play.client(), **c2s)
        assert answer.retType == -1
        assert answer.retMsg


async def test_trading_days_are_weekdays(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()

        async def days(**c2s: Any) -> opend_sim.RequestTradeDateResponse:
            fields = {"market": 1, "beginTime": "2026-01-01", "endTime": "2026-01-08", **c2s}
            request = opend_sim.RequestTradeDateRequest(c2s=opend_sim.RequestTradeDateC2S(**fields))
            return await client.call(ProtoId.QOT_REQUEST_TRADE_DATE, request, opend_sim.RequestTradeDateResponse)

        answer = await days()
        assert [day.time for day in answer.s2c.tradeDateList] == [
            "2026-01-01",
            "2026-01-02",
            "2026-01-05",
            "2026-01-06",
            "2026-01-07",
            "2026-01-08",
        ]
        assert answer.s2c.tradeDateList[0].timestamp == 1_767_196_800
        assert len((await days(market=0, security=opend.Security(market=91, code="BTCUSD"))).s2c.tradeDateList) == 8
        assert (await days(market=77)).retType == -1
        assert (await days(beginTime="1900-01-01")).retType == -1


async def test_static_info_of_some_and_of_a_market(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()

        async def static(**c2s: Any) -> opend_sim.GetStaticInfoResponse:
            request = opend_sim.GetStaticInfoRequest(c2s=opend_sim.GetStaticInfoC2S(**c2s))
            return await client.call(ProtoId.QOT_GET_STATIC_INFO, request, opend_sim.GetStaticInfoResponse)

        some = (await static(market=0, secType=0, securityList=[security(TENCENT), security(APPLE)])).s2c
        assert [(info.basic.security.code, info.basic.lotSize) for info in some.staticInfoList] == [
            ("00700", 100),
            ("AAPL", 1),
        ]
        market = (await static(market=HK, secType=3)).s2c
        codes = [info.basic.security.code for info in market.staticInfoList]
        assert codes == sorted(codes)
        assert set(codes) < set(CATALOGUE[HK])
        assert "800000" not in codes
        option = (await static(securityList=[opend.Security(market=11, code="AAPL270115C185000")])).s2c.staticInfoList[
            0
        ]
        assert (option.optionExData.owner.code, option.optionExData.strikePrice) == ("AAPL", 185.0)
        assert (await static(market=3)).retType == -1
        assert (await static(securityList=[opend.Security(market=1, code="x y")])).retType == -1


async def test_snapshots_and_market_states(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        keys = [TENCENT, APPLE, (1, "800000"), (1, "HSImain"), (11, "AAPL270115C185000")]
        request = opend_sim.SecuritiesRequest(c2s={"securityList": [security(key) for key in keys]})
        answer = await client.call(ProtoId.QOT_GET_SECURITY_SNAPSHOT, request, opend_sim.GetSecuritySnapshotResponse)
        blocks = [
            [field.name for field, _ in snapshot.ListFields() if field.name != "basic"]
            for snapshot in answer.s2c.snapshotList
        ]
        assert blocks == [["equityExData"], ["equityExData"], ["indexExData"], ["futureExData"], ["optionExData"]]
        for snapshot in answer.s2c.snapshotList:
            basic = snapshot.basic
            assert basic.lowPrice <= basic.curPrice <= basic.highPrice
            assert basic.bidPrice < basic.askPrice
            assert basic.lowest52WeeksPrice <= basic.lowPrice <= basic.highPrice <= basic.highest52WeeksPrice
        again = await client.call(ProtoId.QOT_GET_SECURITY_SNAPSHOT, request, opend_sim.GetSecuritySnapshotResponse)
        assert again == answer, "what nobody has subscribed stands still"
        states = await client.call(ProtoId.QOT_GET_MARKET_STATE, request, opend_sim.GetMarketStateResponse)
        assert [info.marketState for info in states.s2c.marketInfoList] == [3] * 5
        for proto_id in (ProtoId.QOT_GET_SECURITY_SNAPSHOT, ProtoId.QOT_GET_MARKET_STATE):
            for count in (0, 401):
                many = opend_sim.SecuritiesRequest(c2s={"securityList": [security(TENCENT)] * count})
                assert (await client.call(proto_id, many, opend_sim.BasicQotResponse)).retType == -1
