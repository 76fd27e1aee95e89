// FT frames over a WebSocket that can be resumed, by the `ws` package alone: node resumable_program.mjs URL [KEY].
// Lines in: {"connect": "NUMBER"}, {"ask": proto_id, "body": hex}, {"cut": true} breaks the connection off.
// Lines out begin with @@: opened, answers, pushes with their numbers, texts, ends.
import { createHash } from 'node:crypto';
import readline from 'node:readline';
import WebSocket from 'ws';

const say = (message) => process.stdout.write(`@@${JSON.stringify(message)}\n`);
const [url, key] = process.argv.slice(2);
let ws;
let serial = 0;

function frame(protoId, body) {
  const head = Buffer.alloc(44);
  head.write('FT');
  head.writeUInt32LE(protoId, 2);
  head.writeUInt32LE((serial += 1), 8);
  head.writeUInt32LE(body.length, 12);
  createHash('sha1').update(body).digest().copy(head, 16);
  return Buffer.concat([head, body]);
}

function connect(number) {
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const mine = (ws = new WebSocket(`${url}?resume_from=${number}`, { headers }));
  mine.on('open', () => say({ opened: true }));
  mine.on('message', (data, isBinary) => {
    if (!isBinary) return say({ text: JSON.parse(data) });
    const body = data.subarray(44).toString('hex');
    const number = data.readUInt32LE(8);
    const id = data.readUInt32LE(2);
    return say(number ? { answer: id, body } : { push: id, seq: String(data.readBigUInt64LE(36)), body });
  });
  mine.on('unexpected-response', (_request, response) => say({ refused: response.statusCode }));
  mine.on('error', (error) => say({ error: error.message }));
  mine.on('close', (code, reason) => say({ closed: code, reason: reason.toString() }));
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const said = JSON.parse(line);
  if (said.connect !== undefined) connect(said.connect);
  else if (said.cut) ws.terminate();
  else ws.send(frame(said.ask, Buffer.from(said.body, 'hex')));
}).on('close', () => process.exit(0));
