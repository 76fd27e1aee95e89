// Quotes of Tencent with the official SDK over WebSocket: npm install futu-api ws, then node sdk.mjs [PORT]
import WebSocket from 'ws';

globalThis.WebSocket = WebSocket; // Node below 22; browsers and newer Nodes have their own
const { default: FtWebsocket } = await import('futu-api');

const port = Number(process.argv[2] ?? 33333);
const key = process.env.OPENDMUX_KEY ?? ''; // only where opendmux has a keys file: a key made with --websocket
const securityList = [{ market: 1, code: '00700' }]; // 1 is Hong Kong
let pushes = 0;

const sdk = new FtWebsocket();
sdk.onlogin = async (ok, detail) => {
  if (!ok) {
    console.error('login refused:', detail);
    console.error('Where opendmux has a keys file, OPENDMUX_KEY must be a key of it that was made with --websocket.');
    console.error('Its log, and `opendmux status` under "turned away lately", say what was wrong.');
    process.exit(1);
  }
  await sdk.Sub({ c2s: { securityList, subTypeList: [1], isSubOrUnSub: true, isRegOrUnRegPush: true } });
  const answer = await sdk.GetBasicQot({ c2s: { securityList } });
  console.log('quote HK.00700', answer.s2c.basicQotList[0].curPrice);
  sdk.onPush = (cmd, push) => {
    if (cmd !== 3005 || pushes === 3) return;
    console.log('push HK.00700', push.s2c.basicQotList[0].curPrice);
    pushes += 1;
    if (pushes === 3) process.exit(0);
  };
};
sdk.start('127.0.0.1', port, false, key);
