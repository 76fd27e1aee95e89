"""A simulator on the mock clock and clients that talk to it over memory streams."""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import trio
import trio.testing
from google.protobuf.message import Message

from opendmux.sim import SimConfig, Simulator, open_simulator
from opendmux.wire.frame import Frame, Splitter, build_frame
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import PUSH_IDS, ProtoId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

R = TypeVar("R", bound=Message)

HK, US = 1, 11
BASIC, BOOK, TICKER, RT, KL_DAY, KL_1MIN, BROKER = 1, 2, 4, 5, 6, 11, 14
TENCENT, APPLE = (HK, "00700"), (US, "AAPL")
PASSWORD_MD5 = "e10adc3949ba59abbe56e057f20f883e"


class Client:
    """Speaks for one connection. Pushes that arrive on the way are kept in ``pushes``."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.serial_no = 0
        self.packet_serial = 0
        self.conn_id = 0
        self.pushes: deque[Frame] = deque()
        self._splitter = Splitter(64 * 1024 * 1024)
        self._frames: deque[Frame] = deque()

    async def send(
        self, proto_id: int, body: bytes, *, serial_no: int | None = None, proto_fmt: int = 0, sha1: bytes | None = None
    ) -> int:
        """Send one frame; returns its serial."""
        self.serial_no = self.serial_no + 1 if serial_no is None else serial_no
        await self.stream.send_all(build_frame(proto_id, proto_fmt, self.serial_no, body, sha1))
        return self.serial_no

    async def frame(self) -> Frame:
        """The next frame. Raises EndOfChannel at the end, which must be at a frame boundary."""
        while not self._frames:
            chunk = await self.stream.receive_some(65536)
            if not chunk:
                assert self._splitter.pending == 0
                raise trio.EndOfChannel
            self._frames.extend(self._splitter.feed_untrusted(chunk))
        return self._frames.popleft()

    async def reply(self, serial_no: int) -> Frame:
        while True:
            frame = await self.frame()
            if frame.proto_id in PUSH_IDS:
                self.pushes.append(frame)
            elif frame.serial_no == serial_no:
                assert frame.sha1_matches()
                return frame

    async def call(self, proto_id: int, request: Message, response: type[R]) -> R:
        """A request and its decoded answer, whatever the answer is."""
        frame = await self.reply(await self.send(proto_id, encode(request)))
        assert frame.proto_id == proto_id
        return response.FromString(frame.body)

    async def head(self, proto_id: int, body: bytes, **frame: Any) -> opend.ResponseHead:
        """retType and retMsg of the answer to any bytes."""
        reply = await self.reply(await self.send(proto_id, body, **frame))
        return opend.ResponseHead.FromString(reply.body)

    async def push(self, proto_id: int, response: type[R]) -> R:
        """The next push with that id; other pushes are kept."""
        for place, frame in enumerate(self.pushes):
            if frame.proto_id == proto_id:
                del self.pushes[place]
                return _push(frame, response)
        while True:
            frame = await self.frame()
            if frame.proto_id == proto_id:
                return _push(frame, response)
            self.pushes.append(frame)

    async def drain(self, seconds: float) -> list[Frame]:
        """Everything that arrives within so many seconds, pushes kept before included."""
        with trio.move_on_after(seconds):
            while True:
                self.pushes.append(await self.frame())
        frames = list(self.pushes)
        self.pushes.clear()
        return frames

    async def init(self, **c2s: Any) -> opend.InitConnectS2C:
        message = opend.InitConnectC2S(**{"clientVer": 300, "clientID": "test", **c2s})
        response = await self.call(
            ProtoId.INIT_CONNECT, opend.InitConnectRequest(c2s=message), opend.InitConnectResponse
        )
        assert response.retType == 0, response.retMsg
        self.conn_id = response.s2c.connID
        return response.s2c

    async def subscribe(
        self, securities: Sequence[tuple[int, str]], sub_types: Sequence[int], **c2s: Any
    ) -> opend.SubResponse:
        message = opend.SubC2S(
            securityList=[security(key) for key in securities],
            subTypeList=sub_types,
            **{"isSubOrUnSub": True, "isRegOrUnRegPush": True, "isFirstPush": False, **c2s},
        )
        return await self.call(ProtoId.QOT_SUB, opend.SubRequest(c2s=message), opend.SubResponse)

    async def accounts(self) -> list[opend.TrdAcc]:
        c2s = opend.GetAccListC2S(userID=0, needGeneralSecAccount=True)
        response = await self.call(ProtoId.TRD_GET_ACC_LIST, opend.GetAccListRequest(c2s=c2s), opend.GetAccListResponse)
        return list(response.s2c.accList)

    async def unlock(self, pwd_md5: str = PASSWORD_MD5, *, unlock: bool = True) -> opend.UnlockTradeResponse:
        c2s = opend.UnlockTradeC2S(unlock=unlock, pwdMD5=pwd_md5)
        return await self.call(ProtoId.TRD_UNLOCK_TRADE, opend.UnlockTradeRequest(c2s=c2s), opend.UnlockTradeResponse)

    async def listen_to(self, *acc_ids: int) -> opend.SubAccPushResponse:
        c2s = opend.SubAccPushC2S(accIDList=acc_ids)
        return await self.call(ProtoId.TRD_SUB_ACC_PUSH, opend.SubAccPushRequest(c2s=c2s), opend.SubAccPushResponse)

    def packet_id(self) -> opend.PacketID:
        self.packet_serial += 1
        return opend.PacketID(connID=self.conn_id, serialNo=self.packet_serial)

    async def place(self, account: opend.TrdAcc, **c2s: Any) -> opend_sim.PlaceOrderResponse:
        """An order to buy 100 HK.00700 at the market, unless told otherwise."""
        fields: dict[str, Any] = {"trdSide": 1, "orderType": 2, "code": "00700", "qty": 100, "secMarket": 1, **c2s}
        fields.setdefault("packetID", self.packet_id())
        message = opend_sim.PlaceOrderC2S(header=header(account), **fields)
        return await self.call(
            ProtoId.TRD_PLACE_ORDER, opend_sim.PlaceOrderRequest(c2s=message), opend_sim.PlaceOrderResponse
        )

    async def modify(self, account: opend.TrdAcc, **c2s: Any) -> opend_sim.ModifyOrderResponse:
        fields = {"packetID": self.packet_id(), "orderID": 0, **c2s}
        message = opend_sim.ModifyOrderC2S(header=header(account), **fields)
        return await self.call(
            ProtoId.TRD_MODIFY_ORDER, opend_sim.ModifyOrderRequest(c2s=message), opend_sim.ModifyOrderResponse
        )


def _push(frame: Frame, response: type[R]) -> R:
    assert frame.sha1_matches()
    message: Any = response.FromString(frame.body)
    assert message.retType == 0
    return message  # type: ignore[no-any-return]


def header(account: opend.TrdAcc) -> opend.TrdHeader:
    return opend.TrdHeader(trdEnv=account.trdEnv, accID=account.accID, trdMarket=account.trdMarketAuthList[0])


def security(key: tuple[int, str]) -> opend.Security:
    return opend.Security(market=key[0], code=key[1])


@dataclass
class Play:
    """A simulator and the nursery its streams are served in."""

    sim: Simulator
    nursery: trio.Nursery

    async def client(self, *, init: bool = True, **c2s: Any) -> Client:
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self.sim.serve_stream, theirs)
        client = Client(ours)
        if init:
            await client.init(**c2s)
        return client


@asynccontextmanager
async def playing(**config: Any) -> AsyncIterator[Play]:
    """A simulator; the options are those of SimConfig."""
    async with open_simulator(SimConfig(**config)) as sim, trio.open_nursery() as nursery:
        yield Play(sim, nursery)
        nursery.cancel_scope.cancel()
