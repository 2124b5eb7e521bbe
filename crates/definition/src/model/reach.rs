//! Who can be told, and by which ways.

use jiff::tz::TimeZone;

use super::{Calendar, Group, OwnCalendar, Project};

/// A way to tell somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    Email,
    Teams,
    Slack,
    Webhook,
    PagerDuty,
}

impl Way {
    pub const ALL: [Way; 5] = [Way::Email, Way::Teams, Way::Slack, Way::Webhook, Way::PagerDuty];

    /// The word in a definition.
    pub fn word(self) -> &'static str {
        match self {
            Way::Email => "email",
            Way::Teams => "teams",
            Way::Slack => "slack",
            Way::Webhook => "webhook",
            Way::PagerDuty => "pagerduty",
        }
    }

    pub fn of(word: &str) -> Option<Way> {
        Way::ALL.into_iter().find(|way| way.word() == word)
    }
}

impl Group {
    /// Where a way leads, as people.yaml has it; nothing for mail, which has several addresses.
    pub fn address(&self, way: Way) -> Option<&str> {
        match way {
            Way::Email => None,
            Way::Teams => self.teams.as_deref(),
            Way::Slack => self.slack.as_deref(),
            Way::Webhook => self.webhook.as_deref(),
            Way::PagerDuty => self.pagerduty.as_deref(),
        }
    }
}

impl Project {
    /// When somebody works, and by which clocks. Whoever people.yaml does not know works as the hub does.
    pub fn hours(&self, who: &str) -> (Calendar, TimeZone) {
        let own = self.own(who).and_then(|(calendar, _)| calendar.hours(&self.hub));
        own.unwrap_or_else(|| (self.hub.calendar.clone(), self.hub.time_zone.clone()))
    }

    /// Whether warnings wait for the working hours of somebody.
    pub fn warnings_wait(&self, who: &str) -> bool {
        self.own(who).is_none_or(|(_, always)| !always)
    }

    fn own(&self, who: &str) -> Option<(&OwnCalendar, bool)> {
        let name = who.strip_prefix("group:").unwrap_or(who);
        let group = self.groups.iter().find(|group| group.id == name);
        let person = || self.people.iter().find(|person| person.id == name);
        let own = group.map(|group| (&group.calendar, group.warned_always));
        own.or_else(|| person().map(|person| (&person.calendar, person.warned_always)))
    }

    /// The ways by which an owner or route is to be told, each with what it lacks, if it lacks something.
    ///
    /// *Shape*: without repeats; empty where people.yaml knows nobody of this name.
    pub fn ways(&self, who: &str) -> Vec<(Way, Option<&'static str>)> {
        let name = who.strip_prefix("group:").unwrap_or(who);
        let mailed = !self.addresses(who).is_empty();
        let no_mail = self.hub.mail.is_none().then_some("the hub has no `mail:` in ironbridge.yaml");
        let Some(group) = self.groups.iter().find(|group| group.id == name) else {
            return if mailed { vec![(Way::Email, no_mail)] } else { Vec::new() };
        };
        let wanted = |way: &Way| match group.channels.is_empty() {
            true => *way == Way::Email && mailed || group.address(*way).is_some(),
            false => group.channels.iter().any(|channel| channel == way.word()),
        };
        let lack = |way: Way| match way {
            Way::Email if !mailed => Some("nobody of the group has a mail address"),
            Way::Email => no_mail,
            way => group.address(way).is_none().then_some("the group has no address for it in people.yaml"),
        };
        Way::ALL.into_iter().filter(wanted).map(|way| (way, lack(way))).collect()
    }
}
