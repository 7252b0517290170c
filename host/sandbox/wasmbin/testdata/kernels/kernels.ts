const N: i32 = 1 << 20;
const buf = memory.data(4 << 20);
export function setup(): void { for (let i: i32 = 0; i < N; i++) store<f32>(buf + ((<usize>i) << 2), <f32>(i % 1000) * 0.01 - 3.0); }
export function spin(n: i32): i32 { let h: u32 = 1; for (let i: i32 = 0; i < n; i++) h = h * 1664525 + 1013904223 + <u32>i; return <i32>h; }
export function fib(n: i32): i32 { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
export function sumf(n: i32): f32 { let s: f32 = 0; for (let i: i32 = 0; i < n; i++) s += load<f32>(buf + ((<usize>i) << 2)); return s; }
