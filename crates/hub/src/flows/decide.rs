//! What an instance of a flow does next. Pure: everything that it knows comes in, everything that it wants goes out.
//!
//! An approval is passed by an outcome only: by enough answers of people who were asked, or by its deadline, which has an
//! outcome of its own. Nothing else moves an instance past it.

use std::collections::BTreeMap;

use definition::{Calendar, Deciders, Project};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use record::{Fault, Row, Value};

use super::program::{Assign, Formula, Program, Question, What};
use super::state::{Asking, Decision, Doing, Rule, State, Vote};
use crate::{calendar, codes, json};

/// Steps that one look may take: a flow has no loops, so this is more than any has.
const STEPS_MAX: usize = 10_000;

pub const APPROVED: &str = "approved";
pub const REJECTED: &str = "rejected";
/// Who decided, where nobody answered in time.
pub const DEADLINE: &str = "deadline";

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Time has passed, or it has just begun.
    Go,
    /// What the last answer wanted done outside is done.
    Done,
}

/// Everything that a decision is made from, besides the instance.
pub struct Sight<'a> {
    pub program: &'a Program,
    pub people: &'a People,
    /// In the columns of [`Program::sight`]; what the instance has set and decided is laid over it.
    pub record: &'a Row,
    pub now: Timestamp,
    pub calendar: &'a Calendar,
    pub zone: &'a TimeZone,
}

/// Who is in which group, and who a text means.
#[derive(Debug, Default, Clone)]
pub struct People {
    /// Members by group.
    pub groups: BTreeMap<String, Vec<String>>,
    /// E-mail addresses by id.
    pub people: BTreeMap<String, String>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A question is put. It takes the place of an earlier one of the same name.
    Ask { name: String, text: String, of: Vec<String>, deadline: Timestamp },
    /// Nobody has to answer any more.
    Close { name: String, approved: Option<bool>, by: String, comment: Option<String> },
    /// Somebody is to hear this.
    Tell { to: Vec<String>, text: String, why: &'static str },
    /// Fields of the record, in the system where it came from; [`Event::Done`] follows.
    Set(Vec<(String, Value)>),
    /// Fields of another record; [`Event::Done`] follows.
    Write { entity: String, to: String, key: Vec<Value>, set: Vec<(String, Value)> },
}

/// A line of the history of an instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub path: String,
    pub what: String,
    /// A person, where one did it.
    pub by: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    pub state: State,
    pub effects: Vec<Effect>,
    pub notes: Vec<Note>,
    /// When to look again without being asked.
    pub wake: Option<Timestamp>,
}

/// Why an answer is not taken. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTaken {
    /// Nothing is asked now, or the deadline has passed.
    NothingAsked,
    /// Others have decided.
    Decided {
        by: String,
        at: Timestamp,
    },
    /// This person was not asked.
    NotAsked {
        of: Vec<String>,
    },
    /// This person must not decide: it is about themselves.
    Excluded,
    AlreadyAnswered,
}

/// An answer that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Voted {
    pub state: State,
    pub note: Note,
    /// What the answers come to now, where they come to something.
    pub outcome: Option<bool>,
}

impl People {
    pub fn of(project: &Project) -> People {
        People {
            groups: project.groups.iter().map(|group| (group.id.clone(), group.members.clone())).collect(),
            people: project.people.iter().map(|person| (person.id.clone(), person.email.clone())).collect(),
        }
    }

