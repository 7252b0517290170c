//! What the macros need; not for authors.

pub use crate::abi::Value;
pub use crate::config::{check, object, property, value};
pub use crate::describe::PortList;
pub use crate::port::Keep;

use std::any::Any;

use crate::port::{Input, Inputs, Outputs, Port};
use crate::{Config, Context, Error, Result};

/// Reads one input.
pub fn load<'a, P: Input<'a>>(name: &str, v: Option<&'a Value>) -> Result<P> {
    let v = v.ok_or_else(|| Error::new("the request has another number of inputs than the function"))?;
    P::load(v).map_err(|e| at("input", name, e))
}

/// Describes one output.
pub fn store<P: Port>(name: &str, p: P, v: Option<&mut Value>, keep: &mut Keep) -> Result<()> {
    let v = v.ok_or_else(|| Error::new("the request has room for fewer outputs than the function has"))?;
    p.store(v, keep).map_err(|e| at("output", name, e))
}

fn at(what: &str, name: &str, e: Error) -> Error {
    match e {
        Error::Text(text) => Error::Text(format!("{what} {name}: {text}")),
        outcome => outcome,
    }
}

/// Calls a function with the request's inputs.
pub fn invoke<'a, I, W, O, F>(
    f: F, ctx: &Context, input: &'a [Value], output: &mut [Value], with: &dyn Any, keep: &mut Keep,
) -> Result<()>
where
    I: Inputs<'a>,
    W: Config,
    O: Outputs,
    F: Fn(&Context, I, &W) -> Result<O>,
{
    let with = with.downcast_ref::<W>().ok_or_else(|| Error::new("the configuration was not read"))?;
    f(ctx, I::load(input)?, with)?.store(output, keep)
}

#[cfg(target_arch = "wasm32")]
pub use wasm::*;

#[cfg(target_arch = "wasm32")]
mod wasm {
    use super::*;
    use crate::abi::{Request, ABSENT, HOST_SIDE, JSON, MAGIC, MAJOR, TENSOR};
    use crate::model::Given;
    use crate::{AnyTensor, Argument, DType, Description, Function, Host, HostError, Level, MetricKind, Remote};
    use std::rc::Rc;

    #[link(wasm_import_module = "tdm1")]
    extern "C" {
        fn log(level: i32, text: *const u8, len: usize);
        fn record(stream: *const u8, stream_len: usize, doc: *const u8, len: usize) -> i32;
        fn metric(kind: i32, name: *const u8, len: usize, value: f64) -> i32;
        fn now_ns() -> i64;
        fn config_get(key: *const u8, len: usize, buffer: *mut u8, capacity: usize) -> i32;
        fn model_open(name: *const u8, len: usize) -> i32;
        fn model_run(model: u32, inputs: *const Value, num_in: usize, outputs: *mut Value, num_out: usize) -> i32;
        fn model_start(model: u32, inputs: *const Value, num_in: usize) -> i32;
        fn model_wait(ticket: u32, outputs: *mut Value, num_out: usize, timeout_ms: i32) -> i32;
        fn wait_any(tickets: *const u32, n: usize, timeout_ms: i32) -> i32;
        fn val_read(handle: u32, offset: i64, to: *mut u8, len: usize) -> i32;
        fn val_make(value: *const Value) -> i32;
    }

    /// The server, reached through the imports of ABI version 1.
    struct Server;

    fn answer(code: i32) -> Result<u32, HostError> {
        u32::try_from(code).map_err(|_| HostError::of(code))
    }

