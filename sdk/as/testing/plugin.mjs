// Runs a built plugin in Node.js as a server would, to test it with plain `node --test` and no server. It knows every port
// and writes down what the plugin does to the server; it sets no limits and does not check what the plugin answers.
//
//   const plugin = await Plugin.load("shout.wasm");
//   const { outputs, lines, records, samples } = plugin.call("shout", { text: "hello" }, { with: { marks: 2 } });
//
// Values: text and json as JavaScript has them; bytes and images as Uint8Array; tensors as { dtype, shape, data } with a typed
// array, or an array of strings for BYTES; a tensor of rank 0 as a number, bigint or boolean; lists as arrays.
import { readFile } from "node:fs/promises";

const KINDS = ["none", "tensor", "bytes", "text", "json", "image", "list"];
const DTYPES = {
  FP32: [1, Float32Array], UINT8: [2, Uint8Array], INT8: [3, Int8Array], UINT16: [4, Uint16Array], INT16: [5, Int16Array],
  INT32: [6, Int32Array], INT64: [7, BigInt64Array], BYTES: [8, null], BOOL: [9, Uint8Array], FP16: [10, Uint16Array],
  FP64: [11, Float64Array], UINT32: [12, Uint32Array], UINT64: [13, BigUint64Array], BF16: [16, Uint16Array],
};
const DTYPE_NAMES = Object.fromEntries(Object.entries(DTYPES).map(([name, [number]]) => [number, name]));
const [VALUE, ARENA] = [96, 1 << 24];
const utf8 = new TextEncoder();

/** A plugin, of which each call gets a fresh instance. */
export class Plugin {
  #module;

  constructor(module) {
    this.#module = module;
    this.description = JSON.parse(new Instance(module, {}).describe());
  }

  /** Loads a module from a file. */
  static async load(file) {
    return new Plugin(await WebAssembly.compile(await readFile(file)));
  }

  /**
   * Calls a function. options.with is the configuration; options.models maps the names that the node grants to functions from
   * inputs by name (or position) to outputs by name, both tensors; an output that has no dtype is
   * answered as a JSON document. It throws what the plugin answers as an error.
   */
  call(name, inputs = {}, options = {}) {
    const op = this.description.functions.findIndex((f) => f.name === name);
    if (op < 0) throw new Error(`the plugin has no function ${name}`);
    const instance = new Instance(this.#module, options);
    const result = instance.run(op, this.description.functions[op], inputs);
    const { lines, records, samples } = instance;
    return { ...result, lines, records, samples };
  }
}

class Instance {
  lines = [];
  records = [];
  samples = [];
  #exports;
  #options;
  #values = []; // what the server keeps: handle - 1
  #models = [];
  #tickets = [];
  #top = 0;

  constructor(module, options) {
    this.#options = options;
    const wasi = new Proxy({}, { get: () => () => 0, has: () => true });
    this.#exports = new WebAssembly.Instance(module, { tdm1: this.#imports(), wasi_snapshot_preview1: wasi }).exports;
    this.#exports._initialize?.();
  }

  get #view() {
    return new DataView(this.#exports.memory.buffer);
  }
  #bytes(ptr, length) {
    return new Uint8Array(this.#exports.memory.buffer, ptr >>> 0, length >>> 0);
  }
  #text(ptr, length) {
    return new TextDecoder().decode(this.#bytes(ptr, length));
  }

