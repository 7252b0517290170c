// What a function reaches outside of its sandbox.
import { Flag, Kind, MAX_RANK, VALUE_SIZE, Value, dtypeOf, elements, valueAt } from "./abi";
import { Tensor } from "./ports";

@external("tdm1", "log")
declare function hostLog(level: i32, text: usize, length: usize): void;
@external("tdm1", "record")
declare function hostRecord(stream: usize, streamLength: usize, doc: usize, length: usize): i32;
@external("tdm1", "metric")
declare function hostMetric(kind: i32, name: usize, length: usize, value: f64): i32;
@external("tdm1", "now_ns")
declare function hostNow(): i64;
@external("tdm1", "config_get")
declare function hostConfig(key: usize, length: usize, buffer: usize, capacity: usize): i32;
@external("tdm1", "model_open")
declare function hostOpen(name: usize, length: usize): i32;
@external("tdm1", "model_run")
declare function hostRun(model: i32, inputs: usize, numIn: i32, outputs: usize, numOut: i32): i32;
@external("tdm1", "model_start")
declare function hostStart(model: i32, inputs: usize, numIn: i32): i32;
@external("tdm1", "model_wait")
declare function hostWait(ticket: i32, outputs: usize, numOut: i32, timeoutMs: i32): i32;
@external("tdm1", "wait_any")
declare function hostWaitAny(tickets: usize, n: i32, timeoutMs: i32): i32;
@external("tdm1", "val_read")
declare function hostRead(handle: u32, offset: i64, to: usize, length: usize): i32;
@external("tdm1", "val_make")
declare function hostMake(value: usize): i32;

export namespace Level {
  export const Debug: i32 = 0;
  export const Info: i32 = 1;
  export const Warn: i32 = 2;
  export const Error: i32 = 3;
}

export namespace MetricKind {
  export const Counter: i32 = 0;
  export const Gauge: i32 = 1;
  export const Histogram: i32 = 2;
}

let last: i32 = 0;

/** Why the last call of the server failed, as text. */
export function lastError(): string {
  switch (last) {
    case -1: return "not found";
    case -3: return "too large";
    case -4: return "quota used up";
    case -5: return "out of time";
    case -6: return "denied";
    case -7: return "busy";
    case -8: return "the model failed";
    default: return "refused by the server";
  }
}

function ok(code: i32): bool {
  if (code < 0) last = code;
  return code >= 0;
}

function at(b: ArrayBuffer): usize {
  return changetype<usize>(b);
}

/** Writes one line to the server's log. The server limits how much one call may log and drops the rest. */
export function log(level: i32, text: string): void {
  const t = String.UTF8.encode(text);
  hostLog(level, at(t), t.byteLength);
}

/** Appends one JSON document to a stream that people list and aggregate afterwards; false when it is refused. */
export function record(stream: string, doc: string): bool {
  const s = String.UTF8.encode(stream);
  const d = String.UTF8.encode(doc);
  return ok(hostRecord(at(s), s.byteLength, at(d), d.byteLength));
}

/** Adds one sample to a metric of the plugin; false when it is refused. */
export function metric(kind: i32, name: string, value: f64): bool {
  const n = String.UTF8.encode(name);
  return ok(hostMetric(kind, at(n), n.byteLength, value));
}

/** A configured value: a string's text, or the JSON of anything else; null when the node has none. */
export function configText(key: string): string | null {
  const k = String.UTF8.encode(key);
  const n = hostConfig(at(k), k.byteLength, 0, 0);
  if (n < 0) return null;
  const text = new ArrayBuffer(n);
  hostConfig(at(k), k.byteLength, at(text), n);
  return String.UTF8.decode(text);
}

/** A number that stands in the server's log too. */
export let requestId: u64 = 0;
/** The time in nanoseconds that the call had at its beginning, 0 for no limit. */
export let budgetNs: u64 = 0;
let entered: i64 = 0;

/** Begins a call. */
export function enter(id: u64, budget: u64): void {
  requestId = id;
  budgetNs = budget;
  entered = budget > 0 ? hostNow() : 0;
}

/** Nanoseconds that are left for this call, -1 without a limit. The server stops a call at its deadline in any case. */
export function deadlineNs(): i64 {
  return budgetNs == 0 ? -1 : max<i64>(<i64>budgetNs - (hostNow() - entered), 0);
}

/**
 * What a model answered and what stays in the server until it is read: a tensor, or a JSON document where the model's output
 * is a sequence or a map. Handing a tensor on, as an output or to another model, costs no copy. The server forgets it at the
 * end of the call.
 */
export class Remote {
  /** element is 0 of a JSON document. */
  constructor(public handle: u32, public element: u8, public dims: i64[], public byteLength: i32) {}

  get isJson(): bool {
    return this.element == 0;
  }

  /** Copies the JSON document from the server; null when it is a tensor, or see lastError. */
  readJson(): string | null {
    if (!this.isJson) {
      last = -2;
      return null;
    }
    const text = new ArrayBuffer(this.byteLength);
    if (!ok(hostRead(this.handle, 0, at(text), this.byteLength))) return null;
    return String.UTF8.decode(text);
  }