    /// The people behind these names, without repeats. A group without members stays as it is: anybody may answer for it.
    fn resolve(&self, names: &[String]) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for name in names {
            let group = name.strip_prefix("group:").unwrap_or(name);
            match self.groups.get(group).filter(|_| !self.people.contains_key(name)) {
                Some(members) if !members.is_empty() => found.extend(members.iter().cloned()),
                Some(_) => found.push(format!("group:{group}")),
                None => found.push(name.clone()),
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        found.retain(|name| seen.insert(name.clone()));
        found
    }

    /// The id of the person whom a text means: an id, or an e-mail address.
    fn person(&self, text: &str) -> String {
        let by_mail = self.people.iter().find(|(_, email)| email.eq_ignore_ascii_case(text));
        by_mail.map_or_else(|| text.to_owned(), |(id, _)| id.clone())
    }
}

/// Somebody answers the question that stands. Pure; what follows from it is [`decide`]d afterwards.
pub fn vote(
    state: &State,
    by: &str,
    approve: bool,
    comment: Option<&str>,
    people: &People,
    now: Timestamp,
) -> Result<Voted, NotTaken> {
    let mut state = state.clone();
    let Doing::Asking(asking) = &mut state.doing else { return Err(NotTaken::NothingAsked) };
    if let (Some(_), Some(last)) = (outcome(asking), asking.votes.last()) {
        return Err(NotTaken::Decided { by: last.by.clone(), at: last.at });
    }
    // The deadline has decided already, whether anybody has looked or not.
    if now >= asking.deadline {
        return Err(NotTaken::Decided { by: DEADLINE.to_owned(), at: asking.deadline });
    }
    let by = people.person(by);
    if asking.not.as_ref() == Some(&by) {
        return Err(NotTaken::Excluded);
    }
    let of = || asking.of.iter().chain(&asking.escalated);
    if !of().any(|name| *name == by || name.starts_with("group:")) {
        return Err(NotTaken::NotAsked { of: of().cloned().collect() });
    }
    if asking.votes.iter().any(|vote| vote.by == by) {
        return Err(NotTaken::AlreadyAnswered);
    }
    asking.votes.push(Vote { by: by.clone(), approve, at: now, comment: comment.map(str::to_owned) });
    let outcome = outcome(asking).map(|(approve, ..)| approve);
    let what = format!("answered {}", if approve { "yes" } else { "no" });
    let what = comment.map_or(what.clone(), |comment| format!("{what}: {comment}"));
    let note = Note { path: state.at.clone().unwrap_or_default(), what, by: Some(by) };
    Ok(Voted { state, note, outcome })
}

/// What comes next.
///
/// *Errors*: what time does not mend: a formula without a value, nobody who may decide.
pub fn decide(state: &State, event: Event, sight: &Sight<'_>) -> Result<Decided, Fault> {
    let mut walk = Walk { sight, state: state.clone(), effects: Vec::new(), notes: Vec::new(), wake: None };
    match event {
        Event::Go => {}
        Event::Done => walk.done()?,
    }
    for _ in 0..STEPS_MAX {
        if !walk.step()? {
            break;
        }
    }
    let Walk { state, effects, notes, wake, .. } = walk;
    Ok(Decided { state, effects, notes, wake })
}

struct Walk<'a> {
    sight: &'a Sight<'a>,
    state: State,
    effects: Vec<Effect>,
    notes: Vec<Note>,
    wake: Option<Timestamp>,
}

