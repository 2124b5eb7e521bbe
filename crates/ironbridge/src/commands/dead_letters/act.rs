//! What a person does about one dead letter.

use hub::letters::edit::{self, NotEditable};
use hub::two_way::Decided;
use store::dead_letters::{DeadLetter, Kind, State};
use store::{Refusal, Store};

use super::{groups, one, short};
use crate::cli::{Cli, Retry};
use crate::failure::{DEALT_WITH, FAILED, Failure, JOB_REFUSES, NO_SUCH_NAME, NOT_EDITABLE, USAGE};
use crate::output::moment;
use crate::{say, talk, wiring};

/// The dead letter that a person wants to do something about.
pub fn waiting(store: &Store, id: &str) -> Result<DeadLetter, Failure> {
    let letter = one(store, id)?;
    match letter.state.is_waiting() {
        true => Ok(letter),
        false => Err(dealt_with(&letter)),
    }
}

fn dealt_with(letter: &DeadLetter) -> Failure {
    let by = letter.changed_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let what = format!("the dead letter {} is {}{by} already", short(letter), letter.state);
    let fix = match letter.state {
        State::Discarded => format!("to have it back first: ironbridge dead-letters restore {}", short(letter)),
        _ => "nothing; those that wait: ironbridge dead-letters list".to_owned(),
    };
    Failure::new(FAILED, DEALT_WITH, what, fix)
}

/// Somebody else was faster: says what they did.
pub fn or_dealt_with<T>(store: &Store, letter: &DeadLetter, result: Result<T, hub::Error>) -> Result<T, Failure> {
    let refused = |error: &hub::Error| {
        let hub::Error::Store(error) = error;
        matches!(error.refusal(), Some(Refusal::DeadLetterState { .. } | Refusal::NoDeadLetter { .. }))
    };
    match result {
        Err(error) if refused(&error) => Err(dealt_with(&one(store, letter.id.as_str())?)),
        result => Ok(result?),
    }
}

pub async fn retry(cli: &Cli, retry: &Retry) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let letter = waiting(&store, &retry.id)?;
    let (name, short, note) = (&letter.integration, short(&letter), retry.note.as_deref());
    let of_groups = [
        (retry.preview, "--preview"),
        (retry.first.is_some(), "--first"),
        (retry.rate.is_some(), "--rate"),
        (retry.as_of.is_some(), "--as-of"),
    ];
    if let Some((_, option)) = of_groups.into_iter().find(|(given, _)| *given) {
        let what =
            format!("{option} is about a group of dead letters, and {short} is one of them; nothing was sent again");
        let group = groups::id_of(&letter.cause);
        let fix =
            format!("of its group: ironbridge dead-letters retry {group} {option}; of this one, leave {option} out");
        return Err(Failure::new(USAGE, JOB_REFUSES, what, fix));
    }
    if letter.kind == Kind::Row {
        wiring::integration(&project, name)?;
    }
    let retried = hub::letters::retry(&store, &project, &letter, &wiring::actor(), note).await;
    or_dealt_with(&store, &letter, retried)?;
    match letter.kind {
        Kind::Message if letter.queue == hub::operations::NOTICES => {
            say!("{short} is sent again");
            talk!("`ironbridge up` sends it; whether the way works at all: ironbridge alerts test");
        }
        Kind::Message => {
            say!("{short} is sent again to {}", letter.destination().unwrap_or(&letter.queue));
            talk!("`ironbridge up` delivers it; see what became of it: ironbridge dead-letters show {short}");
        }
        Kind::Row => {
            say!("{short}: the next run of {name} reads its row again");
            talk!("Now: ironbridge run {name}");
        }
    }
    Ok(0)
}

