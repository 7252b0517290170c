use crate::{AnyTensor, Element, Host, HostError, Remote, Result, Tensor};

/// A model that the graph granted to this node. Its answers stay in the server until they are read.
#[derive(Clone, Copy)]
pub struct Model<'h> {
    pub(crate) host: &'h dyn Host,
    pub(crate) number: u32,
}

/// One input of a model: by name, or by position when the name is empty.
pub struct Argument<'a> {
    /// The model's name for it.
    pub name: &'a str,
    /// The value.
    pub value: Given<'a>,
}

/// A value for a model: the plugin's own memory, or one that the server keeps.
#[doc(hidden)]
pub enum Given<'a> {
    Own(AnyTensor<'a>),
    Remote(&'a Remote),
}

impl<'a> Argument<'a> {
    /// A tensor of the plugin's.
    pub fn tensor<T: Element>(name: &'a str, tensor: &'a Tensor<'a, T>) -> Self {
        Argument { name, value: Given::Own(tensor.any()) }
    }

    /// A tensor whose element type is not known before.
    pub fn any(name: &'a str, tensor: AnyTensor<'a>) -> Self {
        Argument { name, value: Given::Own(tensor) }
    }

    /// What another model answered, without a copy.
    pub fn remote(name: &'a str, remote: &'a Remote) -> Self {
        Argument { name, value: Given::Remote(remote) }
    }
}

impl<'h> Model<'h> {
    /// Runs the model and waits. `outputs` are the names wanted, in the order of the answer; "" is one by position.
    pub fn run(&self, inputs: &[Argument], outputs: &[&str]) -> Result<Vec<Remote>, HostError> {
        self.host.run(self.number, inputs, outputs)
    }

    /// Starts the model and does not wait; own tensors are copied. At most 64 are open at a time.
    pub fn start(&self, inputs: &[Argument]) -> Result<Ticket<'h>, HostError> {
        Ok(Ticket { host: self.host, number: self.host.start(self.number, inputs)? })
    }
}

/// A model that was started. One that nobody waits for is cancelled when the call ends.
pub struct Ticket<'h> {
    host: &'h dyn Host,
    number: u32,
}

impl Ticket<'_> {
    /// Waits for the model as long as the call may.
    pub fn wait(self, outputs: &[&str]) -> Result<Vec<Remote>, HostError> {
        self.host.wait(self.number, outputs, -1)
    }

    /// Waits for some milliseconds and fails with [`HostError::Deadline`] when that is not enough; the ticket stays good.
    pub fn wait_for(&self, outputs: &[&str], timeout_ms: i32) -> Result<Vec<Remote>, HostError> {
        self.host.wait(self.number, outputs, timeout_ms.max(0))
    }
}

/// Waits until one of the tickets is done and returns its index. A negative timeout waits as long as the call may.
pub fn wait_any(tickets: &[Ticket], timeout_ms: i32) -> Result<usize, HostError> {
    let first = tickets.first().ok_or(HostError::NotFound)?;
    let numbers: Vec<u32> = tickets.iter().map(|t| t.number).collect();
    first.host.wait_any(&numbers, timeout_ms)
}
