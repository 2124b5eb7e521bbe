//! `ironbridge run NAME`: once, now.

use std::time::Duration;

use definition::Pattern;
use hub::{Report, Start};
use record::RetryPolicy;
use serde_json::json;
use store::runs::{State, Trigger};

use crate::cli::{Cli, Format};
use crate::failure::{FAILED, Failure, PROTECTED, USAGE};
use crate::output::{Progress, number};
use crate::wiring::{self, OpenSystems};
use crate::{say, talk};

pub async fn run(
    cli: &Cli,
    name: &str,
    confirm: Option<&str>,
    max_deletes: Option<record::Decimal>,
) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let integration = wiring::integration(&project, name)?;
    if let Some(environment) = project.environment.as_ref().filter(|e| e.protected && confirm != Some(&*e.name)) {
        let what = format!("the environment `{}` is protected: it is written only from `up`", environment.name);
        let fix =
            format!("to write there by hand, say so: ironbridge run {name} --env {0} --confirm {0}", environment.name);
        return Err(Failure::new(USAGE, PROTECTED, what, fix));
    }
    let store = wiring::open_store(&project)?;
    let systems = OpenSystems::new(project.clone());
    let start = Start { trigger: Trigger::Command, slot: None, retry_of: None, holder: wiring::holder() };
    // Somebody is waiting at the terminal: half a minute of tries, not five.
    let retry = RetryPolicy { give_up_after: Duration::from_secs(30), ..RetryPolicy::default() };
    let report = match hub::compile(&project, integration, &systems, retry).await {
        // What has no runs gets no run that failed.
        Err(fault) if !matches!(integration.pattern, Pattern::Batch(_)) => return Err(fault.into()),
        Ok(mut job) => {
            if let Some(percent) = max_deletes {
                job.limits.max_deletes = percent;
            }
            let progress = Progress::new();
            hub::run(&store, &job, start, &progress).await?
        }
        Err(fault) => hub::batch::failed(&store, name, start, fault).await?,
    };
    print(cli, name, report)
}

fn print(cli: &Cli, name: &str, report: Report) -> Result<u8, Failure> {
    let counts = &report.counts;
    let exit = if report.state == State::Failed { FAILED } else { 0 };
    if cli.format == Format::Json {
        say!(
            "{:#}",
            json!({
                "integration": name, "run": report.run.0, "state": report.state.to_string(), "read": counts.read,
                "created": counts.created, "updated": counts.updated, "deleted": counts.deleted,
                "unchanged": counts.unchanged, "rejected": counts.rejected, "skipped": counts.skipped,
                "waiting": report.waiting, "rejected_by_code": report.rejected, "error": report.error.as_ref().map(hub::json::fault),
            })
        );
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
