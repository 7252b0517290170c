// The types of ports. A port is a field of a function's class; its class says what crosses the border there.
import { DType, Flag, Kind, MAX_RANK, VALUE_SIZE, Value, dtypeName, dtypeOf, dtypeSize, elements, quote, valueAt } from "./abi";
import { building } from "./building";
import { Remote } from "./server";

/** One input or output. */
export abstract class Port {
  name: string = "";
  /** Whether an optional input was given; an optional output is given when it is set. */
  present: bool = false;
  /** What the port is, for people. */
  about: string = "";
  /** The shape of a tensor: "batch 3 h w". A number, a name (equal wherever it stands in the function) or "?"; null is any. */
  shape: string | null = null;
  /** Whether the port may have no value. */
  isOptional: bool = false;

  abstract kind(): u8;
  dtype(): u8 {
    return 0;
  }
  isList(): bool {
    return false;
  }

  /** The port as JSON. */
  describe(): string {
    const kinds = ["", "tensor", "bytes", "text", "json", "image"];
    let text = '{"name":' + quote(this.name) + ',"kind":"' + kinds[this.kind()] + '"';
    if (this.dtype() != 0) text += ',"dtype":"' + dtypeName(this.dtype()) + '"';
    const shape = this.shape;
    if (shape !== null) text += ',"shape":[' + shapeJson(shape) + "]";
    if (this.about.length > 0) text += ',"doc":' + quote(this.about);
    if (this.isOptional) text += ',"optional":true';
    if (this.isList()) text += ',"list":true';
    return text + "}";
  }

  /** Reads an input. */
  receive(v: Value): void {
    this.present = (v.flags & Flag.Absent) == 0;
    if (this.present) this.load(v);
  }

  /** Writes an output; returns what is wrong with it, "" for nothing. */
  send(v: Value): string {
    if (!this.present && this.isOptional) {
      v.set(0, 0, 0);
      v.flags = Flag.Absent;
      return "";
    }
    return this.save(v);
  }

  abstract load(v: Value): void;
  abstract save(v: Value): string;
}

function shapeJson(text: string): string {
  if (text.length == 0) return "";
  const dims = text.split(" ");
  for (let i = 0; i < dims.length; i++) {
    const c = dims[i].charCodeAt(0);
    if (c < 0x30 || c > 0x39) dims[i] = quote(dims[i]);
  }
  return dims.join(",");
}

function shapeError(shape: i64[], have: i64): string {
  if (shape.length <= MAX_RANK && elements(shape) == have) return "";
  return "shape [" + shape.join(",") + "] does not fit " + have.toString() + " elements";
}

/** Text. */
export class Text extends Port {
  private text: string = "";

  get value(): string {
    return this.text;
  }
  set value(s: string) {
    this.text = s;
    this.present = true;
  }

  kind(): u8 {
    return Kind.Text;
  }
  load(v: Value): void {
    this.text = String.UTF8.decodeUnsafe(v.dataPtr, <usize>v.dataLen);
  }
  save(v: Value): string {
    const data = String.UTF8.encode(this.text);
    v.set(this.kind(), changetype<usize>(data), data.byteLength);
    hold(data);
    return "";
  }
}

/** One JSON document, as text. */
export class Json extends Text {
  kind(): u8 {
    return Kind.Json;
  }
}

/** Bytes, or an encoded image. */
export class Binary extends Port {
  /** Where the bytes lie and how many there are. */
  ptr: usize = 0;
  length: i32 = 0;
  private owner: ArrayBuffer | null = null;

  constructor(public readonly kindOf: u8 = Kind.Bytes) {
    super();
  }

  /** A copy of the bytes. */
  get bytes(): Uint8Array {
    const out = new Uint8Array(this.length);
    memory.copy(out.dataStart, this.ptr, this.length);
    return out;
  }
  set bytes(b: Uint8Array) {
    this.owner = b.buffer;
    this.ptr = b.dataStart;
    this.length = b.length;
    this.present = true;
  }

  /** Hands another port's bytes on without a copy. */
  same(from: Binary): void {
    this.ptr = from.ptr;
    this.length = from.length;
    this.present = from.present;
  }

  kind(): u8 {
    return this.kindOf;
  }
  load(v: Value): void {
    this.ptr = v.dataPtr;
    this.length = <i32>v.dataLen;
  }
  save(v: Value): string {
    v.set(this.kindOf, this.ptr, this.length);
    return "";
  }
}

/** A number or truth value: a tensor of rank 0. */
export class Scalar<T> extends Port {
  private v: T = <T>0;
  private cell: ArrayBuffer = new ArrayBuffer(8);

  constructor() {
    super();
    this.shape = "";
  }

  get value(): T {
    return this.v;
  }
  set value(v: T) {
    this.v = v;
    this.present = true;
  }

