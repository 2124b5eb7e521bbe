//! Approvals: a question is put, people answer, clocks ring.

use std::collections::BTreeMap;

use definition::{Approval, CommentNeeded, Deciders, Wait};
use jiff::Timestamp;
use record::Fault;

use super::walk::Walk;
use super::{APPROVED, DEADLINE, Effect, Note, People, REJECTED};
use crate::flows::form::{self, Filled};
use crate::flows::program::{Formula, Question};
use crate::flows::state::{Asking, Comment, Decision, Doing, Rule, State, Vote};
use crate::{calendar, codes, json};

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
    /// Somebody else answers first.
    NotYet {
        first: String,
    },
    /// This person must not decide: it is about themselves.
    Excluded,
    AlreadyAnswered,
    /// The answer has to say why.
    NoComment,
}

/// An answer that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Voted {
    pub state: State,
    pub note: Note,
    /// What the answers come to now, where they come to something.
    pub outcome: Option<bool>,
}

/// What is said with an answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Said<'a> {
    pub comment: Option<&'a str>,
    /// What was filled in, and how that is told.
    pub filled: Option<(&'a Filled, &'a str)>,
}

/// Somebody answers a question that stands. Pure; what follows from it is [`super::decide`]d afterwards.
pub fn vote(
    state: &State,
    name: &str,
    by: &str,
    approve: bool,
    said: Said<'_>,
    people: &People,
    now: Timestamp,
) -> Result<Voted, NotTaken> {
    let mut state = state.clone();
    let asks = |doing: &Doing| matches!(doing, Doing::Asking(asking) if asking.name.is_empty() || asking.name == name);
    let way = state.ways().find(|(_, _, doing)| asks(doing)).map(|(way, ..)| way.to_owned());
    let Some(way) = way else {
        return Err(match state.decisions.get(name) {
            Some(decision) => NotTaken::Decided { by: decision.by.clone(), at: decision.at },
            None => NotTaken::NothingAsked,
        });
    };
    let Some((path, Doing::Asking(asking))) = state.way(&way) else { return Err(NotTaken::NothingAsked) };
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
    // Whoever has been taken out of people.yaml since, or out of the group, does not decide any more.
    let named = people.resolve(&asking.who);
    let still = |name: &&String| {
        name.starts_with("group:")
            || people.people.contains_key(*name) && (asking.who.is_empty() || asking.is_for(name, &named))
    };
    let of = || asking.of.iter().chain(&asking.escalated).filter(still);
    if !of().any(|name| *name == by || name.starts_with("group:")) {
        return Err(NotTaken::NotAsked { of: of().cloned().collect() });
    }
    if asking.votes.iter().any(|vote| vote.by == by) {
        return Err(NotTaken::AlreadyAnswered);
    }
    if let Some(first) = turn(asking).filter(|first| **first != by && !asking.escalated.contains(&by)) {
        return Err(NotTaken::NotYet { first: first.clone() });
    }
    let comment = said.comment.filter(|comment| !comment.trim().is_empty());
    let needed = match asking.comment {
        Comment::Optional => false,
        Comment::Required => true,
        Comment::RequiredToReject => !approve,
    };
    if needed && comment.is_none() {
        return Err(NotTaken::NoComment);
    }
    let (fields, filled) = said.filled.map(|(fields, told)| (fields.clone(), told)).unwrap_or_default();
    asking.votes.push(Vote { by: by.clone(), approve, at: now, comment: comment.map(str::to_owned), fields });
    let outcome = outcome(asking).map(|(approve, _)| approve);
    let what = format!("answered {}", if approve { "yes" } else { "no" });
    let words: Vec<&str> = [filled, comment.unwrap_or_default()].into_iter().filter(|part| !part.is_empty()).collect();
    let what = if words.is_empty() { what } else { format!("{what}: {}", words.join("; ")) };
    let note = Note { path: path.clone().unwrap_or_default(), what, by: Some(by) };
    Ok(Voted { state, note, outcome })
}

/// Whose turn it is, where people answer in order. A group that is an address only takes one answer of anybody.
fn turn(asking: &Asking) -> Option<&String> {
    let next = asking.of.get(asking.votes.len()).filter(|name| !name.starts_with("group:"));
    next.filter(|_| asking.rule == Rule::InOrder)
}

