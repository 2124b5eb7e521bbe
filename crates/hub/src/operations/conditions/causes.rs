//! What follows from what: one matter for a system that fails, however many integrations it stops.

use store::looks::Look;

use super::*;
use crate::operations::routes::{HELD_UP, WAITS_FOR_IT};

/// A system that does not answer, and several integrations that are held up by one system, are one matter: the system.
pub(super) fn gather_by_system(
    project: &Project,
    facts: &Facts,
    rules: &Rules,
    standing: &BTreeSet<String>,
    all: &mut Vec<Condition>,
) {
    let mut held: BTreeMap<&str, Vec<usize>> = facts.silent.iter().map(|look| (&*look.system, Vec::new())).collect();
    for (at, condition) in all.iter().enumerate() {
        let by_system = matches!(condition.kind, Kind::Late | Kind::Paused | Kind::NotShown | Kind::NeedsPerson)
            && condition.cause.is_none();
        if let Some(system) = project.system(&condition.system).filter(|_| by_system) {
            held.entry(&system.name).or_default().push(at);
        }
    }
    for (system, found) in held {
        let silent = facts.silent.iter().find(|look| look.system == system);
        // Who was told to wait has not been told that it needs a person now.
        let refuses = silent.and_then(Look::silence).is_some_and(|silence| silence.person);
        let key = format!("{}/{system}{}", Kind::SystemDown.word(), if refuses { "/refused" } else { "" });
        let names: BTreeSet<&str> = found.iter().map(|at| all[*at].integration.as_str()).collect();
        // What was told by itself already is not told again as the system at once.
        let stands = standing.contains(&key) || found.iter().any(|at| !standing.contains(&all[*at].key));
        if names.len() < 2 && !silent.is_some_and(|look| stands || has_lasted(look, facts, rules)) {
            // One that a system holds up says so itself, unless people were told of the system before.
            if names.is_empty() || !standing.contains(&key) {
                continue;
            }
        }
        let held: Vec<&Condition> = found.iter().map(|at| &all[*at]).collect();
        // What nothing is wrong with yet needs a system that does not answer all the same.
        let mut waiting = if silent.is_some() { users(project, facts, system) } else { Vec::new() };
        waiting.retain(|name| !names.contains(name));
        let saying = saying(project, system, silent, &held, &waiting);
        for at in found {
            all[at].cause = Some(key.clone());
        }
        let (integration, system) = (String::new(), system.to_owned());
        all.push(Condition { key, kind: Kind::SystemDown, integration, system, saying, cause: None });
    }
}

/// The integrations that use a system, and that nobody has paused.
fn users<'p>(project: &'p Project, facts: &Facts, system: &str) -> Vec<&'p str> {
    let paused = |name: &str| facts.integrations.iter().any(|known| known.name == name && known.paused);
    let all = crate::looks::users(project, system).into_iter().map(|user| user.name.as_str());
    all.filter(|name| !paused(name)).collect()
}

/// Whether it is worth a person's time, though nothing is held up yet.
fn has_lasted(look: &Look, facts: &Facts, rules: &Rules) -> bool {
    let refused = look.silence().is_some_and(|silence| silence.person);
    let wait = if refused { rules.refused } else { rules.silent };
    look.since.checked_add(wait).is_ok_and(|then| then <= facts.now)
}

/// More purposes than this are counted: all names stand below.
const PURPOSES: usize = 5;

