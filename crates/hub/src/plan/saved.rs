//! A plan in a file: to be looked at, kept, and applied as it is or not at all.

use std::collections::{BTreeMap, HashMap};

use record::Fault;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::Store;

use super::{Plan, PlannedColumn, PlannedEffect, PlannedRow, Proof};
use crate::batch::Job;
use crate::codes;
use crate::two_way::Which;

/// The version of the format.
const VERSION: u32 = 1;

/// What a plan was made from, and what it says. *Shape*: personal values are masked; the proofs stand for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    pub ironbridge_plan: u32,
    pub integration: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    pub made: String,
    pub made_by: String,
    /// Of the integration, its systems and entities, as `ironbridge show` prints them.
    pub definition: String,
    /// By entity: of its two mappings.
    pub mappings: BTreeMap<String, String>,
    /// By entity: of the position that was read from; nothing where there is none.
    pub positions: BTreeMap<String, String>,
    pub counts: BTreeMap<String, u64>,
    pub rows: Vec<SavedRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedRow {
    pub entity: String,
    pub key: String,
    pub effect: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, SavedColumn>,
    /// The codes of what is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    pub proof: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedColumn {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    pub new: String,
}

impl From<&PlannedRow> for SavedRow {
    fn from(row: &PlannedRow) -> SavedRow {
        let column = |c: &PlannedColumn| (c.name.clone(), SavedColumn { old: c.old.clone(), new: c.new.clone() });
        SavedRow {
            entity: row.entity.clone(),
            key: row.key.clone(),
            effect: row.effect.word().to_owned(),
            columns: row.columns.iter().map(column).collect(),
            faults: row.faults.iter().map(|fault| fault.code.to_string()).collect(),
            proof: row.proof.to_string(),
        }
    }
}

/// How the world differs from a saved plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// One sentence.
    pub what: String,
}

