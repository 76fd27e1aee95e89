"""A Node program that speaks FT frames over a WebSocket that can be resumed, and what it has seen."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from typing import Any

from opendmux.wire.pb import opend, opend_sim

from .gated import sub_body
from .harness import HERE, PATIENCE_S, Process

NODE = HERE / "node"
TICKER = 4
"""The sub type."""
TICK = 3011
Message = dict[str, Any]


def ticks_in(body: bytes) -> dict[int, float]:
    """The price by sequence, of a push."""
    return {row.sequence: row.price for row in opend_sim.TickerResponse.FromString(body).s2c.tickerList}


def node() -> str:
    found = shutil.which("node")
    assert found is not None
    assert (NODE / "node_modules" / "ws").is_dir(), "run `make test` once: it installs the packages"
    return found


class Reader(Process):
    """A Node program; its pushes and the numbers of the ticks in them are kept."""

    def __init__(self, port: int, key: str = "", *, ca: str | None = None) -> None:
        """``ca``: the authority for TLS."""
        url = f"wss://localhost:{port}/ws" if ca else f"ws://127.0.0.1:{port}/ws"
        program = [node(), str(NODE / "resumable_program.mjs"), url]
        super().__init__([*program, *([key] if key else [])], env={"NODE_EXTRA_CA_CERTS": ca} if ca else {})
        self.sequences: list[int] = []
        """Of all ticks, in order."""
        self.prices: dict[int, float] = {}
        """By sequence."""
        self.numbers: list[int] = []
        """Of all pushes, in order."""

    def order(self, **command: Any) -> None:
        self.send_line(json.dumps(command))

    def wait_said(self, accept: Callable[[Message], bool], timeout_s: float = PATIENCE_S) -> Message:
        deadline = time.monotonic() + timeout_s
        while True:
            line = self.next_line(max(0.01, deadline - time.monotonic()))
            if not line.startswith("@@"):
                continue
            said: Message = json.loads(line[2:])
            self._keep(said)
            if accept(said):
                return said

    def _keep(self, said: Message) -> None:
        if "push" in said and said["seq"] != "0":
            self.numbers.append(int(said["seq"]))
            if said["push"] == TICK:
                ticks = ticks_in(bytes.fromhex(said["body"]))
                self.sequences += ticks
                self.prices |= ticks

    def open(self, number: int = 0) -> Reader:
        self.order(connect=str(number))
        self.wait_said(lambda said: "opened" in said)
        return self

    def subscribe(self) -> None:
        self.order(ask=3001, body=sub_body(sub_type=TICKER, push=True).hex())
        answer = self.wait_said(lambda said: said.get("answer") == 3001)
        assert opend.ResponseHead.FromString(bytes.fromhex(answer["body"])).retType == 0

    def wait_price(self, sequence: int) -> float:
        """Of the tick of this sequence."""
        while sequence not in self.prices:
            assert not self.sequences or self.sequences[-1] < sequence, f"{sequence} was left out of {self.sequences}"
            self.wait_ticks(1)
        return self.prices[sequence]

    def break_off(self) -> Reader:
        """The connection, not the program."""
        self.order(cut=True)
        self.wait_said(lambda said: "closed" in said)
        return self

    def wait_ticks(self, count: int = 3) -> None:
        until = len(self.sequences) + count
        while len(self.sequences) < until:
            self.wait_said(lambda said: said.get("push") == TICK)
