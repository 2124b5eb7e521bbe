//! `ironbridge promote FLOW`: the event integration that does the same, as a draft.

use definition::{Pattern, codes};
use serde_json::json;

use crate::cli::{Cli, Format};
use crate::failure::{FAILED, Failure, NO_SUCH_NAME, NOT_PROMOTED, USAGE};
use crate::{say, talk, wiring};

pub fn promote(cli: &Cli, name: &str) -> Result<u8, Failure> {
    // Looked at first: what was drafted before may not pass the checks yet, and then nothing else would be said.
    let drafted = format!("integrations/{name}-events.yaml");
    if cli.project.join(&drafted).exists() {
        let what = format!("{drafted} is there already: it was drafted before, or somebody wrote it");
        let fix = "see what it lacks: ironbridge check; or remove it to have it drafted again. Nothing was written";
        return Err(Failure::new(FAILED, NOT_PROMOTED, what, fix));
    }
    // A flow that is refused for its volume is the one that wants to be promoted.
    let project = wiring::project_despite(cli, &[codes::FLOW_VOLUME, codes::CRITICAL_FLOW])?;
    let flows = || project.integrations.iter().filter(|one| matches!(one.pattern, Pattern::Flow(_)));
    let integration = flows().find(|integration| integration.name == name).ok_or_else(|| {
        let names: Vec<&str> = flows().map(|integration| integration.name.as_str()).collect();
        let there = match names.is_empty() {
            true => "name a flow; this project has none".to_owned(),
            false => format!("there are: {}", names.join(", ")),
        };
        Failure::new(USAGE, NO_SUCH_NAME, format!("there is no flow `{name}`"), there)
    })?;
    let promoted = definition::promote(&project, integration)
        .map_err(|(what, fix)| Failure::new(FAILED, NOT_PROMOTED, what, fix))?;
    let path = project.dir.join(&promoted.path);
    super::init::write(&path, &promoted.text)?;
    if cli.format == Format::Json {
        let add: Vec<_> = promoted.add.iter().map(|(path, lines)| json!({ "path": path, "lines": lines })).collect();
        say!("{:#}", json!({ "written": promoted.path, "add": add, "left": promoted.left }));
        return Ok(0);
    }
    say!("written: {}", promoted.path);
    for (path, lines) in &promoted.add {
        talk!("\nAdd under `entities:` of {path}:\n\n{}", lines.trim_end());
    }
    if !promoted.left.is_empty() {
        talk!("\nWhat it does not do:");
        promoted.left.iter().for_each(|one| talk!("- {one}"));
    }
    talk!("\nThen: ironbridge check, and take the writes out of integrations/{name}.yaml, or remove it.");
    if !promoted.add.is_empty() {
        talk!(
            "Until these lines are there `check` refuses the project, and no hub starts; to go back, remove {}.",
            promoted.path
        );
    }
    Ok(0)
}
