//! A flow as a picture: its steps from top to bottom, ways beside each other, and how many instances stand where.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::model::{Deciders, Flow, Given, Integration, Step, StepKind};
use crate::units::Wait;

/// How many instances stand at a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    pub waiting: u64,
    /// They cannot go on, and somebody has to look.
    pub failed: u64,
}

const BOX: (i32, i32) = (236, 46);
const GAP: i32 = 22;
const BESIDE: i32 = 24;
/// Above a way that has a name.
const NAME: i32 = 20;
const EDGE: i32 = 20;

/// Draws a flow. *Shape*: `standing` by the path of the step; SVG that needs nothing else.
pub fn flow_svg(integration: &Integration, flow: &Flow, standing: &BTreeMap<String, Standing>) -> String {
    let size = list_size(&flow.steps);
    let head = (BOX.1 + GAP) + 34;
    let (width, height) = (size.0.max(BOX.0) + 2 * EDGE, size.1 + head + GAP + 30 + EDGE);
    let mut picture = Picture { text: String::new(), standing };
    let _ = writeln!(
        picture.text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\" aria-label=\"{0}\" font-family=\"Segoe UI, Helvetica, Arial, sans-serif\" font-size=\"12\">\n\
         <title>{0}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{EDGE}\" y=\"26\" font-size=\"16\" font-weight=\"600\">{1}</text>",
        escaped(&format!("The steps of {}", integration.name)),
        escaped(&integration.name),
    );
    let middle = width / 2;
    let top = 34 + 8;
    picture.node(middle, top, ("starts it", &trigger(flow)), ("#f3ecf7", "#6a3b7d"), "");
    picture.line(middle, top + BOX.1, middle, top + BOX.1 + GAP);
    let end = picture.list(&flow.steps, middle, top + BOX.1 + GAP);
    picture.line(middle, end, middle, end + GAP);
    let _ = writeln!(
        picture.text,
        "<circle cx=\"{middle}\" cy=\"{}\" r=\"11\" fill=\"#fff\" stroke=\"#345\"/><circle cx=\"{middle}\" cy=\"{0}\" r=\"6\" fill=\"#345\"/>",
        end + GAP + 11
    );
    picture.text.push_str("</svg>\n");
    picture.text
}

fn trigger(flow: &Flow) -> String {
    let rows =
        [(flow.trigger.created, "created"), (flow.trigger.updated, "updated"), (flow.trigger.deleted, "deleted")];
    let mut ways: Vec<String> = Vec::new();
    let rows: Vec<&str> = rows.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
    if !rows.is_empty() {
        ways.push(format!("{} {} in {}", flow.entity, rows.join(" or "), flow.in_));
    }
    ways.extend(flow.schedule.as_ref().map(ToString::to_string));
    ways.extend(flow.call.then(|| "a call".to_owned()));
    ways.extend(flow.form.is_some().then(|| "a form".to_owned()));
    ways.join(", ")
}

/// The room that a list of steps takes.
fn list_size(steps: &[Step]) -> (i32, i32) {
    let sizes = steps.iter().map(step_size);
    let (width, height) =
        sizes.fold((BOX.0 / 2, 0), |(width, height), size| (width.max(size.0), height + size.1 + GAP));
    (width, (height - GAP).max(0))
}

fn step_size(step: &Step) -> (i32, i32) {
    let ways = ways(step);
    if ways.is_empty() {
        return BOX;
    }
    let sizes: Vec<(i32, i32)> = ways.iter().map(|(_, steps)| list_size(steps)).collect();
    let width: i32 = sizes.iter().map(|size| size.0).sum::<i32>() + BESIDE * (sizes.len() as i32 - 1);
    let height = sizes.iter().map(|size| size.1).max().unwrap_or(0);
    (width.max(BOX.0), BOX.1 + GAP + NAME + height + GAP)
}

