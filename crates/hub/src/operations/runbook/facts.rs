//! What an integration does and for whom: from its definition.

use std::time::Duration;

use definition::{Direction, Integration, Pattern, Project};
use jiff::SignedDuration;
use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use record::RetryPolicy;

use crate::events;

pub(super) fn write(out: &mut String, project: &Project, integration: &Integration) {
    *out += "## What it does and for whom\n\n";
    let mut rows: Vec<(&str, String)> = Vec::new();
    let entities = integration.entities().join(", ");
    match &integration.pattern {
        Pattern::Batch(batch) => {
            let way = match &batch.direction {
                Direction::OneWay { from, to } => format!("{entities}, from {from} to {to}"),
                Direction::TwoWay { between: [one, other], .. } => {
                    format!("{entities}, both ways between {one} and {other}")
                }
            };
            rows.push(("Moves", way));
            rows.push(("When", format!("{} ({})", batch.schedule, zone(project))));
            rows.push((
                "Needed by",
                match batch.needed_by {
                    Some(by) => format!("{by}; after that it is late"),
                    None => {
                        "nobody has said; it is late two periods after a run was due, an hour at least and four at most"
                            .to_owned()
                    }
                },
            ));
        }
        Pattern::Event(event) => {
            rows.push(("Moves", format!("{entities}, from {} to {}", event.from, event.to.join(", "))));
            rows.push(("When", "as soon as something happens".to_owned()));
            rows.push(("Why not a batch", event.because.clone()));
            if let Some(by) = event.needed_by {
                rows.push(("Needed by", format!("{by} after the event")));
            }
            let sweep = event.sweep.map_or("off".to_owned(), |every| format!("every {}", time(every)));
            rows.push(("Safety net", format!("a sweep for what was never sent: {sweep}")));
        }
        Pattern::Virtual(shown) => {
            rows.push(("Shows", format!("{entities} of {} in {}, live and read only", shown.from, shown.to)));
            rows.push(("When", "whenever somebody looks".to_owned()));
        }
        Pattern::Flow(flow) => {
            rows.push(("Decides", format!("{entities} in {}, with people", flow.in_)));
            rows.push(("Ceiling", format!("{} a day", flow.ceiling)));
        }
    }
    rows.push(("Owner", integration.owner.clone()));
    for name in integration.systems() {
        let Some(system) = project.system(name) else { continue };
        let mut about = system.kind.name.to_owned();
        if let Some(owner) = &system.owner {
            about += &format!(", owner {owner}");
        }
        if let Some(vendor) = &system.vendor {
            about += &format!(", {}", vendor.name);
            if let Some(until) = vendor.supported_until {
                about += &format!(", supported until {until}");
            }
        }
        rows.push(("System", format!("**{name}**: {about}")));
    }
    rows.push(("Definition", format!("`{}`", integration.origin.split(':').next().unwrap_or_default())));
    *out += "| | |\n|---|---|\n";
    for (label, value) in rows {
        *out += &format!("| {label} | {} |\n", value.replace('|', "\\|").replace('\n', " "));
    }
    out.push('\n');
    retries(out, integration);
}

/// What becomes of a failure by itself, with the arithmetic.
fn retries(out: &mut String, integration: &Integration) {
    match &integration.pattern {
        Pattern::Batch(batch) => {
            let policy = RetryPolicy::default();
            let again = match batch.retry_run {
                Some(every) => format!("the run has failed, and begins again after {} by itself", time(every)),
                None => "the run has failed, and the next one by the schedule begins".to_owned(),
            };
            *out += &format!(
                "**When something fails:** a call that fails for a while is tried again for up to {}, or as long as the other side asks. Then {again}. A row that is refused becomes a dead letter, and the run goes on; after {} rejected rows, or {} % of all, it stops.\n\n",
                time(policy.give_up_after),
                batch.stop_after.rejected,
                batch.stop_after.or.normalize()
            );
        }
        Pattern::Event(event) => {
            let after =
                if event.hold_key { "later events of its row wait behind it" } else { "later events of its row go on" };
            *out += &format!(
                "**When something fails:** a message that fails by itself: {}; {after}. While a destination takes nothing at all, everything waits, nothing is used up, and one message tries again every minute or sooner.\n\n",
                events::worst_case(event)
            );
        }
        Pattern::Virtual(shown) => {
            *out += &format!(
                "**When something fails:** whoever looks is told so after {}, and looks again.\n\n",
                time(shown.timeout)
            );
        }
        Pattern::Flow(_) => {
            *out += &format!(
                "**When something fails:** a step that fails for a while is tried {} times, over about a day. Then, or where only a person can mend it, its instance waits for somebody, and the others go on.\n\n",
                crate::flows::TRIES
            );
        }
    }
}

/// Whom to call.
pub(super) fn whom(out: &mut String, project: &Project, integration: &Integration) {
    *out += "## Whom to call\n\n| who | for what | how |\n|---|---|---|\n";
    let mut all = vec![(integration.owner.clone(), "the integration".to_owned())];
    for name in integration.systems() {
        let owner = project.system(name).and_then(|system| system.owner.clone());
        all.extend(owner.map(|owner| (owner, format!("the system {name}"))));
    }
    if let Pattern::Batch(batch) = &integration.pattern {
        all.extend(batch.approve.as_ref().map(|approve| (approve.by.clone(), "approvals of large runs".to_owned())));
        all.extend(batch.first_load.clone().map(|who| (who, "the approval of the first load".to_owned())));
    }
    for (who, what) in all {
        let mut how = project.addresses(&who);
        let ways = project.ways(&who).into_iter().map(|(way, _)| way.word()).filter(|way| *way != "email");
        how.extend(ways.map(str::to_owned));
        let how = if how.is_empty() { "people.yaml does not say".to_owned() } else { how.join(", ") };
        *out += &format!("| {who} | {what} | {how} |\n");
    }
    out.push('\n');
}

fn zone(project: &Project) -> String {
    project.hub.time_zone.iana_name().unwrap_or("UTC").to_owned()
}

/// A length of time in words: `4 minutes 3 seconds`.
pub(super) fn time(time: Duration) -> String {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    let words = SpanPrinter::new().designator(Designator::Verbose).spacing(Spacing::BetweenUnitsAndDesignators);
    words.duration_to_string(&SignedDuration::from_secs(time.as_secs()))
}
