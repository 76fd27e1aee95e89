// Quotes of Tencent over gRPC. The stubs in ./futu and the messages in ./pb are made as the page says; then go run . [PORT]
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"example.com/quotes/futu"
	"example.com/quotes/pb/qotcommon"
	"example.com/quotes/pb/qotgetbasicqot"
	"example.com/quotes/pb/qotsub"
	"example.com/quotes/pb/qotupdatebasicqot"
)

type asker struct {
	stub futu.FutuOpenDClient
	ctx  context.Context
}

func (a asker) ask(protoID uint32, request, response proto.Message) {
	body, err := proto.Marshal(request)
	if err != nil {
		log.Fatal(err)
	}
	reply, err := a.stub.Request(a.ctx, &futu.FutuRequest{ProtoId: protoID, Body: body})
	if err != nil {
		log.Fatal(err)
	}
	if reply.RetType != 0 {
		log.Fatal(reply.RetMsg)
	}
	if err := proto.Unmarshal(reply.Body, response); err != nil {
		log.Fatal(err)
	}
}

func main() {
	port := "33333"
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	conn, err := grpc.NewClient("127.0.0.1:"+port, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx := context.Background()
	if key := os.Getenv("OPENDMUX_KEY"); key != "" { // only where opendmux has a keys file
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
	}
	a := asker{futu.NewFutuOpenDClient(conn), ctx}

	tencent := []*qotcommon.Security{{Market: proto.Int32(1), Code: proto.String("00700")}}
	a.ask(3001, &qotsub.Request{C2S: &qotsub.C2S{SecurityList: tencent, SubTypeList: []int32{1},
		IsSubOrUnSub: proto.Bool(true), IsRegOrUnRegPush: proto.Bool(true)}}, &qotsub.Response{})
	quote := &qotgetbasicqot.Response{}
	a.ask(3004, &qotgetbasicqot.Request{C2S: &qotgetbasicqot.C2S{SecurityList: tencent}}, quote)
	fmt.Println("quote HK.00700", quote.S2C.BasicQotList[0].GetCurPrice())

	pushes, err := a.stub.SubscribePush(ctx, &futu.SubscribePushRequest{})
	if err != nil {
		log.Fatal(err)
	}
	for seen := 0; seen < 3; {
		event, err := pushes.Recv()
		if err != nil {
			log.Fatal(err)
		}
		if event.ProtoId == 3005 {
			push := &qotupdatebasicqot.Response{}
			if err := proto.Unmarshal(event.Body, push); err != nil {
				log.Fatal(err)
			}
			fmt.Println("push HK.00700", push.S2C.BasicQotList[0].GetCurPrice())
			seen++
		}
	}
}