  describe() {
    const packed = BigInt.asUintN(64, this.#exports.tdm1_describe());
    return this.#text(Number(packed >> 32n), Number(packed & 0xffffffffn));
  }

  /** Takes arena memory at a multiple of 64 and fills it. */
  #put(bytes) {
    const at = (this.#top + 63) & ~63;
    this.#top = at + bytes.length;
    this.#bytes(at, bytes.length).set(bytes);
    return at;
  }

  run(op, f, inputs) {
    this.#top = this.#exports.tdm1_alloc(ARENA, 4096);
    if (this.#top === 0) throw new Error("the plugin has no memory for its inputs");
    if (this.#options.with && this.#exports.tdm1_init) {
      const text = utf8.encode(JSON.stringify(this.#options.with));
      if (this.#exports.tdm1_init(this.#put(text), text.length) !== 0) throw new Error("the plugin refuses its configuration");
    }
    const request = this.#put(new Uint8Array(64));
    const inPtr = this.#put(new Uint8Array(VALUE * f.inputs.length));
    const outPtr = this.#put(new Uint8Array(VALUE * f.outputs.length));
    const errPtr = this.#put(new Uint8Array(1024));
    f.inputs.forEach((port, i) => this.#write(inPtr + VALUE * i, port, inputs[port.name]));
    const fields = [0x314d4454, 1, 0, op, f.inputs.length, inPtr, f.outputs.length, outPtr, 0, errPtr, 1024, 0];
    fields.forEach((n, i) => this.#view.setUint32(request + 4 * i, n, true));
    const code = this.#exports.tdm1_run(request);
    const view = this.#view;
    if (code < 0) throw new Error(this.#text(errPtr, view.getUint32(request + 44, true)));
    const outputs = {};
    const given = Math.min(view.getUint32(request + 32, true), f.outputs.length);
    for (let i = 0; i < given; i++) outputs[f.outputs[i].name] = this.#read(outPtr + VALUE * i, f.outputs[i]);
    return { outputs, outcome: code };
  }

  #write(at, port, value) {
    if (value === undefined || value === null) {
      if (!port.optional) throw new Error(`input ${port.name} is missing`);
      this.#view.setUint8(at + 11, 16);
      return;
    }
    if (port.list) {
      const items = this.#put(new Uint8Array(VALUE * value.length));
      value.forEach((item, i) => this.#write(items + VALUE * i, { ...port, list: false }, item));
      this.#set(at, 6, items, VALUE * value.length);
      this.#view.setUint32(at + 20, value.length, true);
      return;
    }
    if (port.kind === "tensor") return this.#writeTensor(at, tensorOf(port, value));
    const bytes = port.kind === "text" ? utf8.encode(value) : port.kind === "json" ? utf8.encode(JSON.stringify(value)) : value;
    this.#set(at, KINDS.indexOf(port.kind), this.#put(bytes), bytes.length);
  }

  #set(at, kind, ptr, length) {
    this.#view.setUint8(at + 8, kind);
    this.#view.setUint32(at + 16, ptr, true);
    this.#view.setBigUint64(at + 24, BigInt(length), true);
  }

  #writeTensor(at, t) {
    const bytes = t.dtype === "BYTES" ? encodeStrings(t.data) : new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength);
    this.#set(at, 1, this.#put(bytes), bytes.length);
    this.#shape(at, t);
  }

  #shape(at, t) {
    this.#view.setUint8(at + 9, DTYPES[t.dtype][0]);
    this.#view.setUint8(at + 10, t.shape.length);
    t.shape.forEach((d, i) => this.#view.setBigInt64(at + 32 + 8 * i, BigInt(d), true));
  }

  #read(at, port) {
    const view = this.#view;
    const [kind, flags, ptr] = [view.getUint8(at + 8), view.getUint8(at + 11), view.getUint32(at + 16, true)];
    if (kind === 0) return undefined;
    if (flags & 4) return plain(this.#values[view.getUint32(at + 12, true) - 1], port);
    if (kind === 6) {
      return Array.from({ length: view.getUint32(at + 20, true) }, (_, i) => this.#read(ptr + VALUE * i, { ...port, list: false }));
    }
    const bytes = this.#bytes(ptr, Number(view.getBigUint64(at + 24, true))).slice();
    if (kind === 1) return plain(this.#readTensor(at, bytes), port);
    const text = () => new TextDecoder().decode(bytes);
    return kind === 3 ? text() : kind === 4 ? JSON.parse(text()) : bytes;
  }

  #readTensor(at, bytes) {
    const view = this.#view;
    const dtype = DTYPE_NAMES[view.getUint8(at + 9)];
    const shape = Array.from({ length: view.getUint8(at + 10) }, (_, i) => Number(view.getBigInt64(at + 32 + 8 * i, true)));
    const Elements = DTYPES[dtype][1];
    return { dtype, shape, data: Elements ? new Elements(bytes.buffer) : decodeStrings(bytes, shape) };
  }

  #imports() {
    const names = (ptr, n) => Array.from({ length: n }, (_, i) => {
      const at = ptr + VALUE * i;
      return [at, this.#text(this.#view.getUint32(at, true), this.#view.getUint32(at + 4, true))];
    });
    const given = (ptr, n) => Object.fromEntries(names(ptr, n).map(([at, name], i) => [name || i, this.#read(at, { keep: true })]));
    const answer = (result, ptr, n) => {
      if (!result) return -8;
      for (const [i, [at, name]] of names(ptr, n).entries()) {
        const t = name ? result[name] : Object.values(result)[i];
        if (!t) return -1;
        const document = t.dtype === undefined ? utf8.encode(JSON.stringify(t)) : null;
        this.#set(at, document ? 4 : 1, 0, document ? document.length : t.dtype === "BYTES" ? encodeStrings(t.data).length : t.data.byteLength);
        if (!document) this.#shape(at, t);
        this.#view.setUint8(at + 11, 4);
        this.#view.setUint32(at + 12, this.#values.push(document ?? t), true);
      }
      return 0;
    };
    const run = (model, ptr, n) => {
      try {
        return this.#models[model](given(ptr, n));
      } catch (e) {
        this.lines.push({ level: 2, text: `model: ${e.message}` });
        return null;
      }
    };
    const value = (handle) => {
      const t = this.#values[handle - 1];
      if (t.dtype === undefined) return t; // a document
      return t.dtype === "BYTES" ? encodeStrings(t.data) : new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength);
    };
    return {
      log: (level, ptr, n) => void this.lines.push({ level, text: this.#text(ptr, n) }),
      now_ns: () => 0n,
      metric: (kind, ptr, n, v) => (this.samples.push({ kind, name: this.#text(ptr, n), value: v }), 0),
      record: (s, sn, d, dn) => (this.records.push({ stream: this.#text(s, sn), doc: JSON.parse(this.#text(d, dn)) }), 0),
      config_get: (ptr, n, to, capacity) => {
        const v = this.#options.with?.[this.#text(ptr, n)];
        if (v === undefined) return -1;
        const text = utf8.encode(typeof v === "string" ? v : JSON.stringify(v));
        if (text.length <= capacity) this.#bytes(to, text.length).set(text);
        return text.length;
      },
      model_open: (ptr, n) => {
        const model = this.#options.models?.[this.#text(ptr, n)];
        return model ? this.#models.push(model) - 1 : -6;
      },
      model_run: (model, ptr, n, out, numOut) => answer(run(model, ptr, n), out, numOut),
      model_start: (model, ptr, n) => this.#tickets.push({ result: run(model, ptr, n) }),
      model_wait: (ticket, out, numOut) => {
        const t = this.#tickets[ticket - 1];
        if (!t) return -1;
        this.#tickets[ticket - 1] = null;
        return answer(t.result, out, numOut);
      },
      wait_any: (ptr, n) => {
        for (let i = 0; i < n; i++) if (this.#tickets[this.#view.getUint32(ptr + 4 * i, true) - 1]) return i;
        return -1;
      },
      val_info: () => -6,
      val_read: (handle, offset, to, n) => {
        const part = value(handle).subarray(Number(offset), Number(offset) + n);
        this.#bytes(to, part.length).set(part);
        return part.length;
      },
      val_make: (at) => this.#values.push(this.#read(at, { keep: true })),
      val_drop: () => 0,
    };
  }
}

/** A tensor of rank 0 as its element, unless the port wants tensors as they are. */
function plain(t, port) {
  if (port.keep || t.shape.length > 0 || t.dtype === "BYTES") return t;
  return t.dtype === "BOOL" ? t.data[0] === 1 : t.data[0];
}

function tensorOf(port, value) {
  if (typeof value === "object") return value;
  const Elements = DTYPES[port.dtype][1];
  const big = port.dtype === "INT64" || port.dtype === "UINT64";
  return { dtype: port.dtype, shape: [], data: Elements.of(big ? BigInt(value) : Number(value)) };
}

function encodeStrings(strings) {
  const parts = strings.map((s) => (typeof s === "string" ? utf8.encode(s) : s));
  const offsets = new Uint32Array(parts.length + 1);
  parts.forEach((p, i) => (offsets[i + 1] = offsets[i] + p.length));
  const out = new Uint8Array(4 * offsets.length + offsets[parts.length]);
  out.set(new Uint8Array(offsets.buffer));
  parts.forEach((p, i) => out.set(p, 4 * offsets.length + offsets[i]));
  return out;
}

function decodeStrings(bytes, shape) {
  const n = shape.reduce((a, b) => a * b, 1);
  const offsets = new Uint32Array(bytes.buffer, 0, n + 1);
  return Array.from({ length: n }, (_, i) => new TextDecoder().decode(bytes.subarray(4 * (n + 1) + offsets[i], 4 * (n + 1) + offsets[i + 1])));
}
