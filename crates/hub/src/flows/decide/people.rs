//! Who is in which group, who a text means, and who answers for whom.

use std::collections::{BTreeMap, BTreeSet};

use definition::{Calendar, Project, Way};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use record::ValueRef;
use record::hash::RowHasher;

use crate::flows::state::Rule;

/// Somebody who is not there for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    pub person: String,
    pub from: Timestamp,
    pub until: Timestamp,
    /// Who answers instead.
    pub stand_in: Option<String>,
}

#[derive(Debug, Default, Clone)]
pub struct People {
    /// Members by group.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Groups with members that have a channel of their own besides, which all of them read.
    pub channels: BTreeSet<String>,
    /// E-mail addresses by id.
    pub people: BTreeMap<String, String>,
    pub away: Vec<Away>,
    /// When people work, of those for whom that is not as the hub has it.
    pub hours: BTreeMap<String, (Calendar, TimeZone)>,
}

impl People {
    pub fn of(project: &Project) -> People {
        let has_channel = |group: &&definition::Group| {
            let ways = project.ways(&group.id).into_iter();
            !group.members.is_empty() && ways.filter(|(_, lacks)| lacks.is_none()).any(|(way, _)| is_channel(way))
        };
        People {
            channels: project.groups.iter().filter(has_channel).map(|group| group.id.clone()).collect(),
            groups: project.groups.iter().map(|group| (group.id.clone(), group.members.clone())).collect(),
            people: project.people.iter().map(|person| (person.id.clone(), person.email.clone())).collect(),
            away: Vec::new(),
            hours: project
                .people
                .iter()
                .filter_map(|person| Some((person.id.clone(), person.calendar.hours(&project.hub)?)))
                .collect(),
        }
    }

    /// The people behind these names, without repeats. A group without members stays as it is: anybody may answer for it.
    /// Names that are not in people.yaml are nobody.
    pub(in crate::flows) fn resolve(&self, names: &[String]) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for name in names {
            let group = name.strip_prefix("group:").unwrap_or(name);
            match self.groups.get(group).filter(|_| !self.people.contains_key(name)) {
                Some(members) if !members.is_empty() => {
                    found.extend(members.iter().filter(|id| self.people.contains_key(*id)).cloned());
                }
                Some(_) => found.push(format!("group:{group}")),
                // Whoever people.yaml does not name any more.
                None if !self.people.contains_key(name) => {}
                None => found.push(name.clone()),
            }
        }
        without_repeats(&mut found);
        found
    }

    /// Another one wherever somebody comes, goes or changes groups.
    pub(in crate::flows) fn mark(&self) -> String {
        let names = self.people.keys().cloned();
        let groups = self.groups.iter().map(|(id, members)| format!("{id}: {}", members.join(" ")));
        let all: Vec<String> = names.chain(groups).collect();
        format!("{:032x}", RowHasher::default().hash(all.iter().map(|text| ValueRef::Text(text))))
    }

    /// The groups among these names that have a channel, as names of groups, without repeats.
    pub(super) fn channels_of(&self, names: &[String]) -> Vec<String> {
        let group = |name: &String| {
            let group = name.strip_prefix("group:").unwrap_or(name);
            (self.channels.contains(group) && !self.people.contains_key(name)).then(|| format!("group:{group}"))
        };
        let mut found: Vec<String> = names.iter().filter_map(group).collect();
        without_repeats(&mut found);
        found
    }

    /// The id of the person whom a text means: an id, or an e-mail address.
    pub(in crate::flows) fn person(&self, text: &str) -> String {
        let by_mail = self.people.iter().find(|(_, email)| email.eq_ignore_ascii_case(text));
        by_mail.map_or_else(|| text.to_owned(), |(id, _)| id.clone())
    }

    pub(super) fn is_away(&self, person: &str, now: Timestamp) -> bool {
        self.away.iter().any(|away| away.person == person && away.from <= now && now < away.until)
    }

    /// Who answers for somebody now: nobody who is away as well, and never `not`.
    fn stand_in(&self, person: &str, not: Option<&str>, now: Timestamp) -> Option<&str> {
        let away = |who: &str| self.away.iter().find(|away| away.person == who && away.from <= now && now < away.until);
        let instead = away(person)?.stand_in.as_deref()?;
        let may = self.people.contains_key(instead) && Some(instead) != not;
        (may && away(instead).is_none()).then_some(instead)
    }

    /// Puts those in who answer for somebody who is away; answers who was replaced by whom. `fixed` have answered. Where
    /// so many have to agree, nobody who is asked already counts for two.
    pub(super) fn stand_ins(
        &self,
        of: &mut Vec<String>,
        rule: Rule,
        not: Option<&str>,
        fixed: &[String],
        now: Timestamp,
    ) -> Vec<(String, String)> {
        let mut replaced = Vec::new();
        for at in 0..of.len() {
            let person = of[at].clone();
            let instead = self.stand_in(&person, not, now).filter(|_| !fixed.contains(&person));
            let counts_twice = |instead: &&str| matches!(rule, Rule::AtLeast(_)) && of.iter().any(|who| who == instead);
            if let Some(instead) = instead.filter(|instead| !counts_twice(instead)) {
                of[at] = instead.to_owned();
                replaced.push((person, instead.to_owned()));
            }
        }
        without_repeats(of);
        replaced
    }
}

/// Whether a way leads to where many read: not to mailboxes, and not to a pager.
pub fn is_channel(way: Way) -> bool {
    matches!(way, Way::Teams | Way::Slack | Way::Webhook)
}

fn without_repeats(names: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
}
