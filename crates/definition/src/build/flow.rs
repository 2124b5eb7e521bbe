//! The steps of a flow as plain data.

use record::Value as Fixed;

use super::{every, formula, string, trigger};
use crate::decoded::{Data, Group, Value};
use crate::files::Files;
use crate::model::{
    Approval, Assignment, CommentNeeded, Deciders, Escalation, Flow, FormField, Given, Step, StepKind, With,
};

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
        schedule: match starts.get("schedule") {
            Some(Data::Schedule(schedule)) => Some(schedule.clone()),
            _ => None,
        },
        call: starts.yes_no("call"),
        form: starts.says("form").then(|| form(starts)),
        started_by: starts.strings("started_by"),
        criticality: string(group, "criticality"),
        expected: volume("expected"),
        ceiling: volume("ceiling").unwrap_or(0),
        steps: steps(group, "steps", "steps", files),
    }
}

fn steps(group: &Group, name: &str, path: &str, files: &Files) -> Vec<Step> {
    list(group.list(name), path, files)
}

fn list(values: &[Value], path: &str, files: &Files) -> Vec<Step> {
    let step = |(at, step): (usize, &Group)| {
        let path = format!("{path}[{at}]");
        let origin = files.line_of(step.at);
        let kind = kind(step, &path, files)?;
        Some(Step { path, origin, kind })
    };
    values.iter().filter_map(Value::group).enumerate().filter_map(step).collect()
}

fn kind(step: &Group, path: &str, files: &Files) -> Option<StepKind> {
    Some(match &*step.entries.first()?.name {
        "if" => StepKind::If {
            condition: formula(step, "if"),
            then: steps(step, "then", &format!("{path}.then"), files),
            otherwise: steps(step, "else", &format!("{path}.else"), files),
        },
        "switch" => StepKind::Switch {
            value: formula(step, "switch"),
            cases: named(step, "cases", &format!("{path}.cases"), files),
            otherwise: steps(step, "default", &format!("{path}.default"), files),
        },
        "apply_to_each" => StepKind::ForEach {
            field: string(step, "apply_to_each"),
            at_most: step.whole("at_most").unwrap_or(0),
            body: steps(step, "do", &format!("{path}.do"), files),
        },
        "parallel" => StepKind::Parallel(named(step, "parallel", &format!("{path}.parallel"), files)),
        "scope" => StepKind::Scope {
            name: string(step, "scope"),
            steps: steps(step, "steps", &format!("{path}.steps"), files),
            if_failed: steps(step, "if_failed", &format!("{path}.if_failed"), files),
        },
        "child_flow" => StepKind::Child {
            flow: string(step, "child_flow"),
            key: keys(step)?,
            name: step.text("as").map(str::to_owned),
        },
        "wait_for" => StepKind::WaitFor {
            condition: formula(step, "wait_for"),
            at_most: every(step, "at_most")?,
            name: step.text("as").map(str::to_owned),
        },
        "delay_until" => StepKind::DelayUntil(formula(step, "delay_until")),
        "delay" => StepKind::Wait(every(step, "delay")?),
        "terminate" => StepKind::Terminate(given(step.get("terminate")?)?),
        "approve" => StepKind::Approve(approval(step)?),
        "set" => StepKind::Set(assignments(step)),
        "read" => StepKind::Read {
            name: string(step, "read"),
            entity: string(step, "entity"),
            from: string(step, "from"),
            key: keys(step)?,
        },
        "write" => {
            let write = step.group("write")?;
            StepKind::Write {
                entity: string(write, "entity"),
                to: string(write, "to"),
                key: keys(write)?,
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

/// Lists of steps by the user's own names.
fn named(step: &Group, name: &str, path: &str, files: &Files) -> Vec<(String, Vec<Step>)> {
    let list = |entry: &crate::decoded::Entry| {
        let Data::List(values) = &entry.value.data else { return (entry.name.to_string(), Vec::new()) };
        (entry.name.to_string(), list(values, &format!("{path}.{}", entry.name), files))
    };
    step.named(name).iter().map(list).collect()
}

fn keys(group: &Group) -> Option<Vec<String>> {
    let text = |data: &Data| match data {
        Data::Formula(formula) => Some(formula.text.clone()),
        _ => None,
    };
    Some(match group.get("key")? {
        Data::List(values) => values.iter().filter_map(|value| text(&value.data)).collect(),
        data => vec![text(data)?],
    })
}

fn approval(step: &Group) -> Option<Approval> {
    let of = step.group("of")?;
    let deciders = if of.says("all_of") {
        Deciders::AllOf(of.strings("all_of"))
    } else if of.says("in_order") {
        Deciders::InOrder(of.strings("in_order"))
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
        comment: match step.text("comment") {
            Some("required") => CommentNeeded::Required,
            Some("required_to_reject") => CommentNeeded::RequiredToReject,
            _ => CommentNeeded::Optional,
        },
        form: form(step),
        remind: every(step, "remind"),
        escalate: step
            .group("escalate")
            .and_then(|escalate| Some(Escalation { after: every(escalate, "after")?, to: escalate.strings("to") })),
        deadline: every(deadline, "after")?,
        deadline_outcome: string(deadline, "outcome"),
        if_changed: step.strings("if_changed"),
    })
}

/// The fields of a form.
pub(crate) fn form(group: &Group) -> Vec<FormField> {
    let one = |entry: &crate::decoded::Entry| {
        let field = entry.value.group()?;
        Some(FormField {
            name: entry.name.to_string(),
            label: field.text("label").map_or_else(|| entry.name.replace('_', " "), str::to_owned),
            ty: super::field_type(field),
            required: field.yes_no("required"),
            personal: field.yes_no("personal"),
            currency: field.get("currency").and_then(given),
            default: field.get("default").and_then(given),
            with: With::of(field.text("with").unwrap_or_default()),
        })
    };
    group.named("form").iter().filter_map(one).collect()
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