impl Walk<'_> {
    pub(super) fn ask(&mut self, path: &str, question: &Question) -> Result<bool, Fault> {
        let (sight, defined) = (self.sight, &question.defined);
        let text = self.text(path, &question.ask)?;
        let not = question.not.as_ref().map(|formula| self.value(path, formula)).transpose()?;
        let not = match &question.not {
            // Whoever asks for it does not decide about it, unless somebody else is named, or nobody.
            None => self.state.requester.as_deref().map(|requester| sight.people.person(requester)),
            Some(_) => not.filter(|value| !value.is_blank()).map(|value| sight.people.person(&value.to_string())),
        };
        let (who, rule) = who_decides(defined);
        let values = |formulas: &[Formula]| -> Result<Vec<_>, Fault> {
            formulas.iter().map(|formula| self.value(path, formula)).collect()
        };
        let form = form::kept(&defined.form, &values(&question.defaults)?, &values(&question.currencies)?);
        let mut of = sight.people.resolve(who);
        of.retain(|person| Some(person) != not.as_ref());
        let mut stands_in = BTreeMap::new();
        for (person, instead) in sight.people.stand_ins(&mut of, rule, not.as_deref(), &[], sight.now) {
            self.note(path, format!("{person} is away: {instead} is asked instead"), None);
            stands_in.insert(person, instead);
        }
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
        // Everybody who is asked has that long, by their own hours.
        let after = |wait: Wait| of.iter().map(|who| self.clock(who, wait)).max().unwrap_or(sight.now);
        let record = self.record();
        let shown = defined
            .if_changed
            .iter()
            .map(|field| (field.clone(), record.get(field).map_or(serde_json::Value::Null, json::of)));
        let mut to = if rule == Rule::InOrder { vec![of[0].clone()] } else { of.clone() };
        let asking = Asking {
            name: defined.name.clone(),
            since: sight.now,
            of: of.clone(),
            rule,
            escalated: Vec::new(),
            who: who.clone(),
            instead: stands_in,
            text: text.clone(),
            not,
            votes: Vec::new(),
            remind: None,
            reminds: match defined.remind {
                Some(every) => to.iter().map(|who| (who.clone(), self.clock(who, every))).collect(),
                None => BTreeMap::new(),
            },
            escalate: defined.escalate.as_ref().map(|escalate| after(escalate.after)),
            deadline: after(defined.deadline),
            told: to.len(),
            comment: match defined.comment {
                CommentNeeded::Optional => Comment::Optional,
                CommentNeeded::Required => Comment::Required,
                CommentNeeded::RequiredToReject => Comment::RequiredToReject,
            },
            shown: shown.collect(),
        };
        self.note(path, format!("asked {}: {text}", of.join(", ")), None);
        let name = defined.name.clone();
        let (deadline, shown) = (asking.deadline, Box::new(record));
        to.extend(sight.people.channels_of(who));
        self.effects.push(Effect::Ask { name, text: text.clone(), of, deadline, form, shown });
        self.effects.push(Effect::Tell { to, text, why: "asked", decision: Some(defined.name.clone()) });
        self.does(Doing::Asking(Box::new(asking)));
        Ok(true)
    }

    /// A question that stands: is it still the same, is it decided, does a clock ring?
    pub(super) fn look(
        &mut self,
        path: &str,
        at: usize,
        question: &Question,
        mut asking: Asking,
    ) -> Result<bool, Fault> {
        let (sight, defined) = (self.sight, &question.defined);
        // Before any answer: what was answered is what was shown.
        let record = self.record();
        let moved = asking
            .shown
            .iter()
            .find(|(field, shown)| !json::alike(&record.get(field).map_or(serde_json::Value::Null, json::of), shown));
        if let Some((field, _)) = moved {
            self.note(path, format!("`{field}` was changed meanwhile: asked again"), None);
            let close =
                Effect::Close { name: defined.name.clone(), approved: None, by: "change".into(), comment: None };
            self.effects.push(close);
            self.does(Doing::Ready);
            return Ok(true);
        }
        if let Some((approve, vote)) = outcome(&asking) {
            let vote = vote.clone();
            self.decided(path, at, &defined.name, approve, vote);
            return Ok(true);
        }
        if sight.now >= asking.deadline {
            let approve = defined.deadline_outcome == APPROVED;
            let (by, fields) = (DEADLINE.to_owned(), Filled::new());
            let vote = Vote { by, approve, at: sight.now, comment: None, fields };
            self.decided(path, at, &defined.name, approve, vote);
            return Ok(true);
        }
        let text = self.as_asked(path, question, &asking)?;
        let before = (asking.of.clone(), asking.escalated.clone());
        self.follow(path, defined, &mut asking, &text);
        let answered: Vec<String> = asking.votes.iter().map(|vote| vote.by.clone()).collect();
        let (rule, not) = (asking.rule, asking.not.as_deref());
        for (person, instead) in sight.people.stand_ins(&mut asking.of, rule, not, &answered, sight.now) {
            self.note(path, format!("{person} is away: {instead} is asked instead"), None);
            self.effects.push(Effect::Tell {
                to: vec![instead.clone()],
                text: text.clone(),
                why: "asked",
                decision: Some(defined.name.clone()),
            });
            asking.instead.insert(person, instead);
        }
        // Those who are left have answered.
        if let Some((approve, vote)) = outcome(&asking) {
            let vote = vote.clone();
            self.decided(path, at, &defined.name, approve, vote);
            return Ok(true);
        }
        // The next one in order.
        if asking.rule == Rule::InOrder
            && asking.told <= asking.votes.len()
            && let Some(next) = asking.of.get(asking.votes.len())
        {
            self.note(path, format!("it is the turn of {next}"), None);
            self.effects.push(Effect::Tell {
                to: vec![next.clone()],
                text: text.clone(),
                why: "asked",
                decision: Some(defined.name.clone()),
            });
            asking.told = asking.votes.len() + 1;
        }
        if let (Some(when), Some(escalate)) = (asking.escalate, &defined.escalate)
            && sight.now >= when
        {
            let mut to = sight.people.resolve(&escalate.to);
            to.retain(|person| Some(person) != asking.not.as_ref() && !asking.of.contains(person));
            asking.instead.extend(sight.people.stand_ins(&mut to, Rule::One, asking.not.as_deref(), &[], sight.now));
            asking.who.extend(escalate.to.iter().cloned());
            let told = match to.is_empty() {
                true => "escalated, and there is nobody else who may decide".to_owned(),
                false => format!("escalated to {}", to.join(", ")),
            };
            self.note(path, told, None);
            if to.is_empty() {
                let outcome = &defined.deadline_outcome;
                let text = format!(
                    "Nobody else may decide “{text}”: it was escalated, and whoever is named there asked for it or was asked already. Without an answer its deadline decides: {outcome}."
                );
                let to = vec![sight.program.owner.clone()];
                self.effects.push(Effect::Tell { to, text, why: "notify", decision: None });
            }
            self.effects.push(Effect::Tell {
                to: to.iter().cloned().chain(sight.people.channels_of(&escalate.to)).collect(),
                text: text.clone(),
                why: "escalated",
                decision: Some(defined.name.clone()),
            });
            asking.escalated = to;
            asking.escalate = None;
        }
        if before != (asking.of.clone(), asking.escalated.clone()) {
            let of = asking.of.iter().chain(&asking.escalated).cloned().collect();
            self.effects.push(Effect::Pass { name: defined.name.clone(), of });
        }
        if let Some(every) = defined.remind {
            let to = self.reminded(&mut asking, &answered, every);
            if !to.is_empty() {
                self.note(path, format!("reminded {}", to.join(", ")), None);
                self.effects.push(Effect::Tell { to, text, why: "reminder", decision: Some(defined.name.clone()) });
            }
        }
        let clocks = asking.reminds.values().copied().chain(asking.escalate).chain([asking.deadline]);
        self.wake_at(clocks.min());
        self.does(Doing::Asking(Box::new(asking)));
        Ok(false)
    }

    /// What people are told of a question that stands: as it was put, and as it would be put by now where that is another.
    fn as_asked(&self, path: &str, question: &Question, asking: &Asking) -> Result<String, Fault> {
        match self.text(path, &question.ask) {
            now if asking.text.is_empty() => now,
            Ok(now) if now != asking.text => {
                Ok(format!("{}\n\nThe record has changed since; by now it says: {now}", asking.text))
            }
            _ => Ok(asking.text.clone()),
        }
    }

    /// Goes with people.yaml as it is now: who is not named any more is not asked any more, who is new is asked too.
    /// Answers that were given stay.
    fn follow(&mut self, path: &str, defined: &Approval, asking: &mut Asking, text: &str) {
        let people = self.sight.people;
        let escalated = defined.escalate.as_ref().filter(|_| asking.escalate.is_none());
        if asking.who.is_empty() {
            asking.who.extend(who_decides(defined).0.iter().chain(escalated.iter().flat_map(|it| &it.to)).cloned());
        }
        let turn_of = turn(asking).cloned();
        let may = |names: &[String]| -> Vec<String> {
            people.resolve(names).into_iter().filter(|who| Some(who) != asking.not.as_ref()).collect()
        };
        let (first, then) = (may(who_decides(defined).0), escalated.map(|it| may(&it.to)).unwrap_or_default());
        let has_answered = |who: &String| asking.votes.iter().any(|vote| vote.by == *who);
        let gone: Vec<String> = asking
            .of
            .iter()
            .filter(|who| !has_answered(who) && !asking.is_for(who, &first))
            .chain(asking.escalated.iter().filter(|who| !asking.is_for(who, &then)))
            .cloned()
            .collect();
        let is_new = |who: &&String| {
            !asking.of.iter().chain(&asking.escalated).any(|asked| asking.is_for(asked, std::slice::from_ref(*who)))
        };
        let new: Vec<String> = first.iter().filter(is_new).cloned().collect();
        let new_then: Vec<String> = then.iter().filter(is_new).filter(|who| !new.contains(who)).cloned().collect();
        if gone.is_empty() && new.is_empty() && new_then.is_empty() {
            return;
        }
        // Those who have answered stand first, so that those who answer in order go on after them.
        let mut of: Vec<String> =
            asking.votes.iter().map(|vote| vote.by.clone()).filter(|by| asking.of.contains(by)).collect();
        for who in &first {
            let asked = asking.of.iter().filter(|asked| asking.is_for(asked, std::slice::from_ref(who)));
            for asked in asked.chain(Some(who).filter(|who| new.contains(who))) {
                if !of.contains(asked) {
                    of.push(asked.clone());
                }
            }
        }
        asking.of = of;
        asking.escalated.retain(|who| !gone.contains(who));
        asking.escalated.extend(new_then.iter().cloned());
        for (names, what) in [(&gone, "no longer asked"), (&new, "asked too"), (&new_then, "asked too")] {
            if !names.is_empty() {
                self.note(path, format!("by people.yaml as it is now, {what}: {}", names.join(", ")), None);
            }
        }
        let decision = || Some(defined.name.clone());
        if asking.rule == Rule::InOrder {
            // Whoever is up now hears of it.
            if turn(asking) != turn_of.as_ref() {
                asking.told = asking.votes.len();
            }
        } else if !new.is_empty() {
            self.effects.push(Effect::Tell { to: new, text: text.to_owned(), why: "asked", decision: decision() });
        }
        if !new_then.is_empty() {
            self.effects.push(Effect::Tell {
                to: new_then,
                text: text.to_owned(),
                why: "escalated",
                decision: decision(),
            });
        }
        let left = asking
            .of
            .iter()
            .chain(&asking.escalated)
            .filter(|who| !asking.votes.iter().any(|vote| vote.by == **who))
            .count();
        let needed = match asking.rule {
            Rule::AtLeast(needed) => {
                (needed as usize).saturating_sub(asking.votes.iter().filter(|vote| vote.approve).count())
            }
            Rule::One | Rule::All | Rule::InOrder => 1,
        };
        let open_group = asking.of.iter().any(|name| name.starts_with("group:"));
        if left < needed && !open_group && asking.escalated.is_empty() && outcome(asking).is_none() {
            let outcome = &defined.deadline_outcome;
            let text = format!(
                "Not enough people are left who may decide “{text}”: people.yaml does not name them any more. Without an answer its deadline decides: {outcome}."
            );
            let to = vec![self.sight.program.owner.clone()];
            self.effects.push(Effect::Tell { to, text, why: "notify", decision: None });
        }
    }

    /// When a wait of somebody is over that begins now, by that person's hours.
    fn clock(&self, who: &str, wait: Wait) -> Timestamp {
        let sight = self.sight;
        let own = sight.people.hours.get(who);
        let (calendar, zone) = own.map_or((sight.calendar, sight.zone), |(calendar, zone)| (calendar, zone));
        calendar::after(sight.now, wait, calendar, zone)
    }

    /// Whose clock rings now; it is wound anew. Nobody is reminded who is away, and everybody once they are back.
    fn reminded(&self, asking: &mut Asking, answered: &[String], every: Wait) -> Vec<String> {
        let now = self.sight.now;
        let waiting: Vec<String> = match turn(asking) {
            Some(next) => vec![next.clone()],
            None => asking.of.iter().filter(|person| !answered.contains(person)).cloned().collect(),
        };
        let before = asking.remind.take();
        asking.reminds.retain(|who, _| waiting.contains(who));
        let mut told = Vec::new();
        for who in waiting {
            let clock =
                asking.reminds.entry(who.clone()).or_insert_with(|| before.unwrap_or_else(|| self.clock(&who, every)));
            if now >= *clock {
                *clock = self.clock(&who, every);
                told.push(who);
            }
        }
        told.retain(|who| !self.sight.people.is_away(who, now));
        told
    }

    /// `vote` is the answer that made it.
    fn decided(&mut self, path: &str, at: usize, name: &str, approve: bool, vote: Vote) {
        let outcome = if approve { APPROVED } else { REJECTED };
        self.note(path, format!("{name} is {outcome}"), Some(&vote.by));
        let Vote { by, comment, fields, .. } = vote;
        let (outcome, at_now) = (outcome.to_owned(), self.sight.now);
        let decision = Decision { outcome, by: by.clone(), comment: comment.clone(), fields, at: at_now };
        self.state.decisions.insert(name.to_owned(), decision);
        self.effects.push(Effect::Close { name: name.to_owned(), approved: Some(approve), by, comment });
        self.go_to(at + 1);
    }
}

