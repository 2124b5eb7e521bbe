//! What follows from what: one matter for a system that fails, however many integrations it stops.

use super::*;

/// Several integrations that are held up by one system are one matter: the system.
pub(super) fn gather_by_system(project: &Project, standing: &BTreeSet<String>, all: &mut Vec<Condition>) {
    let mut held: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, condition) in all.iter().enumerate() {
        let by_system =
            matches!(condition.kind, Kind::Late | Kind::Paused | Kind::NeedsPerson) && condition.cause.is_none();
        if by_system && !condition.system.is_empty() {
            held.entry(condition.system.clone()).or_default().push(at);
        }
    }
    for (system, found) in held {
        let key = format!("{}/{system}", Kind::SystemDown.word());
        let names: BTreeSet<&str> = found.iter().map(|at| all[*at].integration.as_str()).collect();
        if names.len() < 2 && !standing.contains(&key) {
            continue;
        }
        let names: Vec<&str> = names.into_iter().collect();
        let first = found.iter().map(|at| &all[*at]).min_by_key(|condition| condition.saying.since);
        let Some(first) = first else { continue };
        let severity = found.iter().map(|at| all[*at].saying.severity).max().unwrap_or(Severity::Warning);
        let error = first.saying.facts.iter().find(|(label, _)| label == "last error").cloned();
        let purposes =
            names.iter().filter_map(|name| project.integration(name)).map(|i| format!("{}: {}", i.name, i.purpose));
        let mut facts = vec![("held up".to_owned(), names.join(", "))];
        facts.extend(error);
        let saying = Saying {
            severity,
            title: format!("{system} holds up {} integrations", names.len()),
            text: format!("What does not happen meanwhile: {}", purposes.collect::<Vec<_>>().join(" ")),
            facts,
            command: format!("ironbridge systems check {system}"),
            since: first.saying.since,
        };
        for at in found {
            all[at].cause = Some(key.clone());
        }
        let integration = String::new();
        all.push(Condition { key, kind: Kind::SystemDown, integration, system, saying, cause: None });
    }
}

/// What is less than usual because of something else follows from it: of the same integration, or of one that fills its source.
pub(super) fn follow(project: &Project, all: &mut [Condition]) {
    let held: BTreeMap<String, String> = all
        .iter()
        .filter(|condition| matches!(condition.kind, Kind::Late | Kind::NotRun | Kind::NeedsPerson | Kind::Paused))
        .map(|condition| (condition.integration.clone(), condition.key.clone()))
        .collect();
    for condition in all.iter_mut().filter(|condition| matches!(condition.kind, Kind::FewRows | Kind::Slow)) {
        let upstream = || {
            let mine = project.integration(&condition.integration)?;
            let before = project
                .integrations
                .iter()
                .find(|other| other.name != mine.name && held.contains_key(&other.name) && fills(other, mine))?;
            held.get(&before.name)
        };
        condition.cause = held.get(&condition.integration).or_else(upstream).cloned();
    }
}

/// Whether one integration writes what another reads.
fn fills(one: &Integration, other: &Integration) -> bool {
    let to: Vec<&str> = match &one.pattern {
        Pattern::Batch(Batch { direction: definition::Direction::OneWay { to, .. }, .. }) => vec![to],
        Pattern::Batch(Batch { direction: definition::Direction::TwoWay { between, .. }, .. }) => {
            between.iter().map(String::as_str).collect()
        }
        Pattern::Event(event) => event.to.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let from: Vec<&str> = match &other.pattern {
        Pattern::Batch(Batch { direction: definition::Direction::OneWay { from, .. }, .. }) => vec![from],
        Pattern::Event(event) => vec![&event.from],
        _ => Vec::new(),
    };
    from.iter().any(|system| to.contains(system))
        && other.entities().iter().any(|entity| one.entities().contains(entity))
}