  kind(): u8 {
    return Kind.Tensor;
  }
  dtype(): u8 {
    return dtypeOf<T>();
  }
  load(v: Value): void {
    this.v = load<T>(v.dataPtr);
  }
  save(v: Value): string {
    store<T>(changetype<usize>(this.cell), this.v);
    v.set(Kind.Tensor, changetype<usize>(this.cell), sizeof<T>());
    v.dtype = dtypeOf<T>();
    return "";
  }
}

/**
 * An array of T in row-major order. t[i] is element i; the product of dims is length. Half precision is a Tensor<u16>
 * declared with input.half or input.bfloat, see f16ToF32.
 */
export class Tensor<T> extends Port {
  /** The dimensions. */
  dims: i64[] = [];
  /** Where the elements lie and how many there are. */
  ptr: usize = 0;
  length: i32 = 0;
  private owner: ArrayBuffer | null = null;

  constructor(public readonly element: u8 = 0) {
    super();
    if (this.element == 0) this.element = dtypeOf<T>();
  }

  /** Makes the tensor one of the given shape, all zeros, to be written. */
  make(dims: i64[]): void {
    const n = max(elements(dims), 0);
    this.from(new ArrayBuffer(<i32>n * sizeof<T>()), dims);
  }

  /** Makes the tensor one over a buffer, which is not copied. Whether the shape fits is checked when the server gets it. */
  from(buffer: ArrayBuffer, dims: i64[]): void {
    this.owner = buffer;
    this.dims = dims;
    this.ptr = changetype<usize>(buffer);
    this.length = buffer.byteLength / sizeof<T>();
    this.present = true;
  }

  /** Hands another tensor on without a copy. */
  same(other: Tensor<T>): void {
    this.owner = other.owner;
    this.dims = other.dims;
    this.ptr = other.ptr;
    this.length = other.length;
    this.present = other.present;
  }

  @operator("[]")
  get(i: i32): T {
    if (<u32>i >= <u32>this.length) throw new RangeError("element " + i.toString() + " of " + this.length.toString());
    return load<T>(this.ptr + i * sizeof<T>());
  }
  @operator("[]=")
  put(i: i32, v: T): void {
    if (<u32>i >= <u32>this.length) throw new RangeError("element " + i.toString() + " of " + this.length.toString());
    store<T>(this.ptr + i * sizeof<T>(), v);
  }

  kind(): u8 {
    return Kind.Tensor;
  }
  dtype(): u8 {
    return this.element;
  }
  load(v: Value): void {
    this.dims = v.shape();
    this.ptr = v.dataPtr;
    this.length = <i32>(v.dataLen / sizeof<T>());
  }
  save(v: Value): string {
    const fault = shapeError(this.dims, this.length);
    if (fault.length > 0) return fault;
    v.set(Kind.Tensor, this.ptr, this.length * sizeof<T>());
    v.setShape(this.element, this.dims);
    return "";
  }
}

/** A tensor whose element type is known only when the function runs. */
export class AnyTensor extends Port {
  /** The element type, a DType. */
  element: u8 = 0;
  dims: i64[] = [];
  /** Where the data lies and how many bytes there are. */
  ptr: usize = 0;
  byteLength: i32 = 0;
  private owner: ArrayBuffer | null = null;
  private remote: Remote | null = null;

  /** Makes it a tensor over a buffer, which is not copied. */
  from(buffer: ArrayBuffer, element: u8, dims: i64[]): void {
    this.owner = buffer;
    this.element = element;
    this.dims = dims;
    this.ptr = changetype<usize>(buffer);
    this.byteLength = buffer.byteLength;
    this.present = true;
  }

  /** Hands another tensor on without a copy. */
  same(other: AnyTensor): void {
    this.owner = other.owner;
    this.remote = other.remote;
    this.element = other.element;
    this.dims = other.dims;
    this.ptr = other.ptr;
    this.byteLength = other.byteLength;
    this.present = other.present;
  }

  /** Hands what a model answered on, without reading it. */
  setRemote(r: Remote): void {
    this.remote = r;
    this.present = true;
  }

  /** The tensor with its element type, null when that is another one. */
  as<T>(): Tensor<T> | null {
    if (this.element != dtypeOf<T>()) return null;
    const t = new Tensor<T>();
    t.dims = this.dims;
    t.ptr = this.ptr;
    t.length = this.byteLength / sizeof<T>();
    return t;
  }

