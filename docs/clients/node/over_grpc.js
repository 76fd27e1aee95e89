// The same over gRPC: opendmux proto; npm install @grpc/grpc-js @grpc/proto-loader futu-api; node over_grpc.js [PORT]
'use strict';
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const { Qot_Sub, Qot_GetBasicQot, Qot_UpdateBasicQot } = require('futu-api/proto.js'); // OpenD's messages

const definition = loader.loadSync('futu.proto', { keepCase: true, longs: String, defaults: true });
const { FutuOpenD } = grpc.loadPackageDefinition(definition).futu.service;
const client = new FutuOpenD(`127.0.0.1:${process.argv[2] ?? 33333}`, grpc.credentials.createInsecure(),
  { 'grpc.max_receive_message_length': 64 * 1024 * 1024 });
const metadata = new grpc.Metadata();
if (process.env.OPENDMUX_KEY) metadata.set('authorization', `Bearer ${process.env.OPENDMUX_KEY}`);

function ask(proto_id, { Request, Response }, c2s) {
  const body = Request.encode(Request.fromObject({ c2s })).finish();
  return new Promise((resolve, reject) => {
    client.Request({ proto_id, body }, metadata, { deadline: Date.now() + 10_000 }, (error, reply) => {
      if (error) reject(error);
      else if (reply.ret_type !== 0) reject(new Error(reply.ret_msg));
      else resolve(Response.decode(reply.body).s2c);
    });
  });
}

async function main() {
  const securityList = [{ market: 1, code: '00700' }]; // 1 is Hong Kong
  await ask(3001, Qot_Sub, { securityList, subTypeList: [1], isSubOrUnSub: true, isRegOrUnRegPush: true });
  const quote = await ask(3004, Qot_GetBasicQot, { securityList });
  console.log('quote HK.00700', quote.basicQotList[0].curPrice);
  let pushes = 0;
  client.SubscribePush({}, metadata).on('data', (event) => {
    if (event.proto_id !== 3005 || pushes === 3) return;
    console.log('push HK.00700', Qot_UpdateBasicQot.Response.decode(event.body).s2c.basicQotList[0].curPrice);
    pushes += 1;
    if (pushes === 3) process.exit(0);
  }).on('error', (error) => { console.error(error.message); process.exit(1); });
}

main().catch((error) => { console.error(error.message); process.exit(1); });