/// What is said of a system that does not answer, or holds something up; `waiting` is what needs it besides.
fn saying(project: &Project, system: &str, look: Option<&Look>, held: &[&Condition], waiting: &[&str]) -> Saying {
    let zone = &project.hub.time_zone;
    let names: BTreeSet<&str> = held.iter().map(|condition| condition.integration.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let silence = look.and_then(Look::silence);
    let holds = match names.as_slice() {
        [] => None,
        [one] => Some(format!("holds up {one}")),
        several => Some(format!("holds up {} integrations", several.len())),
    };
    let title = match (silence, holds) {
        (Some(silence), _) if silence.person => format!("{system} needs a person: {}", silence.what),
        (Some(_), None) => format!("{system} does not answer"),
        (Some(_), Some(holds)) => format!("{system} does not answer, and {holds}"),
        (None, holds) => format!("{system} {}", holds.unwrap_or_default()),
    };
    let purposes = |names: &[&str]| {
        let known = names.iter().take(PURPOSES).filter_map(|name| project.integration(name));
        let mut all: Vec<String> = known.map(|i| format!("{}: {}", i.name, i.purpose)).collect();
        if names.len() > PURPOSES {
            all.push(format!("And {} more.", names.len() - PURPOSES));
        }
        all.join(" ")
    };
    let text = match (names.is_empty(), waiting.is_empty()) {
        (true, _) => format!(
            "Nothing is late because of it yet, and nothing is lost. It is needed for this. {}",
            purposes(waiting)
        ),
        (false, true) => format!("What does not happen meanwhile: {}", purposes(&names)),
        (false, false) => format!(
            "What does not happen meanwhile: {} Nothing is late yet of what else needs {system}, and it waits too. {}",
            purposes(&names),
            purposes(waiting)
        ),
    };
    let mut facts = Vec::new();
    for (label, names) in [(HELD_UP, names.as_slice()), (WAITS_FOR_IT, waiting)] {
        if !names.is_empty() {
            facts.push((label.to_owned(), names.join(", ")));
        }
    }
    let first = held.iter().min_by_key(|condition| condition.saying.since);
    match silence {
        Some(silence) => {
            let why = if silence.why.is_empty() { String::new() } else { format!(" ({})", silence.why) };
            facts.push(("last error".to_owned(), format!("{}: {}{why}", silence.code, silence.what)));
            if silence.person && !silence.fix.is_empty() {
                facts.push(("do".to_owned(), silence.fix.clone()));
            }
        }
        None => facts.extend(
            first.and_then(|first| first.saying.facts.iter().find(|(label, _)| label == "last error").cloned()),
        ),
    }
    facts.extend(look.and_then(|look| look.good).map(|good| ("last answer".to_owned(), moment(good, zone))));
    let since = look.map(|look| look.since).into_iter().chain(first.map(|first| first.saying.since)).min();
    Saying {
        severity: held.iter().map(|condition| condition.saying.severity).max().unwrap_or(Severity::Warning),
        title,
        text,
        facts,
        command: match silence.filter(|silence| silence.person) {
            Some(silence) => format!("ironbridge explain {}", silence.code),
            None => format!("ironbridge systems check {system}"),
        },
        since: since.unwrap_or_default(),
    }
}

/// What is less than usual because of something else follows from it: of the same integration, of one of its systems, or
/// of an integration that fills its source.
pub(super) fn follow(project: &Project, all: &mut [Condition]) {
    let held: BTreeMap<String, String> = all
        .iter()
        .filter(|condition| matches!(condition.kind, Kind::Late | Kind::NotRun | Kind::NeedsPerson | Kind::Paused))
        .map(|condition| (condition.integration.clone(), condition.key.clone()))
        .collect();
    let down: BTreeMap<String, String> = all
        .iter()
        .filter(|condition| condition.kind == Kind::SystemDown)
        .map(|condition| (condition.system.clone(), condition.key.clone()))
        .collect();
    for condition in all.iter_mut().filter(|condition| matches!(condition.kind, Kind::FewRows | Kind::Slow)) {
        let system = || {
            let mine = project.integration(&condition.integration)?;
            mine.systems().into_iter().find_map(|system| down.get(system))
        };
        let upstream = || {
            let mine = project.integration(&condition.integration)?;
            let before = project
                .integrations
                .iter()
                .find(|other| other.name != mine.name && held.contains_key(&other.name) && fills(other, mine))?;
            held.get(&before.name)
        };
        condition.cause = held.get(&condition.integration).or_else(system).or_else(upstream).cloned();
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