pub async fn edit(cli: &Cli, id: &str, set: &[(String, String)], note: &str) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let letter = waiting(&store, id)?;
    let (name, short) = (&letter.integration, short(&letter));
    let (why, fix) = match edit::copy(&store, &project, &letter, set)? {
        Ok(copy) => {
            let sent = edit::send(&store, &letter, copy, &wiring::actor(), note).await;
            or_dealt_with(&store, &letter, sent)?;
            say!("a changed copy of {short} is sent to {}", letter.destination().unwrap_or(&letter.queue));
            talk!("What was sent first stays beside it. What became of it: ironbridge dead-letters show {short}");
            return Ok(0);
        }
        Err(NotEditable::Off) => (
            format!("{name} does not allow changed copies"),
            format!(
                "correct it in its source; or allow it in integrations/{name}.yaml: dead_letters: {{ edit_and_retry: true }}"
            ),
        ),
        Err(NotEditable::ReadAnew(system)) => (
            format!("what {short} is about is read anew from {system} when it is tried again"),
            format!("correct it in {system}, then: ironbridge dead-letters retry {short}"),
        ),
        Err(NotEditable::OnItsWay) => (
            format!("{short} is on its way again, and a second copy would not be sent"),
            format!(
                "wait for what becomes of it: ironbridge dead-letters show {short}; or take it back: ironbridge dead-letters discard {short}, then: ironbridge dead-letters restore {short}"
            ),
        ),
        Err(NotEditable::NotColumns) => {
            ("what was sent is not an object of columns".to_owned(), "correct it in its source".to_owned())
        }
        Err(NotEditable::Key(column)) => (
            format!("`{column}` is part of the key: a copy is never about another record"),
            format!("discard it, and have its source send the right one: ironbridge dead-letters discard {short}"),
        ),
        Err(NotEditable::Personal(column)) => (
            format!("`{column}` is personal data, which nobody types here"),
            "correct it in its source, which sends it again".to_owned(),
        ),
        Err(NotEditable::NoColumn(column)) => (
            format!("what was sent has no value `{column}`"),
            format!("see what it has: ironbridge dead-letters show {short}"),
        ),
    };
    Err(Failure::new(USAGE, NOT_EDITABLE, why, fix))
}

pub async fn discard(cli: &Cli, id: &str, note: Option<&str>) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let letter = waiting(&store, id)?;
    let discarded = hub::letters::discard(&store, &project, &letter, &wiring::actor(), note).await;
    let goes = or_dealt_with(&store, &letter, discarded)?;
    let (short, goes) = (short(&letter), moment(goes, &project.hub.time_zone));
    say!("{short} is discarded; it goes for good on {goes}");
    talk!("Until then it is in the list with --all, and comes back with: ironbridge dead-letters restore {short}");
    Ok(0)
}

pub async fn restore(cli: &Cli, id: &str, note: Option<&str>) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let letter = one(&store, id)?;
    if letter.state != State::Discarded {
        let what = format!("the dead letter {} is {}, not discarded", short(&letter), letter.state);
        return Err(Failure::new(FAILED, DEALT_WITH, what, "nothing; it is not in the archive"));
    }
    let restored = hub::letters::restore(&store, &letter, &wiring::actor(), note).await;
    or_dealt_with(&store, &letter, restored)?;
    say!("{} waits for somebody again", short(&letter));
    if letter.kind == Kind::Message {
        talk!("What came after it for its record went on when it was discarded, and is not held again.");
    }
    Ok(0)
}

pub async fn decide(cli: &Cli, id: &str, take: &str, note: Option<&str>) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let letter = waiting(&store, id)?;
    let name = letter.integration.clone();
    let short = short(&letter);
    let integration = wiring::integration(&project, &name)?;
    let decided = hub::two_way::decide(&store, &project, integration, &letter, take, &wiring::actor(), note).await;
    match or_dealt_with(&store, &letter, decided)? {
        Decided::Yes => {
            say!("{short}: {} {} is taken from {take}", letter.entity, letter.key_text);
            talk!(
                "The next run writes it to the other side, unless either has changed until then. Now: ironbridge run {name}"
            );
            Ok(0)
        }
        Decided::NoDispute => {
            let what = format!("the dead letter {short} is not about two versions of a row");
            Err(Failure::new(
                FAILED,
                NO_SUCH_NAME,
                what,
                format!("what it is about: ironbridge dead-letters show {short}"),
            ))
        }
        Decided::NoSuchSide([left, right]) => {
            let what = format!("{name} goes between {left} and {right}, and `{take}` is neither");
            let fix = format!("ironbridge dead-letters decide {short} --take {left} (or {right})");
            Err(Failure::new(USAGE, NO_SUCH_NAME, what, fix))
        }
    }
}
