//! A flow as an event integration: for what has grown past the people who decide.
//!
//! What a flow writes becomes a mapping of its own entity in the destination, and what its steps asked on the way to the
//! write becomes the trigger. A decision stays a flow, which only sets a field; the event starts with that field.

use crate::decoded::quote;
use crate::impact::{mentions, steps};
use crate::model::{Assignment, Flow, Given, Integration, Pattern, Project, Step, StepKind};

/// A draft, and what is left to people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Promoted {
    /// The path of the event integration within the project, and its text.
    pub path: String,
    pub text: String,
    /// What to add to files that are there: the path, and the lines.
    pub add: Vec<(String, String)>,
    /// What the event integration does not do.
    pub left: Vec<String>,
}

/// A write of the flow, and what has to hold on the way to it.
struct Written<'f> {
    entity: &'f str,
    to: &'f str,
    key: &'f [String],
    set: &'f [Assignment],
    conditions: Vec<String>,
}

/// *Errors*: one sentence of why there is no event integration that would do the same, and what to change first.
pub fn promote(project: &Project, integration: &Integration) -> Result<Promoted, (String, String)> {
    let name = &integration.name;
    let Pattern::Flow(flow) = &integration.pattern else {
        return Err((format!("`{name}` is no flow"), "name a flow".to_owned()));
    };
    let mut writes = Vec::new();
    written(&flow.steps, &mut Vec::new(), &mut writes);
    if writes.is_empty() {
        let fix = "leave it a flow; if it only sets fields, a rule in the system itself does that";
        return Err((
            format!("`{name}` writes nothing into another system, so that no event would carry it"),
            fix.into(),
        ));
    }
    let decided = decided_in(flow);
    let mut conditions: Vec<String> = Vec::new();
    for write in &writes {
        let one = write.conditions.iter().map(|text| of_the_record(text, &decided)).collect::<Result<Vec<_>, _>>();
        let one = one.map_err(|decision| {
            let what =
                format!("`{name}` writes what `{decision}` says, and no field keeps it for an event to start with");
            (what, format!("add a step after the approval: - {{ set: {{ outcome: ={decision}.outcome }} }}"))
        })?;
        let one = one.join(" && ");
        if !conditions.contains(&one) {
            conditions.push(one);
        }
    }
    let if_ = match &conditions[..] {
        [one] => one.clone(),
        all if all.iter().any(String::is_empty) => String::new(),
        all => all.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" || "),
    };
    let if_ = match (&flow.trigger.if_, if_.is_empty()) {
        (Some(first), true) => first.clone(),
        (Some(first), false) => format!("({first}) && ({if_})"),
        (None, _) => if_,
    };

    let mut destinations: Vec<&str> = Vec::new();
    let mut promoted = Promoted::default();
    for write in &writes {
        if destinations.contains(&write.to) {
            promoted.left.push(format!(
                "the write of `{}` to `{}`: one event writes one record there; make it lines of the mapping, or an integration of its own",
                write.entity, write.to
            ));
            continue;
        }
        destinations.push(write.to);
        map(project, flow, write, &mut promoted);
    }
    left(&flow.steps, name, &mut promoted.left);
    promoted.path = format!("integrations/{name}-events.yaml");
    promoted.text = text(project, integration, flow, &if_, &destinations);
    Ok(promoted)
}

fn written<'f>(list: &'f [Step], conditions: &mut Vec<String>, found: &mut Vec<Written<'f>>) {
    for step in list {
        match &step.kind {
            StepKind::If { condition, then, otherwise } => {
                conditions.push(condition.clone());
                written(then, conditions, found);
                conditions.pop();
                conditions.push(format!("Not({condition})"));
                written(otherwise, conditions, found);
                conditions.pop();
            }
            StepKind::Write { entity, to, key, set } => {
                found.push(Written { entity, to, key, set, conditions: conditions.clone() });
            }
            StepKind::Switch { value, cases, otherwise } => {
                for (case, steps) in cases {
                    conditions.push(format!("Text({value}) = \"{case}\""));
                    written(steps, conditions, found);
                    conditions.pop();
                }
                let others = cases.iter().map(|(case, _)| format!("Text({value}) <> \"{case}\""));
                conditions.push(others.collect::<Vec<_>>().join(" && "));
                written(otherwise, conditions, found);
                conditions.pop();
            }
            kind => kind.lists().into_iter().for_each(|(_, list)| written(list, conditions, found)),
        }
    }
}

