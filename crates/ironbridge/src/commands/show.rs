//! `ironbridge show NAME`: what holds, and where it was said.

use definition::Pattern;
use serde_json::json;

use crate::cli::{Cli, Format};
use crate::failure::{Failure, NO_SUCH_NAME, USAGE};
use crate::{say, talk, wiring};

pub fn show(cli: &Cli, name: &str, svg: bool) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    if svg {
        let integration = wiring::integration(&project, name)?;
        let Pattern::Flow(flow) = &integration.pattern else {
            let fix = "name a flow; a picture of the whole hub: ironbridge graph --svg";
            return Err(Failure::new(USAGE, NO_SUCH_NAME, format!("`{name}` is no flow"), fix));
        };
        let standing = hub::flows::standing(&wiring::open_store(&project)?, name)?;
        say!("{}", definition::flow_svg(integration, flow, &standing).trim_end());
        return Ok(0);
    }
    let lines = definition::show(&project, name);
    if lines.is_empty() {
        let integrations = project.integrations.iter().map(|i| i.name.as_str());
        let systems = project.systems.iter().map(|s| s.name.as_str());
        let entities = project.entities.iter().map(|e| &*e.name);
        let names: Vec<&str> = integrations.chain(systems).chain(entities).collect();
        let what = format!("nothing in this project is called `{name}`");
        return Err(Failure::new(USAGE, NO_SUCH_NAME, what, format!("show one of: {}", names.join(", "))));
    }
    if cli.format == Format::Json {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| json!({ "depth": line.depth, "key": line.key, "value": line.value, "from": line.origin.to_string() }))
            .collect();
        say!("{:#}", json!(lines));
        return Ok(0);
    }
    let texts: Vec<String> = lines
        .iter()
        .map(|line| {
            let indent = "  ".repeat(line.depth);
            match &line.value {
                Some(value) => format!("{indent}{}: {value}", line.key),
                None => format!("{indent}{}:", line.key),
            }
        })
        .collect();
    let width = texts.iter().map(|text| text.chars().count()).max().unwrap_or_default().min(90);
    let dim = anstyle::Style::new().dimmed();
    for (text, line) in texts.iter().zip(&lines) {
        let pad = " ".repeat(width.saturating_sub(text.chars().count()));
        match line.value {
            Some(_) => say!("{text}{pad}  {dim}# {}{dim:#}", line.origin),
            None => say!("{text}"),
        }
    }
    if let Some(Pattern::Event(event)) = project.integration(name).map(|integration| &integration.pattern) {
        talk!(
            "\nA message that fails by itself: {}. An outage of a destination costs no attempts.",
            hub::events::worst_case(event)
        );
    }
    Ok(0)
}
