"""The same over gRPC: pip install grpcio-tools futu-api, make the stubs (see the page), python over_grpc.py [PORT]."""

import os
import sys

import grpc
from futu.common.pb import Qot_GetBasicQot_pb2 as basic_quote  # the messages of the official SDK
from futu.common.pb import Qot_Sub_pb2 as sub
from futu.common.pb import Qot_UpdateBasicQot_pb2 as quote_push
from futu_pb2 import FutuRequest, SubscribePushRequest
from futu_pb2_grpc import FutuOpenDStub

port = sys.argv[1] if len(sys.argv) > 1 else "33333"
key = os.environ.get("OPENDMUX_KEY")
metadata = (("authorization", f"Bearer {key}"),) if key else ()
channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", 64 * 1024 * 1024)])
stub = FutuOpenDStub(channel)


def ask(proto_id, request, response):
    message = FutuRequest(proto_id=proto_id, body=request.SerializeToString())
    reply = stub.Request(message, metadata=metadata, timeout=10)
    if reply.ret_type != 0:
        sys.exit(reply.ret_msg)
    return response.FromString(reply.body).s2c


subscription = sub.Request()
subscription.c2s.securityList.add(market=1, code="00700")  # 1 is Hong Kong
subscription.c2s.subTypeList.append(1)  # basic quotes
subscription.c2s.isSubOrUnSub = True
subscription.c2s.isRegOrUnRegPush = True
ask(3001, subscription, sub.Response)

question = basic_quote.Request()
question.c2s.securityList.add(market=1, code="00700")
print("quote HK.00700", ask(3004, question, basic_quote.Response).basicQotList[0].curPrice)

pushes = 0
for event in stub.SubscribePush(SubscribePushRequest(), metadata=metadata):
    if event.proto_id == 3005:
        print("push HK.00700", quote_push.Response.FromString(event.body).s2c.basicQotList[0].curPrice)
        pushes += 1
        if pushes == 3:
            break
