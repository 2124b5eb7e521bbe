//! The members of a body: a column with its value, or a lookup bound to its row.

use jiff::tz::TimeZone;
use record::{Code, Fault, Value};

use crate::client::Client;
use crate::refusal::WRITE;
use crate::rows::Ids;
use crate::table::{Kind, Table};
use crate::value;

/// What writing a value needs.
pub(crate) struct Body<'a> {
    pub client: &'a Client,
    pub ids: &'a Ids,
    pub zone: Option<&'a TimeZone>,
}

impl Body<'_> {
    /// `"name":value`, or `"navigation@odata.bind":"/accounts(…)"`.
    pub fn member(&self, table: &Table, name: &str, value: &Value) -> Result<String, Fault> {
        let mut out = String::new();
        self.append(&mut out, table, name, value).map(|()| out)
    }

    /// As [`Body::member`], behind what is there; where it fails a part of it may be there.
    pub fn append(&self, out: &mut String, table: &Table, name: &str, value: &Value) -> Result<(), Fault> {
        let Some(column) = table.column(name) else {
            return Err(no_column(table, name));
        };
        let reject = |why: String, fix: &str| Fault::reject(Code("IB0512"), why).at_column(name).fix(fix.to_owned());
        let Kind::Lookup { targets } = &column.kind else {
            odata::payload::quoted(out, name);
            out.push(':');
            return value::append(out, value, column, self.zone)
                .map_err(|why| reject(why, "correct the value at its source, or the mapping"));
        };
        let reference = match value {
            Value::Blank => {
                let navigation = targets.first().map_or(name, |target| &target.navigation);
                odata::payload::quoted(out, &format!("{navigation}@odata.bind"));
                out.push_str(":null");
                return Ok(());
            }
            Value::Reference(reference) => reference,
            other => {
                let why = format!("`{name}` is a lookup, and this is {}", other.kind());
                return Err(reject(why, "map it to an entity, or write `=Row(\"table\", {column: value})`"));
            }
        };
        let Some(target) = targets.iter().find(|target| *target.table == *reference.of) else {
            let allowed: Vec<&str> = targets.iter().map(|target| target.table.as_str()).collect();
            let why = format!("`{name}` points to {}, and not to `{}`", allowed.join(" or "), reference.of);
            return Err(reject(why, "correct the mapping"));
        };
        let far = self.client.known_table(&reference.of);
        let bound = far
            .ok_or_else(|| format!("`{}` is not known", reference.of))
            .and_then(|far| self.ids.bind(&far, reference));
        let url = bound.map_err(|why| missing(name, why))?;
        odata::payload::quoted(out, &format!("{}@odata.bind", target.navigation));
        out.push(':');
        odata::payload::quoted(out, &url);
        Ok(())
    }
}

pub(crate) fn no_column(table: &Table, name: &str) -> Fault {
    Fault::ask_person(Code(WRITE.no_column), format!("`{}` has no column `{name}`", table.name))
        .at_column(name)
        .fix("check the column in the mapping against the table")
}

/// The row that a lookup points to is not there.
pub(crate) fn missing(column: &str, why: String) -> Fault {
    Fault::reject(Code("IB0515"), why)
        .at_column(column)
        .fix("bring the other row first, or correct the reference at its source")
}
