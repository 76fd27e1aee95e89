"""Quotes of Tencent with the official SDK (pip install futu-api). An argument is the port."""

import os
import queue
import sys

from futu import RET_OK, OpenQuoteContext, StockQuoteHandlerBase, SubType, SysConfig

port = int(sys.argv[1]) if len(sys.argv) > 1 else 33333
pushed = queue.Queue()


class Quotes(StockQuoteHandlerBase):
    def on_recv_rsp(self, rsp_pb):
        ret, data = super().on_recv_rsp(rsp_pb)
        if ret == RET_OK:
            pushed.put((data["code"][0], data["last_price"][0]))
        return ret, data


if key := os.environ.get("OPENDMUX_KEY"):  # only where opendmux has a keys file
    SysConfig.set_client_info(key, 1)
ctx = OpenQuoteContext("127.0.0.1", port)
ctx.set_handler(Quotes())
ret, problem = ctx.subscribe(["HK.00700"], [SubType.QUOTE])
if ret != RET_OK:
    sys.exit(problem)
ret, quotes = ctx.get_stock_quote(["HK.00700"])
print("quote", quotes["code"][0], quotes["last_price"][0])
for _ in range(3):
    print("push", *pushed.get(timeout=30))
ctx.close()
