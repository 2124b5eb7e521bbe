//! `dead-letters weekly`: what the week brought, and who has not looked.

use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use store::dead_letters::{Group, group_name};

use crate::cli::{Cli, Format};
use crate::failure::Failure;
use crate::output::{moment, number};
use crate::{say, talk, wiring};

/// Groups that are named for each integration.
const NAMED: usize = 5;

pub fn weekly(cli: &Cli) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let now = store.clock().now();
    let week = now.checked_sub(SignedDuration::from_hours(7 * 24)).unwrap_or(now);
    let groups = store.dead_letter_groups(None, true, 1000)?;
    let eyes = hub::upkeep::waiting_for_eyes(&project, &store)?;
    let zone = &project.hub.time_zone;
    let mut items: Vec<Json> = Vec::new();
    for integration in &project.integrations {
        let of: Vec<&Group> = groups.iter().filter(|group| group.cause.integration == integration.name).collect();
        let waiting: Vec<&&Group> = of.iter().filter(|group| group.waiting > 0).collect();
        let new = of.iter().filter(|group| group.first_seen > week).count();
        if waiting.is_empty() && of.iter().all(|group| group.last_seen <= week) {
            continue;
        }
        let mine = eyes.iter().find(|eyes| eyes.integration == integration.name);
        let count: u64 = waiting.iter().map(|group| group.waiting).sum();
        let named = waiting.iter().take(NAMED).map(|group| {
            json!({
                "group": super::groups::id_of(&group.id), "code": group.cause.code, "message": group.cause.message, "waiting": group.waiting,
                "owner": group.owner, "hold_until": group.hold_until.map(|at| at.to_string()), "reviewed_by": group.reviewed_by,
            })
        });
        items.push(json!({
            "integration": integration.name, "owner": integration.owner, "waiting": count, "groups": waiting.len(),
            "new_causes": new, "not_looked_at": mine.map_or(0, |mine| mine.letters),
            "not_looked_at_since": mine.map(|mine| mine.since.to_string()), "due": mine.map(|mine| mine.due.to_string()),
            "overdue": mine.is_some_and(|mine| mine.due <= now), "waiting_groups": named.collect::<Vec<_>>(),
        }));
        if cli.format == Format::Json {
            continue;
        }
        let bold = anstyle::Style::new().bold();
        let plural = |n: u64, one: &str, many: &str| format!("{} {}", number(n), if n == 1 { one } else { many });
        say!(
            "{bold}{}{bold:#}: {} in {}, {} new this week",
            integration.name,
            match count {
                1 => "1 dead letter waits".to_owned(),
                n => format!("{} dead letters wait", number(n)),
            },
            plural(waiting.len() as u64, "group", "groups"),
            plural(new as u64, "cause is", "causes are")
        );
        match mine {
            Some(mine) if mine.due <= now => say!(
                "  {} has not looked at {} of them since {}, and should have by {}",
                mine.owner,
                number(mine.letters),
                moment(mine.since, zone),
                moment(mine.due, zone)
            ),
            Some(mine) => say!(
                "  {} has until {} to look at {} of them",
                mine.owner,
                moment(mine.due, zone),
                number(mine.letters)
            ),
            None if count > 0 => say!("  all of them have been looked at"),
            None => {}
        }
        for group in waiting.iter().take(NAMED) {
            let owner = group.owner.as_ref().map(|owner| format!(", {owner} sees to it")).unwrap_or_default();
            say!(
                "  {}  {}  {} {}{owner}",
                group_name(&group.id),
                number(group.waiting),
                group.cause.code,
                super::cut(&group.cause.message, 70)
            );
        }
    }
    if cli.format == Format::Json {
        say!("{:#}", json!({ "from": week.to_string(), "to": now.to_string(), "integrations": items }));
    } else if items.is_empty() {
        talk!("No dead letters wait, and none came this week.");
    }
    Ok(0)
}
