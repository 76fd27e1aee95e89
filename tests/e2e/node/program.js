// @grpc/grpc-js as users have it: node program.js PORT PROTO runs every check and prints JSON, one line a check.
'use strict';
const assert = require('node:assert');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [port, proto] = process.argv.slice(2);
const target = `127.0.0.1:${port}`;
const definition = loader.loadSync(proto, { keepCase: true, longs: String });
const { FutuOpenD } = grpc.loadPackageDefinition(definition).futu.service;
const KEY = 'fc_' + '1'.repeat(64);
const FLOOD = 'fc_' + 'f'.repeat(64);

const client = (options = {}) => new FutuOpenD(target, grpc.credentials.createInsecure(), options);
const bearer = (key) => { const m = new grpc.Metadata(); m.set('authorization', `Bearer ${key}`); return m; };
const soon = (seconds) => ({ deadline: Date.now() + seconds * 1000 });
const ask = (one, request, metadata = new grpc.Metadata(), options = soon(30)) =>
  new Promise((good, bad) => one.Request(request, metadata, options, (e, r) => (e ? bad(e) : good(r))));
const refused = async (promise) => {
  try { await promise; } catch (error) { return error; }
  throw new Error('it was answered');
};
const counters = async () => JSON.parse((await ask(client(), { proto_id: 3100 })).ret_msg);
const blob = (size) => {
  const head = [0x7a];
  let n = size;
  while (n > 127) { head.push((n & 127) | 128); n >>= 7; }
  head.push(n);
  return Buffer.concat([Buffer.from(head), Buffer.alloc(size)]);
};
const size = (n) => { const b = Buffer.alloc(5); b[0] = 0x7d; b.writeUInt32BE(n, 1); return b; };
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const unlimited = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

const checks = {
  async unary() {
    const reply = await ask(client(), { proto_id: 3004, body: Buffer.from('0a020801', 'hex') }, bearer(KEY));
    assert.strictEqual(reply.proto_id, 3004);
    assert.strictEqual(reply.body.toString('hex'), '0a020801');
  },
  async three_megabytes_both_ways() {
    const body = blob(3_000_000);
    assert.ok((await ask(client(), { proto_id: 3004, body })).body.equals(body));
  },
  async unauthenticated() {
    const error = await refused(ask(client(), { proto_id: 3004 }, bearer('fc_wrong')));
    assert.strictEqual(error.code, grpc.status.UNAUTHENTICATED);
    assert.strictEqual(error.details, 'der Schlüssel fehlt: 请出示密钥');
  },
  async unimplemented() {
    const error = await refused(new Promise((good, bad) => client().makeUnaryRequest(
      '/futu.service.FutuOpenD/Nothing', (x) => x, (x) => x, Buffer.alloc(0), (e, r) => (e ? bad(e) : good(r)))));
    assert.strictEqual(error.code, grpc.status.UNIMPLEMENTED);
  },
  async a_limit_with_details() {
    const error = await refused(ask(client(), { proto_id: 3010 }));
    assert.strictEqual(error.code, grpc.status.RESOURCE_EXHAUSTED);
    assert.ok(error.metadata.get('grpc-status-details-bin')[0].includes('google.rpc.RetryInfo'));
  },
  async deadline() {
    const error = await refused(ask(client(), { proto_id: 3006 }, undefined, soon(0.5)));
    assert.strictEqual(error.code, grpc.status.DEADLINE_EXCEEDED);
  },
  async cancel() {
    const before = (await counters()).dropped;
    const call = client().Request({ proto_id: 3006 }, () => {});
    await pause(300);
    call.cancel();
    for (let n = 0; n < 100 && (await counters()).dropped === before; n++) await pause(20);
    assert.strictEqual((await counters()).dropped, before + 1);
  },
  async gzip() {
    const body = blob(100_000);
    const one = client({ 'grpc.default_compression_algorithm': 2 });
    assert.ok((await ask(one, { proto_id: 3004, body })).body.equals(body));
  },
  async over_64_mib() {
    const error = await refused(ask(client(unlimited), { proto_id: 3008, body: size(64 * 1024 * 1024 + 1) }));
    assert.strictEqual(error.code, grpc.status.RESOURCE_EXHAUSTED);
    assert.match(error.details, /limit of 67108864/);
  },
  async a_large_reply() {
    assert.strictEqual((await ask(client(unlimited), { proto_id: 3008, body: size(20_000_000) })).body.length, 2e7);
  },
  async calls_at_once() {
    const one = client();
    const replies = await Promise.all(Array.from({ length: 1500 }, (_, n) =>
      ask(one, { proto_id: 3004, body: Buffer.from([0x78, n % 100]) }, bearer(KEY), soon(60))));
    replies.forEach((reply, n) => assert.strictEqual(reply.body[1], n % 100));
  },
  async pushes() {
    const stream = client().SubscribePush({}, bearer(KEY));
    const events = [];
    stream.on('error', () => {});
    await new Promise((done) => stream.on('data', (event) => { events.push(event); if (events.length === 2) done(); }));
    stream.cancel();
    assert.strictEqual(events[0].sec_key, '1_00700');
    assert.strictEqual(events[1].acc_id, '9223372036854775809');
    assert.strictEqual(events[1].event_type, 'trade');
  },
  async a_slow_reader() {
    const start = await counters();
    const stream = client().SubscribePush({}, bearer(FLOOD));
    await new Promise((done) => stream.once('data', done));
    stream.pause();
    let conflated = -1;
    for (let now; (now = (await counters()).conflated) !== conflated; conflated = now) await pause(300);
    const now = await counters();
    assert.ok(now.taken - start.taken < 10_000, JSON.stringify(now));
    const last = {};
    const error = await new Promise((done) => {
      stream.on('data', (event) => { last[event.sec_key] = Number(event.body.readBigUInt64BE(0)); });
      stream.on('error', done);
      stream.resume();
    });
    assert.strictEqual(error.code, grpc.status.RESOURCE_EXHAUSTED);
    assert.strictEqual(Math.min(...Object.values(last)), 19_950);
  },
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    let said = '';
    try { await check(); } catch (error) { said = String(error.stack || error); }
    console.log(JSON.stringify([name, said]));
  }
  console.log(JSON.stringify(['', '']));
  process.exit(0);
})();
