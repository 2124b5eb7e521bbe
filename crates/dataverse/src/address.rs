//! How a row is named in a URL.

use record::Value;
use uuid::Uuid;

use crate::table::{Kind, Table};
use crate::value;

/// Characters that the web server in front of the service refuses in a key, encoded or not.
///
/// *Source*: "Define alternate keys for a table", restrictions on key values.
const REFUSED: &str = "/<>*%&:\\?+";

/// `accounts(accountnumber='C-1')`, percent-encoded; `None` where no URL can name the row by these values.
pub(crate) fn by_key(table: &Table, names: &[String], values: &[Value]) -> Option<String> {
    // Of a lookup to several tables, an id in an address does not say which one.
    let several = |name: &String| matches!(table.column(name).map(|c| &c.kind), Some(Kind::Lookup { targets }) if targets.len() > 1);
    if names.iter().any(several) {
        return None;
    }
    let parts = literals(table, names, values)?;
    if parts.iter().any(|(_, literal)| literal.contains(|c| REFUSED.contains(c))) {
        return None;
    }
    let list: Vec<String> = parts.iter().map(|(name, literal)| format!("{name}={}", odata::encode(literal))).collect();
    Some(format!("{}({})", table.set, list.join(",")))
}

pub(crate) fn by_id(table: &Table, id: &str) -> String {
    format!("{}({id})", table.set)
}

/// `accountnumber eq 'C-1' and …`, not yet encoded.
pub(crate) fn filter(table: &Table, names: &[String], values: &[Value]) -> Option<String> {
    let parts = literals(table, names, values)?;
    Some(parts.iter().map(|(name, literal)| format!("{name} eq {literal}")).collect::<Vec<_>>().join(" and "))
}

fn literals(table: &Table, names: &[String], values: &[Value]) -> Option<Vec<(String, String)>> {
    if names.len() != values.len() || names.is_empty() {
        return None;
    }
    let part = |(name, value): (&String, &Value)| {
        let column = table.column(name)?;
        Some((column.property(), value::literal(value, column)?))
    };
    names.iter().zip(values).map(part).collect()
}

/// The id of a row, from `accounts(6f96…)` at the end of a URL.
pub(crate) fn id_of(url: &str) -> Option<Uuid> {
    let open = url.rfind('(')?;
    url[open + 1..].strip_suffix(')')?.parse().ok()
}
