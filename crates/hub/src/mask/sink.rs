//! A destination whose refusals do not repeat personal values.

use std::collections::BTreeSet;
use std::sync::Arc;

use record::{Attempt, BoxFuture, Change, Current, Fault, Key, KeyRules, Outcome, Reference, Sink, Value};

use super::without;

/// The destination with the personal values of each change taken out of what it says about it.
pub(crate) fn masking(sink: Arc<dyn Sink>, personal: BTreeSet<String>) -> Arc<dyn Sink> {
    if personal.is_empty() { sink } else { Arc::new(Masking { sink, personal }) }
}

struct Masking {
    sink: Arc<dyn Sink>,
    /// Columns of the destination.
    personal: BTreeSet<String>,
}

impl Masking {
    fn values(&self, change: &Change, out: &mut Vec<String>) {
        for (name, value) in change.columns.iter() {
            if self.personal.contains(name) && !value.is_blank() {
                out.push(value.to_string());
            }
        }
    }

    fn values_of(&self, changes: &[Change]) -> Vec<String> {
        let mut values = Vec::new();
        changes.iter().for_each(|change| self.values(change, &mut values));
        values
    }

    fn masked(&self, changes: &[Change], answer: Result<Vec<Outcome>, Fault>) -> Result<Vec<Outcome>, Fault> {
        let outcomes = answer.map_err(|fault| hide(fault, &self.values_of(changes)))?;
        let mut at = changes.iter();
        let masked = outcomes.into_iter().map(|outcome| {
            let change = at.next();
            outcome.map_err(|fault| hide(fault, &self.values_of(change.map_or(&[], std::slice::from_ref))))
        });
        Ok(masked.collect())
    }
}

/// The fault without these values in any of its texts.
fn hide(mut fault: Fault, values: &[String]) -> Fault {
    if values.is_empty() {
        return fault;
    }
    fault.what = without(&fault.what, values);
    fault.fix = without(&fault.fix, values);
    fault.place.value = fault.place.value.map(|value| without(&value, values));
    if let Some(why) = &mut fault.why {
        why.text = without(&why.text, values);
    }
    fault
}

// Every method of the trait, those with a default too: a destination behind this must not lose what it can do.
impl Sink for Masking {
    fn apply<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        Box::pin(async move { self.masked(changes, self.sink.apply(changes).await) })
    }

    fn apply_once<'a>(&'a self, message: &'a str, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Outcome>, Fault>> {
        Box::pin(async move { self.masked(changes, self.sink.apply_once(message, changes).await) })
    }

    fn rows_per_create(&self) -> usize {
        self.sink.rows_per_create()
    }

    fn create<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, Result<Vec<Attempt>, Fault>> {
        Box::pin(async move { self.sink.create(changes).await.map_err(|fault| hide(fault, &self.values_of(changes))) })
    }

    fn current<'a>(
        &'a self,
        keys: &'a [Key],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>> {
        self.sink.current(keys, columns)
    }

    fn find<'a>(
        &'a self,
        by: &'a [String],
        values: &'a [Vec<Value>],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Vec<Current>>, Fault>> {
        Box::pin(async move {
            let found = self.sink.find(by, values, columns).await;
            found.map_err(|fault| {
                let of = |row: &Vec<Value>| {
                    let personal = by.iter().zip(row).filter(|(name, _)| self.personal.contains(*name));
                    personal.map(|(_, value)| value.to_string()).collect::<Vec<_>>()
                };
                hide(fault, &values.iter().flat_map(of).collect::<Vec<_>>())
            })
        })
    }

    fn by_id<'a>(
        &'a self,
        ids: &'a [Arc<str>],
        columns: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<Option<Current>>, Fault>> {
        self.sink.by_id(ids, columns)
    }

    fn missing<'a>(&'a self, references: &'a [&'a Reference]) -> BoxFuture<'a, Result<Vec<bool>, Fault>> {
        self.sink.missing(references)
    }

    fn unfit<'a>(&'a self, changes: &'a [Change], new: &'a [bool]) -> BoxFuture<'a, Result<Vec<Option<Fault>>, Fault>> {
        Box::pin(async move {
            let faults = self.sink.unfit(changes, new).await.map_err(|fault| hide(fault, &self.values_of(changes)))?;
            let hidden = |(fault, change): (Option<Fault>, &Change)| {
                fault.map(|fault| hide(fault, &self.values_of(std::slice::from_ref(change))))
            };
            Ok(faults.into_iter().zip(changes).map(hidden).collect())
        })
    }

    fn rows_per_chunk(&self) -> usize {
        self.sink.rows_per_chunk()
    }

    fn tells(&self) -> bool {
        self.sink.tells()
    }

    fn replaces(&self) -> bool {
        self.sink.replaces()
    }

    fn key_rules(&self) -> KeyRules {
        self.sink.key_rules()
    }
}

#[cfg(test)]
mod tests {
    /// A method with a default that is not passed on is silently lost for every integration with a personal field.
    #[test]
    fn every_method_of_a_destination_is_passed_on() {
        let methods = |text: &str| -> Vec<String> {
            let of = |line: &str| {
                let name = line.trim_start().strip_prefix("fn ")?;
                Some(name[..name.find(['<', '('])?].to_owned())
            };
            text.lines().filter_map(of).collect()
        };
        let part = |text: &str, from: &str| {
            let rest = text.split_once(from).map(|(_, rest)| rest.to_owned()).unwrap_or_default();
            rest.split_once("\n}").map(|(part, _)| part.to_owned()).unwrap_or_default()
        };
        let asked = methods(&part(include_str!("../../../record/src/outside.rs"), "pub trait Sink"));
        let passed_on = methods(&part(include_str!("sink.rs"), "impl Sink for Masking"));
        assert!(asked.iter().any(|name| name == "apply"), "the trait was found: {asked:?}");
        let lost: Vec<&String> = asked.iter().filter(|name| !passed_on.contains(name)).collect();
        assert!(lost.is_empty(), "not passed on to the destination: {lost:?}");
    }
}
