//! What a client is told when something is not done: status, code and text as the platform words them.

use super::wire::{Prefer, Response};

/// An answer other than success.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
}

pub type Answer<T> = Result<T, Refusal>;

pub const OBJECT_DOES_NOT_EXIST: &str = "0x80040217";
pub const RECORD_NOT_FOUND_BY_KEY: &str = "0x80060891";
pub const DUPLICATE_RECORD: &str = "0x80040237";
pub const DUPLICATE_KEY: &str = "0x80060892";
pub const VERSION_MISMATCH: &str = "0x80060882";
pub const STRING_TOO_LONG: &str = "0x80044331";
pub const CHOICE_OUT_OF_RANGE: &str = "0x8004431a";
pub const INTEGER_OUT_OF_RANGE: &str = "0x8004432f";
pub const NUMBER_OUT_OF_RANGE: &str = "0x80044330";
pub const INVALID_DATE: &str = "0x80040239";
pub const INVALID_STATUS: &str = "0x80048408";
pub const INVALID_PAYLOAD: &str = "0x80048d19";
pub const INVALID_QUERY: &str = "0x80060888";
pub const SEGMENT_NOT_FOUND: &str = "0x8006088a";
pub const UNEXPECTED: &str = "0x80040216";
pub const INVALID_ARGUMENT: &str = "0x80040203";
pub const EXPIRED_VERSION_STAMP: &str = "0x80044352";
pub const NOT_CHANGE_TRACKED: &str = "0x80072491";
/// No code of the platform: the emulator itself does not do this.
pub const NOT_EMULATED: &str = "NotEmulated";

impl Refusal {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, code, message: message.into() }
    }

    /// The platform can, this emulator cannot.
    pub fn not_emulated(what: impl std::fmt::Display) -> Refusal {
        Refusal::new(501, NOT_EMULATED, format!("The emulator does not implement {what}."))
    }

    pub fn query(message: impl Into<String>) -> Refusal {
        Refusal::new(400, INVALID_QUERY, message)
    }

    pub fn no_row(table: &str, id: uuid::Uuid) -> Refusal {
        Refusal::new(404, OBJECT_DOES_NOT_EXIST, format!("{table} With Id = {id} Does Not Exist"))
    }

    pub fn no_row_by_key(table: &str) -> Refusal {
        let message = format!("A record with the specified key values does not exist in {table} entity");
        Refusal::new(404, RECORD_NOT_FOUND_BY_KEY, message)
    }

    pub fn no_property(name: &str, table: &str) -> Refusal {
        Refusal::query(format!("Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table}'."))
    }

    pub fn no_segment(name: &str) -> Refusal {
        Refusal::new(404, SEGMENT_NOT_FOUND, format!("Resource not found for the segment '{name}'."))
    }

    pub fn method(method: &str) -> Refusal {
        let message = format!("The requested resource does not support http method '{method}'.");
        Refusal::new(405, "0x0", message)
    }

    /// A body that does not fit the table.
    pub fn payload(set: &str, inner: impl std::fmt::Display) -> Refusal {
        let message = format!(
            "Error identified in Payload provided by the user for Entity :'{set}', For more information on this error \
             please follow this help link https://go.microsoft.com/fwlink/?linkid=2195293  ---->  InnerException : \
             Microsoft.OData.ODataException: {inner}"
        );
        Refusal::new(400, INVALID_PAYLOAD, message)
    }

    pub fn undeclared(set: &str, nav: &str) -> Refusal {
        let inner = format!(
            "An undeclared property '{nav}' which only has property annotations in the payload but no property value \
             was found in the payload. In OData, only declared navigation properties and declared named streams can \
             be represented as properties without values."
        );
        Refusal::payload(set, inner)
    }

    /// The error as a client sees it; asking for annotations adds the details to it.
    pub fn response(&self, prefer: &Prefer) -> Response {
        let mut body = String::from("{\"error\":{\"code\":");
        odata::payload::quoted(&mut body, self.code);
        body.push_str(",\"message\":");
        odata::payload::quoted(&mut body, &self.message);
        if prefer.wants("Microsoft.PowerApps.CDS.ErrorDetails.OperationStatus") {
            body.push_str(",\"@Microsoft.PowerApps.CDS.ErrorDetails.OperationStatus\":\"0\"");
            body.push_str(",\"@Microsoft.PowerApps.CDS.ErrorDetails.SubErrorCode\":\"0\"");
            body.push_str(",\"@Microsoft.PowerApps.CDS.HelpLink\":");
            odata::payload::quoted(
                &mut body,
                &format!("http://go.microsoft.com/fwlink/?LinkID=398563&error={}", self.code),
            );
            body.push_str(",\"@Microsoft.PowerApps.CDS.InnerError.Message\":");
            odata::payload::quoted(&mut body, &self.message);
        }
        body.push_str("}}");
        Response::json(self.status, body)
    }
}

/// What OData text is refused with, in the words of the platform where they are known.
impl From<odata::Error> for Refusal {
    fn from(error: odata::Error) -> Refusal {
        use odata::Problem;
        Refusal::query(match &error.problem {
            Problem::UnterminatedLiteral => {
                format!("There is an unterminated literal at position {} in '{}'.", error.at, error.text)
            }
            Problem::UnknownOption(name) => {
                format!("The query parameter {name} is not supported.")
            }
            Problem::DuplicateOption(name) => {
                format!("Query option '{name}' was specified more than once, but it must be specified at most once.")
            }
            Problem::TooDeep | Problem::TooLarge => "The node count limit of '10000' has been exceeded.".to_owned(),
            _ => format!("Syntax error at position {} in '{}': {}.", error.at, error.text, error.problem),
        })
    }
}

/// A failure of our own storage is the emulator's fault, and says so.
impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Refusal {
        tracing::error!(%error, "the emulator's storage failed");
        Refusal::new(500, "0x80044150", format!("Generic SQL error. (emulator storage: {error})"))
    }
}
