// The first script of the status page, by itself: what can be said without a browser.
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const vm = require("node:vm");

const page = fs.readFileSync(process.argv[2], "utf8");
const logic = vm.runInNewContext(`${/<script>([\s\S]*?)<\/script>/.exec(page)[1]}; logic`, {});
const plain = (value) => JSON.parse(JSON.stringify(value));

const checks = {
  rates() {
    assert.deepStrictEqual([0, 0.25, 3, 99.94, 123.4, 9999, 12345, 2.5e6].map(logic.rate),
      ["0", "0.3", "3", "99.9", "123", "9999", "12.3 k", "2.5 M"]);
  },
  sizes() {
    assert.deepStrictEqual([0, 1023, 1024, 1536, 1048576].map(logic.bytes), ["0 B", "1023 B", "1.0 kB", "1.5 kB", "1.0 MB"]);
    assert.deepStrictEqual([7, 1234, 1234567].map(logic.whole), ["7", "1\u202f234", "1\u202f234\u202f567"]);
    assert.deepStrictEqual([1011, 906, 1003].map(logic.version), ["10.11", "9.6", "10.3"]);
  },
  durations() {
    assert.deepStrictEqual([-5, 0.9, 61, 3661, 90061].map(logic.duration), ["0 s", "0 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    assert.deepStrictEqual([null, 0.25, 2.5, 250].map(logic.milliseconds), ["", "0.25", "2.5", "250"]);
  },
  events_however_they_are_cut() {
    const text = ":\n\ndata: {\"a\":1}\n\nevent: x\nid: 4\ndata: one\ndata:two\r\n\r\ndata: 3\n";
    for (let size = 1; size <= text.length; size++) {
      const read = logic.eventReader();
      const found = [];
      for (let at = 0; at < text.length; at += size) found.push(...read(text.slice(at, at + size)));
      assert.deepStrictEqual(found, ["{\"a\":1}", "one\ntwo"], `pieces of ${size}`);
      assert.deepStrictEqual(plain(read("\n")), ["3"]);
    }
  },
  sparklines_stay_in_their_box() {
    assert.deepStrictEqual(plain(logic.spark([5], 100, 20)), { line: "", area: "" });
    const { line, area } = logic.spark([0, 10, 5], 100, 20);
    assert.strictEqual(line, "M0.0 19.0L50.0 1.0L100.0 10.0");
    assert.ok(area.startsWith(line) && area.endsWith("Z"));
    assert.strictEqual(logic.spark([0, 0], 100, 20).line, "M0.0 19.0L100.0 19.0");
  },
  sorting() {
    const rows = [{ id: "10", n: 1 }, { id: "9", n: 30 }, { id: "1", n: 30 }, { id: "2.1", n: null }];
    assert.deepStrictEqual(plain(logic.sorted(rows, "id", false)).map((r) => r.id), ["1", "2.1", "9", "10"]);
    assert.deepStrictEqual(plain(logic.sorted(rows.slice(0, 3), "n", true)).map((r) => r.id), ["9", "1", "10"]);
    assert.strictEqual(rows[0].id, "10", "the rows themselves stay");
  },
  filtering() {
    const rows = [{ name: "Alice", peer: "127.0.0.1:5" }, { name: "bob", peer: "127.0.0.1:6" }];
    const names = (text) => plain(logic.filtered(rows, text)).map((row) => row.name);
    assert.deepStrictEqual(names(" "), ["Alice", "bob"]);
    assert.deepStrictEqual(names("ALI 127"), ["Alice"]);
    assert.deepStrictEqual(names("nobody"), []);
  },
  staleness() {
    assert.ok(!logic.isStale(0, null, false), "nothing was shown yet");
    assert.ok(logic.isStale(10, 0, false));
    assert.ok(!logic.isStale(1500, 0, true));
    assert.ok(logic.isStale(logic.STALE_AFTER_MS + 1, 0, true));
  },
  retries_wait_longer_and_longer_but_not_for_ever() {
    const waits = [0, 1, 2, 3, 4, 5, 50].map(logic.retryMs);
    assert.deepStrictEqual(waits, [500, 1000, 2000, 4000, 8000, 10000, 10000]);
  },
  verdicts() {
    const up = { state: "ready" }, down = { state: "down" };
    assert.strictEqual(logic.verdict({ ready: true, reasons: [], opends: [up] }).kind, "good");
    const alone = logic.verdict({ ready: false, reasons: ["away"], opends: [down] });
    assert.deepStrictEqual(plain(alone), { kind: "bad", word: "OpenD down", title: "OpenD is not connected", reasons: ["away"] });
    assert.match(logic.verdict({ ready: false, reasons: [], opends: [up, down] }).title, /^1 of 2/);
    assert.strictEqual(logic.verdict({ ready: false, reasons: ["stopping"], opends: [up] }).word, "not ready");
    const look = logic.verdict({ ready: true, reasons: [], opends: [up], conditions: [{ active: true }, { active: false }] });
    assert.deepStrictEqual([look.kind, look.word], ["warn", "ready, 1 to look at"]);
    const frozen = logic.verdict({ ready: true, reasons: [], opends: [up], freezes: [{ text: "by ops" }] });
    assert.deepStrictEqual(plain(frozen), { kind: "warn", word: "frozen", title: "Trading is frozen", reasons: ["by ops"] });
  },
  what_blocks_comes_first() {
    const happened = { n: 1, active: false }, lasts = { n: 2, active: true }, blocks = { n: 3, active: true, blocks: true };
    assert.deepStrictEqual(plain(logic.troubles([happened, lasts, blocks, lasts])).map((one) => one.n), [3, 2, 2, 1]);
  },
};

for (const [name, check] of Object.entries(checks)) {
  check();
  console.log(`ok ${name}`);
}
