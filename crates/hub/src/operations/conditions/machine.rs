//! What can be wrong with the hub itself and with what it was given: secrets that end, a full disk, ways that take nothing.

use super::*;

pub(super) fn expiring(project: &Project, facts: &Facts, all: &mut Vec<Condition>) {
    let zone = &project.hub.time_zone;
    let today = facts.now.to_zoned(zone.clone()).date();
    for ends in &facts.expiring {
        let days = today.until(ends.on).map_or(0, |span| span.get_days());
        let (before, soon) = if ends.long { (183, 30) } else { (31, 7) };
        if days > before {
            continue;
        }
        let when = match days {
            ..=-1 => format!("ended on {}", ends.on),
            0 => "ends today".to_owned(),
            1 => "ends tomorrow".to_owned(),
            _ => format!("ends on {}, in {days} days", ends.on),
        };
        let used: Vec<&str> = project
            .integrations
            .iter()
            .filter(|integration| integration.systems().contains(&ends.system.as_str()))
            .map(|integration| integration.name.as_str())
            .collect();
        let text = match ends.long {
            true => format!("After that nobody mends what breaks there. It is used by {}.", list(&used)),
            // Of the hub itself.
            false if ends.system.is_empty() => {
                "After that neither Dynamics with its webhooks and virtual tables nor a browser speaks with the hub. Put the new one in its place, and start `ironbridge up` again.".to_owned()
            }
            false => {
                format!("After that {} is not reached any more, and this stands still: {}.", ends.system, list(&used))
            }
        };
        let from = ends.on.checked_sub(jiff::Span::new().days(before)).unwrap_or(ends.on);
        let since = from.to_zoned(zone.clone()).map_or(facts.now, |zoned| zoned.timestamp());
        let saying = Saying {
            severity: if days <= soon { Severity::Critical } else { Severity::Warning },
            title: match ends.system.as_str() {
                "" => format!("{} {when}", ends.what),
                system => format!("{system}: {} {when}", ends.what),
            },
            text,
            facts: vec![("ends".into(), ends.on.to_string())],
            command: match ends.system.as_str() {
                "" => "ironbridge explain IB1051".to_owned(),
                system => format!("ironbridge impact {system}"),
            },
            since,
        };
        all.push(Condition {
            key: format!("{}/{}/{}", Kind::Expiring.word(), ends.system, ends.what),
            kind: Kind::Expiring,
            integration: String::new(),
            system: ends.system.clone(),
            saying,
            cause: None,
        });
    }
}

pub(super) fn disk(facts: &Facts, rules: &Rules) -> Option<Condition> {
    let disk = facts.disk.filter(|disk| disk.free_bytes < rules.disk_bytes.max(disk.state_bytes))?;
    let megabytes = |bytes: u64| format!("{} MB", bytes >> 20);
    let saying = Saying {
        severity: if disk.free_bytes < rules.disk_critical_bytes { Severity::Critical } else { Severity::Warning },
        title: format!("the disk of the state folder has {} left", megabytes(disk.free_bytes)),
        text: "When it is full, the hub takes no more events and runs nothing. What is there already stays.".to_owned(),
        facts: vec![("free".into(), megabytes(disk.free_bytes)), ("state".into(), megabytes(disk.state_bytes))],
        command: "ironbridge explain IB0016".to_owned(),
        since: facts.now,
    };
    let key = Kind::Disk.word().to_owned();
    Some(Condition { key, kind: Kind::Disk, integration: String::new(), system: String::new(), saying, cause: None })
}

pub(super) fn notifiers(facts: &Facts, rules: &Rules, all: &mut Vec<Condition>) {
    for route in &facts.routes {
        let Some(failing) = route.failing else { continue };
        if failing.checked_add(rules.notifier).map_or(true, |then| then > facts.now) {
            continue;
        }
        let error = [route.code.as_deref(), route.what.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        let saying = Saying {
            severity: Severity::Critical,
            title: format!("notices to {} do not get through", route.name),
            text: "Whoever is told that way does not hear of anything at the moment. Notices are tried again for six hours; then they are dead letters.".to_owned(),
            facts: vec![("failures in a row".into(), route.failures.to_string()), ("last error".into(), error)],
            command: "ironbridge alerts test".to_owned(),
            since: failing,
        };
        let key = format!("{}/{}", Kind::Notifier.word(), route.name);
        all.push(Condition {
            key,
            kind: Kind::Notifier,
            integration: String::new(),
            system: String::new(),
            saying,
            cause: None,
        });
    }
}
