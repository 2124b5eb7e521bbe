//! `ironbridge formula`: Power Fx on the command line.

use std::io::{BufRead, Write};

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::cli::{Cli, Format};
use crate::failure::{FAILED, Failure, NO_SUCH_NAME, USAGE};
use crate::output::table;
use crate::{say, talk, wiring};

pub fn formula(formula: Option<&str>, batch: bool) -> Result<u8, Failure> {
    let context = powerfx::Context::new(jiff::Timestamp::now(), jiff::tz::TimeZone::UTC);
    if batch {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            if !line.trim().is_empty() {
                writeln!(out, "{}", powerfx::answer_line(&line, &context))?;
            }
        }
        out.flush()?;
        return Ok(0);
    }
    let text = formula.unwrap_or_default().trim_start_matches('=');
    let line = serde_json::json!({ "expr": text }).to_string();
    let answer: serde_json::Value = serde_json::from_str(&powerfx::answer_line(&line, &context)).unwrap_or_default();
    if let Some(value) = answer["value"].as_str() {
        say!("{value}");
        return Ok(0);
    }
    let error = &answer["error"];
    let red = anstyle::AnsiColor::Red.on_default().bold();
    talk!("{red}error{red:#}: {}", error["message"].as_str().unwrap_or_default());
    let at = |index: usize| error["span"][index].as_u64().map(|at| at as usize);
    if let (Some(start), Some(end)) = (at(0), at(1))
        && let Some(marked) = text.get(start..end)
    {
        let before = text[..start].chars().count();
        talk!("  {text}\n  {}{}", " ".repeat(before), "^".repeat(marked.chars().count().max(1)));
    }
    Ok(FAILED)
}

/// One row through one mapping: each field with its formula and its value.
pub fn row(cli: &Cli, mapping: &str, file: &Path) -> Result<u8, Failure> {
    let project = wiring::project(cli)?;
    let text = std::fs::read_to_string(file)
        .map_err(|why| anyhow::Error::from(why).context(format!("{} cannot be read", file.display())))?;
    let row: Json = serde_json::from_str(&text)
        .map_err(|why| anyhow::Error::from(why).context(format!("{} is not one JSON object", file.display())))?;
    let (system, entity) = mapping.split_once('.').unwrap_or((mapping, ""));
    let explained = hub::try_row(&project, system, entity, &row).map_err(|problems| {
        let fix = "name a mapping as SYSTEM.ENTITY, such as finance.customer, and give a row with its columns";
        Failure::new(USAGE, NO_SUCH_NAME, problems.join("; "), fix)
    })?;
    let failed = explained.iter().any(|field| field.value.is_err());
    if cli.format == Format::Json {
        let fields: Vec<Json> = explained
            .iter()
            .map(|field| {
                let value = field.value.as_ref().ok().map(ToString::to_string);
                json!({ "target": field.target, "formula": field.formula, "at": field.origin, "value": value, "error": field.value.as_ref().err() })
            })
            .collect();
        say!("{:#}", json!(fields));
    } else {
        let rows = explained.into_iter().map(|field| {
            let value = field.value.map_or_else(|why| format!("!! {why}"), |value| value.to_string());
            vec![field.target, field.formula, value, field.origin]
        });
        say!("{}", table(&["target", "from", "value", "where"], rows.collect()));
    }
    Ok(if failed { FAILED } else { 0 })
}
