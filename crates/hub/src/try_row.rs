//! One row through one mapping, on the table: the first thing to reach for when data looks wrong.

use definition::Project;
use mapping::{Columns, Explained, ReadMapping, ReadPlan, WriteMapping, WritePlan};
use record::{Batch, Row, Schema, Type, Value};
use serde_json::Value as Json;

use crate::json;

/// What each field (or column) gets from this row.
///
/// Reads where the system has a `read:` for the entity, writes otherwise; then the row holds the entity's fields.
/// *Errors*: one sentence for each reason why the mapping or the row cannot be used.
pub fn try_row(project: &Project, system: &str, entity: &str, row: &Json) -> Result<Vec<Explained>, Vec<String>> {
    let one = |text: String| vec![text];
    let defined = project.system(system).ok_or_else(|| one(format!("there is no system `{system}`")))?;
    let held = defined.entity(entity).ok_or_else(|| one(format!("`{system}` does not hold `{entity}`")))?;
    let entity = project.entity(entity).ok_or_else(|| one(format!("there is no entity `{entity}`")))?;
    let entities = project.entities_by_name();
    let lookups = defined.lookup_keys(&entities);
    let given = row.as_object().ok_or_else(|| one("the row is not a JSON object".to_owned()))?;
    let said =
        |problems: Vec<mapping::Problem>| problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>();

    if held.read.is_empty() {
        let write = WriteMapping::compile(&WritePlan {
            entity,
            rules: &held.write,
            alternate_key: &held.alternate_key,
            columns: &Columns::open(),
            keeps: defined.kind.keeps,
            entities: &entities,
            lookups: &lookups,
            zone: defined.time_zone.as_ref(),
        })
        .map_err(said)?;
        let values = entity.schema.columns().iter().map(|column| {
            let value = given.get(&*column.name).map_or(Value::Blank, json::value);
            mapping::fit::fit(value.as_ref(), &column.ty, None).unwrap_or(value)
        });
        return Ok(write.explain(&Row::new(entity.schema.clone(), values.collect())));
    }
    let read = ReadMapping::compile(&ReadPlan {
        entity,
        rules: &held.read,
        filter: held.where_.as_deref(),
        columns: &Columns::open(),
        entities: &entities,
        lookups: None,
        zone: defined.time_zone.clone(),
    })
    .map_err(said)?;
    let missing: Vec<String> = read.columns().iter().filter(|column| !given.contains_key(*column)).cloned().collect();
    if !missing.is_empty() {
        return Err(one(format!("the row has no `{}`, which the mapping reads", missing.join("`, `"))));
    }
    let schema = Schema::of(read.columns().iter().map(|name| (name.as_str(), Type::Unknown)));
    let values = read.columns().iter().map(|column| json::value(&given[column])).collect();
    let row = Row::new(schema.clone(), values);
    let binding = read.bind(&schema).map_err(|missing| one(format!("the row has no `{}`", missing.join("`, `"))))?;
    Ok(read.explain(Batch::from_rows(schema, [&row]).row(0), &binding))
}
