//! `ironbridge support-bundle FILE`: what somebody who helps needs to see, without secrets and personal data.
//!
//! Nothing of a record is put in: no key, no value, no body. What is put in is searched once more for the values of every
//! secret of the project, and for addresses.

use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use definition::Project;
use record::Secrets;
use serde_json::{Value as Json, json};
use store::Store;
use zip::write::SimpleFileOptions;

use crate::cli::Cli;
use crate::failure::{CANNOT_BUNDLE, Failure, USAGE};
use crate::ingress::metrics::{self, Observed};
use crate::wiring::{self, MachineSecrets};
use crate::{say, talk};

/// What stands for a secret or an address.
const TAKEN_OUT: &str = "***";
/// Runs that are put in.
const RUNS: usize = 500;

pub fn support_bundle(cli: &Cli, file: &Path) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let store = wiring::open_store(&project)?;
    let cannot = |why: String| {
        let what = format!("{} cannot be written: {why}", file.display());
        Failure::new(USAGE, CANNOT_BUNDLE, what, "name a file in a folder that can be written, such as bundle.zip")
    };
    let parts = parts(cli, &project, &store)?;
    let hidden = Hidden::of(&project);
    let made = crate::output::private(file).map_err(|why| cannot(why.to_string()))?;
    write(made, &parts, &hidden).map_err(|why| cannot(why.to_string()))?;
    for (name, text) in &parts {
        say!("{name}  {} bytes", text.len());
    }
    talk!(
        "\n{} holds these. No secrets and no personal data are in it; look at it before you give it away.",
        file.display()
    );
    Ok(0)
}

fn write(file: impl Write + Seek, parts: &BTreeMap<String, String>, hidden: &Hidden) -> zip::result::ZipResult<()> {
    let mut zip = zip::ZipWriter::new(file);
    for (name, text) in parts {
        zip.start_file(
            name.as_str(),
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated),
        )?;
        zip.write_all(hidden.out_of(text).as_bytes())?;
    }
    zip.finish().map(drop)
}

fn parts(cli: &Cli, project: &std::sync::Arc<Project>, store: &Store) -> Result<BTreeMap<String, String>, Failure> {
    let mut parts = BTreeMap::new();
    let mut put = |name: &str, json: Json| parts.insert(name.to_owned(), format!("{json:#}\n"));
    let now = store.clock().now();
    put(
        "about.json",
        json!({
            "ironbridge": env!("CARGO_PKG_VERSION"), "made": now.to_string(), "environment": project.environment.as_ref().map(|e| &e.name),
            "system": { "os": std::env::consts::OS, "arch": std::env::consts::ARCH, "cpus": std::thread::available_parallelism().map_or(0, usize::from) },
            "time_zone": project.hub.time_zone.iana_name(), "state_folder": sizes(store.dir()),
        }),
    );
    put("integrations.json", integrations(project, store)?);
    let runs = store.runs(None, None, RUNS)?;
    let run = |run: &store::runs::Run| {
        let c = &run.counts;
        json!({
            "run": run.id.0, "integration": run.integration, "trigger": run.trigger.as_str(), "state": run.state.as_str(),
            "started": run.started.to_string(), "finished": run.finished.map(|at| at.to_string()), "read": c.read,
            "created": c.created, "updated": c.updated, "deleted": c.deleted, "unchanged": c.unchanged,
            "rejected": c.rejected, "skipped": c.skipped, "error": run.error.as_ref().map(|error| &error.code),
        })
    };
    put("runs.json", runs.iter().map(run).collect());
    let groups = store.dead_letter_groups(None, true, 1000)?;
    let group = |group: &store::dead_letters::Group| {
        json!({
            "group": group.id, "integration": group.cause.integration, "step": group.cause.step, "code": group.cause.code,
            "message": group.cause.message, "waiting": group.waiting, "times": group.times,
            "first_seen": group.first_seen.to_string(), "last_seen": group.last_seen.to_string(),
            "reviewed": group.reviewed.map(|at| at.to_string()), "hold_until": group.hold_until.map(|at| at.to_string()),
        })
    };
    put("dead-letter-groups.json", groups.iter().map(group).collect());
    let jobs = store.retry_jobs(true, 100)?;
    let job = |job: &store::retries::Job| {
        let c = &job.counts;
        json!({
            "job": job.id.0, "integration": job.integration, "group": job.cause, "state": job.state.as_str(),
            "made": job.made.to_string(), "waiting": c.waiting, "started": c.started, "ok": c.ok, "failed": c.failed,
        })
    };
    put("retry-jobs.json", jobs.iter().map(job).collect());
    let look = |look: store::looks::Look| {
        let silence = look.silence();
        json!({
            "system": look.system, "answers": silence.is_none(), "since": look.since.to_string(),
            "asked": look.seen.to_string(), "took_ms": look.took.as_millis() as u64,
            "code": silence.map(|silence| silence.code.clone()),
        })
    };
    put("systems.json", store.looks()?.into_iter().map(look).collect());
    let mut queues = Vec::new();
    for queue in store.queues()? {
        let c = store.queue_counts(&queue)?.unwrap_or_default();
        queues.push(json!({
            "queue": queue, "ready": c.ready, "locked": c.locked, "delayed": c.delayed, "deferred": c.deferred,
            "scheduled": c.scheduled, "dead": c.dead, "oldest": store.oldest_ready(&queue)?.map(|at| at.to_string()),
        }));
    }
    put("queues.json", queues.into());
    let audit = store.audit_verify(None)?;
    put("audit.json", json!({ "entries": audit.entries, "broken": audit.broken }));
    let observed = Observed::new(project.clone(), store.clone(), hub::pulse::Pulse::new())?;
    parts.insert("metrics.txt".to_owned(), metrics::text(&observed)?);
    parts.insert("check.txt".to_owned(), wiring::load(&cli.project, cli.env.as_deref()).render(false, 110));
    for file in definitions(&project.dir) {
        let name = file.strip_prefix(&project.dir).unwrap_or(&file).display().to_string();
        parts.insert(format!("project/{name}"), std::fs::read_to_string(&file).unwrap_or_default());
    }
    Ok(parts)
}