/// A short, one-way name of a text.
pub(crate) fn fingerprint(text: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Saved {
    /// *Errors*: of our own state.
    pub fn new(
        store: &Store,
        job: &Job,
        environment: Option<&str>,
        by: &str,
        plan: &Plan,
        rows: Vec<SavedRow>,
    ) -> Result<Saved, store::Error> {
        let counts = [
            ("create", plan.created),
            ("update", plan.updated),
            ("delete", plan.deleted),
            ("reject", plan.rejected),
            ("wait", plan.waiting),
            ("unchanged", plan.unchanged),
        ];
        let (mappings, positions) = fingerprints(store, job)?;
        Ok(Saved {
            ironbridge_plan: VERSION,
            integration: job.integration.clone(),
            environment: environment.map(str::to_owned),
            made: store.clock().now().to_string(),
            made_by: by.to_owned(),
            definition: job.definition.clone(),
            mappings,
            positions,
            counts: counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect(),
            rows,
        })
    }

    /// *Errors*: one sentence of why the text is no plan.
    pub fn parse(text: &str) -> Result<Saved, String> {
        let saved: Saved = serde_json::from_str(text).map_err(|why| why.to_string())?;
        if saved.ironbridge_plan != VERSION {
            return Err(format!("its format is {}, and this Ironbridge knows {VERSION}", saved.ironbridge_plan));
        }
        if let Some(row) = saved.rows.iter().find(|row| Proof::parse(&row.proof).is_none()) {
            return Err(format!("the proof of {} {} is damaged", row.entity, row.key));
        }
        Ok(saved)
    }

    /// Whether what the plan was made from is not what there is now, before any row is read.
    pub(crate) fn made_elsewhere(&self, store: &Store, job: &Job) -> Result<Option<Moved>, store::Error> {
        let moved = |what: String| Ok(Some(Moved { what }));
        if self.integration != job.integration {
            return moved(format!("it is a plan of `{}`", self.integration));
        }
        if self.environment != job.environment {
            let shown = |environment: &Option<String>| match environment {
                Some(name) => format!("the environment `{name}`"),
                None => "no environment".to_owned(),
            };
            return moved(format!(
                "it was made for {}, and this is {}",
                shown(&self.environment),
                shown(&job.environment)
            ));
        }
        let (mappings, positions) = fingerprints(store, job)?;
        if let Some((entity, _)) = mappings.iter().find(|(entity, now)| self.mappings.get(*entity) != Some(*now)) {
            return moved(format!("the mapping of `{entity}` has changed since"));
        }
        if self.definition != job.definition {
            return moved("the definition of the integration, its systems or entities has changed since".to_owned());
        }
        let read = positions.keys().chain(self.positions.keys());
        if let Some(stream) = read.into_iter().find(|stream| self.positions.get(*stream) != positions.get(*stream)) {
            return moved(format!("a run has read `{stream}` since"));
        }
        Ok(None)
    }

    /// The first row that is not as the plan says, and how many more there are.
    pub(crate) fn moved(&self, now: &[SavedRow]) -> Option<Moved> {
        let same = |row: &SavedRow| (row.entity.clone(), row.key.clone(), row.effect.clone(), row.proof.clone());
        let mut known: HashMap<_, usize> = HashMap::new();
        self.rows.iter().for_each(|row| *known.entry(same(row)).or_default() += 1);
        let other: Vec<&SavedRow> = now
            .iter()
            .filter(|row| match known.get_mut(&same(row)) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    false
                }
                _ => true,
            })
            .collect();
        let gone: Vec<&SavedRow> = self
            .rows
            .iter()
            .filter(|row| match known.get_mut(&same(row)) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    true
                }
                _ => false,
            })
            .collect();
        let is_of = |row: &SavedRow, of: &SavedRow| row.entity == of.entity && row.key == of.key;
        let (then, now) = match (gone.first(), other.first()) {
            (None, None) => return None,
            (Some(then), _) => (Some(*then), other.iter().copied().find(|row| is_of(row, then))),
            (None, now) => (None, now.copied()),
        };
        let row = then.or(now).expect("one of the two differs");
        let mut differ: Vec<(&str, &str)> = gone.iter().chain(&other).map(|row| (&*row.entity, &*row.key)).collect();
        differ.sort_unstable();
        differ.dedup();
        let more = match differ.len() - 1 {
            0 => String::new(),
            1 => "; and 1 more row differs".to_owned(),
            more => format!("; and {more} more rows differ"),
        };
        Some(Moved { what: format!("{} {} {}{more}", row.entity, row.key, difference(then, now)) })
    }

    /// The proofs of what a run may write.
    pub(crate) fn proofs(&self) -> impl Iterator<Item = Proof> {
        self.rows
            .iter()
            .filter(|row| row.effect != PlannedEffect::Reject.word())
            .filter_map(|row| Proof::parse(&row.proof))
    }
}

/// *Shape*: by entity, of the mappings and of the positions.
#[expect(clippy::type_complexity, reason = "two maps that are kept side by side")]
fn fingerprints(
    store: &Store,
    job: &Job,
) -> Result<(BTreeMap<String, String>, BTreeMap<String, String>), store::Error> {
    let (mut mappings, mut positions) = (BTreeMap::new(), BTreeMap::new());
    for pair in &job.pairs {
        let entity = pair.entity.name.to_string();
        mappings.insert(entity.clone(), format!("{:016x}", pair.fingerprint()));
        if let Some(cursor) = store.cursor(&job.integration, &entity)? {
            positions.insert(entity, fingerprint(&cursor.position));
        }
    }
    for joint in &job.two_way {
        mappings.insert(joint.entity.name.to_string(), format!("{:016x}", joint.fingerprint));
        for stream in Which::BOTH.map(|side| joint.stream(side)) {
            if let Some(cursor) = store.cursor(&job.integration, &stream)? {
                positions.insert(stream, fingerprint(&cursor.position));
            }
        }
    }
    Ok((mappings, positions))
}

