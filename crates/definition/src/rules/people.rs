//! Whoever is named can be reached.

use std::collections::BTreeSet;

use crate::codes;
use crate::decoded::{Data, Group};
use crate::diagnostic::{Diagnostic, Severity};
use crate::load::Draft;
use crate::model::{Project, Way};
use crate::table::Thing;

const WAYS: &[&str] = &["email", "teams", "slack", "webhook", "pagerduty"];

pub(crate) fn check(draft: &Draft, project: &Project, diagnostics: &mut Vec<Diagnostic>) {
    groups(&draft.people, project, diagnostics);
    managers(&draft.people, diagnostics);
    calendar(&draft.hub, diagnostics);
    for of in ["people", "groups"] {
        draft
            .people
            .named(of)
            .iter()
            .filter_map(|entry| entry.value.group())
            .for_each(|one| calendar(one, diagnostics));
    }
    owners(draft, diagnostics);
}

/// An alert of each integration gets through to somebody.
pub(crate) fn unheard(draft: &Draft, project: &Project, diagnostics: &mut Vec<Diagnostic>) {
    if diagnostics.iter().any(|found| found.severity == Severity::Error) {
        return;
    }
    if draft.names.incomplete() || draft.hub.is_broken() || draft.people.is_broken() || draft.hub.text("hub").is_none()
    {
        return;
    }
    let ways = |who: &str| project.ways(who);
    let everywhere: Vec<_> = project.hub.alerts.iter().flat_map(|route| &route.to).flat_map(|who| ways(who)).collect();
    let mut without_mail = Vec::new();
    for integration in &draft.integrations {
        let Some(owner) = integration.text("owner").filter(|owner| draft.names.has(Thing::Who, owner)) else {
            continue;
        };
        let ways: Vec<_> = ways(owner).into_iter().chain(everywhere.iter().copied()).collect();
        if ways.iter().any(|(_, lacks)| lacks.is_none()) {
            continue;
        }
        if project.hub.mail.is_none() && ways.iter().any(|(way, _)| *way == Way::Email) {
            without_mail.push(integration.text("integration").unwrap_or_default());
            continue;
        }
        diagnostics.push(
            Diagnostic::error(codes::UNHEARD, "nobody would hear of an alert of this integration")
                .at(integration.at("owner"), format!("no way to `{owner}` leads anywhere"))
                .help("give the group an address in people.yaml: `email:`, `teams:`, `slack:`, `webhook:` or `pagerduty:`"),
        );
    }
    if without_mail.is_empty() {
        return;
    }
    let what = "no mail leaves this hub, so alerts reach nobody";
    // Where people work with it, it must ring.
    let protected = draft.environment.as_ref().is_some_and(|environment| environment.protected);
    let diagnostic = match protected {
        true => Diagnostic::error(codes::UNHEARD, what),
        false => Diagnostic::warning(codes::UNHEARD, what),
    };
    diagnostics.push(
        diagnostic
            .at(draft.hub.at("hub"), "there is no `mail:` beside it")
            .note(format!("of: {}", without_mail.join(", ")))
            .help("add `mail: { server: \"${env:MAIL_SERVER}\", from: hub@contoso.example }`, or another way in people.yaml"),
    );
}

/// A failure of each integration reaches somebody: its owner, or a route of the hub.
fn owners(draft: &Draft, diagnostics: &mut Vec<Diagnostic>) {
    let routes_reach = draft.names.incomplete()
        || draft.hub.is_broken()
        || draft.hub.text("hub").is_none()
        || draft.hub.list("alerts").iter().any(|route| match route.group() {
            Some(route) => route.texts("to").iter().any(|(who, _)| draft.names.has(Thing::Who, who)),
            None => true,
        })
        || matches!(draft.hub.get("alerts"), Some(Data::Broken));
    if routes_reach {
        uncovered(draft, diagnostics);
        return;
    }
    for integration in &draft.integrations {
        let Some(owner) = integration.text("owner") else { continue };
        if draft.names.has(Thing::Owner, owner) {
            continue;
        }
        diagnostics.push(
            Diagnostic::error(codes::NOBODY, "nobody would hear of a failure of this integration")
                .at(integration.at("owner"), "no person or group of people.yaml, and the hub has no `alerts:`")
                .help(format!("add to people.yaml: `groups: {{ {owner}: {{ email: {owner}@contoso.example }} }}`")),
        );
    }
}

