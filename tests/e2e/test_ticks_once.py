"""No tick comes twice, whatever happens to OpenD's connection."""

from __future__ import annotations

import time
from pathlib import Path

from .harness import Control, Opendmux, SdkProgram


def test_an_outage_under_a_subscribed_program_repeats_no_tick(tmp_path: Path) -> None:
    with Opendmux("sim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--strict-serials") as sim:
        found = sim.wait_for(r"OpenD on (\S+), seed 1, control on \S+:(\d+)")
        control = Control(int(found[2]))
        with (
            Opendmux("--listen", "127.0.0.1:0", "--upstream", found[1]) as proxy,
            SdkProgram("quote", proxy.wait_ready().port, tmp_path / "a") as program,
        ):
            program.wait_ready()
            program.ok("subscribe", ["HK.00700"], ["TICKER"])
            for _ in range(3):
                program.wait_push("ticker")
            control.ask("drop")
            proxy.wait_for_error("link lost")
            dropped = time.monotonic()
            while time.monotonic() < dropped + 4:
                program.wait_push("ticker")
            rows = [row for push in program.drain_pushes() if push["push"] == "ticker" for row in push["data"]]
            sequences = [row["sequence"] for row in rows]
            assert len(sequences) == len(set(sequences))
            program.finish()
        control.close()
