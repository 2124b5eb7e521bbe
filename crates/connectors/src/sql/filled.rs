//! Columns that hold no blank: which rows a table refuses for them, told before they are sent.

use record::{Change, Code, Fault, Op, Why, WriteSpec};

/// A column that holds no blank.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filled {
    pub name: String,
    /// Nothing but who creates a row gives it a value.
    pub required: bool,
}

/// Why the table refuses a change: it leaves one of these columns blank.
pub(crate) fn left_blank(columns: &[Filled], spec: &WriteSpec, change: &Change, is_new: bool) -> Option<Fault> {
    if change.op == Op::Delete {
        return None;
    }
    let is_blank = |column: &&Filled| {
        let is_it = |name: &str| name.eq_ignore_ascii_case(&column.name);
        match change.columns.iter().find(|(name, _)| is_it(name)) {
            Some((_, value)) => value.is_blank(),
            None => is_new && column.required && !spec.key.iter().any(|name| is_it(name)),
        }
    };
    let Filled { name, .. } = columns.iter().find(is_blank)?;
    let text = format!("`{name}` must have a value, and gets none");
    let fault = Fault::reject(Code("IB0512"), format!("table `{}` refuses this row", spec.table))
        .at_table(&spec.table)
        .at_column(name)
        .at_key(change.key.to_string())
        .why(Why { status: None, code: None, text, request_id: None });
    Some(fault.fix("correct the value at its source, or the mapping"))
}
