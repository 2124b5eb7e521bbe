//! What can go wrong: a [`Diagnostic`] before a formula runs, an [`ErrorValue`] while it runs.

use std::fmt;
use std::sync::Arc;

/// A problem in the text of a formula, with the bytes that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// First byte of the offending text, counted from the start of the formula.
    pub start: usize,
    /// One past its last byte; equal to `start` where something is missing.
    pub end: usize,
    pub kind: DiagnosticKind,
    /// What was expected and what was found, as one sentence.
    pub message: String,
    /// How to fix it, where we know (`did you mean "name"?`).
    pub help: Option<String>,
}

/// The phase in which a formula was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiagnosticKind {
    /// The text is no formula.
    Syntax,
    /// A name, column, function or enumeration member that does not exist.
    Name,
    /// A value of one type where another is needed, or a wrong number of arguments.
    Type,
    /// The formula is larger or deeper than the limits allow.
    Limit,
}

impl Diagnostic {
    pub(crate) fn new(kind: DiagnosticKind, span: Span, message: impl Into<String>) -> Self {
        Self { start: span.start, end: span.end, kind, message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (bytes {}-{})", self.message, self.start, self.end)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// A range of bytes in the text of a formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// An error as a value: it travels through a formula until `IfError` or the caller deals with it.
///
/// Shape: never empty; several entries where several arguments of one call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorValue {
    pub errors: Vec<ErrorInfo>,
}

/// One entry of an [`ErrorValue`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorInfo {
    pub kind: ErrorKind,
    pub message: Arc<str>,
}

impl ErrorValue {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self { errors: vec![ErrorInfo { kind, message: message.into() }] }
    }

    /// The kind of the first entry, which is what a caller acts on.
    pub fn kind(&self) -> ErrorKind {
        self.errors.first().map_or(ErrorKind::UNKNOWN, |e| e.kind)
    }
}

impl fmt::Display for ErrorValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, e) in self.errors.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{}: {}", e.kind, e.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ErrorValue {}

/// The number that says what kind of error a value is; the same numbers as Power Fx's `ErrorKind`.
///
/// A number and not an enumeration, because a formula may make kinds of its own from 1000 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorKind(pub i64);

macro_rules! kinds {
    ($($constant:ident $name:literal $number:literal,)*) => {
        impl ErrorKind {
            $(#[doc = concat!("`ErrorKind.", $name, "`.")] pub const $constant: ErrorKind = ErrorKind($number);)*
            /// Every named kind, in the order of their numbers.
            pub const ALL: &'static [(&'static str, i64)] = &[$(($name, $number),)*];
        }
    };
}

kinds! {
    NONE "None" 0,
    SYNC "Sync" 1,
    MISSING_REQUIRED "MissingRequired" 2,
    CREATE_PERMISSION "CreatePermission" 3,
    EDIT_PERMISSIONS "EditPermissions" 4,
    DELETE_PERMISSIONS "DeletePermissions" 5,
    CONFLICT "Conflict" 6,
    NOT_FOUND "NotFound" 7,
    CONSTRAINT_VIOLATED "ConstraintViolated" 8,
    GENERATED_VALUE "GeneratedValue" 9,
    READ_ONLY_VALUE "ReadOnlyValue" 10,
    VALIDATION "Validation" 11,
    UNKNOWN "Unknown" 12,
    DIV0 "Div0" 13,
    BAD_LANGUAGE_CODE "BadLanguageCode" 14,
    BAD_REGEX "BadRegex" 15,
    INVALID_FUNCTION_USAGE "InvalidFunctionUsage" 16,
    FILE_NOT_FOUND "FileNotFound" 17,
    ANALYSIS_ERROR "AnalysisError" 18,
    READ_PERMISSION "ReadPermission" 19,
    NOT_SUPPORTED "NotSupported" 20,
    INSUFFICIENT_MEMORY "InsufficientMemory" 21,
    QUOTA_EXCEEDED "QuotaExceeded" 22,
    NETWORK "Network" 23,
    NUMERIC "Numeric" 24,
    INVALID_ARGUMENT "InvalidArgument" 25,
    INTERNAL "Internal" 26,
    NOT_APPLICABLE "NotApplicable" 27,
    TIMEOUT "Timeout" 28,
    SERVICE_UNAVAILABLE "ServiceUnavailable" 29,
    INVALID_JSON "InvalidJSON" 30,
    CUSTOM "Custom" 1000,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::ALL.iter().find(|(_, n)| *n == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}
