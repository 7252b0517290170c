import assert from "node:assert/strict";
import { test } from "node:test";
import { Plugin } from "../../testing/plugin.mjs";

const plugin = await Plugin.load(process.env.PLUGIN ?? "plugin.wasm");

test("it shouts", () => {
  const call = plugin.call("shout", { text: "hello" }, { with: { marks: 2 } });
  assert.deepEqual(call.outputs, { text: "HELLO!!", length: 7n });
  assert.equal(call.lines.length, 1);
});

test("nothing to say is an error", () => {
  assert.throws(() => plugin.call("shout", { text: "" }), /nothing to say/);
});

test("a wrong setting is an error", () => {
  assert.throws(() => plugin.call("shout", { text: "x" }, { with: { marks: "many" } }), /marks/);
});
