//! A two-way integration of a checked definition into entities that can be merged.

use definition::{Batch, Conflict, Deletes, Direction, Integration, Project};
use mapping::{WriteMapping, WritePlan};
use record::{Fault, KeyRules, ReadSpec, RetryPolicy, Type, ValueRef};

use super::merge::{Both, Field, Rules, Which};
use super::{Joint, Side};
use crate::codes;
use crate::compile::{self, Systems};
use crate::gone::Gone;

/// The column of Dataverse that says when a row was changed.
const MODIFIED: &str = "modifiedon";

/// Compiles each entity of a two-way integration against the live catalogues.
///
/// *Errors*: those of [`compile::pair`] for either direction, and `IB0721` for what cannot go both ways.
pub(crate) async fn joints(
    project: &Project,
    integration: &Integration,
    batch: &Batch,
    systems: &dyn Systems,
    retry: &RetryPolicy,
) -> Result<Vec<Joint>, Fault> {
    let Direction::TwoWay { between: [left, right], creates_in, conflict } = &batch.direction else {
        unreachable!("the caller has looked at the direction");
    };
    let opened = Both { left: open(project, systems, left)?, right: open(project, systems, right)? };
    let entities = project.entities_by_name();
    let mut joints = Vec::new();
    for name in &batch.entities {
        let entity = project.entity(name).expect("a checked project names entities that exist");
        if entity.fields.iter().any(|field| matches!(field.ty, Type::Lines(_))) {
            return Err(compile::not_yet(name, "`lines`, both ways,"));
        }
        let left = side(project, name, &opened, Which::Left, batch, &entities, retry).await?;
        let right = side(project, name, &opened, Which::Right, batch, &entities, retry).await?;
        let sides = Both { left, right };
        let rules = Rules {
            fields: fields(entity, &sides),
            creates_in: Both::of(|side| creates_in.contains(&sides[side].name)),
            removes_in: Both::of(|side| {
                batch.deletes != Deletes::Ignore && sides[side.other()].pair.gone != Gone::Ignore
            }),
            conflict: *conflict,
        };
        let by_version = entity.version.as_ref().filter(|version| {
            entity.schema.index(version).is_some_and(|at| rules.fields[at].reads.left && rules.fields[at].reads.right)
        });
        let version = by_version.and_then(|version| entity.schema.index(version));
        for side in Which::BOTH.into_iter().filter(|_| *conflict == Conflict::Newest && version.is_none()) {
            if sides[side].changed.is_none() {
                return Err(no_time(integration, name, &sides[side].name));
            }
        }
        let fingerprint = fingerprint(&sides, &rules);
        let key_rules = Both::of(|side| sides[side.other()].pair.sink.key_rules());
        // What is remembered of both sides stands under these keys.
        let key_rules = KeyRules {
            as_kept: true,
            ignore_accents: false,
            ignore_case: key_rules.left.ignore_case || key_rules.right.ignore_case,
            ignore_trailing_spaces: key_rules.left.ignore_trailing_spaces || key_rules.right.ignore_trailing_spaces,
        };
        let place =
            Which::BOTH.map(|side| format!("{} {}", sides[side].name, sides[side].pair.from_table)).join(" and ");
        joints.push(Joint { entity: entity.clone(), sides, rules, version, fingerprint, place, key_rules });
    }
    Ok(joints)
}

fn open<'a>(project: &'a Project, systems: &dyn Systems, name: &str) -> Result<compile::Side<'a>, Fault> {
    compile::Side::open(project, systems, name)
}

