//! The codes of virtual tables. The page is `docs/runbooks/<code>.md`.

use record::Code;

/// The query is not one: 400.
pub const MALFORMED: Code = Code("IB0901");
/// The query means something that is not done here: 501.
pub const UNSUPPORTED: Code = Code("IB0902");
/// The source cannot decide the query, and there are too many rows to look through: 501.
pub const TOO_MANY_ROWS: Code = Code("IB0903");
/// A row of the answer cannot be shown: 502.
pub const ROW_UNFIT: Code = Code("IB0904");
/// The source took too long: 504.
pub const TOO_SLOW: Code = Code("IB0905");
/// The source does not answer, or did not lately: 503.
pub const UNAVAILABLE: Code = Code("IB0906");
/// Too many queries at once: 429.
pub const TOO_MANY: Code = Code("IB0907");
/// No key, or a wrong one: 401.
pub const NO_KEY: Code = Code("IB0908");
/// No such table or row: 404.
pub const NOT_FOUND: Code = Code("IB0909");
/// A write: 405.
pub const READ_ONLY: Code = Code("IB0910");
/// The source cannot list its rows, and the query names none: 501.
pub const NEEDS_FILTER: Code = Code("IB0911");
/// A form of answer that there is not, or a body that cannot be read: 406, 408, 413, 415.
pub const FORM: Code = Code("IB0912");
