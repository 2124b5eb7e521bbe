//! `dead-letters retry GROUP` and `dead-letters jobs`: many at once, as a stored job.

use definition::Project;
use hub::digest::Changed;
use hub::retries::{self, Order, Preview, Wanted};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use store::Store;
use store::dead_letters::group_name;
use store::retries::{Item, ItemState, Job, JobId, State};

use super::groups;
use crate::cli::{Cli, Format, Jobs, Retry};
use crate::failure::{FAILED, Failure, JOB_REFUSES, NO_SUCH_NAME, USAGE};
use crate::output::{ago, csv, moment, number, table};
use crate::{say, talk, wiring};

/// Items of a job that are shown.
const SHOWN: usize = 200;

/// Whether `g1a2b3c4` was typed, which is no id of a dead letter.
pub fn is_group(id: &str) -> bool {
    id.starts_with(['g', 'G'])
}

pub async fn retry(cli: &Cli, retry: &Retry) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let group = groups::find(&store, &retry.id)?;
    let now = store.clock().now();
    let wanted = Wanted {
        group: group.id.clone(),
        integration: group.cause.integration.clone(),
        as_of: retry.as_of.as_deref().map(|text| as_of(text, now)).transpose()?.unwrap_or(now),
        stop_after: retry.first,
        per_minute: retry.rate,
        why: retry.note.clone(),
    };
    let id = group_name(&group.id);
    if retry.preview {
        let found = retries::preview(&project, &store, &wanted)?;
        return print_preview(cli, &project, &wanted, &id, &found);
    }
    let Some(job) = retries::start(&store, &wanted, &wiring::actor()).await? else {
        talk!("Nothing of {id} waits that is not on its way already.");
        return Ok(0);
    };
    // Whoever waits at the terminal need not wait for `up` to look. A rate is kept by `up`, which goes on with it.
    while retry.rate.is_none() {
        let before = find(&store, job)?;
        retries::step(&project, &store, &before).await?;
        let after = find(&store, job)?;
        if after.counts == before.counts || after.state != State::Running {
            break;
        }
    }
    let job = find(&store, job)?;
    if cli.format == Format::Json {
        say!("{:#}", summary(&store, &job)?);
        return Ok(0);
    }
    let counts = &job.counts;
    say!(
        "retry job {} of {id}: {} dead letters, {} sent again",
        job.id,
        number(counts.all()),
        number(counts.all() - counts.waiting)
    );
    since(&store, &job)?;
    let of_rows = group.cause.integration.clone();
    if let Some(rate) = retry.rate {
        talk!("`ironbridge up` sends them again, {rate} a minute.");
    }
    match project.integration(&of_rows).is_some_and(|i| matches!(i.pattern, definition::Pattern::Batch(_))) {
        true if retry.rate.is_some() => talk!("The run of {of_rows} after that reads their rows."),
        false if retry.rate.is_some() => {}
        true => talk!("The next run of {of_rows} reads their rows again. Now: ironbridge run {of_rows}"),
        false => talk!("`ironbridge up` delivers them and goes on with the job."),
    }
    talk!("What became of each: ironbridge dead-letters jobs show {}", job.id);
    Ok(0)
}

/// When somebody looked.
fn as_of(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    text.parse::<Timestamp>().ok().filter(|at| *at <= now).ok_or_else(|| {
        let what = format!("`{text}` is no moment at which somebody has looked");
        Failure::new(USAGE, JOB_REFUSES, what, "take it from what `--preview` prints, or leave --as-of out")
    })
}

fn find(store: &Store, id: JobId) -> Result<Job, Failure> {
    store.retry_job(id)?.ok_or_else(|| {
        let what = format!("there is no retry job {id}");
        Failure::new(FAILED, NO_SUCH_NAME, what, "list them: ironbridge dead-letters jobs list --all")
    })
}

