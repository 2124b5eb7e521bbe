//! Rules that are broken knowingly: `accept:` takes what they report out of the errors, with the reason, until a day.

use jiff::civil::Date;
use record::Code;

use crate::codes;
use crate::decoded::{Data, Group};
use crate::diagnostic::{Diagnostic, Severity};
use crate::files::{FileId, Files, Span};
use crate::load::Draft;

/// A finding that somebody accepted.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub diagnostic: Diagnostic,
    pub because: String,
    /// The last day.
    pub until: Option<Date>,
    /// Where it is accepted: `integrations/orders.yaml:14`.
    pub place: String,
}

impl Accepted {
    /// The finding as JSON, with the reason for which it was accepted.
    pub fn to_json(&self, files: &Files) -> serde_json::Value {
        let mut json = self.diagnostic.to_json(files);
        json["severity"] = "accepted".into();
        json["accepted"] = serde_json::json!({
            "because": self.because, "until": self.until.map(|date| date.to_string()), "place": self.place,
        });
        json
    }
}

/// On one line: what, where, until when and why.
impl std::fmt::Display for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let until = self.until.map_or(String::new(), |until| format!(" until {until}"));
        let Diagnostic { code, title, .. } = &self.diagnostic;
        write!(f, "{code} accepted{until}: {title} ({}): {}", self.place, self.because)
    }
}

/// The rules that can be accepted, and whether only until a day. Every other rule guards what no reason makes safe.
pub const ACCEPTABLE: &[(Code, bool)] = &[
    (codes::FLOW_VOLUME, true),
    (codes::CRITICAL_FLOW, true),
    (codes::UNREPEATABLE, false),
    (codes::SAYS_NOTHING, true),
    (codes::PLAIN_SECRET, false),
    (codes::VERBATIM, false),
    (codes::BY_ADDRESS, true),
    (codes::TIGHT_SCHEDULE, true),
    (codes::MOVED_AWAY, true),
    (codes::AGAINST_DECISION, true),
];

/// One line of an `accept:`.
struct Acceptance<'d> {
    code: &'d str,
    group: &'d Group,
    at: Span,
    /// What it holds for: a piece of one file; for the hub's, everything that stands in no other definition.
    scope: Option<(FileId, u32, u32)>,
}

/// Takes what is accepted out of the diagnostics. An acceptance that is over leaves the error, and says so.
///
/// `today` is nothing where a day must not decide: a hub that runs is not stopped by a date.
pub(crate) fn apply(
    draft: &Draft,
    files: &Files,
    today: Option<Date>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Accepted> {
    let groups: Vec<&Group> = draft
        .systems
        .iter()
        .map(|(group, _)| group)
        .chain(&draft.entities)
        .chain(&draft.integrations)
        .chain(&draft.decisions)
        .collect();
    let mut all: Vec<Acceptance<'_>> = Vec::new();
    for group in &groups {
        let until = groups
            .iter()
            .filter(|other| other.at.file == group.at.file && other.at.start > group.at.start)
            .map(|other| other.at.start)
            .min();
        let scope = (group.at.file, group.at.start, until.unwrap_or(u32::MAX));
        all.extend(of(group, Some(scope)));
    }
    all.extend(of(&draft.hub, None));
    all.retain(|acceptance| can_be_accepted(acceptance, diagnostics));
    let in_a_definition = |span: Span| groups.iter().any(|group| group.at.file == span.file);
    let holds = |acceptance: &Acceptance<'_>, diagnostic: &Diagnostic| {
        let Some(span) = diagnostic.span.filter(|_| diagnostic.code.0 == acceptance.code) else { return false };
        match acceptance.scope {
            Some((file, from, until)) => span.file == file && (from..until).contains(&span.start),
            None => !in_a_definition(span),
        }
    };
    let mut used = vec![false; all.len()];
    let mut accepted = Vec::new();
    let mut left = Vec::with_capacity(diagnostics.len());
    for mut diagnostic in std::mem::take(diagnostics) {
        let Some(at) = all.iter().position(|acceptance| holds(acceptance, &diagnostic)) else {
            left.push(diagnostic);
            continue;
        };
        used[at] = true;
        let Acceptance { group, at, .. } = &all[at];
        let because = group.text("because").unwrap_or_default().to_owned();
        let until = match group.get("until") {
            Some(Data::Date(date)) => Some(*date),
            _ => None,
        };
        match (until, today) {
            (Some(until), Some(today)) if today > until => {
                diagnostic.severity = Severity::Error;
                diagnostic.notes.push(format!("it was accepted until {until}: {because}"));
                diagnostic.secondary.push(crate::diagnostic::Secondary { span: *at, label: "that is over".to_owned() });
                left.push(diagnostic);
            }
            _ => accepted.push(Accepted { diagnostic, because, until, place: files.line_of(*at) }),
        }
    }
    *diagnostics = left;
    // Where something is broken, or nothing was measured, what an acceptance is for may not have been looked at.
    let whole = diagnostics.iter().all(|diagnostic| diagnostic.severity == Severity::Warning);
    for (acceptance, _) in all.iter().zip(used).filter(|(_, used)| whole && !used) {
        if [codes::TIGHT_SCHEDULE, codes::MOVED_AWAY].iter().any(|code| code.0 == acceptance.code) {
            continue;
        }
        diagnostics.push(
            Diagnostic::warning(codes::NOT_ACCEPTABLE, format!("nothing here breaks {} any more", acceptance.code))
                .at(acceptance.at, "accepted here")
                .help("remove this line, so that the next time is noticed"),
        );
    }
    accepted
}

fn of(group: &Group, scope: Option<(FileId, u32, u32)>) -> impl Iterator<Item = Acceptance<'_>> {
    group.named("accept").iter().filter_map(move |entry| {
        Some(Acceptance { code: &entry.name, group: entry.value.group()?, at: entry.key, scope })
    })
}

fn can_be_accepted(acceptance: &Acceptance<'_>, diagnostics: &mut Vec<Diagnostic>) -> bool {
    let Some((_, only_until)) = ACCEPTABLE.iter().find(|(code, _)| code.0 == acceptance.code) else {
        let known = codes::ALL.iter().find(|(code, _)| code.0 == acceptance.code);
        let (title, label) = match known {
            Some((_, title)) => (format!("{} cannot be accepted", acceptance.code), title.to_string()),
            None => (format!("there is no rule `{}`", acceptance.code), "no rule has this code".to_owned()),
        };
        let codes: Vec<&str> = ACCEPTABLE.iter().map(|(code, _)| code.0).collect();
        diagnostics.push(
            Diagnostic::error(codes::NOT_ACCEPTABLE, title)
                .at(acceptance.at, label)
                .note(format!("rules that can be accepted: {}", codes.join(", ")))
                .help("remove it, and do what `ironbridge explain` says of the rule"),
        );
        return false;
    };
    if *only_until && !acceptance.group.says("until") && !acceptance.group.is_broken() {
        diagnostics.push(
            Diagnostic::error(codes::NOT_ACCEPTABLE, format!("{} is accepted without an end", acceptance.code))
                .at(acceptance.at, "`until:` is missing")
                .help("add the day by which it will be put right, for example `until: 2027-03-31`"),
        );
        return false;
    }
    true
}