    impl Host for Server {
        fn log(&self, level: Level, text: &str) {
            unsafe { log(level as i32, text.as_ptr(), text.len()) }
        }
        fn record(&self, stream: &str, doc: &str) -> Result<(), HostError> {
            answer(unsafe { record(stream.as_ptr(), stream.len(), doc.as_ptr(), doc.len()) }).map(drop)
        }
        fn metric(&self, kind: MetricKind, name: &str, value: f64) -> Result<(), HostError> {
            answer(unsafe { metric(kind as i32, name.as_ptr(), name.len(), value) }).map(drop)
        }
        fn now(&self) -> i64 {
            unsafe { now_ns() }
        }
        fn config(&self, key: &str) -> Option<String> {
            let get = |b: &mut [u8]| unsafe { config_get(key.as_ptr(), key.len(), b.as_mut_ptr(), b.len()) };
            let len = answer(get(&mut [])).ok()?;
            let mut text = vec![0; len as usize];
            get(&mut text);
            String::from_utf8(text).ok()
        }
        fn open(&self, name: &str) -> Result<u32, HostError> {
            answer(unsafe { model_open(name.as_ptr(), name.len()) })
        }
        fn run(&self, model: u32, inputs: &[Argument], outputs: &[&str]) -> Result<Vec<Remote>, HostError> {
            let (given, mut wanted) = (describe_inputs(inputs), describe_outputs(outputs));
            answer(unsafe { model_run(model, given.as_ptr(), given.len(), wanted.as_mut_ptr(), wanted.len()) })?;
            wanted.iter().map(remote).collect()
        }
        fn start(&self, model: u32, inputs: &[Argument]) -> Result<u32, HostError> {
            let given = describe_inputs(inputs);
            answer(unsafe { model_start(model, given.as_ptr(), given.len()) })
        }
        fn wait(&self, ticket: u32, outputs: &[&str], timeout_ms: i32) -> Result<Vec<Remote>, HostError> {
            let mut wanted = describe_outputs(outputs);
            answer(unsafe { model_wait(ticket, wanted.as_mut_ptr(), wanted.len(), timeout_ms) })?;
            wanted.iter().map(remote).collect()
        }
        fn wait_any(&self, tickets: &[u32], timeout_ms: i32) -> Result<usize, HostError> {
            answer(unsafe { wait_any(tickets.as_ptr(), tickets.len(), timeout_ms) }).map(|i| i as usize)
        }
        fn read(&self, remote: &Remote, to: &mut [u8]) -> Result<(), HostError> {
            match answer(unsafe { val_read(remote.handle, 0, to.as_mut_ptr(), to.len()) })? as usize {
                n if n == to.len() => Ok(()),
                _ => Err(HostError::BadValue),
            }
        }
        fn keep(&self, tensor: &AnyTensor) -> Result<Remote, HostError> {
            let v = describe_tensor(tensor);
            let handle = answer(unsafe { val_make(&v) })?;
            Ok(Remote { dtype: Some(tensor.dtype), shape: tensor.shape.clone(), handle, local: Rc::default(), len: tensor.data.len() })
        }
    }

    fn describe_tensor(t: &AnyTensor) -> Value {
        let mut v = Value::default();
        v.set(TENSOR, &t.data);
        v.set_shape(t.dtype as u8, &t.shape[..t.shape.len().min(8)]);
        v
    }

    fn describe_inputs(inputs: &[Argument]) -> Vec<Value> {
        let describe = |a: &Argument| {
            let mut v = match &a.value {
                Given::Own(tensor) => describe_tensor(tensor),
                Given::Remote(r) => {
                    let kind = if r.dtype.is_some() { TENSOR } else { JSON };
                    let mut v = Value { kind, flags: HOST_SIDE, handle: r.handle, ..Value::default() };
                    v.set_shape(r.dtype.map_or(0, |d| d as u8), &r.shape);
                    v
                }
            };
            v.name_ptr = a.name.as_ptr() as u32;
            v.name_len = a.name.len() as u32;
            v
        };
        inputs.iter().map(describe).collect()
    }

    fn describe_outputs(names: &[&str]) -> Vec<Value> {
        let describe = |n: &&str| Value { name_ptr: n.as_ptr() as u32, name_len: n.len() as u32, ..Value::default() };
        names.iter().map(describe).collect()
    }

