// A program as users write it, with @grpc/grpc-js: node user.js PORT PROTO [CA [CERT KEY]]. Its commands are those of ../grpc_user.py.
'use strict';
const fs = require('node:fs');
const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [port, proto, ...files] = process.argv.slice(2);
const definition = loader.loadSync(proto, { keepCase: true, longs: String, defaults: true });
const { FutuOpenD } = grpc.loadPackageDefinition(definition).futu.service;
const [ca, cert, key] = files.map((file) => fs.readFileSync(file));
const credentials = ca ? grpc.credentials.createSsl(ca, key, cert) : grpc.credentials.createInsecure();
const client = new FutuOpenD(`127.0.0.1:${port}`, credentials, {
  'grpc.initial_reconnect_backoff_ms': 100,
});
const say = (message) => console.log(JSON.stringify(message));
const names = Object.fromEntries(Object.entries(grpc.status).map(([name, code]) => [code, name]));

const metadata = (command) => {
  const made = new grpc.Metadata();
  if (command.key !== undefined) made.set('authorization', `Bearer ${command.key}`);
  return made;
};
const failure = (error) => {
  const rich = error.metadata.get('grpc-status-details-bin')[0];
  const retry = error.metadata.get('grpc-retry-pushback-ms')[0];
  return {
    code: names[error.code],
    text: error.details,
    retry_ms: retry === undefined ? null : String(retry),
    rich: rich === undefined ? '' : rich.toString('hex'),
  };
};
const ask = (command) => new Promise((done) => {
  const message = { proto_id: command.proto_id, body: Buffer.from(command.body || '', 'hex') };
  const options = { deadline: Date.now() + (command.timeout || 15) * 1000 };
  client.Request(message, metadata(command), options, (error, reply) => {
    if (error) say(failure(error));
    else say({ code: 'OK', ...reply, body: reply.body.toString('hex') });
    done();
  });
});
const stream = (command) => {
  const name = command.name;
  const events = client.SubscribePush({}, metadata(command));
  events.on('metadata', () => say({ stream: name, open: true }));
  events.on('data', (event) => say({ stream: name, ...event, body: event.body.toString('hex') }));
  events.on('error', (error) => say({ stream: name, end: failure(error) }));
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    if (command.call === 'stream') stream(command);
    else for (let n = 0; n < (command.times || 1); n++) await ask(command);
  }
  process.exit(0);
})();
