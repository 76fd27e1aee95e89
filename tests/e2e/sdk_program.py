"""A program that uses the official Python SDK, unmodified, steered line by line by a test.

    python sdk_program.py quote|trade HOST PORT [{"context": keyword arguments, "sys": {...}}]

Each line of stdin is ``{"call": name, "args": [...], "kwargs": {...}}``: a method of the context; with ``"threads":
n`` it is called from so many threads at once. Answers and pushes go to stdout as lines that start with ``@@``;
everything else there is the SDK's own talk. End of stdin closes the context and ends the process.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import futu
from futu.common.sys_config import SysConfig

_lock = threading.Lock()


def say(message: dict[str, Any]) -> None:
    with _lock:
        sys.stdout.write("@@" + json.dumps(message, default=str) + "\n")
        sys.stdout.flush()


def plain(data: Any) -> Any:
    """Something JSON can carry of what the SDK returns."""
    if hasattr(data, "to_dict"):
        return data.to_dict("records")
    if isinstance(data, tuple | list):
        return [plain(item) for item in data]
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    return data if isinstance(data, str | int | float | bool | type(None)) else str(data)


def handler(base: type, name: str) -> Any:
    class Handler(base):  # type: ignore[misc]
        def on_recv_rsp(self, rsp_pb: Any) -> Any:
            result = super().on_recv_rsp(rsp_pb)
            say({"push": name, "ret": result[0], "data": plain(result[1])})
            return result

    return Handler()


QUOTE_HANDLERS = {
    "quote": futu.StockQuoteHandlerBase,
    "book": futu.OrderBookHandlerBase,
    "kline": futu.CurKlineHandlerBase,
    "ticker": futu.TickerHandlerBase,
    "rt": futu.RTDataHandlerBase,
    "broker": futu.BrokerHandlerBase,
    "notify": futu.SysNotifyHandlerBase,
}
TRADE_HANDLERS = {"order": futu.TradeOrderHandlerBase, "deal": futu.TradeDealHandlerBase}


def main() -> None:
    kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    extra = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    SysConfig.set_all_thread_daemon(True)
    for name, args in extra.get("sys", {}).items():
        getattr(SysConfig, name)(*args)
    options = extra.get("context", {})
    context: Any
    if kind == "quote":
        context = futu.OpenQuoteContext(host, port, **options)
        handlers = QUOTE_HANDLERS
    else:
        context = futu.OpenSecTradeContext(host=host, port=port, **options)
        handlers = TRADE_HANDLERS
    for name, base in handlers.items():
        context.set_handler(handler(base, name))
    context.start()
    say({"ready": True, "conn_id": str(context.get_sync_conn_id())})

    def run(command: dict[str, Any]) -> None:
        try:
            result = getattr(context, command["call"])(*command.get("args", ()), **command.get("kwargs", {}))
            ret, data = (result[0], result[1:]) if isinstance(result, tuple) else (0, (result,))
            say({"answer": command["call"], "ret": ret, "data": plain(data[0] if len(data) == 1 else list(data))})
        except Exception as error:  # noqa: BLE001 - told to the test
            say({"answer": command["call"], "ret": "raised", "data": repr(error)})

    for line in sys.stdin:
        command = json.loads(line)
        threads = [threading.Thread(target=run, args=(command,)) for _ in range(command.get("threads", 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    context.close()
    say({"closed": True})
    os._exit(0)  # the SDK leaves threads behind


if __name__ == "__main__":
    main()
