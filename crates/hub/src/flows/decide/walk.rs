//! One look at an instance: every way is walked until it waits, or wants something done outside.

use std::collections::BTreeMap;

use jiff::Timestamp;
use record::{Fault, Row, Value};

use super::{Decided, Effect, Event, Note, Sight, Stuck, outside};
use crate::flows::program::{Assign, Formula, What};
use crate::flows::state::{Branch, Decision, Doing, Loop, State};
use crate::{calendar, codes, json, money};

/// Steps that one look may take: loops are bounded, so this is more than any flow has.
const STEPS_MAX: usize = 100_000;
/// What waits for somebody else is looked at this often without being told.
const LOOK: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

pub(super) fn walk(state: &State, event: Event, sight: &Sight<'_>) -> Result<Decided, Box<Stuck>> {
    let mut walk =
        Walk { sight, state: state.clone(), way: String::new(), effects: Vec::new(), notes: Vec::new(), wake: None };
    let stuck = |walk: &Walk<'_>, fault| {
        let at = walk.at().unwrap_or_default().to_owned();
        let (state, effects, notes) = (walk.state.clone(), walk.effects.clone(), walk.notes.clone());
        Box::new(Stuck { at, fault, reached: Box::new(Decided { state, effects, notes, wake: None }) })
    };
    if event == Event::Done {
        walk.done().map_err(|fault| stuck(&walk, fault))?;
    }
    let mut steps = 0;
    loop {
        let mut moved = false;
        let ways: Vec<String> = walk.state.ways().map(|(way, ..)| way.to_owned()).collect();
        for way in ways {
            walk.way = way;
            while walk.at().is_some() && steps < STEPS_MAX {
                if !walk.step().map_err(|fault| stuck(&walk, fault))? {
                    break;
                }
                steps += 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    // Every way has come as far as it comes by itself: one thing is wanted outside.
    walk.want().map_err(|fault| stuck(&walk, fault))?;
    let Walk { state, effects, notes, wake, .. } = walk;
    Ok(Decided { state, effects, notes, wake })
}

pub(super) struct Walk<'a> {
    pub sight: &'a Sight<'a>,
    pub state: State,
    /// The name of the way that is walked now.
    way: String,
    pub effects: Vec<Effect>,
    pub notes: Vec<Note>,
    wake: Option<Timestamp>,
}

impl Walk<'_> {
    fn at(&self) -> Option<&str> {
        match self.way.as_str() {
            "" => self.state.at.as_deref(),
            way => self.state.branches.get(way)?.at.as_deref(),
        }
    }

    fn doing(&self) -> Doing {
        match self.way.as_str() {
            "" => self.state.doing.clone(),
            way => self.state.branches.get(way).map(|branch| branch.doing.clone()).unwrap_or_default(),
        }
    }

    pub fn does(&mut self, what: Doing) {
        if let Some((_, doing)) = self.state.way(&self.way) {
            *doing = what;
        }
    }

    /// Looks again by then.
    pub fn wake_at(&mut self, at: Option<Timestamp>) {
        self.wake = self.wake.into_iter().chain(at).min();
    }

    /// Does one step; false where it waits, or is at its end.
    fn step(&mut self) -> Result<bool, Fault> {
        let Some(path) = self.at().map(str::to_owned) else { return Ok(false) };
        let program = self.sight.program;
        let at = program.index(&path).ok_or_else(|| {
            Fault::ask_person(codes::FLOW_VERSION, format!("this version of `{}` has no step {path}", program.flow))
                .fix("move the instance to a version that has it, or cancel it: ironbridge flow migrate")
        })?;
        match &program.steps[at].what {
            What::Test { text, condition, otherwise } => {
                let holds = condition.holds_at(&self.record(), self.sight.now, self.sight.zone);
                let holds = holds.map_err(|why| self.no_value(&path, format!("`={text}` cannot be told: {why}")))?;
                self.note(&path, format!("={text} is {holds}"), None);
                self.go_to(if holds { at + 1 } else { *otherwise });
            }
            What::Choose { value, cases, otherwise } => {
                let text = match self.value(&path, value)? {
                    Value::Blank => String::new(),
                    // A case is named as a number is written: `5000`.
                    Value::Decimal(number) => number.normalize().to_string(),
                    value => value.to_string(),
                };
                let case = cases.iter().find(|(name, _)| *name == text);
                self.note(&path, format!("it is {}", if text.is_empty() { "blank" } else { &text }), None);
                self.go_to(case.map_or(*otherwise, |(_, at)| *at));
            }
            What::Jump(to) => self.go_to(*to),
            What::Each { field, at_most, after } => self.each(&path, at, field, *at_most, *after)?,
            What::Fork { branches, after } => return Ok(self.fork(branches, *after)),
            What::Join => {
                if let Some((at, doing)) = self.state.way(&self.way) {
                    (*at, *doing) = (None, Doing::Ready);
                }
            }
            What::Enter => self.go_to(at + 1),
            What::Leave { scope, after } => {
                self.answer(Some(scope), "done");
                self.go_to(*after);
            }
            What::Set(_) | What::Read { .. } | What::Write { .. } => return Ok(false),
            What::Notify { to, text } => {
                let (to, text) = (self.text(&path, to)?, self.text(&path, text)?);
                self.note(&path, format!("told {to}: {text}"), None);
                let to = vec![self.sight.people.person(&to)];
                self.effects.push(Effect::Tell { to, text, why: "notify", decision: None });
                self.go_to(at + 1);
            }
            What::Wait(wait) => {
                let until = || calendar::after(self.sight.now, *wait, self.sight.calendar, self.sight.zone);
                return Ok(self.wait(&path, at, until()));
            }
            What::Until(time) => {
                let until = match self.doing() {
                    Doing::Waiting { until } => until,
                    _ => self.moment(&path, time)?,
                };
                return Ok(self.wait(&path, at, until));
            }
            What::WaitFor { text, condition, at_most, name } => {
                let Doing::Waiting { until } = self.doing() else {
                    let until = calendar::after(self.sight.now, *at_most, self.sight.calendar, self.sight.zone);
                    self.does(Doing::Waiting { until });
                    return Ok(true);
                };
                let holds = condition.holds_at(&self.record(), self.sight.now, self.sight.zone);
                let holds = holds.map_err(|why| self.no_value(&path, format!("`={text}` cannot be told: {why}")))?;
                if !holds && self.sight.now < until {
                    self.wake_at(self.sight.now.checked_add(LOOK).ok().map(|next| next.min(until)));
                    return Ok(false);
                }
                let (what, outcome) = match holds {
                    true => (format!("={text} is true"), "happened"),
                    false => (format!("={text} is not true, and it has waited long enough"), "timed_out"),
                };
                self.note(&path, what, None);
                self.answer(name.as_ref(), outcome);
                self.go_to(at + 1);
            }
            What::Child { flow, key, name } => return self.child(&path, at, flow, key, name.as_ref()),
            What::End(why) => {
                let why = self.text(&path, why)?;
                self.note(&path, format!("ended: {why}"), None);
                self.end();
            }
            What::Approve(question) => {
                return match self.doing() {
                    Doing::Asking(asking) => self.look(&path, at, question, *asking),
                    _ => self.ask(&path, question),
                };
            }
        }
        Ok(true)
    }

    pub fn go_to(&mut self, at: usize) {
        let path = self.sight.program.path(at);
        if let Some((at, doing)) = self.state.way(&self.way) {
            (*at, *doing) = (path, Doing::Ready);
        }
    }

    pub fn note(&mut self, path: &str, what: String, by: Option<&str>) {
        // Which line a step of a loop was about.
        let about = self.line(path).map(|(line, of)| format!("line {} of {}: ", line.index + 1, of));
        self.notes.push(Note {
            path: path.to_owned(),
            what: about.unwrap_or_default() + &what,
            by: by.map(str::to_owned),
        });
    }

    fn answer(&mut self, name: Option<&String>, outcome: &str) {
        if let Some(name) = name {
            let decision = Decision {
                outcome: outcome.to_owned(),
                by: String::new(),
                comment: None,
                fields: BTreeMap::new(),
                at: self.sight.now,
            };
            self.state.decisions.insert(name.clone(), decision);
        }
    }

    fn wait(&mut self, path: &str, at: usize, until: Timestamp) -> bool {
        match self.doing() {
            Doing::Waiting { until } if self.sight.now >= until => {
                self.note(path, "waited".to_owned(), None);
                self.go_to(at + 1);
                true
            }
            Doing::Waiting { until } => {
                self.wake_at(Some(until));
                false
            }
            _ => {
                self.does(Doing::Waiting { until });
                true
            }
        }
    }

    /// The head of a loop: begins it, or goes on with the next line.
    fn each(&mut self, path: &str, at: usize, field: &str, at_most: u32, after: usize) -> Result<(), Fault> {
        if let Some(line) = self.state.loops.get_mut(path) {
            line.index += 1;
            if line.index < line.items.len() {
                self.go_to(at + 1);
            } else {
                self.state.loops.remove(path);
                self.go_to(after);
            }
            return Ok(());
        }
        let items = match self.sight.record.get(field) {
            Some(Value::Rows(rows)) => {
                let item = |row: &Row| row.iter().map(|(name, value)| (name.to_owned(), json::of(value))).collect();
                rows.iter().map(|row| serde_json::Value::Object(item(row))).collect()
            }
            _ => Vec::new(),
        };
        if items.len() > at_most as usize {
            let what = format!("`{field}` has {} lines, and {path} takes {at_most} at most", items.len());
            return Err(Fault::ask_person(codes::TOO_MANY_LINES, what)
                .fix("raise `at_most:` of the step, or skip it: ironbridge flow skip"));
        }
        self.note(path, format!("{} lines", items.len()), None);
        if items.is_empty() {
            self.go_to(after);
        } else {
            self.state.loops.insert(path.to_owned(), Loop { items, index: 0 });
            self.go_to(at + 1);
        }
        Ok(())
    }

    /// The loop that a step belongs to, and how many lines it has.
    fn line(&self, path: &str) -> Option<(&Loop, usize)> {
        let mine = |head: &&String| path.strip_prefix(head.as_str()).is_some_and(|rest| rest.starts_with(".do["));
        let head = self.state.loops.keys().filter(mine).max_by_key(|head| head.len())?;
        let line = &self.state.loops[head];
        Some((line, line.items.len()))
    }

    fn fork(&mut self, branches: &[(String, usize)], after: usize) -> bool {
        if self.doing() != Doing::Joining {
            for (way, at) in branches {
                let branch = Branch { at: self.sight.program.path(*at), doing: Doing::Ready };
                self.state.branches.insert(way.clone(), branch);
            }
            self.does(Doing::Joining);
            return true;
        }
        let ended = |(way, _): &(String, usize)| self.state.branches.get(way).is_none_or(|branch| branch.at.is_none());
        if !branches.iter().all(ended) {
            return false;
        }
        branches.iter().for_each(|(way, _)| drop(self.state.branches.remove(way)));
        self.go_to(after);
        true
    }

    fn child(
        &mut self,
        path: &str,
        at: usize,
        flow: &str,
        key: &[Formula],
        name: Option<&String>,
    ) -> Result<bool, Fault> {
        let Doing::Child { cause, .. } = self.doing() else {
            let key = self.values(path, key)?;
            let cause = match self.line(path) {
                Some((line, _)) => format!("{path} line {}", line.index + 1),
                None => path.to_owned(),
            };
            self.note(path, format!("began {flow}"), None);
            self.effects.push(Effect::Begin { flow: flow.to_owned(), key, cause: cause.clone() });
            self.does(Doing::Child { flow: flow.to_owned(), cause });
            return Ok(false);
        };
        let Some(outcome) = self.sight.children.get(&cause) else {
            self.wake_at(self.sight.now.checked_add(LOOK).ok());
            return Ok(false);
        };
        self.note(path, format!("{flow} is {outcome}"), None);
        self.answer(name, outcome);
        self.go_to(at + 1);
        Ok(true)
    }

    /// Everything ends here, and nobody has to answer any more.
    fn end(&mut self) {
        let open: Vec<String> = self.state.asking().map(|(_, asking)| asking.name.clone()).collect();
        for name in open {
            self.effects.push(Effect::Close { name, approved: None, by: "end".to_owned(), comment: None });
        }
        let children = self.state.ways().filter_map(|(_, _, doing)| match doing {
            Doing::Child { flow, cause } => Some(Effect::Stop { flow: flow.clone(), cause: cause.clone() }),
            _ => None,
        });
        let children: Vec<Effect> = children.collect();
        self.effects.extend(children);
        self.state.branches.clear();
        self.state.loops.clear();
        (self.state.at, self.state.doing) = (None, Doing::Ready);
    }

    /// The step that wants something done outside, on its way.
    fn outside(&mut self) -> Option<(String, usize)> {
        let program = self.sight.program;
        let path = outside(&self.state, program, self.sight.silent)?.to_owned();
        let way = self.state.ways().find(|(_, at, _)| *at == Some(&path)).map(|(way, ..)| way.to_owned());
        self.way = way.unwrap_or_default();
        program.index(&path).map(|at| (path, at))
    }

    /// Says what that is.
    fn want(&mut self) -> Result<(), Fault> {
        let Some((path, at)) = self.outside() else { return Ok(()) };
        let effect = match &self.sight.program.steps[at].what {
            What::Set(set) => Effect::Set(self.assigned(&path, set)?),
            What::Read { entity, from, key, .. } => {
                Effect::Read { entity: entity.clone(), from: from.clone(), key: self.values(&path, key)? }
            }
            What::Write { entity, to, key, set } => {
                let (key, set) = (self.values(&path, key)?, self.assigned(&path, set)?);
                Effect::Write { entity: entity.clone(), to: to.clone(), key, set }
            }
            _ => return Ok(()),
        };
        self.effects.push(effect);
        Ok(())
    }

    /// What a step wanted outside is there.
    fn done(&mut self) -> Result<(), Fault> {
        let program = self.sight.program;
        let Some((path, at)) = self.outside() else { return Ok(()) };
        match &program.steps[at].what {
            What::Set(set) => {
                let to = set;
                let set = self.assigned(&path, to)?;
                self.note(&path, format!("set {}", told(to, &set)), None);
                self.state.set.extend(set.iter().map(|(field, value)| (field.clone(), json::of(value))));
            }
            What::Read { name, entity, from, key } => {
                let key: Vec<String> = self.values(&path, key)?.iter().map(ToString::to_string).collect();
                let key = key.join(", ");
                let (outcome, what) = match self.sight.found {
                    Some(_) => ("found", format!("read {entity} {key} in {from}")),
                    None => ("missing", format!("{from} has no {entity} {key}")),
                };
                self.note(&path, what, None);
                self.answer(Some(name), outcome);
                if let (Some(found), Some(decision)) = (self.sight.found, self.state.decisions.get_mut(name)) {
                    decision.fields.clone_from(found);
                }
            }
            What::Write { entity, to, key, set } => {
                let key: Vec<String> = self.values(&path, key)?.iter().map(ToString::to_string).collect();
                let values = self.assigned(&path, set)?;
                let what = format!("wrote {} of {entity} {} in {to}", told(set, &values), key.join(", "));
                self.note(&path, what, None);
            }
            _ => return Ok(()),
        }
        self.go_to(at + 1);
        Ok(())
    }

    /// The record as the instance has it: with what it set, what was decided, and the line that a loop is about.
    pub fn record(&self) -> Row {
        let mut record = self.sight.record.clone();
        let schema = self.sight.program.sight.clone();
        let mut put = |name: &str, value: Value| {
            if let Some(at) = schema.index(name) {
                let fitted = mapping::fit::fit(value.as_ref(), &schema.columns()[at].ty, Some(self.sight.zone));
                *record.at_mut(at) = fitted.unwrap_or(value);
            }
        };
        for (field, value) in &self.state.set {
            put(field, json::value(value));
        }
        for (field, value) in &self.state.form {
            put(&format!("form.{field}"), json::value(value));
        }
        put("form.by", self.state.requester.clone().map_or(Value::Blank, Value::text));
        for (name, decision) in &self.state.decisions {
            for (field, value) in &decision.fields {
                put(&format!("{name}.{field}"), json::value(value));
            }
            put(&format!("{name}.outcome"), Value::text(decision.outcome.clone()));
            put(&format!("{name}.by"), Value::text(decision.by.clone()));
            put(&format!("{name}.comment"), decision.comment.clone().map_or(Value::Blank, Value::text));
        }
        let line = self.at().and_then(|path| self.line(path));
        if let Some(serde_json::Value::Object(item)) = line.and_then(|(line, _)| line.items.get(line.index)) {
            for (name, value) in item {
                put(&format!("item.{name}"), json::value(value));
            }
        }
        self.sight.program.show_amounts(&mut record);
        record
    }

    pub fn value(&self, path: &str, formula: &Formula) -> Result<Value, Fault> {
        formula.eval(&self.record(), self.sight.now, self.sight.zone).map_err(|why| self.no_value(path, why))
    }

    fn values(&self, path: &str, formulas: &[Formula]) -> Result<Vec<Value>, Fault> {
        formulas.iter().map(|formula| self.value(path, formula)).collect()
    }

    /// A text for people.
    pub fn text(&self, path: &str, formula: &Formula) -> Result<String, Fault> {
        let text = formula.text(&self.record(), self.sight.now, self.sight.zone);
        text.map_err(|why| self.no_value(path, why))
    }

    /// A time, or the beginning of a day.
    fn moment(&self, path: &str, formula: &Formula) -> Result<Timestamp, Fault> {
        let zone = self.sight.zone;
        let local = |time| zone.to_ambiguous_timestamp(time).compatible().ok();
        let value = self.value(path, formula)?;
        let at = match &value {
            Value::Instant(at) => Some(*at),
            Value::LocalDateTime(time) => local(*time),
            Value::Date(day) => local(day.at(0, 0, 0, 0)),
            _ => None,
        };
        at.ok_or_else(|| self.no_value(path, format!("`{value}` is no date and no time")))
    }

    fn assigned(&self, path: &str, set: &[Assign]) -> Result<Vec<(String, Value)>, Fault> {
        let record = self.record();
        let one = |assign: &Assign| -> Result<(String, Value), Fault> {
            let mut value = self.value(path, &assign.value)?;
            if let Some(digits) = assign.digits {
                money::put(&mut value, digits.of(&record));
            }
            Ok((assign.field.clone(), value))
        };
        set.iter().map(one).collect()
    }

    fn no_value(&self, path: &str, why: String) -> Fault {
        let what = format!("{path} of `{}`: {why}", self.sight.program.flow);
        Fault::ask_person(codes::FLOW_FORMULA, what).fix("correct the record, then: ironbridge flow retry")
    }
}

fn told(set: &[Assign], values: &[(String, Value)]) -> String {
    let one = |(assign, (field, value)): (&Assign, &(String, Value))| match assign.personal && !value.is_blank() {
        true => format!("{field} = ***"),
        false => format!("{field} = {value}"),
    };
    set.iter().zip(values).map(one).collect::<Vec<_>>().join(", ")
}
