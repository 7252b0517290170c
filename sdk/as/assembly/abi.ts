// The layout of ABI version 1. docs/plugin-abi.md in the server's repository is the normative text.

export const VALUE_SIZE: usize = 96;
export const MAGIC: u32 = 0x314d4454;
export const MAX_RANK: i32 = 8;

export namespace Kind {
  export const Tensor: u8 = 1;
  export const Bytes: u8 = 2;
  export const Text: u8 = 3;
  export const Json: u8 = 4;
  export const Image: u8 = 5;
  export const List: u8 = 6;
}

export namespace Flag {
  export const HostSide: u8 = 4;
  export const Absent: u8 = 16;
}

/** Element types, numbered as in ONNX and named as in the Open Inference Protocol. */
export namespace DType {
  export const FP32: u8 = 1;
  export const UINT8: u8 = 2;
  export const INT8: u8 = 3;
  export const UINT16: u8 = 4;
  export const INT16: u8 = 5;
  export const INT32: u8 = 6;
  export const INT64: u8 = 7;
  export const BYTES: u8 = 8;
  export const BOOL: u8 = 9;
  export const FP16: u8 = 10;
  export const FP64: u8 = 11;
  export const UINT32: u8 = 12;
  export const UINT64: u8 = 13;
  export const BF16: u8 = 16;
}

const NAMES: StaticArray<string> = [
  "", "FP32", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "BYTES", "BOOL", "FP16", "FP64", "UINT32", "UINT64", "", "", "BF16",
];
const SIZES: StaticArray<u8> = [0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 0, 0, 2];

/** The name of an element type. */
export function dtypeName(d: u8): string {
  return <i32>d < NAMES.length ? NAMES[d] : "";
}

/** Bytes of one element; 0 for BYTES and for what is no element type. */
export function dtypeSize(d: u8): i32 {
  return <i32>d < SIZES.length ? SIZES[d] : 0;
}

/** The element type that T stands for, 0 when it is none. */
export function dtypeOf<T>(): u8 {
  if (isBoolean<T>()) return DType.BOOL;
  if (isFloat<T>()) return sizeof<T>() == 4 ? DType.FP32 : DType.FP64;
  if (!isInteger<T>()) return 0;
  if (isSigned<T>()) {
    return sizeof<T>() == 1 ? DType.INT8 : sizeof<T>() == 2 ? DType.INT16 : sizeof<T>() == 4 ? DType.INT32 : DType.INT64;
  }
  return sizeof<T>() == 1 ? DType.UINT8 : sizeof<T>() == 2 ? DType.UINT16 : sizeof<T>() == 4 ? DType.UINT32 : DType.UINT64;
}

/** One value. */
@unmanaged
export class Value {
  namePtr: u32;
  nameLen: u32;
  kind: u8;
  dtype: u8;
  rank: u8;
  flags: u8;
  handle: u32;
  dataPtr: u32;
  items: u32;
  dataLen: u64;

  shape(): i64[] {
    const out = new Array<i64>(this.rank);
    for (let i = 0; i < <i32>this.rank; i++) out[i] = load<i64>(changetype<usize>(this) + 32 + 8 * i);
    return out;
  }

  set(kind: u8, data: usize, length: usize): void {
    memory.fill(changetype<usize>(this) + 8, 0, VALUE_SIZE - 8);
    this.kind = kind;
    if (length == 0) return;
    this.dataPtr = <u32>data;
    this.dataLen = length;
  }

  setShape(dtype: u8, shape: i64[]): void {
    this.dtype = dtype;
    this.rank = <u8>shape.length;
    for (let i = 0; i < shape.length; i++) store<i64>(changetype<usize>(this) + 32 + 8 * i, shape[i]);
  }
}

/** The block that one call starts from. */
@unmanaged
export class Request {
  magic: u32;
  major: u16;
  minor: u16;
  totalLen: u32;
  op: u32;
  numIn: u32;
  inPtr: u32;
  outCap: u32;
  outPtr: u32;
  numOut: u32;
  errPtr: u32;
  errCap: u32;
  errLen: u32;
  deadlineNs: u64;
  requestId: u64;
}

/** The value at index i of an array of them. */
export function valueAt(array: usize, i: i32): Value {
  return changetype<Value>(array + VALUE_SIZE * i);
}

/** The product of a shape, -1 when it is negative or beyond what memory can hold. */
export function elements(shape: i64[]): i64 {
  let n: i64 = 1;
  for (let i = 0; i < shape.length; i++) {
    const d = shape[i];
    if (d < 0 || (d > 0 && n > (1 << 31) / d)) return -1;
    n *= d;
  }
  return n;
}

/** A JSON string. */
export function quote(s: string): string {
  let out = '"';
  for (let i = 0; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c == 0x22 || c == 0x5c) out += "\\" + s.charAt(i);
    else if (c < 0x20) out += "\\u00" + (c < 16 ? "0" : "") + c.toString(16);
    else out += s.charAt(i);
  }
  return out + '"';
}
