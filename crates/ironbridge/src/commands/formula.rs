//! `ironbridge formula`: Power Fx on the command line.

use std::io::{BufRead, Write};

use crate::failure::{FAILED, Failure};
use crate::{say, talk};

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