  kind(): u8 {
    return Kind.Tensor;
  }
  load(v: Value): void {
    this.element = v.dtype;
    this.dims = v.shape();
    this.ptr = v.dataPtr;
    this.byteLength = <i32>v.dataLen;
  }
  save(v: Value): string {
    const remote = this.remote;
    if (remote) {
      if (remote.isJson) return "a model's JSON cannot be handed on as a tensor: read it";
      v.set(Kind.Tensor, 0, 0);
      v.setShape(remote.element, remote.dims);
      v.flags = Flag.HostSide;
      v.handle = remote.handle;
      return "";
    }
    const size = dtypeSize(this.element);
    if (size == 0 && this.element != DType.BYTES) return "a tensor without an element type";
    const fault = size > 0 ? shapeError(this.dims, this.byteLength / size) : "";
    if (fault.length > 0) return fault;
    v.set(Kind.Tensor, this.ptr, this.byteLength);
    v.setShape(this.element, this.dims);
    return "";
  }
}

/** A tensor of strings, which may be any bytes. t[i] is string i as text. */
export class Strings extends Port {
  dims: i64[] = [];
  private count: i32 = 0;
  private ptr: usize = 0;
  private owner: ArrayBuffer | null = null;

  get length(): i32 {
    return this.count;
  }

  /** Bytes of string i. */
  byteLength(i: i32): i32 {
    if (<u32>i >= <u32>this.count) throw new RangeError("string " + i.toString() + " of " + this.count.toString());
    return load<u32>(this.ptr + 4 * (i + 1)) - load<u32>(this.ptr + 4 * i);
  }

  @operator("[]")
  get(i: i32): string {
    const n = this.byteLength(i);
    return String.UTF8.decodeUnsafe(this.ptr + 4 * (this.count + 1) + load<u32>(this.ptr + 4 * i), n);
  }

  /** Makes it a tensor of the given texts; without dims a vector. */
  set(texts: string[], dims: i64[] = [<i64>texts.length]): void {
    let total = 4 * (texts.length + 1);
    for (let i = 0; i < texts.length; i++) total += String.UTF8.byteLength(texts[i]);
    const buffer = new ArrayBuffer(total);
    const start = changetype<usize>(buffer);
    const first = start + 4 * (texts.length + 1);
    let at: usize = 0;
    for (let i = 0; i < texts.length; i++) {
      const s = texts[i];
      at += String.UTF8.encodeUnsafe(changetype<usize>(s), s.length, first + at);
      store<u32>(start + 4 * (i + 1), <u32>at);
    }
    this.owner = buffer;
    this.ptr = start;
    this.count = texts.length;
    this.dims = dims;
    this.present = true;
  }

  kind(): u8 {
    return Kind.Tensor;
  }
  dtype(): u8 {
    return DType.BYTES;
  }
  load(v: Value): void {
    this.dims = v.shape();
    this.count = <i32>elements(this.dims);
    this.ptr = v.dataPtr;
  }
  save(v: Value): string {
    const fault = shapeError(this.dims, this.count);
    if (fault.length > 0) return fault;
    const total = 4 * (this.count + 1) + (this.count > 0 ? load<u32>(this.ptr + 4 * this.count) : 0);
    v.set(Kind.Tensor, this.ptr, this.ptr == 0 ? 0 : total);
    v.setShape(DType.BYTES, this.dims);
    return "";
  }
}

/** A list of values of one kind. Add to it with items.push(list.create()). */
export class List<P extends Port> extends Port {
  items: P[] = [];
  private model: P = instantiate<P>();

  /** A new item, to be set and added. */
  create(): P {
    return instantiate<P>();
  }

  kind(): u8 {
    return this.model.kind();
  }
  dtype(): u8 {
    return this.model.dtype();
  }
  isList(): bool {
    return true;
  }
  load(v: Value): void {
    this.items = new Array<P>();
    for (let i = 0; i < <i32>v.items; i++) {
      const item = instantiate<P>();
      item.receive(valueAt(v.dataPtr, i));
      this.items.push(item);
    }
  }
  save(v: Value): string {
    const n = this.items.length;
    const array = new ArrayBuffer(n * <i32>VALUE_SIZE);
    hold(array);
    for (let i = 0; i < n; i++) {
      const fault = this.items[i].save(valueAt(changetype<usize>(array), i));
      if (fault.length > 0) return "item " + i.toString() + ": " + fault;
    }
    v.set(Kind.List, changetype<usize>(array), array.byteLength);
    v.items = n;
    return "";
  }
}

// What outputs point to, alive until the next call.
let held: ArrayBuffer[] = [];

function hold(b: ArrayBuffer): void {
  held.push(b);
}

/** Forgets the outputs of the call before. */
export function letGo(): void {
  held = [];
}

function declare<P extends Port>(into: Port[], port: P, name: string, shape: string | null, doc: string): P {
  port.name = name;
  port.shape = shape;
  port.about = doc;
  into.push(port);
  return port;
}

/** Makes a port optional: optional(input.text("hint")). See present. */
export function optional<P extends Port>(port: P): P {
  port.isOptional = true;
  return port;
}

