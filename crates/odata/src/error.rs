use thiserror::Error as ThisError;

/// Why a piece of OData text was refused, and where.
///
/// *Units*: `at` counts bytes from the beginning of `text`, which is the percent-decoded value that was being read.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{problem} at position {at} in '{text}'")]
pub struct Error {
    pub problem: Problem,
    pub at: usize,
    pub text: String,
}

/// The kinds of trouble that OData text can be in.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum Problem {
    #[error("expected {0}")]
    Expected(&'static str),
    #[error("unexpected text after the end")]
    Trailing,
    #[error("unterminated literal")]
    UnterminatedLiteral,
    #[error("a {0} literal that is not one")]
    BadLiteral(&'static str),
    #[error("nested too deeply")]
    TooDeep,
    #[error("too many parts")]
    TooLarge,
    #[error("unknown query option '{0}'")]
    UnknownOption(String),
    #[error("query option '{0}' given twice")]
    DuplicateOption(String),
    #[error("an escape that is not %XX or does not make UTF-8")]
    BadEscape,
}