/// The ways within a step, with their names; an `if` has two.
fn ways(step: &Step) -> Vec<(String, &[Step])> {
    let named = |part: String| match part.rsplit_once('.') {
        Some((_, name)) => name.to_owned(),
        None => match part.as_str() {
            "then" => "yes".to_owned(),
            "else" => "no".to_owned(),
            "do" => "each".to_owned(),
            "steps" => "in order".to_owned(),
            "if_failed" => "if failed".to_owned(),
            "default" => "otherwise".to_owned(),
            other => other.to_owned(),
        },
    };
    step.kind.lists().into_iter().map(|(part, steps)| (named(part), steps)).collect()
}

struct Picture<'s> {
    text: String,
    standing: &'s BTreeMap<String, Standing>,
}

impl Picture<'_> {
    /// Answers where the list ends.
    fn list(&mut self, steps: &[Step], middle: i32, top: i32) -> i32 {
        let mut y = top;
        for (at, step) in steps.iter().enumerate() {
            if at > 0 {
                self.line(middle, y, middle, y + GAP);
                y += GAP;
            }
            y = self.step(step, middle, y);
        }
        y
    }

    fn step(&mut self, step: &Step, middle: i32, top: i32) -> i32 {
        let (kind, detail) = words(&step.kind);
        self.node(middle, top, (kind, &detail), colours(&step.kind), &step.path);
        let ways = ways(step);
        if ways.is_empty() {
            return top + BOX.1;
        }
        let sizes: Vec<(i32, i32)> = ways.iter().map(|(_, steps)| list_size(steps)).collect();
        let whole: i32 = sizes.iter().map(|size| size.0).sum::<i32>() + BESIDE * (sizes.len() as i32 - 1);
        let bottom = top + step_size(step).1;
        let mut left = middle - whole / 2;
        for ((name, steps), size) in ways.iter().zip(&sizes) {
            let own = left + size.0 / 2;
            let start = top + BOX.1 + GAP + NAME;
            self.bent(middle, top + BOX.1, own, start, GAP / 2);
            let _ = writeln!(
                self.text,
                "<text x=\"{}\" y=\"{}\" font-size=\"11\" fill=\"#567\">{}</text>",
                own + 5,
                start - 6,
                escaped(&cut(name, 24))
            );
            let end = self.list(steps, own, start);
            let ends = steps.last().is_some_and(|step| matches!(step.kind, StepKind::Terminate(_)));
            if !ends {
                self.line(own, end, own, bottom - GAP / 2);
                self.line(own, bottom - GAP / 2, middle, bottom - GAP / 2);
            }
            left += size.0 + BESIDE;
        }
        self.line(middle, bottom - GAP / 2, middle, bottom);
        bottom
    }

    fn node(&mut self, middle: i32, top: i32, (kind, detail): (&str, &str), (fill, stroke): (&str, &str), path: &str) {
        let x = middle - BOX.0 / 2;
        let _ = writeln!(
            self.text,
            "<g><title>{}</title><rect x=\"{x}\" y=\"{top}\" width=\"{}\" height=\"{}\" rx=\"7\" fill=\"{fill}\" stroke=\"{stroke}\"/>\n\
             <text x=\"{}\" y=\"{}\" font-size=\"11\" fill=\"{stroke}\">{}</text>\n\
             <text x=\"{}\" y=\"{}\" font-weight=\"600\">{}</text></g>",
            escaped(&format!("{path} {detail}")),
            BOX.0,
            BOX.1,
            x + 10,
            top + 17,
            escaped(kind),
            x + 10,
            top + 35,
            escaped(&cut(detail, 34)),
        );
        let Some(standing) = self.standing.get(path).filter(|_| !path.is_empty()) else { return };
        let mut right = x + BOX.0 + 6;
        for (count, colour, what) in
            [(standing.failed, "#b3261e", "failed"), (standing.waiting, "#1d6b45", "under way")]
        {
            if count == 0 {
                continue;
            }
            let text = count.to_string();
            let width = 16 + 8 * text.len() as i32;
            right -= width;
            let _ = writeln!(
                self.text,
                "<g class=\"standing\"><title>{text} {what}</title><rect x=\"{right}\" y=\"{}\" width=\"{width}\" height=\"22\" rx=\"11\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#fff\" font-weight=\"600\">{text}</text></g>",
                top - 9,
                right + width / 2,
                top + 6,
            );
            right -= 4;
        }
    }

    fn line(&mut self, x: i32, y: i32, to_x: i32, to_y: i32) {
        let _ = writeln!(
            self.text,
            "<path d=\"M{x},{y} L{to_x},{to_y}\" fill=\"none\" stroke=\"#8a97a6\" stroke-width=\"1.4\"/>"
        );
    }

    /// Down, across, and down.
    fn bent(&mut self, x: i32, y: i32, to_x: i32, to_y: i32, down: i32) {
        let across = y + down;
        let _ = writeln!(
            self.text,
            "<path d=\"M{x},{y} L{x},{across} L{to_x},{across} L{to_x},{to_y}\" fill=\"none\" stroke=\"#8a97a6\" stroke-width=\"1.4\"/>"
        );
    }
}

