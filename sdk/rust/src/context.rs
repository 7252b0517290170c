use std::fmt;

use crate::{AnyTensor, Argument, Model, Remote, Result};

/// How urgent a log line is.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Level {
    Debug = 0,
    Info = 1,
    Warn = 2,
    Error = 3,
}

/// How samples of a metric add up.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum MetricKind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

/// Why the server refused something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostError {
    /// No such model or ticket.
    NotFound,
    /// A value that breaks the contract.
    BadValue,
    /// One item over its limit.
    TooLarge,
    /// The call has had its share.
    Quota,
    /// The time given for waiting is over.
    Deadline,
    /// Not granted to this node.
    Denied,
    /// Try later.
    Busy,
    /// The model failed; the text stands in the log.
    Model,
}

impl HostError {
    /// The error with the ABI's number.
    pub fn of(code: i32) -> HostError {
        match code {
            -1 => HostError::NotFound,
            -3 => HostError::TooLarge,
            -4 => HostError::Quota,
            -5 => HostError::Deadline,
            -6 => HostError::Denied,
            -7 => HostError::Busy,
            -8 => HostError::Model,
            _ => HostError::BadValue,
        }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HostError::NotFound => "not found",
            HostError::BadValue => "refused by the server",
            HostError::TooLarge => "too large",
            HostError::Quota => "quota used up",
            HostError::Deadline => "out of time",
            HostError::Denied => "denied",
            HostError::Busy => "busy",
            HostError::Model => "the model failed",
        })
    }
}

impl std::error::Error for HostError {}

/// What a function reaches outside of its sandbox. The server implements it; so does [`crate::testing::Recorder`].
#[allow(missing_docs)]
pub trait Host {
    fn log(&self, level: Level, text: &str);
    fn record(&self, stream: &str, doc: &str) -> Result<(), HostError>;
    fn metric(&self, kind: MetricKind, name: &str, value: f64) -> Result<(), HostError>;
    fn now(&self) -> i64;
    /// A configured value: a string's text, or the JSON of anything else.
    fn config(&self, key: &str) -> Option<String>;
    fn open(&self, name: &str) -> Result<u32, HostError>;
    fn run(&self, model: u32, inputs: &[Argument], outputs: &[&str]) -> Result<Vec<Remote>, HostError>;
    fn start(&self, model: u32, inputs: &[Argument]) -> Result<u32, HostError>;
    fn wait(&self, ticket: u32, outputs: &[&str], timeout_ms: i32) -> Result<Vec<Remote>, HostError>;
    fn wait_any(&self, tickets: &[u32], timeout_ms: i32) -> Result<usize, HostError>;
    fn read(&self, remote: &Remote, to: &mut [u8]) -> Result<(), HostError>;
    fn keep(&self, tensor: &AnyTensor) -> Result<Remote, HostError>;
}

/// What a function knows about the call that it serves.
pub struct Context<'h> {
    pub(crate) host: &'h dyn Host,
    pub(crate) request_id: u64,
    pub(crate) budget: u64,
    pub(crate) entered: i64,
}

impl<'h> Context<'h> {
    /// A context for tests; see [`crate::testing::Recorder::context`].
    pub fn new(host: &'h dyn Host, request_id: u64, budget_ns: u64) -> Self {
        Context { host, request_id, budget: budget_ns, entered: if budget_ns > 0 { host.now() } else { 0 } }
    }

    /// Writes one line to the server's log. The server limits how much one call may log and drops the rest.
    pub fn log(&self, level: Level, text: &str) {
        self.host.log(level, text);
    }

    /// Appends one JSON document to a stream that people list and aggregate afterwards.
    pub fn record(&self, stream: &str, doc: &str) -> Result<(), HostError> {
        self.host.record(stream, doc)
    }

    /// Adds one sample to a metric of the plugin.
    pub fn metric(&self, kind: MetricKind, name: &str, value: f64) -> Result<(), HostError> {
        self.host.metric(kind, name, value)
    }

    /// A number that stands in the server's log too.
    pub fn request_id(&self) -> u64 {
        self.request_id
    }

    /// Nanoseconds that are left for this call, `None` without a limit. The server stops a call at its deadline in any
    /// case; this is for functions that can do less work.
    pub fn deadline_ns(&self) -> Option<u64> {
        let used = self.host.now() - self.entered;
        (self.budget > 0).then(|| self.budget.saturating_sub(used.max(0) as u64))
    }

    /// A model by the name under which the graph's node grants it.
    pub fn model(&self, name: &str) -> Result<Model<'_>, HostError> {
        Ok(Model { host: self.host, number: self.host.open(name)? })
    }

    /// Copies a tensor to the server, so that several model calls share it.
    pub fn keep(&self, tensor: &AnyTensor) -> Result<Remote, HostError> {
        self.host.keep(tensor)
    }
}