/** Declares an input: a field of a function's class. Shapes and texts for people may be left out. */
export namespace input {
  export function text(name: string, doc: string = ""): Text { return declare(building.inputs, new Text(), name, null, doc); }
  export function json(name: string, doc: string = ""): Json { return declare(building.inputs, new Json(), name, null, doc); }
  export function bytes(name: string, doc: string = ""): Binary { return declare(building.inputs, new Binary(Kind.Bytes), name, null, doc); }
  export function image(name: string, doc: string = ""): Binary { return declare(building.inputs, new Binary(Kind.Image), name, null, doc); }
  export function scalar<T>(name: string, doc: string = ""): Scalar<T> { return declare(building.inputs, new Scalar<T>(), name, "", doc); }
  export function tensor<T>(name: string, shape: string | null = null, doc: string = ""): Tensor<T> {
    return declare(building.inputs, new Tensor<T>(), name, shape, doc);
  }
  export function half(name: string, shape: string | null = null, doc: string = ""): Tensor<u16> {
    return declare(building.inputs, new Tensor<u16>(DType.FP16), name, shape, doc);
  }
  export function bfloat(name: string, shape: string | null = null, doc: string = ""): Tensor<u16> {
    return declare(building.inputs, new Tensor<u16>(DType.BF16), name, shape, doc);
  }
  export function strings(name: string, shape: string | null = null, doc: string = ""): Strings {
    return declare(building.inputs, new Strings(), name, shape, doc);
  }
  export function any(name: string, shape: string | null = null, doc: string = ""): AnyTensor {
    return declare(building.inputs, new AnyTensor(), name, shape, doc);
  }
  export function list<P extends Port>(name: string, shape: string | null = null, doc: string = ""): List<P> {
    return declare(building.inputs, new List<P>(), name, shape, doc);
  }
}

/** Declares an output: a field of a function's class. Shapes and texts for people may be left out. */
export namespace output {
  export function text(name: string, doc: string = ""): Text { return declare(building.outputs, new Text(), name, null, doc); }
  export function json(name: string, doc: string = ""): Json { return declare(building.outputs, new Json(), name, null, doc); }
  export function bytes(name: string, doc: string = ""): Binary { return declare(building.outputs, new Binary(Kind.Bytes), name, null, doc); }
  export function image(name: string, doc: string = ""): Binary { return declare(building.outputs, new Binary(Kind.Image), name, null, doc); }
  export function scalar<T>(name: string, doc: string = ""): Scalar<T> { return declare(building.outputs, new Scalar<T>(), name, "", doc); }
  export function tensor<T>(name: string, shape: string | null = null, doc: string = ""): Tensor<T> {
    return declare(building.outputs, new Tensor<T>(), name, shape, doc);
  }
  export function half(name: string, shape: string | null = null, doc: string = ""): Tensor<u16> {
    return declare(building.outputs, new Tensor<u16>(DType.FP16), name, shape, doc);
  }
  export function bfloat(name: string, shape: string | null = null, doc: string = ""): Tensor<u16> {
    return declare(building.outputs, new Tensor<u16>(DType.BF16), name, shape, doc);
  }
  export function strings(name: string, shape: string | null = null, doc: string = ""): Strings {
    return declare(building.outputs, new Strings(), name, shape, doc);
  }
  export function any(name: string, shape: string | null = null, doc: string = ""): AnyTensor {
    return declare(building.outputs, new AnyTensor(), name, shape, doc);
  }
  export function list<P extends Port>(name: string, shape: string | null = null, doc: string = ""): List<P> {
    return declare(building.outputs, new List<P>(), name, shape, doc);
  }
}

/** A half-precision number as f32, exactly. */
export function f16ToF32(h: u16): f32 {
  const sign = <u32>(h & 0x8000) << 16;
  const exp = <u32>(h >> 10) & 0x1f;
  const frac = <u32>(h & 0x3ff);
  let abs: f32;
  if (exp == 0x1f) abs = reinterpret<f32>(0x7f800000 | (frac << 13));
  else if (exp != 0) abs = reinterpret<f32>(((exp + 112) << 23) | (frac << 13));
  else abs = <f32>frac * <f32>(1.0 / 16777216.0);
  return reinterpret<f32>(reinterpret<u32>(abs) | sign);
}

/** The nearest half-precision number, ties to even; too large becomes infinite. */
export function f32ToF16(v: f32): u16 {
  const bits = reinterpret<u32>(v);
  const sign = <u16>((bits >> 16) & 0x8000);
  let abs = bits & 0x7fffffff;
  if (abs > 0x7f800000) return sign | 0x7e00;
  if (abs >= 0x477ff000) return sign | 0x7c00;
  if (abs < 0x38800000) return sign | <u16>(reinterpret<u32>(reinterpret<f32>(abs) + 0.5) & 0x7ff);
  abs += 0xfff + ((abs >> 13) & 1);
  return sign | <u16>((abs - (112 << 23)) >> 13);
}