impl Walk<'_> {
    /// Does one step; false where it waits, or is at its end.
    fn step(&mut self) -> Result<bool, Fault> {
        let Some(path) = self.state.at.clone() else { return Ok(false) };
        let program = self.sight.program;
        let at = program.index(&path).ok_or_else(|| {
            Fault::ask_person(codes::FLOW_VERSION, format!("this version of `{}` has no step {path}", program.flow))
                .fix("move the instance to a version that has it, or cancel it: ironbridge flow migrate")
        })?;
        match &program.steps[at].what {
            What::Test { text, condition, otherwise } => {
                let record = self.record();
                let holds = condition.holds_at(&record, self.sight.now, self.sight.zone);
                let holds = holds.map_err(|why| self.no_value(&path, format!("`={text}` cannot be told: {why}")))?;
                self.note(&path, format!("={text} is {holds}"), None);
                self.go_to(if holds { at + 1 } else { *otherwise });
                Ok(true)
            }
            What::Jump(to) => {
                self.go_to(*to);
                Ok(true)
            }
            What::Set(set) => {
                let set = self.assigned(&path, set)?;
                self.effects.push(Effect::Set(set));
                Ok(false)
            }
            What::Write { entity, to, key, set } => {
                let key = key.iter().map(|part| self.value(&path, part)).collect::<Result<_, _>>()?;
                let set = self.assigned(&path, set)?;
                self.effects.push(Effect::Write { entity: entity.clone(), to: to.clone(), key, set });
                Ok(false)
            }
            What::Notify { to, text } => {
                let (to, text) = (self.text(&path, to)?, self.text(&path, text)?);
                self.note(&path, format!("told {to}: {text}"), None);
                let to = vec![self.sight.people.person(&to)];
                self.effects.push(Effect::Tell { to, text, why: "notify" });
                self.go_to(at + 1);
                Ok(true)
            }
            What::Wait(wait) => match self.state.doing {
                Doing::Waiting { until } if self.sight.now >= until => {
                    self.note(&path, "waited".to_owned(), None);
                    self.go_to(at + 1);
                    Ok(true)
                }
                Doing::Waiting { until } => {
                    self.wake = Some(until);
                    Ok(false)
                }
                _ => {
                    let until = calendar::after(self.sight.now, *wait, self.sight.calendar, self.sight.zone);
                    self.state.doing = Doing::Waiting { until };
                    Ok(true)
                }
            },
            What::Approve(question) => match self.state.doing.clone() {
                Doing::Asking(asking) => self.look(&path, at, question, *asking),
                _ => self.ask(&path, question),
            },
        }
    }

    fn go_to(&mut self, at: usize) {
        let program = self.sight.program;
        self.state.at = program.resolve(at).map(|at| program.steps[at].path.clone());
        self.state.doing = Doing::Ready;
    }

    fn note(&mut self, path: &str, what: String, by: Option<&str>) {
        self.notes.push(Note { path: path.to_owned(), what, by: by.map(str::to_owned) });
    }

    /// What the step wanted outside is there.
    fn done(&mut self) -> Result<(), Fault> {
        let Some(path) = self.state.at.clone() else { return Ok(()) };
        let program = self.sight.program;
        let Some(at) = program.index(&path) else { return Ok(()) };
        match &program.steps[at].what {
            What::Set(set) => {
                let set = self.assigned(&path, set)?;
                self.note(&path, format!("set {}", told(&set)), None);
                self.state.set.extend(set.iter().map(|(field, value)| (field.clone(), json::of(value))));
            }
            What::Write { entity, to, key, set } => {
                let key: Vec<String> =
                    key.iter().map(|part| self.value(&path, part).map(|v| v.to_string())).collect::<Result<_, _>>()?;
                let set = self.assigned(&path, set)?;
                let what = format!("wrote {} of {entity} {} in {to}", told(&set), key.join(", "));
                self.note(&path, what, None);
            }
            _ => return Ok(()),
        }
        self.go_to(at + 1);
        Ok(())
    }

    fn ask(&mut self, path: &str, question: &Question) -> Result<bool, Fault> {
        let (sight, defined) = (self.sight, &question.defined);
        let text = self.text(path, &question.ask)?;
        let not = question.not.as_ref().map(|formula| self.value(path, formula)).transpose()?;
        let not = not.filter(|value| !value.is_blank()).map(|value| sight.people.person(&value.to_string()));
        let (who, rule) = match &defined.of {
            Deciders::OneOf(who) => (who, Rule::One),
            Deciders::AllOf(who) => (who, Rule::All),
            Deciders::SomeOf { who, at_least } => (who, Rule::AtLeast(*at_least)),
        };
        let mut of = sight.people.resolve(who);
        of.retain(|person| Some(person) != not.as_ref());
        if let Rule::AtLeast(needed) = rule
            && !of.iter().any(|name| name.starts_with("group:"))
            && of.len() < needed as usize
        {
            of.clear();
        }
        if of.is_empty() {
            let what = format!("`{}` of `{}` has nobody who may decide", defined.name, sight.program.flow);
            let fix = "add people to the group in people.yaml, then: ironbridge flow retry";
            return Err(Fault::ask_person(codes::NOBODY_DECIDES, what).fix(fix));
        }
        let after = |wait| calendar::after(sight.now, wait, sight.calendar, sight.zone);
        let record = self.record();
        let shown = defined
            .if_changed
            .iter()
            .map(|field| (field.clone(), record.get(field).map_or(serde_json::Value::Null, json::of)));
        let asking = Asking {
            since: sight.now,
            of: of.clone(),
            rule,
            escalated: Vec::new(),
            not,
            votes: Vec::new(),
            remind: defined.remind.map(after),
            escalate: defined.escalate.as_ref().map(|escalate| after(escalate.after)),
            deadline: after(defined.deadline),
            shown: shown.collect(),
        };
        self.note(path, format!("asked {}: {text}", of.join(", ")), None);
        let name = defined.name.clone();
        self.effects.push(Effect::Ask { name, text: text.clone(), of: of.clone(), deadline: asking.deadline });
        self.effects.push(Effect::Tell { to: of, text, why: "asked" });
        self.state.doing = Doing::Asking(Box::new(asking));
        Ok(true)
    }

    /// A question that stands: is it still the same, is it decided, does a clock ring?
    fn look(&mut self, path: &str, at: usize, question: &Question, mut asking: Asking) -> Result<bool, Fault> {
        let (sight, defined) = (self.sight, &question.defined);
        if let Some((approve, by, comment)) = outcome(&asking) {
            self.decided(path, at, &defined.name, approve, &by, comment);
            return Ok(true);
        }
        let record = self.record();
        let moved = asking
            .shown
            .iter()
            .find(|(field, shown)| record.get(field).map_or(serde_json::Value::Null, json::of) != **shown);
        if let Some((field, _)) = moved {
            self.note(path, format!("`{field}` was changed meanwhile: asked again"), None);
            let close =
                Effect::Close { name: defined.name.clone(), approved: None, by: "change".into(), comment: None };
            self.effects.push(close);
            self.state.doing = Doing::Ready;
            return Ok(true);
        }
        if sight.now >= asking.deadline {
            let approve = defined.deadline_outcome == APPROVED;
            self.decided(path, at, &defined.name, approve, DEADLINE, None);
            return Ok(true);
        }
        let text = |walk: &Walk<'_>| walk.text(path, &question.ask);
        if let (Some(when), Some(escalate)) = (asking.escalate, &defined.escalate)
            && sight.now >= when
        {
            let mut to = sight.people.resolve(&escalate.to);
            to.retain(|person| Some(person) != asking.not.as_ref() && !asking.of.contains(person));
            let told = match to.is_empty() {
                true => "escalated, and there is nobody else who may decide".to_owned(),
                false => format!("escalated to {}", to.join(", ")),
            };
            self.note(path, told, None);
            let text = text(self)?;
            self.effects.push(Effect::Tell { to: to.clone(), text, why: "escalated" });
            asking.escalated = to;
            asking.escalate = None;
        }
        if let (Some(when), Some(every)) = (asking.remind, defined.remind)
            && sight.now >= when
        {
            let answered = |person: &&String| !asking.votes.iter().any(|vote| vote.by == **person);
            let to: Vec<String> = asking.of.iter().filter(answered).cloned().collect();
            self.note(path, format!("reminded {}", to.join(", ")), None);
            let text = text(self)?;
            self.effects.push(Effect::Tell { to, text, why: "reminder" });
            asking.remind = Some(calendar::after(sight.now, every, sight.calendar, sight.zone));
        }
        let clocks = [asking.remind, asking.escalate, Some(asking.deadline)];
        self.wake = clocks.into_iter().flatten().min();
        self.state.doing = Doing::Asking(Box::new(asking));
        Ok(false)
    }

    fn decided(&mut self, path: &str, at: usize, name: &str, approve: bool, by: &str, comment: Option<String>) {
        let outcome = if approve { APPROVED } else { REJECTED };
        self.note(path, format!("{name} is {outcome}"), Some(by));
        let decision =
            Decision { outcome: outcome.to_owned(), by: by.to_owned(), comment: comment.clone(), at: self.sight.now };
        self.state.decisions.insert(name.to_owned(), decision);
        self.effects.push(Effect::Close { name: name.to_owned(), approved: Some(approve), by: by.to_owned(), comment });
        self.go_to(at + 1);
    }

    /// The record as the instance has it: with what it set, and what was decided.
    fn record(&self) -> Row {
        let mut record = self.sight.record.clone();
        let schema = self.sight.program.sight.clone();
        for (field, value) in &self.state.set {
            if let Some(at) = schema.index(field) {
                let value = json::value(value);
                let fitted = mapping::fit::fit(value.as_ref(), &schema.columns()[at].ty, Some(self.sight.zone));
                *record.at_mut(at) = fitted.unwrap_or(value);
            }
        }
        for (name, decision) in &self.state.decisions {
            let parts = [
                ("outcome", Value::text(decision.outcome.clone())),
                ("by", Value::text(decision.by.clone())),
                ("comment", decision.comment.clone().map_or(Value::Blank, Value::text)),
            ];
            for (part, value) in parts {
                if let Some(at) = schema.index(&format!("{name}.{part}")) {
                    *record.at_mut(at) = value;
                }
            }
        }
        record
    }

    fn value(&self, path: &str, formula: &Formula) -> Result<Value, Fault> {
        formula.eval(&self.record(), self.sight.now, self.sight.zone).map_err(|why| self.no_value(path, why))
    }

    fn text(&self, path: &str, formula: &Formula) -> Result<String, Fault> {
        Ok(match self.value(path, formula)? {
            Value::Blank => String::new(),
            value => value.to_string(),
        })
    }

    fn assigned(&self, path: &str, set: &[Assign]) -> Result<Vec<(String, Value)>, Fault> {
        set.iter().map(|assign| Ok((assign.field.clone(), self.value(path, &assign.value)?))).collect()
    }

    fn no_value(&self, path: &str, why: String) -> Fault {
        let what = format!("{path} of `{}`: {why}", self.sight.program.flow);
        Fault::ask_person(codes::FLOW_FORMULA, what).fix("correct the record, then: ironbridge flow retry")
    }
}

/// What the answers come to, if they come to something: the outcome, whose answer made it, and the comment of that.
fn outcome(asking: &Asking) -> Option<(bool, String, Option<String>)> {
    let last = asking.votes.last()?;
    let answer = |approve: bool| Some((approve, last.by.clone(), last.comment.clone()));
    if asking.escalated.contains(&last.by) {
        return answer(last.approve);
    }
    let yes = asking.votes.iter().filter(|vote| vote.approve).count();
    let no = asking.votes.len() - yes;
    let open_group = asking.of.iter().any(|name| name.starts_with("group:"));
    match asking.rule {
        Rule::One => answer(last.approve),
        Rule::All if no > 0 => answer(false),
        Rule::All => (open_group || yes >= asking.of.len()).then(|| answer(true)).flatten(),
        Rule::AtLeast(needed) if yes >= needed as usize => answer(true),
        Rule::AtLeast(needed) => {
            let reachable = open_group || asking.of.len() - no >= needed as usize;
            (!reachable).then(|| answer(false)).flatten()
        }
    }
}

fn told(set: &[(String, Value)]) -> String {
    let all: Vec<String> = set.iter().map(|(field, value)| format!("{field} = {value}")).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests;
