"""OpenD's limits per 30 seconds with the real SDK: four programs that ask for too much, and an OpenD that counts."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .harness import Control, Opendmux, SdkProgram

HAMMER_S = 32.0
"""A little more than a window with the proxy's margin, so that a read that waits gets into the second one."""
THREADS = 4
PAUSE_S = 0.1
"""Between two rounds of a program: without it the refusals alone would keep the machine busy."""
SIMULATED = {"trd_env": "SIMULATE"}

MARKET_STATE, SNAPSHOT, TRADE_DATES, FUNDS, PLACE = 3223, 3203, 3219, 2101, 2202
ALLOWED = {MARKET_STATE: 10, SNAPSHOT: 60, TRADE_DATES: 30, FUNDS: 10, PLACE: 15}

Call = tuple[str, tuple[Any, ...], dict[str, Any]]
Answers = list[tuple[str, Any, Any]]


def quote_calls() -> Iterator[Call]:
    """Every question is a new one, or the proxy would ask it once for all threads and programs."""
    for number in itertools.count():
        days = {"start": f"20{number % 90 + 10}-01-01", "end": f"20{number % 90 + 10}-01-{number % 20 + 2:02}"}
        codes = [
            code for bit, code in enumerate(("HK.00700", "HK.00005", "US.AAPL", "US.MSFT")) if number + 1 >> bit & 1
        ]
        yield "get_market_snapshot", (codes or ["HK.00700"],), {}
        yield "get_market_state", (codes or ["HK.00700"],), {}
        yield "request_trading_days", ("HK",), days


def trade_calls() -> Iterator[Call]:
    while True:
        yield "place_order", (1.0, 100, "HK.00700", "BUY"), {"order_type": "NORMAL", **SIMULATED}
        yield "accinfo_query", (), {"refresh_cache": True, **SIMULATED}
        yield "order_list_query", (), {"refresh_cache": True, **SIMULATED}


def hammer(program: SdkProgram, calls: Iterator[Call], answers: Answers, turns: threading.Lock) -> None:
    """Reads from several threads at once; writes one after the other, over all programs.

    OpenD also wants some hundredths of a second between two writes. How far apart they arrive is up to the scheduler of
    a busy machine; bursts have tests with a clock of their own.
    """
    end = time.monotonic() + HAMMER_S
    while time.monotonic() < end:
        name, args, kwargs = next(calls)
        if name != "place_order":
            time.sleep(PAUSE_S)
            answers += [(name, *answer) for answer in program.call_at_once(THREADS, name, *args, **kwargs)]
            continue
        for _ in range(THREADS):
            with turns:
                ret, data = program.call(name, *args, **kwargs)
                answers.append((name, ret, data))
                time.sleep(PAUSE_S)
                if ret == 0:
                    answers.append(
                        (
                            "modify_order",
                            *program.call("modify_order", "CANCEL", data[0]["order_id"], 0, 0, **SIMULATED),
                        )
                    )
                    time.sleep(PAUSE_S)


def at_once(*jobs: Callable[[], None]) -> None:
    """Run all, and raise what one of them raised."""
    errors: list[BaseException] = []

    def contained(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=contained, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_programs_that_ask_for_too_much_never_exceed_what_opend_allows(tmp_path: Path) -> None:
    with Opendmux("sim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--rate-limits") as sim:
        found = sim.wait_for(r"OpenD on (\S+), seed 1, control on \S+:(\d+)")
        control = Control(int(found[2]))
        answers: Answers = []
        turns = threading.Lock()
        with Opendmux("--listen", "127.0.0.1:0", "--upstream", found[1]) as proxy:
            port = proxy.wait_ready().port
            with (
                SdkProgram("quote", port, tmp_path / "a") as a,
                SdkProgram("quote", port, tmp_path / "b") as b,
                SdkProgram("trade", port, tmp_path / "c") as c,
                SdkProgram("trade", port, tmp_path / "d") as d,
            ):
                programs = {a: quote_calls, b: quote_calls, c: trade_calls, d: trade_calls}
                for program in programs:
                    program.wait_ready()
                at_once(
                    *(
                        lambda program=program, calls=calls: hammer(program, calls(), answers, turns)
                        for program, calls in programs.items()
                    )
                )
                for program in programs:
                    program.finish()
        assert [violation["text"] for violation in control.ask("violations")["violations"]] == []
        served = {int(proto_id): count for proto_id, count in control.ask("report")["requests"].items()}
        control.close()
    refusals = [(name, ret, data) for name, ret, data in answers if ret != 0]
    others = [refusal for refusal in refusals if "OpenD allows" not in str(refusal[2])]
    assert others == []
    assert all("nothing was sent" in str(data) for _name, _ret, data in refusals)
    asked = Counter(name for name, _ret, _data in answers)
    refused = Counter(name for name, _ret, _data in refusals)
    for name, proto_id in (
        ("get_market_state", MARKET_STATE),
        ("accinfo_query", FUNDS),
        ("place_order", PLACE),
    ):
        assert asked[name] > 2 * ALLOWED[proto_id], f"{name} was not asked too often: {asked}"
        assert refused[name], f"{name} was never refused: {refused}"
        assert ALLOWED[proto_id] <= served[proto_id] <= 2 * ALLOWED[proto_id], f"{name}: {served}"
    assert all(served[proto_id] <= 2 * count for proto_id, count in ALLOWED.items()), served
    assert served[MARKET_STATE] > ALLOWED[MARKET_STATE], "the window has opened again"
