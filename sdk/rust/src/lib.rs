//! Turns ordinary Rust functions into a Tandem plugin: a WebAssembly module that a server runs in a sandbox between the
//! models of a graph.
//!
//! An author writes functions over structs whose fields are the ports, and lists them once:
//!
//! ```
//! use tandem_plugin::{config, fail, inputs, outputs, plugin, Context, Result};
//!
//! inputs! {
//!     pub struct In<'a> {
//!         /// what to say
//!         text: &'a str,
//!     }
//! }
//! outputs! {
//!     pub struct Out {
//!         text: String,
//!     }
//! }
//! config! {
//!     pub struct With {
//!         /// exclamation marks to add
//!         marks: u32 = 1, min 0, max 9;
//!     }
//! }
//!
//! fn shout(_: &Context, input: In, with: &With) -> Result<Out> {
//!     if input.text.is_empty() {
//!         return fail("nothing to say");
//!     }
//!     Ok(Out { text: input.text.to_uppercase() + &"!".repeat(with.marks as usize) })
//! }
//!
//! plugin! {
//!     name: "shout", version: "0.1.0", doc: "Says it louder.",
//!     functions: {
//!         /// repeats a text in capitals
//!         shout;
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! What a function receives are views of the memory that the server filled; they live as long as the call. What it returns
//! is handed to the server without a copy. Built natively the crate has the same interface without a server behind it, so
//! that functions are tested with plain `cargo test`; module [`testing`] helps. One instance runs one call at a time.

mod abi;
mod config;
mod context;
mod describe;
mod element;
mod error;
#[doc(hidden)]
pub mod guest;
mod macros;
mod model;
mod port;
mod tensor;
pub mod testing;

pub use config::{Config, Field, Rule};
pub use context::{Context, Host, HostError, Level, MetricKind};
pub use describe::{Description, Function};
pub use element::{Bf16, DType, Element, F16};
pub use error::{fail, outcome, Error, Result};
pub use model::{wait_any, Argument, Model, Ticket};
pub use port::{Bytes, Image, Input, Inputs, Json, Outputs, Port};
pub use tensor::{AnyTensor, Remote, Strings, Tensor};
