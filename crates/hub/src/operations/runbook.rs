//! The runbook of an integration: one page from its definition and its live state, with the team's notes, as Markdown.
//!
//! Every line of a code block that begins with `ironbridge` is a command that can be typed as it stands.

mod alerts;
mod facts;
mod how;

use std::ops::Range;

use definition::{Integration, Pattern, Project};
use jiff::Timestamp;
use store::alerts::Alert;
use store::approvals::Approval;
use store::looks::Look;
use store::pauses::Pause;
use store::{Error, Store};

use super::conditions::moment;
use super::facts::{Disk, Expiring, Gatherer, Known, Machine};
use super::kind::Kind;
use crate::schedule;

/// How an integration stands, as its runbook tells it.
#[derive(Debug, Clone)]
pub struct Live {
    pub now: Timestamp,
    /// Somebody sees to it that what is due happens.
    pub is_up: bool,
    pub known: Known,
    pub pause: Option<Pause>,
    pub next: Option<Timestamp>,
    /// The open alerts about it and its systems.
    pub alerts: Vec<Alert>,
    /// Its questions that nobody has answered.
    pub approvals: Vec<Approval>,
    /// Its systems that did not answer when they were asked last.
    pub silent: Vec<Look>,
}

/// Nothing is asked of the machine for a page.
struct Nothing;

impl Machine for Nothing {
    fn disk(&self) -> Option<Disk> {
        None
    }

    fn expiring(&self) -> Vec<Expiring> {
        Vec::new()
    }
}

/// How an integration stands now.
///
/// *Errors*: of our own state.
pub fn live(project: &Project, store: &Store, integration: &Integration) -> Result<Live, Error> {
    let now = store.clock().now();
    let facts = Gatherer::default().gather(project, store, &Nothing, now)?;
    let name = &integration.name;
    let approvals = facts.approvals.iter().filter(|approval| approval.integration == *name).cloned().collect();
    let known = facts.integrations.into_iter().find(|known| known.name == *name).unwrap_or_default();
    let pause = store.pauses()?.into_iter().find(|pause| pause.integration == *name);
    let next = match &integration.pattern {
        Pattern::Batch(batch) if pause.is_none() => schedule::next(&batch.schedule, &project.hub.time_zone, now),
        _ => None,
    };
    let mut alerts = store.open_alerts()?;
    let systems = integration.systems();
    alerts.retain(|alert| {
        alert.integration == *name || alert.integration.is_empty() && systems.contains(&alert.system.as_str())
    });
    let silent = facts.silent.into_iter().filter(|look| systems.contains(&look.system.as_str())).collect();
    Ok(Live { now, is_up: store.is_up(), known, pause, next, alerts, approvals, silent })
}

/// The page. `live` is left out where nothing has run yet; `notes` is what stands in `runbooks/<name>.md`.
pub fn page(project: &Project, integration: &Integration, live: Option<&Live>, notes: Option<&str>) -> String {
    let notes = Notes::of(notes.unwrap_or_default());
    let name = &integration.name;
    let mut out = format!("# {name}\n\n{}\n\n", integration.purpose);
    facts::write(&mut out, project, integration);
    if let Some(live) = live {
        now(&mut out, project, integration, live);
    }
    how::write(&mut out, project, integration, live);
    out += "## Alerts\n\nWhat rings, when, and what to do then.\n\n";
    for kind in Kind::ALL.into_iter().filter(|kind| kind.applies(project, integration)) {
        alerts::write(&mut out, project, integration, kind, live);
        if let Some(notes) = notes.of_alert(kind) {
            out += &format!("**The team's notes:**\n\n{}\n\n", notes.trim());
        }
    }
    facts::whom(&mut out, project, integration);
    if !notes.rest.trim().is_empty() {
        out += &format!("## The team's notes\n\n{}\n", notes.rest.trim());
    } else {
        out += &format!(
            "## The team's notes\n\nThere are none. Write them into `runbooks/{name}.md`: what stands there under a heading like one of the alerts above goes beside that alert, and the rest here.\n"
        );
    }
    out
}

/// The headings of a team's notes that say that they are about an alert, and that there is none of that name.
///
/// *Shape*: where each stands in the text, and what it says, without `#`.
pub fn strange_sections(project: &Project, integration: &Integration, notes: &str) -> Vec<(Range<usize>, String)> {
    let known =
        |heading: &str| Kind::ALL.into_iter().any(|kind| is_about(heading, kind) && kind.applies(project, integration));
    let (mut found, mut fenced, mut start) = (Vec::new(), false, 0);
    for line in notes.split_inclusive('\n') {
        fenced ^= line.trim_start().starts_with("```");
        let of_alert = |heading: &&str| heading.to_lowercase().starts_with("alert:") && !known(heading);
        if let Some(heading) = heading(line.trim_end()).filter(|_| !fenced).filter(of_alert) {
            found.push((start..start + line.trim_end().len(), heading.to_owned()));
        }
        start += line.len();
    }
    found
}

