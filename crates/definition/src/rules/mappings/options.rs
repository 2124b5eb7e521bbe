//! The values that a live column may have at all, against the names of a choice: options of Dynamics, labels of an
//! enumeration.

use mapping::{Expr, fit};
use record::Type;
use record::catalog::Table as Live;

use super::Table;
use crate::codes;
use crate::decoded::Rules;
use crate::diagnostic::Diagnostic;
use crate::model::Integration;
use crate::suggest;

impl Table<'_> {
    /// What may come and is not named is warned of where anything is read from here, since it may never come; what is
    /// written and never fits is an error.
    pub(super) fn options(&self, table: &Live, rules: &Rules, diagnostics: &mut Vec<Diagnostic>) {
        let reads = |one: &Integration| one.entities().contains(&&*self.entity.name) && one.reads(&self.system.name);
        let is_read = self.project.integrations.iter().any(reads);
        for at in rules.read.iter().filter(|_| is_read) {
            let (column, named): (&str, Vec<String>) = match &at.rule.expr {
                Expr::Choice { source, names } => {
                    (source, names.iter().filter_map(|(_, value)| fit::text(value.as_ref())).collect())
                }
                Expr::Source(source) => match self.entity.field(&at.rule.target).map(|field| &field.ty) {
                    Some(Type::Choice { values }) => (source, values.to_vec()),
                    _ => continue,
                },
                _ => continue,
            };
            let options = table.column(column).map_or(&[][..], |column| column.options());
            let unnamed: Vec<&str> =
                options.iter().map(String::as_str).filter(|option| !named.iter().any(|name| name == option)).collect();
            let [first, ..] = unnamed.as_slice() else { continue };
            let field = &at.rule.target;
            diagnostics.push(
                Diagnostic::warning(
                    codes::CHOICE,
                    format!("`{column}` may be {}, which the choice does not name", either(&unnamed)),
                )
                .at(at.source, format!("`{field}` has no name for it"))
                .note("such a row is set aside as a dead letter, and nothing is guessed")
                .help(format!(
                    "add a name to `values:` of the field `{field}`, and `NAME: \"{first}\"` to `choice:` here"
                )),
            );
        }
        for at in &rules.write {
            let Expr::Choice { source, names } = &at.rule.expr else { continue };
            let options = table.column(&at.rule.target).map_or(&[][..], |column| column.options());
            if options.is_empty() {
                continue;
            }
            for ((name, value), place) in names.iter().zip(&at.names) {
                let Some(value) = fit::text(value.as_ref()).filter(|value| !options.contains(value)) else { continue };
                diagnostics.push(
                    Diagnostic::error(codes::CHOICE, format!("`{}` is never `{value}`", at.rule.target))
                        .at(*place, format!("`{name}` of `{source}` could not be written"))
                        .note(format!("its values are: {}", suggest::list(options.iter().map(String::as_str))))
                        .help("write one of these, or add the value to the column"),
                );
            }
        }
    }
}

/// `a`, `b` or `c`; of many, the first ones.
fn either(values: &[&str]) -> String {
    const SHOWN: usize = 5;
    let mut shown: Vec<String> = values.iter().take(SHOWN).map(|value| format!("`{value}`")).collect();
    let more = values.len().saturating_sub(SHOWN);
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => String::new(),
    }
}