fn print_preview(cli: &Cli, project: &Project, wanted: &Wanted, id: &str, found: &Preview) -> Result<u8, Failure> {
    let definition = match &found.definition {
        Changed::No => "the definition is the same as when they failed".to_owned(),
        Changed::Since(at) => format!("the definition has changed since they failed, {}", moment(*at, &project.hub.time_zone)),
        Changed::NotYetInUse => "the files have changed since the hub started: restart `ironbridge up`, or this retries with the old definition".to_owned(),
        Changed::NotKnown => "whether the definition has changed is not known: no `ironbridge up` has worked with it yet".to_owned(),
    };
    if cli.format == Format::Json {
        let effects: Vec<Json> = found
            .took_effect
            .iter()
            .map(|effect| {
                json!({
                    "dead_letter": effect.letter.as_str(), "system": effect.system, "what": effect.what.as_str(),
                    "at": effect.at.to_string(), "same_destination": effect.same_destination,
                })
            })
            .collect();
        let letters: Vec<&str> = found.letters.iter().map(|letter| letter.id.as_str()).collect();
        say!(
            "{:#}",
            json!({
                "as_of": wanted.as_of.to_string(), "would_run_again": letters, "came_since": found.since,
                "definition": definition, "took_effect": effects, "looked_up": found.looked_up,
                "destinations": found.destinations,
            })
        );
        return Ok(0);
    }
    let rows = found.letters.len() - found.messages;
    say!("would run again: {}", number(found.letters.len() as u64));
    for (to, count) in &found.destinations {
        say!("  {} for {to}", number(*count as u64));
    }
    if rows > 0 {
        match (rows, found.letters.len()) {
            (1, 1) => say!("  it is a row, which the next run of {} reads again", wanted.integration),
            (rows, _) => {
                say!(
                    "  {} of them are rows, which the next run of {} reads again",
                    number(rows as u64),
                    wanted.integration
                )
            }
        }
    }
    say!("{definition}");
    let there: Vec<_> = found.took_effect.iter().filter(|effect| effect.same_destination).collect();
    match (found.looked_up, there.is_empty()) {
        (0, _) => {}
        (n, true) => say!("none of the {} that were looked up was written since it failed", number(n as u64)),
        (n, false) => say!(
            "of {} that were looked up, {} were written since; a retry writes what is different now",
            number(n as u64),
            there.len()
        ),
    }
    for effect in &found.took_effect {
        let other = if effect.same_destination { "" } else { " (another destination, which is not written again)" };
        say!(
            "  {}: {} in {}, {}{other}",
            &effect.letter.as_str()[..8],
            effect.what,
            effect.system,
            moment(effect.at, &project.hub.time_zone)
        );
    }
    if found.since > 0 {
        say!("{} more since you looked; they are left alone", number(found.since));
    }
    talk!("\nA few first: ironbridge dead-letters retry {id} --first 5 --as-of {}", wanted.as_of);
    Ok(0)
}

pub async fn jobs(cli: &Cli, command: &Jobs) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    // What became of what is on its way is noted by whoever looks, so that nobody waits for `up`.
    for job in store.retry_jobs(true, 200)?.iter().filter(|job| job.state == State::Running || job.counts.started > 0) {
        retries::refresh(&store, job).await?;
    }
    let (id, order, note) = match command {
        Jobs::List { all } => return list(cli, &store, *all),
        Jobs::Show { id } => return show(cli, &project, &store, &find(&store, JobId(*id))?),
        Jobs::Resume { id, rate, first, note } => (id, Order::Resume { per_minute: *rate, stop_after: *first }, note),
        Jobs::Pause { id, note } => (id, Order::Pause, note),
        Jobs::Cancel { id, note } => (id, Order::Cancel, note),
    };
    let job = find(&store, JobId(*id))?;
    let fits = match order {
        Order::Pause => job.state == State::Running,
        Order::Resume { .. } | Order::Cancel => matches!(job.state, State::Running | State::Paused),
    };
    if !fits {
        let what = format!("retry job {id} is {}", job.state);
        return Err(Failure::new(
            FAILED,
            JOB_REFUSES,
            what,
            format!("see what became of it: ironbridge dead-letters jobs show {id}"),
        ));
    }
    match retries::order(&store, &job, order, &wiring::actor(), note.as_deref()).await {
        Err(hub::Error::Store(error)) if matches!(error.refusal(), Some(store::Refusal::RetryMoved { .. })) => {
            let what = format!("somebody else has changed retry job {id} just now");
            return Err(Failure::new(
                FAILED,
                JOB_REFUSES,
                what,
                format!("look again: ironbridge dead-letters jobs show {id}"),
            ));
        }
        result => result?,
    }
    let left = number(job.counts.waiting);
    match order {
        Order::Resume { .. } => {
            talk!("Retry job {id} goes on with the {left} that are left; `ironbridge up` works on it.")
        }
        Order::Pause => talk!("Retry job {id} starts nothing more; {left} are left."),
        Order::Cancel => talk!("Retry job {id} is over; {left} dead letters wait as before."),
    }
    Ok(0)
}

