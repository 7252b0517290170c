/// How a function ends other than with its outputs: an error with a text, or an outcome that the plugin declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The call fails with this text.
    Text(String),
    /// The call ends with this outcome, 1 to 255, which `plugin!` declares for the function.
    Outcome(u8),
}

/// What functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a text.
    pub fn new(text: impl Into<String>) -> Error {
        Error::Text(text.into())
    }
}

/// Ends a call with an error: `return fail("nothing to say")`.
pub fn fail<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::new(text))
}

/// Ends a call with an outcome: `return outcome(1)`.
pub fn outcome<T>(code: u8) -> Result<T> {
    Err(Error::Outcome(code))
}

/// Any error of the standard library or of another crate ends a call through `?`.
impl<E: std::error::Error> From<E> for Error {
    fn from(e: E) -> Error {
        Error::Text(e.to_string())
    }
}