/// One side: what reads it, and the path from it to the other one.
async fn side(
    project: &Project,
    name: &str,
    opened: &Both<compile::Side<'_>>,
    which: Which,
    batch: &Batch,
    entities: &mapping::Entities,
    retry: &RetryPolicy,
) -> Result<Side, Fault> {
    let (from, to) = (&opened[which], &opened[which.other()]);
    let gone = match batch.deletes {
        Deletes::Ignore => Gone::Ignore,
        Deletes::Delete => Gone::Delete,
        // Where the other side knows no inactive rows, a row that is gone here stays there.
        Deletes::Deactivate if to.defined.kind.keeps.lookups => {
            Gone::Deactivate { returns_active: batch.returns_active }
        }
        Deletes::Deactivate => Gone::Ignore,
    };
    let compile::Compiled { mut pair, reads, .. } =
        compile::pair(project, name, from, to, entities, gone, retry).await?;
    let held = from.held(name);
    if !pair.write.is_keyed_by_key() || held.alternate_key.is_empty() {
        let what = format!(
            "rows of `{name}` cannot go both ways: `{}` finds them by columns that are not made of the entity's key alone",
            if pair.write.is_keyed_by_key() { &from.defined.name } else { &to.defined.name }
        );
        return Err(Fault::ask_person(codes::NOT_BOTH_WAYS, what)
            .at_system(&from.defined.name)
            .fix("make the `alternate_key:` of the columns that the entity's key fields go into"));
    }
    if pair.sink.replaces() {
        return Err(compile::not_yet(
            name,
            &format!("a destination like `{}`, which replaces whole rows, both ways", to.defined.name),
        ));
    }
    let (table, known) = from.table(held, retry).await?;
    let matching = match held.match_existing.is_empty() {
        true => None,
        // By everything that this side could hold, also what it masters and is never given.
        false => Some(Box::new(
            WriteMapping::compile(&WritePlan {
                entity: project.entity(name).expect("a checked project names entities that exist"),
                rules: &held.write,
                alternate_key: &held.alternate_key,
                columns: &known,
                keeps: from.defined.kind.keeps,
                entities,
                lookups: &from.defined.lookup_keys(entities),
                zone: from.defined.time_zone.as_ref(),
            })
            .map_err(|problems| compile::does_not_fit(&from.defined.name, &held.write, problems))?,
        )),
    };
    let modified = table.and_then(|table| table.column(MODIFIED).map(|_| MODIFIED.to_owned()));
    let changed = reads.watermark.as_ref().map(|watermark| watermark.column.clone()).or(modified);
    let mut columns = reads.columns.clone();
    for column in held.alternate_key.iter().chain(&changed) {
        if !columns.contains(column) {
            columns.push(column.clone());
        }
    }
    let zone = reads.time_zone.clone();
    // The key is what the other side's rows are looked up by, and it makes the order of a read total as well.
    pair.source = from.system.source(ReadSpec { key: held.alternate_key.clone(), columns, ..reads })?;
    Ok(Side { name: from.defined.name.clone(), pair, changed, zone, matching })
}

fn fields(entity: &record::Entity, sides: &Both<Side>) -> Vec<Field> {
    let reads = Both::of(|side| sides[side].pair.read.reads());
    let takes = Both::of(|side| sides[side.other()].pair.write.takes());
    let field = |(at, field): (usize, &record::EntityField)| {
        let is_key = entity.key.iter().any(|key| **key == *field.name);
        let takes = |side: Which| {
            !is_key && takes[side][at] && reads[side.other()][at] && field.master.as_deref() != Some(&*sides[side].name)
        };
        Field { reads: Both::of(|side| reads[side][at]), takes: Both::of(takes) }
    };
    entity.fields.iter().enumerate().map(field).collect()
}

/// Changes when a mapping or a rule of the integration does: then every row is looked at again.
fn fingerprint(sides: &Both<Side>, rules: &Rules) -> u64 {
    let mappings = Both::of(|side| sides[side].pair.fingerprint());
    let text = format!("two ways/1 {mappings:?} {rules:?}");
    record::hash::RowHasher::default().hash([ValueRef::Text(&text)]) as u64
}

fn no_time(integration: &Integration, entity: &str, system: &str) -> Fault {
    let what = format!(
        "`conflict: newest` of `{}` cannot tell when a row of `{entity}` was changed in `{system}`",
        integration.name
    );
    Fault::ask_person(codes::NOT_BOTH_WAYS, what).at_system(system).fix(
        "give it a `watermark:` column there, or the entity a `version:` field that both sides read; or write `conflict: ask`",
    )
}
