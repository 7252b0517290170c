//! Helps to test functions natively, with plain `cargo test` and no server.
//!
//! ```
//! use tandem_plugin::testing::Recorder;
//! use tandem_plugin::Level;
//!
//! let server = Recorder::default();
//! server.context().log(Level::Info, "hello");
//! assert_eq!(server.lines.borrow()[..], [(Level::Info, "hello".to_string())]);
//! ```

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::model::Given;
use crate::{AnyTensor, Argument, Config, Context, Host, HostError, Level, MetricKind, Remote, Result};

/// What a model answers in a test: its outputs by name.
pub type Answer = Result<Vec<(String, Output)>, HostError>;

/// One output of a model in a test.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A tensor.
    Tensor(AnyTensor<'static>),
    /// A sequence or map, as JSON.
    Json(String),
}

impl From<AnyTensor<'static>> for Output {
    fn from(t: AnyTensor<'static>) -> Self {
        Output::Tensor(t)
    }
}

type Fake = Box<dyn Fn(&[(String, AnyTensor<'static>)]) -> Answer>;

/// A server that writes down what a function does to it, and runs models that are closures.
#[derive(Default)]
pub struct Recorder {
    /// What was logged, in order.
    pub lines: RefCell<Vec<(Level, String)>>,
    /// What was recorded, in order: stream and document.
    pub records: RefCell<Vec<(String, String)>>,
    /// What was measured, in order.
    pub samples: RefCell<Vec<(MetricKind, String, f64)>>,
    /// What recording answers, when set.
    pub record_error: Cell<Option<HostError>>,
    /// The time in nanoseconds that a function sees.
    pub clock: Cell<i64>,
    /// The node's configuration: a string as its text, anything else as JSON.
    pub config: RefCell<HashMap<String, String>>,
    models: Vec<(String, Fake)>,
    tickets: RefCell<Vec<Option<Answer>>>,
}

impl Recorder {
    /// A context over this server, without a time limit.
    pub fn context(&self) -> Context<'_> {
        Context::new(self, 0, 0)
    }

    /// Reads a configuration as the server's call would, defaults included.
    pub fn with<W: Config>(&self) -> Result<W> {
        W::decode(self)
    }

    /// Grants a model, which is a function of its inputs.
    pub fn model(mut self, name: &str, run: impl Fn(&[(String, AnyTensor<'static>)]) -> Answer + 'static) -> Self {
        self.models.push((name.into(), Box::new(run)));
        self
    }

    fn answer(&self, model: u32, inputs: &[Argument]) -> Answer {
        let inputs = inputs.iter().map(|a| Ok((a.name.to_string(), own(&a.value)?))).collect::<Result<Vec<_>, HostError>>()?;
        self.models.get(model as usize).ok_or(HostError::NotFound)?.1(&inputs)
    }
}

fn own(value: &Given) -> Result<AnyTensor<'static>, HostError> {
    match value {
        Given::Own(t) => Ok(AnyTensor { dtype: t.dtype, shape: t.shape.clone(), data: t.data.to_vec().into() }),
        Given::Remote(r) => {
            let dtype = r.dtype.ok_or(HostError::BadValue)?;
            Ok(AnyTensor { dtype, shape: r.shape.clone(), data: r.local.to_vec().into() })
        }
    }
}

fn pick(answer: Answer, names: &[&str]) -> Result<Vec<Remote>, HostError> {
    let answer = answer?;
    let by_name = |(i, name): (usize, &&str)| {
        let found = if name.is_empty() { answer.get(i) } else { answer.iter().find(|a| a.0 == **name) };
        found.map(|a| answered(&a.1)).ok_or(HostError::NotFound)
    };
    names.iter().enumerate().map(by_name).collect()
}

fn answered(output: &Output) -> Remote {
    match output {
        Output::Tensor(t) => remote(t),
        Output::Json(text) => {
            Remote { dtype: None, shape: Vec::new(), handle: 0, local: Rc::new(text.clone().into_bytes()), len: text.len() }
        }
    }
}

fn remote(t: &AnyTensor) -> Remote {
    Remote { dtype: Some(t.dtype), shape: t.shape.clone(), handle: 0, local: Rc::new(t.data.to_vec()), len: t.data.len() }
}

impl Host for Recorder {
    fn log(&self, level: Level, text: &str) {
        self.lines.borrow_mut().push((level, text.into()));
    }
    fn record(&self, stream: &str, doc: &str) -> Result<(), HostError> {
        if let Some(e) = self.record_error.get() {
            return Err(e);
        }
        self.records.borrow_mut().push((stream.into(), doc.into()));
        Ok(())
    }
    fn metric(&self, kind: MetricKind, name: &str, value: f64) -> Result<(), HostError> {
        self.samples.borrow_mut().push((kind, name.into(), value));
        Ok(())
    }
    fn now(&self) -> i64 {
        self.clock.get()
    }
    fn config(&self, key: &str) -> Option<String> {
        self.config.borrow().get(key).cloned()
    }
    fn open(&self, name: &str) -> Result<u32, HostError> {
        self.models.iter().position(|m| m.0 == name).map(|i| i as u32).ok_or(HostError::Denied)
    }
    fn run(&self, model: u32, inputs: &[Argument], outputs: &[&str]) -> Result<Vec<Remote>, HostError> {
        pick(self.answer(model, inputs), outputs)
    }
    fn start(&self, model: u32, inputs: &[Argument]) -> Result<u32, HostError> {
        let answer = self.answer(model, inputs);
        self.tickets.borrow_mut().push(Some(answer));
        Ok(self.tickets.borrow().len() as u32)
    }
    fn wait(&self, ticket: u32, outputs: &[&str], _: i32) -> Result<Vec<Remote>, HostError> {
        let i = (ticket as usize).checked_sub(1).ok_or(HostError::NotFound)?;
        let answer = self.tickets.borrow_mut().get_mut(i).and_then(Option::take);
        pick(answer.ok_or(HostError::NotFound)?, outputs)
    }
    fn wait_any(&self, tickets: &[u32], _: i32) -> Result<usize, HostError> {
        let open = |t: &u32| matches!(self.tickets.borrow().get((*t as usize).wrapping_sub(1)), Some(Some(_)));
        tickets.iter().position(open).ok_or(HostError::NotFound)
    }
    fn read(&self, remote: &Remote, to: &mut [u8]) -> Result<(), HostError> {
        to.copy_from_slice(remote.local.get(..to.len()).ok_or(HostError::BadValue)?);
        Ok(())
    }
    fn keep(&self, tensor: &AnyTensor) -> Result<Remote, HostError> {
        Ok(remote(tensor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    #[test]
    fn models_answer_documents() {
        let answer = |_: &[(String, AnyTensor<'static>)]| {
            let y = AnyTensor { dtype: crate::DType::UINT8, shape: vec![1], data: vec![7].into() };
            Ok(vec![("y".to_string(), y.into()), ("doc".to_string(), Output::Json("[{}]".into()))])
        };
        let server = Recorder::default().model("tree", answer);
        let ctx = server.context();
        let x = Tensor::new([1], vec![1f32]);
        let out = ctx.model("tree").unwrap().run(&[Argument::tensor("x", &x)], &["doc", "y"]).unwrap();
        assert_eq!(out[0].read_json(&ctx).unwrap().0, "[{}]");
        assert!(out[0].read::<f32>(&ctx).is_err() && out[0].read_any(&ctx).is_err() && out[1].read_json(&ctx).is_err());
        assert_eq!(out[1].read::<u8>(&ctx).unwrap().data[..], [7]);
    }
}
