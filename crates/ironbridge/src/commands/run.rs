//! `ironbridge run NAME`: once, now.

use std::path::Path;
use std::time::Duration;

use definition::Pattern;
use hub::{Report, Saved, Start};
use record::RetryPolicy;
use serde_json::json;
use store::runs::{State, Trigger};

use crate::cli::{Cli, Format, Window};
use crate::failure::{BAD_PLAN, FAILED, Failure, PROTECTED, USAGE};
use crate::output::{Progress, number};
use crate::wiring::{self, OpenSystems};
use crate::{say, talk};

/// How this run differs from one that the schedule starts.
pub struct Wanted<'a> {
    pub max_deletes: Option<record::Decimal>,
    pub plan: Option<&'a Path>,
    pub window: &'a Window,
}

pub async fn run(cli: &Cli, name: &str, confirm: Option<&str>, wanted: &Wanted<'_>) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let integration = wiring::integration(&project, name)?;
    if let Some(environment) = project.environment.as_ref().filter(|e| e.protected && confirm != Some(&*e.name)) {
        let what = format!("the environment `{}` is protected: it is written only from `up`", environment.name);
        let fix = format!("to write there by hand, say so: ironbridge run {name} --confirm {}", environment.name);
        return Err(Failure::new(USAGE, PROTECTED, what, fix));
    }
    let window = wiring::window(&project, wanted.window)?;
    let plan = wanted.plan.map(saved).transpose()?;
    let store = wiring::open_store(&project)?;
    let systems = OpenSystems::new(project.clone());
    let trigger = if window.is_some() { Trigger::Backfill } else { Trigger::Command };
    let start = Start { trigger, slot: None, retry_of: None, holder: wiring::holder() };
    // Before it is done: what is written elsewhere is written although this process ends before it could say so.
    if matches!(integration.pattern, Pattern::Batch(_)) {
        store.commit(vec![wiring::actor().did("run", name).op()]).await?;
    }
    // Somebody is waiting at the terminal: half a minute of tries, not five.
    let retry = RetryPolicy { give_up_after: Duration::from_secs(30), ..RetryPolicy::default() };
    let report = match hub::compile(&project, integration, &systems, retry).await {
        // What has no runs gets no run that failed. What a shell lacks says nothing of the hub, which has its own secrets.
        Err(fault) if !matches!(integration.pattern, Pattern::Batch(_)) || fault.code == wiring::SECRET_MISSING => {
            return Err(fault.into());
        }
        Ok(mut job) => {
            if let Some(percent) = wanted.max_deletes {
                job.limits.max_deletes = percent;
            }
            job.window = window;
            job.consent.plan = plan.map(Box::new);
            let progress = Progress::new();
            hub::run(&store, &job, start, &progress).await?
        }
        Err(fault) => hub::batch::failed(&store, name, start, fault).await?,
    };
    print(cli, name, report)
}

/// A plan that was saved.
fn saved(file: &Path) -> Result<Saved, Failure> {
    let wrong = |why: String| {
        let what = format!("{} is no saved plan", file.display());
        Failure::new(USAGE, BAD_PLAN, what, "make one: ironbridge plan NAME --save FILE").because(why)
    };
    let text = std::fs::read_to_string(file).map_err(|why| wrong(why.to_string()))?;
    Saved::parse(&text).map_err(wrong)
}

fn print(cli: &Cli, name: &str, report: Report) -> Result<u8, Failure> {
    let counts = &report.counts;
    let exit = if matches!(report.state, State::Failed | State::NotApproved) { FAILED } else { 0 };
    if cli.format == Format::Json {
        say!(
            "{:#}",
            json!({
                "integration": name, "run": report.run.0, "state": report.state.to_string(), "read": counts.read,
                "created": counts.created, "updated": counts.updated, "deleted": counts.deleted,
                "unchanged": counts.unchanged, "rejected": counts.rejected, "skipped": counts.skipped,
                "waiting": report.waiting, "approval": report.approval.map(|id| id.0), "rejected_by_code": report.rejected, "error": report.error.as_ref().map(hub::json::fault),
            })
        );
        return Ok(exit);
    }
    if let Some(id) = report.approval {
        say!("run {} of {name}: it waits until somebody has looked; nothing was written", report.run);
        talk!("Look at it, and then decide: ironbridge approvals show {id}");
        return Ok(exit);
    }
    let deleted =
        if counts.deleted > 0 { format!(", {} deleted or deactivated", number(counts.deleted)) } else { String::new() };
    let skipped = if counts.skipped > 0 { format!(", {} skipped", number(counts.skipped)) } else { String::new() };
    say!(
        "run {} of {name}: {} read, {} created, {} updated{deleted}, {} unchanged, {} rejected{skipped}",
        report.run,
        number(counts.read),
        number(counts.created),
        number(counts.updated),
        number(counts.unchanged),
        number(counts.rejected)
    );
    if report.waiting > 0 {
        talk!(
            "{} of the skipped rows wait for a row that they point to; the next run tries them again.",
            number(report.waiting)
        );
    }
    if counts.rejected > 0 {
        let codes: Vec<String> = report.rejected.iter().map(|(code, n)| format!("{n} × {code}")).collect();
        talk!("Rejected rows are dead letters now ({}): ironbridge dead-letters list {name}", codes.join(", "));
    }
    match report.error {
        Some(fault) => Err(fault.into()),
        None => Ok(exit),
    }
}