/// A heading of Markdown, without its marks.
fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    (rest.len() < line.len() && rest.starts_with(' ')).then(|| rest.trim())
}

/// Whether a heading of the team's is about this kind of alert: by its word or by its heading in the runbook.
fn is_about(heading: &str, kind: Kind) -> bool {
    let heading = heading.to_lowercase();
    let name = heading.strip_prefix("alert:").unwrap_or(&heading).trim();
    name == kind.word() || name == kind.heading().to_lowercase()
}

/// The team's notes: those about an alert, and the rest. *Shape*: nothing is left out.
#[derive(Debug, Default)]
struct Notes {
    of_alerts: Vec<(Kind, String)>,
    rest: String,
}

impl Notes {
    fn of(text: &str) -> Notes {
        let mut notes = Notes::default();
        let (mut at, mut fenced) = (None::<Kind>, false);
        for line in text.lines() {
            fenced ^= line.trim_start().starts_with("```");
            if let Some(heading) = heading(line).filter(|_| !fenced) {
                let level = line.len() - line.trim_start_matches('#').len();
                let about = Kind::ALL.into_iter().find(|kind| is_about(heading, *kind));
                // A heading below it belongs to it still.
                if about.is_some() || level <= 2 || at.is_none() {
                    at = about;
                    if let Some(kind) = about {
                        notes.of_alerts.push((kind, String::new()));
                        continue;
                    }
                }
            }
            let text = match at {
                Some(_) => &mut notes.of_alerts.last_mut().expect("it was just opened").1,
                None => &mut notes.rest,
            };
            // Our own page has the first two levels.
            let deeper = if heading(line).is_some() && !fenced && !line.starts_with("###") { "##" } else { "" };
            *text += &format!("{deeper}{line}\n");
        }
        notes
    }

    fn of_alert(&self, kind: Kind) -> Option<&str> {
        self.of_alerts
            .iter()
            .find(|(of, _)| *of == kind)
            .map(|(_, text)| text.as_str())
            .filter(|t| !t.trim().is_empty())
    }
}

fn now(out: &mut String, project: &Project, integration: &Integration, live: &Live) {
    let zone = &project.hub.time_zone;
    let known = &live.known;
    // On paper it gets old.
    *out += &format!("## Now\n\nAs of {} {}.\n\n", moment(live.now, zone), live.now.to_zoned(zone.clone()).year());
    for alert in &live.alerts {
        let acked = alert.acked_by.as_ref().map_or(String::new(), |by| format!(" ({by} looks at it)"));
        let over = if alert.gone.is_some() { ", over unless it comes back" } else { "" };
        *out += &format!(
            "- **{}**: {} since {}{over}{acked}\n",
            alert.saying.severity,
            alert.saying.title,
            moment(alert.saying.since, zone)
        );
    }
    if live.alerts.is_empty() {
        *out += "- No alert is open.\n";
    }
    if let Some(pause) = &live.pause {
        let until = pause.until.map_or(String::new(), |until| format!(" until {}", moment(until, zone)));
        *out += &format!("- Paused{until} by {}: {}\n", pause.by, pause.note);
    }
    match &known.last {
        Some(run) => {
            let counts = run.counts;
            *out += &format!(
                "- Run {} ({}) began at {}: {} read, {} written, {} rejected.\n",
                run.id,
                run.state.as_str().replace('_', " "),
                moment(run.started, zone),
                counts.read,
                counts.written(),
                counts.rejected
            );
            if let Some(error) = &run.error {
                *out += &format!("- Its error: {} ({})\n", error.text, error.code);
            }
        }
        None if matches!(integration.pattern, Pattern::Batch(_)) => *out += "- It has never run.\n",
        None => {}
    }
    if !live.is_up {
        *out += "- `ironbridge up` does not run on this folder: nothing happens by itself.\n";
    } else if let Some(next) = live.next {
        *out += &format!("- The next run is due at {}.\n", moment(next, zone));
    }
    for look in &live.silent {
        let Some(silence) = look.silence() else { continue };
        let (system, does, since) = (&look.system, silence.does(), moment(look.since, zone));
        *out += &format!("- {system} {does} since {since}: {}\n", silence.what);
    }
    for outage in &known.outages {
        let what = match integration.pattern {
            Pattern::Virtual(_) => "Whoever looks gets an error".to_owned(),
            _ => format!("Nothing gets through to {}", outage.system),
        };
        *out += &format!("- {what} since {}: {}\n", moment(outage.since, zone), outage.what);
    }
    for backlog in &known.backlog {
        let waiting = counted(backlog.waiting, "message waits", "messages wait");
        *out += &format!("- {waiting} for {}.\n", backlog.to);
        if backlog.held > 0 {
            let held = counted(backlog.held, "more is held", "more are held");
            *out += &format!("- {held} until somebody deals with the dead letter of its record.\n");
        }
    }
    if let Pattern::Flow(flow) = &integration.pattern {
        *out += &format!("- It has started {} times in a day; its ceiling is {}.\n", known.started, flow.ceiling);
        if known.held > 0 {
            *out += &format!("- {} held until there is room.\n", counted(known.held, "start is", "starts are"));
        }
        if let Some(stuck) = &known.stuck {
            *out += &format!("- {} go on.\n", counted(stuck.instances, "instance cannot", "instances cannot"));
        }
    }
    for approval in &live.approvals {
        let asked = moment(approval.asked, zone);
        *out += &format!("- Approval {} waits for {} since {asked}.\n", approval.id, approval.asked_of);
    }
    *out += &format!("- {}.\n\n", counted(known.letters, "dead letter waits", "dead letters wait"));
}

