use std::time::Duration;

use record::{Code, Fault};

use crate::codes;

/// Why a query has no answer: what the caller is told, and what our log is.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// Of HTTP. The data provider of Dataverse shows it and nothing else.
    pub status: u16,
    pub code: Code,
    /// For whoever asked: no secrets, no words of the source.
    pub message: String,
    pub retry_after: Option<Duration>,
    /// For our log: the whole fault of the source.
    pub fault: Option<Box<Fault>>,
}

impl Refused {
    pub fn new(status: u16, code: Code, message: impl Into<String>) -> Refused {
        Refused { status, code, message: message.into(), retry_after: None, fault: None }
    }

    /// Whether the source, and not the question, is the reason: what a breaker counts.
    pub fn is_of_the_source(&self) -> bool {
        self.code == codes::TOO_SLOW || self.code == codes::UNAVAILABLE
    }

    /// A failed call of the source.
    pub(crate) fn source(system: &str, fault: Fault) -> Refused {
        let message = format!("`{system}` cannot answer at the moment: {}", fault.what);
        let retry_after = match fault.now {
            record::Now::RetryAfter(wait) => Some(wait.unwrap_or(Duration::from_secs(5))),
            _ => None,
        };
        let refused = match fault.now {
            record::Now::Reject => Refused::new(502, codes::ROW_UNFIT, fault.what.clone()),
            _ => Refused::new(503, codes::UNAVAILABLE, message),
        };
        Refused { retry_after, fault: Some(Box::new(fault)), ..refused }
    }
}
