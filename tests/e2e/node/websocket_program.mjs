// The official JavaScript SDK as users have it: node websocket_program.mjs HOST PORT SSL [KEY]. One JSON line in is one
// call, {"call": "GetBasicQot", "req": {...}}; lines out begin with @@: answers, pushes, logins.
import readline from 'node:readline';
import WebSocket from 'ws';

globalThis.WebSocket = WebSocket; // the package takes the browser's

const { default: FtWebsocket } = await import('futu-api');

const say = (message) => process.stdout.write(`@@${JSON.stringify(message)}\n`);
const [host, port, ssl, key] = process.argv.slice(2);
const sdk = new FtWebsocket();
sdk.onlogin = (ok, detail) => say({ login: ok, conn_id: String(sdk.getConnID()), detail: ok ? null : detail });
sdk.onPush = (cmd, response) => say({ push: cmd, data: response });
sdk.start(host, Number(port), ssl === 'ssl', key);
const wire = sdk.websock;
wire.onclose = (event) => say({ closed: event.code, reason: event.reason });
wire.regPushCallback('raw', (message) => say({ raw: message.cmd, error: message.error }));

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { call, req } = JSON.parse(line);
  try {
    say({ answer: call, ok: true, data: await sdk[call](req) });
  } catch (error) {
    say({ answer: call, ok: false, data: error instanceof Error ? String(error.stack) : error });
  }
}).on('close', () => process.exit(0));