    fn remote(v: &Value) -> Result<Remote, HostError> {
        let dtype = match v.kind {
            _ if v.flags & ABSENT != 0 => return Err(HostError::BadValue),
            TENSOR => Some(DType::of(v.dtype).ok_or(HostError::BadValue)?),
            JSON => None,
            _ => return Err(HostError::BadValue),
        };
        Ok(Remote { dtype, shape: v.shape().into(), handle: v.handle, local: Rc::default(), len: v.data_len as usize })
    }

    /// What an instance keeps between its exports: it runs one call at a time, so nothing here is shared.
    struct State {
        with: Vec<Result<Box<dyn Any>>>,
        keep: Keep,
    }

    static mut STATE: State = State { with: Vec::new(), keep: Keep::EMPTY };

    fn state() -> &'static mut State {
        unsafe { &mut *std::ptr::addr_of_mut!(STATE) }
    }

    /// Reads the configuration of a function.
    pub fn decode<'a, I, W, O, F>(_: F) -> Result<Box<dyn Any>>
    where
        I: Inputs<'a>,
        W: Config,
        O: Outputs,
        F: Fn(&Context, I, &W) -> Result<O>,
    {
        W::decode(&Server).map(|w| Box::new(w) as Box<dyn Any>)
    }

    /// Serves `tdm1_describe`.
    pub fn describe(d: Description) -> u64 {
        let text: &'static str = Box::leak(d.json().into_boxed_str());
        (text.as_ptr() as u64) << 32 | text.len() as u64
    }

    /// Serves `tdm1_alloc`, the first export that a call's instance sees: it is the plugin's start too.
    pub fn alloc(size: u32, align: u32, functions: &[Function]) -> u32 {
        std::panic::set_hook(Box::new(|p| Server.log(Level::Error, &p.to_string())));
        configure(functions);
        let arena = match std::alloc::Layout::from_size_align(size as usize, align as usize) {
            Ok(layout) if size > 0 => unsafe { std::alloc::alloc_zeroed(layout) as u32 },
            _ => 0,
        };
        let mut room = Vec::<u8>::with_capacity(ROOM);
        room.push(0); // or the allocation is optimised away
        unsafe { std::ptr::read_volatile(room.as_ptr()) };
        drop(room); // the allocator keeps it
        arena
    }

    /// Memory that most calls get by with: a call that makes the module grow costs a new instance.
    const ROOM: usize = 1 << 20;

    /// Serves `tdm1_init`. A node configures one function: what does not fit another one is an error when that is called.
    pub fn configure(functions: &[Function]) -> i32 {
        state().with = functions.iter().map(|f| (f.decode)()).collect();
        0
    }

    /// Serves `tdm1_run`.
    pub fn run(functions: &[Function], request: u32) -> i32 {
        let r = unsafe { &mut *(request as *mut Request) };
        match serve(functions, r) {
            Ok(()) => {
                r.num_out = r.out_cap;
                0
            }
            Err(Error::Outcome(code)) => code.into(),
            Err(Error::Text(text)) => {
                let mut n = text.len().min(r.err_cap as usize);
                while !text.is_char_boundary(n) {
                    n -= 1;
                }
                unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), r.err_ptr as *mut u8, n) };
                r.err_len = n as u32;
                -1
            }
        }
    }

    fn serve(functions: &[Function], r: &Request) -> Result<()> {
        let f = functions.get(r.op as usize).filter(|_| r.magic == MAGIC && r.major == MAJOR);
        let f = f.ok_or_else(|| Error::new("no such function"))?;
        let with = match &state().with[r.op as usize] {
            Ok(with) => with.as_ref(),
            Err(e) => return Err(e.clone()),
        };
        let (input, output) = unsafe {
            (
                std::slice::from_raw_parts(r.in_ptr as *const Value, r.num_in as usize),
                std::slice::from_raw_parts_mut(r.out_ptr as *mut Value, r.out_cap as usize),
            )
        };
        let ctx = Context::new(&Server, r.request_id, r.deadline_ns);
        let mut keep = Keep::default();
        (f.invoke)(&ctx, input, output, with, &mut keep)?;
        state().keep = keep;
        Ok(())
    }
}