/// Decisions, each with the field that a step keeps its outcome in.
fn decided_in(flow: &Flow) -> Vec<(String, Option<String>)> {
    let all = steps(&flow.steps);
    let kept = |name: &str| {
        let outcome = format!("{name}.outcome");
        all.iter().find_map(|step| match &step.kind {
            StepKind::Set(set) => set
                .iter()
                .find(|one| matches!(&one.value, Given::Formula(text) if text.trim() == outcome))
                .map(|one| one.field.clone()),
            _ => None,
        })
    };
    let names = all.iter().filter_map(|step| match &step.kind {
        StepKind::Approve(approval) => Some(approval.name.clone()),
        _ => None,
    });
    names.map(|name| (name.clone(), kept(&name))).collect()
}

/// A condition that asks nothing but fields. *Errors*: the decision that no field keeps.
fn of_the_record(text: &str, decided: &[(String, Option<String>)]) -> Result<String, String> {
    let mut text = text.to_owned();
    for (name, field) in decided {
        if !mentions(&text, name) {
            continue;
        }
        let Some(field) = field else { return Err(name.clone()) };
        text = text.replace(&format!("{name}.outcome"), field);
        if mentions(&text, name) {
            return Err(name.clone());
        }
    }
    Ok(text)
}

/// What a step computes, as a mapping of the flow's own entity says it.
fn source(flow: &Flow, project: &Project, given: &Given) -> String {
    let text = match given {
        Given::Fixed(value) => return format!("=\"{value}\""),
        Given::Formula(text) => text.trim().to_owned(),
    };
    let Some(entity) = project.entity(&flow.entity) else { return quote(&format!("={text}")) };
    // A mapping knows what a reference points to by its key.
    for field in &entity.fields {
        let record::Type::Reference { to } = &field.ty else { continue };
        let key = to.first().and_then(|name| project.entity(name)).map(|other| other.key.clone()).unwrap_or_default();
        if key.len() == 1 && text == format!("{}.{}", field.name, key[0]) {
            return field.name.to_string();
        }
    }
    if entity.field(&text).is_some() { text } else { quote(&format!("={text}")) }
}

fn map(project: &Project, flow: &Flow, write: &Written<'_>, promoted: &mut Promoted) {
    let Some(system) = project.system(write.to) else { return };
    let path = format!("systems/{}.yaml", write.to);
    if system.entity(&flow.entity).is_some_and(|held| !held.write.is_empty()) {
        promoted.left.push(format!(
            "`{}` of `{}` is written as {path} says already: see that its lines are what the flow wrote",
            flow.entity, write.to
        ));
        return;
    }
    let Some(held) = system.entity(write.entity) else { return };
    let mut lines: Vec<String> = Vec::new();
    for (column, key) in held.alternate_key.iter().zip(write.key) {
        lines.push(format!("{}: {}", quote(column), source(flow, project, &Given::Formula(key.clone()))));
    }
    for one in write.set {
        let column = held.write.iter().find_map(|rule| match &rule.expr {
            mapping::Expr::Source(field) if *field == one.field => Some(rule.target.clone()),
            _ => None,
        });
        match column {
            Some(column) => lines.push(format!("{}: {}", quote(&column), source(flow, project, &one.value))),
            None => promoted.left.push(format!(
                "`{}` of `{}`: {path} computes its column; write the same for `{}`",
                one.field, write.entity, flow.entity
            )),
        }
    }
    let table = held.table.as_ref().map_or_else(String::new, |table| format!("    table: {}\n", quote(table)));
    let key: Vec<String> = held.alternate_key.iter().map(|column| quote(column)).collect();
    let key = match (&key[..], table.is_empty()) {
        (_, true) => String::new(),
        ([one], _) => format!("    alternate_key: {one}\n"),
        (several, _) => format!("    alternate_key: [{}]\n", several.join(", ")),
    };
    if table.is_empty() {
        promoted
            .left
            .push(format!("how `{}` takes it: copy `create:` and its like of `{}` in {path}", write.to, write.entity));
    }
    promoted.add.push((path, format!("  {}:\n{table}{key}    write: {{ {} }}\n", flow.entity, lines.join(", "))));
}

