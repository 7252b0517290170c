// The exports of a module.
import { MAGIC, Request, valueAt } from "./abi";
import { Func, registered } from "./func";
import { letGo } from "./ports";
import { Level, enter, log } from "./server";

let description: ArrayBuffer = new ArrayBuffer(0);

/** The address and length of the description. */
export function tdm1_describe(): u64 {
  description = String.UTF8.encode(registered.describe());
  return ((<u64>changetype<usize>(description)) << 32) | <u64>description.byteLength;
}

// Memory that most calls get by with: a call that makes the module grow costs a new instance.
const ROOM: usize = 1 << 20;

/** The transfer arena: the first export that an instance for calls sees. */
export function tdm1_alloc(size: usize, align: usize): usize {
  if (align == 0 || (align & (align - 1)) != 0) return 0;
  configure();
  const start = heap.alloc(size + align);
  memory.fill(start, 0, size + align);
  heap.free(heap.alloc(ROOM));
  return (start + align - 1) & ~(align - 1);
}

/** Reads the configuration. */
export function tdm1_init(_ptr: usize, _length: usize): i32 {
  configure();
  return 0;
}

// The setting of each function that is missing or wrong, "" for none. A node configures one function: what does not fit
// another one is an error when that is called.
let faults: string[] = [];

function configure(): void {
  faults = new Array<string>();
  for (let op = 0; op < registered.length; op++) {
    let fault = "";
    const f = registered.func(op);
    if (f) {
      const settings = f.declared.settings;
      for (let i = 0; i < settings.length; i++) if (!settings[i].read()) fault = settings[i].name;
    }
    faults.push(fault);
  }
}

/** Runs one call. */
export function tdm1_run(address: usize): i32 {
  const r = changetype<Request>(address);
  const f = registered.func(r.op);
  if (r.magic != MAGIC || r.major != 1 || !f) return fail(r, "no such function");
  if (faults[r.op].length > 0) return fail(r, "configuration: " + faults[r.op] + " is missing or wrong");
  letGo();
  enter(r.requestId, r.deadlineNs);
  return serve(r, f);
}

function serve(r: Request, f: Func): i32 {
  const inputs = f.declared.inputs;
  const outputs = f.declared.outputs;
  for (let i = 0; i < inputs.length; i++) inputs[i].receive(valueAt(r.inPtr, i));
  for (let i = 0; i < outputs.length; i++) outputs[i].present = false;
  f.error = null;
  f.outcome = 0;
  f.run();
  const error = f.error;
  if (error !== null) return fail(r, error);
  if (f.outcome != 0) return f.outcome;
  for (let i = 0; i < outputs.length; i++) {
    const fault = outputs[i].send(valueAt(r.outPtr, i));
    if (fault.length > 0) return fail(r, "output " + outputs[i].name + ": " + fault);
  }
  r.numOut = r.outCap;
  return 0;
}

function fail(r: Request, text: string): i32 {
  const bytes = String.UTF8.encode(text);
  const start = changetype<usize>(bytes);
  let n = min<u32>(bytes.byteLength, r.errCap);
  while (n > 0 && n < <u32>bytes.byteLength && (load<u8>(start + n) & 0xc0) == 0x80) n--; // between two characters
  memory.copy(r.errPtr, start, n);
  r.errLen = n;
  return -1;
}

/** What an exception does: the text goes to the log and the call traps. */
export function tandemAbort(message: string | null, file: string | null, line: u32, column: u32): void {
  const place = (file ? file : "?") + ":" + line.toString() + ":" + column.toString();
  log(Level.Error, place + ": " + (message ? message : "abort"));
  unreachable();
}