/// Who is named for a decision, and by which rule they answer.
fn who_decides(defined: &Approval) -> (&Vec<String>, Rule) {
    match &defined.of {
        Deciders::OneOf(who) => (who, Rule::One),
        Deciders::AllOf(who) => (who, Rule::All),
        Deciders::InOrder(who) => (who, Rule::InOrder),
        Deciders::SomeOf { who, at_least } => (who, Rule::AtLeast(*at_least)),
    }
}

/// What the answers come to, if they come to something: the outcome, and the answer that made it.
fn outcome(asking: &Asking) -> Option<(bool, &Vote)> {
    let last = asking.votes.last()?;
    let answer = |approve: bool| Some((approve, last));
    if asking.escalated.contains(&last.by) {
        return answer(last.approve);
    }
    let yes = asking.votes.iter().filter(|vote| vote.approve).count();
    let no = asking.votes.len() - yes;
    let open_group = asking.of.iter().any(|name| name.starts_with("group:"));
    match asking.rule {
        Rule::One => answer(last.approve),
        Rule::All | Rule::InOrder if no > 0 => answer(false),
        Rule::InOrder => (yes >= asking.of.len()).then(|| answer(true)).flatten(),
        Rule::All => (open_group || yes >= asking.of.len()).then(|| answer(true)).flatten(),
        Rule::AtLeast(needed) if yes >= needed as usize => answer(true),
        Rule::AtLeast(needed) => {
            // Where too few are left because people.yaml names fewer, that is no answer.
            let reachable = open_group || asking.of.len().saturating_sub(no) >= needed as usize;
            let against = asking.votes.iter().rfind(|vote| !vote.approve);
            against.filter(|_| !reachable).map(|vote| (false, vote))
        }
    }
}
