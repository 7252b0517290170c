// The helper for tests runs the conformance plugins of every SDK, so that what passes here passes on a server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Plugin } from "./plugin.mjs";

const double = (inputs) => {
  const x = inputs.x ?? inputs[0];
  return { y: { ...x, data: x.data.map((v) => 2 * v) }, doc: [{ no: 0.25 }] };
};
const models = {
  double,
  broken: () => {
    throw new Error("it is broken");
  },
};
const x = { dtype: "FP32", shape: [2], data: Float32Array.of(1, -1.5) };

for (const sdk of ["as", "c", "cpp", "rust", "zig"]) {
  const plugin = await Plugin.load(fileURLToPath(new URL(`../../conformance/${sdk}/conformance.wasm`, import.meta.url)));

  test(`${sdk}: values`, () => {
    const kinds = { text: "grüße", json: { a: [1, null] }, bytes: Uint8Array.of(0, 255), image: Uint8Array.of(1), tensor: x };
    assert.deepEqual(plugin.call("echo", kinds).outputs, kinds);
    const strings = { dtype: "BYTES", shape: [2], data: ["a", "grüße"] };
    assert.deepEqual(plugin.call("copy", { x: strings }).outputs.y, strings);
    assert.deepEqual(plugin.call("lengths", { strings }).outputs.lengths.data, BigInt64Array.of(1n, 7n));
    assert.deepEqual(plugin.call("optional", { text: "t" }).outputs, { given: "text", tensor: undefined, text: "t" });
    assert.deepEqual(plugin.call("reverse", { tensors: [], texts: ["x", "y"] }).outputs, { tensors: [], texts: ["y", "x"] });
    assert.equal(plugin.call("make", { n: 3 }).outputs.list[2].data[1], 2);
  });

  test(`${sdk}: configuration, errors and the server`, () => {
    assert.deepEqual(plugin.call("scale", { x }, { with: { factor: 0.5, negate: true } }).outputs.y.data, Float32Array.of(-0.5, 0.75));
    assert.throws(() => plugin.call("fail", { text: "it went wrong" }), { message: "it went wrong" });
    assert.equal(plugin.call("skip").outcome, 7);
    const told = plugin.call("tell", { doc: { a: 1 } });
    assert.deepEqual(told.outputs, { recorded: true });
    assert.deepEqual(told.records, [{ stream: "told", doc: { a: 1 } }]);
    assert.deepEqual(told.samples, [{ kind: 1, name: "told", value: 2.5 }]);
  });

  test(`${sdk}: models`, () => {
    for (const [how, factor] of [["run", 2], ["hand", 4], ["many", 6]]) {
      assert.deepEqual(plugin.call("ask", { how, x }, { models }).outputs.y.data, x.data.map((v) => factor * v), how);
    }
    assert.deepEqual(plugin.call("explain", { x }, { models }).outputs.doc, [{ no: 0.25 }]);
    assert.throws(() => plugin.call("ask", { how: "denied", x }, { models }), /denied/);
    assert.throws(() => plugin.call("ask", { how: "fail", x }, { models }), /the model failed/);
  });
}