fn left(list: &[Step], name: &str, found: &mut Vec<String>) {
    for step in steps(list) {
        match &step.kind {
            StepKind::Approve(approval) => found.push(format!(
                "the decision `{}`: keep it in {name}, up to the step that sets a field, and take the writes out there",
                approval.name
            )),
            StepKind::Notify { .. } => {
                found.push(format!("the message of {}: an event integration tells nobody", step.origin))
            }
            StepKind::ForEach { field, .. } => found.push(format!(
                "the loop over `{field}`: map it as lines of the destination's record, or as an entity of its own"
            )),
            StepKind::Read { entity, from, .. } => found.push(format!(
                "what {} reads of `{entity}` in `{from}`: an event reads only what its record refers to",
                step.origin
            )),
            StepKind::Child { flow, .. } => found.push(format!("the child flow `{flow}`: start it by its own trigger")),
            StepKind::WaitFor { .. } | StepKind::DelayUntil(_) | StepKind::Wait(_) => {
                found.push(format!("the wait of {}: an event goes at once", step.origin))
            }
            _ => {}
        }
    }
}

fn text(project: &Project, integration: &Integration, flow: &Flow, if_: &str, to: &[&str]) -> String {
    let asks = steps(&flow.steps).iter().any(|step| matches!(step.kind, StepKind::Approve(_)));
    let set_first = steps(&flow.steps)
        .iter()
        .any(|step| matches!(&step.kind, StepKind::Set(set) if set.iter().any(|one| mentions(if_, &one.field))));
    let trigger = &flow.trigger;
    let later = asks || set_first || trigger.updated;
    let rows = [(trigger.created, "created"), (later, "updated"), (trigger.deleted, "deleted")];
    let rows: Vec<&str> = rows.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
    let mut parts = vec![format!("rows: [{}]", rows.join(", "))];
    let held = project.system(&flow.in_).and_then(|system| system.entity(&flow.entity));
    let entity = project.entity(&flow.entity);
    let mut columns: Vec<String> = trigger.columns.clone();
    let fields = entity.iter().flat_map(|entity| &entity.fields).filter(|field| mentions(if_, &field.name));
    let of = |field: &record::EntityField| held.and_then(|held| held.column_of(&field.name)).map(str::to_owned);
    columns.extend(fields.filter_map(of));
    columns.sort();
    columns.dedup();
    if later && !columns.is_empty() {
        parts.push(format!("columns: [{}]", columns.join(", ")));
    }
    if !if_.is_empty() {
        parts.push(format!("if: '={}'", if_.replace('\'', "''")));
    }
    let because = match flow.expected {
        Some(expected) => {
            format!("{} starts {expected} times a day, more than people decide one by one.", integration.name)
        }
        None => format!("{} starts more than {} times a day, where a flow holds them.", integration.name, flow.ceiling),
    };
    format!(
        "# Drafted from the flow {0} by `ironbridge promote {0}`.\nintegration: {0}-events\npattern: event\nentity: {1}\nfrom: {2}\nto: [{3}]\ntrigger: {{ {4} }}\nbecause: {5}\nowner: {6}\npurpose: {7}\n",
        integration.name,
        flow.entity,
        flow.in_,
        to.join(", "),
        parts.join(", "),
        quote(&because),
        quote(&integration.owner),
        quote(&integration.purpose),
    )
}
