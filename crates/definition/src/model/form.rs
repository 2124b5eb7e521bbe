//! Forms: what somebody fills in to start a flow, or with the answer to a question.

use record::Type;

use super::Given;

/// A field of a form.
#[derive(Debug, Clone, PartialEq)]
pub struct FormField {
    pub name: String,
    /// What people read beside it.
    pub label: String,
    /// *Shape*: never lines, a person or several choices; a reference goes to one entity, whose key is one field.
    pub ty: Type,
    pub required: bool,
    pub personal: bool,
    /// Of money: the code of its currency, or what gives one; nothing where nobody says it.
    pub currency: Option<Given>,
    /// What stands in it before anybody writes something else.
    pub default: Option<Given>,
    pub with: With,
}

/// With which answers a field is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum With {
    #[default]
    Either,
    Approved,
    Rejected,
}

impl With {
    pub fn word(self) -> &'static str {
        match self {
            With::Either => "either",
            With::Approved => "approved",
            With::Rejected => "rejected",
        }
    }

    /// *Shape*: `either` for any other word.
    pub fn of(word: &str) -> With {
        match word {
            "approved" => With::Approved,
            "rejected" => With::Rejected,
            _ => With::Either,
        }
    }

    /// Whether it is asked for with this answer; what starts a flow is no answer.
    pub fn goes(self, answer: Option<bool>) -> bool {
        match self {
            With::Either => true,
            With::Approved => answer == Some(true),
            With::Rejected => answer == Some(false),
        }
    }
}