fn colours(kind: &StepKind) -> (&'static str, &'static str) {
    match kind {
        StepKind::Approve(_) => ("#fdf0d9", "#8a5a00"),
        StepKind::Set(_) | StepKind::Read { .. } | StepKind::Write { .. } => ("#e4eef7", "#24527a"),
        StepKind::Wait(_) | StepKind::DelayUntil(_) | StepKind::WaitFor { .. } => ("#eef0f2", "#4a5560"),
        StepKind::Notify { .. } => ("#e6f2e9", "#2f6b45"),
        StepKind::Terminate(_) => ("#f9e4e2", "#96281b"),
        _ => ("#fff", "#345"),
    }
}

/// What a step is, and what exactly.
fn words(kind: &StepKind) -> (&'static str, String) {
    let given = |given: &Given| match given {
        Given::Fixed(value) => value.to_string(),
        Given::Formula(text) => format!("={text}"),
    };
    match kind {
        StepKind::If { condition, .. } => ("if", format!("={condition}")),
        StepKind::Switch { value, .. } => ("switch", format!("={value}")),
        StepKind::ForEach { field, at_most, .. } => ("apply to each", format!("{field} (at most {at_most})")),
        StepKind::Parallel(branches) => ("parallel", format!("{} branches", branches.len())),
        StepKind::Scope { name, .. } => ("scope", name.clone()),
        StepKind::Child { flow, .. } => ("child flow", flow.clone()),
        StepKind::WaitFor { condition, .. } => ("wait for", format!("={condition}")),
        StepKind::DelayUntil(text) => ("delay until", format!("={text}")),
        StepKind::Terminate(why) => ("terminate", given(why)),
        StepKind::Approve(approval) => {
            let (how, who) = match &approval.of {
                Deciders::OneOf(who) => ("one of", who),
                Deciders::AllOf(who) => ("all of", who),
                Deciders::InOrder(who) => ("in order", who),
                Deciders::SomeOf { who, .. } => ("some of", who),
            };
            let who: Vec<&str> = who.iter().map(|who| who.trim_start_matches("group:")).collect();
            ("approve", format!("{}: {how} {}", approval.name, who.join(", ")))
        }
        StepKind::Set(set) => ("set", set.iter().map(|one| one.field.clone()).collect::<Vec<_>>().join(", ")),
        StepKind::Read { entity, from, .. } => ("read", format!("{entity} in {from}")),
        StepKind::Write { entity, to, .. } => ("write", format!("{entity} in {to}")),
        StepKind::Notify { to, .. } => ("notify", given(to)),
        StepKind::Wait(wait) => ("wait", waited(*wait)),
    }
}

fn waited(wait: Wait) -> String {
    match wait {
        Wait::Elapsed(time) => {
            jiff::SignedDuration::try_from(time).map_or_else(|_| "long".to_owned(), |time| format!("{time:#}"))
        }
        Wait::WorkingHours(hours) => format!("{hours} working hours"),
        Wait::WorkingDays(days) => format!("{days} working days"),
    }
}

/// At most so many characters; what is longer ends in `…`.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