fn integrations(project: &Project, store: &Store) -> Result<Json, Failure> {
    let late = hub::deadline::late(project, store)?;
    let (pauses, outages) = (store.pauses()?, store.outages()?);
    let mut all = Vec::new();
    for integration in &project.integrations {
        let name = &integration.name;
        let down: Vec<Json> = outages
            .iter()
            .filter(|outage| outage.integration == *name)
            .map(
                |o| json!({ "system": o.system, "since": o.since.to_string(), "code": o.code, "failures": o.failures }),
            )
            .collect();
        let cursors: Vec<Json> = store
            .cursors(name)?
            .iter()
            .map(|c| json!({ "stream": c.stream, "updated": c.updated.to_string(), "mapping": c.fingerprint }))
            .collect();
        all.push(json!({
            "integration": name, "pattern": integration.pattern.word(), "entities": integration.entities(),
            "systems": integration.systems(), "late": late.contains_key(name),
            "paused": pauses.iter().any(|pause| pause.integration == *name), "down": down, "positions": cursors,
        }));
    }
    Ok(all.into())
}

/// The definition files. Not the people, who are persons, and not cases, whose rows may be real.
fn definitions(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.join("ironbridge.yaml")];
    for folder in ["systems", "entities", "integrations", "environments"] {
        let entries = std::fs::read_dir(dir.join(folder)).into_iter().flatten().flatten();
        found.extend(entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "yaml")));
    }
    found.retain(|path| path.is_file());
    found.sort();
    found
}

fn sizes(dir: &Path) -> Json {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| {
        Some((entry.file_name().to_string_lossy().into_owned(), json!(entry.metadata().ok()?.len())))
    };
    Json::Object(entries.filter_map(size).collect())
}

/// What must not be in any text.
struct Hidden(Vec<String>);

impl Hidden {
    /// The values of every secret that a file of the project names.
    fn of(project: &Project) -> Hidden {
        let secrets = MachineSecrets::new(&project.dir);
        let mut files = definitions(&project.dir);
        files.push(project.dir.join("people.yaml"));
        let mut values = Vec::new();
        for text in files.iter().filter_map(|file| std::fs::read_to_string(file).ok()) {
            for part in text.split("${").skip(1) {
                let named = part.split_once('}').and_then(|(inside, _)| inside.split_once(':'));
                let value = named.and_then(|(provider, name)| secrets.resolve(provider, name).ok());
                values.extend(value.map(|value| value.reveal().to_owned()).filter(|value| value.len() > 2));
            }
        }
        // The longest first: one may be part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Hidden(values)
    }

    fn out_of(&self, text: &str) -> String {
        let text = self.0.iter().fold(text.to_owned(), |text, value| text.replace(value, TAKEN_OUT));
        let part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@' | '%');
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(part) {
            let end = rest[at..].find(|c| !part(c)).map_or(rest.len(), |length| at + length);
            let word = &rest[at..end];
            let is_address = word.split_once('@').is_some_and(|(who, at)| !who.is_empty() && at.contains('.'));
            out.push_str(&rest[..at]);
            out.push_str(if is_address { TAKEN_OUT } else { word });
            rest = &rest[end..];
        }
        out + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_addresses_are_taken_out() {
        let hidden = Hidden(vec!["hunter22".into()]);
        let text = "token: hunter22hunter22, to: <Ann.O@contoso.example>, at: @here, every 429@10%";
        assert_eq!(hidden.out_of(text), "token: ******, to: <***>, at: @here, every 429@10%");
    }
}