  /** Copies the tensor from the server; null when its elements are others, or see lastError. */
  read<T>(): Tensor<T> | null {
    if (this.element != dtypeOf<T>()) {
      last = -2;
      return null;
    }
    const buffer = new ArrayBuffer(this.byteLength);
    if (!ok(hostRead(this.handle, 0, at(buffer), this.byteLength))) return null;
    const t = new Tensor<T>();
    t.from(buffer, this.dims);
    return t;
  }
}

/** One input of a model, made by argument or argumentOf. */
export class Argument {
  constructor(public name: ArrayBuffer, public element: u8, public dims: i64[], public ptr: usize, public byteLength: i32, public handle: u32) {}
}

/** A tensor as an input of a model. An empty name means by position. */
export function argument<T>(name: string, t: Tensor<T>): Argument {
  return new Argument(String.UTF8.encode(name), t.element, t.dims, t.ptr, t.length * sizeof<T>(), 0);
}

/** What another model answered as an input, without a copy. */
export function argumentOf(name: string, r: Remote): Argument {
  return new Argument(String.UTF8.encode(name), r.element, r.dims, 0, 0, r.handle);
}

function describe(v: Value, a: Argument): void {
  v.set(a.element == 0 ? Kind.Json : Kind.Tensor, a.ptr, a.byteLength);
  v.setShape(a.element, a.dims);
  v.namePtr = <u32>at(a.name);
  v.nameLen = a.name.byteLength;
  if (a.handle != 0) {
    v.flags = Flag.HostSide;
    v.handle = a.handle;
  }
}

function describeAll(inputs: Argument[]): ArrayBuffer {
  const array = new ArrayBuffer(inputs.length * <i32>VALUE_SIZE);
  for (let i = 0; i < inputs.length; i++) describe(valueAt(at(array), i), inputs[i]);
  return array;
}

// The outputs that a model is asked for: descriptors, and the names that they point to.
class Wanted {
  array: ArrayBuffer;
  names: ArrayBuffer[] = [];

  constructor(public outputs: string[]) {
    this.array = new ArrayBuffer(outputs.length * <i32>VALUE_SIZE);
    for (let i = 0; i < outputs.length; i++) {
      const name = String.UTF8.encode(outputs[i]);
      this.names.push(name);
      const v = valueAt(at(this.array), i);
      v.namePtr = <u32>at(name);
      v.nameLen = name.byteLength;
    }
  }

  answers(): Remote[] {
    const out = new Array<Remote>();
    for (let i = 0; i < this.outputs.length; i++) {
      const v = valueAt(at(this.array), i);
      out.push(new Remote(v.handle, v.dtype, v.shape(), <i32>v.dataLen));
    }
    return out;
  }
}

/** A model by the name under which the graph's node grants it; null when it is not granted, see lastError. */
export function model(name: string): Model | null {
  const n = String.UTF8.encode(name);
  const number = hostOpen(at(n), n.byteLength);
  return ok(number) ? new Model(number) : null;
}

/** A model that the graph granted to this node. Its answers stay in the server until they are read. */
export class Model {
  constructor(private number: i32) {}

  /** Runs the model and waits. outputs are the names wanted, in the order of the answer; "" is one by position. */
  run(inputs: Argument[], outputs: string[]): Remote[] | null {
    const given = describeAll(inputs);
    const wanted = new Wanted(outputs);
    return ok(hostRun(this.number, at(given), inputs.length, at(wanted.array), outputs.length)) ? wanted.answers() : null;
  }

  /** Starts the model and does not wait; own tensors are copied. At most 64 are open at a time. */
  start(inputs: Argument[]): Ticket | null {
    const given = describeAll(inputs);
    const number = hostStart(this.number, at(given), inputs.length);
    return ok(number) ? new Ticket(number) : null;
  }
}

/** A model that was started. One that nobody waits for is cancelled when the call ends. */
export class Ticket {
  constructor(public readonly number: i32) {}

  /** Waits for the model; a negative timeout waits as long as the call may. After "out of time" the ticket is still good. */
  wait(outputs: string[], timeoutMs: i32 = -1): Remote[] | null {
    const wanted = new Wanted(outputs);
    return ok(hostWait(this.number, at(wanted.array), outputs.length, timeoutMs)) ? wanted.answers() : null;
  }
}

/** Waits until one of the tickets is done and returns its index; below zero see lastError. */
export function waitAny(tickets: Ticket[], timeoutMs: i32 = -1): i32 {
  const numbers = new StaticArray<u32>(tickets.length);
  for (let i = 0; i < tickets.length; i++) numbers[i] = tickets[i].number;
  const i = hostWaitAny(changetype<usize>(numbers), tickets.length, timeoutMs);
  ok(i);
  return i;
}

/** Copies a tensor to the server, so that several model calls share it; null when it is refused. */
export function keep<T>(t: Tensor<T>): Remote | null {
  if (t.dims.length > MAX_RANK || elements(t.dims) != t.length) {
    last = -2;
    return null;
  }
  const array = describeAll([argument("", t)]);
  const handle = hostMake(at(array));
  return ok(handle) ? new Remote(handle, t.element, t.dims, t.length * sizeof<T>()) : null;
}
