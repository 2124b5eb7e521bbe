//! What is wrong with a mapping, before any row.

use std::ops::Range;

use record::Code;

/// One problem of one rule. The definition places it inside the line of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub at: At,
    pub code: Code,
    /// One sentence: what was expected, what was found.
    pub message: String,
    /// The exact fix, where there is one.
    pub help: Option<String>,
}

/// What the problem is about.
#[derive(Debug, Clone, PartialEq)]
pub enum At {
    /// The target of the rule with this index.
    Target(usize),
    /// The source of the rule with this index; for a formula, the bytes of its text (without the `=`).
    Source(usize, Option<Range<usize>>),
    /// The `where:` of the mapping, and the bytes of its text.
    Where(Range<usize>),
    /// The lines of the rule with this index; checked by themselves, they say where.
    Lines(usize),
    /// The mapping as a whole.
    Mapping,
}

pub const NO_SUCH_FIELD: Code = Code("IB0301");
pub const NO_SUCH_COLUMN: Code = Code("IB0302");
pub const FORMULA: Code = Code("IB0303");
pub const TYPE: Code = Code("IB0304");
pub const CHOICE_DOES_NOT_COVER: Code = Code("IB0305");
pub const KEY_NOT_MAPPED: Code = Code("IB0306");
pub const REQUIRED_NOT_MAPPED: Code = Code("IB0307");
pub const VOLATILE: Code = Code("IB0308");
pub const REFERENCE_NOT_MAPPED: Code = Code("IB0309");