/// Where an owner has no address, the routes of the hub are all there is: somebody hears of each severity at each hour.
fn uncovered(draft: &Draft, diagnostics: &mut Vec<Diagnostic>) {
    let whole = !draft.names.incomplete() && !draft.hub.is_broken() && !draft.people.is_broken();
    let nobody = |group: &&Group| group.text("owner").is_some_and(|owner| !draft.names.has(Thing::Owner, owner));
    let Some(integration) = draft.integrations.iter().find(nobody).filter(|_| whole) else { return };
    let routes: Vec<&Group> = draft.hub.list("alerts").iter().filter_map(|route| route.group()).collect();
    // A name that does not exist is a mistake of its own, and reported as that.
    if routes.iter().any(|route| route.texts("to").iter().any(|(who, _)| !draft.names.has(Thing::Who, who))) {
        return;
    }
    for severity in ["critical", "warning"] {
        let heard = |minute: i16| {
            routes.iter().filter(|route| route.texts("severity").iter().any(|(text, _)| *text == severity)).any(
                |route| match route.get("between") {
                    Some(Data::Hours(hours)) => within(hours, minute),
                    _ => true,
                },
            )
        };
        let Some(silent) = (0..1_440).find(|minute| !heard(*minute)) else { continue };
        let owner = integration.text("owner").unwrap_or_default();
        diagnostics.push(
            Diagnostic::warning(
                codes::NOBODY,
                format!("at {:02}:{:02} nobody hears of a {severity} alert", silent / 60, silent % 60),
            )
            .at(integration.at("owner"), "no person or group of people.yaml, so only the routes of the hub are left")
            .note("the routes under `alerts:` in ironbridge.yaml leave hours or severities out")
            .help(format!("add `{owner}` to people.yaml, or a route without `between:` for `{severity}`")),
        );
        return;
    }
}

/// Whether a minute of the day is within hours that may pass midnight.
fn within(hours: &crate::units::Hours, minute: i16) -> bool {
    let of = |time: jiff::civil::Time| i16::from(time.hour()) * 60 + i16::from(time.minute());
    let (from, until) = (of(hours.from), of(hours.until));
    if from <= until { (from..until).contains(&minute) } else { minute >= from || minute < until }
}

fn groups(people: &Group, project: &Project, diagnostics: &mut Vec<Diagnostic>) {
    for entry in people.named("groups") {
        let Some(group) = entry.value.group() else { continue };
        let known = matches!(group.get("members"), Some(Data::List(_)));
        let broken = group.entries.iter().any(|entry| matches!(entry.value.data, Data::Broken));
        let ways = WAYS.iter().any(|way| group.entry(way).is_some());
        if known && !broken && group.list("members").is_empty() && !ways {
            diagnostics.push(
                Diagnostic::error(codes::NOBODY, format!("the group `{}` reaches nobody", entry.name))
                    .at(entry.key, "it has no members and no address")
                    .help("add `members: [name]`, or `email:`, `teams:`, `slack:`, `webhook:` or `pagerduty:`"),
            );
        }
        for (channel, at) in group.texts("channels") {
            let by_members = channel == "email" && !project.addresses(&format!("group:{}", entry.name)).is_empty();
            if group.entry(channel).is_none() && !by_members && !broken {
                // Teams reaches members by their address as well.
                if channel == "teams" && !group.list("members").is_empty() {
                    continue;
                }
                diagnostics.push(
                    Diagnostic::error(
                        codes::NOBODY,
                        format!("the group `{}` has no address for {channel}", entry.name),
                    )
                    .at(at, format!("neither `{channel}:` nor `members:` with one"))
                    .help(format!("add `{channel}: …` to the group, or take {channel} out of `channels`")),
                );
            }
        }
    }
}

/// Escalation follows managers, and must end.
fn managers(people: &Group, diagnostics: &mut Vec<Diagnostic>) {
    let manager = |name: &str| {
        people
            .named("people")
            .iter()
            .find(|entry| &*entry.name == name)
            .and_then(|entry| entry.value.group())
            .and_then(|person| person.text("manager"))
    };
    let mut reported = BTreeSet::new();
    for entry in people.named("people") {
        let mut path = vec![&*entry.name];
        while let Some(next) = manager(path[path.len() - 1]) {
            if let Some(start) = path.iter().position(|name| *name == next) {
                let circle = &path[start..];
                if circle.iter().all(|name| reported.insert((*name).to_owned())) && start == 0 {
                    let Some(person) = entry.value.group() else { break };
                    let mut words = circle.to_vec();
                    words.push(next);
                    diagnostics.push(
                        Diagnostic::error(codes::CIRCLE, "managers go round in a circle")
                            .at(person.at("manager"), words.join(" -> "))
                            .help("leave out `manager:` of the person at the top"),
                    );
                }
                break;
            }
            path.push(next);
        }
    }
}

fn calendar(of: &Group, diagnostics: &mut Vec<Diagnostic>) {
    let Some(calendar) = of.group("calendar") else { return };
    if let Some(Data::List(days)) = calendar.get("working_days")
        && days.is_empty()
    {
        diagnostics.push(
            Diagnostic::error(codes::BAD_CALENDAR, "nobody ever works")
                .at(calendar.at("working_days"), "no day is in here")
                .help("write it like `working_days: [mon, tue, wed, thu, fri]`"),
        );
    }
    if let Some(Data::Hours(hours)) = calendar.get("working_hours")
        && hours.until < hours.from
    {
        diagnostics.push(
            Diagnostic::error(codes::BAD_CALENDAR, "the working day ends before it starts")
                .at(calendar.at("working_hours"), "the second time is before the first")
                .help("write it like `working_hours: \"09:00-17:30\"`"),
        );
    }
}