fn list(cli: &Cli, store: &Store, all: bool) -> Result<u8, Failure> {
    let jobs = store.retry_jobs(all, 200)?;
    if cli.format == Format::Json {
        let jobs: Result<Vec<Json>, Failure> = jobs.iter().map(|job| summary(store, job)).collect();
        say!("{:#}", Json::from(jobs?));
        return Ok(0);
    }
    if jobs.is_empty() {
        talk!("No retry is on its way.");
        return Ok(0);
    }
    let now = store.clock().now();
    let heads = [
        "job",
        "integration",
        "group",
        "state",
        "left",
        "on their way",
        "through",
        "failed",
        "skipped",
        "made",
        "by",
        "",
    ];
    let human = cli.format != Format::Csv;
    let rows = jobs.iter().map(|job| {
        let c = &job.counts;
        let mut row = vec![job.id.to_string(), job.integration.clone(), group_name(&job.cause), job.state.to_string()];
        row.extend(
            [c.waiting, c.started, c.ok, c.failed, c.skipped].map(|n| if human { number(n) } else { n.to_string() }),
        );
        row.push(if human { ago(job.made, now) } else { job.made.to_string() });
        row.extend([job.by.name.clone(), job.note.clone()]);
        row
    });
    let rows = rows.collect();
    if human {
        say!("{}", table(&heads, rows))
    } else {
        say!("{}", csv(&heads, rows))
    }
    Ok(0)
}

fn summary(store: &Store, job: &Job) -> Result<Json, Failure> {
    let c = &job.counts;
    let since = if job.cause.is_empty() { 0 } else { store.dead_letters_since(&job.cause, job.as_of)? };
    Ok(json!({
        "job": job.id.0, "integration": job.integration, "group": super::groups::id_of(&job.cause), "state": job.state.as_str(),
        "note": job.note, "made": job.made.to_string(), "by": job.by.name, "why": job.why,
        "as_of": job.as_of.to_string(), "stop_after": job.stop_after, "per_minute": job.per_minute,
        "dead_letters": c.all(), "waiting": c.waiting, "started": c.started, "ok": c.ok, "failed": c.failed,
        "skipped": c.skipped, "came_since": since,
    }))
}

/// What came after the look, and is not part of the job.
fn since(store: &Store, job: &Job) -> Result<(), Failure> {
    let failed_again = job.counts.failed;
    let more = store.dead_letters_since(&job.cause, job.as_of)?.saturating_sub(failed_again);
    if more > 0 {
        say!("{} more since then; this job leaves them alone", number(more));
    }
    Ok(())
}

fn show(cli: &Cli, project: &Project, store: &Store, job: &Job) -> Result<u8, Failure> {
    let items = store.retry_items(job.id, None, 0, 100_000)?;
    match cli.format {
        Format::Json => {
            let mut out = summary(store, job)?;
            let item = |item: &Item| {
                json!({
                    "dead_letter": item.letter.as_str(), "state": item.state.as_str(),
                    "started": item.at.map(|at| at.to_string()), "result": item.result,
                })
            };
            out["items"] = items.iter().map(item).collect();
            say!("{out:#}");
            return Ok(0);
        }
        Format::Csv => {
            let row = |item: &Item| {
                let at = item.at.map(|at| at.to_string()).unwrap_or_default();
                vec![item.letter.to_string(), item.state.to_string(), at, item.result.clone()]
            };
            say!("{}", csv(&["dead_letter", "state", "started", "result"], items.iter().map(row).collect()));
            return Ok(0);
        }
        _ => {}
    }
    let (zone, c) = (&project.hub.time_zone, &job.counts);
    say!("retry job {} of {}: {}", job.id, job.integration, job.state);
    if !job.note.is_empty() {
        say!("  {}", job.note);
    }
    let why = job.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    say!("  by {}, {}{why}", job.by.name, moment(job.made, zone));
    let rate = job.per_minute.map(|n| format!(", {n} a minute")).unwrap_or_default();
    say!(
        "  {} of {} through, {} failed again, {} needed nothing, {} on their way, {} left{rate}",
        number(c.ok),
        number(c.all()),
        number(c.failed),
        number(c.skipped),
        number(c.started),
        number(c.waiting)
    );
    since(store, job)?;
    let told: Vec<&Item> = items.iter().filter(|item| item.state != ItemState::Waiting).take(SHOWN).collect();
    if !told.is_empty() {
        let rows = told.iter().map(|item| {
            let at = item.at.map(|at| moment(at, zone)).unwrap_or_default();
            vec![format!("  {}", &item.letter.as_str()[..8]), item.state.to_string(), at, super::cut(&item.result, 90)]
        });
        say!("{}", table(&["  dead letter", "state", "started", "result"], rows.collect()));
    }
    if told.len() == SHOWN {
        talk!("\nThe first {SHOWN}; all of them: ironbridge --format csv dead-letters jobs show {}", job.id);
    }
    if job.state == State::Paused {
        talk!(
            "\nGo on: ironbridge dead-letters jobs resume {0} --rate 60, or end it: ironbridge dead-letters jobs cancel {0}",
            job.id
        );
    }
    Ok(0)
}
