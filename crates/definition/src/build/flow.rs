//! The steps of a flow as plain data.

use record::Value as Fixed;

use super::{every, formula, string, trigger};
use crate::decoded::{Data, Group, Value};
use crate::files::Files;
use crate::model::{Approval, Assignment, Deciders, Escalation, Flow, Given, Step, StepKind};

pub(crate) fn flow(group: &Group, files: &Files) -> Flow {
    let Some(starts) = group.group("trigger") else { return Flow::default() };
    let volume = |name: &str| match group.group("volume").and_then(|volume| volume.get(name)) {
        Some(Data::Rate(rate)) => Some(*rate),
        _ => None,
    };
    Flow {
        entity: string(starts, "entity"),
        in_: string(starts, "in"),
        trigger: trigger(starts),
        criticality: string(group, "criticality"),
        expected: volume("expected"),
        ceiling: volume("ceiling").unwrap_or(0),
        steps: steps(group, "steps", "steps", files),
    }
}

fn steps(group: &Group, name: &str, path: &str, files: &Files) -> Vec<Step> {
    let step = |(at, step): (usize, &Group)| {
        let path = format!("{path}[{at}]");
        let origin = files.line_of(step.at);
        let kind = kind(step, &path, files)?;
        Some(Step { path, origin, kind })
    };
    group.list(name).iter().filter_map(Value::group).enumerate().filter_map(step).collect()
}

fn kind(step: &Group, path: &str, files: &Files) -> Option<StepKind> {
    Some(match &*step.entries.first()?.name {
        "if" => StepKind::If {
            condition: formula(step, "if"),
            then: steps(step, "then", &format!("{path}.then"), files),
            otherwise: steps(step, "else", &format!("{path}.else"), files),
        },
        "approve" => StepKind::Approve(approval(step)?),
        "set" => StepKind::Set(assignments(step)),
        "write" => {
            let write = step.group("write")?;
            let keys = match write.get("key")? {
                Data::Formula(formula) => vec![formula.text.clone()],
                Data::List(values) => values
                    .iter()
                    .filter_map(|value| {
                        if let Data::Formula(formula) = &value.data { Some(formula.text.clone()) } else { None }
                    })
                    .collect(),
                _ => return None,
            };
            StepKind::Write {
                entity: string(write, "entity"),
                to: string(write, "to"),
                key: keys,
                set: assignments(write),
            }
        }
        "notify" => {
            let notice = step.group("notify")?;
            StepKind::Notify { to: given(notice.get("to")?)?, text: given(notice.get("text")?)? }
        }
        _ => StepKind::Wait(every(step, "wait")?),
    })
}

fn approval(step: &Group) -> Option<Approval> {
    let of = step.group("of")?;
    let deciders = if of.says("all_of") {
        Deciders::AllOf(of.strings("all_of"))
    } else if of.says("some_of") {
        Deciders::SomeOf { who: of.strings("some_of"), at_least: of.whole("at_least").unwrap_or(1) }
    } else {
        Deciders::OneOf(of.strings("one_of"))
    };
    let deadline = step.group("deadline")?;
    Some(Approval {
        name: string(step, "approve"),
        ask: given(step.get("ask")?)?,
        of: deciders,
        not: of.formula("not").map(|formula| formula.text.clone()),
        remind: every(step, "remind"),
        escalate: step
            .group("escalate")
            .and_then(|escalate| Some(Escalation { after: every(escalate, "after")?, to: escalate.strings("to") })),
        deadline: every(deadline, "after")?,
        deadline_outcome: string(deadline, "outcome"),
        if_changed: step.strings("if_changed"),
    })
}

fn assignments(group: &Group) -> Vec<Assignment> {
    let one = |entry: &crate::decoded::Entry| {
        Some(Assignment { field: entry.name.to_string(), value: given(&entry.value.data)? })
    };
    group.named("set").iter().filter_map(one).collect()
}

fn given(data: &Data) -> Option<Given> {
    Some(match data {
        Data::Text(text) => Given::Fixed(Fixed::text(text.clone())),
        Data::Number(number) => Given::Fixed(Fixed::Decimal(*number)),
        Data::YesNo(value) => Given::Fixed(Fixed::Bool(*value)),
        Data::Formula(formula) => Given::Formula(formula.text.clone()),
        _ => return None,
    })
}