/// `1 dead letter waits`, `7 dead letters wait`.
pub(crate) fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_of_an_alert_that_there_is_none_is_found_where_it_stands() {
        let files = [
            ("ironbridge.yaml", "hub: contoso\n".to_owned()),
            ("people.yaml", "groups: { it: { email: it@contoso.example } }\n".into()),
            ("entities/thing.yaml", "entity: thing\nkey: number\nfields: { number: { type: text, max_length: 20 } }\n".into()),
            ("systems/a.yaml", "system: a\nkind: sqlite\nowner: it\nconnection: { file: a.db }\nentities: { thing: { table: t, read: { number: n } } }\n".into()),
            ("systems/b.yaml", "system: b\nkind: sqlite\nowner: it\nconnection: { file: b.db }\nentities: { thing: { table: t, alternate_key: n, write: { n: number } } }\n".into()),
            ("integrations/things.yaml", "integration: things\npattern: batch\nentity: thing\nfrom: a\nto: b\nschedule: every 15 minutes\nowner: it\npurpose: A test.\n".into()),
        ];
        let kinds: Vec<_> = connectors::registry::kinds().collect();
        let options = definition::LoadOptions { kinds: &kinds, ..definition::LoadOptions::default() };
        let loaded = definition::load_files(files.iter().map(|(name, text)| (*name, text.as_str())), &options);
        let project = loaded.project.clone().unwrap_or_else(|| panic!("{}", loaded.render(false, 100)));
        let things = project.integration("things").unwrap();
        let notes = "# Things\n\n## Alert: late\n\n```\n## Alert: in an example\n```\n\n## Alert: backlog\n\nÄh.\n\n### alert: nothing  \n";
        let found: Vec<(&str, String)> =
            strange_sections(&project, things, notes).into_iter().map(|(at, heading)| (&notes[at], heading)).collect();
        // A batch has no backlog.
        let expected =
            [("## Alert: backlog", "Alert: backlog".to_owned()), ("### alert: nothing", "alert: nothing".to_owned())];
        assert_eq!(found, expected);
        // And every alert that can ring has its section.
        let page = page(&project, things, None, None);
        for kind in Kind::ALL.into_iter().filter(|kind| kind.applies(&project, things)) {
            assert!(page.contains(&format!("### {} {{#{}}}", kind.heading(), kind.word())), "{kind:?}");
        }
    }

    #[test]
    fn notes_of_an_alert_go_beside_it_and_nothing_is_lost() {
        let text = "# Prices\n\nAsk Ann (sample).\n\n## The result is late\n\nCall the supplier.\n\n### Numbers\n\nIn the drawer.\n\n```\n# no heading\n```\n\n## Afterwards\n\nHave tea.\n\n## Alert: dead-letters\n\nMostly units.\n";
        let notes = Notes::of(text);
        assert_eq!(
            notes.of_alert(Kind::Late).unwrap().trim(),
            "Call the supplier.\n\n### Numbers\n\nIn the drawer.\n\n```\n# no heading\n```"
        );
        assert_eq!(notes.of_alert(Kind::DeadLetters).unwrap().trim(), "Mostly units.");
        assert_eq!(notes.rest.trim(), "### Prices\n\nAsk Ann (sample).\n\n#### Afterwards\n\nHave tea.");
    }
}