/// What differs of a row, in words.
fn difference(then: Option<&SavedRow>, now: Option<&SavedRow>) -> String {
    let (then, now) = match (then, now) {
        (Some(then), None) => return format!("was to {}, and there is nothing to do for it now", then.effect),
        (None, Some(now)) => return format!("is not in the plan, and would {} now", now.effect),
        (Some(then), Some(now)) => (then, now),
        (None, None) => unreachable!("one of the two is there"),
    };
    if then.effect != now.effect {
        return format!("was to {}, and would {} now", then.effect, now.effect);
    }
    let shown = |column: Option<&SavedColumn>| match column {
        None => "left alone".to_owned(),
        Some(SavedColumn { old: Some(old), new }) => format!("changed from `{old}` to `{new}`"),
        Some(SavedColumn { old: None, new }) => format!("`{new}`"),
    };
    let names = then.columns.keys().chain(now.columns.keys());
    match names.into_iter().find(|name| then.columns.get(*name) != now.columns.get(*name)) {
        Some(name) => format!(
            "differs in `{name}`: by the plan {}, now {}",
            shown(then.columns.get(name)),
            shown(now.columns.get(name))
        ),
        None if then.faults != now.faults => format!("would be rejected for another reason: {}", now.faults.join(", ")),
        None => {
            match then.columns.iter().find(|(_, column)| column.new == "***" || column.old.as_deref() == Some("***")) {
                Some((name, _)) => format!("differs in `{name}`, a personal field: its values are not shown"),
                None => "is another row, or holds other values, by now".to_owned(),
            }
        }
    }
}

impl From<Moved> for Fault {
    fn from(moved: Moved) -> Fault {
        Fault::ask_person(
            codes::WORLD_MOVED,
            format!("the plan does not fit any more, and nothing was written: {}", moved.what),
        )
        .fix("make a new plan, look at it, and apply that one")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, effect: &str, new: &str, proof: u8) -> SavedRow {
        let column = SavedColumn { old: Some("1".to_owned()), new: new.to_owned() };
        SavedRow {
            entity: "customer".to_owned(),
            key: key.to_owned(),
            effect: effect.to_owned(),
            columns: [("limit".to_owned(), column)].into(),
            faults: Vec::new(),
            proof: Proof([proof; 16]).to_string(),
        }
    }

    fn check(then: &[SavedRow], now: &[SavedRow], expected: Option<&str>) {
        let saved = Saved {
            ironbridge_plan: 1,
            integration: "customers".to_owned(),
            environment: None,
            made: String::new(),
            made_by: String::new(),
            definition: String::new(),
            mappings: BTreeMap::new(),
            positions: BTreeMap::new(),
            counts: BTreeMap::new(),
            rows: then.to_vec(),
        };
        let again = Saved::parse(&serde_json::to_string(&saved).unwrap()).unwrap();
        assert_eq!(again, saved);
        assert_eq!(saved.moved(now).map(|moved| moved.what).as_deref(), expected);
    }

    #[test]
    fn what_differs_is_said() {
        let (a, b) = (row("A", "update", "2", 1), row("B", "create", "2", 2));
        check(&[a.clone(), b.clone()], &[b.clone(), a.clone()], None);
        check(
            std::slice::from_ref(&a),
            &[row("A", "update", "3", 9)],
            Some("customer A differs in `limit`: by the plan changed from `1` to `2`, now changed from `1` to `3`"),
        );
        check(
            &[a.clone(), b.clone()],
            std::slice::from_ref(&b),
            Some("customer A was to update, and there is nothing to do for it now"),
        );
        check(
            &[],
            &[a.clone(), b],
            Some("customer A is not in the plan, and would update now; and 1 more row differs"),
        );
        check(
            std::slice::from_ref(&a),
            &[row("A", "delete", "2", 1)],
            Some("customer A was to update, and would delete now"),
        );
        let secret = row("S", "update", "***", 3);
        check(
            &[secret],
            &[row("S", "update", "***", 4)],
            Some("customer S differs in `limit`, a personal field: its values are not shown"),
        );
    }
}
